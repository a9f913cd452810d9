#include <stdlib.h>
#include <string.h>

#include "ctl/cmd_status.h"
#include "lbd/base/buf.h"
#include "lbd_version.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define SERVER(address, health, admin, weight)                                                     \
    "{\"address\":\"" address "\",\"health\":\"" health "\",\"admin\":\"" admin                    \
    "\",\"effective_weight\":" weight ",\"connections\":3}"
#define STATUS                                                                                     \
    "{\"version\":\"0.1.0\",\"revision\":42,\"source\":\"api\",\"state\":\"ready\","               \
    "\"uptime_seconds\":273600,\"workers\":2,"                                                     \
    "\"listeners\":{\"web\":{\"addresses\":[\"127.0.0.1:80\",\"[::1]:80\"],\"connections\":12,"    \
    "\"state\":\"up\"}},\"pools\":{\"demo\":{\"usable\":1,\"servers\":{"                           \
    "\"anna\":" SERVER(                                                                            \
        "127.0.0.1:9081", "up", "ready",                                                           \
        "100") ","                                                                                 \
               "\"bert\":" SERVER(                                                                 \
                   "10.0.0.1:9", "down", "drain",                                                  \
                   "0") "}}},"                                                                     \
                        "\"problems\":[{\"pointer\":\"#/pools/demo/servers/bert\",\"message\":\"connection refused\"}]}"

START_TEST(one_screen)
{
    static const struct fake_turn turns[] = {{"GET /v1/status", FAKE_JSON(STATUS)}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.err, "");
    ck_assert_str_eq(run.out, "lbd 0.1.0  ready  revision 42 (api)  up 3d 4h  2 workers\n"
                              "\n"
                              "LISTENER  ADDRESS                 STATE  CONNECTIONS\n"
                              "web       127.0.0.1:80, [::1]:80  up              12\n"
                              "\n"
                              "SERVER     ADDRESS         HEALTH  ADMIN  WEIGHT  IN-USE\n"
                              "demo/anna  127.0.0.1:9081  up      ready     100       3\n"
                              "demo/bert  10.0.0.1:9      down    drain       0       3\n"
                              "\n"
                              "problem: /pools/demo/servers/bert: connection refused\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(who_rests_is_told_with_the_reason)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/status",
         FAKE_JSON("{\"version\":\"1\",\"workers\":1,\"pools\":{\"stable\":{\"servers\":{"
                   "\"a\":{\"address\":\"x:1\",\"health\":\"up\",\"admin\":\"ready\","
                   "\"outlier\":{\"mode\":\"shadow\",\"detail\":\"not said\"}},"
                   "\"b\":{\"address\":\"x:2\",\"health\":\"up\",\"admin\":\"ready\","
                   "\"outlier\":{\"mode\":\"enforce\",\"until\":\"soon\","
                   "\"detail\":\"3 failures in a row\"}}}}}}")}};
    struct fake_run run = fake_lbctl(turns, 1, "status", NULL);
    ck_assert_msg(strstr(run.out, "\n\nnote: stable/b rests until soon: 3 failures in a row\n") !=
                      NULL,
                  "%s", run.out);
    ck_assert_ptr_null(strstr(run.out, "no problems"));
    ck_assert_ptr_null(strstr(run.out, "not said"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(who_waits_in_a_queue_is_counted)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/status", FAKE_JSON("{\"version\":\"1\",\"workers\":1,\"pools\":{"
                                     "\"a\":{\"queued\":0},\"b\":{\"queued\":3},\"c\":{}}}")}};
    struct fake_run run = fake_lbctl(turns, 1, "status", NULL);
    ck_assert_msg(strstr(run.out, "\n\npool b: 3 queued: lbctl describe pool b\n\nno problems\n") !=
                      NULL,
                  "%s", run.out);
    fake_run_fini(&run);
}
END_TEST

