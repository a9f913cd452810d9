#include <stdlib.h>
#include <string.h>

#include "ctl/confirm.h"
#include "tests/unit/unit.h"

static const struct {
    const char *types; /* NULL: nobody is there */
    bool yes;
    enum ctl_exit code;
    const char *says;
} cases[] = {
    {NULL, true, CTL_OK, ""},
    {NULL, false, CTL_USAGE, "lbctl: 2 servers would go; nothing was changed\nhint: --yes"},
    {"y\n", false, CTL_OK, "2 servers would go. Go on? [y/N] "},
    {"YES\n", false, CTL_OK, "2 servers would go. Go on? [y/N] "},
    {"n\n", false, CTL_NO, "2 servers would go. Go on? [y/N] nothing was changed\n"},
    {"\n", false, CTL_NO, "2 servers would go. Go on? [y/N] nothing was changed\n"},
    {"yes, please, do it all\n", false, CTL_NO, "2 servers would go. Go on? [y/N] nothing"},
    {"", false, CTL_NO, "2 servers would go. Go on? [y/N] \nnothing was changed\n"},
};

START_TEST(only_yes_is_yes)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        char *said = NULL;
        size_t len;
        char typed[64] = "";
        ctl_init(&ctl);
        ctl.yes = cases[i].yes;
        ctl.err = open_memstream(&said, &len);
        if (cases[i].types != NULL) {
            ctl.is_interactive = true;
            (void)snprintf(typed, sizeof(typed), "%s", cases[i].types);
            ctl.in =
                typed[0] != '\0' ? fmemopen(typed, strlen(typed), "r") : fopen("/dev/null", "r");
            ck_assert_ptr_nonnull(ctl.in);
        }
        ck_assert_int_eq(confirm_ask(&ctl, "%d servers would go", 2), cases[i].code);
        (void)fclose(ctl.err);
        if (cases[i].types != NULL) {
            (void)fclose(ctl.in);
        }
        ck_assert_msg(strncmp(said, cases[i].says, strlen(cases[i].says)) == 0, "%zu: %s", i, said);
        free(said);
    }
}
END_TEST

UNIT_TESTS("confirm", only_yes_is_yes)
