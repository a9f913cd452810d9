/*
 * counters_id - a counters block that several objects count with; the last one gives it back.
 *
 * A pool's block is counted with by its snapshots, and by connections to its servers that may
 * outlive them (a tunnel for hours): each server keeps its pool's id alive.
 *
 * Memory: counted. Threads: any.
 */
#ifndef LBD_STATS_COUNTERS_ID_H
#define LBD_STATS_COUNTERS_ID_H

#include <stdatomic.h>
#include <stdint.h>

#include "lbd/stats/counters.h"

struct counters_id {
    _Atomic uint32_t refs;
    enum counters_kind kind;
    uint32_t id; /* what counters_of_<kind> takes */
};

/* Acquires a block; one reference. */
struct counters_id *counters_id_new(enum counters_kind kind);
struct counters_id *counters_id_ref(struct counters_id *self);
/* NULL does nothing. */
void counters_id_unref(struct counters_id *self);

#endif
