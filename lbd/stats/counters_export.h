/*
 * counters_export - the rows of counters.def as families of /metrics.
 *
 *     for (size_t family = 0; family < counters_export_families(COUNTERS_POOL); family++) {
 *         counters_export_family(&out, COUNTERS_POOL, family, false, pools, pool_count);
 *     }
 *
 * One family at a time, so that whoever answers a scrape can stop and send in between (between
 * counters_hold and counters_unhold).
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

struct counters_object {
    uint32_t id;
    struct slice labels; /* pool="web",server="a": made by prometheus_label; borrowed */
};

/* How many families a kind has, those of the full scope included. */
size_t counters_export_families(enum counters_kind kind);
/* Writes one of them for all objects; nothing when it belongs to the full scope and `full` is
 * false, or when there is no object. Each histogram of a family is read at one moment, different
 * samples at different ones. */
void counters_export_family(struct prometheus *out, enum counters_kind kind, size_t family,
                            bool full, const struct counters_object *objects, size_t object_count);
/* All families of the kind. */
void counters_export(struct prometheus *out, enum counters_kind kind, bool full,
                     const struct counters_object *objects, size_t object_count);

#endif
