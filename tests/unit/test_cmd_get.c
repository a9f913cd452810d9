#include <string.h>

#include "ctl/cmd_get.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define STATUS_TURN                                                                                \
    {                                                                                              \
        "GET /v1/status", FAKE_JSON(STATUS)                                                        \
    }
#define STATUS                                                                                     \
    "{\"listeners\":{\"web\":{\"addresses\":[\"127.0.0.1:8080\"],\"connections\":12,"              \
    "\"state\":\"up\"}},\"pools\":{\"demo\":{\"usable\":1,\"servers\":{"                           \
    "\"anna\":{\"health\":\"up\",\"admin\":\"ready\",\"connections\":3,"                           \
    "\"last_check\":\"200 in 1 ms\"},"                                                             \
    "\"bert\":{\"health\":\"down\",\"admin\":\"maint\",\"connections\":0}}}}}"
#define POOLS                                                                                      \
    "{\"demo\":{\"algorithm\":\"round_robin\",\"health_check\":\"alive\",\"retries\":1,"           \
    "\"http_version\":\"2\",\"tls\":{\"verify\":\"full\"},\"send_proxy\":\"v1\","                  \
    "\"timeouts\":{\"connect\":\"3s\",\"response\":\"1m\"},\"servers\":{"                          \
    "\"anna\":{\"address\":\"127.0.0.1:9081\",\"weight\":100,\"max_connections\":0},"              \
    "\"bert\":{\"address\":\"b.example:80\",\"weight\":7,\"max_connections\":5}}},"                \
    "\"other\":{\"algorithm\":\"least_request\",\"servers\":{}}}"
#define ROUTES                                                                                     \
    "{\"a\":{\"listener\":\"web\",\"priority\":100,\"match\":{\"host\":[\"x.example\","            \
    "\"*.y.example\"],\"path_prefix\":\"/api\"},\"action\":{\"pool\":\"demo\"}},"                  \
    "\"b\":{\"listener\":\"web\",\"priority\":-5,\"match\":{\"path\":\"/hello\"},"                 \
    "\"action\":{\"respond\":{\"status\":204}}},"                                                  \
    "\"c\":{\"listener\":\"web\",\"priority\":0,\"match\":{},"                                     \
    "\"action\":{\"redirect\":{\"status\":308,\"location\":\"https://z/\"}}}}"

