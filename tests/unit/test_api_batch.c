#include <stdio.h>
#include <string.h>

#include "api/api_batch.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *target;
    const char *body;
    unsigned status;
    const char *want;
} cases[] = {
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{}}]", 200, "\"status\": 201"},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{}}]", 200, "\"changed\": false"},
    {"", "[{\"method\":\"DELETE\",\"path\":\"/v1/pools/x\"}]", 200, "\"status\": 204"},
    {"?dry_run=true", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{}}]", 200,
     "\"changes_total\": 1"},
    {"", "[{\"method\":\"DELETE\",\"path\":\"/v1/pools/x\"}]", 404, "\"operation\": 0"},
    {"", "[{\"method\":\"DELETE\",\"path\":\"/v1/pools/x\",\"missing\":\"ok\"}]", 200,
     "\"changed\": false"},
    {"", "[{\"method\":\"DELETE\",\"path\":\"/v1/pools/p\"}]", 409, "in-use"},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{\"no\":1}}]", 422, "unknown-key"},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/p\",\"body\":{},\"if_match\":\"\\\"x\\\"\"}]",
     412, "\"current\": {"},
    {"", "[]", 422, "1 to 1000 operations"},
    {"", "{}", 422, "1 to 1000 operations"},
    {"", "[7]", 422, "must be an object"},
    {"", "[{\"methud\":\"PUT\"}]", 422, "not known"},
    {"", "[{\"method\":\"POST\"}]", 422, "\"#/0/method\""},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/status\"}]", 422, "\"#/0/path\""},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\"}]", 422, "\"#/0/body\""},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{},\"if_match\":1}]", 422,
     "\"#/0/if_match\""},
    {"", "[{\"method\":\"PUT\",\"path\":\"/v1/pools/x\",\"body\":{},\"if_match\":\"\"}]", 422,
     "\"#/0/if_match\""},
    {"", "[", 400, "malformed-json"},
    {"?owner=x", "[]", 400, "unknown-parameter"},
};

START_TEST(each_operation_is_looked_at)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/batch%s", cases[i].target);
        unsigned status = live_api_call("POST", target, LIVE_API_JSON, cases[i].body);
        ck_assert_msg(status == cases[i].status && live_api_has(cases[i].want), "%s: %u %s",
                      cases[i].body, status, live_api.body);
    }
    live_api_end();
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, each_operation_is_looked_at);
}

UNIT_MAIN("api_batch", add_all)
