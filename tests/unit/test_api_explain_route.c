#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *body;
    unsigned status;
    const char *has;
} cases[] = {
    {"{\"url\":\"http://x/a?b\"}", 200, "\"pool\": \"p\""},
    {"{\"url\":\"http://x/a?b\"}", 200, "\"is_default\": true"},
    {"{\"host\":\"x\",\"path\":\"/a/../b\",\"listener\":\"web\"}", 200, "\"path\": \"/b\""},
    {"{\"host\":\"x\",\"path\":\"/%00\"}", 200, "\"reason\": \"bad_target\""},
    {"{\"path\":\"/\"}", 200, "\"matched\": false"}, /* no Host */
    {"{\"host\":\"x\",\"path\":\"/\",\"headers\":{\"Host\":\"y\"}}", 200, "\"status\": 400"},
    {"{\"host\":\"x\",\"path\":\"/\",\"headers\":{\"A\":\"b\\r\\nC: d\"}}", 422, "#/headers"},
    {"{\"url\":\"/a\"}", 422, "#/url"},
    {"{\"host\":\"x\",\"listener\":\"wbe\"}", 422, "\"suggestion\": \"web\""},
    {"{}", 422, "must be set"},
    {"[]", 422, "must be an object"},
    {"", 400, "malformed-json"},
};

START_TEST(a_request_is_explained_or_the_question_refused)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned status = live_api_call("POST", "/v1/explain/route", LIVE_API_JSON, cases[i].body);
        ck_assert_msg(status == cases[i].status, "%s: %s", cases[i].body, live_api.answer);
        ck_assert_msg(live_api_has(cases[i].has), "%s: %s", cases[i].body, live_api.answer);
    }
    live_api_end();
}
END_TEST

UNIT_TESTS("api_explain_route", a_request_is_explained_or_the_question_refused)
