#include "lbd/base/arena.h"
#include "tests/unit/unit.h"

START_TEST(the_lent_block_is_used_first)
{
    _Alignas(8) char block[257];
    struct arena arena;
    arena_init(&arena, block + 1, 256); /* even a crooked block gives aligned pieces */
    for (size_t size = 0; size < 17; size++) {
        char *piece = arena_alloc(&arena, size);
        ck_assert_uint_eq((uintptr_t)piece % 8, 0);
        ck_assert(piece > block && piece + size <= block + sizeof(block));
        memset(piece, 'x', size);
    }
    ck_assert_uint_eq(arena_chunk_bytes(&arena), 0);
    (void)arena_alloc(&arena, 100);
    ck_assert_uint_gt(arena_chunk_bytes(&arena), 0);
    arena_reset(&arena);
    ck_assert_uint_eq(arena_chunk_bytes(&arena), 0);
    char *again = arena_alloc(&arena, 8);
    ck_assert(again > block && again < block + sizeof(block));
    arena_fini(&arena);
}
END_TEST

START_TEST(pieces_do_not_overlap)
{
    struct arena arena;
    unsigned char *pieces[500];
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < 500; i++) {
        pieces[i] = arena_alloc(&arena, i * 7 % 3000);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i % 251), i * 7 % 3000);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t at = 0; at < i * 7 % 3000; at++) {
            unit_expect(pieces[i][at] == i % 251, "piece %zu was overwritten", i);
        }
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(a_large_piece_leaves_the_current_block_in_use)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    char *before = arena_alloc(&arena, 8);
    unsigned char *large = arena_zero(&arena, 100000);
    char *after = arena_alloc(&arena, 8);
    ck_assert_ptr_eq(after, before + 8);
    for (size_t i = 0; i < 100000; i++) {
        unit_expect(large[i] == 0, "byte %zu is %u", i, large[i]);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(copies_text)
{
    struct arena arena;
    _Alignas(8) char block[64];
    arena_init(&arena, block, sizeof(block));
    memset(block, 'x', sizeof(block));
    struct slice copy = arena_copy(&arena, SLICE("copy"));
    char *text = arena_strdup(&arena, slice_of("text", 3));
    struct slice said = arena_printf(&arena, "%s=%d", "port", 80);
    ck_assert(slice_eq(copy, SLICE("copy")));
    ck_assert_str_eq(text, "tex");
    ck_assert(slice_eq(said, SLICE("port=80")));
    ck_assert_int_eq(said.ptr[said.len], '\0');
    ck_assert_uint_eq(arena_copy(&arena, SLICE_NONE).len, 0);
    const struct slice parts[] = {SLICE("one"), SLICE_NONE, SLICE(", two")};
    ck_assert(slice_eq(arena_join(&arena, parts, 3), SLICE("one, two")));
    ck_assert_uint_eq(arena_join(&arena, NULL, 0).len, 0);
    arena_fini(&arena);
}
END_TEST

UNIT_TESTS("arena", the_lent_block_is_used_first, pieces_do_not_overlap,
           a_large_piece_leaves_the_current_block_in_use, copies_text)
