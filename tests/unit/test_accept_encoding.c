#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/accept_encoding.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    unsigned zstd;
    unsigned br;
    unsigned gzip;
    unsigned identity;
} cases[] = {
    {"gzip, deflate, br", 0, 1000, 1000, 1},
    {"gzip, deflate, br, zstd", 1000, 1000, 1000, 1},
    {"GZIP, Zstd, bR", 1000, 1000, 1000, 1},
    {"x-gzip", 0, 0, 1000, 1},
    {"gzip;q=0.5", 0, 0, 500, 1},
    {"zstd;q=0.9, br;q=0.8,gzip;q=0.7", 900, 800, 700, 1},
    {"gzip ; q=0.123, identity;q=0", 0, 0, 123, 0},
    {"gzip;Q=1.000", 0, 0, 1000, 1},
    {"gzip;q=1.", 0, 0, 1000, 1},
    {"gzip;q=0", 0, 0, 0, 1},
    {"gzip;q=0.0, *", 1000, 1000, 0, 1000},
    {"*", 1000, 1000, 1000, 1000},
    {"*;q=0.1", 100, 100, 100, 100},
    {"*;q=0.1, br, identity;q=0.5", 100, 1000, 100, 500},
    {"identity;q=0.3, *;q=0", 0, 0, 0, 300},
    {"identity;q=0", 0, 0, 0, 0},
    {"deflate", 0, 0, 0, 1},
    {"", 0, 0, 0, 1},
    {",, ,", 0, 0, 0, 1},
    {"gzip;q=1, gzip;q=0", 0, 0, 0, 1}, /* the last one counts */
    /* what cannot be read is not wanted */
    {"gzip;q=1.001", 0, 0, 0, 1},
    {"gzip;q=2", 0, 0, 0, 1},
    {"gzip;q=.5", 0, 0, 0, 1},
    {"gzip;q=0.1234", 0, 0, 0, 1},
    {"gzip;q=-1", 0, 0, 0, 1},
    {"gzip;q=", 0, 0, 0, 1},
    {"gzip;quality=1", 0, 0, 0, 1},
    {"gzip;q = 1", 0, 0, 0, 1},
    /* what only looks like it */
    {"gzip2", 0, 0, 0, 1},
    {"xgzip", 0, 0, 0, 1},
    {"x-br", 0, 0, 0, 1},
    {"brotli", 0, 0, 0, 1},
    {"gzip br", 0, 0, 0, 1},
};

static bool is_like(const struct accept_encoding *got, unsigned zstd, unsigned br, unsigned gzip,
                    unsigned identity)
{
    return got->weights[CONF_ENCODING_ZSTD] == zstd && got->weights[CONF_ENCODING_BR] == br &&
           got->weights[CONF_ENCODING_GZIP] == gzip && got->identity == identity;
}

START_TEST(read_as_the_rfc_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct accept_encoding got = accept_encoding_of(slice_from(cases[i].text));
        ck_assert_msg(is_like(&got, cases[i].zstd, cases[i].br, cases[i].gzip, cases[i].identity),
                      "'%s': zstd %u, br %u, gzip %u, identity %u", cases[i].text,
                      got.weights[CONF_ENCODING_ZSTD], got.weights[CONF_ENCODING_BR],
                      got.weights[CONF_ENCODING_GZIP], got.identity);
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
    ck_assert(is_like(&got, 0, 0, 500, 200));
    headers.count = 0;
    got = accept_encoding_read(&headers);
    ck_assert(is_like(&got, 0, 0, 0, 1));
}
END_TEST

static const struct {
    const char *text;
    const char *offered; /* the first letters of words, the server's favourite first */
    const char *chosen;
} choices[] = {
    {"gzip, deflate, br, zstd", "zbg", "zbg"},
    {"gzip, deflate, br, zstd", "gbz", "gbz"}, /* the client does not care: the server's order */
    {"gzip, deflate, br", "zbg", "bg"},
    {"gzip, deflate, br", "gb", "gb"},
    {"gzip, deflate, br, zstd", "b", "b"},
    {"gzip;q=1.0, br;q=0.9, zstd;q=0.8", "zbg", "gbz"}, /* it does */
    {"gzip;q=0.9, br, zstd", "gzb", "zbg"},
    {"gzip;q=0.9, br, zstd;q=0.9", "zgb", "bzg"},
    {"*", "bgz", "bgz"},
    {"*;q=0.5, gzip", "zbg", "gzb"},
    {"*;q=0", "zbg", ""},
    {"br;q=0, *", "zbg", "zg"},
    {"identity", "zbg", ""},
    {"identity, gzip", "zbg", "g"},
    {"identity, gzip;q=0.9", "zbg", ""}, /* it likes nothing better */
    {"identity;q=0.5, gzip;q=0.4, br;q=0.6", "zbg", "b"},
    {"identity;q=0", "zbg", ""},
    {"gzip;q=0.001", "zbg", "g"},
    {"", "zbg", ""},
    {"zstd", "", ""},
};

START_TEST(client_before_server)
{
    static const char letters[] = {
        [CONF_ENCODING_ZSTD] = 'z', [CONF_ENCODING_BR] = 'b', [CONF_ENCODING_GZIP] = 'g'};
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        struct accept_encoding takes = accept_encoding_of(slice_from(choices[i].text));
        enum conf_encoding offered[CONF_ENCODING_COUNT];
        enum conf_encoding chosen[CONF_ENCODING_COUNT];
        char got[CONF_ENCODING_COUNT + 1] = "";
        uint32_t count = 0;
        for (const char *at = choices[i].offered; *at != '\0'; at++) {
            offered[count] = 0;
            while (letters[offered[count]] != *at) {
                offered[count]++;
            }
            count++;
        }
        count = accept_encoding_choose(&takes, offered, count, chosen);
        for (uint32_t k = 0; k < count; k++) {
            got[k] = letters[chosen[k]];
        }
        ck_assert_msg(strcmp(got, choices[i].chosen) == 0, "'%s' of %s: %s, not %s",
                      choices[i].text, choices[i].offered, got, choices[i].chosen);
    }
}
END_TEST

UNIT_TESTS("accept_encoding", read_as_the_rfc_says, fields_are_one_list, client_before_server)
