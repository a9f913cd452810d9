/*
 * hpack_encode - header blocks of HTTP/2 written (RFC 7541), sans-I/O.
 *
 *     begin --pseudo-headers, fields, as they come--> end: a whole block
 *
 * Static names and literals without an index: no table, one bit of state. The peer is told so in
 * the first block (RFC 7541 4.2), after which its table size does not matter. To look for repeated
 * fields, or to encode by Huffman, costs more CPU than the bytes it saves.
 *
 * Memory: one byte. Threads: any, one at a time.
 */
#ifndef LBD_HTTP_HPACK_ENCODE_H
#define LBD_HTTP_HPACK_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/slice.h"
#include "lbd/http/headers.h"
#include "lbd/http/hpack.h"

struct hpack_encoder {
    bool said_no_table;
};

/* R11: one block, one cursor. What does not fit sets `full`, and nothing is written after that. */
struct hpack_encode {
    struct hpack_encoder *encoder;
    char *begin;
    char *at;
    char *end;
    bool full;
};

void hpack_encode_init(struct hpack_encoder *encoder);
/* Starts a block; the bytes are written to [out, out + capacity). */
void hpack_encode_begin(struct hpack_encode *writer, struct hpack_encoder *encoder, char *out,
                        size_t capacity);
/* The length of the block, or 0 when it did not fit: then it must not be sent, and the encoder is
 * as before hpack_encode_begin. */
size_t hpack_encode_end(struct hpack_encode *writer);

void hpack_encode_status(struct hpack_encode *writer, unsigned status); /* 100 to 999 */
void hpack_encode_pseudo(struct hpack_encode *writer, enum hpack_pseudo pseudo, struct slice value);
/* A valid name in any case (RFC 9113 8.2: it goes out in lower case), a valid value. */
void hpack_encode_field(struct hpack_encode *writer, struct slice name, struct slice value);
/* The same for a name that is known; HEADER_OTHER is none. */
void hpack_encode_known(struct hpack_encode *writer, enum header_id id, struct slice value);
/* One field of a list, with its id and, when it came so, never to be indexed (RFC 7541 6.2.3). */
void hpack_encode_header(struct hpack_encode *writer, const struct headers *headers,
                         const struct header *header);

#endif
