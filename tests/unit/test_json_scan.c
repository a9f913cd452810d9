#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_scan.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal "", sizeof(literal) - 1                                                         \
    }

struct text {
    const char *ptr;
    size_t len;
};

static bool scan(struct text text, enum json_syntax syntax, struct json_error *error)
{
    char *copy = mem_slicedup(slice_of(text.ptr, text.len));
    bool ok = json_scan(copy, text.len, syntax, &json_limits_document, error);
    free(copy);
    return ok;
}

static const struct text good[] = {
    TEXT("{}"),
    TEXT(" [ ] "),
    TEXT("null"),
    TEXT("true"),
    TEXT("\"\""),
    TEXT("-0"),
    TEXT("0.5e-3"),
    TEXT("1E+2"),
    TEXT("9007199254740992"),
    TEXT("-9007199254740992"),
    TEXT("{\"a\":1,\"b\":[true,false,null,{\"a\":2}]}"),
    TEXT("\"\\u00e9\\ud83d\\ude00\\n\\/\""),
    TEXT("\"h\xc3\xa9\xf0\x9f\x98\x80\""),
    TEXT("\r\n\t[1,\n2]\r\n"),
    TEXT("\"\x7f\""),
};

START_TEST(accepts_json)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct json_error error;
        ck_assert_msg(scan(good[i], JSON_STRICT, &error), "%s: %s", good[i].ptr, error.text);
        ck_assert_msg(scan(good[i], JSON_COMMENTS, &error), "%s: %s", good[i].ptr, error.text);
        ck_assert_msg(scan(good[i], JSON_FOREIGN, &error), "%s: %s", good[i].ptr, error.text);
    }
}
END_TEST

/* Each is refused in both syntaxes, at this line and column, with these words. */
static const struct {
    struct text text;
    uint32_t line;
    uint32_t column;
    const char *words;
} bad[] = {
    {TEXT(""), 1, 1, "not the end of the text"},
    {TEXT("  \n "), 2, 2, "not the end of the text"},
    {TEXT("{"), 1, 2, "be a key"},
    {TEXT("[1 2]"), 1, 4, "be ',' or ']'"},
    {TEXT("{\"a\" 1}"), 1, 6, "be ':'"},
    {TEXT("{\"a\":}"), 1, 6, "be a value"},
    {TEXT("{a:1}"), 1, 2, "be a key in double quotes"},
    {TEXT("{'a':1}"), 1, 2, "be a key in double quotes"},
    {TEXT("[,]"), 1, 2, "be a value"},
    {TEXT("[1,,2]"), 1, 4, "be a value"},
    {TEXT("{,}"), 1, 2, "be a key"},
    {TEXT("1 2"), 1, 3, "be the end of the text"},
    {TEXT("{} x"), 1, 4, "be the end of the text"},
    {TEXT("nul"), 1, 1, "be a value"},
    {TEXT("True"), 1, 1, "be a value"},
    {TEXT("NaN"), 1, 1, "be a value"},
    {TEXT("+1"), 1, 1, "be a value"},
    {TEXT(".5"), 1, 1, "be a value"},
    {TEXT("010"), 1, 1, "needless 0"},
    {TEXT("-01"), 1, 1, "needless 0"},
    {TEXT("1."), 1, 3, "behind the point"},
    {TEXT("-"), 1, 2, "be a digit"},
    {TEXT("1e"), 1, 3, "exponent"},
    {TEXT("1e+"), 1, 4, "exponent"},
    {TEXT("0x10"), 1, 2, "be the end of the text"},
    {TEXT("1e999"), 1, 1, "too large"},
    {TEXT("[9007199254740993]"), 1, 2, "within 2^53"},
    {TEXT("-9007199254740993"), 1, 1, "within 2^53"},
    {TEXT("99999999999999999999999999"), 1, 1, "within 2^53"},
    {TEXT("0.00000000000000000000000000000000000000001"), 1, 1, "longer than 40"},
    {TEXT("\"a"), 1, 1, "has no end"},
    {TEXT("\"a\nb\""), 1, 1, "no end on its line"},
    {TEXT("\"a\tb\""), 1, 3, "control character 0x09"},
    {TEXT("\"a\0b\""), 1, 3, "control character 0x00"},
    {TEXT("\"\\u0000\""), 1, 2, "\\u0000"},
    {TEXT("\"\\x\""), 1, 2, "must be one of"},
    {TEXT("\"\\u12g4\""), 1, 2, "four hexadecimal digits"},
    {TEXT("\"\\u12"), 1, 2, "four hexadecimal digits"},
    {TEXT("\"\\ud800\""), 1, 2, "no second half"},
    {TEXT("\"\\ud800\\u0041\""), 1, 2, "no second half"},
    {TEXT("\"\\udc00\""), 1, 2, "no first half"},
    {TEXT("\"\xff\""), 1, 2, "UTF-8"},
    {TEXT("\"\xc0\x80\""), 1, 2, "UTF-8"},
    {TEXT("\"\xed\xa0\x80\""), 1, 2, "UTF-8"},
    {TEXT("{\"a\":1,\"a\":2}"), 1, 8, "'a' is set twice"},
    {TEXT("{\"a\":1,\n \"\\u0061\":2}"), 2, 2, "'a' is set twice"},
    {TEXT("{\"x\":{\"k\":1},\"k\":1,\"x\":2}"), 1, 20, "'x' is set twice"},
    {TEXT("[\"\xc3\xa9\", x]"), 1, 7, "not 'x'"}, /* columns count characters */
};

