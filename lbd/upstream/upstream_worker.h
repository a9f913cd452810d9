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

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/base/random.h"
#include "lbd/net/loop.h"
#include "lbd/net/slab.h"
#include "lbd/stats/counters.h"
#include "lbd/upstream/pool.h"
#include "lbd/upstream/queue.h"
#include "lbd/upstream/retry.h"

#define UPSTREAM_CHUNK_SHIFT 8U
#define UPSTREAM_CHUNK_LEN   (1U << UPSTREAM_CHUNK_SHIFT)
#define UPSTREAM_CHUNKS_MAX  4096U
#define UPSTREAM_BOUND_LISTS 256U

struct pool_worker {
    struct pool_state state;
    struct retry_budget budget;
};

/* The idle connections of one server on this worker, newest first. */
struct server_worker {
    struct list_node idle;      /* struct upstream_conn.idle_link */
    struct list_node with_idle; /* in upstream_worker.with_idle while idle_count > 0 */
    uint32_t idle_count;
    uint32_t idle_low;            /* the least since the last look: nobody needed those */
    uint32_t surplus;             /* to be closed */
    struct list_node shared;      /* HTTP/2 connections (shared.h) */
    struct list_node with_shared; /* in upstream_worker.with_shared while there are some */
    struct list_node logging_in;  /* struct login_gate_waiter.link */
    struct list_node with_logins; /* in upstream_worker.with_logins while there were some */
    struct server *login_server;  /* referenced meanwhile */
    uint64_t leaving_us;          /* mail: when the second began in which it left sessions ... */
    uint32_t leaving;             /* ... and how many: the more, the later their clients go */
    uint32_t close_over_ms;       /* over this time at most; 0: at once */
    uint8_t speaks;               /* shared's: what its ALPN chose */
};

struct upstream_worker {
    struct loop *loop;
    struct counters_worker *counters;
    struct random random;
    uint32_t worker;
    uint32_t workers;
    uint32_t source_turn; /* of pools with several addresses to leave from */
    struct slab conns;    /* struct upstream_conn */
    struct list_node with_idle;
    struct list_node lingering; /* struct upstream_conn.idle_link: their end is awaited */
    struct list_node bound[UPSTREAM_BOUND_LISTS]; /* idle ones of one client each, by its id */
    uint32_t bound_count;
    uint32_t idle_count; /* beside those that are bound */
    uint32_t idle_max;   /* of both, see idle.h; set by the worker, UINT32_MAX before */
    struct slab shared;  /* struct shared */
    struct list_node with_shared;
    uint32_t bound_shared;        /* that are one client's */
    struct list_node with_logins; /* servers at whose login_gate somebody waits */
    struct loop_timer login_look;
    struct loop_ready login_turn;
    struct queue_bell bell; /* its mailbox is set by the worker */
    struct loop_timer trim;
    uint64_t measured_us; /* the last look at what is idle */
    struct pool_worker *pools[UPSTREAM_CHUNKS_MAX];
    struct server_worker *servers[UPSTREAM_CHUNKS_MAX];
};

void upstream_worker_init(struct upstream_worker *upstream, struct loop *loop,
                          struct counters_worker *counters, uint32_t worker, uint32_t workers);
/* Every connection has ended before. */
void upstream_worker_fini(struct upstream_worker *upstream);
struct server_worker *upstream_server(struct upstream_worker *upstream, uint32_t id);
/* May a request of this pool be tried again? Its policy is asked, then limits.retries, then the
 * budget, of which a token is taken; what the latter two refuse is counted. */
LB_MUST_CHECK bool upstream_may_retry(struct upstream_worker *upstream, const struct pool *pool,
                                      const struct retry_facts *facts, enum retry_failure failure);
/* The first of its chunk to be asked for. */
void upstream_make_pools(struct upstream_worker *upstream, uint32_t chunk);
static inline struct pool_worker *upstream_pool(struct upstream_worker *upstream, uint32_t id)
{
    uint32_t chunk = id >> UPSTREAM_CHUNK_SHIFT;
    assert(chunk < UPSTREAM_CHUNKS_MAX);
    if (LB_UNLIKELY(upstream->pools[chunk] == NULL)) {
        upstream_make_pools(upstream, chunk);
    }
    return &upstream->pools[chunk][id % UPSTREAM_CHUNK_LEN];
}

#endif
