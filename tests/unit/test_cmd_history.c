#include <string.h>

#include "ctl/cmd_history.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define REVISIONS                                                                                  \
    "{\"revisions\":[{\"revision\":42,\"time\":\"soon\",\"who\":\"unix uid=0\",\"via\":\"put\","   \
    "\"summary\":\"pools/web: added\",\"changes_total\":1,\"hash\":\"ab\",\"bytes\":9,"            \
    "\"confirmed\":false,\"current\":true},{\"revision\":41,\"time\":\"once\",\"who\":\"me\","     \
    "\"via\":\"rollback\",\"changes_total\":3,\"confirmed\":true,\"rolled_back_to\":7}]}"
#define LISTED                                                                                     \
    {                                                                                              \
        "GET /v1/revisions", FAKE_JSON(REVISIONS)                                                  \
    }
#define NOW                                                                                        \
    {                                                                                              \
        "GET /v1/config",                                                                          \
            FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 42\r\n",         \
                       "{\"pools\":{\"web\":{\"servers\":{\"a\":{},\"b\":{}}}}}")                  \
    }
#define DIFF                                                                                       \
    {                                                                                              \
        "GET /v1/revisions/42/diff?to=41",                                                         \
            FAKE_JSON("{\"changes\":[{\"pointer\":\"/x\",\"after\":1}]}")                          \
    }
#define THEN(servers)                                                                              \
    {                                                                                              \
        "GET /v1/revisions/41/config",                                                             \
            FAKE_JSON("{\"pools\":{\"web\":{\"servers\":{" servers "}}}}")                         \
    }
#define DONE(body)                                                                                 \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 43\r\n", body)

static const struct {
    const char *line[4];
    struct fake_turn turns[6];
    size_t turn_count;
    enum ctl_exit code;
    const char *out;
    const char *err; /* begins with */
} cases[] = {
    {{"history"},
     {LISTED},
     1,
     CTL_OK,
     "REVISION  TIME  STATE        VIA       WHO         CHANGES  SUMMARY\n"
     "      42  soon  unconfirmed  put       unix uid=0        1  pools/web: added\n"
     "      41  once  -            rollback  me                3  back to 7\n",
     ""},
    {{"history", "-n1", "-oname"}, {LISTED}, 1, CTL_OK, "42\n", ""},
    {{"rollback"},
     {NOW, LISTED, DIFF, THEN("\"a\":{}"), {"POST /v1/revisions/41/rollback", DONE("{}")}},
     5,
     CTL_OK,
     "+ /x: 1\nrolled back to 41: 1 change, revision 43 (undo: lbctl rollback 42)\n",
     ""},
    {{"rollback", "41", "--dry-run"},
     {NOW, DIFF},
     2,
     CTL_OK,
     "+ /x: 1\nnot rolled back to 41 (dry run): 1 change\n",
     ""},
    {{"rollback", "41"},
     {NOW, DIFF, THEN("")},
     3,
     CTL_USAGE,
     "+ /x: 1\n",
     "lbctl: 2 of 2 servers would go; nothing was changed\n"},
    {{"rollback", "x"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: a revision is a number, not 'x'\n"},
    {{"rollback"},
     {NOW, {"GET /v1/revisions", FAKE_JSON("{\"revisions\":[]}")}},
     2,
     CTL_NOT_FOUND,
     "",
     "lbctl: there is no revision before 42\n"},
    {{"confirm"},
     {{"GET /v1/config/status", FAKE_JSON("{\"revision\":42,\"unconfirmed\":{\"revision\":42,"
                                          "\"base_revision\":40}}")},
      {"POST /v1/revisions/42/confirm", DONE("{}")}},
     2,
     CTL_OK,
     "confirmed: revision 42 stays (undo: lbctl rollback 40)\n",
     ""},
    {{"confirm", "42"},
     {{"POST /v1/revisions/42/confirm", DONE("{}")}},
     1,
     CTL_OK,
     "confirmed: revision 42 stays\n",
     ""},
    {{"history", "--output=jsonl", "-n1"},
     {{"GET /v1/revisions", FAKE_JSON("{\"revisions\":[{\"revision\":2},{\"revision\":1}]}")}},
     1,
     CTL_OK,
     "{\"revision\":2}\n",
     ""},
    {{"history", "--output=json", "-n1"},
     {{"GET /v1/revisions", FAKE_JSON("{\"revisions\":[{\"revision\":2},{\"revision\":1}]}")}},
     1,
     CTL_OK,
     "{\n  \"revisions\": [\n    {\n      \"revision\": 2\n    }\n  ]\n}\n",
     ""},
    {{"history", "-n", "0"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: --limit must be a number, 1 or more, not '0'\n"},
    {{"confirm", "9"},
     {{"POST /v1/revisions/9/confirm", FAKE_PROBLEM("409 Conflict", "{\"title\":\"It is not\"}")}},
     1,
     CTL_CONFLICT,
     "",
     "lbctl: It is not\n"},
    {{"reject"},
     {{"GET /v1/config/status", FAKE_JSON("{\"unconfirmed\":{\"revision\":42}}")},
      {"POST /v1/revisions/42/reject", DONE("{\"revision\":43,\"rolled_back_to\":41}")}},
     2,
     CTL_OK,
     "rejected: revision 42; back to 41, revision 43 (undo: lbctl rollback 42)\n",
     ""},
};

START_TEST(back_and_forth)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_run run =
            fake_lbctl(cases[i].turns, cases[i].turn_count, cases[i].line[0], cases[i].line[1],
                       cases[i].line[2], cases[i].line[3], NULL);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu: %s%s", i, run.out, run.err);
        ck_assert_msg(strncmp(run.err, cases[i].err, strlen(cases[i].err)) == 0, "case %zu: %s", i,
                      run.err);
        ck_assert_int_eq(run.code, cases[i].code);
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_history", back_and_forth)
