#include "ctl/aside.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

START_TEST(words_are_kept_and_nobody_is_asked)
{
    struct ctl ctl;
    struct aside aside;
    ctl_init(&ctl);
    ctl.color = true;
    ctl.is_interactive = true;
    ctl.is_followed = true;
    ctl.trace = true;
    ctl.output = CTL_JSON;
    ctl.args[0] = "web/a";
    aside_open(&aside, &ctl);
    ck_assert(!aside.ctl.color && !aside.ctl.is_interactive && !aside.ctl.is_followed);
    ck_assert(!aside.ctl.trace && aside.ctl.output == CTL_TABLE);
    ck_assert_str_eq(aside.ctl.args[0], "web/a");
    (void)fputs("drained web/a\n", aside.ctl.out);
    ck_assert_int_eq(ctl_fail(&aside.ctl, CTL_DENIED, "no"), CTL_DENIED);
    aside_end(&aside);
    ck_assert_str_eq(aside.out, "drained web/a\n");
    ck_assert_str_eq(aside.err, "lbctl: no\n");
    aside_fini(&aside);
}
END_TEST

START_TEST(the_first_line_goes_without_our_name)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"one\n", "one"},
        {"lbctl: one\nhint: two\n", "one"},
        {"lbctl: one", "one"},
        {"\ntwo\n", ""},
        {"lbctl:one\n", "lbctl:one"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(slice_eq(aside_line(cases[i][0]), slice_from(cases[i][1])), "'%s'",
                      cases[i][0]);
    }
}
END_TEST

UNIT_TESTS("aside", words_are_kept_and_nobody_is_asked, the_first_line_goes_without_our_name)
