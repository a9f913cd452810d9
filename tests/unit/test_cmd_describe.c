#include <string.h>

#include "ctl/cmd_describe.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define OVERRIDES                                                                                  \
    {                                                                                              \
        "GET /v1/overrides",                                                                       \
            FAKE_JSON(                                                                             \
                "{\"overrides\":[{\"kind\":\"weight\",\"target\":\"web/a\",\"weight\":5,"          \
                "\"who\":\"me\",\"since\":\"then\",\"expires\":\"soon\",\"reason\":\"why\"},"      \
                "{\"kind\":\"admin_state\",\"target\":\"webber/a\",\"state\":\"drain\"}]}")        \
    }
#define POOL                                                                                       \
    {                                                                                              \
        "GET /v1/pools/web",                                                                       \
            FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 4\r\n",          \
                       "{\"retries\":1}")                                                          \
    }
#define STATUS                                                                                                           \
    {                                                                                                                    \
        "GET /v1/pools/web/status",                                                                                      \
            FAKE_JSON(                                                                                                   \
                "{\"health\":\"up\",\"drain\":{\"phase\":\"done\"},\"conditions\":[{\"type\":\"Ready\",\"status\":true," \
                "\"reason\":\"AllUp\",\"message\":\"fine\",\"since\":\"then\"}],\"servers\":{"                           \
                "\"a\":{\"address\":\"x:1\",\"health\":\"up\",\"admin\":\"ready\"}}}")                                   \
    }
#define EVENTS                                                                                     \
    {                                                                                              \
        "GET /v1/events?limit=4096&name=web",                                                      \
            FAKE_JSON(                                                                             \
                "{\"events\":[{\"time\":\"then\",\"type\":\"server.admin\",\"name\":\"web/a\","    \
                "\"message\":\"m\"}]}")                                                            \
    }

START_TEST(all_on_one_page)
{
    static const struct fake_turn turns[] = {POOL, STATUS, OVERRIDES, EVENTS};
    struct fake_run run = fake_lbctl(turns, 4, "describe", "pool", "web", NULL);
    ck_assert_str_eq(run.out, "pool web\n"
                              "\n"
                              "configuration, revision 4:\n"
                              "  {\n"
                              "    \"retries\": 1\n"
                              "  }\n"
                              "\n"
                              "status:\n"
                              "  health            up\n"
                              "  drain.phase       done\n"
                              "  CONDITION  STATUS  REASON  SINCE  MESSAGE\n"
                              "  Ready      yes     AllUp   then   fine\n"
                              "  SERVER  ADDRESS  HEALTH  ADMIN  WEIGHT  IN-USE\n"
                              "  web/a   x:1      up      ready       0       0\n"
                              "\n"
                              "changed by hand:\n"
                              "  web/a weight 5, since then by me, until soon: why\n"
                              "\n"
                              "last events:\n"
                              "  then  server.admin         web/a                 m\n");
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
    run = fake_lbctl(turns, 4, "describe", "pool", "web", "-ojsonl", NULL);
    ck_assert_ptr_nonnull(
        strstr(run.out, "{\"config\":{\"retries\":1},\"status\":{\"health\":\"up\""));
    ck_assert_ptr_nonnull(strstr(run.out, "\"overrides\":[{\"kind\":\"weight\""));
    fake_run_fini(&run);
}
END_TEST

START_TEST(lists_are_words_and_labels_stand_in_one_column)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/listeners/web", FAKE_JSON("{}")},
        {"GET /v1/listeners/web/status",
         FAKE_JSON("{\"state\":\"up\",\"addresses\":[\"127.0.0.1:80\",\"[::1]:80\"],"
                   "\"used_by\":[\"#/routes/a\"],\"held\":{},\"names\":[],"
                   "\"endings\":{\"rate_limited\":8}}")},
        {"GET /v1/overrides", FAKE_JSON("{\"overrides\":[]}")},
        {"GET /v1/events?limit=4096&name=listener%2Fweb", FAKE_JSON("{\"events\":[]}")}};
    struct fake_run run = fake_lbctl(turns, 4, "describe", "listener", "web", NULL);
    ck_assert_msg(strstr(run.out, "status:\n"
                                  "  state                up\n"
                                  "  addresses            127.0.0.1:80, [::1]:80\n"
                                  "  used_by              routes/a\n"
                                  "  held                 none\n"
                                  "  names                none\n"
                                  "  endings.rate_limited 8\n") != NULL,
                  "%s%s", run.out, run.err);
    fake_run_fini(&run);
}
END_TEST

START_TEST(what_is_not_there)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/routes/x", FAKE_PROBLEM("404 Not Found", "{\"title\":\"None\"}")}};
    struct fake_run run = fake_lbctl(turns, 1, "describe", "route", "x", NULL);
    ck_assert_int_eq(run.code, CTL_NOT_FOUND);
    ck_assert_str_eq(run.out, "");
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_describe", all_on_one_page, lists_are_words_and_labels_stand_in_one_column,
           what_is_not_there)
