/*
 * counters - what happened, counted by every worker for itself and summed when somebody asks.
 *
 * An object (listener, route, pool, server) takes a block id when it is made and gives it back when
 * it is gone; in between its numbers survive every change of configuration and only grow. Each
 * worker owns one struct counters_<object> per id:
 *
 *     struct counters_pool *pool = counters_of_pool(worker, id);     chunk pointer + index, ~1 ns
 *     counter_add(&pool->retries, 1);
 *     histogram_note_us(&pool->connect_duration, took_us);
 *
 *     struct counters_pool sum;                                      control: all workers together
 *     counters_read(COUNTERS_POOL, id, &sum);
 *
 * counters.def lists every counter and makes the structs, the sums and the exposition of them.
 *
 * A released id is zeroed by every worker in its own thread (counters_sweep) before it is given
 * out again; while a scrape is going on (counters_hold) nothing is zeroed, so an object that is
 * removed meanwhile keeps its numbers to the end of it.
 *
 * Limits: 4096 chunks per kind (65,536 listeners, 131,072 pools, half a million servers, a million
 * routes). Id 0 belongs to nobody: a zeroed object counts into the void. Memory: chunks are made
 * when an id needs them and live until counters_fini; the pointer that counters_of_* gives stays
 * valid as long. Threads: named at each function.
 */
#ifndef LBD_STATS_COUNTERS_H
#define LBD_STATS_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/stats/counter.h"
#include "lbd/stats/histogram.h"

enum counters_kind {
    COUNTERS_LISTENER,
    COUNTERS_ROUTE,
    COUNTERS_POLICY,
    COUNTERS_POOL,
    COUNTERS_SERVER,
    COUNTERS_LOOP, /* one per worker, id = the worker's number; neither acquired nor released */
    COUNTERS_MAIL, /* one per protocol of mail, id = its number; neither acquired nor released */
    COUNTERS_KIND_COUNT
};
#define COUNTERS_MAIL_PROTOCOLS 4

/* -- the sets that index arrays of counters -- */

enum counters_code { /* 1xx to 5xx: counters_code_of(status) */
                     COUNTERS_CODE_COUNT = 5
};

/* The same for each version of HTTP, one after the other. */
enum counters_http { COUNTERS_HTTP1, COUNTERS_HTTP2, COUNTERS_HTTP_COUNT };
enum { COUNTERS_HTTP_CODE_COUNT = COUNTERS_HTTP_COUNT * COUNTERS_CODE_COUNT };

enum { COUNTERS_GRPC_COUNT = 17 }; /* codes of gRPC, from OK = 0 */

enum counters_reject {
    COUNTERS_REJECT_LIMIT,
    COUNTERS_REJECT_ACL,
    COUNTERS_REJECT_RATE,
    COUNTERS_REJECT_PROXY_PROTOCOL,
    COUNTERS_REJECT_MEMORY,
    COUNTERS_REJECT_DRAINING,
    COUNTERS_REJECT_COUNT
};

enum counters_accept {
    COUNTERS_ACCEPT_DESCRIPTORS, /* EMFILE, ENFILE */
    COUNTERS_ACCEPT_MEMORY,      /* ENOBUFS, ENOMEM */
    COUNTERS_ACCEPT_OTHER,
    COUNTERS_ACCEPT_COUNT
};

enum counters_error {
    COUNTERS_ERROR_REFUSED,
    COUNTERS_ERROR_TIMEOUT,
    COUNTERS_ERROR_RESET,
    COUNTERS_ERROR_TLS,
    COUNTERS_ERROR_PROTOCOL,
    COUNTERS_ERROR_DNS,
    COUNTERS_ERROR_COUNT
};

