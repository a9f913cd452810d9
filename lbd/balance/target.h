/*
 * target - what a balancer sees of a server: weight, load, fitness.
 *
 * The load and fitness words are shared by all workers and written with relaxed atomics; the rest of the server
 * stays out of this room.
 *
 * Threads: any.
 */
#ifndef LBD_BALANCE_TARGET_H
#define LBD_BALANCE_TARGET_H

#include "lbd/base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared words of one server, on their own cache line. */
struct target_load {
    _Atomic uint32_t in_flight; /* requests, tunnels: over all workers */
    _Atomic uint32_t usable;    /* 1: new requests may go there */
    _Atomic uint32_t ready;     /* 1: admin state is ready (fail_open looks at this instead of usable) */
} LB_ALIGNED;

struct target {
    struct target_load *load; /* borrowed from the server */
    uint32_t weight;          /* 1-1000 */
    uint32_t max_in_flight;   /* 0: no limit */
};

#endif
