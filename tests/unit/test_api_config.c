#include "api/api_config.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *target;
    const char *body;
    unsigned status;
    const char *want;
} cases[] = {
    {"/v1/config/diff", "{}", 200, "\"pointer\": \"#/pools/p\""},
    {"/v1/config/validate", "{\"pools\":{\"x\":{}}}", 200, "\"change\": \"added\""},
    {"/v1/config/validate", "{\"pools\":{\"x\":{}}}", 200, "empty-pool"},
    {"/v1/config/diff", "{\"pools\":{\"x\":{\"no\":1}}}", 422, "unknown-key"},
    {"/v1/config/validate", "{\"pools\":{\"x\":{\"no\":1}}}", 422, "\"line\": 1"},
    {"/v1/config/validate", "{", 400, "malformed-json"},
    {"/v1/config/validate", "{\"daemon\":{}}", 422, "file-only"},
    /* TEST-NET-1 is not on this machine; a comparison opens no sockets */
    {"/v1/config/validate", "{\"listeners\":{\"x\":{\"bind\":[\"192.0.2.1:80\"]}}}", 409,
     "cannot-listen"},
    {"/v1/config/diff", "{\"listeners\":{\"x\":{\"bind\":[\"192.0.2.1:80\"]}}}", 200, "192.0.2.1"},
    {"/v1/config/diff?dry_run=true", "{}", 400, "unknown-parameter"},
    {"/v1/config/reload", "", 409, "managed-by-api"},
};

START_TEST(asks_without_changing)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned status = live_api_call("POST", cases[i].target, LIVE_API_JSON, cases[i].body);
        ck_assert_msg(status == cases[i].status && live_api_has(cases[i].want), "%s %s: %u %s",
                      cases[i].target, cases[i].body, status, live_api.body);
    }
    ck_assert_uint_eq(control_facts(live_api.live.control)->revision, 1);
    live_api_end();
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, asks_without_changing);
}

UNIT_MAIN("api_config", add_all)
