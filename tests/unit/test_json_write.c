#include <float.h>
#include <math.h>

#include "conf/json/json_write.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct buf out;
static struct json_write w;

static void start(enum json_layout layout)
{
    buf_init(&out, 65536);
    json_write_init(&w, &out, layout);
}

static void finish(const char *want)
{
    ck_assert_str_eq(out.data, want);
    buf_fini(&out);
}

static void write_sample(void)
{
    json_write_object_begin(&w);
    json_write_member_text(&w, "name", "a\"b");
    json_write_member_u64(&w, "big", UINT64_MAX);
    json_write_member_i64(&w, "low", INT64_MIN);
    json_write_member_bool(&w, "yes", true);
    json_write_member_text(&w, "none", NULL);
    json_write_member_double(&w, "half", 0.5);
    json_write_key(&w, "list");
    json_write_array_begin(&w);
    json_write_u64(&w, 1);
    json_write_object_begin(&w);
    json_write_object_end(&w);
    json_write_array_begin(&w);
    json_write_array_end(&w);
    json_write_array_end(&w);
    json_write_key_slice(&w, SLICE("k"));
    json_write_object_begin(&w);
    json_write_member_string(&w, "s", SLICE("x"));
    json_write_object_end(&w);
    json_write_object_end(&w);
}

START_TEST(writes_compact)
{
    start(JSON_COMPACT);
    write_sample();
    finish("{\"name\":\"a\\\"b\",\"big\":18446744073709551615,\"low\":-9223372036854775808,"
           "\"yes\":true,\"none\":null,\"half\":0.5,\"list\":[1,{},[]],\"k\":{\"s\":\"x\"}}");
}
END_TEST

static const char pretty[] = "{\n"
                             "  \"name\": \"a\\\"b\",\n"
                             "  \"big\": 18446744073709551615,\n"
                             "  \"low\": -9223372036854775808,\n"
                             "  \"yes\": true,\n"
                             "  \"none\": null,\n"
                             "  \"half\": 0.5,\n"
                             "  \"list\": [\n"
                             "    1,\n"
                             "    {},\n"
                             "    []\n"
                             "  ],\n"
                             "  \"k\": {\n"
                             "    \"s\": \"x\"\n"
                             "  }\n"
                             "}";

START_TEST(writes_pretty)
{
    start(JSON_PRETTY);
    write_sample();
    finish(pretty);
}
END_TEST

START_TEST(lays_out_text_anew)
{
    struct buf text;
    start(JSON_COMPACT);
    write_sample();
    text = out;
    start(JSON_PRETTY);
    json_write_raw(&w, buf_slice(&text));
    finish(pretty);
    buf_fini(&text);

    start(JSON_COMPACT);
    json_write_array_begin(&w);
    json_write_raw(&w, slice_from(pretty));
    json_write_raw(&w, SLICE(" \"a\\\"]\" "));
    json_write_raw(&w, SLICE("-1.5e3"));
    json_write_raw(&w, SLICE("{ \"a\" : [ true , null ] }"));
    json_write_array_end(&w);
    ck_assert_ptr_nonnull(
        strstr(out.data, "\"k\":{\"s\":\"x\"}},\"a\\\"]\",-1.5e3,{\"a\":[true,null]}]"));
    buf_fini(&out);
}
END_TEST