START_TEST(refuses_what_is_no_json)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (int syntax = JSON_STRICT; syntax <= JSON_COMMENTS; syntax++) {
            struct json_error error;
            ck_assert_msg(!scan(bad[i].text, (enum json_syntax)syntax, &error), "%s",
                          bad[i].text.ptr);
            ck_assert_msg(strstr(error.text, bad[i].words) != NULL, "%s: %s", bad[i].text.ptr,
                          error.text);
            ck_assert_msg(error.line == bad[i].line && error.column == bad[i].column,
                          "%s: at %u:%u", bad[i].text.ptr, error.line, error.column);
            ck_assert(!error.too_large);
        }
    }
}
END_TEST

/* What files may hold, and what is left of it: the same length. */
static const struct {
    const char *text;
    const char *blanked;
} files[] = {
    {"// c\n{}", "    \n{}"},
    {"{} // c", "{}     "},
    {"/*c*/{/**/\"a\"/* */:/*x*/1/*\n*/}", "     {    \"a\"     :     1  \n  }"},
    {"[1,]", "[1 ]"},
    {"{\"a\":[1,2,],}", "{\"a\":[1,2 ] }"},
    {"[1, // one\n]", "[1        \n]"},
    {"[\"// no\", \"/* no */\"]", "[\"// no\", \"/* no */\"]"},
    {"\xef\xbb\xbf{}", "   {}"},
    {"{} //", "{}   "},
};

START_TEST(blanks_comments_and_trailing_commas)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct json_error error;
        char *text = mem_strdup(files[i].text);
        size_t len = strlen(text);
        ck_assert_msg(json_scan(text, len, JSON_COMMENTS, &json_limits_document, &error), "%s: %s",
                      files[i].text, error.text);
        ck_assert_str_eq(text, files[i].blanked);
        ck_assert(json_scan_strict(slice_of(text, len), &json_limits_document, &error));
        ck_assert_msg(
            strcmp(files[i].text, files[i].blanked) == 0 ||
                !json_scan_strict(slice_from(files[i].text), &json_limits_document, &error),
            "the API accepts %s", files[i].text);
        free(text);
    }
}
END_TEST

START_TEST(refuses_unfinished_comments)
{
    static const struct text texts[] = {TEXT("{} /* "), TEXT("{} / "), TEXT("/"), TEXT("[,/**/]"),
                                        TEXT("[/**/,]")};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_error error;
        ck_assert_msg(!scan(texts[i], JSON_COMMENTS, &error), "%s", texts[i].ptr);
    }
}
END_TEST

static bool scan_within(const char *text, struct json_limits limits, bool *too_large)
{
    struct json_error error;
    bool ok = json_scan_strict(slice_from(text), &limits, &error);
    *too_large = error.too_large;
    return ok;
}

