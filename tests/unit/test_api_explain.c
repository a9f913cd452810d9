#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *target;
    unsigned status;
    const char *has;
} cases[] = {
    {"/v1/explain", 200, "\"path\": \"daemon\""},
    {"/v1/explain/pools.servers.weight", 200, "\"range\": \"1 to 1000, or 1% to 100%\""},
    {"/v1/explain//pools/web/servers/a/weight", 200, "\"path\": \"pools.servers.weight\""},
    {"/v1/explain/%2Fpools%2Fweb", 200, "\"path\": \"pools\""},
    {"/v1/explain/pools.serbers", 404, "did you mean 'servers'?"},
    {"/v1/explain/pools.weight", 404, "it belongs under 'pools.servers'"},
    {"/v1/explain/compression", 404, "did you mean 'policies.compression'?"},
    {"/v1/explain/pools.wieght", 404, "\"suggestion\": \"pools.servers.weight\""},
    {"/v1/explain/%00", 404, "is not a known key"},
    {"/v1/explain/%ff%22%0a", 404, "is not a known key"},
    {"/v1/explain/a?defaults=true", 400, "unknown-parameter"},
};

START_TEST(settings_are_explained_and_mistakes_too)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(live_api_call("GET", cases[i].target, "", "") == cases[i].status, "%s: %s",
                      cases[i].target, live_api.answer);
        ck_assert_msg(live_api_has(cases[i].has), "%s: %s", cases[i].target, live_api.answer);
    }
    live_api_end();
}
END_TEST

UNIT_TESTS("api_explain", settings_are_explained_and_mistakes_too)
