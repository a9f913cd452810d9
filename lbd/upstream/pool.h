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

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/balancer.h"
#include "lbd/balance/levels.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/close_reason.h"
#include "lbd/mail/mail_server.h"
#include "lbd/net/dial.h"
#include "lbd/net/proxy_header.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/circuit.h"
#include "lbd/upstream/place.h"
#include "lbd/upstream/pool_sticky.h"
#include "lbd/upstream/queue.h"
#include "lbd/upstream/retry.h"
#include "lbd/upstream/server.h"

struct pool_member {
    struct server *server;    /* referenced */
    struct place *place;      /* referenced; NULL: of no mail */
    uint32_t user_weight;     /* of mail: what it takes of users, to TARGET_WEIGHT_MAX; targets[]
                                 have what it can bear just now, which must move nobody */
    struct addr address;      /* len 0: unresolved */
    uint32_t address_version; /* idle connections of another version are not reused */
    struct slice host;        /* "host:port" text as configured, for logs */
    const char *tls_name;     /* for SNI, and what its certificate must be for; NULL: clear */
    uint64_t way; /* how connections to it are made (TLS, HTTP version, PROXY header): those of
                     another one are not reused */
};

/* What is spoken to a server. */
enum pool_http { POOL_HTTP1, POOL_HTTP2, POOL_HTTP_BY_ALPN };

/* Of a pool of mail servers. */
struct pool_mail {
    struct mail_terms terms; /* its protocol is the listener's */
    uint32_t logins;         /* at one server at once; 0: no limit */
    uint32_t login_wait_ms;
    uint32_t close_over_ms;
};

/* How users stay with a server (lbd/proxy/mail_users). */
struct pool_affinity {
    bool fails_over; /* else a user waits for its server */
    bool kicks_back; /* who failed over is kicked when its server is back */
    uint32_t down_for_ms;
    uint32_t linger_ms;
    uint32_t spread; /* per cent of its share of users that a server may have; 0: of no mail */
};

/* What of a request is the key of maglev and ring_hash. */
enum pool_key {
    POOL_KEY_SOURCE, /* the client's address */
    POOL_KEY_HEADER,
    POOL_KEY_COOKIE,
    POOL_KEY_PATH,
    POOL_KEY_QUERY /* a parameter */
};

