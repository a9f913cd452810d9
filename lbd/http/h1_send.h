/*
 * h1_send - what an h1_conn sends: heads, bodies in the framing they announced, trailers.
 *
 * The sending verbs of the seam (stream.h) for HTTP/1.1, either role; h1_conn.c has the receiving
 * ones and the life of the connection. Head and first bytes go out in one system call.
 *
 *     HEAD --send_head--> BODY --send_body, last--> DONE --h1_conn_out_done--> the next request, or
 * the answer
 *
 * Memory: none of its own. Threads: worker.
 */
#ifndef LBD_HTTP_H1_SEND_H
#define LBD_HTTP_H1_SEND_H

#include "lbd/http/h1_conn.h"

/* What the bytes of h1_conn's state mean. */
enum h1_in {
    IN_HEAD,
    IN_BODY,
    IN_DONE,
    IN_REFUSED, /* what follows is not read: framing in doubt */
};

enum h1_out { OUT_HEAD, OUT_BODY, OUT_DONE };

enum h1_timer {
    TIMER_NONE,
    TIMER_HEAD,
    TIMER_BODY,
    TIMER_WRITE,
    TIMER_LEFT, /* the client ended its bytes and no answer has begun */
};

/* stream_ops of h1_conn. A body that is not as long as announced is refused, never sent. */
bool h1_send_head(struct stream *stream, const struct stream_head *head, struct slice bytes,
                  bool is_last);
bool h1_send_body(struct stream *stream, struct slice bytes, bool is_last);
bool h1_send_trailers(struct stream *stream, struct slice lines);

/* h1_conn.c: the deadline and what it is about. */
void h1_conn_set_timer(struct h1_conn *h1, enum h1_timer timer, uint32_t delay_ms);
/* h1_conn.c: bytes wait for the peer. */
void h1_conn_await_room(struct h1_conn *h1);
/* h1_conn.c: the last byte was handed over; client-facing, the h1_conn may be gone afterwards.
 * True. */
bool h1_conn_out_done(struct h1_conn *h1);

#endif
