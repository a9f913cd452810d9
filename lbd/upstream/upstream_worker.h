/*
 * upstream_worker - what one worker keeps about pools and servers: turns, budgets, connections.
 *
 * Indexed by the dense ids of live pools and servers; chunks are made at the first use of an id and
 * never move.
 *
 * Memory: one per worker, slot LOOP_SLOT_UPSTREAM. Threads: that worker.
 */
#ifndef LBD_UPSTREAM_UPSTREAM_WORKER_H
#define LBD_UPSTREAM_UPSTREAM_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/base/random.h"
#include "lbd/net/loop.h"
#include "lbd/net/slab.h"
#include "lbd/stats/counters.h"
#include "lbd/upstream/pool.h"
#include "lbd/upstream/retry.h"

#define UPSTREAM_CHUNK_SHIFT 8U
#define UPSTREAM_CHUNKS_MAX  4096U

struct pool_worker {
    struct pool_state state;
    struct retry_budget budget;
};

/* The idle connections of one server on this worker, newest first. */
struct server_worker {
    struct list_node idle;      /* struct upstream_conn.idle_link */
    struct list_node with_idle; /* in upstream_worker.with_idle while idle_count > 0 */
    uint32_t idle_count;
    uint32_t idle_low; /* the least since the last look: nobody needed those */
    uint32_t surplus;  /* to be closed */
};

struct upstream_worker {
    struct loop *loop;
    struct counters_worker *counters;
    struct random random;
    uint32_t worker;
    uint32_t workers;
    struct slab conns; /* struct upstream_conn */
    struct list_node with_idle;
    struct list_node lingering; /* struct upstream_conn.idle_link: their end is awaited */
    struct loop_timer trim;
    uint64_t measured_us; /* the last look at what is idle */
    struct pool_worker *pools[UPSTREAM_CHUNKS_MAX];
    struct server_worker *servers[UPSTREAM_CHUNKS_MAX];
};

void upstream_worker_init(struct upstream_worker *upstream, struct loop *loop,
                          struct counters_worker *counters, uint32_t worker, uint32_t workers);
/* Every connection has ended before. */
void upstream_worker_fini(struct upstream_worker *upstream);
struct pool_worker *upstream_pool(struct upstream_worker *upstream, uint32_t id);
struct server_worker *upstream_server(struct upstream_worker *upstream, uint32_t id);

#endif
