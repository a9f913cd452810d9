#include <stdio.h>
#include <string.h>

#include "api/api_resource.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

START_TEST(a_resource_lives_and_dies)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/q", "", ""), 404);
    ck_assert_uint_eq(live_api_call("PUT", "/v1/pools/q", LIVE_API_JSON, "{\"retries\":2}"), 201);
    ck_assert(live_api_has("Lbd-Changed: true"));
    ck_assert(live_api_has("Lbd-Revision: 2"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/q", "", ""), 200);
    ck_assert_str_eq(live_api.body, "{\n  \"retries\": 2\n}\n");
    ck_assert(live_api_has("Cache-Control: no-store"));
    ck_assert_uint_eq(live_api_call("PUT", "/v1/pools/q", LIVE_API_JSON, "{\"retries\":2}"), 200);
    ck_assert(live_api_has("Lbd-Changed: false"));
    ck_assert_uint_eq(live_api_call("PATCH", "/v1/pools/q", LIVE_API_MERGE, "{\"retries\":3}"),
                      200);
    ck_assert_uint_eq(live_api_call("GET", "/v1/config", "", ""), 200);
    ck_assert(live_api_has("\"retries\": 3"));
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/pools/q", "", ""), 204);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/pools/q", "", ""), 404);
    ck_assert_uint_eq(live_api_call("DELETE", "/v1/pools/q?missing=ok", "", ""), 204);
    live_api_end();
}
END_TEST

START_TEST(tags_are_told_and_heeded)
{
    live_api_begin();
    char tag[32];
    char header[192];
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/p", "", ""), 200);
    const char *at = strstr(live_api.answer, "ETag: ");
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "ETag: %31s", tag), 1);
    (void)snprintf(header, sizeof(header), "If-None-Match: \"x\", %s\r\n", tag);
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/p", header, ""), 304);
    ck_assert_str_eq(live_api.body, "");
    (void)snprintf(header, sizeof(header), "If-Match: %s\r\n" LIVE_API_MERGE, tag);
    ck_assert_uint_eq(live_api_call("PATCH", "/v1/pools/p", header, "{\"retries\":2}"), 200);
    ck_assert_uint_eq(live_api_call("PATCH", "/v1/pools/p", header, "{\"retries\":3}"), 412);
    ck_assert(live_api_has("ETag: "));
    ck_assert(!live_api_has(tag));
    live_api_end();
}
END_TEST

START_TEST(a_dry_run_answers_with_the_changes)
{
    live_api_begin();
    ck_assert_uint_eq(
        live_api_call("PATCH", "/v1/pools/p?dry_run=true", LIVE_API_MERGE, "{\"retries\":4}"), 200);
    ck_assert(live_api_has("\"resource\": {"));
    ck_assert(live_api_has("\"pointer\": \"#/pools/p/retries\""));
    ck_assert(live_api_has("\"after\": 4"));
    ck_assert(live_api_has("\"changes_total\": 1"));
    ck_assert(live_api_has("Lbd-Changed: false"));
    ck_assert_uint_eq(control_facts(live_api.live.control)->revision, 1);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_resource", a_resource_lives_and_dies, tags_are_told_and_heeded,
           a_dry_run_answers_with_the_changes)
