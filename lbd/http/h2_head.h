/*
 * h2_head - a header block and struct message: what the fields of HTTP/2 mean (RFC 9113 8), both
 * ways. Sans-I/O.
 *
 *     hpack_decode --> struct hpack_fields --h2_head_request, _response, _trailers--> message,
 * lines message, lines --h2_head_write_*--> header block
 *
 * Decides authority (R8) and framing (R5) once, by the same rules as HTTP/1 (h1_facts); a head that
 * says END_STREAM and promises bytes is refused here. The lines of a message lie as HTTP/1 has them
 * (headers.h), so either version sends on what the other took.
 *
 * Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_H2_HEAD_H
#define LBD_HTTP_H2_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"
#include "lbd/http/message.h"
#include "lbd/http/stream.h"

enum { H2_HEAD_TRAILER_BYTES = 8192, H2_HEAD_TRAILER_FIELDS = 64 };

/* CLOSE_OK, or why the request is refused. `ends`: END_STREAM came with the head. An extended
 * CONNECT (RFC 8441) has method CONNECT, its protocol and FRAMING_TUNNEL. */
enum close_reason h2_head_request(const struct hpack_fields *fields, bool ends,
                                  struct message *out);
/* Interim answers too; 101 is none here (RFC 9113 8.6). */
enum close_reason h2_head_response(const struct hpack_fields *fields, bool ends,
                                   enum method request_method, struct message *out);
/* Raw lines with their CRLFs, in the fields' bytes. False: malformed or too many. */
bool h2_head_trailers(const struct hpack_fields *fields, struct slice *lines);

/* Each returns the length of the block, or 0 when it does not fit. */
size_t h2_head_write_request(struct hpack_encoder *encoder, char *out, size_t capacity,
                             const struct stream_head *head, struct slice scheme);
size_t h2_head_write_response(struct hpack_encoder *encoder, char *out, size_t capacity,
                              const struct stream_head *head);
/* Of valid raw lines. */
size_t h2_head_write_trailers(struct hpack_encoder *encoder, char *out, size_t capacity,
                              struct slice lines);

#endif
