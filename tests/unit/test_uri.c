#include "lbd/base/compiler.h"
#include "lbd/http/uri.h"
#include "tests/unit/unit.h"

START_TEST(normalises_a_path_once)
{
    static const struct {
        const char *path;
        const char *want; /* NULL: refused (R10); same text: plain */
    } cases[] = {
        {"/", "/"},
        {"/a/b.html", "/a/b.html"},
        {"*", "*"},
        {"//", "//"},
        {"/a//b", "/a//b"},
        {"/a/", "/a/"},
        {"/...", "/..."},
        {"/..a/.b/c..", "/..a/.b/c.."},
        {"/.well-known/x", "/.well-known/x"},
        /* RFC 3986 5.2.4 */
        {"/a/b/c/./../../g", "/a/g"},
        {"/.", "/"},
        {"/./", "/"},
        {"/..", "/"},
        {"/../", "/"},
        {"/../..", "/"},
        {"/../../x", "/x"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/.", "/a/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../..", "/"},
        {"/a//../b", "/a/b"},
        {"/a/../../b", "/b"},
        /* RFC 3986 6.2.2: unreserved characters and the case of escapes */
        {"/%41%7a%2D%5f%7E%39", "/Az-_~9"},
        {"/%c3%a9", "/%C3%A9"},
        {"/%20", "/%20"},
        {"/%25%32%66", "/%252f"}, /* decoded once: what comes out is not an escape of '/' */
        {"/%2e/a", "/a"},
        {"/a/%2e%2E/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/%2e%2e/%2e%2e/etc", "/etc"},
        {"/a;x=1/b", "/a;x=1/b"},
        {"/a;x/../b", "/b"},
        {"/;a", "/;a"},
        {"/...;a", "/...;a"},
        {"/a%3bb", "/a%3Bb"},
        /* refused */
        {"/a%00", NULL},
        {"/a%2fb", NULL},
        {"/a%2Fb", NULL},
        {"/a%5cb", NULL},
        {"/a%5Cb", NULL},
        {"/a\\b", NULL},
        {"/a#b", NULL},
        {"/a?b", NULL},
        {"/a b", NULL},
        {"/a\tb", NULL},
        {"/a\x7f", NULL},
        {"/caf\xc3\xa9", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/%zz", NULL},
        {"/%4g", NULL},
        {"/a%", NULL},
        {"/..;/a", NULL},
        {"/a/..;x=1/b", NULL},
        {"/.;/a", NULL},
        {"/a/..;", NULL},
        {"/a/..%3b/b", NULL},
        {"/a/%2e%2e;/b", NULL},
        {"/a/%2e%2e%3B", NULL},
        {"", NULL},
        {"a", NULL},
        {"**", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice out;
        struct slice path = slice_from(cases[i].path);
        arena_init(&arena, NULL, 0);
        enum uri_path_verdict want = cases[i].want == NULL                       ? URI_PATH_BAD
                                     : strcmp(cases[i].path, cases[i].want) == 0 ? URI_PATH_PLAIN
                                                                                 : URI_PATH_FIXED;
        enum uri_path_verdict got = uri_path_normalise(path, &arena, &out);
        ck_assert_msg(got == want, "%s: %d", cases[i].path, (int)got);
        if (want != URI_PATH_BAD) {
            ck_assert_msg(slice_eq(out, slice_from(cases[i].want)), "%s: %.*s", cases[i].path,
                          SLICE_ARG(out));
        }
        arena_fini(&arena);
    }
}
END_TEST

START_TEST(a_normalised_path_is_plain)
{
    static const char alphabet[] = "//..;a%2eE3bB%41";
    char path[16] = "/";
    uint32_t random = 99;
    size_t fixed = 0;
    for (int round = 0; round < 50000; round++) {
        size_t len = 2 + (size_t)round % (sizeof(path) - 2);
        for (size_t i = 1; i < len; i++) {
            random = random * 1664525U + 1013904223U;
            path[i] = alphabet[(random >> 20U) % (sizeof(alphabet) - 1)];
        }
        struct arena arena;
        struct slice once;
        struct slice twice;
        arena_init(&arena, NULL, 0);
        if (uri_path_normalise(slice_of(path, len), &arena, &once) == URI_PATH_FIXED) {
            fixed++;
            ck_assert_msg(uri_path_normalise(once, &arena, &twice) == URI_PATH_PLAIN,
                          "%.*s -> %.*s", (int)len, path, SLICE_ARG(once));
        }
        arena_fini(&arena);
    }
    ck_assert_uint_gt(fixed, 1000);
}
END_TEST

START_TEST(queries_are_visible_ascii_without_fragment)
{
    static const struct {
        const char *query;
        bool want;
    } cases[] = {
        {"", true},      {"?", true},          {"?a=b&c=%zz", true},
        {"?a?b", true},  {"?\\|{}\"<>", true}, {"?a b", false},
        {"?a#b", false}, {"?\x01", false},     {"?\xc3", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(uri_query_is_valid(slice_from(cases[i].query)) == cases[i].want, "%s",
                      cases[i].query);
    }
}
END_TEST

UNIT_TESTS("uri", normalises_a_path_once, a_normalised_path_is_plain,
           queries_are_visible_ascii_without_fragment)
