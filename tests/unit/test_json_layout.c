#include <stdlib.h>

#include "conf/json/json_layout.h"
#include "conf/json/json_scan.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *want;
} cases[] = {
    {"{}", "{}\n"},
    {"[ ]", "[]\n"},
    {" 7 ", "7\n"},
    {"{\"a\":1,\"b\":[1,2,],}", "{ \"a\": 1, \"b\": [1, 2] }\n"},
    {"{\"a\":1,\n\"b\":{\"c\":2}}", "{\n  \"a\": 1,\n  \"b\": { \"c\": 2 }\n}\n"},
    /* a trailing comma stays where there are several lines */
    {"{\n\"a\": 1,\n}", "{\n  \"a\": 1,\n}\n"},
    /* comments: before, behind, in front of the comma, alone */
    {"// top\n\n\n// more\n{\n// one\n\"a\": 1 // behind\n, \"b\": 2 /* two */}",
     "// top\n\n// more\n{\n  // one\n  \"a\": 1, // behind\n  \"b\": 2 /* two */\n}\n"},
    {"{ // open\n}", "{ // open\n}\n"},
    {"{\"a\" /* odd */ : // place\n 1}", "{\n  /* odd */\n  // place\n  \"a\": 1\n}\n"},
    {"{\n\"a\": 1,\n\n\n\n\"b\": 2\n\n}", "{\n  \"a\": 1,\n\n  \"b\": 2\n}\n"},
    {"[\n[],\n{}\n] // end", "[\n  [],\n  {}\n] // end\n"},
    {"{\"text\": \"a // b \\\" /* c */ , }\"}", "{ \"text\": \"a // b \\\" /* c */ , }\" }\n"},
    /* one line is kept only as long as it is short enough */
    {"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1,"
     "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":2}",
     "{\n  \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": 1,\n"
     "  \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\": 2\n}\n"},
};

static char *lay(const char *text)
{
    size_t len;
    struct buf out;
    buf_init(&out, 4096);
    json_layout(slice_from(text), &out);
    return buf_take(&out, &len);
}

START_TEST(texts_are_laid_out_once_and_for_all)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *once = lay(cases[i].text);
        char *twice = lay(once);
        ck_assert_str_eq(once, cases[i].want);
        ck_assert_str_eq(twice, once);
        free(once);
        free(twice);
    }
}
END_TEST

START_TEST(what_is_no_json_does_no_harm)
{
    static const char *const texts[] = {"",  "{",  "[1,", "{\"a\"", "{\"a\":", "\"",  "/*",   "//",
                                        "}", "{]", "[}",  "{\"a\\", ",,,",     "{:}", "[[[[", "{,"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        free(lay(texts[i]));
    }
}
END_TEST

UNIT_TESTS("json_layout", texts_are_laid_out_once_and_for_all, what_is_no_json_does_no_harm)
