#include <string.h>

#include "api/api_change.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *target;
    const char *body;
    unsigned status;
    const char *want;
} cases[] = {
    {"/v1/pools/p?confirm_within=4s", "{}", 400, "from 5s to 1d"},
    {"/v1/pools/p?confirm_within=25h", "{}", 400, "unknown-parameter"},
    {"/v1/pools/p?confirm_within=5", "{}", 400, "unknown-parameter"},
    {"/v1/pools/p?wait=31s", "{}", 400, "from 0s to 30s"},
    {"/v1/pools/p?wait=x", "{}", 400, "unknown-parameter"},
    {"/v1/pools/p?owner=x", "{}", 400, "unknown-parameter"},
    {"/v1/config?owner=", "{}", 400, "unknown-parameter"},
    {"/v1/config?owner=x", "{}", 400, "only PUT"},
    {"/v1/pools/p?force=yes", "{}", 400, "unknown-parameter"},
    {"/v1/pools/p?dry_run=1", "{}", 400, "unknown-parameter"},
    {"/v1/pools/p?wait=0", "{\"retries\":2}", 202, "Lbd-Changed: true"},
    {"/v1/pools/p?wait=1s", "{\"retries\":3}", 200, "Lbd-Revision: 3"},
    {"/v1/pools/p", "{\"retries\":3}", 200, "Lbd-Changed: false"},
    {"/v1/pools/p", "{\"retries\":-3}", 422, "1 error, 1 warning; nothing was changed"},
    {"/v1/pools/p", "{\"meta\":{\"managed_by\":\"x\"}}", 200, "Lbd-Revision: 4"},
    {"/v1/pools/p/servers/a", "{\"weight\":3}", 200,
     "Lbd-Warning: /pools/p/servers/a belongs to 'x'"},
    {"/v1/pools/p?dry_run=true", "{\"retries\":5}", 200, "\"code\": \"managed\""},
};

START_TEST(parameters_and_answers)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned status = live_api_call("PATCH", cases[i].target, LIVE_API_MERGE, cases[i].body);
        ck_assert_msg(status == cases[i].status && live_api_has(cases[i].want), "%s %s: %u %s",
                      cases[i].target, cases[i].body, status, live_api.answer);
    }
    live_api_end();
}
END_TEST

START_TEST(who_loses_sees_what_is_there)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("PATCH", "/v1/pools/p", LIVE_API_MERGE "If-Match: \"x\"\r\n",
                                    "{\"retries\":2}"),
                      412);
    ck_assert(live_api_has("ETag: \""));
    ck_assert(live_api_has("\"current\": {"));
    ck_assert(live_api_has("\"127.0.0.1:1\""));
    ck_assert_uint_eq(
        live_api_call("PATCH", "/v1/config", LIVE_API_MERGE "If-Match: \"x\"\r\n", "{}"), 412);
    ck_assert(!live_api_has("\"current\""));
    ck_assert_uint_eq(live_api_call("PUT", "/v1/pools/no", LIVE_API_JSON "If-Match: *\r\n", "{}"),
                      412);
    ck_assert(!live_api_has("ETag: "));
    live_api_end();
}
END_TEST

static const struct {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
    unsigned status;
    const char *want;
} tagless[] = {
    {"PUT", "/v1/pools/p/servers/a/admin-state", LIVE_API_JSON "If-Match: \"x\"\r\n",
     "{\"state\":\"drain\"}", 412, "the admin state has no tag"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", LIVE_API_JSON "If-None-Match: *\r\n",
     "{\"state\":\"drain\"}", 412, "precondition-failed"},
    {"PUT", "/v1/pools/p/servers/a/overrides/weight", LIVE_API_JSON "If-None-Match: \"x\"\r\n",
     "{\"weight\":3}", 412, "the weight has no tag"},
    {"DELETE", "/v1/listeners/web/admin-state", "If-Match: \"x\"\r\n", "", 412, "has no tag"},
    {"PUT", "/v1/admin-state", LIVE_API_JSON "If-Match: \"x\"\r\n", "{\"state\":\"drain\"}", 412,
     "has no tag"},
    {"DELETE", "/v1/connections/0-1", "If-Match: \"x\"\r\n", "", 412, "has no tag"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", LIVE_API_JSON "If-Match: *\r\n",
     "{\"state\":\"drain\"}", 200, "Lbd-Changed: true"},
};

START_TEST(a_precondition_is_never_passed_over)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(tagless); i++) {
        unsigned status = live_api_call(tagless[i].method, tagless[i].target, tagless[i].headers,
                                        tagless[i].body);
        ck_assert_msg(status == tagless[i].status && live_api_has(tagless[i].want), "%s %s: %u %s",
                      tagless[i].method, tagless[i].target, status, live_api.answer);
        bool is_set = control_override_count(live_api.live.control) != 0;
        ck_assert(is_set == (tagless[i].status == 200));
    }
    live_api_end();
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, parameters_and_answers);
    tcase_add_test(tcase, who_loses_sees_what_is_there);
    tcase_add_test(tcase, a_precondition_is_never_passed_over);
}

UNIT_MAIN("api_change", add_all)
