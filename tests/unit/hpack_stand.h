/*
 * hpack_stand - a decoder with its buffer and list, and what it says as text.
 *
 * For test_hpack.c and the fuzz targets. The buffer is a heap block of its exact size, so that the
 * address sanitizer sees every byte too far.
 *
 *     hpack_stand_text: ":method=GET :path=/ |accept: a|cookie: b; c|"
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_HPACK_STAND_H
#define TESTS_UNIT_HPACK_STAND_H

#include "lbd/http/hpack.h"

struct hpack_stand {
    struct hpack_decoder decoder;
    struct hpack_limits limits;
    struct hpack_fields fields;
};

void hpack_stand_init(struct hpack_stand *stand, struct hpack_limits limits);
void hpack_stand_fini(struct hpack_stand *stand);
enum hpack_verdict hpack_stand_decode(struct hpack_stand *stand, struct slice block);
/* What the last block said, after HPACK_OK; fields that are dropped are left out. The text lives
 * until the next call. Ends the program when a promise of hpack.h is broken. */
struct slice hpack_stand_text(const struct hpack_stand *stand);

#endif
