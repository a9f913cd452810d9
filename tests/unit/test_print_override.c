#include <stdlib.h>

#include "ctl/print_override.h"
#include "tests/unit/unit.h"

#define BY ",\"who\":\"anna\",\"since\":\"1970-01-01T00:00:01Z\""

static const struct {
    const char *json;
    const char *line;
    const char *remedy;
} cases[] = {
    {"{\"target\":\"web/a\",\"state\":\"drain\",\"base\":\"ready\",\"reason\":\"new kernel\"" BY
     "}",
     "web/a state drain, since 1970-01-01 00:00 by anna: new kernel", "lbctl enable web/a"},
    {"{\"target\":\"web/a\",\"state\":\"maint\",\"expires\":\"1970-01-02T00:00:01Z\"" BY "}",
     "web/a state maint, since 1970-01-01 00:00 by anna, until 1970-01-02 00:00",
     "lbctl enable web/a"},
    {"{\"target\":\"web/a\",\"state\":\"ready\",\"base\":\"maint\"" BY "}",
     "web/a state ready, since 1970-01-01 00:00 by anna", "lbctl maint web/a"},
    {"{\"target\":\"web/a\",\"weight\":7,\"base\":100" BY "}",
     "web/a weight 7, since 1970-01-01 00:00 by anna", "lbctl weight web/a reset"},
    {"{\"target\":\"web/a\",\"weight\":\"50%\",\"base\":100" BY "}",
     "web/a weight 50%, since 1970-01-01 00:00 by anna", "lbctl weight web/a reset"},
    {"{\"target\":\"process\",\"state\":\"drain\",\"base\":\"ready\",\"reason\":\"a\\u001bb\"" BY
     "}",
     "process state drain, since 1970-01-01 00:00 by anna: a?b", "lbctl enable process"},
};

START_TEST(one_line_and_the_way_back)
{
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        char *text = NULL;
        size_t len;
        struct json *override = json_parse_trusted(slice_from(cases[i].json));
        ctl_init(&ctl);
        ctl.out = open_memstream(&text, &len);
        print_override(&ctl, override);
        (void)fclose(ctl.out);
        ck_assert_str_eq(text, cases[i].line);
        free(text);
        ctl.out = open_memstream(&text, &len);
        print_override_remedy(&ctl, override);
        (void)fclose(ctl.out);
        ck_assert_str_eq(text, cases[i].remedy);
        free(text);
        json_free(override);
    }
}
END_TEST

UNIT_TESTS("print_override", one_line_and_the_way_back)
