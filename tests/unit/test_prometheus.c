#include <math.h>

#include "lbd/base/compiler.h"
#include "lbd/stats/prometheus.h"
#include "tests/unit/unit.h"

static void write_all(struct buf *out, enum prometheus_format format)
{
    struct prometheus prometheus;
    struct buf labels;
    buf_init(&labels, 1000);
    prometheus_label(&labels, "pool", SLICE("a\"b\\c\nd\xff\xc3\xbc"));
    prometheus_label(&labels, "server", SLICE("s"));
    prometheus_init(&prometheus, out, format);

    prometheus_family(&prometheus, "lbd_x_total", PROMETHEUS_COUNTER, "With \"quotes\" and \\.");
    prometheus_sample(&prometheus, buf_slice(&labels), UINT64_MAX);
    prometheus_sample_by(&prometheus, SLICE("pool=\"p\""), "reason", SLICE("timeout"), 3,
                         PROMETHEUS_ONE);
    prometheus_sample_by(&prometheus, SLICE_NONE, "reason", SLICE("reset"), 0, PROMETHEUS_ONE);

    prometheus_family(&prometheus, "lbd_g", PROMETHEUS_GAUGE, "A gauge.");
    prometheus_sample_double(&prometheus, SLICE_NONE, 0.25);
    prometheus_sample_double(&prometheus, SLICE("k=\"v\""), (double)NAN);
    prometheus_sample_double(&prometheus, SLICE("k=\"w\""), -(double)INFINITY);

    prometheus_family(&prometheus, "lbd_time_seconds_total", PROMETHEUS_COUNTER, "A time.");
    prometheus_sample_unit(&prometheus, SLICE_NONE, 12345678, PROMETHEUS_MICROSECONDS);
    prometheus_end(&prometheus);
    buf_fini(&labels);
}

START_TEST(writes_the_text_format)
{
    struct buf out;
    buf_init(&out, 100000);
    write_all(&out, PROMETHEUS_TEXT);
    ck_assert_str_eq(out.data, "# HELP lbd_x_total With \"quotes\" and \\\\.\n"
                               "# TYPE lbd_x_total counter\n"
                               "lbd_x_total{pool=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xbc\",server="
                               "\"s\"} 18446744073709551615\n"
                               "lbd_x_total{pool=\"p\",reason=\"timeout\"} 3\n"
                               "lbd_x_total{reason=\"reset\"} 0\n"
                               "# HELP lbd_g A gauge.\n"
                               "# TYPE lbd_g gauge\n"
                               "lbd_g 0.25\n"
                               "lbd_g{k=\"v\"} NaN\n"
                               "lbd_g{k=\"w\"} -Inf\n"
                               "# HELP lbd_time_seconds_total A time.\n"
                               "# TYPE lbd_time_seconds_total counter\n"
                               "lbd_time_seconds_total 12.345678\n");
    buf_fini(&out);
}
END_TEST

START_TEST(openmetrics_names_counters_without_total_and_ends)
{
    struct buf out;
    buf_init(&out, 100000);
    write_all(&out, PROMETHEUS_OPENMETRICS);
    ck_assert_ptr_nonnull(strstr(out.data, "# HELP lbd_x With \\\"quotes\\\" and \\\\.\n"
                                           "# TYPE lbd_x counter\nlbd_x_total{"));
    ck_assert_ptr_nonnull(strstr(out.data, "# TYPE lbd_g gauge\nlbd_g 0.25\n"));
    ck_assert_str_eq(out.data + out.len - 6, "# EOF\n");
    buf_fini(&out);
}
END_TEST

