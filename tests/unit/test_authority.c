#include <string.h>

#include "lbd/base/authority.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

START_TEST(takes_only_one_reading_of_an_authority)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: not valid (R8) */
        uint16_t port;
    } cases[] = {
        {"a", "a", 0},
        {"example.com", "example.com", 0},
        {"EXAMPLE.com:8080", "EXAMPLE.com", 8080},
        {"a-b_c~d.", "a-b_c~d.", 0},
        {"127.0.0.1:1", "127.0.0.1", 1},
        {"a:65535", "a", 65535},
        {"a:00080", "a", 80},
        {"[::1]", "[::1]", 0},
        {"[2001:db8::1]:443", "[2001:db8::1]", 443},
        {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]", 1},
        {".", NULL, 0},
        {".a", NULL, 0},
        {"a..", NULL, 0},
        {"a..b:80", NULL, 0},
        {"a.name.of.more.than.16..bytes", NULL, 0},
        {"", NULL, 0},
        {":80", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:000080", NULL, 0},
        {"a:8o", NULL, 0},
        {"a:-1", NULL, 0},
        {"a:1:2", NULL, 0},
        {"a,b", NULL, 0},
        {"a b", NULL, 0},
        {"a/b", NULL, 0},
        {"a?b", NULL, 0},
        {"a#b", NULL, 0},
        {"a\\b", NULL, 0},
        {"u@a", NULL, 0},
        {"u:p@a", NULL, 0},
        {"a%20b", NULL, 0},
        {"caf\xc3\xa9", NULL, 0},
        {"::1", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::1]:", NULL, 0},
        {"[]", NULL, 0},
        {"[a]", NULL, 0},
        {"[127.0.0.1]", NULL, 0},
        {"[fe80::1%eth0]", NULL, 0},
        {"[v1.a]", NULL, 0},
        {"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice text = slice_from(cases[i].text);
        ck_assert_msg(authority_is_valid(text) == (cases[i].host != NULL), "%s", cases[i].text);
        if (cases[i].host != NULL) {
            struct slice host;
            uint16_t port;
            authority_split(text, &host, &port);
            ck_assert_msg(slice_eq(host, slice_from(cases[i].host)), "%s: %.*s", cases[i].text,
                          SLICE_ARG(host));
            ck_assert_uint_eq(port, cases[i].port);
        }
    }
}
END_TEST

START_TEST(bounds_the_length_of_a_host)
{
    char text[256];
    memset(text, 'a', sizeof(text));
    ck_assert(authority_is_valid(slice_of(text, 255)));
    ck_assert(!authority_is_valid(slice_of(text, 256)));
    text[5] = '\0';
    ck_assert(!authority_is_valid(slice_of(text, 10)));
}
END_TEST

UNIT_TESTS("authority", takes_only_one_reading_of_an_authority, bounds_the_length_of_a_host)
