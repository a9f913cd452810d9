/*
 * target - what a balancer sees of a server: weight, load, fitness.
 *
 * The load and fitness words are shared by all workers and written with relaxed atomics; the rest
 * of the server stays out of this room.
 *
 * Threads: any.
 */
#ifndef LBD_BALANCE_TARGET_H
#define LBD_BALANCE_TARGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

/* Shared words of one server, on their own cache line. */
struct target_load {
    _Atomic uint32_t in_flight;  /* requests, tunnels: over all workers */
    _Atomic uint32_t usable;     /* 1: new requests may go there */
    _Atomic uint32_t ready;      /* 1: admin state ready and an address (fail_open looks at this) */
    _Atomic uint32_t unresolved; /* 1: admin state ready, but no address */
    _Atomic uint64_t latency;    /* of peak_ewma, which alone reads it; 0: never measured */
} LB_ALIGNED;

#define TARGET_WEIGHT_MAX 1000000U /* keeps sums and products of balancers far from 64 bits */

#define TARGET_OWN_MAX   (100 * TARGET_WEIGHT_MAX)
#define TARGET_WORTH_ALL UINT16_MAX

struct target {
    struct target_load *load; /* borrowed from the server */
    uint32_t weight;          /* 1 to TARGET_WEIGHT_MAX; 0: stands by (levels.h) */
    uint32_t max_in_flight;   /* 0: no limit */
    uint32_t own_weight;      /* as configured, in hundredths, to TARGET_OWN_MAX; 0: `weight` */
    uint16_t worth;           /* on a ring, of TARGET_WORTH_ALL of that; 0: all */
    uint8_t rank;             /* of its level; the lowest are asked first */
};

/* What it counts among others without regard to levels, in hundredths. */
static inline uint32_t target_own_weight(const struct target *target)
{
    uint32_t weight = target->weight != 0 ? target->weight : 1;
    return target->own_weight != 0 ? target->own_weight : 100 * weight;
}

/* May new requests go there? `whatever_health`: only the admin state and an address count. */
static inline bool target_is_fit(const struct target *target, bool whatever_health)
{
    const _Atomic uint32_t *word = whatever_health ? &target->load->ready : &target->load->usable;
    return atomic_load_explicit(word, memory_order_relaxed) != 0;
}

static inline uint32_t target_in_flight(const struct target *target)
{
    return atomic_load_explicit(&target->load->in_flight, memory_order_relaxed);
}

#endif
