/*
 * fuzz_websocket_frames - where frames end does not depend on how their bytes come, and what the
 * follower skips is what a reader of frames skips.
 *
 *     byte 0: the size of the pieces; the rest is what a server sends
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/http/websocket_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The plain way: whole frames from the beginning. True: the bytes end between two of them, and none
 * was a close. */
static bool ends_between(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        unsigned opcode = at[0] & 0x0fU;
        if ((at[0] & 0x30U) != 0 || end - at < 2 || (at[1] & 0x80U) != 0 ||
            (opcode > 2 && (opcode < 8 || opcode > 10)) || opcode == 8) {
            return false;
        }
        int length_bytes = at[1] < 126 ? 0 : at[1] == 126 ? 2 : 8;
        uint64_t length = at[1] < 126 ? at[1] : 0;
        at += 2;
        if (end - at < length_bytes) {
            return false;
        }
        for (int i = 0; i < length_bytes; i++) {
            length = length << 8U | *at++;
        }
        if (length > (uint64_t)(end - at)) {
            return false;
        }
        at += length;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct websocket_frames whole;
    struct websocket_frames cut;
    struct websocket_frames skipping;
    size_t step = (size_t)data[0] + 1;
    const char *bytes = (const char *)data + 1;
    size_t len = size - 1;
    websocket_frames_init(&whole);
    websocket_frames_init(&cut);
    websocket_frames_init(&skipping);
    websocket_frames_follow(&whole, slice_of(bytes, len));
    for (size_t at = 0; at < len; at += step) {
        websocket_frames_follow(&cut, slice_of(bytes + at, len - at < step ? len - at : step));
    }
    for (size_t at = 0; at < len;) {
        uint64_t unseen = websocket_frames_unseen(&skipping);
        if (unseen > 0 && unseen != UINT64_MAX) {
            uint64_t by = unseen < len - at ? unseen : len - at;
            websocket_frames_skip(&skipping, by);
            at += (size_t)by;
        } else {
            websocket_frames_follow(&skipping, slice_of(bytes + at, 1));
            at++;
        }
    }
    must(websocket_frames_between(&whole) == websocket_frames_between(&cut));
    must(websocket_frames_unseen(&whole) == websocket_frames_unseen(&cut));
    must(websocket_frames_between(&whole) == websocket_frames_between(&skipping));
    must(websocket_frames_unseen(&whole) == websocket_frames_unseen(&skipping));
    must(websocket_frames_between(&whole) ==
         ends_between((const uint8_t *)bytes, (const uint8_t *)bytes + len));
    return 0;
}
