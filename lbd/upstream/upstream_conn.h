/*
 * upstream_conn - one connection to a server, from dialling to its end.
 *
 *     open: dial --> PROXY header --> TLS --> in use <--> idle --> closed
 *
 *     its events belong to: us (while it is opened), h1_conn, h2_conn or a relay (in use),
 *     upstream/idle (idle)
 *
 * upstream_conn_open is the one way to a server: requests come by upstream_stream, TCP sessions by
 * themselves. timeouts.connect of the pool is the time for all of it. Why TLS failed is told to
 * server_note_trouble in words.
 *
 * Memory: the upstream_worker's slab; holds a reference on its server. Threads: one worker for
 * life.
 */
#ifndef LBD_UPSTREAM_UPSTREAM_CONN_H
#define LBD_UPSTREAM_UPSTREAM_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/base/list.h"
#include "lbd/net/conn.h"
#include "lbd/net/proxy_tlvs.h"
#include "lbd/upstream/upstream_worker.h"

struct shared;
struct upstream_conn;

/* Who waits for a connection; the caller's until fn was called or upstream_conn_cancel. */
struct upstream_conn_waiter {
    /* conn NULL: *reason says why. */
    void (*fn)(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
               enum close_reason reason);
    struct upstream_conn *conn; /* while it is opened */
    uint64_t started_us;
    bool wants_http1; /* set before: not HTTP/2, where ALPN would choose it (WebSocket) */
};

/* For whom it is opened, where the pool sends PROXY headers. Borrowed for the call. */
struct upstream_client {
    uint64_t id; /* session.id: not 0, never another one's */
    const struct addr_small *source;
    const struct addr_small *destination; /* where the client connected to */
    /* What else the header says, where the pool wants that: asked when a connection is opened, as
     * long as somebody of this client waits for one. NULL: nothing. proxy_tlvs_write's answer. */
    size_t (*write_tlvs)(const void *arg, unsigned words, char out[PROXY_TLVS_OUT_MAX]);
    const void *arg;
};

enum upstream_step { UPSTREAM_DIALS, UPSTREAM_SHAKES_HANDS, UPSTREAM_IS_OPEN };

struct upstream_conn {
    struct conn conn;
    struct server *server; /* referenced */
    union {
        struct list_node idle_link; /* once it is open */
        struct {                    /* while it is opened */
            struct upstream_conn_waiter *waiter;
            union {
                struct flow greeting; /* PROXY header, until it is connected */
                uint64_t shaking_us;  /* from then on: when the TLS handshake began */
            };
        };
    };
    struct shared *shared; /* HTTP/2, also while it is opened; NULL: HTTP/1 */
    uint64_t client_id; /* its PROXY header names this one's addresses: for nobody else; 0: none */
    uint64_t way;       /* pool_member.way that it was made for */
    uint64_t old_us;    /* from then on it takes no request; 0: never */
    uint32_t pool_id;
    uint32_t address_version;
    uint32_t idle_ms;
    uint8_t step; /* enum upstream_step */
    bool is_idle;
    bool is_http2; /* agreed on by ALPN, or known before */
    bool must_http2 : 1;
    bool has_served : 1; /* a request before: it speaks what we do */
};

static inline struct upstream_conn *upstream_conn_of(struct conn *conn)
{
    return container_of(conn, struct upstream_conn, conn);
}

/* May it serve another request for this member and client? */
bool upstream_conn_fits(const struct upstream_conn *conn, const struct pool_member *member,
                        uint64_t client_id, uint64_t now_us);

enum upstream_open { UPSTREAM_READY, UPSTREAM_PENDING, UPSTREAM_FAILED };

/* Is a failure to open one lbd's own doing, or that of a limit? Then it says nothing of the server,
 * and no other can be reached either. */
static inline bool upstream_conn_is_ours(enum close_reason reason)
{
    return reason == CLOSE_OVERLOAD || reason == CLOSE_OUT_OF_MEMORY ||
           reason == CLOSE_SOURCE_UNAVAILABLE || reason == CLOSE_POOL_CONNECTIONS_LIMIT ||
           reason == CLOSE_POOL_PENDING_LIMIT;
}

/* A new connection to a member. READY: *conn, whose events are the caller's (conn->ops is to be
 * set; CONN_READ_READY tells whether the server spoke already). PENDING: waiter->fn comes. FAILED:
 * *reason. Counted in the pool and told to server_note_connect. `client`: NULL or for whom. */
LB_MUST_CHECK enum upstream_open upstream_conn_open(struct upstream_worker *upstream,
                                                    const struct pool *pool, uint32_t member,
                                                    const struct upstream_client *client,
                                                    struct upstream_conn_waiter *waiter,
                                                    struct upstream_conn **conn,
                                                    enum close_reason *reason);
/* TLS on a connection that began in clear (pool->tls_later), whose events are the caller's; nothing
 * that came may lie unread. The same answers: READY, PENDING with the waiter, FAILED, after which
 * the connection is gone. */
LB_MUST_CHECK enum upstream_open upstream_conn_secure(struct upstream_worker *upstream,
                                                      const struct pool *pool, uint32_t member,
                                                      struct upstream_conn *conn,
                                                      struct upstream_conn_waiter *waiter,
                                                      enum close_reason *reason);
/* Nobody waits any more. Nothing happens when nobody did. */
void upstream_conn_cancel(struct upstream_worker *upstream, struct upstream_conn_waiter *waiter);
/* Closes and frees after the batch; not while idle. */
void upstream_conn_end(struct upstream_worker *upstream, struct upstream_conn *conn);
/* Ends our sending side first and closes when the server has ended too, a second later at the
 * latest; what it still sends is thrown away. */
void upstream_conn_linger(struct upstream_worker *upstream, struct upstream_conn *conn);
/* Who wants to know when it is closed. */
struct upstream_conn_parting {
    void (*fn)(struct upstream_conn_parting *parting); /* once; nothing of it is left then */
};
/* Likewise, and the server has limit_ms. `parting` may be told before this returns. */
void upstream_conn_part(struct upstream_worker *upstream, struct upstream_conn *conn,
                        uint32_t limit_ms, struct upstream_conn_parting *parting);
/* Closes those that linger, at the worker's end. */
void upstream_conn_end_lingering(struct upstream_worker *upstream);

/* One on its way to another worker: its descriptor, TLS session and what it was made for. Whoever
 * has it is the owner. */
struct upstream_parcel {
    const struct transport *transport; /* NULL: nothing */
    struct server *server;             /* referenced */
    int fd;
    uint32_t flags;
    uint64_t client_id;
    uint64_t way;
    uint64_t old_us;
    uint32_t pool_id;
    uint32_t address_version;
    uint32_t idle_ms;
    bool is_http2;
    struct addr_small peer;
};

/* Takes an open one, whose events are the caller's, out of this worker. Nothing of it waits to be
 * read (in conn.in) or sent. */
void upstream_conn_pack(struct upstream_worker *upstream, struct upstream_conn *conn,
                        struct upstream_parcel *parcel);
/* On the worker where it arrives: the parcel is empty then. Its events are the caller's: `ops`.
 * NULL: no memory, it is closed. */
struct upstream_conn *upstream_conn_unpack(struct upstream_worker *upstream,
                                           struct upstream_parcel *parcel,
                                           const struct conn_ops *ops);
/* Closes what nobody unpacks. Empty ones, too. Any thread. */
void upstream_conn_drop_parcel(struct upstream_parcel *parcel);

#endif
