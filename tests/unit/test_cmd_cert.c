#include <string.h>

#include "ctl/cmd_cert.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define STATUS                                                                                     \
    "{\"certificates\":{\"api\":{\"source\":\"file\",\"state\":\"valid\",\"names\":[\"a.test\"],"  \
    "\"not_after\":\"2027-01-31T00:00:00Z\",\"days_left\":70,\"ocsp\":\"good\","                   \
    "\"failure\":\"no such file\"},\"new\":{\"source\":\"stored\"},\"shop\":{\"source\":"          \
    "\"stored\",\"state\":\"expired\",\"names\":[\"s.test\",\"*.s.test\"],\"not_after\":"          \
    "\"2026-01-31T00:00:00Z\",\"days_left\":-2,\"key_type\":\"ec\",\"key_bits\":256,\"ocsp\":\"off\"}}}"
#define ASKED                                                                                      \
    {                                                                                              \
        "GET /v1/status", FAKE_JSON(STATUS)                                                        \
    }
#define HEADING  "NAME  STATE            NOT-AFTER   DAYS  KEY     SOURCE  OCSP  NAMES\n"
#define SHOP     "shop  expired          2026-01-31    -2  ec 256  stored  off   s.test, *.s.test\n"
#define WITH_KEY "--chain=docs/reference.md" /* it shows an example of a key */
#define DRY      FAKE_JSON("{\"changes\":[],\"changes_total\":1}")
#define DONE                                                                                       \
    FAKE_REPLY("200 OK",                                                                           \
               "Content-Type: application/json\r\nLbd-Revision: 8\r\nLbd-Changed: true\r\n", "{}")
#define HAVE                                                                                       \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nETag: \"t\"\r\nLbd-Revision: 7\r\n",   \
               "{}")
#define NONE FAKE_PROBLEM("404 Not Found", "{\"title\":\"x\",\"detail\":\"none\"}")

static const struct {
    const char *line[6];
    struct fake_turn turns[3];
    size_t turn_count;
    enum ctl_exit code;
    const char *out;    /* is in it */
    const char *err;    /* begins with */
    const char *header; /* of the last question */
} cases[] = {
    {{"cert", "list"},
     {ASKED},
     1,
     CTL_OK,
     HEADING "api   valid, file bad  2027-01-31    70  -       file    good  a.test\n"
             "new   -                -              -  -       stored  -     -\n" SHOP,
     "",
     NULL},
    {{"cert", "list", "-oname"}, {ASKED}, 1, CTL_OK, "api\nnew\nshop\n", "", NULL},
    {{"cert", "expiring", "-oname"}, {ASKED}, 1, CTL_NO, "new\nshop\n", "", NULL},
    {{"cert", "expiring", "--for", "90d", "-oname"},
     {ASKED},
     1,
     CTL_NO,
     "api\nnew\nshop\n",
     "",
     NULL},
    {{"cert", "expiring"},
     {{"GET /v1/status", FAKE_JSON("{\"certificates\":{}}")}},
     1,
     CTL_OK,
     "NAME",
     "",
     NULL},
    {{"cert", "expiring", "--for", "soon"}, {{NULL, NULL}}, 0, CTL_USAGE, "", "lbctl: ", NULL},
    {{"cert", "put", "x"}, {{NULL, NULL}}, 0, CTL_USAGE, "", "lbctl: which? ", NULL},
    {{"cert", "put", "x", "--chain", "conf/lbd.json"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: conf/lbd.json holds no private key (PEM): --key FILE says where it is",
     NULL},
    {{"cert", "put", "x", "--chain=-", "--key=-"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: stdin is one text",
     NULL},
    {{"cert", "put", "x", WITH_KEY, "--cert=me.pem", "--key=me-key.pem"},
     {{NULL, NULL}},
     0,
     CTL_USAGE,
     "",
     "lbctl: --key is the key of the certificate that is put",
     NULL},
    {{"cert", "put", "x", WITH_KEY},
     {{"GET /v1/certificates/x", NONE},
      {"PUT /v1/certificates/x?dry_run=true", DRY},
      {"PUT /v1/certificates/x", DONE}},
     3,
     CTL_OK,
     "put: 1 change, revision 8",
     "",
     "If-None-Match: *"},
    {{"cert", "put", "x", WITH_KEY},
     {{"GET /v1/certificates/x", HAVE},
      {"PATCH /v1/certificates/x?dry_run=true", DRY},
      {"PATCH /v1/certificates/x", DONE}},
     3,
     CTL_OK,
     "put: 1 change, revision 8 (undo: lbctl rollback 7)",
     "",
     "Content-Type: application/merge-patch+json"},
    {{"cert", "put", "x", WITH_KEY, "--dry-run"},
     {{"GET /v1/certificates/x", HAVE}, {"PATCH /v1/certificates/x?dry_run=true", DRY}},
     2,
     CTL_OK,
     "not put (dry run): 1 change\n",
     "",
     "If-Match: \"t\""},
    {{"cert", "put", "x", WITH_KEY},
     {{"GET /v1/certificates/x",
       FAKE_PROBLEM("403 No", "{\"title\":\"no\",\"detail\":\"not you\"}")}},
     1,
     CTL_DENIED,
     "",
     "lbctl: ",
     NULL},
};

START_TEST(certificates_are_listed_and_put)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        struct fake_run run = fake_lbctl(cases[i].turns, cases[i].turn_count, line[0], line[1],
                                         line[2], line[3], line[4], line[5], NULL);
        ck_assert_msg(run.code == (int)cases[i].code, "%zu: %d %s", i, run.code, run.err);
        ck_assert_msg(strstr(run.out, cases[i].out) != NULL, "%zu: %s", i, run.out);
        ck_assert_msg(strncmp(run.err, cases[i].err, strlen(cases[i].err)) == 0, "%zu: %s", i,
                      run.err);
        if (cases[i].header != NULL) {
            const char *asked = run.api.requests[cases[i].turn_count - 1];
            ck_assert_msg(strstr(asked, cases[i].header) != NULL, "%zu: %s", i, asked);
        }
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_cert", certificates_are_listed_and_put)
