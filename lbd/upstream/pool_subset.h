/*
 * pool_subset - some members of a pool as if they were all: for a route that asks for servers with
 * certain labels.
 *
 * Everything but the choice is the whole pool's: limits, queue, budget, counters, connections.
 * Turns are its own (state_id), so that both are even.
 *
 * Memory: an arena of its own; holds a reference on the whole pool, whose members and settings it
 * borrows. Threads: built on control; read on any worker.
 */
#ifndef LBD_UPSTREAM_POOL_SUBSET_H
#define LBD_UPSTREAM_POOL_SUBSET_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/upstream/pool.h"

/* State ids from here on are of subsets: no pool has one. */
#define POOL_SUBSET_STATE 131072U
#define POOL_SUBSETS_MAX  65536U

/* refs = 1. `members`: indices, in order. `or_any`: while none of them is usable the whole pool
 * stands in; else what stands in for that. */
struct pool *pool_subset(struct pool *whole, const uint32_t *members, uint32_t count, bool or_any,
                         uint32_t state_id);

#endif
