#include "lbd/base/compiler.h"
#include "lbd/http/accept_encoding.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    unsigned gzip;
    unsigned identity;
} cases[] = {
    {"gzip, deflate, br", 1000, 1000},
    {"GZIP", 1000, 1000},
    {"x-gzip", 1000, 1000},
    {"gzip;q=0.5", 500, 1000},
    {"gzip ; q=0.123, identity;q=0", 123, 0},
    {"gzip;Q=1.000", 1000, 1000},
    {"gzip;q=1.", 1000, 1000},
    {"gzip;q=0", 0, 1000},
    {"gzip;q=0.0, *", 0, 1000},
    {"*", 1000, 1000},
    {"*;q=0.1", 100, 100},
    {"identity;q=0.3, *;q=0", 0, 300},
    {"br", 0, 1000},
    {"", 0, 1000},
    {",, ,", 0, 1000},
    {"gzip;q=1, gzip;q=0", 0, 1000}, /* the last one counts */
    /* what cannot be read is not wanted */
    {"gzip;q=1.001", 0, 1000},
    {"gzip;q=2", 0, 1000},
    {"gzip;q=.5", 0, 1000},
    {"gzip;q=0.1234", 0, 1000},
    {"gzip;q=-1", 0, 1000},
    {"gzip;q=", 0, 1000},
    {"gzip;quality=1", 0, 1000},
    {"gzip;q = 1", 0, 1000},
    /* what only looks like it */
    {"gzip2", 0, 1000},
    {"xgzip", 0, 1000},
    {"gzip br", 0, 1000},
};

START_TEST(read_as_the_rfc_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct accept_encoding got = accept_encoding_of(slice_from(cases[i].text));
        ck_assert_msg(got.gzip == cases[i].gzip && got.identity == cases[i].identity,
                      "'%s': gzip %u, identity %u", cases[i].text, got.gzip, got.identity);
    }
}
END_TEST

START_TEST(fields_are_one_list)
{
    static const char text[] = "gzip;q=0.5identity;q=0.2br";
    struct header list[] = {
        {.value_at = 0, .value_len = 10, .id = HEADER_ACCEPT_ENCODING, .dropped = 1},
        {.value_at = 10, .value_len = 14, .id = HEADER_ACCEPT_ENCODING},
        {.value_at = 24, .value_len = 2, .id = HEADER_ACCEPT_LANGUAGE},
    };
    struct headers headers = {.base = text, .list = list, .count = 3, .capacity = 3};
    struct accept_encoding got = accept_encoding_read(&headers);
    ck_assert_uint_eq(got.gzip, 500);
    ck_assert_uint_eq(got.identity, 200);
    headers.count = 0;
    got = accept_encoding_read(&headers);
    ck_assert_uint_eq(got.gzip, 0);
    ck_assert_uint_eq(got.identity, 1000);
}
END_TEST

UNIT_TESTS("accept_encoding", read_as_the_rfc_says, fields_are_one_list)
