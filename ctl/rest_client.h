/*
 * rest_client - asks lbd one question, over its unix socket or TCP, and waits for the answer.
 *
 * Blocking, one connection a question, everything within one deadline; only a body that is taken
 * while it comes (rest_reply's `take`, for a stream without an end) may last, as long as something
 * comes. Knows HTTP, not what is asked.
 *
 *     ctl --> rest_client --> rest_wire --connect, send, receive--> lbd's API
 *                  +--> rest_reply (reads the answer)
 *
 * Errors by kind: ERR_UNAVAILABLE nobody answers there, ERR_DENIED we are not let in, or
 * it is not who it should be, ERR_INVALID a file of ours is no good, ERR_PRECONDITION the deadline
 * passed, ERR_MALFORMED what came is no answer, ERR_SYSTEM the rest.
 *
 * Limits: those of rest_reply. Memory: the client borrows its texts. Threads: one.
 */
#ifndef CTL_REST_CLIENT_H
#define CTL_REST_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/endpoint.h"
#include "ctl/rest_reply.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

struct rest_client {
    const struct endpoint *endpoint; /* borrowed */
    uint64_t timeout_ms; /* of one question with its answer; of each silence in a stream */
    FILE *trace;         /* borrowed; the same as a line of curl; NULL: not wanted */
};

struct rest_request {
    const char *method;
    const char *target;       /* path and query, percent-encoded */
    const char *content_type; /* of the body; NULL: there is none */
    const char *if_match;     /* an ETag, or NULL */
    bool if_none;             /* If-None-Match: *, only when there is none yet */
    const char *accept;       /* NULL: JSON */
    const char *last_event;   /* Last-Event-ID, or NULL */
    struct slice body;
};

/* Fills *reply (initialised; cleared first). False: no answer, *err says why. */
LB_MUST_CHECK bool rest_client_ask(const struct rest_client *client,
                                   const struct rest_request *request, struct rest_reply *reply,
                                   struct err *err);

/* Appends a path segment with its slash, percent-encoded (RFC 3986 2.1). */
void rest_client_append_segment(struct buf *path, struct slice segment);

#endif
