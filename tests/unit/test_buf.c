#include "lbd/base/buf.h"
#include "tests/unit/unit.h"

START_TEST(appends_in_every_way)
{
    struct buf buf;
    buf_init(&buf, 1000);
    ck_assert_uint_eq(buf_slice(&buf).len, 0);
    ck_assert(buf_append(&buf, "a\0b", 3));
    ck_assert(buf_append_slice(&buf, SLICE("-slice")));
    ck_assert(buf_append_slice(&buf, SLICE_NONE));
    ck_assert(buf_append_text(&buf, "-text"));
    ck_assert(buf_append_char(&buf, '-'));
    ck_assert(buf_append_u64(&buf, UINT64_MAX));
    ck_assert(buf_printf(&buf, "-%s:%d", "x", 5));
    ck_assert(slice_eq(buf_slice(&buf), SLICE("a\0b-slice-text-18446744073709551615-x:5")));
    ck_assert_int_eq(buf.data[buf.len], '\0');
    buf_fini(&buf);
}
END_TEST

START_TEST(stops_at_its_maximum_and_keeps_what_it_had)
{
    for (size_t max = 0; max < 600; max += 7) {
        struct buf buf;
        buf_init(&buf, max);
        for (size_t i = 0; i < max; i++) {
            ck_assert_msg(buf_append_char(&buf, 'x'), "byte %zu of %zu", i, max);
        }
        ck_assert(!buf.overflow);
        ck_assert(!buf_append_char(&buf, 'y'));
        ck_assert(buf.overflow);
        ck_assert(!buf_printf(&buf, "%d", 1));
        ck_assert(!buf_reserve(&buf, SIZE_MAX));
        ck_assert_uint_eq(buf.len, max);
        ck_assert(max == 0 || buf.data[max - 1] == 'x');
        buf_clear(&buf);
        ck_assert(!buf.overflow);
        ck_assert_uint_eq(buf.len, 0);
        buf_fini(&buf);
    }
}
END_TEST

START_TEST(one_large_append_fits_exactly)
{
    struct buf buf;
    char block[5000];
    memset(block, 'z', sizeof(block));
    buf_init(&buf, sizeof(block));
    ck_assert(!buf_append(&buf, block, sizeof(block) + 0U + 1U) || buf.len == 0);
    ck_assert(buf_append(&buf, block, sizeof(block)));
    ck_assert_uint_eq(buf.len, sizeof(block));
    ck_assert_int_eq(buf.data[buf.len], '\0');
    buf_fini(&buf);
}
END_TEST

START_TEST(consumes_from_the_front_and_gives_the_rest)
{
    struct buf buf;
    size_t len;
    buf_init(&buf, 100);
    char *empty = buf_take(&buf, &len);
    ck_assert_str_eq(empty, "");
    ck_assert_uint_eq(len, 0);
    free(empty);

    ck_assert(buf_append_text(&buf, "hello world"));
    buf_consume(&buf, 6);
    ck_assert(slice_eq(buf_slice(&buf), SLICE("world")));
    char *taken = buf_take(&buf, &len);
    ck_assert_str_eq(taken, "world");
    ck_assert_uint_eq(len, 5);
    ck_assert_ptr_null(buf.data);
    ck_assert(buf_append_text(&buf, "again"));
    ck_assert_str_eq(taken, "world");
    free(taken);
    buf_consume(&buf, 5);
    ck_assert_uint_eq(buf.len, 0);
    buf_fini(&buf);
}
END_TEST

UNIT_TESTS("buf", appends_in_every_way, stops_at_its_maximum_and_keeps_what_it_had,
           one_large_append_fits_exactly, consumes_from_the_front_and_gives_the_rest)
