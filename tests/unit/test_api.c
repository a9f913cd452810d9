/* The API over its real socket, on the loop of a real control. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static const struct {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
    unsigned status;
    const char *words;
} refused[] = {
    {"GET", "/v1/nothing", "", "", 404, "not-found"},
    {"GET", "/", "", "", 404, "GET /v1/openapi.json lists those that there are"},
    {"GET", "/v1/pools/UPPER", "", "", 404, "'UPPER' is not a name"},
    {"PUT", "/v1/pools/p/servers/a%2fb", LIVE_API_JSON, "{}", 404, "'a%2fb' is not a name"},
    {"GET", "/v1/pools/p%00x", "", "", 404, "'p%00x' is not a name"},
    {"GET", "/v1/pools/%ff", "", "", 404, "is not a name"},
    {"PUT", "/v1/pools/no/servers/a", LIVE_API_JSON, "{\"address\":\"h:1\"}", 404,
     "there is no /pools/no\""},
    {"GET", "/v1/config", "Host: b\r\n", "", 400, "Host more than once"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "Content-Length: 3\r\n", "{}", 400,
     "Content-Length more than once"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "Transfer-Encoding : chunked\r\n", "{}", 400,
     "is not a token"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "If-Match: \"a\"\r\nIf-Match: *\r\n", "{}", 400,
     "If-Match more than once"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "{}", 400,
     "Idempotency-Key more than once"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "If-Match: \r\n", "{}", 400, "without a tag"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON "If-None-Match:\r\n", "{}", 400, "without a tag"},
    {"POST", "/v1/pools/p", LIVE_API_JSON, "{}", 405, "Allow: GET, HEAD, PUT, PATCH, DELETE"},
    {"DELETE", "/v1/config", "", "", 405, "Allow: GET, HEAD, PUT, PATCH"},
    {"PUT", "/v1/pools/q", "", "{}", 415, "unsupported-media-type"},
    {"PUT", "/v1/pools/q", "Content-Type: text/plain\r\n", "{}", 415,
     "PUT takes Content-Type: application/json, not 'text/plain'"},
    {"PATCH", "/v1/pools/p", LIVE_API_JSON, "{}", 415,
     "Accept-Patch: application/merge-patch+json"},
    {"PATCH", "/v1/pools/p?dryrun=true", LIVE_API_MERGE, "{}", 400,
     "the query parameter 'dryrun=true' is not known here"},
    {"PATCH", "/v1/pools/p?dry_run=yes", LIVE_API_MERGE, "{}", 400,
     "'dry_run' must be true or false, not 'yes'"},
    {"PATCH", "/v1/pools/p?dry_run=true&dry_run=false", LIVE_API_MERGE, "{}", 400,
     "'dry_run' is given twice"},
    {"DELETE", "/v1/pools/p?missing=fine", "", "", 400, "'missing' must be ok, not 'fine'"},
    {"GET", "/v1/config?missing=ok", "", "", 400, "unknown-parameter"},
    {"PUT", "/v1/pools/q", "Origin: http://evil.test\r\n" LIVE_API_JSON, "{}", 403, "forbidden"},
    {"GET", "/v1/config", "Sec-Fetch-Mode: no-cors\r\n", "", 403, "forbidden"},
    {"PUT", "/v1/pools/q", LIVE_API_JSON, "{\"retriess\":1}", 422, "\"suggestion\": \"retries\""},
    {"PUT", "/v1/pools/q", LIVE_API_JSON, "{\"a\":1,\"a\":1}", 400, "malformed-json"},
    {"PUT", "/v1/config", LIVE_API_JSON, "{\"listeners\":{},\n \"poolz\":{}}", 422, "\"line\": 2"},
    {"DELETE", "/v1/pools/p", "", "", 409, "#/listeners/web/default_pool"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", LIVE_API_JSON, "{\"state\":\"off\"}", 422,
     "#/state"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", LIVE_API_JSON, "{\"state\":\"drain\",\"x\":1}",
     422, "#/x"},
    {"PUT", "/v1/pools/p/servers/no/admin-state", LIVE_API_JSON, "{\"state\":\"drain\"}", 404,
     "not-found"},
    {"GET", "/v1/problems/no-such", "", "", 404, "not-found"},
};

START_TEST(what_is_refused_is_a_problem_and_changes_nothing)
{
    live_api_begin();
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        unsigned status = live_api_call(refused[i].method, refused[i].target, refused[i].headers,
                                        refused[i].body);
        ck_assert_msg(status == refused[i].status && live_api_has(refused[i].words), "%s %s: %s",
                      refused[i].method, refused[i].target, live_api.answer);
        ck_assert_msg(live_api_has("Content-Type: application/problem+json"), "%s",
                      live_api.answer);
        ck_assert_msg(live_api_has("\"type\": \"/v1/problems/"), "%s", live_api.answer);
        ck_assert_uint_eq(control_facts(live_api.live.control)->revision, 1);
    }
    live_api_end();
}
END_TEST

START_TEST(two_framings_are_refused_and_nothing_after_them_is_read)
{
    live_api_begin();
    live_api_talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\n" LIVE_API_JSON
                  "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                  "DELETE /v1/pools/p HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_uint_eq(live_api.status, 400);
    ck_assert_ptr_null(strstr(live_api.body, "HTTP/1.1"));
    ck_assert_uint_eq(control_facts(live_api.live.control)->revision, 1);
    live_api_end();
}
END_TEST

START_TEST(large_bodies_are_refused_from_the_head)
{
    live_api_begin();
    live_api_talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\n" LIVE_API_JSON
                  "Content-Length: 1048577\r\n\r\n");
    ck_assert_uint_eq(live_api.status, 413);
    live_api_talk("PUT /v1/config HTTP/1.1\r\nHost: a\r\n" LIVE_API_JSON
                  "Content-Length: 16777217\r\n\r\n");
    ck_assert_uint_eq(live_api.status, 413);
    live_api_end();
}
END_TEST

START_TEST(a_chunked_body_is_taken)
{
    live_api_begin();
    live_api_talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" LIVE_API_JSON
                  "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"ser\r\n9\r\nvers\":{}}\r\n0\r\n\r\n");
    ck_assert_uint_eq(live_api.status, 201);
    live_api_end();
}
END_TEST

START_TEST(head_has_no_body)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("HEAD", "/v1/config", "", ""), 200);
    ck_assert_str_eq(live_api.body, "");
    ck_assert(live_api_has("ETag: "));
    live_api_end();
}
END_TEST

START_TEST(requests_on_one_connection_are_answered_in_turn)
{
    live_api_begin();
    live_api_talk("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
                  "PATCH /v1/pools/p HTTP/1.1\r\nHost: a\r\n" LIVE_API_MERGE
                  "Content-Length: 13\r\n\r\n{\"retries\":2}"
                  "GET /v1/pools/p HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ck_assert_uint_eq(live_api.status, 200);
    const char *last = strstr(live_api.answer, "\"retries\": 2");
    ck_assert_ptr_nonnull(last);
    ck_assert_ptr_nonnull(strstr(last + 1, "\"retries\": 2"));
    live_api_end();
}
END_TEST

START_TEST(the_socket_is_for_its_group_and_goes_at_the_end)
{
    live_api_begin();
    struct stat found;
    char directory[96];
    ck_assert_int_eq(stat(live_api.socket, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0660);
    (void)snprintf(directory, sizeof(directory), "%s/run", live_api.live.directory);
    ck_assert_int_eq(stat(directory, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0750);
    control_stop(live_api.live.control);
    api_free(live_api.api);
    ck_assert_int_ne(stat(live_api.socket, &found), 0);
    live_control_stop(&live_api.live);
}
END_TEST

UNIT_TESTS("api", what_is_refused_is_a_problem_and_changes_nothing,
           two_framings_are_refused_and_nothing_after_them_is_read,
           large_bodies_are_refused_from_the_head, a_chunked_body_is_taken, head_has_no_body,
           requests_on_one_connection_are_answered_in_turn,
           the_socket_is_for_its_group_and_goes_at_the_end)
