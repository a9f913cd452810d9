#include <string.h>

#include "ctl/cmd_explain.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *line[6];
    struct fake_turn turns[1];
    enum ctl_exit code;
    const char *out;
} cases[] = {
    {{"explain", "pools.web.algorithm"},
     {{"GET /v1/explain/pools.web.algorithm",
       FAKE_JSON(
           "{\"path\":\"pools.algorithm\",\"type\":\"text\",\"doc\":\"How a server is chosen, in words "
           "that go on and on until they no longer fit on a line.\",\"required\":true,"
           "\"default\":\"least_request\",\"words\":[\"least_request\",\"random\"],"
           "\"example\":[1,{\"a\":2}],\"since\":\"0.1\"}")}},
     CTL_OK,
     "pools.algorithm  text, required\n"
     "  How a server is chosen, in words that go on and on until they no longer fit\n"
     "  on a line.\n"
     "  one of    least_request, random\n"
     "  default   least_request\n"
     "  example   [1,{\"a\":2}]\n"
     "  since     0.1\n"},
    {{"explain", "/pools/we b/"},
     {{"GET /v1/explain/pools/we%20b",
       FAKE_JSON(
           "{\"path\":\"pools\",\"type\":\"objects by name\",\"doc\":\"Servers.\",\"keys\":["
           "{\"key\":\"retries\",\"type\":\"integer\",\"default\":1,\"doc\":\"More tries.\"},"
           "{\"key\":\"servers\",\"type\":\"object\",\"required\":true,\"doc\":\"Who.\"}]}")}},
     CTL_OK,
     "pools  objects by name\n"
     "  Servers.\n"
     "\n"
     "KEY      TYPE     DEFAULT   MEANING\n"
     "retries  integer  1         More tries.\n"
     "servers  object   required  Who.\n"},
    {{"explain"}, {{"GET /v1/explain", FAKE_PROBLEM("404 Not Found", "{}")}}, CTL_NOT_FOUND, ""},
    {{"explain", "route", "GET", "/foo"}, {{NULL, NULL}}, CTL_USAGE, ""},
    {{"explain", "route", "GET", "http://h/p", "-H", "Accept: x"},
     {{"POST /v1/explain/route",
       FAKE_JSON(
           "{\"listener\":\"web\",\"matched\":true,\"route\":\"api\",\"priority\":-1,\"why\":\"any host\","
           "\"action\":{\"pool\":\"shop\"},\"pool\":\"shop\",\"servers\":[{\"name\":\"a\","
           "\"health\":\"down\",\"admin\":\"ready\",\"weight\":5,\"is_candidate\":false,"
           "\"reason\":\"health down\"}],\"servers_total\":3,\"considered\":[{\"route\":\"x\","
           "\"matched\":false,\"why\":\"path: no\"}],\"considered_total\":2}")}},
     CTL_OK,
     "listener web -> route api (priority -1) -> pool shop\n"
     "  because: any host\n"
     "\n"
     "SERVER  HEALTH  ADMIN  WEIGHT  CANDIDATE  REASON\n"
     "a       down    ready       5  no         health down\n"
     "and 2 more servers\n"
     "\n"
     "other routes of the listener:\n"
     "  x: path: no\n"
     "  and 1 more\n"},
    {{"explain", "route", "GET", "http://h/p"},
     {{"POST /v1/explain/route",
       FAKE_JSON("{\"listener\":\"web\",\"matched\":false,\"reason\":\"no_route\",\"status\":404,"
                 "\"why\":\"nobody\"}")}},
     CTL_NO,
     "listener web -> nothing: refused with 404 no_route\n"
     "  because: nobody\n"},
    {{"explain", "route", "GET", "http://h/p", "--listener", "web"},
     {{"POST /v1/explain/route",
       FAKE_JSON(
           "{\"listener\":\"web\",\"matched\":true,\"is_default\":true,\"action\":{\"redirect\":"
           "{\"status\":308,\"location\":\"/z\"}}}")}},
     CTL_OK,
     "listener web -> default pool -> redirect 308 to /z\n"},
};

START_TEST(settings_and_routes)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run =
            fake_lbctl(cases[i].turns, cases[i].turns[0].answer != NULL ? 1 : 0, line[0], line[1],
                       line[2], line[3], line[4], line[5], NULL);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu:\n%s%s", i, run.out, run.err);
        ck_assert_msg(run.code == (int)cases[i].code, "case %zu: %d", i, run.code);
        if (line[4] != NULL && line[4][1] == 'H') {
            ck_assert_ptr_nonnull(strstr(run.api.requests[0],
                                         "{\"method\":\"GET\",\"url\":\"http://h/p\","
                                         "\"headers\":{\"Accept\":\"x\"}}"));
        }
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_explain", settings_and_routes)
