/*
 * huffman - the string code of HPACK (RFC 7541 5.2, Appendix B).
 *
 * hpack.c decodes with it; lbd sends strings as they are (see huffman_encode).
 *
 * Decoding looks at 11 bits at a time: one row of a table says which one or two bytes they begin
 * with, and longer codes, which are rare, are found by their length (the code is canonical). Bits
 * are refilled 56 at a time.
 *
 * Limits: never writes beyond the capacity (R11). Memory: constants. Threads: any.
 */
#ifndef LBD_HTTP_HUFFMAN_H
#define LBD_HTTP_HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/slice.h"

enum huffman_verdict {
    HUFFMAN_OK,
    HUFFMAN_FULL, /* more than fits; whether the rest is well-formed was not looked at */
    HUFFMAN_BAD,  /* EOS, or padding that is not the beginning of EOS or is a whole byte */
};

enum { HUFFMAN_BITS_MIN = 5, HUFFMAN_BITS_MAX = 30 };

/* What is behind *len in [out, out + capacity) afterwards means nothing. */
enum huffman_verdict huffman_decode(struct slice in, char *out, size_t capacity, size_t *len);
/* Bytes that `in` decodes to, or SIZE_MAX when it is bad. */
size_t huffman_decoded_len(struct slice in);

/* Bytes that `in` encodes to. */
size_t huffman_encoded_len(struct slice in);
/* The length, or 0 when it does not fit. Not used for what lbd sends: to look up and shift every
 * byte costs more CPU than the quarter of a short head that it saves on the wire. */
size_t huffman_encode(struct slice in, char *out, size_t capacity);

#endif