static const struct {
    const char *line[4];
    struct fake_turn turns[2];
    size_t turn_count;
    const char *out;
} cases[] = {
    {{"get", "listeners", "--color=never"},
     {{"GET /v1/listeners?defaults=true",
       FAKE_JSON("{\"web\":{\"protocol\":\"http\",\"default_pool\":\"demo\"}}")},
      STATUS_TURN},
     2,
     "NAME  PROTOCOL  TLS  ADDRESS         STATE  CONNECTIONS  DEFAULT-POOL\n"
     "web   http      -    127.0.0.1:8080  up              12  demo\n"},
    {{"get", "listeners", "-o", "wide"},
     {{"GET /v1/listeners?defaults=true",
       FAKE_JSON("{\"p\":{\"protocol\":\"http\",\"tls\":{\"certificates\":[\"a\",\"b\"],"
                 "\"client_auth\":{\"mode\":\"required\"}}},"
                 "\"q\":{\"protocol\":\"tcp\",\"tls\":{\"certificates\":[\"a\"]}}}")},
      STATUS_TURN},
     2,
     "NAME  PROTOCOL  TLS              BIND  ADDRESS  STATE  CONNECTIONS  LIMIT  KEEP-ALIVE  "
     "CERTIFICATES  DEFAULT-POOL\n"
     "p     http      client required  -     -        -                -      -  -           "
     "a, b          -\n"
     "q     tcp       yes              -     -        -                -      -  -           "
     "a             -\n"},
    {{"get", "routes"},
     {{"GET /v1/routes?defaults=true", FAKE_JSON(ROUTES)}},
     1,
     "NAME  LISTENER  PRIORITY  HOST                    PATH      ACTION\n"
     "a     web            100  x.example, *.y.example  /api/...  pool demo\n"
     "b     web             -5  any                     /hello    respond 204\n"
     "c     web              0  any                     any       redirect 308 https://z/\n"},
    {{"get", "pools", "-o", "wide"},
     {{"GET /v1/pools?defaults=true", FAKE_JSON(POOLS)}, STATUS_TURN},
     2,
     "NAME   ALGORITHM      HEALTH-CHECK  HTTP  TLS   PROXY  RETRIES  CONNECT  RESPONSE  QUEUED  USABLE\n"
     "demo   round_robin    alive         2     full  v1           1  3s       1m             -     1/2\n"
     "other  least_request  -             -     -     -            -  -        -              -     0/0\n"},
    {{"get", "servers/demo/bert"},
     {{"GET /v1/pools?defaults=true", FAKE_JSON(POOLS)}, STATUS_TURN},
     2,
     "NAME       ADDRESS       HEALTH  ADMIN  WEIGHT  IN-USE\n"
     "demo/bert  b.example:80  down    maint       7       0\n"},
    {{"get", "server", "demo/bert"},
     {{"GET /v1/pools?defaults=true", FAKE_JSON(POOLS)}, STATUS_TURN},
     2,
     "NAME       ADDRESS       HEALTH  ADMIN  WEIGHT  IN-USE\n"
     "demo/bert  b.example:80  down    maint       7       0\n"},
    {{"get", "servers", "-owide"},
     {{"GET /v1/pools?defaults=true", FAKE_JSON(POOLS)}, STATUS_TURN},
     2,
     "NAME       ADDRESS         HEALTH  ADMIN  WEIGHT  IN-USE  LIMIT  LAST-CHECK\n"
     "demo/anna  127.0.0.1:9081  up      ready     100       3      0  200 in 1 ms\n"
     "demo/bert  b.example:80    down    maint       7       0      5  -\n"},
    {{"get", "servers", "-o", "name"},
     {{"GET /v1/pools", FAKE_JSON(POOLS)}},
     1,
     "demo/anna\ndemo/bert\n"},
    {{"get", "server", "p/b"}, /* it rests: 0 counts, not what is configured */
     {{"GET /v1/pools?defaults=true",
       FAKE_JSON("{\"p\":{\"servers\":{\"b\":{\"address\":\"b:80\",\"weight\":7}}}}")},
      {"GET /v1/status", FAKE_JSON("{\"pools\":{\"p\":{\"servers\":{\"b\":{\"health\":\"up\","
                                   "\"admin\":\"ready\",\"effective_weight\":0,"
                                   "\"connections\":0}}}}}")}},
     2,
     "NAME  ADDRESS  HEALTH  ADMIN  WEIGHT  IN-USE\n"
     "p/b   b:80     up      ready     0/7       0\n"},
    {{"get", "routes", "-owide"},
     {{"GET /v1/routes?defaults=true",
       FAKE_JSON("{\"r\":{\"listener\":\"w\",\"priority\":0,\"match\":{\"host_regex\":\"s[0-9]\","
                 "\"path_template\":\"/u/{id}\",\"method\":[\"GET\",\"PUT\"],"
                 "\"header\":{\"exact\":{\"x\":\"1\"},\"absent\":[\"y\"]},"
                 "\"cookie\":{\"prefix\":{\"c\":\"st\"}},\"query\":{\"present\":[\"q\"]},"
                 "\"source\":[\"::/0\"]},"
                 "\"action\":{\"split\":{\"pools\":{\"old\":95,\"new\":5}}}}}")}},
     1,
     "NAME  LISTENER  PRIORITY  HOST      PATH     CONDITIONS                                     "
     "                                  ACTION\n"
     "r     w                0  ~ s[0-9]  /u/{id}  method GET, method PUT, header x=1, no header "
     "y, cookie c, query q, source ::/0  split old 95, new 5\n"},
    {{"get", "servers", "other"},
     {{"GET /v1/pools?defaults=true", FAKE_JSON(POOLS)}, STATUS_TURN},
     2,
     "NAME  ADDRESS  HEALTH  ADMIN  WEIGHT  IN-USE\n"},
    {{"get", "health_checks"},
     {{"GET /v1/health-checks?defaults=true",
       FAKE_JSON("{\"alive\":{\"type\":\"http\",\"method\":\"GET\",\"path\":\"/health\","
                 "\"interval\":\"1s\",\"timeout\":\"500ms\",\"rise\":1,\"fall\":2},"
                 "\"port\":{\"type\":\"tcp\",\"interval\":\"2s\",\"timeout\":\"1s\",\"rise\":2,"
                 "\"fall\":3},\"rpc\":{\"type\":\"grpc\",\"service\":\"shop.Cart\"},"
                 "\"shake\":{\"type\":\"tls\"},\"whole\":{\"type\":\"grpc\"}}")}},
     1,
     "NAME   TYPE  ASKS             INTERVAL  TIMEOUT  RISE  FALL\n"
     "alive  http  GET /health      1s        500ms       1     2\n"
     "port   tcp   connect          2s        1s          2     3\n"
     "rpc    grpc  Check shop.Cart  -         -           -     -\n"
     "shake  tls   handshake        -         -           -     -\n"
     "whole  grpc  Check            -         -           -     -\n"},
    {{"get", "servers", "-ojsonl"},
     {{"GET /v1/pools", FAKE_JSON(POOLS)}},
     1,
     "{\"name\":\"demo/anna\",\"address\":\"127.0.0.1:9081\",\"weight\":100,\"max_connections\":0}\n"
     "{\"name\":\"demo/bert\",\"address\":\"b.example:80\",\"weight\":7,\"max_connections\":5}\n"},
    {{"get", "servers", "-ojson"},
     {{"GET /v1/pools", FAKE_JSON("{\"a\":{\"servers\":{\"x\":{\"weight\":1}}},\"b\":{}}")}},
     1,
     "{\n  \"a/x\": {\n    \"weight\": 1\n  }\n}\n"},
    /* the status may come in another order, or lack one that is new */
    {{"get", "servers"},
     {{"GET /v1/pools?defaults=true",
       FAKE_JSON("{\"p\":{\"servers\":{\"a\":{},\"b\":{},\"c\":{}}}}")},
      {"GET /v1/status", FAKE_JSON("{\"pools\":{\"o\":{},\"p\":{\"servers\":{"
                                   "\"c\":{\"health\":\"up\"},\"a\":{\"health\":\"down\"}}}}}")}},
     2,
     "NAME  ADDRESS  HEALTH  ADMIN  WEIGHT  IN-USE\n"
     "p/a   -        down    -           -       -\n"
     "p/b   -        -       -           -       -\n"
     "p/c   -        up      -           -       -\n"},
    {{"get", "pool", "a b", "-ojson"},
     {{"GET /v1/pools/a%20b", FAKE_JSON("{\"retries\":1}")}},
     1,
     "{\n  \"retries\": 1\n}\n"},
    {{"get", "server", "a/b", "-ojson"},
     {{"GET /v1/pools/a/servers/b", FAKE_JSON("{\"weight\":1}")}},
     1,
     "{\n  \"weight\": 1\n}\n"},
    {{"get", "servers", "-lzone=eu", "-ojsonl"},
     {{"GET /v1/pools",
       FAKE_JSON("{\"p\":{\"servers\":{\"a\":{\"meta\":{\"labels\":{\"zone\":\"eu\"}}},"
                 "\"b\":{\"meta\":{\"labels\":{\"zone\":\"us\"}}},\"c\":{}}}}")}},
     1,
     "{\"name\":\"p/a\",\"meta\":{\"labels\":{\"zone\":\"eu\"}}}\n"},
    {{"get", "routes", "-la=b", "-ojson"},
     {{"GET /v1/routes", FAKE_JSON("{\"x\":{\"meta\":{\"labels\":{\"a\":\"b\"}}},\"y\":{}}")}},
     1,
     "{\n  \"x\": {\n    \"meta\": {\n      \"labels\": {\n        \"a\": \"b\"\n      }\n    }\n  }\n}\n"},
    {{"get", "config"},
     {{"GET /v1/config", FAKE_JSON("{\"schema\":1}")}},
     1,
     "{\n  \"schema\": 1\n}\n"},
};

