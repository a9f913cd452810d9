/*
 * balancer - chooses one of a set of targets. Pure: no network, no clock.
 *
 * A balancer is frozen with the pool it belongs to; what changes per choice (round-robin position, random numbers)
 * is the caller's per-worker state.
 *
 *   round_robin     smooth weighted schedule of at most 4096 slots, built over the targets that were usable at build
 *                   time; workers start at spread offsets, so the sum is even
 *   least_request   two random usable targets, the one with less in flight per weight; below 8 targets all are compared
 *
 * Threads: build on control; pick on any worker.
 */
#ifndef LBD_BALANCE_BALANCER_H
#define LBD_BALANCE_BALANCER_H

#include "lbd/balance/target.h"
#include "lbd/base/arena.h"
#include "lbd/base/random.h"

#include <stdint.h>

#define BALANCER_NONE UINT32_MAX

enum balancer_kind { BALANCER_LEAST_REQUEST, BALANCER_ROUND_ROBIN };

struct balancer {
    enum balancer_kind kind;
    const struct target *targets; /* borrowed from the pool */
    uint32_t count;
    uint16_t *schedule; /* round robin: index of the target per slot; in the pool's arena. Pools have at most 65535 servers */
    uint32_t schedule_len;
};

/* A worker's own state for one pool. */
struct balancer_state {
    uint32_t position; /* round robin */
};

/* Which targets count for this pick. */
enum balancer_fitness { BALANCER_USABLE, BALANCER_READY /* fail_open: whatever health says */ };

void balancer_build(struct balancer *balancer, enum balancer_kind kind, const struct target *targets, uint32_t count,
                    struct arena *arena);
/* Where worker `worker` of `workers` starts. */
void balancer_state_init(struct balancer_state *state, const struct balancer *balancer, uint32_t worker,
                         uint32_t workers);
/* Index of a fit target that is not in tried[], or BALANCER_NONE. Does not look at max_in_flight. */
uint32_t balancer_pick(const struct balancer *balancer, struct balancer_state *state, struct random *random,
                       enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count);

#endif