struct pool {
    struct arena arena;
    _Atomic uint32_t refs;
    struct slice name;
    uint32_t id;        /* dense; per-worker budget and counters block */
    uint32_t state_id;  /* of the worker's turns: `id`, or a subset's own */
    struct pool *whole; /* referenced: this is a subset of it; NULL: it is whole */
    struct balancer balancer;
    struct target *targets; /* one per member */
    struct level *levels;   /* in the arena */
    uint32_t level_count;   /* 0: all servers are on one */
    struct pool_member *members;
    uint32_t count;
    enum pool_key key;
    struct slice key_name;      /* of the header, cookie or parameter; in the arena */
    uint32_t hash_bound;        /* balancer.hash_bound */
    struct pool_sticky *sticky; /* in the arena; NULL: clients belong to no server */
    bool fail_open;             /* when_all_down */
    struct retry_policy retry;
    struct circuit circuit;     /* limits of the whole */
    uint32_t failures_in_row;   /* of a server, that make it an outlier; 0: they are not counted */
    bool failures_are_gateways; /* of answers, 502, 503 and 504 alone */
    struct pool *fallback;      /* referenced: stands in when none is usable; NULL: nobody */
    struct queue *queue;        /* referenced; where requests wait for a place; NULL: they do not */
    uint32_t queue_max;         /* that wait at once, over all workers */
    uint32_t queue_ms;          /* each at most */
    uint32_t connect_ms;
    uint32_t response_ms;
    uint32_t idle_ms;
    uint32_t max_age_ms;    /* connections older than this +-10 % take no requests; 0: any age */
    struct tls_client *tls; /* referenced; NULL: clear */
    bool tls_later;         /* by STARTTLS: upstream_conn_secure */
    struct pool_mail *mail; /* in the arena; NULL: no mail */
    struct slice keywords;  /* what all its mail servers can, as checks learnt it, in the form of
                               mail_server.capabilities; in the arena; empty: not known */
    enum pool_http http;
    enum proxy_header_version send_proxy;
    uint32_t send_proxy_tlvs;    /* enum proxy_tlvs_word; version 2 */
    struct dial_sources sources; /* in the arena */
    struct pool_affinity affinity;
    bool needs_proof; /* mail: its servers are not shown the password, so somebody else must be */
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
/* Links targets to their servers, says how each is reached and builds the balancer over what is
 * usable now. Nothing changes afterwards. */
void pool_build(struct pool *pool, enum balancer_kind kind);
/* How a request went at the server, for pools that count failures in a row (outlier): the head of
 * its answer had this status, and a bad one counts at once; the answer is whole, and a good one
 * ends the row; it had none, or half of one. */
static inline bool pool_is_failure(const struct pool *pool, uint16_t status)
{
    return pool->failures_are_gateways ? status >= 502 && status <= 504 : status >= 500;
}
static inline void pool_note_head(const struct pool *pool, struct server *server, uint16_t status)
{
    if (LB_UNLIKELY(pool->failures_in_row != 0) && pool_is_failure(pool, status)) {
        server_note_answer(server, true, pool->failures_in_row);
    }
}
static inline void pool_note_whole(const struct pool *pool, struct server *server, uint16_t status)
{
    /* 0: it was dropped, for another try */
    if (LB_UNLIKELY(pool->failures_in_row != 0) && status != 0 && !pool_is_failure(pool, status)) {
        server_note_answer(server, false, pool->failures_in_row);
    }
}
static inline void pool_note_failure(const struct pool *pool, struct server *server)
{
    if (LB_UNLIKELY(pool->failures_in_row != 0)) {
        server_note_answer(server, true, pool->failures_in_row);
    }
}
/* Who is asked next, after pool_pick found nobody for `reason`; NULL: nobody is. */
static inline const struct pool *pool_fallback(const struct pool *pool, enum close_reason reason)
{
    return reason == CLOSE_NO_SERVER || reason == CLOSE_UNRESOLVED ? pool->fallback : NULL;
}
/* Picks a member and counts the request as in flight there (pool_release ends that). tried[]:
 * member indices not to pick again; when only tried ones are left, or only they have room and the
 * pool has no queue, they are picked again. At most
 * POOL_TRIED_MAX are looked at. Returns the index, or BALANCER_NONE with *reason CLOSE_NO_SERVER
 * (no member, or none usable), CLOSE_UNRESOLVED (none usable, and all that are ready have no
 * address) or CLOSE_SERVER_LIMIT (all usable are at their limit). */
#define POOL_TRIED_MAX 16
uint32_t pool_pick(const struct pool *pool, struct pool_state *state, struct random *random,
                   uint32_t worker, uint32_t workers, const uint32_t *tried, uint32_t tried_count,
                   enum close_reason *reason);
/* The same for a member that somebody else chose. False: it has no address, or is at its limit. */
LB_MUST_CHECK bool pool_take(const struct pool *pool, uint32_t member);
/* For those who ask why: which members would pool_pick look at now, and could this one get a
 * request? */
enum pool_candidate { POOL_CANDIDATE, POOL_NOT_FIT, POOL_NO_ADDRESS, POOL_FULL, POOL_STANDS_BY };
enum balancer_fitness pool_fitness(const struct pool *pool);
enum pool_candidate pool_candidate(const struct pool *pool, enum balancer_fitness fitness,
                                   uint32_t index);
/* The request (or tunnel) on this server ended. */
static inline void pool_release(struct server *server)
{
    /* seq_cst: of this and of a waiter that finds no place one sees the other (queue_enter) */
    uint32_t before = atomic_fetch_sub_explicit(&server->load.in_flight, 1, memory_order_seq_cst);
    assert(before != 0);
    struct queue *queue = server_queue(server);
    if (LB_UNLIKELY(queue != NULL) && queue_len(queue) > 0) {
        queue_ring(queue);
    }
}
struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool); /* frees at the last; control thread */
/* How many members are usable now. */
uint32_t pool_usable_count(const struct pool *pool);

#endif