START_TEST(kinds_have_their_tables)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_run run =
            fake_lbctl(cases[i].turns, cases[i].turn_count, cases[i].line[0], cases[i].line[1],
                       cases[i].line[2], cases[i].line[3], NULL);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu: got\n%s\nexpected\n%s", i,
                      run.out, cases[i].out);
        ck_assert_str_eq(run.err, "");
        ck_assert_int_eq(run.code, CTL_OK);
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(names_that_are_not_there)
{
    static const struct fake_turn turns[] = {{"GET /v1/pools", FAKE_JSON(POOLS)}};
    static const char *const lines[][2] = {
        {"pool", "nope"}, {"server", "demo/nope"}, {"servers", "nope"}, {"server", "nope/anna"}};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "get", lines[i][0], lines[i][1],
                                         "-o", "name", NULL);
        ck_assert_msg(run.code == CTL_NOT_FOUND, "%s: %d", lines[i][1], run.code);
        ck_assert_str_eq(run.out, "");
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(kinds_that_do_not_exist)
{
    struct fake_run run = fake_lbctl(NULL, 0, "get", "polls", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_str_eq(run.err, "lbctl: no kind 'polls'; did you mean 'pools'?\n");
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_get", kinds_have_their_tables, names_that_are_not_there, kinds_that_do_not_exist)
