/*
 * fuzz_filter_cors - whatever a browser, or somebody who is none, sends as its Origin: a pattern
 * for what is below a domain matches nothing but names below it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/filter/filter_cors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice pattern = SLICE_INIT("https://*.a.test");
    static const struct slice scheme = SLICE_INIT("https://");
    static const struct slice domain = SLICE_INIT(".a.test");
    struct slice origin = slice_of((const char *)data, size);
    bool is_below = slice_starts(origin, scheme) && slice_ends(origin, domain) &&
                    size > scheme.len + domain.len;
    for (size_t i = scheme.len; is_below && i < size; i++) {
        char c = origin.ptr[i];
        is_below = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                   (c == '.' && origin.ptr[i - 1] != '.' && origin.ptr[i - 1] != '/');
    }
    assert(filter_cors_matches(pattern, origin) == is_below);
    assert(filter_cors_matches(origin, origin) || slice_find(origin, '*') != SIZE_MAX);
    return 0;
}
