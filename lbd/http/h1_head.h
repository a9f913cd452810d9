/*
 * h1_head - the head of an HTTP/1.x request or response: strict, incremental, sans-I/O (RFC 9112
 * 2-6; R4 to R10 of docs/http-rules.md).
 *
 * The caller keeps the bytes of one head contiguous from its first byte and calls again with more;
 * the parser remembers how far it got, so the total work is linear, and the answer (also the
 * reason) is the same however the bytes are split. It never looks outside the bytes it is given.
 *
 *     bytes: GET / HTTP/1.1 CRLF Host: a CRLF CRLF | body or next request
 *                                                  ^ message.head_len, with leading empty lines
 *
 * One pass: SSE2 finds the next control character 16 bytes at a time, with a scalar twin that is
 * tested against it. Header names, values and framing are validated while scanning.
 *
 * Limits: struct h1_limits. Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_H1_HEAD_H
#define LBD_HTTP_H1_HEAD_H

#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/http/message.h"

enum h1_verdict { H1_DONE, H1_MORE, H1_BAD };

struct h1_limits {
    uint32_t head_bytes; /* of the whole head; at most 64 KiB */
    uint32_t fields;     /* header lines; the caller's array has at least this capacity */
};

struct h1_head {
    uint32_t line_at; /* start of the first line that is not parsed yet */
    uint32_t scan_at; /* nothing of interest before here */
    uint32_t fields;  /* lines done so far */
    uint8_t stage;    /* private */
    uint8_t resumed;  /* private */
    uint16_t reason;  /* enum close_reason after H1_BAD */
};

static inline void h1_head_init(struct h1_head *head)
{
    *head = (struct h1_head){0};
}

/* `bytes` starts at the first byte of the message. `out->headers.list/capacity` are lent by the
 * caller and may be shared by all connections of a worker: on H1_MORE nothing in *out is kept for
 * the next call, but out->status says what a status line that was read in this one is, which is so
 * with H1_BAD, too. H1_DONE: *out is complete, out->headers.base == bytes.ptr. H1_BAD:
 * head->reason. At most a few empty lines before a request line are skipped (RFC 9112 2.2). */
enum h1_verdict h1_head_request(struct h1_head *head, struct slice bytes,
                                const struct h1_limits *limits, struct message *out);
/* `request_method` decides framing (HEAD, CONNECT; RFC 9112 6.3). Reasons are CLOSE_BAD_RESPONSE,
 * CLOSE_BAD_RESPONSE_FRAMING, CLOSE_RESPONSE_HEADER_TOO_LARGE. */
enum h1_verdict h1_head_response(struct h1_head *head, struct slice bytes,
                                 const struct h1_limits *limits, enum method request_method,
                                 struct message *out);

#endif
