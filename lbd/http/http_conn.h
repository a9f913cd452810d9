/*
 * http_conn - an HTTP connection of any version, as those see it who own it or end it.
 *
 *     owner <--on_request, on_idle, on_close--  http_conn  <--abort, leave, drain-- owner
 *     (session, or upstream_stream)             '- streams (stream.h) --> exchanges
 *
 * HTTP/1 has one stream after the other and is gone while idle; HTTP/2 has many at a time and stays
 * as long as its connection. It lies under conn->user while its owner has not lent the connection.
 *
 * Memory: embedded in the protocol's object. Threads: worker.
 */
#ifndef LBD_HTTP_HTTP_CONN_H
#define LBD_HTTP_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/list.h"
#include "lbd/http/stream.h"
#include "lbd/net/conn.h"
#include "lbd/net/relay.h"

struct http_conn;

/* The connection's owner: session (client-facing) or upstream_stream (server-facing). */
struct http_owner {
    /* A request head came: attach events and an exchange to the stream. Client-facing only. */
    void (*on_request)(struct conn *conn, struct stream *stream, struct message *message);
    /* The head is malformed, too large or late: answer it (send_head with close) or reset.
     * Client-facing only. */
    void (*on_bad_request)(struct conn *conn, struct stream *stream, enum close_reason reason);
    /* A request that found no room (limits, memory) was refused before anything was done with it:
     * the client may send it again. Client-facing HTTP/2 only; NULL: it does not matter. */
    void (*on_refused)(struct conn *conn);
    /* The first bytes were HTTP/2's preface (h1_conn_expect_preface): they lie in conn->in,
     * conn->user is NULL and the connection is the owner's. Client-facing only. */
    void (*on_preface)(struct conn *conn);
    /* Nothing is under way. HTTP/1: nothing was read either, conn->user is NULL and the events are
     * the owner's from here on; server-facing it comes from `release` only. HTTP/2: it stays under
     * conn->user and keeps the events; the owner sets the deadline at which it goes away. */
    void (*on_idle)(struct conn *conn);
    /* The server's SETTINGS have come: it is known how many streams there may be. Server-facing
     * HTTP/2 only; NULL: it does not matter. */
    void (*on_settings)(struct conn *conn);
    /* The connection has to end; the protocol's object is gone, conn->user is NULL. `linger`: bytes
     * of the peer may be under way, so close only after it has seen the end of ours. */
    void (*on_close)(struct conn *conn, enum close_reason reason, bool linger);
};

struct http_conn_ops {
    /* Ends what is under way (on_end to each exchange) and the connection (on_close). */
    void (*abort)(struct http_conn *http, enum close_reason reason);
    /* The same, but what is under way to the peer still goes out and the peer sees our end first.
     */
    void (*leave)(struct http_conn *http, enum close_reason reason);
    /* Nothing new after what is under way: HTTP/1 says close with the next answer, HTTP/2 GOAWAY.
     * The connection ends by itself after it. Safe to call twice. */
    void (*drain)(struct http_conn *http);
};

struct http_conn {
    const struct http_conn_ops *ops;
    struct list_node exchanges; /* the owner's: who is attached to its streams */
    uint8_t version;            /* enum stream_version */
};

static inline void http_conn_init(struct http_conn *http, const struct http_conn_ops *ops,
                                  enum stream_version version)
{
    http->ops = ops;
    http->version = (uint8_t)version;
    list_init(&http->exchanges);
}

/* The one of this connection, also while net/relay has it; NULL: none. Not for a tunnel's. */
static inline struct http_conn *http_conn_on(const struct conn *conn)
{
    return (conn->flags & CONN_LENT) != 0 ? relay_user_before(conn) : conn->user;
}

#endif
