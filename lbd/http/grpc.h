/*
 * grpc - what a proxy says in gRPC (the "gRPC over HTTP/2" protocol): which requests speak it, how
 * lbd's own failures read there, how long a call may take.
 *
 * A gRPC client looks for grpc-status in the trailers and takes an HTTP status for a puzzle; so to
 * such a request a failure is told as 200 with nothing but these fields ("trailers-only"), or, when
 * the answer has begun, as its trailers.
 *
 *     close_reason --grpc_status--> UNAVAILABLE ... --grpc_write_trailers--> raw lines (stream.h)
 *
 * Sans-I/O. Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_GRPC_H
#define LBD_HTTP_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/message.h"

/* The codes of gRPC that lbd makes or counts. */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_STATUS_COUNT = 17,
};

/* POST with Content-Type application/grpc, alone or with +suffix or parameters. */
bool grpc_is_request(const struct message *request);
enum grpc_status grpc_status_of(enum close_reason reason);
/* "14": lives for ever. */
struct slice grpc_status_text(enum grpc_status status);
/* What happened, as a value of grpc-message; lives for ever. */
struct slice grpc_message_of(enum close_reason reason);
/* grpc-status and grpc-message as raw lines; returns the length. */
#define GRPC_TRAILERS_MAX 160U
size_t grpc_write_trailers(enum close_reason reason, char out[GRPC_TRAILERS_MAX]);
/* grpc-timeout of a request in microseconds; 0: none, or not understood (then it is the server's
 * affair); at most a day. */
uint64_t grpc_timeout_us(const struct message *request);
/* What clients make of an answer that has no grpc-status (gRPC's http-grpc-status-mapping). */
enum grpc_status grpc_status_of_http(uint16_t status);
/* A value of grpc-status; GRPC_UNKNOWN when it is no number we know. */
enum grpc_status grpc_status_read(struct slice value);
/* grpc-status among raw trailer lines; GRPC_UNKNOWN when there is none or it is no number we know.
 */
enum grpc_status grpc_status_in(struct slice lines);

#endif
