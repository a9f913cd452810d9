/*
 * h2_inside - what the files of h2_conn share; nobody else includes it.
 *
 *     h2_conn      life: begin, turns, deadlines, drain, end
 *     h2_receive   frames that came
 *     h2_block     header blocks among them
 *     h2_stream    streams: begin, what they lend, end; the receiving verbs of the seam
 *     h2_send      frames that go, windows, whose turn it is; the sending verbs of the seam
 *
 * In a turn `gone` points to a flag of that turn, which is set when the h2_conn is freed.
 *
 * Threads: worker.
 */
#ifndef LBD_HTTP_H2_INSIDE_H
#define LBD_HTTP_H2_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "lbd/http/h2_frame.h"
#include "lbd/http/h2_guard.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"

enum {
    H2_BUCKETS = 16, /* of stream ids */
    H2_RECENT = 64,  /* streams that are over and still known */
    H2_URGENCIES = 8,
    H2_URGENCY_USUAL = 3,         /* RFC 9218 4.1 */
    H2_STREAM_WINDOW = 65535,     /* what a paused stream may hold */
    H2_CONN_WINDOW = 1024 * 1024, /* ... and all of a connection */
    H2_OUT_GATHER = 32 * 1024,    /* this much is sent at once and not at the end of the pass */
    H2_STREAMS_ASSUMED = 100,     /* until the server's SETTINGS say more (RFC 9113 6.5.2) */
    H2_GAVE_UP_MAX = 32,          /* streams we may reset before a connection is changed ... */
    H2_GAVE_UP_PART = 4,          /* ... beside one in so many of those that were served */
    H2_DRAIN_GRACE_MS = 1000,     /* between the two GOAWAYs when no PING comes back */
};

enum h2_in {
    H2_IN_HEAD,
    H2_IN_BODY,
    H2_IN_ENDED,   /* END_STREAM came; what lies in `in` is still to be pulled */
    H2_IN_DONE,    /* the end was pulled */
    H2_IN_REFUSED, /* what follows is thrown away */
};

enum h2_out {
    H2_OUT_HEAD,
    H2_OUT_BODY,
    H2_OUT_ENDING, /* the end waits behind what lies in `out` */
    H2_OUT_DONE,
};

enum h2_timer { H2_TIMER_NONE, H2_TIMER_HEAD, H2_TIMER_BODY, H2_TIMER_WRITE };

enum h2_drain {
    H2_DRAIN_NO,
    H2_DRAIN_ANNOUNCED, /* GOAWAY went, streams that are under way to us are still taken */
    H2_DRAIN_FINAL,     /* the last stream was named */
};

#define H2_NO_LENGTH UINT64_MAX

struct h2_stream {
    struct stream stream; /* first */
    struct h2_conn *h2;
    struct h2_stream *next;       /* in its bucket */
    struct list_node send_link;   /* h2->waiting: something may be sent */
    struct list_node resume_link; /* h2->resumed: something may be lent */
    struct loop_timer timer;
    struct flow inbox;  /* body bytes nobody wanted yet, then in_trailers bytes of trailers */
    struct flow outbox; /* likewise, to be sent */
    struct pace body_pace;
    struct pace window_pace; /* while its window is shut and something waits */
    uint64_t in_left;        /* of the length that was announced, or H2_NO_LENGTH */
    uint64_t out_left;
    int64_t send_window;
    uint32_t recv_window; /* what the peer may still send */
    uint32_t credit;      /* pulled, and not yet given back */
    uint32_t id;          /* 0: no head was sent */
    size_t blocked_len;   /* what waited when the write deadline was set */
    uint16_t in_trailers;
    uint16_t out_trailers;
    uint8_t in;        /* enum h2_in */
    uint8_t out;       /* enum h2_out */
    uint8_t timer_for; /* enum h2_timer */
    uint8_t urgency;
    uint8_t interim; /* interim answers so far */
    uint8_t request_method;
    uint8_t refusal; /* enum close_reason: pull says BAD, or the request was refused */
    bool is_incremental;
    bool has_owner;    /* an exchange is attached; on_end is still to come */
    bool leaves;       /* reset once what waits is sent */
    bool is_malformed; /* PROTOCOL_ERROR after our answer */
};

struct h2_conn {
    struct http_conn http; /* first */
    struct conn *conn;
    const struct http_owner *owner;
    bool *gone;
    struct slice pending; /* in a turn: bytes in the scratch that are not used yet */
    struct h2_stream *streams[H2_BUCKETS];
    struct list_node waiting[H2_URGENCIES];
    struct list_node resumed;
    struct loop_ready tidy; /* at the end of the pass */
    struct h2_limits limits;
    struct h2_timeouts timeouts;
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    struct h2_guard guard;

