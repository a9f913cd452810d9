/*
 * h2_ask - one request over HTTP/2 and what comes back, sans-I/O: for health checks.
 *
 *     h2_ask_write: preface, SETTINGS, HEADERS, DATA --> bytes to be sent
 *     bytes that came --h2_ask_feed--> status, grpc-status, body; SETTINGS and PING are answered
 *
 * The conversation of h2_conn without its many streams: what is asked here is small and asked once.
 *
 * Limits: a head of one frame out, 64 KiB and 128 fields in, H2_ASK_BODY_MAX bytes of body, no more
 * than the first windows allow. Memory: h2_ask_init to h2_ask_fini. Threads: any.
 */
#ifndef LBD_UPSTREAM_H2_ASK_H
#define LBD_UPSTREAM_H2_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"

#define H2_ASK_BODY_MAX   16384U
#define H2_ASK_WHY_MAX    128U
#define H2_ASK_FIELDS_MAX 64U

enum h2_ask_step {
    H2_ASK_MORE,
    H2_ASK_ENDED, /* the answer is whole */
    H2_ASK_BAD    /* `why` says what is wrong */
};

struct h2_ask {
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    struct buf block; /* of header blocks, as far as it came */
    char *text;       /* where they are decoded */
    bool is_settled;  /* SETTINGS have come */
    bool in_block;    /* CONTINUATION follows */
    bool block_ends;  /* ... and its stream is over then */
    uint16_t status;  /* of the final head; 0: not yet */
    int grpc_status;  /* -1: none came */
    char grpc_message[H2_ASK_WHY_MAX];
    struct buf body;
    char why[H2_ASK_WHY_MAX];
    /* The final head, while it is there; NULL: nobody looks. Set after h2_ask_init. */
    void (*on_head)(const struct headers *headers, void *arg);
    void *arg;
};

/* Names and values are valid (R11). */
struct h2_ask_request {
    struct slice method;
    struct slice scheme;
    struct slice authority;
    struct slice path;
    const struct header_extra *fields;
    uint32_t field_count;
    struct slice body; /* empty: none */
};

void h2_ask_init(struct h2_ask *ask);
void h2_ask_fini(struct h2_ask *ask);
/* False: the head does not fit a frame. */
LB_MUST_CHECK bool h2_ask_write(struct h2_ask *ask, const struct h2_ask_request *request,
                                struct buf *out);
/* Takes whole frames off `in`; what must be answered goes to `out`. */
enum h2_ask_step h2_ask_feed(struct h2_ask *ask, struct buf *in, struct buf *out);

#endif
