/*
 * counters_export - the rows of counters.def as families of /metrics.
 *
 *     for (size_t family = 0; family < counters_export_families(COUNTERS_POOL); family++) {
 *         counters_export_heading(&out, COUNTERS_POOL, family);
 *         for each pool: counters_export_object(&out, COUNTERS_POOL, family, id, labels);
 *     }
 *
 * One object of one family at a time, so that whoever answers a scrape can stop and send anywhere
 * (between counters_hold and counters_unhold).
 *
 * Threads: control.
 */
#ifndef LBD_STATS_COUNTERS_EXPORT_H
#define LBD_STATS_COUNTERS_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/stats/counters.h"
#include "lbd/stats/prometheus.h"

/* How many families a kind has, those of the full scope included. */
size_t counters_export_families(enum counters_kind kind);
/* Its name in the text format. */
const char *counters_export_name(enum counters_kind kind, size_t family);
/* Does it belong to the full scope only? */
bool counters_export_is_full(enum counters_kind kind, size_t family);
/* How many samples each object has in it. */
size_t counters_export_series(enum counters_kind kind, size_t family);
void counters_export_heading(struct prometheus *out, enum counters_kind kind, size_t family);
/* The samples of one object; `labels` as prometheus_label made them. A histogram is read at one
 * moment, different samples at different ones. */
void counters_export_object(struct prometheus *out, enum counters_kind kind, size_t family,
                            uint32_t id, struct slice labels);

#endif
