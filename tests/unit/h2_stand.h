/*
 * h2_stand - an h2_conn facing a client on a pair of sockets, with a small application behind it.
 *
 * The test speaks and hears frames as text (h2_frames.h); what the application was told goes to
 * `log`. It answers "GET /path 5/1234": what was asked, how long the body was and its sum.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_H2_STAND_H
#define TESTS_UNIT_H2_STAND_H

#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "tests/unit/h2_frames.h"
#include "tests/unit/loop_stand.h"

enum {
    H2_STAND_TEXT = 65536,
    H2_STAND_STREAMS = 256,
    H2_STAND_HEAD_MS = 1000,
    H2_STAND_BODY_MS = 1000,
    H2_STAND_WRITE_MS = 1000,
    H2_STAND_IDLE_MS = 5000,
};

/* One request. */
struct h2_stand_stream {
    struct stream *stream; /* NULL: over */
    bool is_head;
    bool has_body;
    bool complete; /* the body is */
    size_t body_len;
    uint32_t body_sum;
    char what[128];
};

struct h2_stand {
    struct loop_stand loop;
    struct http_worker http;
    struct conn conn;
    struct h2_conn *h2; /* NULL: ended */
    int peer;
    uint64_t clock_us;
    struct h2_limits limits;
    struct stream_rates rates;
    struct hpack_stand decoder; /* the peer's */
    struct h2_frames frames;

    bool answers; /* as soon as a request is complete, else the test does */
    bool pauses;  /* at the head of each request */
    bool closed;
    bool idle;
    unsigned rooms;
    unsigned began;
    struct h2_stand_stream streams[H2_STAND_STREAMS]; /* in the order they came */
    char log[H2_STAND_TEXT];
    size_t log_len;
    char unread[H2_FRAMES_MAX];
    size_t unread_len;
};

void h2_stand_open(struct h2_stand *stand);
/* With the least rates of a client. */
void h2_stand_open_at(struct h2_stand *stand, const struct stream_rates *rates);
void h2_stand_close(struct h2_stand *stand);
/* Sends frames; as many bytes as given at a time. */
void h2_stand_say(struct h2_stand *stand, const char *text);
void h2_stand_send(struct h2_stand *stand, struct slice bytes);
/* The frames that came since the last time; the greeting of a connection is left out. */
const char *h2_stand_heard(struct h2_stand *stand);
/* Answers request number `which` (from 0) by itself. */
void h2_stand_answer(struct h2_stand *stand, unsigned which);
/* An answer of `len` bytes of 'x'; one for which there is no room is noted and reset. */
void h2_stand_answer_bytes(struct h2_stand *stand, unsigned which, size_t len);
void h2_stand_tick(struct h2_stand *stand, uint64_t more_ms);

#endif
