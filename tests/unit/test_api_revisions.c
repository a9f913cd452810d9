#include <stdio.h>

#include "api/api_revisions.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static void retries(int value)
{
    char body[32];
    (void)snprintf(body, sizeof(body), "{\"retries\":%d}", value);
    ck_assert_uint_eq(live_api_call("PATCH", "/v1/pools/p", LIVE_API_MERGE, body), 200);
}

static const struct {
    const char *method;
    const char *target;
    unsigned status;
    const char *want;
} cases[] = {
    {"GET", "/v1/revisions", 200, "\"via\": \"patch\""},
    {"GET", "/v1/revisions", 200, "\"summary\": \"pools/p/retries: 2 -> 3\""},
    {"GET", "/v1/revisions/2", 200, "\"summary\": \"pools/p/retries: set to 2\""},
    {"GET", "/v1/revisions/2", 200, "\"current\": false"},
    {"GET", "/v1/revisions/3", 200, "\"current\": true"},
    {"GET", "/v1/revisions/1", 200, "\"via\": \"start\""},
    {"GET", "/v1/revisions/4", 404, "revision 4 is not kept"},
    {"GET", "/v1/revisions/x", 404, "not the number of a revision"},
    {"GET", "/v1/revisions/2/config", 200, "\"retries\": 2"},
    {"GET", "/v1/revisions/9/config", 404, "not-found"},
    {"GET", "/v1/revisions/2/diff", 200, "\"after\": 3"},
    {"GET", "/v1/revisions/2/diff?to=1", 200, "\"change\": \"removed\""},
    {"GET", "/v1/revisions/2/diff?to=9", 404, "not-found"},
    {"GET", "/v1/revisions/9/diff?to=2", 404, "not-found"},
    {"GET", "/v1/revisions/2/diff?to=x", 400, "unknown-parameter"},
    {"GET", "/v1/revisions/2/diff?two=3", 400, "unknown-parameter"},
    {"POST", "/v1/revisions/2/confirm", 409, "not-unconfirmed"},
    {"POST", "/v1/revisions/x/confirm", 404, "not-found"},
    {"POST", "/v1/revisions/3/reject", 409, "not-unconfirmed"},
    {"POST", "/v1/revisions/9/rollback", 404, "not-found"},
    {"POST", "/v1/revisions/2/rollback?dry_run=true", 200, "\"changes_total\": 1"},
    {"DELETE", "/v1/revisions/2", 405, "method-not-allowed"},
    {"POST", "/v1/revisions/2/rollback", 200, "\"rolled_back_to\": 2"},
    {"POST", "/v1/revisions/2/rollback", 200, "\"changed\": false"},
    {"GET", "/v1/revisions/4", 200, "\"via\": \"rollback\""},
};

START_TEST(looks_back_and_goes_back)
{
    live_api_begin();
    retries(2);
    retries(3);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned status = live_api_call(cases[i].method, cases[i].target, "", "");
        ck_assert_msg(status == cases[i].status && live_api_has(cases[i].want), "%s %s: %u %s",
                      cases[i].method, cases[i].target, status, live_api.body);
    }
    live_api_end();
}
END_TEST

START_TEST(keeps_or_takes_back)
{
    live_api_begin();
    ck_assert_uint_eq(
        live_api_call("PATCH", "/v1/pools/p?confirm_within=1h", LIVE_API_MERGE, "{\"retries\":5}"),
        200);
    ck_assert(live_api_has("Lbd-Confirm-Deadline: "));
    ck_assert_uint_eq(live_api_call("GET", "/v1/config/status", "", ""), 200);
    ck_assert(live_api_has("\"base_revision\": 1"));
    ck_assert_uint_eq(live_api_call("POST", "/v1/revisions/2/reject", "", ""), 200);
    ck_assert(live_api_has("\"rolled_back_to\": 1"));
    ck_assert_uint_eq(
        live_api_call("PATCH", "/v1/pools/p?confirm_within=1h", LIVE_API_MERGE, "{\"retries\":5}"),
        200);
    ck_assert_uint_eq(live_api_call("POST", "/v1/revisions/4/confirm", "", ""), 200);
    ck_assert(live_api_has("\"confirmed\": true"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/revisions/3", "", ""), 200);
    ck_assert(live_api_has("was rejected by unix uid="));
    live_api_end();
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, looks_back_and_goes_back);
    tcase_add_test(tcase, keeps_or_takes_back);
}

UNIT_MAIN("api_revisions", add_all)
