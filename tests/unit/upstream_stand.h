/*
 * upstream_stand - one worker's server side, and servers that the test plays by hand.
 *
 *     loop · buffers · HTTP · upstream_worker · a pool of up to 4 servers on loopback ports
 *
 * Closing it checks the books: what was opened is closed, what was counted in is counted out.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_UPSTREAM_STAND_H
#define TESTS_UNIT_UPSTREAM_STAND_H

#include "lbd/http/h1_conn.h"
#include "lbd/upstream/upstream_stream.h"
#include "lbd/upstream/upstream_worker.h"
#include "tests/unit/loop_stand.h"

#define UPSTREAM_STAND_SERVERS 4U

struct upstream_stand_options {
    uint32_t servers;
    uint32_t retries;
    uint32_t max_in_flight; /* of each; 0: no limit */
    uint32_t connect_ms;    /* 0: 1000 */
    uint32_t response_ms;   /* 0: 1000 */
    uint32_t idle_ms;       /* 0: 1000 */
    uint32_t down;          /* bit i: server i is not up */
    uint32_t max_age_ms;
    enum pool_http http;
    enum proxy_header_version send_proxy;
};

struct upstream_stand {
    struct loop_stand base;
    struct http_worker http;
    struct upstream_worker upstream;
    uint32_t count;
    struct server *servers[UPSTREAM_STAND_SERVERS]; /* referenced */
    int listening[UPSTREAM_STAND_SERVERS];          /* -1: nobody listens there any more */
    int held[UPSTREAM_STAND_SERVERS];               /* keeps such a port from others; -1: none */
    struct addr addresses[UPSTREAM_STAND_SERVERS];
    struct pool *pool;
    uint64_t clock_us;
};

/* The clock stands still until upstream_stand_tick. */
void upstream_stand_open(struct upstream_stand *stand,
                         const struct upstream_stand_options *options);
void upstream_stand_close(struct upstream_stand *stand);
void upstream_stand_tick(struct upstream_stand *stand, uint64_t more_ms);
/* Another pool of the same servers, as the next snapshot would have it: addresses of a new version.
 */
struct pool *upstream_stand_next_pool(struct upstream_stand *stand, uint32_t address_version);
/* Nobody listens at server `i` any more: it refuses. */
void upstream_stand_refuse(struct upstream_stand *stand, uint32_t i);
/* A connection that lbd made to server `i`; non-blocking. Turns the loop until it is there. */
int upstream_stand_accept(struct upstream_stand *stand, uint32_t i);
/* Is one waiting there? */
bool upstream_stand_has_connection(struct upstream_stand *stand, uint32_t i);
const struct counters_pool *upstream_stand_counters(struct upstream_stand *stand);

#endif
