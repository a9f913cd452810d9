/*
 * h2_session - what the load generator and the origin share of libnghttp2: fields, bytes that go
 * out, and an end when it refuses.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_BENCH_H2_SESSION_H
#define TESTS_BENCH_H2_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

struct h2_session {
    nghttp2_session *session; /* owned */
    const uint8_t *taken;     /* of the session's: not copied out yet */
    size_t taken_len;
};

/* Says what failed and ends the program unless `result` is 0. */
void h2_session_must(int result, const char *what);
/* Both texts are borrowed until the field is submitted. */
nghttp2_nv h2_session_field(const char *name, const char *value);
/* Copies what is to be sent next, at most `room` bytes; 0: nothing. */
size_t h2_session_take(struct h2_session *session, char *out, size_t room);

#endif