    /* a header block whose end is still to come */
    struct flow block;
    uint32_t block_stream; /* 0: none */
    uint8_t block_flags;
    uint8_t block_continuations;

    /* what a stream lends in a call of on_body */
    struct h2_stream *lender;
    struct slice lent;
    struct slice lent_trailers;
    bool lent_taken;
    struct h2_stream *beginner; /* in on_request, on_head */

    uint64_t heard_us;     /* when bytes came last */
    uint64_t input_due_us; /* preface or header block; 0: none */
    uint64_t grace_due_us;
    uint64_t put_bytes;        /* into conn->out */
    struct pace_output output; /* while conn->out is not empty */
    struct pace window_pace;   /* while the window is shut and some stream waits */
    int64_t send_window;
    uint32_t recv_window;
    uint32_t credit;
    uint32_t peer_window;      /* of its new streams */
    uint32_t peer_max_streams; /* server-facing */
    uint32_t stream_count;
    uint32_t served;    /* server-facing: answers that came whole */
    uint32_t gave_up;   /* ... and streams that we reset */
    uint32_t last_id;   /* of the peer's streams */
    uint32_t next_id;   /* of ours */
    uint32_t goaway_id; /* streams of ours above it are not served; H2_STREAM_ID_MAX: all are */
    uint32_t served_id; /* our GOAWAY: streams of the peer above it are not served */
    uint32_t recent[H2_RECENT];
    uint8_t recent_at;
    uint8_t role;
    uint8_t drain;           /* enum h2_drain */
    uint8_t dispatched;      /* new streams in this turn */
    uint8_t control_waiting; /* frames since the connection was last empty */
    uint8_t failing;         /* enum close_reason: to be ended at the end of the pass */
    bool has_preface;
    bool has_settings;
    bool has_gaps;    /* the client left out ids */
    bool is_idle;     /* the owner knows */
    bool is_leaving;  /* the server is, or the connection ends: no new streams of ours */
    bool input_waits; /* it sends nothing of ours on: nothing new is begun */
};

_Static_assert(sizeof(struct h2_conn) <= 1024, "an idle connection is small");
_Static_assert(sizeof(struct h2_stream) <= 240, "an idle tunnel is, with its server's connection");

static inline struct h2_stream *h2_stream_of(struct stream *stream)
{
    return container_of(stream, struct h2_stream, stream);
}

static inline struct h2_conn *h2_of_conn(struct conn *conn)
{
    return h2_conn_of((struct http_conn *)conn->user);
}

static inline struct http_worker *h2_worker(const struct h2_conn *h2)
{
    return loop_slot(h2->conn->loop, LOOP_SLOT_HTTP);
}

static inline bool h2_is_client_facing(const struct h2_conn *h2)
{
    return h2->role == H2_CLIENT_FACING;
}

/* -- h2_conn.c -- */

/* Work at the end of this pass: what was gathered is sent, ends are dealt with. */
void h2_conn_tidy_soon(struct h2_conn *h2);
/* The peer broke a rule: GOAWAY, every stream ends, the connection is closed. The h2_conn is gone.
 */
void h2_conn_fail(struct h2_conn *h2, enum h2_error code, enum close_reason reason);
/* The same at the end of the pass: from a verb of one stream. */
void h2_conn_fail_later(struct h2_conn *h2, enum close_reason reason);
void h2_conn_set_deadline(struct h2_conn *h2);
/* The second GOAWAY. */
void h2_conn_drain_final(struct h2_conn *h2);

/* The peer broke a rule. False, for the h2_conn is gone. */
bool h2_conn_broken(struct h2_conn *h2, enum h2_error code);
/* One more of what the guard counts. False: that was too much, the h2_conn is gone. */
bool h2_conn_spend(struct h2_conn *h2, enum h2_guard_kind kind);

/* What is asked of a client that reads; nothing while a stream is open that may last. */
struct pace_rule h2_conn_read_rule(const struct h2_conn *h2);

/* -- h2_block.c: each says whether the connection is still there -- */

bool h2_block_headers(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload);
bool h2_block_continuation(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload);

/* -- h2_receive.c -- */

enum h2_step {
    H2_STEP_MORE,  /* a frame is incomplete */
    H2_STEP_PAUSE, /* the rest waits for another turn */
    H2_STEP_GONE,  /* the h2_conn is */
};

