/*
 * proxy_stand - a whole worker without its thread: one listener, its routes, a pool of servers that
 * the test plays by hand, clients that it plays too, and an access log.
 *
 *     client (test) --loopback--> front · session · h1_conn · exchange --loopback--> server (test)
 *
 *     /           -> pool            /fixed  -> 200 "fixed answer"
 *     /trailers   -> pool, trailers forwarded    /moved  -> 301 https://x.example{path}
 *     host "none.example" -> no route            a listener of TCP: everything -> pool
 *
 * Closing it checks the books, as upstream_stand does.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_PROXY_STAND_H
#define TESTS_UNIT_PROXY_STAND_H

#include "lbd/proxy/front.h"
#include "lbd/proxy/proxy_worker.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/tunnel.h"
#include "tests/unit/upstream_stand.h"

#define PROXY_STAND_ROUTES  4U
#define PROXY_STAND_TEXT    65536U
#define PROXY_STAND_WAIT_MS 1000U /* every timeout of the listener */

struct proxy_stand_options {
    struct upstream_stand_options upstream;
    uint32_t max_connections; /* of the worker; 0: 100 */
    uint32_t connections;     /* of the listener; 0: no limit */
    enum conf_protocol protocol;
    bool no_log;
};

struct proxy_stand {
    struct upstream_stand up;
    struct proxy_worker proxy;
    struct access_log *log;
    struct arena arena;
    struct conf_route confs[PROXY_STAND_ROUTES];
    struct route routes[PROXY_STAND_ROUTES];
    struct slice host;
    struct listener *listener;
    struct listener_bind *bind;
    struct plan plan;
    struct lease lease;
    unsigned released;   /* times the lease was */
    struct front *front; /* NULL: it freed itself */
    unsigned quiet;      /* times the worker was told that nothing is open */
};

void proxy_stand_open(struct proxy_stand *stand, const struct proxy_stand_options *options);
/* Ends the front if it is still there, and checks. */
void proxy_stand_close(struct proxy_stand *stand);
void proxy_stand_settle(struct proxy_stand *stand);
void proxy_stand_tick(struct proxy_stand *stand, uint64_t more_ms);
/* A client's connection; the worker sees it with its first byte. */
int proxy_stand_client(struct proxy_stand *stand);
/* Client connections that the worker has open. */
uint32_t proxy_stand_open_count(const struct proxy_stand *stand);
const struct counters_listener *proxy_stand_counters(const struct proxy_stand *stand);
/* The access log's lines since the last call, as one text. */
const char *proxy_stand_log(struct proxy_stand *stand);
#define proxy_stand_until(stand, condition) loop_stand_until(&(stand)->up.base, condition)

/* -- talking -- */

/* What has come to this end so far, after the worker did its part. Valid until the next call. */
const char *hear(struct proxy_stand *stand, int fd);
/* Reads until the text ends in `ending`; fails the test if that never comes. */
const char *hear_until(struct proxy_stand *stand, int fd, const char *ending);
/* Sends and lets the worker do its part. */
void tell(struct proxy_stand *stand, int fd, const char *text);
/* One request on the client's end, its answer on the server's. Returns what the client heard. */
const char *round_trip(struct proxy_stand *stand, int client, int server, const char *answer);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

#endif