enum counters_check {
    COUNTERS_CHECK_PASSED,
    COUNTERS_CHECK_FAILED,
    COUNTERS_CHECK_NOT_RUN, /* lbd itself had no descriptor, port or memory */
    COUNTERS_CHECK_COUNT
};
enum counters_sticky {                          /* of requests to a pool with `sticky` */
                       COUNTERS_STICKY_HIT,     /* its server answered */
                       COUNTERS_STICKY_NEW,     /* it belonged to none */
                       COUNTERS_STICKY_UNKNOWN, /* ... as what it said is of no server */
                       COUNTERS_STICKY_REBALANCED,
                       COUNTERS_STICKY_REFUSED,
                       COUNTERS_STICKY_COUNT
};
enum counters_split {                         /* of requests to a split with a cookie */
                      COUNTERS_SPLIT_STAYED,  /* with the pool that its client named */
                      COUNTERS_SPLIT_NEW,     /* it named none */
                      COUNTERS_SPLIT_UNKNOWN, /* ... as what it said is of no pool */
                      COUNTERS_SPLIT_MOVED,   /* its pool gets nobody now */
                      COUNTERS_SPLIT_COUNT
};
/* enum circuit_kind, and behind them: */
enum { COUNTERS_LIMITED_RETRY_BUDGET = 4, COUNTERS_CIRCUIT_COUNT };
/* Why a server rests: enum outlier_why without NONE. */
enum { COUNTERS_OUTLIER_COUNT = 3 };
enum counters_handshake {
    COUNTERS_HANDSHAKE_1_2,
    COUNTERS_HANDSHAKE_1_2_RESUMED,
    COUNTERS_HANDSHAKE_1_3,
    COUNTERS_HANDSHAKE_1_3_RESUMED,
    COUNTERS_HANDSHAKE_COUNT
};
/* How a login of mail ended, for each mechanism (enum mail_mechanism) one after the other. */
enum counters_login {
    COUNTERS_LOGIN_OK,
    COUNTERS_LOGIN_BAD_CREDENTIALS,
    COUNTERS_LOGIN_SERVER_DOWN,
    COUNTERS_LOGIN_ROUTE_ERROR,
    COUNTERS_LOGIN_LIMIT,
    COUNTERS_LOGIN_TIMEOUT,
    COUNTERS_LOGIN_PROTOCOL,
    COUNTERS_LOGIN_STARTTLS,
    COUNTERS_LOGIN_COUNT
};
enum counters_decision { /* what a policy said to a request */
                         COUNTERS_DECISION_ALLOW,
                         COUNTERS_DECISION_DENY,
                         COUNTERS_DECISION_SHADOW, /* it would have, in shadow mode */
                         COUNTERS_DECISION_WAIT,   /* it had to think; another one follows */
                         COUNTERS_DECISION_COUNT
};
enum counters_memo { /* what was known of a login, a token, a request */
                     COUNTERS_MEMO_HIT,
                     COUNTERS_MEMO_MISS,
                     COUNTERS_MEMO_COUNT
};
enum { COUNTERS_ENCODING_COUNT = 3 }; /* enum conf_encoding */
enum counters_callback {              /* what came of asking a callback of mail */
                         COUNTERS_CALLBACK_OK,
                         COUNTERS_CALLBACK_REFUSED,
                         COUNTERS_CALLBACK_WAIT,
                         COUNTERS_CALLBACK_FAILED, /* nobody answered, or not as it should */
                         COUNTERS_CALLBACK_KEPT,   /* it was not asked, or an old answer stood in */
                         COUNTERS_CALLBACK_COUNT
};
#define COUNTERS_MAIL_MECHANISMS 6
enum { COUNTERS_MAIL_LOGIN_COUNT = COUNTERS_MAIL_MECHANISMS * COUNTERS_LOGIN_COUNT };
enum counters_relief { /* what was given up near the limits, see proxy/relief.h */
                       COUNTERS_RELIEF_KEEP_ALIVE,
                       COUNTERS_RELIEF_IDLE_CLIENT,
                       COUNTERS_RELIEF_IDLE_SERVER,
                       COUNTERS_RELIEF_ACCEPT,
                       COUNTERS_RELIEF_LARGE_BUFFER,
                       COUNTERS_RELIEF_PIPE,
                       COUNTERS_RELIEF_COMPRESSION,
                       COUNTERS_RELIEF_HOLDER,
                       COUNTERS_RELIEF_REFUSED,
                       COUNTERS_RELIEF_SHED,
                       COUNTERS_RELIEF_COUNT
};
enum counters_loop_state { COUNTERS_LOOP_BUSY, COUNTERS_LOOP_IDLE, COUNTERS_LOOP_COUNT };

