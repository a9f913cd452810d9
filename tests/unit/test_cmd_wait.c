#include <string.h>

#include "ctl/cmd_wait.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define SERVER(name, health, admin, connections)                                                   \
    "\"" name "\":{\"health\":\"" health "\",\"admin\":\"" admin "\",\"connections\":" connections \
    "}"
#define SERVERS(list) "{\"servers\":{" list "}}"

static const char all_up[] =
    SERVERS(SERVER("a", "up", "ready", "1") "," SERVER("b", "up", "ready", "0"));
static const char one_down[] =
    SERVERS(SERVER("a", "up", "ready", "1") "," SERVER("b", "down", "ready", "0"));
static const char one_out[] =
    SERVERS(SERVER("a", "up", "ready", "1") "," SERVER("b", "down", "maint", "0"));
static const char leaving[] =
    SERVERS(SERVER("a", "up", "drain", "4") "," SERVER("b", "up", "drain", "0"));
static const char gone[] =
    SERVERS(SERVER("a", "up", "drain", "0") "," SERVER("b", "down", "maint", "0"));
static const char starting[] = SERVERS(SERVER("a", "starting", "ready", "0"));
static const char empty[] = SERVERS("");

static const struct {
    const char *status;
    const char *server; /* NULL: the pool */
    const char *goal;
    bool want;
} truths[] = {
    {all_up, NULL, "ready", true},
    {one_down, NULL, "ready", false},
    {one_down, "a", "ready", true},
    {one_down, "b", "ready", false},
    {one_out, NULL, "ready", true}, /* who is taken out is not waited for */
    {one_out, "b", "ready", false}, /* unless it was named */
    {starting, NULL, "ready", false},
    {empty, NULL, "ready", false},
    {leaving, NULL, "drained", false},
    {leaving, "a", "drained", false},
    {leaving, "b", "drained", true},
    {gone, NULL, "drained", true},
    {all_up, "b", "drained", false}, /* idle, but not taken out */
    {empty, NULL, "drained", true},
    {all_up, NULL, "servers=2", true},
    {all_up, NULL, "servers=3", false},
    {one_down, NULL, "servers=1", true},
    {one_down, NULL, "servers=2", false},
    {leaving, NULL, "servers=1", false}, /* they get nothing new */
    {empty, NULL, "servers=0", true},
};

START_TEST(goals_are_judged)
{
    for (size_t i = 0; i < ARRAY_LEN(truths); i++) {
        struct cmd_wait_goal goal;
        struct buf text;
        buf_init(&text, 256);
        struct json *status = json_parse_trusted(slice_from(truths[i].status));
        ck_assert_ptr_nonnull(status);
        ck_assert(cmd_wait_read_goal(truths[i].goal, &goal));
        bool got = cmd_wait_is_true(status, truths[i].server, &goal, &text);
        ck_assert_msg(got == truths[i].want, "case %zu: %s of %s is %d (%s)", i, truths[i].goal,
                      truths[i].status, got, text.data);
        ck_assert_uint_ne(text.len, 0);
        json_free(status);
        buf_fini(&text);
    }
}
END_TEST

START_TEST(goals_have_names)
{
    static const char *const wrong[] = {
        "", "up", "servers", "servers=", "servers=x", "servers=-1", "ready "};
    struct cmd_wait_goal goal;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(!cmd_wait_read_goal(wrong[i], &goal), "%s", wrong[i]);
    }
    ck_assert(cmd_wait_read_goal("servers=12", &goal));
    ck_assert_int_eq(goal.what, CMD_WAIT_SERVERS);
    ck_assert_uint_eq(goal.count, 12);
}
END_TEST

START_TEST(asks_until_it_is_true)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{" SERVER("a", "starting", "ready", "0") "}}")},
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{" SERVER("a", "up", "ready", "0") "}}")},
    };
    struct fake_run run =
        fake_lbctl(turns, ARRAY_LEN(turns), "wait", "web", "--for", "ready", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "web is ready: 1 of 1 server usable\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(no_time_means_yes_or_no)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{" SERVER("a", "down", "ready", "0") "}}")}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "wait", "web/a", "--for", "ready",
                                     "--timeout", "0", NULL);
    ck_assert_int_eq(run.code, CTL_NO);
    ck_assert_str_eq(run.out, "web/a is not ready: 0 of 1 server usable\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(gives_up_in_time)
{
    fake_answer_all(
        FAKE_JSON("{\"servers\":{}}")); /* how often it asks is the machine's business */
    struct fake_run run =
        fake_lbctl(NULL, 0, "wait", "web", "--for", "servers=1", "--timeout", "20ms", NULL);
    ck_assert_int_eq(run.code, CTL_TIMED_OUT);
    ck_assert_str_eq(run.out, "");
    ck_assert_str_eq(run.err,
                     "lbctl: timed out: web is not as wanted: 0 of 0 servers usable, 1 wanted\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(what_is_not_there_is_not_waited_for)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/pools/web/status", FAKE_JSON("{\"servers\":{}}")}};
    struct fake_run run =
        fake_lbctl(turns, ARRAY_LEN(turns), "wait", "web/a", "--for", "drained", NULL);
    ck_assert_int_eq(run.code, CTL_NOT_FOUND);
    ck_assert_str_eq(run.err, "lbctl: pool web has no server 'a'\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(usage_is_checked_before_anything_is_asked)
{
    static const char *const goals[] = {NULL, "up", "servers=2"};
    for (size_t i = 0; i < ARRAY_LEN(goals); i++) {
        struct fake_run run = goals[i] == NULL
                                  ? fake_lbctl(NULL, 0, "wait", "web/a", NULL)
                                  : fake_lbctl(NULL, 0, "wait", "web/a", "--for", goals[i], NULL);
        ck_assert_int_eq(run.code, CTL_USAGE);
        ck_assert_str_ne(run.err, "");
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_wait", goals_are_judged, goals_have_names, asks_until_it_is_true,
           no_time_means_yes_or_no, gives_up_in_time, what_is_not_there_is_not_waited_for,
           usage_is_checked_before_anything_is_asked)
