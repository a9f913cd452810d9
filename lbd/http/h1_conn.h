/*
 * h1_conn - HTTP/1.1 on a connection, facing a client or a server: the streams of one after the
 * other.
 *
 * Exists from the first byte of a request to the last of its answer; an idle connection has none.
 *
 *     incoming:  HEAD --> BODY --> DONE            outgoing:  HEAD --> BODY --> DONE
 *     client-facing: both done and sent -> on_end, then the next request or idle
 *     server-facing: the exchange releases the stream when it is through
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
#include "lbd/http/http_conn.h"
#include "lbd/http/stream.h"
#include "lbd/net/conn.h"
#include "lbd/net/pace.h"

#define H1_FIELDS_MAX 1000

/* What the HTTP connections of one thread share. Slot LOOP_SLOT_HTTP. */
struct http_worker {
    struct slab h1_conns;
    struct slab h2_conns;
    struct slab h2_streams;
    struct header *fields; /* H1_FIELDS_MAX, where heads are parsed */
    char *h2_text;         /* FLOW_HEAD_BYTES, where header blocks are decoded */
};

void http_worker_init(struct http_worker *http);
void http_worker_fini(struct http_worker *http);

struct h1_conn;

struct h1_timeouts {
    uint32_t head_ms;  /* client: first byte to the end of the head; server: request sent to the
                          answer's head */
    uint32_t body_ms;  /* silence in a body */
    uint32_t write_ms; /* the peer takes nothing */
    const struct stream_rates *rates; /* outlives the connection; NULL: nothing is asked */
};

struct h1_conn {
    struct stream stream;
    struct http_conn http;
    struct conn *conn;
    const struct http_owner *owner;
    struct slice pending; /* in a turn: bytes in the scratch that are not used yet */
    struct h1_head head;
    struct h1_body body;
    struct h1_limits limits;
    struct h1_timeouts timeouts;
    uint64_t out_left; /* of a length we announced */
    uint8_t role;      /* enum h1_role */
    uint8_t in;        /* enum h1_in */
    uint8_t out;       /* enum h1_out */
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
    bool close_after;     /* no further message on this connection */
    bool began;           /* some byte of the incoming message came */
    bool expects_preface; /* HTTP/2's may come instead of a request */
    bool has_body_pace;   /* of this message */
    bool has_output;
    /* last, and not zeroed */
    struct pace body_pace;     /* when has_body_pace */
    struct pace_output output; /* when has_output: while bytes wait, TIMER_WRITE */
};

enum h1_role { H1_CLIENT_FACING, H1_SERVER_FACING };

/* Takes over the connection's events. NULL when there is no memory. */
struct h1_conn *h1_conn_new(struct conn *conn, enum h1_role role, const struct http_owner *owner,
                            const struct h1_limits *limits, const struct h1_timeouts *timeouts);
/* Client-facing: reads and serves what is there. Call it when the connection is readable and after
 * h1_conn_new. */
void h1_conn_turn(struct h1_conn *h1);
/* A new connection may turn out to speak HTTP/2 with prior knowledge (RFC 9113 3.3): on_preface. */
static inline void h1_conn_expect_preface(struct h1_conn *h1)
{
    h1->expects_preface = true;
}
static inline struct h1_conn *h1_conn_of(struct stream *stream)
{
    return container_of(stream, struct h1_conn, stream);
}

#endif
