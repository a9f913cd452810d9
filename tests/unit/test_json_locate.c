#include <stdlib.h>
#include <string.h>

#include "conf/json/json_locate.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const char text[] = "// a file\n"
                           "{\n"
                           "  \"a\": [10, /* x */ 20, {\"b\": 1},],\n"
                           "  \"k/e~y\": \"\xc3\xa9\", \"\\u0063\": {\"d\": \"}\\\"{\"}, \"e\": 5\n"
                           "}\n";

static const struct {
    const char *pointer;
    bool want_key;
    bool exact;
    uint32_t line;
    uint32_t column;
} cases[] = {
    {"", false, true, 2, 1},
    {"/a", false, true, 3, 8},
    {"/a", true, true, 3, 3},
    {"/a/0", false, true, 3, 9},
    {"/a/1", false, true, 3, 21},
    {"/a/2", false, true, 3, 25},
    {"/a/2/b", false, true, 3, 31},
    {"/a/3", false, false, 3, 8},
    {"/k~1e~0y", false, true, 4, 12},
    {"/c/d", false, true, 4, 33},
    {"/c/missing", false, false, 4, 27},
    {"/c/missing", true, false, 4, 27},
    {"/e", false, true, 4, 47},
    {"/e/deeper", false, false, 4, 47},
    {"/nothing", false, false, 2, 1},
    {"/a/x", false, false, 3, 8},
    {"/a/~", false, false, 3, 8},
};

START_TEST(finds_each)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_place place = {.pointer = slice_from(cases[i].pointer),
                                   .want_key = cases[i].want_key};
        json_locate_all(slice_from(text), &place, 1);
        ck_assert_msg(place.line == cases[i].line && place.column == cases[i].column, "%s: %u:%u",
                      cases[i].pointer, place.line, place.column);
        ck_assert_msg(place.exact == cases[i].exact, "%s", cases[i].pointer);
    }
}
END_TEST

START_TEST(finds_all_at_once)
{
    struct json_place places[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        places[i] = (struct json_place){.pointer = slice_from(cases[i].pointer),
                                        .want_key = cases[i].want_key};
    }
    json_locate_all(slice_from(text), places, ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(places[i].line == cases[i].line && places[i].column == cases[i].column,
                      "%s: %u:%u", cases[i].pointer, places[i].line, places[i].column);
        ck_assert(places[i].exact == cases[i].exact);
    }
}
END_TEST

/* Garbage gives useless answers but reads nothing outside (the sanitizer looks). */
START_TEST(survives_every_prefix)
{
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, len);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            uint32_t line = 0;
            uint32_t column = 0;
            (void)json_locate(slice_of(copy, len), slice_from(cases[i].pointer), &line, &column);
            ck_assert(line <= 5);
        }
        free(copy);
    }
}
END_TEST

START_TEST(nothing_has_no_place)
{
    uint32_t line = 9;
    uint32_t column = 9;
    ck_assert(!json_locate(SLICE("  // only this"), SLICE("/a"), &line, &column));
    ck_assert_uint_eq(line, 0);
    ck_assert_uint_eq(column, 0);
}
END_TEST

UNIT_TESTS("json_locate", finds_each, finds_all_at_once, survives_every_prefix,
           nothing_has_no_place)
