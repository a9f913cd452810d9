#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct json *parse(const char *text)
{
    struct json_error error;
    struct json *json = json_parse(slice_from(text), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(json != NULL, "%s: %s", text, error.text);
    return json;
}

START_TEST(reads_every_type)
{
    struct json *json =
        parse("{\"n\":null,\"t\":true,\"i\":-3,\"d\":2.5,\"s\":\"x\\u00e9\",\"a\":[1]}");
    int64_t number = 0;
    ck_assert(json_is(json, JSON_OBJECT));
    ck_assert_uint_eq(json_count(json), 6);
    ck_assert(json_is(json_get(json, SLICE("n")), JSON_NULL));
    ck_assert(json_bool(json_get(json, SLICE("t"))));
    ck_assert(json_integer(json_get(json, SLICE("i")), &number) && number == -3);
    ck_assert(!json_integer(json_get(json, SLICE("d")), &number));
    ck_assert(json_number(json_get(json, SLICE("d"))) > 2.4);
    ck_assert(slice_eq(json_string(json_get(json, SLICE("s"))), SLICE("x\xc3\xa9")));
    ck_assert(json_integer(json_at(json_get(json, SLICE("a")), 0), &number) && number == 1);
    ck_assert_ptr_null(json_at(json_get(json, SLICE("a")), 1));
    ck_assert_ptr_null(json_get(json, SLICE("missing")));
    ck_assert_ptr_null(json_get(json, SLICE("nn")));
    json_free(json);
}
END_TEST

START_TEST(a_missing_value_answers_nothing)
{
    int64_t number = 7;
    ck_assert(!json_is(NULL, JSON_NULL));
    ck_assert(!json_bool(NULL) && !json_integer(NULL, &number));
    ck_assert_uint_eq(json_string(NULL).len, 0);
    ck_assert_ptr_null(json_get(NULL, SLICE("a")));
    ck_assert_ptr_null(json_first(NULL));
    ck_assert_uint_eq(json_count(NULL), 0);
    json_free(NULL);
}
END_TEST

START_TEST(walks_in_order)
{
    struct json *json = parse("{\"z\":1,\"a\":2,\"m\":3}");
    static const char *const keys[] = {"z", "a", "m"};
    const struct json *member = NULL;
    size_t i = 0;
    json_for_each(member, json)
    {
        ck_assert(slice_eq(json_key(member), slice_from(keys[i++])));
    }
    ck_assert_uint_eq(i, ARRAY_LEN(keys));
    json_free(json);
}
END_TEST

static const struct {
    const char *a;
    const char *b;
    bool equal;
} pairs[] = {
    {"1", "1.0", true},
    {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
    {"[1,2]", "[2,1]", false},
    {"[1]", "[1,2]", false},
    {"[1,2]", "[1]", false},
    {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
    {"{\"a\":1}", "{\"b\":1}", false},
    {"null", "false", false},
    {"true", "false", false},
    {"\"a\"", "\"b\"", false},
    {"\"1\"", "1", false},
    {"{}", "[]", false},
    {"{\"a\":null}", "{}", false},
};

START_TEST(compares_values)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct json *a = parse(pairs[i].a);
        struct json *b = parse(pairs[i].b);
        struct json *copy = json_copy(a);
        ck_assert_msg(json_equal(a, b) == pairs[i].equal, "%s %s", pairs[i].a, pairs[i].b);
        ck_assert_msg(json_equal(b, a) == pairs[i].equal, "%s %s", pairs[i].b, pairs[i].a);
        ck_assert(json_equal(a, copy));
        json_free(a);
        json_free(b);
        json_free(copy);
    }
    ck_assert(json_equal(NULL, NULL));
}
END_TEST

START_TEST(builds_and_changes)
{
    struct json *json = json_new_object();
    struct json *array = json_new_array();
    json_append(array, json_new_integer(1));
    json_append(array, json_new_integer(3));
    json_insert(array, 1, json_new_integer(2));
    json_insert(array, 3, json_new_string(SLICE("end")));
    json_set(json, SLICE("list"), array);
    json_set(json, SLICE("flag"), json_new_bool(false));
    json_set(json, SLICE("flag"), json_new_bool(true)); /* replaces */
    json_add(json, SLICE("none"), json_new_null());
    struct json *want = parse("{\"list\":[1,2,3,\"end\"],\"flag\":true,\"none\":null}");
    ck_assert(json_equal(json, want));

    json_free(json_take_at(array, 0));
    struct json *flag = json_take(json, SLICE("flag"));
    ck_assert(json_bool(flag));
    ck_assert_ptr_null(json_take(json, SLICE("flag")));
    json_free(flag);
    struct json *first = json_child(json);
    json_free(json_detach(json, json_sibling(first)));
    struct json *rest = parse("{\"list\":[2,3,\"end\"]}");
    ck_assert(json_equal(json, rest));
    json_free(rest);
    json_free(want);
    json_free(json);
}
END_TEST

START_TEST(errors_of_files_count_columns_of_the_original)
{
    struct json_error error;
    ck_assert_ptr_null(json_parse(SLICE("{ /* \xc3\xa9\xc3\xa9 */ x }"), JSON_COMMENTS,
                                  &json_limits_document, &error));
    ck_assert_uint_eq(error.column, 12);
}
END_TEST

START_TEST(whole_numbers_of_foreign_documents_are_doubles)
{
    static const struct {
        const char *text;
        double value; /* 0: refused */
    } cases[] = {
        {"[9007199254740993]", 9007199254740992.0},
        {"[-18446744073709551616]", -18446744073709551616.0},
        {"[340282366920938463463374607431768211455]", 340282366920938463463374607431768211456.0},
        {"[123456789012345678901234567890123456789012345678901234567890]", 1.2345678901234567e59},
        {"[1234567890123456789012345678901234567890123456789012345678901]", 0},
        {"[12345678901234567890123456789012345678901234567890.5]", 1.2345678901234567e49},
        {"[1e400]", 0},
        {"[01]", 0},
        {"[1,]", 0},
        {"[1] // no", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_error error;
        struct json *json =
            json_parse(slice_from(cases[i].text), JSON_FOREIGN, &json_limits_document, &error);
        ck_assert_msg((json != NULL) == (cases[i].value != 0), "%s: %s", cases[i].text, error.text);
        ck_assert_msg(json == NULL || json_number(json_first(json)) == cases[i].value, "%s: %.17g",
                      cases[i].text, json_number(json_first(json)));
        json_free(json);
    }
}
END_TEST

START_TEST(trusted_text_must_still_be_json)
{
    static const char *const texts[] = {"", "{", "{}x", "nope"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ck_assert_ptr_null(json_parse_trusted(slice_from(texts[i])));
    }
}
END_TEST

UNIT_TESTS("json", reads_every_type, a_missing_value_answers_nothing, walks_in_order,
           compares_values, builds_and_changes, errors_of_files_count_columns_of_the_original,
           whole_numbers_of_foreign_documents_are_doubles, trusted_text_must_still_be_json)
