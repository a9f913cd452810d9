#include <stdio.h>
#include <sys/wait.h>

#include "lbd/stats/counters_export.h"
#include "tests/unit/unit.h"

static uint32_t listener;
static uint32_t pools[2];
static uint32_t server;
static uint32_t route;

static void start(void)
{
    counters_init(2);
    listener = counters_acquire(COUNTERS_LISTENER);
    pools[0] = counters_acquire(COUNTERS_POOL);
    pools[1] = counters_acquire(COUNTERS_POOL);
    server = counters_acquire(COUNTERS_SERVER);
    route = counters_acquire(COUNTERS_ROUTE);
    struct counters_worker *worker = counters_worker(1);
    counter_add(&counters_of_listener(worker, listener)->connections_opened, 5);
    counter_add(&counters_of_listener(worker, listener)->connections_closed, 2);
    counter_add(&counters_of_listener(worker, listener)->requests[counters_code_of(404)], 3);
    size_t http2_ok = counters_http_code_of(COUNTERS_HTTP2, 200);
    counter_add(&counters_of_listener(worker, listener)->requests[http2_ok], 8);
    counter_add(&counters_of_listener(worker, listener)->endings[CLOSE_BAD_HOST], 4);
    size_t http2_bad_host = counters_protocol_of(COUNTERS_HTTP2, CLOSE_BAD_HOST);
    counter_add(&counters_of_listener(worker, listener)->protocol_errors[http2_bad_host], 4);
    counter_add(&counters_of_listener(worker, listener)->endings[CLOSE_OK], 9);
    histogram_note_us(&counters_of_listener(worker, listener)->request_duration, 700);
    counter_add(&counters_of_pool(worker, pools[1])->errors[COUNTERS_ERROR_DNS], 6);
    counter_add(&counters_of_server(worker, server)->response_us, 1500000);
    counter_add(&counters_of_server(worker, server)->responses[counters_code_of(200)], 7);
    counter_set(&worker->loop.us[COUNTERS_LOOP_IDLE], 2500000);
    counter_set(&worker->loop.revision, 42);
}

static void write_kind(struct prometheus *out, enum counters_kind kind, bool full,
                       const uint32_t *ids, const char *const *labels, size_t count)
{
    for (size_t family = 0; family < counters_export_families(kind); family++) {
        if (counters_export_is_full(kind, family) && !full) {
            continue;
        }
        counters_export_heading(out, kind, family);
        for (size_t i = 0; i < count; i++) {
            counters_export_object(out, kind, family, ids[i], slice_from(labels[i]));
        }
    }
}

static void write_all(struct prometheus *out, bool full)
{
    static const char *const listener_labels[] = {"listener=\"web\""};
    static const char *const route_labels[] = {"route=\"r\""};
    static const char *const pool_labels[] = {"pool=\"a\"", "pool=\"b\""};
    static const char *const server_labels[] = {"pool=\"a\",server=\"s\""};
    static const char *const loop_labels[] = {"worker=\"0\"", "worker=\"1\""};
    static const uint32_t loops[] = {0, 1};
    write_kind(out, COUNTERS_LISTENER, full, &listener, listener_labels, 1);
    write_kind(out, COUNTERS_ROUTE, full, &route, route_labels, 1);
    write_kind(out, COUNTERS_POOL, full, pools, pool_labels, 2);
    write_kind(out, COUNTERS_SERVER, full, &server, server_labels, 1);
    write_kind(out, COUNTERS_LOOP, full, loops, loop_labels, 2);
    prometheus_end(out);
}

static void expect(const struct buf *out, const char *line)
{
    ck_assert_msg(strstr(out->data, line) != NULL, "no line %s", line);
}

