#include <stdio.h>

#include "api/api_connections.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *query;
    unsigned status;
} cases[] = {
    {"", 200},
    {"?limit=0", 200},
    {"?limit=1000", 200},
    {"?listener=web&pool=p&server=a", 200},
    {"?server=p/a", 200},
    {"?server=a", 200},
    {"?pool=p&server=p/a", 200},
    {"?limit=1001", 400},
    {"?limit=-1", 400},
    {"?limit=", 400},
    {"?worker=1", 400},
    {"?pool=q&server=p/a", 400},
    {"?listener=no", 404},
    {"?pool=no", 404},
    {"?server=p/no", 404},
    {"?server=/", 404},
};

START_TEST(nobody_is_there_and_filters_are_checked)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[128];
        (void)snprintf(target, sizeof(target), "/v1/connections%s", cases[i].query);
        ck_assert_msg(live_api_call("GET", target, "", "") == cases[i].status, "%s: %u", target,
                      live_api.status);
        if (cases[i].status == 200) {
            ck_assert(live_api_has("\"total\": 0"));
        }
    }
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/connections/0-1", "", ""), 404);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/connections/x", "", ""), 404);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_connections", nobody_is_there_and_filters_are_checked)
