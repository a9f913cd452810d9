/*
 * hpack - header blocks of HTTP/2 read (RFC 7541), sans-I/O. They are written by hpack_encode.
 *
 * For h2_conn, which hands in whole header blocks (HEADERS and its CONTINUATIONs, R2) and gets
 * lines as HTTP/1 would have them, so that h1_write and message_copy work on them as they are:
 *
 *     block --hpack_decode--> bytes: GET/pathexample.com te: trailers CRLF cookie: a; b CRLF CRLF
 *                             pseudo: slices ^         headers: numbers ^          head_len ^
 *
 * One pass: every name is checked once (lower case, R9), every value once, known names get their
 * id. Entries of the dynamic table are kept as finished lines that remember all this: a field that
 * comes by its index is one copy. Cookie crumbs become one line (RFC 9113 8.2.3), each counted.
 *
 * Not judged here, because it needs to know request, answer or trailers: which pseudo-headers must
 * be there, and the fields that HTTP/2 forbids (`seen` tells whether Connection and its like came).
 *
 * Limits: struct hpack_limits; a block beyond them is still decoded to its end, so both sides'
 * tables agree and the connection lives on (431). The decoder's table holds at most HPACK_TABLE
 * bytes as RFC 7541 4.1 counts them, and memory only for what is in it.
 * Memory: 16 bytes and the table, allocated at the first insertion. Threads: any, one at a time.
 */
#ifndef LBD_HTTP_HPACK_H
#define LBD_HTTP_HPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/http/h1_facts.h"
#include "lbd/http/headers.h"

enum {
    HPACK_TABLE = 4096,      /* SETTINGS_HEADER_TABLE_SIZE until said otherwise (RFC 9113 6.5.2) */
    HPACK_TABLE_MAX = 32768, /* what hpack_decoder_limit takes at most */
    HPACK_SLACK = 64,        /* bytes of the buffer beyond limits->bytes: copies go 16 at a time */
};

enum hpack_verdict {
    HPACK_OK,
    HPACK_MALFORMED, /* a field that no message may hold: a stream error; `reason` says which */
    HPACK_TOO_LARGE, /* over the limits: 431; `reason` says which */
    HPACK_BAD,       /* COMPRESSION_ERROR: the connection ends (RFC 7541 2.2, RFC 9113 4.3) */
};

/* RFC 9113 8.3; protocol: RFC 8441. */
enum hpack_pseudo {
    HPACK_METHOD,
    HPACK_SCHEME,
    HPACK_AUTHORITY,
    HPACK_PATH,
    HPACK_PROTOCOL,
    HPACK_STATUS,
    HPACK_PSEUDO_COUNT
};

struct hpack_limits {
    uint32_t bytes;  /* of the list: name + value + 32 for each field, pseudo or not */
    uint32_t fields; /* pseudo-headers and each crumb of a cookie are fields */
};

/* What a block says. The caller lends `bytes` and headers.list and they may be shared by all
 * connections of a worker: nothing in here is kept for the next block. */
struct hpack_fields {
    char *bytes;       /* lent */
    uint32_t capacity; /* at least limits->bytes + HPACK_SLACK, and HPACK_TABLE + HPACK_SLACK */

    struct headers headers; /* list and capacity lent; base is `bytes` afterwards */
    uint32_t head_len;      /* for struct message: to the end of the empty line */
    uint32_t count;         /* fields of the block as the limits count them */
    uint32_t pseudo_seen;   /* bits 1 << enum hpack_pseudo: it came, if only as an empty value */
    struct slice pseudo[HPACK_PSEUDO_COUNT]; /* in `bytes`, or constants; valid values (R5) */
    struct h1_seen seen;                     /* what of headers.list is looked into */
    enum close_reason reason;                /* with MALFORMED and TOO_LARGE: as a request's */
};

struct hpack_table;

struct hpack_decoder {
    struct hpack_table *table; /* NULL while nothing was inserted */
    uint16_t limit;            /* the most the peer may set */
    uint16_t max;              /* what the peer has set; entries go when they need more */
    bool must_update;          /* the limit was lowered: the next block starts with an update */
};

void hpack_decoder_init(struct hpack_decoder *decoder);
void hpack_decoder_fini(struct hpack_decoder *decoder);
/* The peer has acknowledged a SETTINGS_HEADER_TABLE_SIZE of ours (<= HPACK_TABLE_MAX). */
void hpack_decoder_limit(struct hpack_decoder *decoder, uint32_t bytes);
/* Bytes of memory behind the pointer. */
uint32_t hpack_decoder_memory(const struct hpack_decoder *decoder);
/* Decodes one whole block. With HPACK_OK everything in *out is there; with MALFORMED and TOO_LARGE
 * only count and reason mean something, but the table has seen the whole block; after BAD the
 * decoder may only be ended. */
enum hpack_verdict hpack_decode(struct hpack_decoder *decoder, struct slice block,
                                const struct hpack_limits *limits, struct hpack_fields *out);

#endif
