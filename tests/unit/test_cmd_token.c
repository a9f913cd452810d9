#include <string.h>

#include "ctl/cmd_token.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define TOKENS                                                                                     \
    "{\"tokens\":[{\"id\":\"ci\",\"role\":\"operate\",\"expires\":\"soon\",\"note\":\"shop\"},"    \
    "{\"id\":\"prom\",\"role\":\"metrics\",\"note\":\"\"}]}"
#define LISTED                                                                                     \
    {                                                                                              \
        "GET /v1/tokens", FAKE_JSON(TOKENS)                                                        \
    }
#define MADE(status)                                                                               \
    FAKE_REPLY(status, "Content-Type: application/json\r\n",                                       \
               "{\"id\":\"x\",\"role\":\"read\",\"secret\":\"lbd_abc\"}")

static const struct {
    const char *line[8];
    struct fake_turn turns[2];
    size_t turn_count;
    enum ctl_exit code;
    const char *out;
    const char *err;  /* begins with */
    const char *body; /* of the last question; NULL: whatever */
} cases[] = {
    {{"token", "list"},
     {LISTED},
     1,
     CTL_OK,
     "ID    ROLE     EXPIRES  NOTE\n"
     "ci    operate  soon     shop\n"
     "prom  metrics  never    -\n",
     "",
     NULL},
    {{"token", "list", "-oname"}, {LISTED}, 1, CTL_OK, "ci\nprom\n", "", NULL},
    {{"token", "create", "x", "read"},
     {LISTED, {"PUT /v1/tokens/x", MADE("201 Created")}},
     2,
     CTL_OK,
     "lbd_abc\n",
     "made token x with the role read; its secret is shown only now (undo: lbctl token revoke x)\n",
     "{\"role\":\"read\"}"},
    {{"token", "create", "x", "read", "--for", "30d", "--reason", "the pipeline"},
     {LISTED, {"PUT /v1/tokens/x", MADE("201 Created")}},
     2,
     CTL_OK,
     "lbd_abc\n",
     "made token x",
     "{\"role\":\"read\",\"expires\":\"30d\",\"note\":\"the pipeline\"}"},
    {{"token", "create", "ci", "read"},
     {LISTED},
     1,
     CTL_USAGE,
     "",
     "lbctl: token ci is there already: its old secret will let nobody in",
     NULL},
    {{"token", "create", "ci", "read", "--yes"},
     {LISTED, {"PUT /v1/tokens/ci", MADE("200 OK")}},
     2,
     CTL_OK,
     "lbd_abc\n",
     "renewed token ci",
     NULL},
    {{"token", "create", "x", "root"},
     {LISTED,
      {"PUT /v1/tokens/x",
       FAKE_PROBLEM("422 No", "{\"title\":\"no\",\"detail\":\"the body is not a wish for a token\","
                              "\"errors\":[{\"pointer\":\"#/role\",\"detail\":\"must be\"}]}")}},
     2,
     CTL_INVALID,
     "",
     "lbctl: ",
     NULL},
    {{"token", "create", "x", "read"},
     {{"GET /v1/tokens", FAKE_PROBLEM("403 No", "{\"title\":\"no\",\"detail\":\"not you\"}")}},
     1,
     CTL_DENIED,
     "",
     "lbctl: ",
     NULL},
    {{"token", "revoke", "ci"},
     {{"DELETE /v1/tokens/ci", FAKE_REPLY("204 No Content", "", "")}},
     1,
     CTL_OK,
     "revoked token ci: it lets nobody in any more (it cannot be undone)\n",
     "",
     NULL},
    {{"token", "revoke", "no"},
     {{"DELETE /v1/tokens/no",
       FAKE_PROBLEM("404 No", "{\"title\":\"x\",\"detail\":\"no token\"}")}},
     1,
     CTL_NOT_FOUND,
     "",
     "lbctl: ",
     NULL},
};

START_TEST(tokens_are_made_listed_and_revoked)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run =
            fake_lbctl(cases[i].turns, cases[i].turn_count, line[0], line[1], line[2], line[3],
                       line[4], line[5], line[6], line[7], NULL);
        ck_assert_msg(run.code == (int)cases[i].code, "%zu: %d %s", i, run.code, run.err);
        ck_assert_str_eq(run.out, cases[i].out);
        ck_assert_msg(strncmp(run.err, cases[i].err, strlen(cases[i].err)) == 0, "%zu: %s", i,
                      run.err);
        if (cases[i].body != NULL) {
            const char *asked = strstr(run.api.requests[cases[i].turn_count - 1], "\r\n\r\n");
            ck_assert_str_eq(asked + 4, cases[i].body);
        }
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_token", tokens_are_made_listed_and_revoked)
