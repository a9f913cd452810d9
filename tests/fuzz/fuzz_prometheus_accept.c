/*
 * fuzz_prometheus_accept - any Accept header is answered, and OpenMetrics only when it was named.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/stats/prometheus_accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool names_openmetrics(struct slice text)
{
    const struct slice name = SLICE("application/openmetrics-text");
    for (size_t at = 0; at + name.len <= text.len; at++) {
        if (slice_eq_nocase(slice_of(text.ptr + at, name.len), name)) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* in memory of exactly its size, so that a sanitizer sees a byte read too many */
    char *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size);
    struct slice accept = slice_of(copy, size);
    if (prometheus_accept(accept) == PROMETHEUS_OPENMETRICS && !names_openmetrics(accept)) {
        abort();
    }
    free(copy);
    return 0;
}
