#include <stdio.h>
#include <string.h>

#include "lbd/proxy/route_path.h"
#include "lbd/proxy/route_redirect.h"
#include "tests/unit/unit.h"

static struct arena arena;
static struct pattern_work patterns;

static void setup(void)
{
    arena_init(&arena, NULL, 0);
    pattern_work_init(&patterns);
}

static void teardown(void)
{
    pattern_work_fini(&patterns);
    arena_fini(&arena);
}

/* kind of the match: '<' prefix, '{' template, '~' regex, ' ' any; `to`: "=path" or "^prefix". */
static const struct {
    char kind;
    const char *match;
    const char *to;
    const char *path;
    const char *want; /* NULL: no path */
} cases[] = {
    {'<', "/api", "^", "/api/x/y", "/x/y"},
    {'<', "/api", "^", "/api", "/"},
    {'<', "/api", "^", "/api/", "/"},
    {'<', "/api/", "^", "/api/x", "/x"},
    {'<', "/api", "^/v2", "/api/x", "/v2/x"},
    {'<', "/api", "^/v2/", "/api", "/v2"},
    {'<', "/api", "^/", "/api/x", "/x"},
    {'<', "/", "^/v2", "/x", "/v2/x"},
    {'<', "/", "^/v2", "/", "/v2/"},
    {'<', "/a", "^", "/a//b", "//b"},
    {'{', "/u/{id}/{rest*}", "=/v/{rest}/of/{id}", "/u/7/a/b", "/v/a/b/of/7"},
    {'{', "/u/{id}/{rest*}", "=/v/{rest}", "/u/7/", "/v/"},
    {'{', "/u/{id}", "=/x/{id}{id}", "/u/%20", "/x/%20%20"},
    {'~', "/(en|de)/(.*)", "=/{2}/{1}", "/de/a/b", "/a/b/de"},
    {'~', "/(a)?(.*)", "=/x/{1}/{2}", "/b", "/x//b"},
    {' ', "", "=/fixed", "/any/thing", "/fixed"},
    {' ', "", "=/fixed", "*", "*"}, /* OPTIONS * has none */
    /* what is put together is normal: it leaves no folder */
    {'~', "/(.)(.*)", "=/safe/.{1}/{2}", "/.x", NULL},
    {'~', "/(.)(.*)", "=/safe/{1}/{2}", "/.x", NULL},
    {'~', "/(.)(.*)", "=/safe/{1}{2}", "/.x", "/safe/.x"},
    {'~', "/%(..)(.*)", "=/%{1}", "/%20a", "/%20"},
    {'~', "/(.*)", "=/%{1}", "/2fx", NULL}, /* no escape that is refused (R10) */
    {'~', "/(.*)", "=/%{1}", "/zz", NULL},
};

START_TEST(paths_are_made)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice match_text = slice_from(cases[i].match);
        struct slice to_text = slice_from(cases[i].to + 1);
        const struct conf_match match = {
            .path_prefix = cases[i].kind == '<' ? match_text : SLICE_NONE,
            .path_template = cases[i].kind == '{' ? match_text : SLICE_NONE,
            .path_regex = cases[i].kind == '~' ? match_text : SLICE_NONE,
        };
        const struct route_path *to = cases[i].to[0] == '='
                                          ? route_path_build(&arena, &match, to_text)
                                          : route_path_build_prefix(&arena, &match, to_text);
        struct slice out = SLICE_NONE;
        bool made = route_path_make(to, slice_from(cases[i].path), &patterns, &arena, &out);
        ck_assert_msg(made == (cases[i].want != NULL), "%s %s of %s", cases[i].match, cases[i].to,
                      cases[i].path);
        ck_assert_msg(!made || slice_eq(out, slice_from(cases[i].want)), "%s %s of %s: %.*s",
                      cases[i].match, cases[i].to, cases[i].path, SLICE_ARG(out));
    }
}
END_TEST

START_TEST(paths_are_bounded)
{
    char path[5000];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    const struct conf_match match = {.path_template = SLICE("/{x}")};
    const struct route_path *once = route_path_build(&arena, &match, SLICE("/b/{x}"));
    const struct route_path *twice = route_path_build(&arena, &match, SLICE("/{x}{x}"));
    struct slice out;
    ck_assert(route_path_make(once, slice_of(path, sizeof path), &patterns, &arena, &out));
    ck_assert_uint_eq(out.len, sizeof path + 2);
    ck_assert(!route_path_make(twice, slice_of(path, sizeof path), &patterns, &arena, &out));
}
END_TEST

static const struct {
    const char *location;
    struct conf_redirect to;
    const char *authority;
    const char *path;
    const char *query;
    const char *proto;
    const char *want;
} redirects[] = {
    {"/x", {0}, "h", "/a", "", "http", "/x"},
    {"https://y{path}#z", {0}, "h", "/a", "?q", "http", "https://y/a?q#z"},
    {"{path}", {0}, "h", "//evil.test/x", "", "http", "/evil.test/x"}, /* not another host */
    {"", {.scheme = CONF_SCHEME_HTTPS}, "h:81", "/a", "?q=1", "http", "https://h/a?q=1"},
    {"", {.scheme = CONF_SCHEME_HTTP}, "h:81", "/a", "", "http", "http://h:81/a"},
    {"", {.host = SLICE_INIT("www.h")}, "h:81", "/a", "", "http", "http://www.h/a"},
    {"",
     {.port = 8443, .scheme = CONF_SCHEME_HTTPS},
     "[::1]:81",
     "/",
     "",
     "http",
     "https://[::1]:8443/"},
    {"", {.path = SLICE_INIT("/b")}, "h:81", "/a", "?q", "https", "https://h:81/b?q"},
    {"", {.path = SLICE_INIT("/b")}, "", "/a", "?q", "http", "/b?q"}, /* HTTP/1.0 */
    {"", {.scheme = CONF_SCHEME_HTTPS}, "", "//a", "", "http", "/a"},
    {"", {.scheme = CONF_SCHEME_HTTPS}, "h", "*", "", "http", "https://h/"},
};

START_TEST(redirects_have_parts)
{
    for (size_t i = 0; i < ARRAY_LEN(redirects); i++) {
        const struct conf_match any = {.host_count = 0};
        const struct route route = {
            .action = CONF_ACTION_REDIRECT,
            .location = slice_from(redirects[i].location),
            .redirect = &redirects[i].to,
            .path = redirects[i].to.path.len != 0
                        ? route_path_build(&arena, &any, redirects[i].to.path)
                        : NULL,
        };
        const struct message request = {.authority = slice_from(redirects[i].authority),
                                        .path = slice_from(redirects[i].path),
                                        .query = slice_from(redirects[i].query)};
        struct slice out;
        ck_assert(route_redirect_make(&route, &request, slice_from(redirects[i].proto), &patterns,
                                      &arena, &out));
        ck_assert_msg(slice_eq(out, slice_from(redirects[i].want)), "case %zu: %.*s", i,
                      SLICE_ARG(out));
    }
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, paths_are_made);
    tcase_add_test(tcase, paths_are_bounded);
    tcase_add_test(tcase, redirects_have_parts);
}

UNIT_MAIN("route_path", add_all)
