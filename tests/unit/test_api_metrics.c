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

/* Asks for it; where the answer came in chunks, what is between them is taken out. */
static void scrape(const char *target, const char *headers, unsigned status)
{
    ck_assert_msg(live_api_call("GET", target, headers, "") == status, "%s: %u %s", target,
                  live_api.status, live_api.answer);
    char *body = strstr(live_api.answer, "\r\n\r\n") + 4;
    char *out = body;
    if (!live_api_has("Transfer-Encoding: chunked")) {
        return;
    }
    for (char *at = body;;) {
        char *end = NULL;
        size_t len = strtoul(at, &end, 16);
        ck_assert_msg(strncmp(end, "\r\n", 2) == 0, "no chunk: %.40s", at);
        if (len == 0) {
            break;
        }
        memmove(out, end + 2, len);
        out += len;
        at = end + 2 + len + 2;
    }
    *out = '\0';
}

static void set_metrics(const char *setting)
{
    char body[200];
    (void)snprintf(body, sizeof(body), "{\"observability\":{\"metrics\":%s}}", setting);
    (void)live_control_change(&live_api.live, CONF_EDIT_MERGE, "", body);
}

START_TEST(numbers_of_every_room_are_there)
{
    live_api_begin();
    (void)live_control_change(&live_api.live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}");
    scrape("/metrics", "", 200);
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
    set_metrics("{\"server_scope\":\"full\"}");
    scrape("/metrics", "", 200);
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

START_TEST(the_setting_says_what_is_shown_of_servers)
{
    static const struct {
        const char *setting;
        double up;       /* -1: not shown */
        double by_class; /* likewise */
        double omitted;
    } cases[] = {
        {"null", 1, -1, 0},
        {"{\"server_scope\":\"basic\"}", 1, -1, 0},
        {"{\"server_scope\":\"full\"}", 1, 0, 0},
        {"{\"server_scope\":\"none\"}", -1, -1, 0},
        {"{\"max_series\":10}", -1, -1, 1},
        {"{\"max_series\":0,\"server_scope\":\"none\"}", -1, -1,
         0}, /* nothing was to be left out */
    };
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_metrics("null");
        set_metrics(cases[i].setting);
        scrape("/metrics", "", 200);
        ck_assert_double_eq(sample("lbd_server_up{pool=\"p\",server=\"a\"} "), cases[i].up);
        ck_assert_double_eq(sample("lbd_server_http_responses_total{pool=\"p\",server=\"a\","
                                   "code_class=\"2xx\"} "),
                            cases[i].by_class);
        ck_assert_double_eq(sample("lbd_metrics_scope_omitted{scope=\"server\"} "),
                            cases[i].omitted);
        ck_assert_double_eq(sample("lbd_pool_servers{pool=\"p\",state=\"up\"} "), 1);
    }
    live_api_end();
}
END_TEST

START_TEST(a_scrape_can_be_narrowed)
{
    static const struct {
        const char *query;
        const char *with;    /* begins some sample */
        const char *without; /* begins none */
    } cases[] = {
        {"scope=process", "lbd_config_revision ", "lbd_pool_servers"},
        {"scope=process", "lbd_worker_loops_total", "lbd_listener_up"},
        {"scope=pool,server", "lbd_server_up", "lbd_config_revision"},
        {"scope=pool,server", "lbd_pool_retries_total", "lbd_listener_up"},
        {"scope=route,listener", "lbd_listener_up", "lbd_pool_servers"},
        {"pool=q", "lbd_pool_servers{pool=\"q\"", "lbd_pool_servers{pool=\"p\""},
        {"pool=q", "lbd_server_up{pool=\"q\"", "lbd_server_up{pool=\"p\""},
        {"pool=q&scope=server", "lbd_server_up{pool=\"q\"", "lbd_pool_servers"},
        {"name[]=lbd_server_up", "lbd_server_up", "lbd_server_weight"},
        {"name%5B%5D=lbd_workers&name%5B%5D=lbd_snapshots", "lbd_snapshots", "lbd_config_revision"},
        {"name[]=lbd_workers&name[]=lbd_snapshots", "lbd_workers", "lbd_config_revision"},
        {"name[]=lbd_pool_retries", "lbd_pool_retries_total", "lbd_pool_connects_total"},
        {"name[]=lbd_pool_connect_duration_seconds_sum", "lbd_pool_connect_duration_seconds_bucket",
         "lbd_pool_connects_total"},
    };
    live_api_begin();
    (void)live_control_change(&live_api.live, CONF_EDIT_PUT, "/pools/q",
                              "{\"servers\":{\"b\":{\"address\":\"127.0.0.1:2\"}}}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[256];
        (void)snprintf(target, sizeof(target), "/metrics?%s", cases[i].query);
        scrape(target, "", 200);
        ck_assert_msg(sample(cases[i].with) >= 0, "%s: no %s", target, cases[i].with);
        ck_assert_msg(sample(cases[i].without) < 0, "%s: %s", target, cases[i].without);
    }
    scrape("/metrics?scope=all", "", 400);
    scrape("/metrics?scope=", "", 400);
    scrape("/metrics?scope=pool,", "", 400);
    scrape("/metrics?pool=none", "", 404);
    scrape("/metrics?pool=p&pool=q", "", 400);
    scrape("/metrics?name[]=a&name[]=b&name[]=c&name[]=d&name[]=e&name[]=f&name[]=g&name[]=h"
           "&name[]=i&name[]=j&name[]=k&name[]=l&name[]=m&name[]=n&name[]=o&name[]=p&name[]=q",
           "", 400);
    scrape("/metrics?name[]=nothing", "", 200);
    ck_assert_str_eq(live_api.body, "");
    live_api_end();
}
END_TEST

START_TEST(openmetrics_ends_in_its_mark)
{
    live_api_begin();
    scrape("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n", 200);
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
    scrape("/metrics", "", 200);
    static const char name[] =
        "lbd_api_requests_total{method=\"GET\",route=\"/v1/pools/{}\",code=\"404\"} ";
    double before = sample(name);
    ck_assert_uint_eq(live_api_call("GET", "/v1/pools/none", "", ""), 404);
    scrape("/metrics", "", 200);
    ck_assert_double_eq(sample(name), before < 0 ? 1 : before + 1);
    ck_assert_double_gt(sample("lbd_api_request_duration_seconds_count{route=\"/metrics\"} "), 0);
    ck_assert_double_eq(sample("lbd_api_requests_total{method=\"DELETE\",route=\"/v1/pools/{}\","
                               "code=\"204\"} "),
                        0); /* it is there before it happens */
    ck_assert_double_eq(sample("lbd_api_connections "), 1);
    ck_assert(live_api_call("HEAD", "/metrics", "", "") == 200);
    ck_assert_str_eq(live_api.body, "");
    live_api_end();
}
END_TEST

UNIT_TESTS("api_metrics", numbers_of_every_room_are_there, every_line_is_a_comment_or_a_sample,
           the_setting_says_what_is_shown_of_servers, a_scrape_can_be_narrowed,
           openmetrics_ends_in_its_mark, calls_of_the_api_are_counted)