static const struct {
    struct slice text;
    const char *want;
} strings[] = {
    {SLICE_INIT(""), "\"\""},
    {SLICE_INIT("a/b"), "\"a/b\""},
    {SLICE_INIT("\b\f\n\r\t\\\""), "\"\\b\\f\\n\\r\\t\\\\\\\"\""},
    {SLICE_INIT("\x01\x1f\0x"), "\"\\u0001\\u001f\\u0000x\""},
    {SLICE_INIT("h\xc3\xa9\xf0\x9f\x98\x80"), "\"h\xc3\xa9\xf0\x9f\x98\x80\""},
    {SLICE_INIT("a\xff\xc3z"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\""},
    {SLICE_INIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
};

START_TEST(escapes_strings)
{
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        start(JSON_COMPACT);
        json_write_string(&w, strings[i].text);
        finish(strings[i].want);
    }
}
END_TEST

static const struct {
    double value;
    const char *want;
} doubles[] = {
    {0.0, "0"},
    {-0.0, "0"},
    {100.0, "100"},
    {-2.5, "-2.5"},
    {0.1, "0.1"},
    {1.0 / 3, "0.3333333333333333"},
    {1e300, "1e+300"},
    {9007199254740992.0, "9007199254740992"},
    {9007199254740994.0, "9007199254740994.0"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {(double)INFINITY, "null"},
    {(double)NAN, "null"},
};

START_TEST(writes_doubles_that_read_back)
{
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        start(JSON_COMPACT);
        json_write_double(&w, doubles[i].value);
        finish(doubles[i].want);
    }
}
END_TEST

/* The same value in any order and spacing is one text, and reads back as itself. */
START_TEST(canonical_text_is_the_same_for_the_same_value)
{
    static const char *const texts[] = {
        "{\"b\":[1,2.50,\"\\u0041\"],\"a\":{\"z\":null,\"y\":1e2},\"aa\":1}",
        "{ \"aa\" : 1.0, \"a\" : {\"y\":100,\"z\":null}, \"b\":[1.0,2.5,\"A\"] }",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json *json = json_parse_trusted(slice_from(texts[i]));
        start(JSON_COMPACT);
        json_write_canonical(&w, json);
        struct json *back = json_parse_trusted(buf_slice(&out));
        ck_assert(json_equal(json, back));
        finish("{\"a\":{\"y\":100,\"z\":null},\"aa\":1,\"b\":[1,2.5,\"A\"]}");
        json_free(json);
        json_free(back);
    }
}
END_TEST

START_TEST(sorts_large_objects)
{
    struct json *json = json_new_object();
    for (int i = 99; i >= 10; i--) {
        char key[8];
        (void)snprintf(key, sizeof key, "%d", i);
        json_add(json, slice_from(key), json_new_integer(i));
    }
    start(JSON_COMPACT);
    json_write_canonical(&w, json);
    struct json *back = json_parse_trusted(buf_slice(&out));
    const struct json *member = NULL;
    struct slice last = SLICE("");
    json_for_each(member, back)
    {
        ck_assert_int_lt(slice_compare(last, json_key(member)), 0);
        last = json_key(member);
    }
    ck_assert(json_equal(json, back));
    json_free(back);
    json_free(json);
    buf_fini(&out);
}
END_TEST

START_TEST(a_full_buf_says_so)
{
    buf_init(&out, 10);
    json_write_init(&w, &out, JSON_COMPACT);
    write_sample();
    ck_assert(out.overflow);
    ck_assert_uint_le(out.len, 10);
    buf_fini(&out);
}
END_TEST

START_TEST(a_long_text_is_cut_between_characters)
{
    static const struct {
        const char *text;
        size_t max;
        const char *want;
    } cases[] = {
        {"\"abc\"", 5, "\"abc\""},         {"\"abcdef\"", 4, "\"abc...\""},
        {"\"a\xc3\xa9z\"", 3, "\"a...\""}, {"\"a\\u001bz\"", 5, "\"a...\""},
        {"\"a\\\"z\"", 3, "\"a...\""},     {"\"a\\\"z\"", 4, "\"a\\\"...\""},
        {"[1,2,3]", 4, "[1,2..."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_init(&out, 100);
        json_write_beginning(&out, slice_from(cases[i].text), cases[i].max);
        ck_assert_str_eq(out.data, cases[i].want);
        buf_fini(&out);
    }
}
END_TEST

UNIT_TESTS("json_write", writes_compact, writes_pretty, lays_out_text_anew, escapes_strings,
           writes_doubles_that_read_back, canonical_text_is_the_same_for_the_same_value,
           sorts_large_objects, a_full_buf_says_so, a_long_text_is_cut_between_characters)
