#include <stdio.h>
#include <string.h>

#include "api/api_stats.h"
#include "conf/json/json.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

/* The answer as a document; chunks are put together. */
static struct json *get(const char *target)
{
    struct buf text;
    struct json_error error;
    ck_assert_msg(live_api_call("GET", target, "", "") == 200, "%s", live_api.answer);
    ck_assert(live_api_has("Content-Type: application/json"));
    ck_assert(live_api_has("Transfer-Encoding: chunked"));
    buf_init(&text, sizeof(live_api.answer));
    for (const char *at = live_api.body;;) {
        char *end = NULL;
        size_t len = strtoul(at, &end, 16);
        if (len == 0) {
            break;
        }
        ck_assert(buf_append(&text, end + 2, len));
        at = end + 2 + len + 2;
    }
    struct json *json = json_parse(buf_slice(&text), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(json != NULL, "%s: %s", error.text, text.data);
    buf_fini(&text);
    return json;
}

static const struct json *at(const struct json *json, const char *path)
{
    struct slice rest = slice_from(path);
    struct slice key;
    while (json != NULL && slice_split(&rest, '.', &key)) {
        json = json_get(json, key);
    }
    return json;
}

START_TEST(every_object_has_its_numbers)
{
    static const char *const paths[] = {
        "time",
        "revision",
        "bounds_ms",
        "process.uptime_seconds",
        "process.connections",
        "process.connections_limit",
        "process.memory_limit_bytes",
        "process.requests",
        "process.responses.5xx",
        "process.request_duration.p99_ms",
        "listeners.web.connections",
        "listeners.web.in_flight",
        "listeners.web.request_duration.buckets",
        "pools.p.servers",
        "pools.p.usable",
        "pools.p.errors",
        "pools.p.response_duration.p50_ms",
        "pools.p.connect_duration.count",
        "servers.p/a.health",
        "servers.p/a.weight",
        "servers.p/a.requests",
        "servers.p/a.responses.2xx",
        "servers.p/a.response_sum_ms",
        "routes",
    };
    live_api_begin();
    struct json *json = get("/v1/stats");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        ck_assert_msg(at(json, paths[i]) != NULL, "no %s", paths[i]);
    }
    ck_assert_uint_eq(json_count(at(json, "bounds_ms")) + 1,
                      json_count(at(json, "pools.p.response_duration.buckets")));
    json_free(json);
    live_api_end();
}
END_TEST

START_TEST(a_scope_is_what_was_asked_for)
{
    live_api_begin();
    struct json *json = get("/v1/stats?scope=pools,process");
    ck_assert_ptr_nonnull(at(json, "pools.p"));
    ck_assert_ptr_nonnull(at(json, "process"));
    ck_assert_ptr_null(at(json, "servers"));
    ck_assert_ptr_null(at(json, "listeners"));
    json_free(json);
    json = get("/v1/stats?scope=servers");
    ck_assert_uint_eq(json_count(at(json, "servers")), 1);
    ck_assert_ptr_null(at(json, "process"));
    json_free(json);
    ck_assert_uint_eq(live_api_call("GET", "/v1/stats?scope=server", "", ""), 400);
    ck_assert_uint_eq(live_api_call("GET", "/v1/stats?scope=", "", ""), 400);
    ck_assert_uint_eq(live_api_call("GET", "/v1/stats?pool=p", "", ""), 400);
    live_api_end();
}
END_TEST

/* More than one block, pools without servers in between. */
START_TEST(many_servers_come_in_many_blocks)
{
    enum { POOLS = 40, EACH = 20 };
    static char body[131072];
    size_t len = 0;
    live_api_begin();
    for (int p = 0; p < POOLS; p++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s\"x%02d\":{\"servers\":{",
                                p == 0 ? "{\"pools\":{" : "}},", p);
        for (int s = 0; p % 3 != 0 && s < EACH; s++) {
            len +=
                (size_t)snprintf(body + len, sizeof(body) - len,
                                 "%s\"s%02d\":{\"address\":\"127.0.0.1:1\"}", s != 0 ? "," : "", s);
        }
    }
    (void)snprintf(body + len, sizeof(body) - len, "}}}}");
    (void)live_control_change(&live_api.live, CONF_EDIT_MERGE, "", body);
    struct json *json = get("/v1/stats?scope=servers");
    ck_assert_uint_eq(json_count(at(json, "servers")), 1 + (POOLS - 14) * EACH);
    json_free(json);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_stats", every_object_has_its_numbers, a_scope_is_what_was_asked_for,
           many_servers_come_in_many_blocks)
