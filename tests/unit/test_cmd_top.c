#include <string.h>

#include "ctl/cmd_top.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define ASK "GET /v1/stats?scope=process%2Clisteners%2Croutes%2Cpools%2Cservers"
#define STATS(second, requests)                                                                    \
    FAKE_JSON("{\"time\":\"2026-11-26T11:00:0" second "Z\",\"revision\":42,\"process\":{"          \
              "\"uptime_seconds\":90,\"workers\":1,\"requests\":" requests                         \
              "},\"servers\":{\"w/a\":{"                                                           \
              "\"health\":\"up\",\"admin\":\"ready\",\"weight\":100,\"requests\":" requests "}}}")

START_TEST(once_is_a_table)
{
    static const struct fake_turn turns[] = {{ASK, STATS("0", "10")}, {ASK, STATS("2", "110")}};
    struct fake_run run = fake_lbctl(turns, 2, "top", "servers", "--once", NULL);
    ck_assert_str_eq(run.out, "lbd  revision 42  up 1m 30s  1 worker\n"
                              "0 connections  50.0 req/s  0% errors  p50 -  p95 -  p99 - ms\n"
                              "\n"
                              "NAME  HEALTH  ADMIN  WEIGHT  OPEN  REQ/S  ERR%  MEAN ms\n"
                              "w/a   up      ready     100     0   50.0     0        0\n");
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
    run = fake_lbctl(turns, 2, "top", "servers", "-ojsonl", NULL);
    ck_assert_ptr_nonnull(strstr(run.out,
                                 "\"servers\":{\"w/a\":{\"health\":\"up\",\"admin\":\"ready\","
                                 "\"weight\":100,\"connections\":0,"
                                 "\"requests_per_second\":50,"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(what_cannot_be_watched)
{
    static const struct fake_turn turns[] = {{ASK, FAKE_PROBLEM("403 No", "{\"title\":\"No\"}")}};
    struct fake_run run = fake_lbctl(turns, 1, "top", NULL);
    ck_assert_int_eq(run.code, CTL_DENIED);
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "top", "workers", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_top", once_is_a_table, what_cannot_be_watched)
