#include <string.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/path_template.h"
#include "tests/unit/unit.h"

static struct path_template read_one(const char *text)
{
    struct path_template template;
    const char *problem = "";
    ck_assert_msg(path_template_read(slice_from(text), &template, &problem), "%s: %s", text,
                  problem);
    return template;
}

static const struct {
    const char *template;
    const char *path;
    const char *values; /* "name=value " of each; NULL: no match */
} cases[] = {
    {"/users/{id}", "/users/7", "id=7 "},
    {"/users/{id}", "/users/a.b-c%20d", "id=a.b-c%20d "},
    {"/users/{id}", "/users/", NULL},
    {"/users/{id}", "/users", NULL},
    {"/users/{id}", "/users/7/", NULL},
    {"/users/{id}", "/users/7/8", NULL},
    {"/users/{id}", "/user/7", NULL},
    {"/users/{id}", "/users//7", NULL},
    {"/users/{id}", "*", NULL},
    {"/users/{id}", "", NULL},
    {"/{a}/{b}", "/1/2", "a=1 b=2 "},
    {"/{a}/x/{b}", "/1/y/2", NULL},
    {"/{a}/", "/1/", "a=1 "}, /* a slash at the end is an empty segment */
    {"/{a}/", "/1", NULL},
    {"/files/{rest*}", "/files/", "rest= "},
    {"/files/{rest*}", "/files", NULL},
    {"/files/{rest*}", "/files/a", "rest=a "},
    {"/files/{rest*}", "/files/a/b/", "rest=a/b/ "},
    {"/files/{rest*}", "/filesx/a", NULL},
    {"/{all*}", "/", "all= "},
    {"/{all*}", "/a/b", "all=a/b "},
    {"/{a}/{rest*}", "/1/2/3", "a=1 rest=2/3 "},
};

/* Matching by segments and matching by the key say the same. */
START_TEST(paths_match)
{
    struct buf got;
    buf_init(&got, 256);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct path_template template = read_one(cases[i].template);
        struct slice path = slice_from(cases[i].path);
        struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX];
        uint32_t count = 0;
        bool matches = path_template_match(&template, path, values, &count);
        ck_assert_msg(matches == (cases[i].values != NULL), "%s %s", cases[i].template,
                      cases[i].path);
        char own[64];
        char key[64];
        size_t own_len = path_template_key(&template.shape, template.text, own, sizeof own);
        size_t key_len = path_template_key(&template.shape, path, key, sizeof key);
        bool same = key_len != SIZE_MAX && slice_eq(slice_of(key, key_len), slice_of(own, own_len));
        ck_assert_msg(same == matches, "%s %s: key", cases[i].template, cases[i].path);
        if (!matches) {
            continue;
        }
        buf_clear(&got);
        for (uint32_t v = 0; v < count; v++) {
            (void)buf_printf(&got, "%.*s=%.*s ", SLICE_ARG(values[v].name),
                             SLICE_ARG(values[v].value));
        }
        ck_assert_msg(slice_eq(buf_slice(&got), slice_from(cases[i].values)), "%s: %.*s",
                      cases[i].path, SLICE_ARG(buf_slice(&got)));
    }
    buf_fini(&got);
}
END_TEST

START_TEST(a_key_has_a_limit)
{
    struct path_template template = read_one("/a/{x}/b");
    char key[16];
    struct slice path = SLICE("/a/1/b");
    ck_assert_uint_eq(path_template_key(&template.shape, path, key, 7), 7);
    ck_assert(slice_eq(slice_of(key, 7), SLICE("/a/{}/b")));
    for (size_t max = 0; max < 7; max++) {
        ck_assert_uint_eq(path_template_key(&template.shape, path, key, max), SIZE_MAX);
    }
}
END_TEST

START_TEST(the_first_difference_decides)
{
    static const char *const order[] = {"/a/b/{x}", "/a/{x}/b",    "/a/{x}/{y}",
                                        "/a/{x*}",  "/{x}/a/{y*}", "/{x*}"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        for (size_t j = 0; j < ARRAY_LEN(order); j++) {
            struct path_template a = read_one(order[i]);
            struct path_template b = read_one(order[j]);
            int got = path_template_compare(&a.shape, &b.shape);
            ck_assert_msg((got < 0) == (i < j) && (got > 0) == (i > j), "%s %s: %d", order[i],
                          order[j], got);
        }
    }
}
END_TEST

START_TEST(what_is_none_is_refused)
{
    static const char *const bad[] = {
        "",          "users/{id}", "/users", "/users/x{id}", "/users/{id}x", "/{}",
        "/{*}",      "/{1}",       "/{Id}",  "/{a b}",       "/{a*}/b",      "/{a}/{a}",
        "/{a}/{a*}", "/{a",        "/a}",    "/{a}{b}",      "/{{a}}",       "/{a**}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct path_template template;
        const char *problem = NULL;
        ck_assert_msg(!path_template_read(slice_from(bad[i]), &template, &problem), "%s", bad[i]);
        ck_assert_ptr_nonnull(problem);
    }
    char many[128] = "";
    for (uint32_t i = 0; i < PATH_TEMPLATE_SEGMENTS_MAX; i++) {
        (void)strcat(many, i == 0 ? "/{x}" : "/a");
    }
    (void)read_one(many);
    struct path_template template;
    const char *problem = NULL;
    (void)strcat(many, "/a");
    ck_assert(!path_template_read(slice_from(many), &template, &problem));
}
END_TEST

static const struct {
    const char *text;
    const char *want; /* NULL: refused */
} filled[] = {
    {"/v2/{id}/x", "/v2/7/x"},
    {"{rest}", "a/b"},
    {"/{id}{id}", "/77"},
    {"/{1}", "/one"},
    {"/{none}/x", "//x"},
    {"/plain", "/plain"},
    {"/{id", NULL},
    {"/id}", NULL},
    {"/{}", NULL},
};

START_TEST(values_are_put_in)
{
    static const struct path_template_value values[] = {
        {SLICE_INIT("id"), SLICE_INIT("7")},
        {SLICE_INIT("rest"), SLICE_INIT("a/b")},
        {SLICE_INIT("1"), SLICE_INIT("one")},
    };
    for (size_t i = 0; i < ARRAY_LEN(filled); i++) {
        struct slice text = slice_from(filled[i].text);
        struct slice rest = text;
        struct path_template_piece piece;
        const char *problem = NULL;
        while (path_template_next(&rest, &piece, &problem)) {
        }
        ck_assert_msg((problem == NULL) == (filled[i].want != NULL), "%s", filled[i].text);
        if (filled[i].want == NULL) {
            continue;
        }
        char out[32];
        size_t len = path_template_fill(text, values, ARRAY_LEN(values), out, sizeof out);
        ck_assert_msg(slice_eq(slice_of(out, len), slice_from(filled[i].want)), "%s: %.*s",
                      filled[i].text, (int)len, out);
        ck_assert_uint_eq(path_template_fill(text, values, ARRAY_LEN(values), out, len - 1),
                          SIZE_MAX);
    }
}
END_TEST

UNIT_TESTS("path_template", paths_match, a_key_has_a_limit, the_first_difference_decides,
           what_is_none_is_refused, values_are_put_in)
