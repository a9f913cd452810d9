#include "api/api_status.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

START_TEST(status_says_what_is)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/v1/status", "", ""), 200);
    ck_assert(live_api_has("\"state\": \"ready\""));
    ck_assert(live_api_has("\"workers\": 2"));
    ck_assert(live_api_has("\"127.0.0.1:"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/listeners/web/status", "", ""), 200);
    ck_assert(live_api_has("\"observed_revision\": 1"));
    ck_assert(live_api_has("\"type\": \"Programmed\""));
    ck_assert_uint_eq(live_api_call("GET", "/v1/config/status", "", ""), 200);
    ck_assert(live_api_has("\"source\": \"api\""));
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/p/servers/a/status", "", ""), 200);
    ck_assert(live_api_has("\"health\": \"up\""));
    ck_assert(live_api_has("\"observed_revision\": 1"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/version", "", ""), 200);
    ck_assert_uint_eq(live_api_call("GET", "/v1/problems/in-use", "", ""), 200);
    ck_assert_uint_eq(live_api_call("GET", "/v1/schema.json", "", ""), 200);
    ck_assert_uint_eq(live_api_call("GET", "/healthz", "", ""), 200);
    ck_assert_uint_eq(live_api_call("GET", "/readyz", "", ""), 200);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_status", status_says_what_is)
