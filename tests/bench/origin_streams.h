/*
 * origin_streams - one HTTP/2 connection of the benchmark's origin: bytes in, bytes out.
 *
 * The protocol is libnghttp2's. GET /b/<bytes> is answered with a body of so many bytes; any POST
 * is a gRPC call and answered, once its message is there, with one message and grpc-status 0.
 *
 * Limits: 1,000 requests at once, bodies of ORIGIN_BODY_MAX.
 * Memory: origin_streams_free() gives all back. Threads: the main thread.
 */
#ifndef TESTS_BENCH_ORIGIN_STREAMS_H
#define TESTS_BENCH_ORIGIN_STREAMS_H

#include <stdbool.h>
#include <stddef.h>

enum { ORIGIN_BODY_MAX = 8 << 20 };

struct origin_streams;

/* Do these first bytes of a connection belong to HTTP/2? */
bool origin_streams_begins(const char *bytes, size_t len);
struct origin_streams *origin_streams_new(void);
void origin_streams_free(struct origin_streams *streams);
/* False: that was not HTTP/2. */
bool origin_streams_feed(struct origin_streams *streams, const void *bytes, size_t len);
/* Copies what is to be sent next, at most `room` bytes; 0: nothing. */
size_t origin_streams_take(struct origin_streams *streams, char *out, size_t room);

#endif
