#include <string.h>

#include "ctl/cmd_set.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define HAVE(body)                                                                                 \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nETag: \"aa\"\r\nLbd-Revision: 4\r\n",  \
               body)
#define NONE FAKE_PROBLEM("404 Not Found", "{\"title\":\"There is none\"}")
#define DRY                                                                                        \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Changed: false\r\n",               \
               "{\"changes\":[{\"pointer\":\"/x\",\"after\":1}],\"changes_total\":1}")
#define DONE FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 5\r\n", "{}")
#define SAME                                                                                       \
    FAKE_REPLY("200 OK",                                                                           \
               "Content-Type: application/json\r\nLbd-Revision: 4\r\nLbd-Changed: false\r\n",      \
               "{}")
#define OVERTAKEN FAKE_PROBLEM("412 Precondition Failed", "{\"title\":\"It has changed\"}")
#define SERVER    "/v1/pools/web/servers/a"

static const struct {
    const char *line[3];
    struct fake_turn turns[6];
    size_t turn_count;
    const char *out;  /* its last line */
    const char *body; /* in the last question */
} cases[] = {
    {{"set", "pools/web/servers/a/weight", "50"},
     {{"GET " SERVER, HAVE("{\"weight\":7}")},
      {"PUT " SERVER "?dry_run=true", DRY},
      {"PUT " SERVER, DONE}},
     3,
     "set: 1 change, revision 5 (undo: lbctl set pools/web/servers/a/weight 7)\n",
     "{\"weight\":50}"},
    {{"set", "#/pools/web/servers/a/meta/note/", "two words"},
     {{"GET " SERVER, HAVE("{}")}, {"PUT " SERVER "?dry_run=true", DRY}, {"PUT " SERVER, DONE}},
     3,
     "set: 1 change, revision 5 (undo: lbctl unset pools/web/servers/a/meta)\n",
     "{\"meta\":{\"note\":\"two words\"}}"},
    {{"set", "pools/web/servers/a/address", "x:1"}, /* neither server nor pool are there */
     {{"GET " SERVER, NONE},
      {"GET /v1/pools/web", NONE},
      {"PUT /v1/pools/web?dry_run=true", DRY},
      {"PUT /v1/pools/web", DONE}},
     4,
     "set: 1 change, revision 5 (undo: lbctl unset pools/web)\n",
     "{\"servers\":{\"a\":{\"address\":\"x:1\"}}}"},
    {{"set", "listeners/web/bind/1", "[::]:80"},
     {{"GET /v1/listeners/web", HAVE("{\"bind\":[\"a\",\"b c\"]}")},
      {"PUT /v1/listeners/web?dry_run=true", DRY},
      {"PUT /v1/listeners/web", DONE}},
     3,
     "set: 1 change, revision 5 (undo: lbctl set listeners/web/bind/1 'b c')\n",
     "{\"bind\":[\"a\",\"[::]:80\"]}"},
    {{"set", "health_checks/h/expect", "{\"status\":[\"7\"]}"},
     {{"GET /v1/health-checks/h", HAVE("{\"expect\":\"7\"}")}, /* a text that looks like a number */
      {"PUT /v1/health-checks/h?dry_run=true", DRY},
      {"PUT /v1/health-checks/h", DONE}},
     3,
     "set: 1 change, revision 5 (undo: lbctl set health_checks/h/expect '\"7\"')\n",
     "{\"expect\":{\"status\":[\"7\"]}}"},
    {{"set", "policies/pk", "{}"}, /* the first of its kind: others may follow */
     {{"GET /v1/config", HAVE("{\"schema\":1}")},
      {"PUT /v1/config?dry_run=true", DRY},
      {"PUT /v1/config", DONE}},
     3,
     "set: 1 change, revision 5 (undo: lbctl unset policies/pk)\n",
     "{\"schema\":1,\"policies\":{\"pk\":{}}}"},
    {{"set", "pools/web/servers/a/address", "x:1"}, /* into a pool that has no servers */
     {{"GET " SERVER, NONE},
      {"GET /v1/pools/web", HAVE("{}")},
      {"PUT /v1/pools/web?dry_run=true", DRY},
      {"PUT /v1/pools/web", DONE}},
     4,
     "set: 1 change, revision 5 (undo: lbctl unset pools/web/servers/a)\n",
     "{\"servers\":{\"a\":{\"address\":\"x:1\"}}}"},
    {{"set", "schema", "1"},
     {{"GET /v1/config", HAVE("{\"schema\":1}")},
      {"PUT /v1/config?dry_run=true", DRY},
      {"PUT /v1/config", SAME}},
     3,
     "unchanged: revision 4\n",
     "{\"schema\":1}"},
    {{"unset", "pools/web"},
     {{"GET /v1/config", HAVE("{\"pools\":{\"web\":{},\"x\":{}}}")},
      {"PUT /v1/config?dry_run=true", DRY},
      {"PUT /v1/config", DONE}},
     3,
     "unset: 1 change, revision 5 (undo: lbctl set pools/web '{}')\n",
     "{\"pools\":{\"x\":{}}}"},
    {{"unset", "pools/web/retries"},
     {{"GET /v1/pools/web", HAVE("{}")}},
     1,
     "unchanged: pools/web/retries is not set\n",
     ""},
    {{"set", "pools/web/retries", "2"}, /* somebody else was faster, once */
     {{"GET /v1/pools/web", HAVE("{\"retries\":1}")},
      {"PUT /v1/pools/web?dry_run=true", OVERTAKEN},
      {"GET /v1/pools/web", HAVE("{\"retries\":3,\"a\":1}")},
      {"PUT /v1/pools/web?dry_run=true", DRY},
      {"PUT /v1/pools/web", DONE}},
     5,
     "set: 1 change, revision 5 (undo: lbctl set pools/web/retries 3)\n",
     "{\"retries\":2,\"a\":1}"},
};