START_TEST(keeps_limits)
{
    const struct json_limits limits = {.bytes = 40, .depth = 3, .values = 6, .objects = 2};
    bool too_large = false;
    ck_assert(scan_within("[[[]]]", limits, &too_large));
    ck_assert(!scan_within("[[[[]]]]", limits, &too_large) && !too_large);
    ck_assert(scan_within("[1,2,3,4,5]", limits, &too_large));
    ck_assert(!scan_within("[1,2,3,4,5,6]", limits, &too_large) && too_large);
    ck_assert(scan_within("[{},{}]", limits, &too_large));
    ck_assert(!scan_within("[{},{},{}]", limits, &too_large) && too_large);
    ck_assert(scan_within("\"34567890123456789012345678901234567890\"", limits, &too_large));
    ck_assert(!scan_within("\"345678901234567890123456789012345678901\"", limits, &too_large));
    ck_assert(too_large);
}
END_TEST

/* What the schema allows, 100,000 routes, must get in: each is three objects and a list. */
START_TEST(a_document_may_have_all_its_routes)
{
    enum { ROUTES = 100000 };
    struct json_error error;
    struct buf text;
    buf_init(&text, json_limits_document.bytes);
    (void)buf_append_text(&text, "{\"routes\":{");
    for (uint32_t i = 0; i < ROUTES; i++) {
        (void)buf_printf(
            &text,
            "%s\"h%u\":{\"listener\":\"web\",\"match\":{\"host\":[\"h%u.bench.test\"]},"
            "\"action\":{\"pool\":\"origin\"}}",
            i != 0 ? "," : "", i, i);
    }
    (void)buf_append_text(&text, "}}");
    ck_assert(!text.overflow);
    bool ok = json_scan_strict(buf_slice(&text), &json_limits_document, &error);
    ck_assert_msg(ok, "%s", error.text);
    buf_fini(&text);
}
END_TEST

/* Large objects are checked by hashing: the duplicate may be anywhere. */
START_TEST(finds_duplicates_in_large_objects)
{
    struct buf text;
    struct json_error error;
    for (int duplicate = -1; duplicate < 1000; duplicate += 91) {
        buf_init(&text, 1024 * 1024);
        (void)buf_append_char(&text, '{');
        for (int i = 0; i < 1000; i++) {
            (void)buf_printf(&text, "\"key-%d\":{\"x\":%d},", i, i);
        }
        (void)buf_printf(&text, "\"key-%d\":0}", duplicate);
        bool ok = json_scan_strict(buf_slice(&text), &json_limits_document, &error);
        ck_assert_msg(ok == (duplicate < 0), "%d: %s", duplicate, error.text);
        buf_fini(&text);
    }
}
END_TEST

/* No prefix of a text is read past its end (the sanitizer looks) or accepted by mistake. */
START_TEST(every_prefix_is_refused)
{
    static const char text[] =
        "{\"a\":[1.5e3,-2,\"\\u00e9\\ud83d\\ude00\",true,null],\"b\":{\"c\":\"\xc3\xa9\"}}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct json_error error;
        struct text prefix = {text, len};
        char *copy = mem_alloc(len + 1);
        memcpy(copy, text, len);
        ck_assert(!json_scan_strict(slice_of(copy, len), &json_limits_document, &error));
        ck_assert(!scan(prefix, JSON_COMMENTS, &error));
        free(copy);
    }
}
END_TEST

START_TEST(unescapes)
{
    struct buf out;
    buf_init(&out, 100);
    json_scan_unescape(SLICE("a\\n\\\"\\\\\\/\\u00e9\\ud83d\\ude00z"), &out);
    ck_assert(slice_eq(buf_slice(&out), SLICE("a\n\"\\/\xc3\xa9\xf0\x9f\x98\x80z")));
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("json_scan", accepts_json, refuses_what_is_no_json, blanks_comments_and_trailing_commas,
           refuses_unfinished_comments, keeps_limits, a_document_may_have_all_its_routes,
           finds_duplicates_in_large_objects, every_prefix_is_refused, unescapes)