/* Takes whole frames off h2->pending. */
enum h2_step h2_receive(struct h2_conn *h2);
/* The body bytes that follow a head at once, for its first pull. False: none. */
bool h2_receive_next_data(struct h2_conn *h2, struct h2_stream *s, struct slice *bytes);

/* -- h2_stream.c -- */

struct h2_stream *h2_stream_new(struct h2_conn *h2);
/* It has its id: frames find it. */
void h2_stream_enter(struct h2_stream *s, uint32_t id);
struct h2_stream *h2_stream_find(const struct h2_conn *h2, uint32_t id);
void h2_stream_leave(struct h2_stream *s);
enum h2_recent {
    H2_RECENT_NONE,
    H2_RECENT_ENDED, /* both sides have ended it */
    H2_RECENT_RESET, /* we have, and the peer may not know it yet */
};
enum h2_recent h2_stream_recent(const struct h2_conn *h2, uint32_t id);
void h2_stream_note_recent(struct h2_conn *h2, uint32_t id, bool was_open);
/* Forgets it; nobody is told. */
void h2_stream_free(struct h2_stream *s);
/* Tells its exchange and forgets it. */
void h2_stream_end(struct h2_stream *s, enum close_reason reason);
/* RST_STREAM, then the same. False: that was one too many, the connection is gone. */
bool h2_stream_fail(struct h2_stream *s, enum h2_error code, enum close_reason reason);
void h2_stream_end_all(struct h2_conn *h2, enum close_reason reason, enum close_reason begun);
/* Lends what came to its exchange, or keeps it. False: the connection is gone. */
bool h2_stream_lend(struct h2_stream *s, struct slice bytes, struct slice trailers);
/* Lends what was kept and is wanted again. False: the connection is gone. */
bool h2_stream_lend_resumed(struct h2_conn *h2);
/* Bytes were consumed, or will never be. */
void h2_stream_give_credit(struct h2_stream *s, size_t len);
/* What is asked of a client that reads this stream. */
struct pace_rule h2_stream_read_rule(const struct h2_stream *s);
/* More of its body is waited for, not longer than body_ms; nothing while it has none or has ended.
 */
void h2_stream_want_body(struct h2_stream *s);
void h2_stream_set_timer(struct h2_stream *s, enum h2_timer timer, uint32_t delay_ms);
/* RFC 9218 4: the value of a Priority field. */
void h2_stream_set_priority(struct h2_stream *s, struct slice value);

/* -- h2_send.c -- */

bool h2_send_head(struct stream *stream, const struct stream_head *head, struct slice bytes,
                  bool is_last);
bool h2_send_body(struct stream *stream, struct slice bytes, bool is_last);
bool h2_send_trailers(struct stream *stream, struct slice lines);
/* A frame of the connection or about a stream, with at most 64 bytes. */
void h2_send_control(struct h2_conn *h2, enum h2_type type, unsigned flags, uint32_t stream_id,
                     struct slice payload);
void h2_send_reset(struct h2_conn *h2, uint32_t stream_id, enum h2_error code);
void h2_send_window_update(struct h2_conn *h2, uint32_t stream_id, uint32_t bytes);
/* So many bytes of the connection's window need no reader any more; they are given back in
 * portions. */
void h2_send_credit(struct h2_conn *h2, size_t len);
void h2_send_goaway(struct h2_conn *h2, uint32_t last_id, enum h2_error code);
/* Our preface, SETTINGS and window. */
void h2_send_greeting(struct h2_conn *h2);
/* Sends what windows and socket allow. */
void h2_send_run(struct h2_conn *h2);
/* The stream, in no list now, waits for its turn in that of its urgency. */
void h2_send_queue(struct h2_stream *s);
/* The window of a stream has changed: it takes part again, or no more. */
void h2_send_window_changed(struct h2_stream *s);
/* The peer opens the window of a stream, or of the connection, by `bytes`. False: so slowly that it
 * is to be ended. */
LB_MUST_CHECK bool h2_send_window_granted(struct h2_stream *s, uint32_t bytes);
LB_MUST_CHECK bool h2_send_conn_window_granted(struct h2_conn *h2, uint32_t bytes);
/* Bytes of bodies that wait in all streams. */
uint64_t h2_send_waiting(const struct h2_conn *h2);
/* Does the socket take nothing more, and enough of ours waits? */
bool h2_send_is_full(const struct h2_conn *h2);

#endif
