#include "api/api_admin.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

START_TEST(an_admin_state_is_put_shown_and_taken_back)
{
    live_api_begin();
    static const char path[] = "/v1/pools/p/servers/a/admin-state";
    ck_assert_uint_eq(
        live_api_call("PUT", path, LIVE_API_JSON, "{\"state\":\"drain\",\"reason\":\"kernel\"}"),
        200);
    ck_assert(live_api_has("Lbd-Changed: true"));
    ck_assert_uint_eq(live_api_call("GET", path, "", ""), 200);
    ck_assert(live_api_has("\"state\": \"drain\""));
    ck_assert(live_api_has("\"configured\": \"ready\""));
    ck_assert(live_api_has("\"reason\": \"kernel\""));
    ck_assert(live_api_has("\"who\": \"unix uid="));
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/p/status", "", ""), 200);
    ck_assert(live_api_has("\"admin\": \"drain\""));
    ck_assert(live_api_has("\"effective_weight\": 0"));
    ck_assert(live_api_has("\"reason\": \"NoServerUsable\""));
    ck_assert_uint_eq(live_api_call("GET", "/readyz?pool=p", "", ""), 503);
    ck_assert_uint_eq(live_api_call("DELETE", path, "", ""), 204);
    ck_assert_uint_eq(live_api_call("GET", path, "", ""), 200);
    ck_assert(live_api_has("\"state\": \"ready\""));
    ck_assert(!live_api_has("override"));
    live_api_end();
}
END_TEST

UNIT_TESTS("api_admin", an_admin_state_is_put_shown_and_taken_back)
