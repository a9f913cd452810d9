/*
 * fuzz_accept_encoding - weights stay in their range, and a field says the same as its members in
 * fields of their own.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/http/accept_encoding.h"

#define FIELDS 32U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct accept_encoding whole = accept_encoding_of(text);
    must(whole.gzip <= ACCEPT_ENCODING_MOST && whole.identity <= ACCEPT_ENCODING_MOST);
    struct header list[FIELDS];
    struct headers headers = {.base = text.ptr, .list = list, .capacity = FIELDS};
    struct slice rest = text;
    struct slice member;
    while (header_list_next(&rest, &member)) {
        if (headers.count == FIELDS) {
            return 0;
        }
        list[headers.count++] = (struct header){.value_at = (uint32_t)(member.ptr - text.ptr),
                                                .value_len = (uint32_t)member.len,
                                                .id = HEADER_ACCEPT_ENCODING};
    }
    struct accept_encoding parts = accept_encoding_read(&headers);
    must(parts.gzip == whole.gzip && parts.identity == whole.identity);
    return 0;
}
