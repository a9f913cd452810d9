/*
 * prometheus - writes numbers as Prometheus reads them, family by family.
 *
 *     prometheus_family(&out, "lbd_pool_retries_total", PROMETHEUS_COUNTER, "Further attempts.");
 *     prometheus_sample(&out, labels, 17);           lbd_pool_retries_total{pool="web"} 17
 *
 * Two formats: text 0.0.4, and OpenMetrics 1.0, where a counter's family is named without _total,
 * the unit at the end of a name is said, and the whole ends in # EOF. Numbers are exact: integers
 * as integers, microseconds as decimal seconds. Bounds of buckets are written as floats ("1.0") in
 * both, so a series is the same series whatever was negotiated.
 *
 * All samples of a family must follow it before the next family begins.
 * Memory: borrows the buf, whose `overflow` says when its maximum was reached. Threads: one owner.
 */
#ifndef LBD_STATS_PROMETHEUS_H
#define LBD_STATS_PROMETHEUS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/stats/histogram.h"

#define PROMETHEUS_NAME_MAX 96 /* bytes of a family's name */

enum prometheus_format { PROMETHEUS_TEXT, PROMETHEUS_OPENMETRICS };
enum prometheus_type {
    PROMETHEUS_COUNTER,
    PROMETHEUS_GAUGE,
    PROMETHEUS_HISTOGRAM,
    /* A counter beside a gauge that has its name without _total (lbd_listener_connections). There
     * OpenMetrics would have two families of one name; it gets the counter as `unknown`, under the
     * name it has in the text format, so that the series is the same one. */
    PROMETHEUS_COUNTER_BESIDE_GAUGE,
};
enum prometheus_unit { PROMETHEUS_ONE, PROMETHEUS_MICROSECONDS };

struct prometheus {
    struct buf *out; /* borrowed */
    enum prometheus_format format;
    enum prometheus_type type; /* of the current family */
    struct slice name;         /* of the current family, points into name_bytes */
    const char *fixed;         /* labels that all samples of the current family have; static */
    char name_bytes[PROMETHEUS_NAME_MAX];
};

void prometheus_init(struct prometheus *prometheus, struct buf *out, enum prometheus_format format);
const char *prometheus_content_type(enum prometheus_format format);

/* `name` as in the text format: a counter's ends in _total. */
void prometheus_family(struct prometheus *prometheus, const char *name, enum prometheus_type type,
                       const char *help);

/* Labels that follow those of each sample of the family: "protocol=\"http1\""; until the next. */
void prometheus_fixed(struct prometheus *prometheus, const char *labels);

/* Appends name="value", escaped, after a comma when there is something before it. */
void prometheus_label(struct buf *labels, const char *name, struct slice value);

/* `labels` as prometheus_label made them; may be empty. */
void prometheus_sample(struct prometheus *prometheus, struct slice labels, uint64_t value);
void prometheus_sample_unit(struct prometheus *prometheus, struct slice labels, uint64_t value,
                            enum prometheus_unit unit);
void prometheus_sample_double(struct prometheus *prometheus, struct slice labels, double value);
/* With one label more; `word` needs no escaping. */
void prometheus_sample_by(struct prometheus *prometheus, struct slice labels, const char *name,
                          struct slice word, uint64_t value, enum prometheus_unit unit);
/* Of a copy that nobody writes to. */
void prometheus_durations(struct prometheus *prometheus, struct slice labels,
                          const struct histogram_duration *histogram);
void prometheus_sizes(struct prometheus *prometheus, struct slice labels,
                      const struct histogram_size *histogram);

/* After the last family. */
void prometheus_end(struct prometheus *prometheus);

#endif
