#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(never_gives_null)
{
    void *nothing = mem_alloc(0);
    void *none = mem_zero(0, 8);
    ck_assert_ptr_nonnull(nothing);
    ck_assert_ptr_nonnull(none);
    free(nothing);
    free(none);
}
END_TEST

START_TEST(zeroes_and_aligns)
{
    unsigned char *zero = mem_zero(100, 3);
    for (size_t i = 0; i < 300; i++) {
        ck_assert_uint_eq(zero[i], 0);
    }
    zero = mem_resize(zero, 1000);
    ck_assert_uint_eq(zero[299], 0);
    free(zero);

    for (size_t size = 0; size < 300; size += 37) {
        unsigned char *aligned = mem_zero_aligned(size);
        ck_assert_uint_eq((uintptr_t)aligned % LB_CACHE_LINE, 0);
        for (size_t i = 0; i < size; i++) {
            ck_assert_uint_eq(aligned[i], 0);
        }
        free(aligned);
    }
}
END_TEST

START_TEST(copies_text)
{
    char *text = mem_strdup("lbd");
    char *part = mem_slicedup(slice_of("lbd", 2));
    char *empty = mem_slicedup(SLICE_NONE);
    ck_assert_str_eq(text, "lbd");
    ck_assert_str_eq(part, "lb");
    ck_assert_str_eq(empty, "");
    free(text);
    free(part);
    free(empty);
}
END_TEST

START_TEST(wipes)
{
    char secret[] = "secret";
    mem_wipe(secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++) {
        ck_assert_int_eq(secret[i], 0);
    }
    mem_wipe(NULL, 0);
}
END_TEST

UNIT_TESTS("mem", never_gives_null, zeroes_and_aligns, copies_text, wipes)
