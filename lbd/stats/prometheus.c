#include "lbd/stats/prometheus.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/num.h"
#include "lbd/base/utf8.h"

static const char *const bounds_seconds[HISTOGRAM_DURATION_BOUNDS + 1] = {
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
    "0.25",   "0.5",     "1.0",    "2.5",   "5.0",    "10.0",  "30.0", "60.0",  "+Inf",
};

static const char *const bounds_bytes[HISTOGRAM_SIZE_BOUNDS + 1] = {
    "256.0",    "1024.0",    "4096.0",    "16384.0",    "65536.0",
    "262144.0", "1048576.0", "4194304.0", "16777216.0", "+Inf",
};

void prometheus_init(struct prometheus *prometheus, struct buf *out, enum prometheus_format format)
{
    *prometheus = (struct prometheus){.out = out, .format = format};
}

const char *prometheus_content_type(enum prometheus_format format)
{
    return format == PROMETHEUS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

static void put(struct prometheus *prometheus, struct slice s)
{
    (void)buf_append_slice(prometheus->out, s);
}

/* Backslash, line end and, where it would end the text, the quote; what is not UTF-8 would make a
 * scraper refuse the whole page. */
static void put_escaped(struct buf *out, struct slice s, bool quotes)
{
    for (size_t at = 0; at < s.len;) {
        char c = s.ptr[at];
        size_t len = utf8_length(slice_from_at(s, at));
        if (c == '\n') {
            (void)buf_append_text(out, "\\n");
        } else if (c == '\\' || (quotes && c == '"')) {
            (void)buf_append_char(out, '\\');
            (void)buf_append_char(out, c);
        } else if (len == 0) {
            (void)buf_append_text(out, "\xef\xbf\xbd"); /* U+FFFD */
            len = 1;
        } else {
            (void)buf_append(out, s.ptr + at, len);
        }
        at += len;
    }
}

void prometheus_label(struct buf *labels, const char *name, struct slice value)
{
    if (labels->len != 0) {
        (void)buf_append_char(labels, ',');
    }
    (void)buf_append_text(labels, name);
    (void)buf_append_text(labels, "=\"");
    put_escaped(labels, value, true);
    (void)buf_append_char(labels, '"');
}

/* The unit that a family's name ends in; empty: none. */
static struct slice unit_of(struct slice family)
{
    static const struct slice units[] = {SLICE_INIT("seconds"), SLICE_INIT("bytes")};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (family.len > units[i].len && slice_ends(family, units[i]) &&
            family.ptr[family.len - units[i].len - 1] == '_') {
            return units[i];
        }
    }
    return SLICE_NONE;
}

static void put_comment(struct prometheus *prometheus, const char *keyword, struct slice family)
{
    put(prometheus, SLICE("# "));
    put(prometheus, slice_from(keyword));
    put(prometheus, SLICE(" "));
    put(prometheus, family);
    put(prometheus, SLICE(" "));
}

void prometheus_family(struct prometheus *prometheus, const char *name, enum prometheus_type type,
                       const char *help)
{
    static const char *const types[] = {
        [PROMETHEUS_COUNTER] = "counter",
        [PROMETHEUS_GAUGE] = "gauge",
        [PROMETHEUS_HISTOGRAM] = "histogram",
        [PROMETHEUS_COUNTER_BESIDE_GAUGE] = "counter",
    };
    bool is_open = prometheus->format == PROMETHEUS_OPENMETRICS;
    const char *word = types[type];
    size_t len = strlen(name);
    assert(len < sizeof(prometheus->name_bytes));
    memcpy(prometheus->name_bytes, name, len + 1);
    prometheus->name = slice_of(prometheus->name_bytes, len);
    prometheus->type = type;
    prometheus->fixed = "";

    struct slice family = prometheus->name;
    if (type == PROMETHEUS_COUNTER || type == PROMETHEUS_COUNTER_BESIDE_GAUGE) {
        assert(slice_ends(family, SLICE("_total")));
    }
    if (is_open && type == PROMETHEUS_COUNTER) {
        family.len -= strlen("_total");
    } else if (is_open && type == PROMETHEUS_COUNTER_BESIDE_GAUGE) {
        word = "unknown";
    }
    put_comment(prometheus, "HELP", family);
    put_escaped(prometheus->out, slice_from(help), is_open);
    put(prometheus, SLICE("\n"));
    put_comment(prometheus, "TYPE", family);
    put(prometheus, slice_from(word));
    put(prometheus, SLICE("\n"));
    struct slice unit = unit_of(family);
    if (is_open && unit.len != 0) {
        put_comment(prometheus, "UNIT", family);
        put(prometheus, unit);
        put(prometheus, SLICE("\n"));
    }
}

void prometheus_fixed(struct prometheus *prometheus, const char *labels)
{
    prometheus->fixed = labels;
}

