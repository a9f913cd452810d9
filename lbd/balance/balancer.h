/*
 * balancer - chooses one of a set of targets. Pure: no network, no clock.
 *
 * A balancer is frozen with the pool it belongs to; what changes per choice (round-robin position,
 * random numbers) is the caller's per-worker state.
 *
 *     round_robin     smooth weighted schedule (schedule.h) over the targets that were usable at
 *                     build time; workers start at spread offsets, so the sum is even
 *     least_request   two turns of that schedule at random, the target with less in flight per
 *                     weight; below 8 targets all are compared
 *     random          a turn of that schedule at random
 *     peak_ewma       two turns of it at random, the target that is expected to answer sooner
 *     maglev, ring_hash   by key: the first target with room in the key's order (hash_table.h)
 *
 * Targets that stand by have schedules of their own, one for each level; whatever the algorithm, a
 * turn is drawn at random (by the key, if there is one), of the first level that has a fit one.
 *
 * What became unfit since the build is skipped; what became fit since is found too, but a pool is
 * meant to be built again when fitness changes: then a pick is O(1).
 *
 * Limits: 65535 targets. A pick that finds none looks at the schedule and at 256 further targets at
 * most. Memory: schedules lie in the pool's arena. Threads: build on control; pick on any
 * worker.
 */
#ifndef LBD_BALANCE_BALANCER_H
#define LBD_BALANCE_BALANCER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/hash_table.h"
#include "lbd/balance/target.h"
#include "lbd/base/arena.h"
#include "lbd/base/random.h"

#define BALANCER_NONE        UINT32_MAX
#define BALANCER_TARGETS_MAX 65535U

enum balancer_kind {
    BALANCER_LEAST_REQUEST,
    BALANCER_ROUND_ROBIN,
    BALANCER_RANDOM,
    BALANCER_PEAK_EWMA,
    BALANCER_MAGLEV,
    BALANCER_RING_HASH
};

/* Which targets count for a pick. */
enum balancer_fitness {
    BALANCER_USABLE,
    BALANCER_STANDBY, /* ... of weight 0, which stand by (levels.h), and no other */
    BALANCER_READY    /* fail_open: whatever health says */
};

/* Of those on one level that stand by. */
struct balancer_standby {
    uint16_t *schedule; /* in the pool's arena */
    uint32_t schedule_len;
};

struct balancer {
    enum balancer_kind kind;
    const struct target *targets; /* borrowed from the pool */
    uint32_t count;
    uint16_t *schedule; /* index of the target per turn; in the pool's arena */
    uint32_t schedule_len;
    enum balancer_fitness schedule_of; /* usable targets, or when there was none: ready ones */
    struct balancer_standby *standby;  /* by rank; in the pool's arena */
    uint32_t standby_count;
    uint32_t hash_bound;    /* per cent of its share of requests that a target may have; 0: any */
    struct hash_table hash; /* of maglev and ring_hash; else empty */
};

/* A worker's own state for one pool. */
struct balancer_state {
    uint32_t position; /* round robin: the next turn */
    /* of the request at hand, set before a pick */
    bool has_key;    /* maglev, ring_hash */
    uint64_t key;    /* with has_key */
    uint64_t now_us; /* monotonic; they and peak_ewma */
    /* hash_pick's: over all fit targets, good for a while */
    uint64_t sum_in_flight;
    uint64_t sum_weight;
    uint64_t sum_until_us;
};

void balancer_build(struct balancer *balancer, enum balancer_kind kind,
                    const struct target *targets, uint32_t count, struct arena *arena);
/* The same for maglev and ring_hash. seeds[]: one per target; bound_per_cent: see hash_bound. */
void balancer_build_hash(struct balancer *balancer, enum balancer_kind kind,
                         const struct target *targets, const uint64_t *seeds, uint32_t count,
                         uint32_t bound_per_cent, struct arena *arena);
/* Does it choose by a key? */
static inline bool balancer_is_hash(enum balancer_kind kind)
{
    return kind == BALANCER_MAGLEV || kind == BALANCER_RING_HASH;
}
/* Where worker `worker` of `workers` starts. */
void balancer_state_init(struct balancer_state *state, const struct balancer *balancer,
                         uint32_t worker, uint32_t workers);
/* Index of a fit target that is not in tried[], or BALANCER_NONE. Does not look at max_in_flight.
 */
uint32_t balancer_pick(const struct balancer *balancer, struct balancer_state *state,
                       struct random *random, enum balancer_fitness fitness, const uint32_t *tried,
                       uint32_t tried_count);

/* Is the target fit, and not in tried[]? */
static inline bool balancer_may_pick(const struct balancer *balancer, uint32_t index,
                                     enum balancer_fitness fitness, const uint32_t *tried,
                                     uint32_t tried_count)
{
    if (!target_is_fit(&balancer->targets[index], fitness == BALANCER_READY)) {
        return false;
    }
    bool stands_by = balancer->targets[index].weight == 0;
    if (LB_UNLIKELY(stands_by != (fitness == BALANCER_STANDBY)) && fitness != BALANCER_READY) {
        return false;
    }
    for (uint32_t i = 0; i < tried_count; i++) {
        if (tried[i] == index) {
            return false;
        }
    }
    return true;
}

#endif
