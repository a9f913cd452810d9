#include <string.h>

#include "ctl/cmd_server.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define STATUS(admin, connections)                                                                 \
    FAKE_JSON("{\"health\":\"up\",\"admin\":\"" admin "\",\"connections\":" connections "}")
#define PATH "/v1/pools/web/servers/anna"

static const struct {
    const char *command;
    struct fake_turn turns[3];
    const char *out;
} cases[] = {
    {"drain",
     {{"GET " PATH "/status", STATUS("ready", "3")},
      {"PUT " PATH "/admin-state", FAKE_JSON("{}")},
      {"GET " PATH "/status", STATUS("drain", "1")}},
     "drained web/anna: 1 connection left (undo: lbctl enable web/anna)\n"},
    {"maint",
     {{"GET " PATH "/status", STATUS("drain", "0")},
      {"PUT " PATH "/admin-state", FAKE_JSON("{}")},
      {"GET " PATH "/status", STATUS("maint", "0")}},
     "web/anna in maintenance: 0 connections left (undo: lbctl drain web/anna)\n"},
    {"enable",
     {{"GET " PATH "/status", STATUS("maint", "0")},
      {"PUT " PATH "/admin-state", FAKE_REPLY("204 No Content", "", "")},
      {"GET " PATH "/status", STATUS("ready", "0")}},
     "enabled web/anna, health up (undo: lbctl maint web/anna)\n"},
    {"enable",
     {{"GET " PATH "/status", STATUS("ready", "0")},
      {"PUT " PATH "/admin-state", FAKE_JSON("{}")},
      {"GET " PATH "/status", STATUS("ready", "0")}},
     "unchanged: web/anna has the state ready already, health up\n"},
};

START_TEST(says_what_happened_and_how_to_undo_it)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_run run = fake_lbctl(cases[i].turns, ARRAY_LEN(cases[i].turns),
                                         cases[i].command, "web/anna", NULL);
        ck_assert_str_eq(run.out, cases[i].out);
        ck_assert_str_eq(run.err, "");
        ck_assert_int_eq(run.code, CTL_OK);
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(the_reason_goes_along)
{
    static const struct fake_turn turns[] = {
        {"GET " PATH "/status", STATUS("ready", "0")},
        {"PUT " PATH "/admin-state", FAKE_JSON("{\"state\":\"drain\"}")},
    };
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "drain", "web/anna", "--reason",
                                     "new \"kernel\"", "-o", "jsonl", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "{\"state\":\"drain\"}\n");
    ck_assert_ptr_nonnull(strstr(
        run.api.requests[1], "\r\n\r\n{\"state\":\"drain\",\"reason\":\"new \\\"kernel\\\"\"}"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(waits_until_nothing_is_left)
{
    static const struct fake_turn turns[] = {
        {"GET " PATH "/status", STATUS("ready", "2")},
        {"PUT " PATH "/admin-state", FAKE_JSON("{}")},
        {"GET " PATH "/status", STATUS("drain", "2")},
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{\"anna\":{\"admin\":\"drain\",\"connections\":1}}}")},
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{\"anna\":{\"admin\":\"drain\",\"connections\":0}}}")},
    };
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "drain", "web/anna", "--wait", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "drained web/anna: 2 connections left (undo: lbctl enable web/anna)\n"
                              "web/anna is drained: 0 connections left\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(a_server_that_is_not_there)
{
    static const struct fake_turn turns[] = {
        {"GET " PATH "/status",
         FAKE_PROBLEM("404 Not Found", "{\"title\":\"Not found\",\"detail\":\"no server\"}")}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "maint", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_NOT_FOUND);
    ck_assert_str_eq(run.out, "");
    ck_assert_str_eq(run.err, "lbctl: Not found: no server\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(a_state_that_cannot_be_saved)
{
    static const struct fake_turn turns[] = {
        {"GET " PATH "/status", STATUS("ready", "0")},
        {"PUT " PATH "/admin-state",
         FAKE_PROBLEM("507 Insufficient Storage", "{\"title\":\"Not saved\"}")},
    };
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "drain", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_REFUSED);
    ck_assert_str_eq(run.err, "lbctl: Not saved\n");
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_server", says_what_happened_and_how_to_undo_it, the_reason_goes_along,
           waits_until_nothing_is_left, a_server_that_is_not_there, a_state_that_cannot_be_saved)
