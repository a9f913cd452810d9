#include "lbd/base/escape.h"
#include "tests/unit/unit.h"

START_TEST(bytes_are_read_from_text)
{
    static const struct {
        struct slice text;
        struct slice bytes;
    } cases[] = {
        {SLICE_INIT(""), SLICE_INIT("")},
        {SLICE_INIT("PING\r\n"), SLICE_INIT("PING\r\n")},
        {SLICE_INIT("PING\\r\\n\\t\\\\"), SLICE_INIT("PING\r\n\t\\")},
        {SLICE_INIT("\\x00\\xfF\\x5c"), SLICE_INIT("\x00\xff\\")},
        {SLICE_INIT("\\x414"), SLICE_INIT("A4")},
        {SLICE_INIT("\xc3\xa4"), SLICE_INIT("\xc3\xa4")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[32];
        ck_assert_msg(escape_is_valid(cases[i].text), "case %zu", i);
        size_t len = escape_read(cases[i].text, out);
        ck_assert_msg(slice_eq(slice_of(out, len), cases[i].bytes), "case %zu: %zu bytes", i, len);
    }
}
END_TEST

START_TEST(a_backslash_means_something)
{
    static const char *const wrong[] = {"\\",   "a\\",   "\\q",   "\\x",
                                        "\\x1", "\\xg0", "\\x 1", "\\X41"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(!escape_is_valid(slice_from(wrong[i])), "%s", wrong[i]);
    }
}
END_TEST

UNIT_TESTS("escape", bytes_are_read_from_text, a_backslash_means_something)
