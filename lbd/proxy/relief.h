/*
 * relief - what a worker gives up, and in which order, when it comes near its limits.
 *
 *     relief_look, once a pass: used / limit --pressure--> stage --> the flags below
 *     a round each 100 ms, while a stage is not normal:
 *         connections, memory    a sweep finds who is idle longest -> closed, at most 256
 *         memory                 the oldest idle server connections -> closed
 *         buffers, memory        who holds most of what waits, at two rounds, -> reset
 *
 * Requests read three bytes of it: may it begin, is its class let in, does its answer say close.
 * Running requests are never ended for running: only who holds most of what nobody takes.
 *
 * Limits: a batch of 256 in a round. Memory: in the proxy_worker; a batch while a sweep goes on.
 * Threads: worker.
 */
#ifndef LBD_PROXY_RELIEF_H
#define LBD_PROXY_RELIEF_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/net/loop.h"
#include "lbd/proxy/pressure.h"
#include "lbd/proxy/sweep.h"

struct proxy_worker;
struct relief_batch;

#define RELIEF_BATCH      256U
#define RELIEF_ROUND_MS   100U
#define RELIEF_HOLDER_MIN 65536U /* who holds less is not worth a reset */

struct relief {
    bool closes;   /* answers say close */
    bool refuses;  /* no request begins, nobody is let in */
    uint8_t sheds; /* routes of this priority_class and behind are refused; above the last: none */
    uint8_t stages[PRESSURE_KINDS];
    struct pressure_limits limits; /* of the process, to name them */
    uint64_t memory_limit;         /* this worker's part; 0: none */
    uint64_t memory_bytes;         /* at the last look */
    uint64_t busy_us;              /* of the loop, likewise */
    uint64_t denied;               /* times that buffers had no room, likewise */
    struct pressure_lag lag;
    struct loop_timer round;
    struct sweep sweep;
    struct relief_batch *batch; /* while it goes on */
    uint64_t holder_id;         /* who held most at the round before; 0: nobody much */
    uint64_t holder_bytes;
    /* NULL, or: a kind went over to another stage. */
    void (*on_stage)(struct proxy_worker *proxy, enum pressure_kind kind, uint64_t used,
                     uint64_t limit);
};

/* `workers` share what `limits` says. */
void relief_init(struct proxy_worker *proxy, const struct pressure_limits *limits,
                 uint32_t workers);
void relief_fini(struct proxy_worker *proxy);
/* At the end of each pass: `memory_bytes` is what the worker holds for connections in all,
 * `busy_us` what its loop has worked so far. */
void relief_look(struct proxy_worker *proxy, uint64_t memory_bytes, uint64_t busy_us);
/* This client goes. */
void relief_leave_session(struct relief *relief, const struct session *session);

#endif