static char *copy(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* name_suffix{labels,fixed,extra="word"} with a space after it: of all that is done for a scrape
 * this is done most often, so the bytes are reserved once. */
static void put_series(struct prometheus *prometheus, const char *suffix, struct slice labels,
                       const char *extra, struct slice word)
{
    size_t suffix_len = strlen(suffix);
    size_t fixed_len = strlen(prometheus->fixed);
    size_t extra_len = extra != NULL ? strlen(extra) : 0;
    struct buf *out = prometheus->out;
    if (!buf_reserve(out, prometheus->name.len + suffix_len + labels.len + fixed_len + extra_len +
                              word.len + sizeof("{,,=\"\"} "))) {
        return;
    }
    char *at = out->data + out->len;
    at = copy(at, prometheus->name.ptr, prometheus->name.len);
    at = copy(at, suffix, suffix_len);
    char *open = at;
    if (labels.len != 0) {
        *at++ = ',';
        at = copy(at, labels.ptr, labels.len);
    }
    if (fixed_len != 0) {
        *at++ = ',';
        at = copy(at, prometheus->fixed, fixed_len);
    }
    if (extra != NULL) {
        *at++ = ',';
        at = copy(at, extra, extra_len);
        at = copy(at, "=\"", 2);
        at = copy(at, word.len != 0 ? word.ptr : "", word.len);
        *at++ = '"';
    }
    if (at != open) {
        *open = '{'; /* what stands before the first label */
        *at++ = '}';
    }
    *at++ = ' ';
    out->len = (size_t)(at - out->data);
    out->data[out->len] = '\0';
}

/* Decimal seconds without trailing zeros: 1500000 is 1.5. */
static void put_seconds(struct prometheus *prometheus, uint64_t us)
{
    char text[NUM_TEXT_MAX + 8];
    size_t len = num_write_u64(text, us / 1000000U);
    unsigned fraction = (unsigned)(us % 1000000U);
    if (fraction != 0) {
        text[len++] = '.';
        for (unsigned digit = 100000; fraction != 0; digit /= 10U) {
            text[len++] = (char)('0' + fraction / digit);
            fraction %= digit;
        }
    }
    put(prometheus, slice_of(text, len));
}

static void put_value(struct prometheus *prometheus, uint64_t value, enum prometheus_unit unit)
{
    if (unit == PROMETHEUS_MICROSECONDS) {
        put_seconds(prometheus, value);
    } else {
        (void)buf_append_u64(prometheus->out, value);
    }
    put(prometheus, SLICE("\n"));
}

void prometheus_sample(struct prometheus *prometheus, struct slice labels, uint64_t value)
{
    prometheus_sample_unit(prometheus, labels, value, PROMETHEUS_ONE);
}

void prometheus_sample_unit(struct prometheus *prometheus, struct slice labels, uint64_t value,
                            enum prometheus_unit unit)
{
    put_series(prometheus, "", labels, NULL, SLICE_NONE);
    put_value(prometheus, value, unit);
}

void prometheus_sample_double(struct prometheus *prometheus, struct slice labels, double value)
{
    put_series(prometheus, "", labels, NULL, SLICE_NONE);
    if (isnan(value)) {
        put(prometheus, SLICE("NaN\n"));
    } else if (isinf(value)) {
        put(prometheus, value > 0 ? SLICE("+Inf\n") : SLICE("-Inf\n"));
    } else {
        (void)buf_printf(prometheus->out, "%.17g\n", value);
    }
}

void prometheus_sample_by(struct prometheus *prometheus, struct slice labels, const char *name,
                          struct slice word, uint64_t value, enum prometheus_unit unit)
{
    put_series(prometheus, "", labels, name, word);
    put_value(prometheus, value, unit);
}

static void put_histogram(struct prometheus *prometheus, struct slice labels,
                          const uint64_t *buckets, size_t count, const char *const *bounds,
                          uint64_t sum, enum prometheus_unit unit)
{
    uint64_t total = 0;
    assert(prometheus->type == PROMETHEUS_HISTOGRAM);
    for (size_t i = 0; i < count; i++) {
        total += buckets[i];
        put_series(prometheus, "_bucket", labels, "le", slice_from(bounds[i]));
        put_value(prometheus, total, PROMETHEUS_ONE);
    }
    put_series(prometheus, "_sum", labels, NULL, SLICE_NONE);
    put_value(prometheus, sum, unit);
    put_series(prometheus, "_count", labels, NULL, SLICE_NONE);
    put_value(prometheus, total, PROMETHEUS_ONE);
}

void prometheus_durations(struct prometheus *prometheus, struct slice labels,
                          const struct histogram_duration *histogram)
{
    put_histogram(prometheus, labels, histogram->buckets, HISTOGRAM_DURATION_BOUNDS + 1,
                  bounds_seconds, histogram->sum_us, PROMETHEUS_MICROSECONDS);
}

void prometheus_sizes(struct prometheus *prometheus, struct slice labels,
                      const struct histogram_size *histogram)
{
    put_histogram(prometheus, labels, histogram->buckets, HISTOGRAM_SIZE_BOUNDS + 1, bounds_bytes,
                  histogram->sum_bytes, PROMETHEUS_ONE);
}

void prometheus_end(struct prometheus *prometheus)
{
    if (prometheus->format == PROMETHEUS_OPENMETRICS) {
        put(prometheus, SLICE("# EOF\n"));
    }
}
