#include "api/api_check.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

START_TEST(one_and_all_are_answered_when_they_have_ended)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("POST", "/v1/pools/p/servers/a/check", "", ""), 200);
    ck_assert(live_api_has("\"result\": \"failed\""));
    ck_assert(live_api_has("\"health\": \"up\"")); /* no check: only told */
    ck_assert_uint_eq(live_api_call("POST", "/v1/pools/p/check", "", ""), 200);
    ck_assert(live_api_has("\"a\": {"));
    ck_assert_uint_eq(live_api_call("POST", "/v1/pools/p/servers/no/check", "", ""), 404);
    ck_assert_uint_eq(live_api_call("POST", "/v1/pools/no/check", "", ""), 404);
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/p/check", "", ""), 405);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_check", one_and_all_are_answered_when_they_have_ended)
