/*
 * h1_conn - HTTP/1.1 on a connection, facing a client or a server: the streams of one after the
 * other.
 *
 * Exists from the first byte of a request to the last of its answer; an idle connection has none.
 *
 *     incoming:  HEAD --> BODY --> DONE            outgoing:  HEAD --> BODY --> DONE
 *     client-facing: both done and sent -> on_end, then the next request or idle
 *     server-facing: the exchange calls h1_conn_release when it is through
 *
 * Reading: one turn reads into the worker's scratch at most 4 times, and not again after 64 KB; it
 * parses in place and lends. What stays goes to conn->in. Never nested: whatever wants another read
 * asks for another turn.
 *
 * Limits: struct h1_limits; 5 interim answers. Memory: the http_worker's slab. Threads: worker.
 */
#ifndef LBD_HTTP_H1_CONN_H
#define LBD_HTTP_H1_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/h1_body.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/stream.h"
#include "lbd/net/conn.h"

#define H1_FIELDS_MAX 1000

/* What the HTTP connections of one thread share. Slot LOOP_SLOT_HTTP. */
struct http_worker {
    struct slab h1_conns;
    struct header *fields; /* H1_FIELDS_MAX, where heads are parsed */
};

void http_worker_init(struct http_worker *http);
void http_worker_fini(struct http_worker *http);

struct h1_conn;

/* The connection's owner: session (client-facing) or upstream_stream (server-facing). */
struct h1_owner {
    /* A request head came: attach events and an exchange to the stream. Client-facing only. */
    void (*on_request)(struct h1_conn *h1, struct message *message);
    /* The head is malformed, too large or late: answer it (send_head with close) or reset.
     * Client-facing only. */
    void (*on_bad_request)(struct h1_conn *h1, enum close_reason reason);
    /* Nothing is under way and nothing was read: the h1_conn is freed right after. */
    void (*on_idle)(struct conn *conn);
    /* The connection has to end; the h1_conn is freed right after. `linger`: bytes of the peer may
     * be under way, so close only after it has seen the end of ours. */
    void (*on_close)(struct conn *conn, enum close_reason reason, bool linger);
};

struct h1_timeouts {
    uint32_t head_ms;  /* client: first byte to the end of the head; server: request sent to the
                          answer's head */
    uint32_t body_ms;  /* silence in a body */
    uint32_t write_ms; /* the peer takes nothing */
};

struct h1_conn {
    struct stream stream;
    struct conn *conn;
    const struct h1_owner *owner;
    struct slice pending; /* in a turn: bytes in the scratch that are not used yet */
    struct h1_head head;
    struct h1_body body;
    struct h1_limits limits;
    struct h1_timeouts timeouts;
    uint64_t out_left;  /* of a length we announced */
    size_t blocked_len; /* what waited when the write deadline was set */
    uint8_t role;       /* enum h1_role */
    uint8_t in;         /* enum h1_in */
    uint8_t out;        /* enum h1_out */
    uint8_t out_framing;
    uint8_t timer;   /* enum h1_timer: what the deadline is about */
    uint8_t interim; /* interim answers so far */
    uint8_t request_method;
    bool out_framed;
    bool starved;    /* what is kept is not enough to go on */
    bool *gone;      /* in a turn: set when this object is freed */
    bool is_lent;    /* net/relay has the connection */
    bool has_stream; /* between on_head and on_end */
    bool peer_http10;
    bool peer_wants_close;
    bool close_after; /* no further message on this connection */
    bool began;       /* some byte of the incoming message came */
};

enum h1_role { H1_CLIENT_FACING, H1_SERVER_FACING };

/* Takes over the connection's events. NULL when there is no memory. */
struct h1_conn *h1_conn_new(struct conn *conn, enum h1_role role, const struct h1_owner *owner,
                            const struct h1_limits *limits, const struct h1_timeouts *timeouts);
/* Client-facing: reads and serves what is there. Call it when the connection is readable and after
 * h1_conn_new. */
void h1_conn_turn(struct h1_conn *h1);
/* Server-facing: the exchange has the whole answer, or gives up. True: the connection may be used
 * again (R6). The h1_conn is freed; the connection's events belong to the caller. */
bool h1_conn_release(struct h1_conn *h1);
/* The h1_conn of this connection, also while net/relay has it; NULL: none. */
struct h1_conn *h1_conn_on(const struct conn *conn);
/* Ends what is under way (on_end to the exchange, on_close to the owner). For drains and removed
 * listeners. */
void h1_conn_abort(struct h1_conn *h1, enum close_reason reason);
/* The same, but what is under way to the peer still goes out and the peer sees our end first. */
void h1_conn_leave(struct h1_conn *h1, enum close_reason reason);
/* The next answer's head says close. */
static inline void h1_conn_close_after(struct h1_conn *h1)
{
    h1->close_after = true;
}
static inline struct h1_conn *h1_conn_of(struct stream *stream)
{
    return container_of(stream, struct h1_conn, stream);
}

#endif
