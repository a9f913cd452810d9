/*
 * fuzz_query - cookies and queries are taken apart into what stands there, in order, and comparing
 * what was sent with a text is the same as decoding it first.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/http/cookie.h"
#include "lbd/http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Returns where the part ends. */
static const char *must_follow(const char *at, struct slice part, struct slice whole)
{
    must(part.ptr >= at && part.ptr + part.len <= whole.ptr + whole.len);
    return part.ptr + part.len;
}

static void check_decoding(struct slice sent)
{
    char *out = malloc(sent.len + 1);
    size_t len = query_decode(sent, out, sent.len);
    must(len <= sent.len);
    must(query_is(sent, slice_of(out, len)));
    must(query_starts(sent, slice_of(out, len / 2)));
    must(len == 0 || !query_is(sent, slice_of(out, len - 1)));
    out[len] = 'x';
    must(!query_is(sent, slice_of(out, len + 1)));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (data == NULL) {
        return 0;
    }
    const struct slice text = slice_of((const char *)data, size);
    struct slice rest = text;
    const char *at = text.ptr;
    struct cookie cookie;
    while (cookie_next(&rest, &cookie)) {
        at = must_follow(at, cookie.name, text);
        at = must_follow(at, cookie.value, text);
    }
    struct query_pair pair;
    rest = query_begin(text);
    at = text.ptr;
    while (query_next(&rest, &pair)) {
        at = must_follow(at, pair.name, text);
        at = must_follow(at, pair.value, text);
        must(slice_find(pair.name, '=') == SIZE_MAX);
        check_decoding(pair.value);
    }
    check_decoding(text);
    return 0;
}
