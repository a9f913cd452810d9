#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/tls/tls_sni.h"
#include "tests/unit/unit.h"

START_TEST(exact_names_come_before_wildcards)
{
    struct tls_sni sni;
    int exact;
    int wild;
    int deep;
    tls_sni_init(&sni);
    tls_sni_put(&sni, SLICE("shop.example"), &exact);
    tls_sni_put(&sni, SLICE("*.example"), &wild);
    tls_sni_put(&sni, SLICE("*.a.example"), &deep);
    const struct {
        const char *host;
        const void *want;
    } cases[] = {
        {"shop.example", &exact}, {"other.example", &wild}, {"b.a.example", &deep},
        {"a.example", &wild},     {"b.b.example", NULL},    {"example", NULL},
        {".example", NULL},       {"*.example", &wild},     {"", NULL},
        {"xshop.example", &wild}, {"shop.example.x", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(tls_sni_find(&sni, slice_from(cases[i].host)) == cases[i].want, "%s",
                      cases[i].host);
    }
    ck_assert_ptr_eq(tls_sni_get(&sni, SLICE("*.example")), &wild);
    ck_assert_ptr_null(tls_sni_get(&sni, SLICE("other.example")));
    tls_sni_put(&sni, SLICE("shop.example"), &deep);
    ck_assert_ptr_eq(tls_sni_find(&sni, SLICE("shop.example")), &deep);
    tls_sni_fini(&sni);
}
END_TEST

START_TEST(a_pattern_covers_one_label_more)
{
    static const struct {
        const char *pattern;
        const char *host;
        bool want;
    } cases[] = {
        {"a.example", "a.example", true},     {"a.example", "b.example", false},
        {"*.example", "a.example", true},     {"*.example", "example", false},
        {"*.example", ".example", false},     {"*.example", "a.b.example", false},
        {"*.b.example", "a.b.example", true}, {"*.example", "a.exampleX", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(tls_sni_covers(slice_from(cases[i].pattern), slice_from(cases[i].host)) ==
                          cases[i].want,
                      "%s %s", cases[i].pattern, cases[i].host);
    }
}
END_TEST

START_TEST(an_extension_is_read_to_the_byte)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum tls_sni_verdict verdict;
        const char *name;
    } cases[] = {
        {"\0\x06\0\0\x03"
         "a.b",
         8, TLS_SNI_OK, "a.b"},
        {"\0\x07\0\0\x04"
         "A.B.",
         9, TLS_SNI_OK, "a.b"},
        {"\0\x06\0\0\x03"
         "a_b",
         8, TLS_SNI_OK, "a_b"},
        {"\0\x0a\0\0\x07"
         "1.2.3.4",
         12, TLS_SNI_NONE, ""},
        {"\0\x06\0\0\x03"
         "::1",
         8, TLS_SNI_NONE, ""},
        {"\0\x06\0\0\x03"
         "a\0b",
         8, TLS_SNI_BAD, ""},
        {"\0\x06\0\0\x03"
         "a b",
         8, TLS_SNI_BAD, ""},
        {"\0\x06\0\0\x03"
         ".ab",
         8, TLS_SNI_BAD, ""},
        {"\0\x06\0\0\x04"
         "a.b",
         8, TLS_SNI_BAD, ""}, /* longer than it is */
        {"\0\x06\0\0\x02"
         "a.b",
         8, TLS_SNI_BAD, ""}, /* something behind it */
        {"\0\x05\0\0\x03"
         "a.b",
         8, TLS_SNI_BAD, ""},
        {"\0\x06\x01\0\x03"
         "a.b",
         8, TLS_SNI_BAD, ""}, /* not a host name */
        {"\0\x03\0\0\0", 5, TLS_SNI_BAD, ""},
        {"\0\0", 2, TLS_SNI_BAD, ""},
        {"", 0, TLS_SNI_BAD, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char room[TLS_SNI_NAME_MAX];
        struct slice name = SLICE("before");
        enum tls_sni_verdict verdict =
            tls_sni_parse((const uint8_t *)cases[i].bytes, cases[i].len, room, &name);
        ck_assert_msg(verdict == cases[i].verdict, "%zu: %d", i, (int)verdict);
        ck_assert_msg(slice_eq(name, slice_from(cases[i].name)), "%zu: %.*s", i, SLICE_ARG(name));
    }
}
END_TEST

START_TEST(long_names_are_no_names)
{
    char text[300];
    char room[TLS_SNI_NAME_MAX];
    struct slice plain;
    memset(text, 'a', sizeof(text));
    ck_assert(tls_sni_plain(slice_of(text, TLS_SNI_NAME_MAX), room, &plain));
    ck_assert_uint_eq(plain.len, TLS_SNI_NAME_MAX);
    ck_assert(!tls_sni_plain(slice_of(text, TLS_SNI_NAME_MAX + 1), room, &plain));
}
END_TEST

UNIT_TESTS("tls_sni", exact_names_come_before_wildcards, a_pattern_covers_one_label_more,
           an_extension_is_read_to_the_byte, long_names_are_no_names)