START_TEST(seconds_are_exact)
{
    static const struct {
        uint64_t us;
        const char *want;
    } cases[] = {
        {0, "x 0\n"},
        {1, "x 0.000001\n"},
        {100000, "x 0.1\n"},
        {1000000, "x 1\n"},
        {1500000, "x 1.5\n"},
        {60000001, "x 60.000001\n"},
        {999999, "x 0.999999\n"},
        {UINT64_MAX, "x 18446744073709.551615\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        struct prometheus prometheus;
        buf_init(&out, 1000);
        prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
        prometheus_family(&prometheus, "x", PROMETHEUS_GAUGE, "h");
        buf_clear(&out);
        prometheus_sample_unit(&prometheus, SLICE_NONE, cases[i].us, PROMETHEUS_MICROSECONDS);
        ck_assert_str_eq(out.data, cases[i].want);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(histograms_are_cumulative)
{
    struct buf out;
    struct prometheus prometheus;
    struct histogram_duration durations = {0};
    struct histogram_size sizes = {0};
    histogram_note_us(&durations, 50);
    histogram_note_us(&durations, 700000);
    histogram_note_us(&durations, 99000000);
    histogram_note_bytes(&sizes, 5000);
    buf_init(&out, 100000);
    prometheus_init(&prometheus, &out, PROMETHEUS_TEXT);
    prometheus_family(&prometheus, "t_seconds", PROMETHEUS_HISTOGRAM, "h");
    prometheus_durations(&prometheus, SLICE("pool=\"p\""), &durations);
    prometheus_family(&prometheus, "s_bytes", PROMETHEUS_HISTOGRAM, "h");
    prometheus_sizes(&prometheus, SLICE_NONE, &sizes);
    static const char *const lines[] = {
        "t_seconds_bucket{pool=\"p\",le=\"0.0001\"} 1\n",
        "t_seconds_bucket{pool=\"p\",le=\"0.5\"} 1\n",
        "t_seconds_bucket{pool=\"p\",le=\"1.0\"} 2\n",
        "t_seconds_bucket{pool=\"p\",le=\"60.0\"} 2\n",
        "t_seconds_bucket{pool=\"p\",le=\"+Inf\"} 3\n",
        "t_seconds_sum{pool=\"p\"} 99.70005\n",
        "t_seconds_count{pool=\"p\"} 3\n",
        "s_bytes_bucket{le=\"4096.0\"} 0\n",
        "s_bytes_bucket{le=\"16384.0\"} 1\n",
        "s_bytes_bucket{le=\"+Inf\"} 1\n",
        "s_bytes_sum 5000\n",
        "s_bytes_count 1\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        ck_assert_msg(strstr(out.data, lines[i]) != NULL, "no line %s in\n%s", lines[i], out.data);
    }
    /* each `le` says what its bucket counts */
    const char *at = out.data;
    for (size_t i = 0; i < HISTOGRAM_DURATION_BOUNDS; i++) {
        at = strstr(at, "le=\"") + 4;
        ck_assert(fabs(strtod(at, NULL) * 1e6 - (double)histogram_bounds_us[i]) < 0.001);
    }
    at = strstr(at, "s_bytes");
    for (size_t i = 0; i < HISTOGRAM_SIZE_BOUNDS; i++) {
        at = strstr(at, "le=\"") + 4;
        ck_assert(fabs(strtod(at, NULL) - (double)histogram_bounds_bytes[i]) < 0.001);
    }
    buf_fini(&out);
}
END_TEST

/* OpenMetrics has one family per name, and none for a counter whose name is a gauge's. */
START_TEST(a_counter_beside_a_gauge_keeps_its_series)
{
    static const char *const want[] = {
        [PROMETHEUS_TEXT] = "# HELP lbd_c_total Opened.\n# TYPE lbd_c_total counter\n"
                            "lbd_c_total{l=\"w\",fixed=\"f\"} 3\n",
        [PROMETHEUS_OPENMETRICS] = "# HELP lbd_c_total Opened.\n# TYPE lbd_c_total unknown\n"
                                   "lbd_c_total{l=\"w\",fixed=\"f\"} 3\n",
    };
    for (size_t format = 0; format < ARRAY_LEN(want); format++) {
        struct buf out;
        struct prometheus prometheus;
        buf_init(&out, 1000);
        prometheus_init(&prometheus, &out, (enum prometheus_format)format);
        prometheus_family(&prometheus, "lbd_c_total", PROMETHEUS_COUNTER_BESIDE_GAUGE, "Opened.");
        prometheus_fixed(&prometheus, "fixed=\"f\"");
        prometheus_sample(&prometheus, SLICE("l=\"w\""), 3);
        ck_assert_str_eq(out.data, want[format]);
        buf_fini(&out);
    }
}
END_TEST

UNIT_TESTS("prometheus", writes_the_text_format, openmetrics_names_counters_without_total_and_ends,
           seconds_are_exact, histograms_are_cumulative, a_counter_beside_a_gauge_keeps_its_series)
