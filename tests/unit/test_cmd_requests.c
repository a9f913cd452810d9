#include <string.h>

#include "ctl/cmd_requests.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define REFUSED                                                                                     \
    "{\"id\":\"90e2c9a1b33ef1d0\",\"time\":\"2020-11-21T10:00:00.123456Z\","                        \
    "\"listener\":\"web\",\"client\":\"10.0.0.9:4711\",\"method\":\"GET\","                         \
    "\"host\":\"shop.example\",\"path\":\"/api/cart\",\"protocol\":\"HTTP/1.1\",\"status\":503,"    \
    "\"reason\":\"server_limit\",\"detail\":\"every usable server is at max_connections\","         \
    "\"ended_by\":\"lbd\",\"setting\":\"/pools/api/servers/b/max_connections\","                    \
    "\"setting_value\":\"200\",\"advice\":\"add servers\",\"route\":\"api\","                       \
    "\"match\":\"any host, path_prefix /api\",\"pool\":\"api\",\"server\":\"a\","                   \
    "\"duration_us\":12345,\"tries\":[{\"server\":\"a\",\"reason\":\"connect_refused\","            \
    "\"reused\":false,\"began_us\":0,\"took_us\":870},{\"server\":\"b\",\"reason\":\"ok\","         \
    "\"status\":503,\"reused\":true,\"began_us\":870,\"took_us\":4200000}],"                        \
    "\"candidates\":[{\"server\":\"a\",\"state\":\"down\"},{\"server\":\"b\",\"state\":\"full\"}]," \
    "\"candidates_total\":9,\"revision\":42}"
#define TCP                                                                                        \
    "{\"time\":\"2020-11-21T10:00:00Z\",\"listener\":\"raw\",\"protocol\":\"tcp\","                \
    "\"reason\":\"connect_refused\",\"detail\":\"the server refused\",\"ended_by\":\"server\","    \
    "\"advice\":\"is it running?\",\"duration_us\":5,\"tries\":[],\"revision\":1}"
#define LIST FAKE_JSON("{\"requests\":[" REFUSED "," TCP "],\"total\":17}")

#define DEFAULT                                                                                          \
    "{\"time\":\"2020-11-21T10:00:00Z\",\"listener\":\"web\",\"method\":\"GET\",\"host\":\"a.example\"," \
    "\"path\":\"/\",\"status\":500,\"reason\":\"ok\",\"detail\":\"the server itself answered 500\","     \
    "\"ended_by\":\"server\",\"advice\":\"look at the server's log\",\"route\":\"default\","             \
    "\"is_default\":true,\"pool\":\"web\",\"server\":\"a\",\"duration_us\":5,\"tries\":[],\"revision\":1}"

static const struct {
    const char *line[5];
    struct fake_turn turn;
    enum ctl_exit code;
    const char *out; /* NULL: not looked at, for it holds local times */
    const char *err;
} cases[] = {
    {{"requests", "--ended=server_limit", "-p", "api/a", "--slower=1m30s"},
     {"GET /v1/requests/recent?reason=server_limit&pool=api&server=a&min_ms=90000", LIST},
     CTL_OK,
     NULL,
     "hint: 15 more: add -n 17\n"},
    {{"requests", "--status=5xx", "--route=api", "--listener=web", "-n2"},
     {"GET /v1/requests/recent?status=5xx&listener=web&route=api&limit=2", LIST},
     CTL_OK,
     NULL,
     "hint: 15 more: add -n 17\n"},
    {{"requests", "-oname"}, {"GET /v1/requests/recent", LIST}, CTL_OK, "90e2c9a1b33ef1d0\n\n", ""},
    {{"requests", "--ended", "queue_ful"},
     {NULL, NULL},
     CTL_USAGE,
     "",
     "lbctl: --ended: no reason 'queue_ful'; did you mean 'queue_full'?\n"},
    {{"requests", "--ended", "503"},
     {NULL, NULL},
     CTL_USAGE,
     "",
     "lbctl: --ended: no reason '503': it is a word of the column REASON, as in server_limit; "
     "GET /v1/reasons has them all\n"},
    {{"explain", "request", "a/b"},
     {"GET /v1/requests/a%2Fb", FAKE_PROBLEM("404 Not Found", "{\"title\":\"None\"}")},
     CTL_NOT_FOUND,
     "",
     "lbctl: None\n"},
};

START_TEST(asked_and_listed)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run = fake_lbctl(&cases[i].turn, cases[i].turn.answer != NULL ? 1 : 0,
                                         line[0], line[1], line[2], line[3], line[4], NULL);
        ck_assert_str_eq(run.err, cases[i].err);
        ck_assert_int_eq(run.code, cases[i].code);
        if (cases[i].out != NULL) {
            ck_assert_str_eq(run.out, cases[i].out);
        } else {
            ck_assert_msg(strstr(run.out, "GET shop.example/api/cart     503  server_limit") !=
                              NULL,
                          "%s", run.out);
            ck_assert_msg(strstr(run.out, "api/a       2  12.3ms\n") != NULL, "%s", run.out);
            ck_assert_ptr_nonnull(strstr(run.out, "tcp"));
        }
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(the_story_of_one)
{
    static const char *const wanted[] = {
        "GET shop.example/api/cart from 10.0.0.9:4711, ",
        "  ended with 503 server_limit after 12.3ms\n"
        "  came in at listener web, configuration 42\n"
        "  was taken by route api (any host, path_prefix /api) to pool api\n"
        "  try 1 at 0us: server a, connect_refused after 870us\n"
        "  try 2 at 870us: server b (open connection), answered 503 after 4.2s\n"
        "  servers at its end: a down, b full and 7 more\n"
        "  ended by lbd: every usable server is at max_connections\n"
        "  the setting behind it: /pools/api/servers/b/max_connections = 200\n"
        "  what to do: add servers\n",
    };
    static const struct fake_turn turn = {"GET /v1/requests/x", FAKE_JSON(REFUSED)};
    struct fake_run run = fake_lbctl(&turn, 1, "explain", "request", "x", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        ck_assert_msg(strstr(run.out, wanted[i]) != NULL, "lacks '%s':\n%s", wanted[i], run.out);
    }
    fake_run_fini(&run);
}
END_TEST

START_TEST(the_story_of_what_fits_no_route)
{
    static const struct fake_turn turn = {"GET /v1/requests/x", FAKE_JSON(DEFAULT)};
    struct fake_run run = fake_lbctl(&turn, 1, "explain", "request", "x", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_msg(strstr(run.out, "  fits no route: the listener's default_pool web took it\n"
                                  "  ended by server: the server itself answered 500\n"
                                  "  what to do: look at the server's log\n") != NULL,
                  "%s", run.out);
    fake_run_fini(&run);
}
END_TEST

START_TEST(the_story_of_little)
{
    static const struct fake_turn turn = {"GET /v1/requests/x", FAKE_JSON(TCP)};
    struct fake_run run = fake_lbctl(&turn, 1, "explain", "request", "x", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_msg(strstr(run.out, "a conversation of tcp, ") == run.out, "%s", run.out);
    ck_assert_msg(strstr(run.out, "  ended connect_refused after 5us\n"
                                  "  came in at listener raw, configuration 1\n"
                                  "  ended by server: the server refused\n"
                                  "  what to do: is it running?\n") != NULL,
                  "%s", run.out);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_requests", asked_and_listed, the_story_of_one, the_story_of_what_fits_no_route,
           the_story_of_little)