START_TEST(every_row_finds_its_number)
{
    struct buf out;
    struct prometheus prometheus;
    start();
    buf_init(&out, 1000000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    write_all(&prometheus, true);
    expect(&out, "\nlbd_listener_connections_total{listener=\"web\"} 5\n");
    expect(&out, "\nlbd_listener_connections{listener=\"web\"} 3\n");
    expect(&out,
           "\nlbd_http_requests_total{listener=\"web\",protocol=\"http1\",code_class=\"4xx\"} 3\n");
    expect(&out,
           "\nlbd_http_requests_total{listener=\"web\",protocol=\"http1\",code_class=\"2xx\"} 0\n");
    expect(&out,
           "\nlbd_http_requests_total{listener=\"web\",protocol=\"http2\",code_class=\"2xx\"} 8\n");
    expect(&out, "\nlbd_http_endings_total{listener=\"web\",reason=\"ok\"} 9\n");
    expect(&out, "\nlbd_http_endings_total{listener=\"web\",reason=\"bad_host\"} 4\n");
    expect(&out, "\nlbd_http_protocol_errors_total{listener=\"web\",protocol=\"http2\",reason="
                 "\"bad_host\"} 4\n");
    expect(&out, "\nlbd_http_request_duration_seconds_bucket{listener=\"web\",le=\"0.001\"} 1\n");
    expect(&out, "\nlbd_http_request_duration_seconds_sum{listener=\"web\"} 0.0007\n");
    expect(&out, "\nlbd_route_requests_total{route=\"r\",code_class=\"5xx\"} 0\n");
    expect(&out, "\nlbd_pool_errors_total{pool=\"a\",reason=\"dns\"} 0\n");
    expect(&out, "\nlbd_pool_errors_total{pool=\"b\",reason=\"dns\"} 6\n");
    expect(&out, "\nlbd_server_response_seconds_total{pool=\"a\",server=\"s\"} 1.5\n");
    expect(&out,
           "\nlbd_server_http_responses_total{pool=\"a\",server=\"s\",code_class=\"2xx\"} 7\n");
    expect(&out, "\nlbd_worker_loop_seconds_total{worker=\"1\",state=\"idle\"} 2.5\n");
    expect(&out, "\nlbd_worker_config_revision{worker=\"0\"} 0\n");
    expect(&out, "\nlbd_worker_config_revision{worker=\"1\"} 42\n");
    ck_assert_ptr_null(strstr(out.data, "protocol_errors_total{listener=\"web\",protocol=\"http1\","
                                        "reason=\"ok\""));
    buf_fini(&out);
    counters_fini();
}
END_TEST

START_TEST(the_basic_scope_leaves_out_the_full_one)
{
    struct buf out;
    struct prometheus prometheus;
    start();
    buf_init(&out, 1000000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    write_all(&prometheus, false);
    expect(&out, "\nlbd_server_requests_total{");
    ck_assert_ptr_null(strstr(out.data, "lbd_server_sent_bytes_total"));
    buf_fini(&out);
    counters_fini();
}
END_TEST

/* A family stands once, its samples directly after it: what a parser insists on. */
START_TEST(families_are_whole_and_unique)
{
    struct buf out;
    struct prometheus prometheus;
    start();
    buf_init(&out, 1000000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    write_all(&prometheus, true);
    char family[128] = "";
    size_t samples = 0;
    struct slice rest = buf_slice(&out);
    struct slice line;
    while (slice_split(&rest, '\n', &line) && line.len != 0) {
        if (slice_starts(line, SLICE("# HELP "))) {
            ck_assert_msg(family[0] == '\0' || samples != 0, "%s has no sample", family);
            samples = 0;
            struct slice name = slice_from_at(line, 7);
            ck_assert_uint_gt(name.len - slice_find(name, ' '), 5); /* there is some help */
            (void)snprintf(family, sizeof(family), "%.*s", (int)slice_find(name, ' '), name.ptr);
            char heading[160];
            (void)snprintf(heading, sizeof(heading), "# TYPE %s ", family);
            ck_assert_ptr_eq(strstr(out.data, heading), line.ptr + line.len + 1);
            ck_assert_msg(strstr(line.ptr + line.len + 5, heading) == NULL, "%s twice", family);
        } else if (!slice_starts(line, SLICE("# TYPE "))) {
            ck_assert_msg(slice_starts(line, slice_from(family)), "%.*s under %s", SLICE_ARG(line),
                          family);
            samples++;
        }
    }
    buf_fini(&out);
    counters_fini();
}
END_TEST

/* What is counted against metrics.max_series is what is written. */
START_TEST(series_are_foretold)
{
    struct buf out;
    struct prometheus prometheus;
    size_t kinds = 0;
    start();
    buf_init(&out, 1000000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    for (unsigned kind = 0; kind < COUNTERS_KIND_COUNT; kind++) {
        for (size_t family = 0; family < counters_export_families(kind); family++, kinds++) {
            size_t lines = 0;
            buf_clear(&out);
            counters_export_heading(&prometheus, kind, family);
            buf_clear(&out);
            counters_export_object(&prometheus, kind, family, kind == COUNTERS_LOOP ? 0 : 1,
                                   SLICE("x=\"y\""));
            for (size_t i = 0; i < out.len; i++) {
                lines += out.data[i] == '\n' ? 1U : 0U;
            }
            ck_assert_msg(lines == counters_export_series(kind, family), "%s: %zu",
                          counters_export_name(kind, family), lines);
        }
    }
    ck_assert_uint_gt(kinds, 40);
    buf_fini(&out);
    counters_fini();
}
END_TEST

/* Where Prometheus's own checker is installed it has the last word. */
START_TEST(promtool_has_nothing_to_say)
{
    struct buf out;
    struct prometheus prometheus;
    char said[4096];
    if (system("command -v promtool >/dev/null") != 0) {
        return;
    }
    start();
    buf_init(&out, 1000000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    write_all(&prometheus, true);

    char path[] = "/tmp/lbd-test-metrics-XXXXXX";
    char command[128];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    ck_assert_uint_eq(fwrite(out.data, 1, out.len, file), out.len);
    ck_assert_int_eq(fclose(file), 0);
    (void)snprintf(command, sizeof(command), "promtool check metrics <%s 2>&1", path);
    FILE *pipe = popen(command, "re");
    ck_assert_ptr_nonnull(pipe);
    size_t len = fread(said, 1, sizeof(said) - 1, pipe);
    said[len] = '\0';
    int status = pclose(pipe);
    (void)remove(path);
    ck_assert_msg(status == 0 && len == 0, "promtool: %s", said);
    buf_fini(&out);
    counters_fini();
}
END_TEST

UNIT_TESTS("counters_export", every_row_finds_its_number, the_basic_scope_leaves_out_the_full_one,
           families_are_whole_and_unique, series_are_foretold, promtool_has_nothing_to_say)
