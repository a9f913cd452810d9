#include <stdio.h>
#include <string.h>

#include "api/api_overview.h"
#include "conf/json/json.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

/* Whether it came in chunks or not. */
static struct json *get(bool is_streamed)
{
    struct buf text;
    struct json_error error;
    ck_assert_msg(live_api_call("GET", "/v1/status", "", "") == 200, "%.200s", live_api.answer);
    ck_assert(live_api_has("Transfer-Encoding: chunked") == is_streamed);
    buf_init(&text, sizeof(live_api.answer));
    for (const char *at = live_api.body; is_streamed;) {
        char *end = NULL;
        size_t len = strtoul(at, &end, 16);
        if (len == 0) {
            break;
        }
        ck_assert(buf_append(&text, end + 2, len));
        at = end + 2 + len + 2;
    }
    if (!is_streamed) {
        ck_assert(buf_append_text(&text, live_api.body));
    }
    ck_assert_int_eq(text.data[text.len - 1], '\n');
    struct json *json = json_parse(buf_slice(&text), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(json != NULL, "%s", error.text);
    buf_fini(&text);
    return json;
}

static void put_servers(const char *pool, unsigned count)
{
    static char body[131072];
    char pointer[64];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"servers\":{");
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len,
                                "%s\"s%04u\":{\"address\":\"127.0.0.1:1\"}", i != 0 ? "," : "", i);
    }
    (void)snprintf(body + len, sizeof(body) - len, "}}");
    (void)snprintf(pointer, sizeof(pointer), "/pools/%s", pool);
    (void)live_control_change(&live_api.live, CONF_EDIT_PUT, pointer, body);
}

static const struct json *member(const struct json *json, const char *path)
{
    struct slice rest = slice_from(path);
    struct slice key;
    while (json != NULL && slice_split(&rest, '/', &key)) {
        json = json_get(json, key);
    }
    return json;
}

START_TEST(a_small_one_comes_at_once)
{
    live_api_begin();
    put_servers("empty", 0);
    struct json *json = get(false);
    ck_assert_uint_eq(json_count(member(json, "conditions")), 6);
    ck_assert_uint_eq(json_count(member(json, "pools")), 2);
    ck_assert_ptr_nonnull(member(json, "pools/p/servers/a/health"));
    ck_assert_ptr_nonnull(member(json, "listeners/web/addresses"));
    ck_assert_uint_eq(json_count(member(json, "problems")), 1);
    ck_assert(live_api_has("\"pointer\": \"#/pools/empty\""));
    ck_assert(live_api_has("\"message\": \"has no servers\""));
    json_free(json);
    live_api_end();
}
END_TEST

START_TEST(a_large_one_comes_in_blocks_and_is_the_same_document)
{
    live_api_begin();
    put_servers("many", API_OVERVIEW_WHOLE_MAX - 1);
    struct json *json = get(false);
    ck_assert_uint_eq(json_count(member(json, "pools/many/servers")), API_OVERVIEW_WHOLE_MAX - 1);
    json_free(json);
    put_servers("more", 1);
    json = get(true);
    ck_assert_uint_eq(json_count(member(json, "pools/many/servers")), API_OVERVIEW_WHOLE_MAX - 1);
    ck_assert_uint_eq(json_count(member(json, "pools/more/servers")), 1);
    ck_assert_uint_eq(json_count(member(json, "problems")), 0);
    json_free(json);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_overview", a_small_one_comes_at_once,
           a_large_one_comes_in_blocks_and_is_the_same_document)
