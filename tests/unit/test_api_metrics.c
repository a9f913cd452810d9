#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_metrics.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

/* The value of the first sample whose line begins with `text`; -1: there is none. */
static double sample(const char *text)
{
    for (const char *line = live_api.body; line != NULL && *line != '\0';) {
        if (strncmp(line, text, strlen(text)) == 0 && line[0] != '#') {
            const char *end = strchr(line, '\n');
            const char *value = end;
            while (value > line && value[-1] != ' ') {
                value--;
            }
            return strtod(value, NULL);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}

START_TEST(numbers_of_every_room_are_there)
{
    live_api_begin();
    (void)live_control_change(&live_api.live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}");
    ck_assert_uint_eq(live_api_call("GET", "/metrics", "", ""), 200);
    ck_assert(live_api_has("Content-Type: text/plain; version=0.0.4") ||
              live_api_has("Content-Type: text/plain;version=0.0.4"));
    ck_assert_double_eq(sample("lbd_config_revision "), 2);
    ck_assert_double_eq(sample("lbd_config_applies_total{result=\"applied\"} "), 1);
    ck_assert_double_eq(sample("lbd_config_objects{kind=\"servers\"} "), 1);
    ck_assert_double_eq(sample("lbd_workers "), 2);
    ck_assert_double_eq(sample("lbd_worker_config_revision{worker=\"1\"} "), 2);
    ck_assert_double_eq(sample("lbd_listener_up{listener=\"web\"} "), 1);
    ck_assert_double_eq(sample("lbd_pool_servers{pool=\"p\",state=\"up\"} "), 1);
    ck_assert_double_eq(sample("lbd_pool_servers{pool=\"p\",state=\"maintenance\"} "), 0);
    ck_assert_double_eq(sample("lbd_server_up{pool=\"p\",server=\"a\"} "), 1);
    ck_assert_double_eq(sample("lbd_server_weight{pool=\"p\",server=\"a\"} "), 100);
    ck_assert_double_eq(sample("lbd_config_apply_duration_seconds_count "), 1);
    ck_assert(sample("process_resident_memory_bytes ") > 1000000);
    ck_assert(sample("process_open_fds ") > 5);
    ck_assert_double_eq(sample("lbd_metrics_scope_omitted{scope=\"server\"} "), 0);
    live_api_end();
}
END_TEST

START_TEST(every_line_is_a_comment_or_a_sample)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/metrics?scope=full", "", ""), 200);
    const char *line = live_api.body;
    size_t lines = 0;
    while (*line != '\0') {
        const char *end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        bool is_comment = strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0;
        ck_assert_msg(is_comment || islower((unsigned char)line[0]), "%.40s", line);
        line = end + 1;
        lines++;
    }
    ck_assert_uint_gt(lines, 300);
    live_api_end();
}
END_TEST

START_TEST(servers_can_be_left_out)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/metrics?scope=none", "", ""), 200);
    ck_assert_double_eq(sample("lbd_server_up"), -1);
    ck_assert_double_eq(sample("lbd_pool_servers{pool=\"p\",state=\"up\"} "), 1);
    ck_assert_uint_eq(live_api_call("GET", "/metrics?scope=all", "", ""), 400);
    live_api_end();
}
END_TEST

START_TEST(openmetrics_ends_in_its_mark)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/metrics",
                                    "Accept: application/openmetrics-text;version=1.0.0\r\n", ""),
                      200);
    ck_assert(live_api_has("Content-Type: application/openmetrics-text"));
    size_t len = strlen(live_api.body);
    ck_assert_uint_gt(len, 6);
    ck_assert_str_eq(live_api.body + len - 6, "# EOF\n");
    live_api_end();
}
END_TEST

START_TEST(calls_of_the_api_are_counted)
{
    live_api_begin();
    ck_assert_uint_eq(live_api_call("GET", "/metrics", "", ""), 200);
    static const char name[] =
        "lbd_api_requests_total{method=\"GET\",route=\"/v1/pools/{}\",code=\"404\"} ";
    double before = sample(name);
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/none", "", ""), 404);
    ck_assert_uint_eq(live_api_call("GET", "/metrics", "", ""), 200);
    ck_assert_double_eq(sample(name), before < 0 ? 1 : before + 1);
    live_api_end();
}
END_TEST

UNIT_TESTS("api_metrics", numbers_of_every_room_are_there, every_line_is_a_comment_or_a_sample,
           servers_can_be_left_out, openmetrics_ends_in_its_mark, calls_of_the_api_are_counted)
