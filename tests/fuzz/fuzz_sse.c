/*
 * fuzz_sse - whatever bytes come as an event stream, however they are cut, the same events come out
 * of it, and no id that could not stand in a header.
 */
#include <stdlib.h>

#include "ctl/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool note(void *user, const struct sse_event *event)
{
    struct buf *log = user;
    buf_printf(log, "[%zu|%zu|", event->type.len, event->data.len);
    buf_append_slice(log, event->type);
    buf_append_slice(log, event->data);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sse whole;
    struct sse pieces;
    struct buf first;
    struct buf second;
    if (size < 2 || size > 65536) {
        return 0;
    }
    struct slice text = slice_of((const char *)data + 1, size - 1);
    size_t cut = data[0] % text.len;
    buf_init(&first, 16 * 1024 * 1024);
    buf_init(&second, 16 * 1024 * 1024);
    sse_init(&whole, note, &first);
    sse_init(&pieces, note, &second);
    bool ok = sse_feed(&whole, text);
    bool same =
        sse_feed(&pieces, slice_of(text.ptr, cut)) && sse_feed(&pieces, slice_from_at(text, cut));
    if (ok != same || !slice_eq(buf_slice(&first), buf_slice(&second))) {
        abort();
    }
    for (const char *at = whole.id; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') {
            abort();
        }
    }
    sse_fini(&whole);
    sse_fini(&pieces);
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
