/*
 * rest_wire - one blocking connection to lbd: a unix socket, TCP, or TLS over it.
 *
 *     rest_client --open, send, receive--> rest_wire --poll--> socket
 *                                               '--> lbd/tls/tls_session
 *
 * Every call ends by a deadline (now_ms).
 *
 * Memory: owns its descriptor. Threads: one.
 */
#ifndef CTL_REST_WIRE_H
#define CTL_REST_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctl/endpoint.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

struct tls_session;
struct tls_context;

struct rest_wire {
    int fd;
    struct tls_context *context; /* NULL: no TLS */
    struct tls_session *session;
};

/* Connects and says hello. False: ERR_UNAVAILABLE nobody answers, ERR_DENIED we are not let in (or
 * it is not who it should be), ERR_PRECONDITION too late, ERR_INVALID a file of ours is no good. */
LB_MUST_CHECK bool rest_wire_open(struct rest_wire *wire, const struct endpoint *endpoint,
                                  uint64_t deadline_ms, struct err *err);
void rest_wire_close(struct rest_wire *wire);

enum rest_wire_verdict {
    REST_WIRE_BYTES,
    REST_WIRE_END,  /* receive: the other side has ended; send: it reads no more */
    REST_WIRE_LATE, /* the deadline passed */
    REST_WIRE_FAILED
};
/* Sends all. */
enum rest_wire_verdict rest_wire_send(struct rest_wire *wire, struct slice bytes,
                                      uint64_t deadline_ms);
/* At most `max` bytes into `out`. */
enum rest_wire_verdict rest_wire_receive(struct rest_wire *wire, char *out, size_t max, size_t *got,
                                         uint64_t deadline_ms);
/* After REST_WIRE_FAILED. */
const char *rest_wire_why(const struct rest_wire *wire);

#endif