/* endings are indexed by enum close_reason */
#define COUNTERS_ENDING_COUNT CLOSE_REASON_COUNT
/* the client's breaches of HTTP among them, for each version */
#define COUNTERS_BREACH_COUNT   (CLOSE_BODY_TOO_LARGE - CLOSE_BAD_REQUEST_LINE + 1)
#define COUNTERS_PROTOCOL_COUNT ((int)COUNTERS_HTTP_COUNT * COUNTERS_BREACH_COUNT)
/* how TLS handshakes end, from the first to the last of them, and after them the timeout */
#define COUNTERS_TLS_TIMEOUT                                                                       \
    ((int)CLOSE_TLS_REFUSED_BY_CLIENT - (int)CLOSE_TLS_HANDSHAKE_FAILED + 1)
#define COUNTERS_TLS_COUNT (COUNTERS_TLS_TIMEOUT + 1)

/* -- the blocks: struct counters_listener, _route, _pool, _server, _loop -- */

#define BLOCK(object) struct counters_##object {
#define END(object)                                                                                \
    }                                                                                              \
    ;
#define SLOT(object, member)                               uint64_t member;
#define COUNTER(object, member, scope, family, unit, help) uint64_t member;
#define VALUE(object, member, scope, family, unit, help)   uint64_t member;
#define COUNTER_BY(object, member, set, scope, family, fixed, help)                                \
    uint64_t member[COUNTERS_##set##_COUNT];
#define GAUGE(object, more, less, scope, family, help)
#define DURATION(object, member, scope, family, help) struct histogram_duration member;
#define SIZE(object, member, scope, family, help)     struct histogram_size member;
#include "lbd/stats/counters.def"
#undef BLOCK
#undef END
#undef SLOT
#undef COUNTER
#undef VALUE
#undef COUNTER_BY
#undef GAUGE
#undef DURATION
#undef SIZE

static_assert(sizeof(struct counters_server) == 2 * LB_CACHE_LINE, "a server's block is two lines");

#define COUNTERS_CHUNKS_MAX 4096
/* Blocks per chunk, as powers of two: chunks of 10 to 20 KB. */
#define COUNTERS_LISTENER_SHIFT 4U
#define COUNTERS_ROUTE_SHIFT    8U
#define COUNTERS_POLICY_SHIFT   8U
#define COUNTERS_POOL_SHIFT     5U
#define COUNTERS_SERVER_SHIFT   7U

/* One thread's numbers. */
struct counters_worker {
    struct counters_loop loop; /* the worker's own block */
    struct counters_mail mail[COUNTERS_MAIL_PROTOCOLS];
    struct counters_listener *listeners[COUNTERS_CHUNKS_MAX];
    struct counters_route *routes[COUNTERS_CHUNKS_MAX];
    struct counters_policy *policies[COUNTERS_CHUNKS_MAX];
    struct counters_pool *pools[COUNTERS_CHUNKS_MAX];
    struct counters_server *servers[COUNTERS_CHUNKS_MAX];
    uint64_t swept; /* the last sweep this worker has done; see counters.c */
};

/* -- the worker's side. Threads: the worker that owns `worker` -- */

static inline struct counters_listener *counters_of_listener(struct counters_worker *worker,
                                                             uint32_t id)
{
    return &worker->listeners[id >> COUNTERS_LISTENER_SHIFT]
                             [id & ((1U << COUNTERS_LISTENER_SHIFT) - 1U)];
}

static inline struct counters_route *counters_of_route(struct counters_worker *worker, uint32_t id)
{
    return &worker->routes[id >> COUNTERS_ROUTE_SHIFT][id & ((1U << COUNTERS_ROUTE_SHIFT) - 1U)];
}

static inline struct counters_policy *counters_of_policy(struct counters_worker *worker,
                                                         uint32_t id)
{
    return &worker
                ->policies[id >> COUNTERS_POLICY_SHIFT][id & ((1U << COUNTERS_POLICY_SHIFT) - 1U)];
}

static inline struct counters_pool *counters_of_pool(struct counters_worker *worker, uint32_t id)
{
    return &worker->pools[id >> COUNTERS_POOL_SHIFT][id & ((1U << COUNTERS_POOL_SHIFT) - 1U)];
}

static inline struct counters_server *counters_of_server(struct counters_worker *worker,
                                                         uint32_t id)
{
    return &worker->servers[id >> COUNTERS_SERVER_SHIFT][id & ((1U << COUNTERS_SERVER_SHIFT) - 1U)];
}

/* Index into arrays by CODE; a status outside 100-599 counts as 5xx. */
static inline size_t counters_code_of(unsigned status)
{
    return status >= 100 && status <= 599 ? status / 100 - 1 : COUNTERS_CODE_COUNT - 1;
}

/* Index into arrays by HTTP_CODE. */
static inline size_t counters_http_code_of(enum counters_http version, unsigned status)
{
    return (size_t)version * COUNTERS_CODE_COUNT + counters_code_of(status);
}

/* Index into arrays by PROTOCOL; close_reason_is_malformed says that it is one. */
static inline size_t counters_protocol_of(enum counters_http version, enum close_reason reason)
{
    return (size_t)version * COUNTERS_BREACH_COUNT + (size_t)(reason - CLOSE_BAD_REQUEST_LINE);
}

/* Which of the pool's errors an ending is; COUNTERS_ERROR_COUNT: none of them. Any thread. */
enum counters_error counters_error_of(enum close_reason reason);

/* Does what control asked meanwhile: zeroes released blocks. Call it when a snapshot is adopted or
 * once per pass of the loop; one load when there is nothing to do. */
void counters_sweep(struct counters_worker *worker);

/* -- the control thread's side -- */

/* Once at start, before the workers run; ids acquired before it are kept. */
void counters_init(uint32_t worker_count);
/* At the end, when no worker runs any more. Every id is forgotten. */
void counters_fini(void);
uint32_t counters_worker_count(void);
/* Borrowed by the worker; number < worker_count. */
struct counters_worker *counters_worker(uint32_t number);
/* What the control thread counts itself (health checks); in the sums like a worker. */
struct counters_worker *counters_control(void);

/* A block of zeros, never 0, unique among the objects of its kind. */
LB_MUST_CHECK uint32_t counters_acquire(enum counters_kind kind);
/* Nobody counts with this id any more. Threads: any. */
void counters_release(enum counters_kind kind, uint32_t id);

/* From hold to unhold no block is zeroed that was not already being zeroed. Calls nest. */
void counters_hold(void);
void counters_unhold(void);

/* The sum over all workers (COUNTERS_LOOP: of that one), a struct counters_<kind>. */
void counters_read(enum counters_kind kind, uint32_t id, void *out);
/* The sum of one member: counters_sum(COUNTERS_POOL, id, COUNTERS_SLOT(pool, retries)). */
#define COUNTERS_SLOT(object, member)                                                              \
    (offsetof(struct counters_##object, member) / sizeof(uint64_t))
uint64_t counters_sum(enum counters_kind kind, uint32_t id, size_t slot);
/* more - less, read in the order that cannot give a negative number. */
uint64_t counters_gauge(enum counters_kind kind, uint32_t id, size_t more, size_t less);
/* Ids that wait to be zeroed by the workers; for tests and status. */
size_t counters_pending(void);

#endif
