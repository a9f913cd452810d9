/*
 * tcp_session - a connection of a TCP listener until it has its server: the layer 4 counterpart of
 * an exchange.
 *
 *     tcp               -----------------> route -> pick -> connect -> tunnel
 *     tls_passthrough   -> ClientHello -->           ^---- retry ---|
 *
 * `tcp` goes where its name leads when TLS ended here, else to the one pool; the server may speak
 * first, so it is connected to at once. Of `tls_passthrough` the ClientHello is read (tls_hello)
 * and kept; it is the first that the server gets, byte by byte as it came. From the connection on
 * it is a tunnel (proxy/tunnel), and this object is gone.
 *
 * A server that cannot be reached is one try; others follow within pool.retries and the retry
 * budget. Nothing is sent to the client when there is none: its connection ends, and log, metrics
 * and API have the reason.
 *
 * Memory: the proxy_worker's slab, while it is opened; holds its worker's lease on the snapshot.
 * conn.user is this object. Threads: worker.
 */
#ifndef LBD_PROXY_TCP_SESSION_H
#define LBD_PROXY_TCP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/lease.h"
#include "lbd/proxy/plan.h"
#include "lbd/proxy/proxy_worker.h"
#include "lbd/tls/tls_hello.h"
#include "lbd/upstream/upstream_conn.h"

#define TCP_SESSION_TRIES 8U

struct session;

struct tcp_session {
    struct session *session;
    struct proxy_worker *proxy;
    const struct plan *plan;
    struct lease *lease;       /* keeps plan, route and pool */
    const struct route *route; /* NULL: none yet */
    const struct pool *pool;   /* the route's, or one that stands in for it; NULL: none yet */
    struct server *server;     /* counted as in flight there; NULL: none */
    uint32_t member;
    uint32_t tries;
    uint32_t tried[TCP_SESSION_TRIES];
    uint32_t tried_count;
    uint8_t failure; /* enum close_reason of the last try */
    uint64_t revision;
    uint64_t connect_us; /* how long connecting took */
    struct upstream_conn_waiter waiter;
    struct tls_hello hello;
    size_t name_len;
    char name[TLS_HELLO_NAME_MAX]; /* SNI */
};

/* Begins with a connection whose door is behind it (PROXY header, TLS); its events become ours.
 * `name`, `alpn`: of a TLS handshake that ended here (alpn as on the wire); empty: none. */
void tcp_session_start(struct session *session, struct slice name, struct slice alpn);
/* Ends it and the session, while it is opened. */
void tcp_session_end(struct session *session, enum close_reason reason);
/* The server that it is being connected to; NULL: none. */
const struct server *tcp_session_server(const struct session *session);
/* The pool; empty: not known yet. */
struct slice tcp_session_pool(const struct session *session);

#endif
