/*
 * fuzz_rest_reply - whatever bytes come as an answer, however they are cut, lbctl reads the same.
 *
 * The first byte says where to cut; the whole and the pieces must give the same verdict, status and
 * body.
 */
#include <stdlib.h>

#include "ctl/rest_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rest_verdict read_cut(struct rest_reply *reply, struct slice text, size_t cut)
{
    struct err err;
    enum rest_verdict verdict = rest_reply_feed(reply, slice_of(text.ptr, cut), &err);
    if (verdict != REST_BAD && cut < text.len) {
        verdict = rest_reply_feed(reply, slice_from_at(text, cut), &err);
    }
    return verdict == REST_BAD ? REST_BAD : rest_reply_end(reply, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rest_reply whole;
    struct rest_reply pieces;
    if (size < 2) {
        return 0;
    }
    struct slice text = slice_of((const char *)data + 1, size - 1);
    rest_reply_init(&whole);
    rest_reply_init(&pieces);
    enum rest_verdict first = read_cut(&whole, text, text.len);
    enum rest_verdict second = read_cut(&pieces, text, data[0] % text.len);
    if (first != second ||
        (first == REST_DONE && (whole.status != pieces.status ||
                                !slice_eq(buf_slice(&whole.body), buf_slice(&pieces.body))))) {
        abort();
    }
    rest_reply_fini(&whole);
    rest_reply_fini(&pieces);
    return 0;
}
