#include <string.h>

#include "ctl/cmd_server.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define POOL  "/v1/pools/web"
#define PATH  POOL "/servers/anna"
#define STATE PATH "/admin-state"
#define IS(state)                                                                                  \
    {                                                                                              \
        "GET " STATE, FAKE_JSON("{\"state\":\"" state "\"}")                                       \
    }
#define HAS(health, connections)                                                                   \
    {                                                                                              \
        "GET " PATH "/status",                                                                     \
            FAKE_JSON("{\"health\":\"" health "\",\"connections\":" connections "}")               \
    }
#define OTHERS(health)                                                                             \
    {                                                                                              \
        "GET " POOL "/status",                                                                     \
            FAKE_JSON("{\"servers\":{\"anna\":{\"health\":\"up\",\"admin\":\"ready\"},"            \
                      "\"bert\":{\"health\":\"" health "\",\"admin\":\"ready\"}}}")                \
    }
#define PUT                                                                                        \
    {                                                                                              \
        "PUT " STATE, FAKE_JSON("{}")                                                              \
    }

static const struct {
    const char *line[6];
    struct fake_turn turns[5];
    size_t turn_count;
    const char *out;
    const char *err;
    const char *body; /* of the PUT, which is the `put`th question */
    size_t put;
} cases[] = {
    {{"drain", "web/anna"},
     {IS("ready"), OTHERS("up"), PUT, HAS("up", "1")},
     4,
     "drained web/anna: 1 connection left (undo: lbctl enable web/anna)\n",
     "",
     "{\"state\":\"drain\"}",
     2},
    {{"drain", "web/anna", "--deadline=2m", "--on-deadline", "keep", "--yes"},
     {IS("ready"), PUT, HAS("up", "17")},
     3,
     "drained web/anna: 17 connections left (undo: lbctl enable web/anna)\n",
     "",
     "{\"state\":\"drain\",\"deadline\":\"2m\",\"on_deadline\":\"keep\"}",
     1},
    {{"maint", "web/anna", "--for", "forever"},
     {IS("drain"), OTHERS("up"), PUT, HAS("up", "0")},
     4,
     "web/anna in maintenance: 0 connections left (undo: lbctl drain web/anna)\n",
     "",
     "{\"state\":\"maint\"}",
     2},
    {{"enable", "web/anna", "--reason", "new \"kernel\""},
     {IS("maint"), {"PUT " STATE, FAKE_REPLY("204 No Content", "", "")}, HAS("up", "0")},
     3,
     "enabled web/anna, health up (undo: lbctl maint web/anna --for forever)\n",
     "",
     "{\"state\":\"ready\",\"reason\":\"new \\\"kernel\\\"\"}",
     1},
    {{"enable", "web/anna"},
     {IS("ready"), PUT, HAS("up", "0")},
     3,
     "unchanged: web/anna has the state ready already, health up\n",
     "",
     "{\"state\":\"ready\"}",
     1},
    {{"drain", "listener/web", "--yes"},
     {{"GET /v1/listeners/web/admin-state", FAKE_JSON("{\"state\":\"ready\"}")},
      {"PUT /v1/listeners/web/admin-state", FAKE_JSON("{}")},
      {"GET /v1/listeners/web/status", FAKE_JSON("{\"connections\":3}")}},
     3,
     "drained listener/web: 3 connections left (undo: lbctl enable listener/web)\n",
     "",
     "{\"state\":\"drain\"}",
     1},
    {{"drain", "process", "-y"},
     {{"GET /v1/admin-state", FAKE_JSON("{\"state\":\"ready\"}")},
      {"PUT /v1/admin-state", FAKE_JSON("{}")},
      {"GET /v1/status",
       FAKE_JSON("{\"listeners\":{\"a\":{\"connections\":3},\"b\":{\"connections\":4}}}")}},
     3,
     "drained process: 7 connections left (undo: lbctl enable process)\n",
     "",
     "{\"state\":\"drain\"}",
     1},
    {{"enable", "process"},
     {{"GET /v1/admin-state", FAKE_JSON("{\"state\":\"drain\"}")},
      {"PUT /v1/admin-state", FAKE_JSON("{}")}},
     2,
     "enabled process (undo: lbctl drain process)\n",
     "",
     "{\"state\":\"ready\"}",
     1},
};

START_TEST(says_what_happened_and_how_to_undo_it)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run = fake_lbctl(cases[i].turns, cases[i].turn_count, line[0], line[1],
                                         line[2], line[3], line[4], line[5], NULL);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu: %s", i, run.out);
        ck_assert_str_eq(run.err, cases[i].err);
        ck_assert_int_eq(run.code, CTL_OK);
        ck_assert_msg(strstr(run.api.requests[cases[i].put], cases[i].body) != NULL, "case %zu: %s",
                      i, run.api.requests[cases[i].put]);
        fake_run_fini(&run);
    }
}
END_TEST

