#include "ctl/pager.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    size_t width;
    size_t want;
} cases[] = {
    {"", 80, 1},
    {"a\n", 80, 1},
    {"a\nb", 80, 2},
    {"a\n\nb\n", 80, 3},
    {"abcdef\n", 3, 2},
    {"abcdefg\n", 3, 3},
    {"abcdefg\n", 0, 1},
    {"äöü\n", 3, 1},
    {"\033[32mabc\033[0m\n", 3, 1},
    {"\033[1;31mabcd\033[0m\n", 3, 2},
    {"\033", 3, 1},
};

START_TEST(lines_as_the_screen_has_them)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t lines = pager_count_lines(slice_from(cases[i].text), cases[i].width);
        ck_assert_msg(lines == cases[i].want, "case %zu: %zu", i, lines);
    }
}
END_TEST

START_TEST(nothing_is_held_back_without_a_terminal)
{
    struct ctl ctl;
    struct pager pager;
    ctl_init(&ctl);
    FILE *out = tmpfile();
    ck_assert_ptr_nonnull(out);
    ctl.out = out;
    pager_begin(&ctl, &pager);
    ck_assert_ptr_eq(ctl.out, out);
    pager_end(&ctl, &pager);
    ck_assert_ptr_eq(ctl.out, out);
    (void)fclose(out);
}
END_TEST

UNIT_TESTS("pager", lines_as_the_screen_has_them, nothing_is_held_back_without_a_terminal)
