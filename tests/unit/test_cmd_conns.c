#include <string.h>

#include "ctl/cmd_conns.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define LIST                                                                                       \
    FAKE_JSON(                                                                                     \
        "{\"connections\":[{\"id\":\"1-2a\",\"client\":\"10.0.0.1:99\",\"listener\":\"web\","      \
        "\"protocol\":\"http2\",\"streams\":3,\"tls\":{\"version\":\"TLSv1.3\"},"                  \
        "\"state\":\"request\",\"pool\":\"shop\",\"server\":\"a\",\"age_ms\":65000,"               \
        "\"requests\":7,\"worker\":1},{\"id\":\"0-1\",\"client\":\"10.0.0.2:98\","                 \
        "\"listener\":\"web\",\"protocol\":\"http1\",\"state\":\"idle\",\"age_ms\":10}],\"total\":12}")

static const struct {
    const char *line[5];
    struct fake_turn turns[1];
    size_t turn_count;
    enum ctl_exit code;
    const char *out;
    const char *err;
} cases[] = {
    {{"conns", "-p", "shop/a", "--listener=web", "-n2"},
     {{"GET /v1/connections?listener=web&pool=shop&server=a&limit=2", LIST}},
     1,
     CTL_OK,
     "ID    CLIENT       LISTENER  PROTOCOL         STATE    SERVER    AGE  REQUESTS  WORKER\n"
     "1-2a  10.0.0.1:99  web       http2/3 TLSv1.3  request  shop/a  1m 5s         7       1\n"
     "0-1   10.0.0.2:98  web       http1            idle     -          0s         0       0\n",
     "hint: 10 more: add -n 12\n"},
    {{"conns", "-oname"}, {{"GET /v1/connections", LIST}}, 1, CTL_OK, "1-2a\n0-1\n", ""},
    {{"conns", "-p", "a/b/c"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: 'a/b/c' must be POOL/SERVER\n"},
    {{"conns", "kill", "1-2a"},
     {{"DELETE /v1/connections/1-2a", FAKE_REPLY("204 No Content", "", "")}},
     1,
     CTL_OK,
     "closed: connection 1-2a (it cannot be undone)\n",
     ""},
    {{"conns", "kill", "9"},
     {{"DELETE /v1/connections/9", FAKE_PROBLEM("404 Not Found", "{\"title\":\"None\"}")}},
     1,
     CTL_NOT_FOUND,
     "",
     "lbctl: None\n"},
};

START_TEST(listed_and_closed)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run = fake_lbctl(cases[i].turns, cases[i].turn_count, line[0], line[1],
                                         line[2], line[3], line[4], NULL);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu:\n%s", i, run.out);
        ck_assert_str_eq(run.err, cases[i].err);
        ck_assert_int_eq(run.code, cases[i].code);
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_conns", listed_and_closed)
