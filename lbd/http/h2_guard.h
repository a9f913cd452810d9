/*
 * h2_guard - what a peer may ask of us for nothing (R1, R2, R3): counts within a window of time,
 * pure.
 *
 *     h2_conn --note(kind), earn(kind)--> under the budget? --no--> GOAWAY(ENHANCE_YOUR_CALM)
 *
 * Each kind has an allowance per window of 30 s; honest work earns more of it (a stream that was
 * served earns a reset, a DATA frame that was sent earns WINDOW_UPDATEs and a PING, a stream that
 * we reset earns what was under way to us by then), so that a busy connection is never taken for a
 * hostile one and an idle one cannot keep us busy.
 *
 * Memory: embedded in h2_conn. Threads: worker.
 */
#ifndef LBD_HTTP_H2_GUARD_H
#define LBD_HTTP_H2_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum h2_guard_kind {
    H2_GUARD_RESET,         /* a stream that was reset, by either side (R1) */
    H2_GUARD_PING,          /* asks for an answer */
    H2_GUARD_SETTINGS,      /* likewise */
    H2_GUARD_PRIORITY,      /* PRIORITY and PRIORITY_UPDATE */
    H2_GUARD_WINDOW_UPDATE, /* of a stream or of the connection */
    H2_GUARD_EMPTY_DATA,    /* without a byte and without the end */
    H2_GUARD_TINY_DATA,     /* of a byte or a few, not the last */
    H2_GUARD_UNKNOWN,       /* types that we do not know, frames of streams that are over */
    H2_GUARD_KIND_COUNT
};

enum {
    H2_GUARD_WINDOW_MS = 30000,
    H2_GUARD_TINY_BYTES = 4,
    H2_GUARD_BLOCK_BYTES = 65536, /* of a header block on the wire (R2) */
    H2_GUARD_CONTINUATIONS = 8,   /* of a header block */
    H2_GUARD_BLOCK_MS =
        10000, /* from its first byte to END_HEADERS; less when timeouts.header is */
    H2_GUARD_NEW_STREAMS = 10,     /* dispatched in one turn */
    H2_GUARD_CONTROL_WAITING = 64, /* frames of ours that the peer does not take */
};

struct h2_guard {
    uint64_t window_us; /* when it began; 0: not yet */
    uint32_t counts[H2_GUARD_KIND_COUNT];
    uint32_t earned_streams; /* streams that were served in this window */
    uint32_t earned_frames;  /* DATA frames that were sent */
    uint32_t earned_resets;  /* streams that we reset before the peer had ended them */
    uint32_t factor;         /* times the allowance; 0 is 1 */
};

/* For servers of ours: one of them is spoken to on behalf of many clients, who come and go. */
#define H2_GUARD_SERVER_FACTOR 100

/* Zeroed is a fresh one, for a client. One more of a kind; false: that was too much. */
bool h2_guard_note(struct h2_guard *guard, enum h2_guard_kind kind, uint64_t now_us);
/* A stream was served to its end. */
void h2_guard_earn_stream(struct h2_guard *guard, uint64_t now_us);
/* A DATA frame was sent. */
void h2_guard_earn_frame(struct h2_guard *guard);
/* We reset a stream that the peer had not ended: what it sent before it knew is no fault of its. */
void h2_guard_earn_reset(struct h2_guard *guard);
/* The header block so far: bytes on the wire and CONTINUATION frames. */
bool h2_guard_block(uint32_t bytes, uint32_t continuations);

#endif
