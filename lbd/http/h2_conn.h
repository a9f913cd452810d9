/*
 * h2_conn - HTTP/2 on a connection (RFC 9113), facing a client or a server: many streams at a time.
 *
 * Stays as long as its connection, also while nothing is under way (http_conn.h: on_idle).
 *
 *     conn --frames--> h2_receive --heads, bodies--> h2_stream (stream.h) --> exchanges
 *     conn <--one write a pass-- h2_send <--frames of all streams that have something--'
 *
 *     client-facing: each request comes by on_request; it is over when answer and request are
 *     server-facing: h2_conn_open, then send_head; release when the answer is here
 *
 * Flow control follows the reader: credit is given for bytes that were pulled and for no others, so
 * a stream that is paused holds at most its window (64 KB) and the connection at most 1 MB. What
 * the peer's windows or its socket do not take waits in the stream (`is_blocked`).
 *
 * All that is sent in one pass of the loop goes out in one write at its end, by urgency (RFC 9218).
 * Drain: GOAWAY that takes every stream, then, a round trip later, GOAWAY with the last one.
 *
 * Limits: struct h2_limits, h2_guard (R1 to R3). A verb that finds the connection broken says false
 * and tells the other streams in a later turn.
 * Memory: the http_worker's slabs; an idle one is below 1 KB and what HPACK keeps. Threads: worker.
 */
#ifndef LBD_HTTP_H2_CONN_H
#define LBD_HTTP_H2_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/http/http_conn.h"
#include "lbd/http/stream.h"
#include "lbd/net/conn.h"

struct h2_conn;

enum h2_role { H2_CLIENT_FACING, H2_SERVER_FACING };

struct h2_limits {
    uint32_t head_bytes;     /* of a head as RFC 9113 6.5.2 counts it; at most 64 KiB */
    uint32_t fields;         /* of a head; at most H1_FIELDS_MAX */
    uint32_t max_streams;    /* at a time; client-facing we announce it, server-facing the lower of
                                this and the server's counts */
    uint32_t buffered_bytes; /* that may wait in all streams together; 0: any number */
};

struct h2_timeouts {
    uint32_t head_ms;  /* client: from the first byte to the end of a head; server: request sent to
                          the answer's head */
    uint32_t body_ms;  /* silence in a body that is wanted */
    uint32_t write_ms; /* the peer takes nothing of a stream, or of the connection */
    const struct stream_rates *rates; /* outlives the connection; NULL: nothing is asked */
};

/* Takes over the connection's events; conn->user is its http_conn. Our SETTINGS (and, facing a
 * server, the preface) go out at the end of the pass. NULL when there is no memory. */
struct h2_conn *h2_conn_new(struct conn *conn, enum h2_role role, const struct http_owner *owner,
                            const struct h2_limits *limits, const struct h2_timeouts *timeouts);
/* Reads and serves what is there: after h2_conn_new, when bytes may have come already. */
void h2_conn_turn(struct h2_conn *h2);

/* The h2_conn of a connection whose http_conn is of STREAM_HTTP2. */
struct h2_conn *h2_conn_of(struct http_conn *http);

/* -- server-facing -- */

/* How many streams may be opened now: 0 when the server is leaving (GOAWAY), we are, or it is
 * full. */
uint32_t h2_conn_room(const struct h2_conn *h2);
/* A stream for a request, while there is room; on_idle comes again when the last one is over. NULL:
 * no memory. */
struct stream *h2_conn_open(struct h2_conn *h2);
/* How many are open. */
uint32_t h2_conn_streams(const struct h2_conn *h2);
/* Bytes of bodies that wait in its streams, either way. */
uint64_t h2_conn_held(const struct h2_conn *h2);

#endif
