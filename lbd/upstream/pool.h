/*
 * pool - a group of servers as a snapshot sees it: frozen members, policy, limits; and the choice
 * of one.
 *
 * Built by snapshot_build from the document and the live servers; shared by following snapshots
 * while neither its part of the document nor the usability of its servers changes. Counted by the
 * snapshots that hold it.
 *
 *     pool_new -> fill members[], targets[].weight/max_in_flight and the settings
 *         -> pool_build -> frozen
 *
 * Memory: one arena; holds a reference on each server. Threads: built on control; read on any
 * worker.
 */
#ifndef LBD_UPSTREAM_POOL_H
#define LBD_UPSTREAM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/balancer.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/close_reason.h"
#include "lbd/upstream/server.h"

struct pool_member {
    struct server *server;    /* referenced */
    struct addr address;      /* len 0: unresolved */
    uint32_t address_version; /* idle connections of another version are not reused */
    struct slice host;        /* "host:port" text as configured, for logs */
};

struct pool {
    struct arena arena;
    _Atomic uint32_t refs;
    struct slice name;
    uint32_t id; /* dense; per-worker state and counters block */
    struct balancer balancer;
    struct target *targets; /* one per member */
    struct pool_member *members;
    uint32_t count;
    bool fail_open;   /* when_all_down */
    uint32_t retries; /* further tries */
    uint32_t connect_ms;
    uint32_t response_ms;
    uint32_t idle_ms;
};

/* The worker's own state for a pool (upstream_worker keeps one per pool id). */
struct pool_state {
    struct balancer_state balancer;
    uint32_t
        balancer_len; /* schedule_len that `balancer` was initialised for; differs: start anew */
};

/* An empty pool of `count` members, refs = 1; the name is copied. The caller fills members[] (their
 * servers' references become the pool's), targets[].weight and max_in_flight, the settings; then
 * pool_build. */
struct pool *pool_new(struct slice name, uint32_t id, uint32_t count);
/* Links targets to their servers and builds the balancer over what is usable now. Nothing changes
 * afterwards. */
void pool_build(struct pool *pool, enum balancer_kind kind);
/* Picks a member and counts the request as in flight there (pool_release ends that). tried[]:
 * member indices not to pick again; when only tried ones are left they are picked again. At most
 * POOL_TRIED_MAX are looked at. Returns the index, or BALANCER_NONE with *reason CLOSE_NO_SERVER
 * (no member, or none usable), CLOSE_UNRESOLVED (none usable, and all that are ready have no
 * address) or CLOSE_SERVER_LIMIT (all usable are at their limit). */
#define POOL_TRIED_MAX 16
uint32_t pool_pick(const struct pool *pool, struct pool_state *state, struct random *random,
                   uint32_t worker, uint32_t workers, const uint32_t *tried, uint32_t tried_count,
                   enum close_reason *reason);
/* For those who ask why: which members would pool_pick look at now, and could this one get a
 * request? */
enum pool_candidate { POOL_CANDIDATE, POOL_NOT_FIT, POOL_NO_ADDRESS, POOL_FULL };
enum balancer_fitness pool_fitness(const struct pool *pool);
enum pool_candidate pool_candidate(const struct pool *pool, enum balancer_fitness fitness,
                                   uint32_t index);
/* The request (or tunnel) on this server ended. */
void pool_release(struct server *server);
struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool); /* frees at the last; control thread */
/* How many members are usable now. */
uint32_t pool_usable_count(const struct pool *pool);

#endif
