/*
 * fuzz_hpack - header blocks of one connection, read with roomy and with tight limits.
 *
 *     byte 0: bits 0-3 tight fields, bits 4-7 tight bytes; then again and again one byte of
 *     length, 255: all that is left, and a block of so many bytes
 *
 * Whatever the limits, both tables are the same after every block, and one of them is an error of
 * compression when the other is (R2). What is decoded keeps the promises of hpack.h (hpack_stand)
 * and says the same after it was sent on.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"
#include "lbd/http/hpack_table.h"
#include "tests/unit/hpack_stand.h"

enum { BYTES = 65536, FIELDS = 1000, OUT_MAX = 4 * BYTES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void check_same_tables(const struct hpack_decoder *a, const struct hpack_decoder *b)
{
    must(a->max == b->max);
    for (uint32_t index = HPACK_STATIC_COUNT + 1;; index++) {
        struct hpack_line x;
        struct hpack_line y;
        bool found = hpack_table_find(a->table, index, &x);
        must(found == hpack_table_find(b->table, index, &y));
        if (!found) {
            break;
        }
        must(x.name_len == y.name_len && x.value_len == y.value_len && x.id == y.id);
        must(x.kind == y.kind && memcmp(x.bytes, y.bytes, hpack_line_len(&x)) == 0);
    }
    must((a->table == NULL ? 0 : a->table->size) == (b->table == NULL ? 0 : b->table->size));
}

/* What was decoded is encoded, decoded and still the same. */
static void check_sent_on(const struct hpack_stand *stand)
{
    static char out[OUT_MAX];
    const struct hpack_fields *fields = &stand->fields;
    struct hpack_encoder encoder;
    struct hpack_encode writer;
    hpack_encode_init(&encoder);
    hpack_encode_begin(&writer, &encoder, out, sizeof(out));
    for (unsigned i = 0; i < HPACK_PSEUDO_COUNT; i++) {
        if ((fields->pseudo_seen & 1U << i) != 0) {
            hpack_encode_pseudo(&writer, (enum hpack_pseudo)i, fields->pseudo[i]);
        }
    }
    for (uint32_t i = 0; i < fields->headers.count; i++) {
        if (fields->headers.list[i].dropped == 0) {
            hpack_encode_header(&writer, &fields->headers, &fields->headers.list[i]);
        }
    }
    size_t len = hpack_encode_end(&writer);
    must(len != 0);

    struct slice text = hpack_stand_text(stand);
    char *want = mem_alloc(text.len + 1);
    memcpy(want, text.ptr, text.len);
    struct hpack_stand next;
    hpack_stand_init(&next, stand->limits);
    must(hpack_stand_decode(&next, slice_of(out, len)) == HPACK_OK);
    must(slice_eq(hpack_stand_text(&next), slice_of(want, text.len)));
    must(hpack_decoder_memory(&next.decoder) == 0);
    hpack_stand_fini(&next);
    free(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct hpack_stand roomy;
    struct hpack_stand tight;
    hpack_stand_init(&roomy, (struct hpack_limits){.bytes = BYTES, .fields = FIELDS});
    hpack_stand_init(
        &tight, (struct hpack_limits){.bytes = (data[0] >> 4U) * 40U, .fields = data[0] & 15U});
    const uint8_t *at = data + 1;
    const uint8_t *end = data + size;
    while (at < end) {
        size_t len = *at++;
        if (len == UINT8_MAX || len > (size_t)(end - at)) {
            len = (size_t)(end - at);
        }
        struct slice block = slice_of((const char *)at, len);
        at += len;
        enum hpack_verdict verdict = hpack_stand_decode(&roomy, block);
        enum hpack_verdict other = hpack_stand_decode(&tight, block);
        must((verdict == HPACK_BAD) == (other == HPACK_BAD));
        if (verdict == HPACK_BAD) {
            break;
        }
        must(other == verdict || other == HPACK_TOO_LARGE);
        must(verdict == HPACK_OK || roomy.fields.reason != CLOSE_OK);
        must(tight.fields.count == roomy.fields.count);
        check_same_tables(&roomy.decoder, &tight.decoder);
        if (verdict == HPACK_OK) {
            check_sent_on(&roomy);
        }
    }
    hpack_stand_fini(&roomy);
    hpack_stand_fini(&tight);
    return 0;
}