/* The state is what it was, and yet something is new. */
START_TEST(what_stays_may_have_changed)
{
    static const struct fake_turn forever[] = {
        IS("maint"),
        {"PUT " STATE, FAKE_JSON("{\"state\":\"maint\",\"override\":{\"expires\":"
                                 "\"2099-01-01T00:00:00Z\"}}")},
        HAS("down", "0")};
    static const struct fake_turn longer[] = {
        {"GET " STATE,
         FAKE_JSON("{\"state\":\"drain\",\"drain\":{\"phase\":\"waiting\",\"deadline\":"
                   "\"2099-01-01T00:00:00Z\"}}")},
        {"PUT " STATE, FAKE_JSON("{\"state\":\"drain\",\"drain\":{\"phase\":\"waiting\"}}")},
        HAS("up", "2")};
    static const struct fake_turn done[] = {
        IS("ready"),
        OTHERS("up"),
        {"PUT " STATE, FAKE_JSON("{\"state\":\"drain\",\"drain\":{\"phase\":\"done\",\"deadline\":"
                                 "\"2099-01-01T00:00:00Z\"}}")},
        HAS("up", "0")};
    struct fake_run run = fake_lbctl(forever, 3, "maint", "web/anna", "--for=2h", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "web/anna stays in maintenance until "));
    ck_assert_ptr_nonnull(
        strstr(run.out, ": 0 connections left (undo: lbctl maint web/anna --for forever)\n"));
    fake_run_fini(&run);
    run = fake_lbctl(longer, 3, "drain", "web/anna", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "web/anna stays drained: 2 connections left "
                                          "(undo: lbctl drain web/anna --deadline "));
    fake_run_fini(&run);
    run = fake_lbctl(done, 4, "drain", "web/anna", NULL); /* nothing is left to be closed */
    ck_assert_str_eq(run.out,
                     "drained web/anna: 0 connections left (undo: lbctl enable web/anna)\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(maintenance_ends_by_itself)
{
    static const struct fake_turn turns[] = {IS("ready"), PUT, HAS("up", "0")};
    struct fake_run run = fake_lbctl(turns, 3, "maint", "web/anna", "--yes", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_ptr_nonnull(strstr(run.out, "web/anna in maintenance until "));
    ck_assert_str_eq(run.err,
                     "hint: it comes back by itself then; --for TIME or --for forever says "
                     "otherwise\n");
    ck_assert_ptr_nonnull(strstr(run.api.requests[1], "{\"state\":\"maint\",\"expires\":\"1h\"}"));
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "maint", "web/anna", "--for", "soon", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "maint", "listener/web", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

START_TEST(the_last_one_is_asked_about)
{
    static const struct fake_turn turns[] = {IS("ready"), OTHERS("down"), PUT, HAS("up", "0")};
    struct fake_run run = fake_lbctl(turns, 2, "drain", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "web/anna is the last server of pool web that receives "
                                          "requests, and is to be drained; nothing was changed\n"
                                          "hint: --yes"));
    fake_run_fini(&run);
    fake_person("y\n");
    run = fake_lbctl(turns, 4, "drain", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
}
END_TEST

START_TEST(the_answer_is_printed_as_it_came)
{
    static const struct fake_turn turns[] = {IS("drain"),
                                             {"PUT " STATE, FAKE_JSON("{\"state\":\"drain\"}")}};
    struct fake_run run = fake_lbctl(turns, 2, "drain", "web/anna", "-o", "jsonl", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "{\"state\":\"drain\"}\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(waits_until_nothing_is_left)
{
    static const struct fake_turn turns[] = {
        IS("drain"),
        PUT,
        HAS("up", "2"),
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{\"anna\":{\"admin\":\"drain\",\"connections\":1}}}")},
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{\"anna\":{\"admin\":\"drain\",\"connections\":0}}}")},
    };
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "drain", "web/anna", "--wait", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out,
                     "unchanged: web/anna has the state drain already: 2 connections left\n"
                     "web/anna is drained: 0 connections left\n");
    ck_assert_str_eq(run.err, "web/anna: 1 connection left\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(a_drain_that_keeps_what_is_left_is_no_success)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/listeners/w/admin-state", FAKE_JSON("{\"state\":\"ready\"}")},
        {"PUT /v1/listeners/w/admin-state", FAKE_JSON("{}")},
        {"GET /v1/listeners/w/status", FAKE_JSON("{\"connections\":3}")},
        {"GET /v1/listeners/w/admin-state",
         FAKE_JSON("{\"drain\":{\"phase\":\"waiting\",\"remaining\":3}}")},
        {"GET /v1/listeners/w/admin-state",
         FAKE_JSON("{\"drain\":{\"phase\":\"kept\",\"remaining\":2}}")}};
    struct fake_run run =
        fake_lbctl(turns, ARRAY_LEN(turns), "drain", "listener/w", "--wait", "--yes", NULL);
    ck_assert_int_eq(run.code, CTL_NO);
    ck_assert_str_eq(run.err, "listener/w: 3 connections left\n");
    ck_assert_ptr_nonnull(
        strstr(run.out, "\nlistener/w is not drained: 2 connections left (kept)\n"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(what_is_refused)
{
    static const struct fake_turn none[] = {
        {"GET " STATE,
         FAKE_PROBLEM("404 Not Found", "{\"title\":\"Not found\",\"detail\":\"no server\"}")}};
    static const struct fake_turn unsaved[] = {
        IS("drain"),
        {"PUT " STATE, FAKE_PROBLEM("507 Insufficient Storage", "{\"title\":\"Not saved\"}")}};
    struct fake_run run = fake_lbctl(none, 1, "maint", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_NOT_FOUND);
    ck_assert_str_eq(run.out, "");
    ck_assert_str_eq(run.err, "lbctl: Not found: no server\nhint: lbctl get servers\n");
    fake_run_fini(&run);
    run = fake_lbctl(unsaved, 2, "drain", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_REFUSED);
    ck_assert_str_eq(run.err, "lbctl: Not saved\n");
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "drain", "web/anna", "--on-deadline", "explode", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

#define WEIGHT PATH "/overrides/weight"

static const struct {
    const char *word;
    struct fake_turn turns[3];
    const char *body;
    const char *out;
} weights[] = {
    {"50",
     {{"GET " WEIGHT, FAKE_JSON("{\"weight\":100,\"configured\":100}")},
      {"PUT " WEIGHT, FAKE_JSON("{}")},
      {"GET " WEIGHT, FAKE_JSON("{\"weight\":50,\"override\":{}}")}},
     "{\"weight\":50}",
     "web/anna: weight 100 -> 50 (undo: lbctl weight web/anna reset)\n"},
    {"10%",
     {{"GET " WEIGHT, FAKE_JSON("{\"weight\":50,\"override\":{}}")},
      {"PUT " WEIGHT, FAKE_JSON("{}")},
      {"GET " WEIGHT, FAKE_JSON("{\"weight\":10,\"override\":{}}")}},
     "{\"weight\":\"10%\"}",
     "web/anna: weight 50 -> 10 (undo: lbctl weight web/anna 50)\n"},
    {"reset",
     {{"GET " WEIGHT, FAKE_JSON("{\"weight\":50,\"override\":{}}")},
      {"DELETE " WEIGHT, FAKE_REPLY("204 No Content", "", "")},
      {"GET " WEIGHT, FAKE_JSON("{\"weight\":100}")}},
     "",
     "web/anna: weight 50 -> 100 (undo: lbctl weight web/anna 50)\n"},
    {"50",
     {{"GET " WEIGHT, FAKE_JSON("{\"weight\":50,\"override\":{}}")},
      {"PUT " WEIGHT, FAKE_JSON("{}")},
      {"GET " WEIGHT, FAKE_JSON("{\"weight\":50,\"override\":{}}")}},
     "{\"weight\":50}",
     "unchanged: web/anna has the weight 50 already\n"},
};

START_TEST(weights_are_changed_and_reset)
{
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        struct fake_run run =
            fake_lbctl(weights[i].turns, 3, "weight", "web/anna", weights[i].word, NULL);
        ck_assert_str_eq(run.out, weights[i].out);
        ck_assert_int_eq(run.code, CTL_OK);
        ck_assert_ptr_nonnull(strstr(run.api.requests[1], weights[i].body));
        fake_run_fini(&run);
    }
    struct fake_run run = fake_lbctl(weights[0].turns, 1, "weight", "web/anna", "half", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

START_TEST(checks_say_how_it_went)
{
    static const struct fake_turn one[] = {
        {"POST " PATH "/check", FAKE_JSON("{\"result\":\"passed\",\"detail\":\"200\","
                                          "\"duration_ms\":1.25,\"health\":\"up\"}")}};
    static const struct fake_turn all[] = {
        {"POST " POOL "/check",
         FAKE_JSON(
             "{\"servers\":{\"anna\":{\"result\":\"passed\",\"health\":\"up\"},"
             "\"bert\":{\"result\":\"failed\",\"detail\":\"refused\",\"health\":\"down\"}}}")}};
    struct fake_run run = fake_lbctl(one, 1, "check", "web/anna", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "SERVER    RESULT  HEALTH    TOOK  DETAIL\n"
                              "web/anna  passed  up      1.2 ms  200\n");
    fake_run_fini(&run);
    run = fake_lbctl(all, 1, "check", "web", NULL);
    ck_assert_int_eq(run.code, CTL_NO);
    ck_assert_ptr_nonnull(strstr(run.out, "web/bert  failed  down"));
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_server", says_what_happened_and_how_to_undo_it, what_stays_may_have_changed,
           maintenance_ends_by_itself, the_last_one_is_asked_about,
           the_answer_is_printed_as_it_came, waits_until_nothing_is_left,
           a_drain_that_keeps_what_is_left_is_no_success, what_is_refused,
           weights_are_changed_and_reset, checks_say_how_it_went)
