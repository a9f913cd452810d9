#include <string.h>

#include "api/api_tokens.h"
#include "lbd/base/compiler.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

START_TEST(says_who_asks)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/v1/whoami", "", ""), 200);
    ck_assert(live_api_has("\"identity\": \"unix uid="));
    ck_assert(live_api_has("\"role\": \"admin\""));
    ck_assert(live_api_has("\"via\": \"unix\""));
    live_api_end();
}
END_TEST

static void take_secret(char out[64])
{
    const char *at = strstr(live_api.body, "\"secret\": \"");
    ck_assert_ptr_nonnull(at);
    (void)snprintf(out, 64, "%.47s", at + strlen("\"secret\": \""));
}

static void with_token(char out[160], const char *secret)
{
    (void)snprintf(out, 160, "Authorization: Bearer %s\r\n", secret);
}

START_TEST(a_token_is_made_used_listed_and_revoked)
{
    char secret[64];
    char header[160];
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/v1/tokens", "", ""), 200);
    ck_assert(live_api_has("\"tokens\": []"));
    ck_assert_uint_eq(live_api_call("PUT", "/v1/tokens/ci", LIVE_API_JSON,
                                    "{\"role\":\"read\",\"expires\":\"30d\",\"note\":\"n\"}"),
                      201);
    take_secret(secret);
    with_token(header, secret);
    ck_assert(live_api_has("Lbd-Changed: true"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/whoami", header, ""), 200);
    ck_assert(live_api_has("\"identity\": \"token ci\""));
    ck_assert(live_api_has("\"via\": \"token\""));
    ck_assert_uint_eq(live_api_call("GET", "/v1/config", header, ""), 200);
    ck_assert_uint_eq(live_api_call("GET", "/v1/tokens", header, ""), 403);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/tokens/ci", header, ""), 403);

    ck_assert_uint_eq(live_api_call("GET", "/v1/tokens", "", ""), 200);
    ck_assert(live_api_has("\"id\": \"ci\""));
    ck_assert(live_api_has("\"expires\": \"20"));
    ck_assert(!live_api_has("secret"));

    ck_assert_uint_eq(live_api_call("PUT", "/v1/tokens/ci", LIVE_API_JSON, "{\"role\":\"admin\"}"),
                      200);
    ck_assert_uint_eq(live_api_call("GET", "/v1/whoami", header, ""), 401);
    ck_assert(live_api_has("WWW-Authenticate: Bearer"));
    ck_assert(live_api_has("unauthenticated"));

    ck_assert_uint_eq(live_api_call("DELETE", "/v1/tokens/ci", "", ""), 204);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/tokens/ci", "", ""), 404);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/tokens/ci?missing=ok", "", ""), 204);
    ck_assert(live_api_has("Lbd-Changed: false"));
    live_api_end();
}
END_TEST

static const struct {
    const char *method;
    const char *query;
    const char *headers;
    unsigned there; /* the status when there is such a token */
    unsigned not_there;
} conditions[] = {
    {"PUT", "", "If-None-Match: *\r\n", 412, 201},
    {"PUT", "", "If-Match: *\r\n", 200, 412},
    {"PUT", "", "If-Match: \"abc\"\r\n", 412, 412},
    {"PUT", "?dry_run=true", "", 200, 201},
    {"PUT", "?dry_run=true", "If-None-Match: *\r\n", 412, 201},
    {"DELETE", "", "If-Match: *\r\n", 204, 404},
    {"DELETE", "", "If-Match: \"abc\"\r\n", 412, 404},
    {"DELETE", "?dry_run=true", "", 200, 404},
    {"DELETE", "?dry_run=true&missing=ok", "", 200, 200},
};

START_TEST(conditions_hold_and_dry_runs_change_nothing)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        for (int is_there = 0; is_there < 2; is_there++) {
            char target[64];
            char headers[128];
            unsigned want = is_there ? conditions[i].there : conditions[i].not_there;
            bool is_put = strcmp(conditions[i].method, "PUT") == 0;
            (void)live_api_call("DELETE", "/v1/tokens/t?missing=ok", "", "");
            if (is_there) {
                (void)live_api_call("PUT", "/v1/tokens/t", LIVE_API_JSON, "{\"role\":\"read\"}");
            }
            (void)snprintf(target, sizeof(target), "/v1/tokens/t%s", conditions[i].query);
            (void)snprintf(headers, sizeof(headers), "%s%s", conditions[i].headers,
                           is_put ? LIVE_API_JSON : "");
            unsigned status = live_api_call(conditions[i].method, target, headers,
                                            is_put ? "{\"role\":\"read\"}" : "");
            ck_assert_msg(status == want, "%zu %d: %u", i, is_there, status);
            bool is_dry = conditions[i].query[0] != '\0';
            ck_assert_msg(!is_dry || !live_api_has("lbd_"), "%zu", i);
            bool changes = !is_dry && status < 300;
            (void)live_api_call("GET", "/v1/tokens", "", "");
            bool is_there_now = live_api_has("\"id\": \"t\"");
            ck_assert_msg(is_there_now == (changes ? is_put : is_there == 1), "%zu %d", i,
                          is_there);
        }
    }
    live_api_end();
}
END_TEST

static const struct {
    const char *body;
    unsigned status;
    const char *has;
} wishes[] = {
    {"{\"role\":\"read\"}", 201, "lbd_"},
    {"{\"role\":\"root\"}", 422, "#/role"},
    {"{\"role\":1}", 422, "#/role"},
    {"{}", 422, "'role' must be set"},
    {"[]", 422, "must be an object"},
    {"{\"role\":\"read\",\"expires\":\"0s\"}", 422, "#/expires"},
    {"{\"role\":\"read\",\"expires\":\"2001-01-01T00:00:00Z\"}", 422, "#/expires"},
    {"{\"role\":\"read\",\"expires\":\"4000d\"}", 422, "#/expires"},
    {"{\"role\":\"read\",\"expires\":30}", 422, "#/expires"},
    {"{\"role\":\"read\",\"note\":\"a\\nb admin x -\"}", 422, "#/note"},
    {"{\"role\":\"read\",\"secret\":\"lbd_mine\"}", 422, "unknown-key"},
    {"{\"role\":\"read\",}", 400, "malformed-json"},
};

START_TEST(wishes_are_checked)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        char target[32];
        (void)snprintf(target, sizeof(target), "/v1/tokens/t%zu", i);
        unsigned status = live_api_call("PUT", target, LIVE_API_JSON, wishes[i].body);
        ck_assert_msg(status == wishes[i].status, "%s: %u", wishes[i].body, status);
        ck_assert_msg(live_api_has(wishes[i].has), "%s: %s", wishes[i].body, live_api.body);
    }
    ck_assert_uint_eq(live_api_call("PUT", "/v1/tokens/A", LIVE_API_JSON, "{\"role\":\"read\"}"),
                      404);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_tokens", says_who_asks, a_token_is_made_used_listed_and_revoked,
           conditions_hold_and_dry_runs_change_nothing, wishes_are_checked)
