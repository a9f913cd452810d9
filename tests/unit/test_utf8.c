#include "lbd/base/compiler.h"
#include "lbd/base/utf8.h"
#include "tests/unit/unit.h"

START_TEST(finds_the_first_wrong_byte)
{
    static const struct {
        struct slice s;
        size_t want;
    } cases[] = {
        {SLICE_INIT(""), SIZE_MAX},
        {SLICE_INIT("plain"), SIZE_MAX},
        {SLICE_INIT("gr\xc3\xbc\xc3\x9f"
                    "e"),
         SIZE_MAX},
        {SLICE_INIT("\xe2\x82\xac"), SIZE_MAX},
        {SLICE_INIT("\xf0\x9f\x98\x80"), SIZE_MAX},
        {SLICE_INIT("\xf4\x8f\xbf\xbf"), SIZE_MAX}, /* U+10FFFF */
        {SLICE_INIT("ab\x80"), 2},                  /* a continuation alone */
        {SLICE_INIT("ab\xff"), 2},
        {SLICE_INIT("\xc0\x80"), 0},         /* overlong NUL */
        {SLICE_INIT("\xc1\xbf"), 0},         /* overlong */
        {SLICE_INIT("\xe0\x9f\xbf"), 0},     /* overlong */
        {SLICE_INIT("\xf0\x8f\xbf\xbf"), 0}, /* overlong */
        {SLICE_INIT("x\xed\xa0\x80"), 1},    /* a surrogate */
        {SLICE_INIT("\xf4\x90\x80\x80"), 0}, /* above U+10FFFF */
        {SLICE_INIT("\xf5\x80\x80\x80"), 0},
        {SLICE_INIT("a\xe2\x82"), 1}, /* cut off */
        {SLICE_INIT("a\xc3"), 1},
        {SLICE_INIT("\xe2\x28\xa1"), 0},
        {SLICE_INIT("\xf0\x9f\x98\x28"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t got = utf8_first_invalid(cases[i].s);
        ck_assert_msg(got == cases[i].want, "case %zu gave %zu", i, got);
    }
}
END_TEST

START_TEST(every_code_point_goes_there_and_back)
{
    for (uint32_t point = 0; point <= 0x110000; point++) {
        char text[4];
        size_t len = utf8_write(text, point);
        bool exists = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        unit_expect((len != 0) == exists, "U+%04X gave %zu bytes", (unsigned)point, len);
        if (exists) {
            struct slice whole = slice_of(text, len);
            unit_expect(utf8_length(whole) == len && utf8_first_invalid(whole) == SIZE_MAX,
                        "U+%04X is not read as it was written", (unsigned)point);
        }
    }
    ck_assert_uint_eq(utf8_length(SLICE("")), 0);
}
END_TEST

UNIT_TESTS("utf8", finds_the_first_wrong_byte, every_code_point_goes_there_and_back)
