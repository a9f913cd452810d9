#include <stdlib.h>

#include "ctl/admin_target.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *path; /* NULL: it is none */
    enum admin_target_kind kind;
} cases[] = {
    {"web/anna", "/v1/pools/web/servers/anna", ADMIN_SERVER},
    {"listener/web", "/v1/listeners/web", ADMIN_LISTENER},
    {"process", "/v1", ADMIN_PROCESS},
    {"listener/", NULL, ADMIN_LISTENER},
    {"a/b/c", NULL, ADMIN_SERVER},
    {"a/", NULL, ADMIN_SERVER},
};

START_TEST(words_lead_to_what_can_be_drained)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        struct admin_target target;
        enum ctl_exit code = CTL_OK;
        char *said = NULL;
        size_t len;
        ctl_init(&ctl);
        ctl.err = open_memstream(&said, &len);
        bool ok = admin_target_read(&ctl, cases[i].text, &target, &code);
        (void)fclose(ctl.err);
        ck_assert_msg(ok == (cases[i].path != NULL), "%s: %s", cases[i].text, said);
        if (ok) {
            ck_assert_str_eq(target.path.data, cases[i].path);
            ck_assert_str_eq(target.name.data, cases[i].text);
            ck_assert_int_eq(target.kind, cases[i].kind);
        } else {
            ck_assert_int_eq(code, CTL_USAGE);
        }
        admin_target_fini(&target);
        free(said);
    }
}
END_TEST

UNIT_TESTS("admin_target", words_lead_to_what_can_be_drained)
