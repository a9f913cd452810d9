/*
 * fuzz_h1_body - a chunked body has one reading, however it comes and in both modes.
 *
 *     byte 0: the size of the pieces; the rest is the body
 *
 * What FRAMED lets through, read again, is what DECODED gives: a server behind us cannot see
 * another body than we do.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/h1_body.h"

enum { MOST = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    enum h1_verdict verdict;
    uint16_t reason;
    size_t consumed;
    size_t len;
    size_t trailers_len;
    char out[MOST];
    char trailers[MOST];
};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void read_body(struct result *result, enum h1_body_mode mode, struct slice bytes,
                      size_t step)
{
    struct h1_body body;
    size_t arrived = 0;
    h1_body_init(&body, FRAMING_CHUNKED, 0, mode, false);
    result->verdict = H1_MORE;
    result->consumed = 0;
    result->len = 0;
    result->trailers_len = 0;
    while (result->verdict == H1_MORE && arrived < bytes.len) {
        arrived = bytes.len - arrived < step ? bytes.len : arrived + step;
        size_t len = arrived - result->consumed;
        char *copy = malloc(len); /* of its exact size */
        struct h1_body_piece piece;
        must(copy != NULL);
        memcpy(copy, bytes.ptr + result->consumed, len);
        result->verdict = h1_body_feed(&body, copy, len, &piece);
        if (result->verdict != H1_BAD) {
            must(piece.consumed <= len && piece.out.len <= piece.consumed);
            if (piece.out.len != 0) {
                memcpy(result->out + result->len, piece.out.ptr, piece.out.len);
                result->len += piece.out.len;
            }
            if (piece.trailers.len != 0) {
                must(result->verdict == H1_DONE);
                memcpy(result->trailers, piece.trailers.ptr, piece.trailers.len);
                result->trailers_len = piece.trailers.len;
            }
            result->consumed += piece.consumed;
        }
        free(copy);
    }
    result->reason = body.reason;
    must(mode == H1_BODY_FRAMED || result->verdict == H1_BAD || body.total == result->len);
}

static void check_same(const struct result *a, const struct result *b)
{
    must(a->verdict == b->verdict);
    if (a->verdict == H1_BAD) {
        must(a->reason == b->reason && a->reason != CLOSE_OK);
        return;
    }
    must(a->len == b->len && memcmp(a->out, b->out, a->len) == 0);
    must(a->trailers_len == b->trailers_len &&
         memcmp(a->trailers, b->trailers, a->trailers_len) == 0);
    must(a->verdict == H1_MORE || a->consumed == b->consumed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result decoded;
    static struct result framed;
    static struct result pieces;
    static struct result again;
    if (size < 2 || size > MOST / 2) {
        return 0;
    }
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    size_t step = 1 + (size_t)data[0] % 40;

    read_body(&decoded, H1_BODY_DECODED, bytes, bytes.len);
    read_body(&pieces, H1_BODY_DECODED, bytes, step);
    check_same(&decoded, &pieces);
    read_body(&framed, H1_BODY_FRAMED, bytes, bytes.len);
    read_body(&pieces, H1_BODY_FRAMED, bytes, step);
    check_same(&framed, &pieces);

    must(decoded.verdict == framed.verdict && decoded.trailers_len == framed.trailers_len);
    if (framed.verdict == H1_DONE) {
        struct slice last = H1_LAST_CHUNK;
        memcpy(framed.out + framed.len, last.ptr, last.len);
        read_body(&again, H1_BODY_DECODED, slice_of(framed.out, framed.len + last.len), MOST);
        must(again.verdict == H1_DONE && again.consumed == framed.len + last.len);
        must(again.len == decoded.len && memcmp(again.out, decoded.out, again.len) == 0);

        char *kept = malloc(framed.trailers_len + 1);
        must(kept != NULL);
        must(h1_trailers_filter(slice_of(framed.trailers, framed.trailers_len), kept,
                                framed.trailers_len) <= framed.trailers_len);
        free(kept);
    }
    return 0;
}
