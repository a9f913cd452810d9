#include "conf/json/json_patch.h"
#include "conf/json/json_write.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct json *parse(const char *text)
{
    struct json *json = json_parse_trusted(slice_from(text));
    ck_assert_msg(json != NULL, "%s", text);
    return json;
}

static void check_json(const struct json *json, const char *want, const char *what)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, 1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_canonical(&w, json);
    ck_assert_msg(slice_eq(buf_slice(&text), slice_from(want)), "%s: %s, not %s", what, text.data,
                  want);
    buf_fini(&text);
}

/* RFC 7396, appendix A, and a few of our own. */
static const struct {
    const char *target;
    const char *patch;
    const char *want;
} merges[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
    {"{\"a\":\"foo\"}", "null", "null"},
    {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
    {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {"{\"a\":5}", "{\"a\":{\"b\":1,\"c\":null}}", "{\"a\":{\"b\":1}}"},
    {"{}", "{}", "{}"},
};

static const struct {
    const char *before;
    const char *after;
    const char *want;
} makes[] = {
    {"{\"a\":1}", "{\"a\":1}", "{}"},
    {"{\"a\":1}", "{\"a\":2,\"b\":{\"c\":3}}", "{\"a\":2,\"b\":{\"c\":3}}"},
    {"{\"a\":1,\"b\":{\"c\":3,\"d\":4}}", "{\"b\":{\"c\":3}}", "{\"a\":null,\"b\":{\"d\":null}}"},
    {"{\"a\":[1]}", "{\"a\":[1,2]}", "{\"a\":[1,2]}"},
    {"{\"a\":1}", "7", "7"},
    {"[1]", "{\"a\":1}", "{\"a\":1}"},
};

START_TEST(a_patch_is_made_of_two_values)
{
    for (size_t i = 0; i < ARRAY_LEN(makes); i++) {
        struct json *before = parse(makes[i].before);
        struct json *after = parse(makes[i].after);
        struct json *patch = json_patch_make(before, after);
        check_json(patch, makes[i].want, makes[i].after);
        before = json_patch_merge(before, patch);
        ck_assert(json_equal(before, after));
        json_free(patch);
        json_free(after);
        json_free(before);
    }
}
END_TEST

static const struct {
    const char *a;
    const char *b;
    const char *want; /* NULL: they do not overlap */
} overlaps[] = {
    {"{}", "{\"a\":1}", NULL},
    {"{\"a\":1}", "{\"b\":1}", NULL},
    {"{\"a\":1}", "{\"a\":1}", NULL},
    {"{\"a\":1}", "{\"a\":2}", "/a"},
    {"{\"x\":{\"a\":1,\"b\":2}}", "{\"x\":{\"b\":3,\"c\":4}}", "/x/b"},
    {"{\"x\":null}", "{\"x\":{\"b/c\":3}}", "/x"},
    {"{\"x\":{\"b/c\":null}}", "{\"x\":{\"b/c\":3}}", "/x/b~1c"},
};

START_TEST(patches_that_overlap_are_told)
{
    for (size_t i = 0; i < ARRAY_LEN(overlaps); i++) {
        struct json *a = parse(overlaps[i].a);
        struct json *b = parse(overlaps[i].b);
        struct buf pointer;
        buf_init(&pointer, 1024);
        bool found = json_patch_overlap(a, b, &pointer);
        ck_assert_int_eq(found, overlaps[i].want != NULL);
        if (found) {
            ck_assert_str_eq(pointer.data, overlaps[i].want);
        }
        buf_fini(&pointer);
        json_free(a);
        json_free(b);
    }
}
END_TEST

START_TEST(merges_as_the_rfc_says)
{
    for (size_t i = 0; i < ARRAY_LEN(merges); i++) {
        struct json *patch = parse(merges[i].patch);
        struct json *result = json_patch_merge(parse(merges[i].target), patch);
        check_json(result, merges[i].want, merges[i].patch);
        json_free(result);
        json_free(patch);
    }
}
END_TEST

START_TEST(merges_into_nothing)
{
    struct json *patch = parse("{\"a\":{\"b\":null,\"c\":1}}");
    struct json *result = json_patch_merge(NULL, patch);
    check_json(result, "{\"a\":{\"c\":1}}", "nothing");
    json_free(result);
    json_free(patch);
}
END_TEST

/* Beyond sixteen members the target is indexed; the answer must be the same. */
START_TEST(merges_large_objects)
{
    struct buf target;
    struct buf patch;
    struct buf want;
    buf_init(&target, 1024 * 1024);
    buf_init(&patch, 1024 * 1024);
    buf_init(&want, 1024 * 1024);
    for (int i = 1000; i < 2000; i++) {
        const char *comma = i > 1000 ? "," : "";
        (void)buf_printf(&target, "%s\"k%d\":{\"v\":%d,\"w\":1}", i > 1000 ? "," : "{", i, i);
        if (i % 3 == 0) {
            (void)buf_printf(&patch, ",\"k%d\":null,\"n%d\":%d", i, i, i);
        } else {
            (void)buf_printf(&patch, ",\"k%d\":{\"v\":0}", i);
            (void)buf_printf(&want, "%s\"k%d\":{\"v\":0,\"w\":1}", comma, i);
        }
    }
    for (int i = 1000; i < 2000; i++) {
        if (i % 3 == 0) {
            (void)buf_printf(&want, ",\"n%d\":%d", i, i);
        }
    }
    (void)buf_append_char(&target, '}');
    patch.data[0] = '{';
    (void)buf_append_char(&patch, '}');
    struct buf wanted;
    buf_init(&wanted, 1024 * 1024);
    (void)buf_printf(&wanted, "{%s}", want.data);
    struct json *change = parse(patch.data);
    struct json *result = json_patch_merge(parse(target.data), change);
    check_json(result, wanted.data, "large");
    json_free(result);
    json_free(change);
    buf_fini(&wanted);
    buf_fini(&want);
    buf_fini(&patch);
    buf_fini(&target);
}
END_TEST

/* RFC 6901 5 */
static const char document[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                               "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";

static const struct {
    const char *pointer;
    const char *want; /* NULL: leads nowhere */
} pointers[] = {
    {"/foo", "[\"bar\",\"baz\"]"},
    {"/foo/0", "\"bar\""},
    {"/", "0"},
    {"/a~1b", "1"},
    {"/c%d", "2"},
    {"/e^f", "3"},
    {"/g|h", "4"},
    {"/i\\j", "5"},
    {"/k\"l", "6"},
    {"/ ", "7"},
    {"/m~0n", "8"},
    {"/foo/2", NULL},
    {"/foo/-", NULL},
    {"/foo/01", NULL},
    {"/foo/0/x", NULL},
    {"/fo", NULL},
    {"foo", NULL},
    {"/m~n", NULL},
    {"/m~", NULL},
    {"/a~1b/c", NULL},
    {"/foo/99999999999999999999", NULL},
};

START_TEST(follows_pointers)
{
    struct json *json = parse(document);
    ck_assert_ptr_eq(json_patch_get(json, SLICE_NONE), json);
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
        const struct json *found = json_patch_get(json, slice_from(pointers[i].pointer));
        ck_assert_msg((found != NULL) == (pointers[i].want != NULL), "%s", pointers[i].pointer);
        if (found != NULL) {
            check_json(found, pointers[i].want, pointers[i].pointer);
        }
    }
    json_free(json);
}
END_TEST

START_TEST(knows_valid_pointers)
{
    ck_assert(json_patch_pointer_valid(SLICE("")));
    ck_assert(json_patch_pointer_valid(SLICE("/a~0~1b//")));
    ck_assert(!json_patch_pointer_valid(SLICE("a")));
    ck_assert(!json_patch_pointer_valid(SLICE("/~")));
    ck_assert(!json_patch_pointer_valid(SLICE("/~2")));
}
END_TEST

static const struct {
    const char *pointer;
    const char *want; /* NULL: cannot be set */
} sets[] = {
    {"/a", "{\"a\":9,\"l\":[1,2]}"},
    {"/n", "{\"a\":{\"b\":1},\"l\":[1,2],\"n\":9}"},
    {"/a/b", "{\"a\":{\"b\":9},\"l\":[1,2]}"},
    {"/l/0", "{\"a\":{\"b\":1},\"l\":[9,2]}"},
    {"/l/1", "{\"a\":{\"b\":1},\"l\":[1,9]}"},
    {"/l/-", "{\"a\":{\"b\":1},\"l\":[1,2,9]}"},
    {"/l/2", NULL},
    {"/x/y", NULL},
    {"/a/b/c", NULL},
    {"", NULL},
};

START_TEST(sets_at_pointers)
{
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct json *json = parse("{\"a\":{\"b\":1},\"l\":[1,2]}");
        bool ok = json_patch_set(json, slice_from(sets[i].pointer), json_new_integer(9));
        ck_assert_msg(ok == (sets[i].want != NULL), "%s", sets[i].pointer);
        check_json(json, ok ? sets[i].want : "{\"a\":{\"b\":1},\"l\":[1,2]}", sets[i].pointer);
        json_free(json);
    }
}
END_TEST

START_TEST(removes_at_pointers)
{
    struct json *json = parse("{\"a\":{\"b\":1},\"l\":[1,2]}");
    ck_assert(json_patch_remove(json, SLICE("/l/0")));
    ck_assert(json_patch_remove(json, SLICE("/a/b")));
    ck_assert(!json_patch_remove(json, SLICE("/a/b")));
    ck_assert(!json_patch_remove(json, SLICE("")));
    check_json(json, "{\"a\":{},\"l\":[2]}", "removed");
    json_free(json);
}
END_TEST

START_TEST(escapes_tokens)
{
    struct buf pointer;
    struct buf token;
    buf_init(&pointer, 100);
    buf_init(&token, 100);
    json_patch_append_token(&pointer, SLICE("a/b~1"));
    json_patch_append_token(&pointer, SLICE(""));
    ck_assert_str_eq(pointer.data, "/a~1b~01/");
    struct slice rest = buf_slice(&pointer);
    ck_assert(json_patch_token(&rest, &token));
    ck_assert(slice_eq(buf_slice(&token), SLICE("a/b~1")));
    ck_assert(json_patch_token(&rest, &token));
    ck_assert_uint_eq(token.len, 0);
    ck_assert(!json_patch_token(&rest, &token));
    buf_fini(&pointer);
    buf_fini(&token);
}
END_TEST

UNIT_TESTS("json_patch", merges_as_the_rfc_says, a_patch_is_made_of_two_values,
           patches_that_overlap_are_told, merges_into_nothing, merges_large_objects,
           follows_pointers, knows_valid_pointers, sets_at_pointers, removes_at_pointers,
           escapes_tokens)
