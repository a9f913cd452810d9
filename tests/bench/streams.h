/*
 * streams - one HTTP/2 connection of the load generator: requests in, bytes out, bytes in, answers
 * out. Knows no sockets.
 *
 * The protocol is libnghttp2's: a reading of the RFCs that shares nothing with the proxy's own, and
 * what curl and h2load speak. Windows and tables are a browser's.
 *
 *     streams_ask() ... streams_take() -> socket -> streams_feed() -> on_answer() per stream
 *
 * A gRPC call is a POST of one message; its answer is good when the trailers say grpc-status 0.
 *
 * Limits: STREAMS_MAX requests at once. Memory: streams_free() gives all back.
 * Threads: the main thread.
 */
#ifndef TESTS_BENCH_STREAMS_H
#define TESTS_BENCH_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAMS_MAX = 256 };

struct streams;

/* All texts are borrowed for the call. */
struct streams_question {
    const char *scheme;
    const char *host;
    const char *path;
    bool grpc;
};

struct streams_answer {
    uint64_t since_us; /* as it was asked */
    uint64_t body_bytes;
    uint16_t status; /* 0: there was no answer */
    bool whole;      /* ended as it must, with grpc-status 0 when it was a call */
};

/* From streams_feed(): one request is over. */
typedef void streams_answer_fn(void *owner, const struct streams_answer *answer);

struct streams *streams_new(void *owner, streams_answer_fn *on_answer);
void streams_free(struct streams *streams);
/* How many requests are unanswered. */
uint32_t streams_open(const struct streams *streams);
/* Makes one request; false when there is no room or the connection takes no more. */
bool streams_ask(struct streams *streams, const struct streams_question *question,
                 uint64_t since_us);
/* False: what came is not HTTP/2, or the other side says goodbye. */
bool streams_feed(struct streams *streams, const void *bytes, size_t len);
/* Copies what is to be sent next, at most `room` bytes; 0: nothing. */
size_t streams_take(struct streams *streams, char *out, size_t room);

#endif