START_TEST(colour_only_where_asked_for)
{
    static const struct fake_turn turns[] = {{"GET /v1/status", FAKE_JSON(STATUS)}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", "--color=always", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "\033[32mup\033[0m"));
    ck_assert_ptr_nonnull(strstr(run.out, "\033[1;31mdown\033[0m"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(what_somebody_should_know_of)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/status",
         FAKE_JSON("{\"version\":\"1\",\"workers\":1,\"conditions\":["
                   "{\"type\":\"Ready\",\"status\":false,\"message\":\"told by the problems\"},"
                   "{\"type\":\"Degraded\",\"status\":false,\"message\":\"fine\"},"
                   "{\"type\":\"ConfigConfirmed\",\"status\":false,\"message\":\"on trial\"},"
                   "{\"type\":\"SeedInSync\",\"status\":false,\"message\":\"differs\"}]}")}};
    struct fake_run run = fake_lbctl(turns, 1, "status", NULL);
    ck_assert_ptr_nonnull(
        strstr(run.out, "\n\nnote: ConfigConfirmed: on trial (lbctl confirm, or lbctl reject)\n"
                        "note: SeedInSync: differs (lbctl diff --seed)\n"));
    ck_assert_ptr_null(strstr(run.out, "no problems"));
    ck_assert_ptr_null(strstr(run.out, "Degraded"));
    ck_assert_ptr_null(strstr(run.out, "told by"));
    fake_run_fini(&run);
}
END_TEST

/* Who did it, why and until when is told without a further command. */
START_TEST(what_was_set_by_hand)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/status",
         FAKE_JSON(
             "{\"version\":\"1\",\"workers\":1,\"pools\":{\"web\":{\"servers\":{\"a\":{"
             "\"overridden\":true}}}},\"conditions\":[{\"type\":\"ConfigConfirmed\","
             "\"status\":false,\"message\":\"taken back at 1970-01-01T00:00:01.5Z unless\"}]}")},
        {"GET /v1/overrides",
         FAKE_JSON("{\"overrides\":["
                   "{\"target\":\"web/a\",\"state\":\"drain\",\"base\":\"ready\",\"who\":\"anna\","
                   "\"since\":\"1970-01-01T00:00:01Z\",\"expires\":\"1970-01-02T00:00:01Z\","
                   "\"reason\":\"new kernel\"},"
                   "{\"target\":\"web/b\",\"weight\":7,\"base\":100,\"who\":\"bert\","
                   "\"since\":\"1970-01-01T00:00:01Z\"},"
                   "{\"target\":\"web/c\",\"state\":\"ready\",\"base\":\"maint\",\"who\":\"cleo\","
                   "\"since\":\"1970-01-01T00:00:01Z\"}]}")}};
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", NULL);
    ck_assert_msg(
        strstr(
            run.out,
            "by hand: web/a state drain, since 1970-01-01 00:00 by anna, until 1970-01-02 00:00: new "
            "kernel (undo: lbctl enable web/a)\n"
            "by hand: web/b weight 7, since 1970-01-01 00:00 by bert (undo: lbctl weight web/b "
            "reset)\n"
            "by hand: web/c state ready, since 1970-01-01 00:00 by cleo (undo: lbctl maint web/c)\n"
            "note: ConfigConfirmed: taken back at 1970-01-01 00:00 unless (lbctl confirm,") != NULL,
        "%s", run.out);
    fake_run_fini(&run);
}
END_TEST

START_TEST(json_is_the_document)
{
    static const struct fake_turn turns[] = {{"GET /v1/status", FAKE_JSON(STATUS)}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", "-o", "jsonl", NULL);
    ck_assert_str_eq(run.out, STATUS "\n");
    fake_run_fini(&run);
}
END_TEST

/* 10,000 servers do not scroll past: those in trouble are named, the others counted. */
START_TEST(a_large_house_still_fits)
{
    enum { SERVERS = 100 };
    struct buf text;
    buf_init(&text, 1024 * 1024);
    buf_append_text(&text, FAKE_JSON("{\"version\":\"1\",\"uptime_seconds\":61,\"workers\":1,"
                                     "\"pools\":{\"p\":{\"servers\":{"));
    for (int i = 0; i < SERVERS; i++) {
        buf_printf(&text, "%s\"s%d\":{\"health\":\"%s\",\"admin\":\"ready\"}", i == 0 ? "" : ",", i,
                   i == 77 ? "down" : "up");
    }
    buf_append_text(&text, "}}}}");
    const struct fake_turn turns[] = {{"GET /v1/status", text.data}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "\np/s77  "));
    ck_assert_ptr_null(strstr(run.out, "\np/s1 "));
    ck_assert_ptr_nonnull(strstr(run.out, "\n99 more: lbctl get servers\n"));
    ck_assert_ptr_nonnull(strstr(run.out, "\nno problems\n"));
    ck_assert_ptr_nonnull(strstr(run.out, "  up 1m 1s  1 worker\n"));
    fake_run_fini(&run);
    buf_fini(&text);
}
END_TEST

START_TEST(version_names_both)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/version", FAKE_JSON("{\"version\":\"7.7.7\"}")}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "version", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "lbctl " LBD_VERSION "\nlbd   7.7.7\n");
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_status", one_screen, who_rests_is_told_with_the_reason,
           who_waits_in_a_queue_is_counted, what_somebody_should_know_of,
           colour_only_where_asked_for, what_was_set_by_hand, json_is_the_document,
           a_large_house_still_fits, version_names_both)
