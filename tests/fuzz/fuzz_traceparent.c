/*
 * fuzz_traceparent - what is taken for a traceparent has its parts where they belong, and says the
 * same when it is written again.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/http/traceparent.h"

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
    struct traceparent parent;
    struct traceparent again;
    char out[TRACEPARENT_LEN];
    uint64_t id[2];
    uint64_t parent_id;
    if (!traceparent_read(text, &parent)) {
        return 0;
    }
    must(parent.trace_id.ptr == text.ptr + 3 && parent.trace_id.len == TRACEPARENT_ID_LEN);
    must(parent.parent_id.ptr == text.ptr + 36 && parent.parent_id.len == 16);
    must(num_parse_hex(slice_of(parent.trace_id.ptr, 16), &id[0]));
    must(num_parse_hex(slice_from_at(parent.trace_id, 16), &id[1]));
    must(num_parse_hex(parent.parent_id, &parent_id));
    must((id[0] | id[1]) != 0 && parent_id != 0);
    traceparent_write(out, id, parent_id, parent.is_sampled);
    must(traceparent_read(slice_of(out, sizeof(out)), &again));
    must(slice_eq(again.trace_id, parent.trace_id) && slice_eq(again.parent_id, parent.parent_id) &&
         again.is_sampled == parent.is_sampled);
    return 0;
}
