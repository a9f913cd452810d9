#include <stdlib.h>
#include <string.h>

#include "ctl/document.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *body; /* NULL: it is none */
    const char *says;
} cases[] = {
    {"// mine\n{\"daemon\":{\"workers\":1},\"schema\":1,}", "{\"schema\":1}", ""},
    {"{}", "{}", ""},
    {"[]", NULL, "lbctl: not valid: stdin:1:1: must be an object\n"},
    {"{\n 1}", NULL, "lbctl: not valid: stdin:2:2: "},
};

START_TEST(what_is_sent_is_strict)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        struct document document;
        char typed[128];
        char *said = NULL;
        size_t len;
        ctl_init(&ctl);
        (void)snprintf(typed, sizeof(typed), "%s", cases[i].text);
        ctl.in = fmemopen(typed, strlen(typed), "r");
        ctl.err = open_memstream(&said, &len);
        enum ctl_exit code = document_read(&ctl, "-", "not valid", &document);
        (void)fclose(ctl.in);
        (void)fclose(ctl.err);
        ck_assert_int_eq(code, cases[i].body != NULL ? CTL_OK : CTL_INVALID);
        if (cases[i].body != NULL) {
            ck_assert_str_eq(document.body.data, cases[i].body);
        }
        ck_assert_msg(strncmp(said, cases[i].says, strlen(cases[i].says)) == 0, "%s", said);
        document_fini(&document);
        free(said);
    }
}
END_TEST

UNIT_TESTS("document", what_is_sent_is_strict)
