#include <stdio.h>

#include "lbd/balance/balancer.h"
#include "lbd/balance/sticky.h"
#include "tests/unit/unit.h"

static const uint64_t key[2] = {1, 2};

START_TEST(every_id_finds_its_target_and_no_other_id_does)
{
    enum { MANY = 3000 };
    static uint64_t ids[MANY];
    static const uint32_t counts[] = {1, 2, 3, 7, 100, MANY};
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        struct arena arena;
        struct sticky sticky;
        arena_init(&arena, NULL, 0);
        for (uint32_t i = 0; i < counts[c]; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "s%u", i);
            ids[i] = sticky_id(SLICE("web"), slice_from(name), key);
        }
        sticky_build(&sticky, ids, counts[c], &arena);
        for (uint32_t i = 0; i < counts[c]; i++) {
            ck_assert_uint_eq(sticky_find(&sticky, ids[i]), i);
            ck_assert_uint_eq(sticky_find(&sticky, ids[i] + 1), BALANCER_NONE);
        }
        ck_assert_uint_eq(sticky_find(&sticky, 0), BALANCER_NONE);
        arena_fini(&arena);
    }
}
END_TEST

START_TEST(a_pool_without_targets_knows_nobody)
{
    struct arena arena;
    struct sticky sticky;
    arena_init(&arena, NULL, 0);
    sticky_build(&sticky, NULL, 0, &arena);
    ck_assert_uint_eq(sticky_find(&sticky, 7), BALANCER_NONE);
    arena_fini(&arena);
}
END_TEST

START_TEST(of_equal_ids_the_first_counts)
{
    static const uint64_t ids[] = {5, 9, 5};
    struct arena arena;
    struct sticky sticky;
    arena_init(&arena, NULL, 0);
    sticky_build(&sticky, ids, 3, &arena);
    ck_assert_uint_eq(sticky_find(&sticky, 5), 0);
    ck_assert_uint_eq(sticky_find(&sticky, 9), 1);
    arena_fini(&arena);
}
END_TEST

START_TEST(an_id_is_of_pool_server_and_key)
{
    static const uint64_t other[2] = {1, 3};
    uint64_t id = sticky_id(SLICE("web"), SLICE("a"), key);
    /* for ever: clients hold it */
    static const uint64_t known[2] = {UINT64_C(0x6c62642073746963), UINT64_C(0x6b79206b65793031)};
    ck_assert_uint_eq(sticky_id(SLICE("web"), SLICE("a"), known), UINT64_C(0x52a52cb131a29913));
    ck_assert_uint_eq(sticky_id(SLICE("web"), SLICE("a"), key), id);
    ck_assert_uint_ne(sticky_id(SLICE("web"), SLICE("b"), key), id);
    ck_assert_uint_ne(sticky_id(SLICE("api"), SLICE("a"), key), id);
    ck_assert_uint_ne(sticky_id(SLICE("web"), SLICE("a"), other), id);
    ck_assert_uint_ne(sticky_id(SLICE("we"), SLICE("ba"), key),
                      sticky_id(SLICE("web"), SLICE("a"), key));
}
END_TEST

UNIT_TESTS("sticky", every_id_finds_its_target_and_no_other_id_does,
           a_pool_without_targets_knows_nobody, of_equal_ids_the_first_counts,
           an_id_is_of_pool_server_and_key)