START_TEST(the_smallest_resource_is_changed)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_run run = fake_lbctl(cases[i].turns, cases[i].turn_count, cases[i].line[0],
                                         cases[i].line[1], cases[i].line[2], NULL);
        ck_assert_msg(run.code == CTL_OK, "case %zu: %d %s", i, run.code, run.err);
        const char *last = strstr(run.out, cases[i].out);
        ck_assert_msg(last != NULL && strlen(last) == strlen(cases[i].out), "case %zu: %s", i,
                      run.out);
        const char *request = run.api.requests[cases[i].turn_count - 1];
        ck_assert_msg(strstr(request, cases[i].body) != NULL, "case %zu: %s", i, request);
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(a_new_one_must_still_be_new)
{
    static const struct fake_turn turns[] = {{"GET /v1/pools/web", NONE},
                                             {"PUT /v1/pools/web?dry_run=true", DRY},
                                             {"PUT /v1/pools/web", DONE}};
    struct fake_run run = fake_lbctl(turns, 3, "set", "pools/web/retries", "2", NULL);
    ck_assert_ptr_nonnull(strstr(run.api.requests[2], "\r\nIf-None-Match: *\r\n"));
    ck_assert_ptr_null(strstr(run.api.requests[2], "If-Match:"));
    fake_run_fini(&run);
}
END_TEST

START_TEST(pointers_that_lead_nowhere)
{
    static const char *const pointers[] = {"", "/", "a~2b", "#"};
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
        struct fake_run run = fake_lbctl(NULL, 0, "set", pointers[i], "1", NULL);
        ck_assert_int_eq(run.code, CTL_USAGE);
        fake_run_fini(&run);
    }
    static const struct fake_turn turns[] = {{"GET /v1/pools/web", HAVE("{\"retries\":1}")}};
    struct fake_run run = fake_lbctl(turns, 1, "set", "pools/web/retries/x", "1", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_str_eq(run.err, "lbctl: pools/web/retries/x leads through what holds nothing\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(an_empty_list_that_must_have_one_is_unset)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/listeners/web", HAVE("{}")},
        {"PUT /v1/listeners/web?dry_run=true",
         FAKE_PROBLEM("422 Unprocessable Content",
                      "{\"title\":\"Not valid\",\"errors\":[{\"pointer\":"
                      "\"#/listeners/web/policies\",\"detail\":\"must have at least 1\"}]}")}};
    struct fake_run run = fake_lbctl(turns, 2, "set", "listeners/web/policies", "[]", NULL);
    ck_assert_int_eq(run.code, CTL_INVALID);
    ck_assert_msg(
        strstr(run.err, "hint: to have none of it: lbctl unset listeners/web/policies\n") != NULL,
        "%s", run.err);
    fake_run_fini(&run);
}
END_TEST

