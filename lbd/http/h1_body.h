/*
 * h1_body - where an HTTP/1.1 body ends, and what is in it (RFC 9112 6-7). Sans-I/O, strict (R5).
 *
 * Two ways to read a chunked body:
 *
 *     H1_BODY_DECODED   the data without framing; later chunks are moved up in place, so one piece
 *                       comes out
 *     H1_BODY_FRAMED    checked framing in canonical form (leading zeros and extensions are taken
 *                       out in place), ready for another HTTP/1.1 peer as it lies
 *
 * The end of the body (last chunk and trailers) is never part of the output.
 *
 * Limits: chunk size at most 16 hex digits and 2^63-1, extensions at most 64 bytes in all,
 * trailers at most 8 KiB and 64 fields. Memory: none of its own; edits the caller's bytes in place.
 * Threads: any.
 */
#ifndef LBD_HTTP_H1_BODY_H
#define LBD_HTTP_H1_BODY_H

#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/message.h"

enum h1_body_mode { H1_BODY_DECODED, H1_BODY_FRAMED };

struct h1_body {
    uint8_t framing;         /* enum framing */
    uint8_t mode;            /* enum h1_body_mode */
    uint8_t stage;           /* private */
    uint8_t is_response;     /* chooses the reason words */
    uint16_t reason;         /* after H1_BAD */
    uint8_t trailer_fields;  /* how many trailer fields there were */
    uint8_t extension_bytes; /* of all chunks so far */
    uint64_t left;           /* of the length or of the current chunk */
    uint64_t total;          /* data bytes seen so far, without framing */
};

/* What one call yields; all inside the caller's bytes. */
struct h1_body_piece {
    struct slice out;      /* body bytes to pass on, may be empty */
    size_t consumed;       /* bytes of the input that are done with (data, framing, trailers) */
    struct slice trailers; /* with H1_DONE: valid lines with their CRLFs; empty: none */
};

void h1_body_init(struct h1_body *body, enum framing framing, uint64_t content_length,
                  enum h1_body_mode mode, bool is_response);
/* H1_MORE: `consumed` may be less than `len` when a chunk line or the trailers are incomplete; the
 * caller keeps the rest and offers it again, followed by more. H1_DONE: the body is complete, the
 * next message begins at `consumed`. FRAMING_UNTIL_CLOSE and FRAMING_TUNNEL never say H1_DONE by
 * themselves. */
enum h1_verdict h1_body_feed(struct h1_body *body, char *bytes, size_t len,
                             struct h1_body_piece *piece);
/* Is it allowed to end here when the peer closes? True for FRAMING_UNTIL_CLOSE. */
bool h1_body_may_end_at_close(const struct h1_body *body);
/* Bytes that may be moved without looking at them (splice): the rest of a length; 0 for chunked. */
uint64_t h1_body_opaque_left(const struct h1_body *body);
/* Tells that `count` of them were moved elsewhere; true: the body is complete. */
bool h1_body_skip(struct h1_body *body, uint64_t count);

/* Trailers as they may be sent on: of `raw` (validated lines with their CRLFs) those that neither
 * frame, route nor belong to this hop or to us, by folded name (RFC 9110 6.5.1, R9). Returns the
 * length, at most raw.len; 0 when they do not fit. */
size_t h1_trailers_filter(struct slice raw, char *out, size_t capacity);

/* Encoding: "<hex>CRLF" before `size` data bytes (size > 0), which the caller follows with CRLF.
 * Returns the length. */
#define H1_CHUNK_HEAD_MAX 20
size_t h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t size);
#define H1_LAST_CHUNK SLICE("0\r\n\r\n")

#endif