START_TEST(one_thing_is_deleted)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/pools/web", HAVE("{}")},
        {"DELETE /v1/pools/web?dry_run=true", DRY},
        {"DELETE /v1/pools/web", FAKE_REPLY("204 No Content", "Lbd-Revision: 5\r\n", "")}};
    static const struct fake_turn in_use[] = {
        {"GET /v1/pools/web", HAVE("{}")},
        {"DELETE /v1/pools/web?dry_run=true",
         FAKE_PROBLEM("409 Conflict",
                      "{\"title\":\"In use\",\"errors\":[{\"pointer\":\"#/routes/a\","
                      "\"detail\":\"refers to it\"}]}")}};
    struct fake_run run = fake_lbctl(turns, 3, "delete", "pool", "web", NULL);
    ck_assert_str_eq(run.out, "+ /x: 1\ndeleted: 1 change, revision 5 (undo: lbctl rollback 4)\n");
    ck_assert_ptr_nonnull(strstr(run.api.requests[2], "\r\nIf-Match: \"aa\"\r\n"));
    fake_run_fini(&run);
    run = fake_lbctl(in_use, 2, "delete", "pools", "web", NULL);
    ck_assert_int_eq(run.code, CTL_CONFLICT);
    ck_assert_str_eq(run.err, "lbctl: In use\n  /routes/a: refers to it\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(deleting_asks_when_traffic_drops)
{
    static const struct fake_turn server[] = {
        {"GET " SERVER, HAVE("{}")},
        {"DELETE " SERVER "?dry_run=true", DRY},
        {"GET /v1/pools/web/status",
         FAKE_JSON("{\"servers\":{\"a\":{\"health\":\"up\",\"admin\":\"ready\"},"
                   "\"b\":{\"health\":\"down\",\"admin\":\"ready\"}}}")}};
    static const struct fake_turn listener[] = {
        {"GET /v1/listeners/web", HAVE("{}")},
        {"DELETE /v1/listeners/web?dry_run=true", DRY},
        {"GET /v1/listeners/web/status", FAKE_JSON("{\"connections\":2}")}};
    struct fake_run run = fake_lbctl(server, 3, "delete", "server", "web/a", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "web/a is the last server of pool web that receives"));
    fake_run_fini(&run);
    fake_person("no\n");
    run = fake_lbctl(listener, 3, "delete", "listener", "web", NULL);
    ck_assert_int_eq(run.code, CTL_NO);
    ck_assert_str_eq(run.err, "listener web has 2 connections. Go on? [y/N] nothing was changed\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(so_does_unsetting)
{
    static const struct fake_turn pool[] = {
        {"GET /v1/pools/web", HAVE("{\"servers\":{\"a\":{},\"b\":{},\"c\":{}}}")},
        {"PUT /v1/pools/web?dry_run=true", DRY},
        {"PUT /v1/pools/web", DONE}};
    static const struct fake_turn document[] = {
        {"GET /v1/config", HAVE("{\"listeners\":{\"web\":{}},\"pools\":{\"p\":{}}}")},
        {"PUT /v1/config?dry_run=true", DRY},
        {"PUT /v1/config", DONE}};
    struct fake_run run = fake_lbctl(pool, 2, "unset", "pools/web/servers", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "3 of 3 servers would go; nothing was changed"));
    fake_run_fini(&run);
    run = fake_lbctl(pool, 3, "set", "pools/web/servers", "{}", "--yes", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
    run = fake_lbctl(document, 2, "unset", "listeners/web", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "no listener would be left; nothing was changed"));
    fake_run_fini(&run);
    run = fake_lbctl(document, 2, "unset", "listeners/web", "--dry-run", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_set", so_does_unsetting, the_smallest_resource_is_changed,
           a_new_one_must_still_be_new, pointers_that_lead_nowhere,
           an_empty_list_that_must_have_one_is_unset, one_thing_is_deleted,
           deleting_asks_when_traffic_drops)
