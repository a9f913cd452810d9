/*
 * fuzz_template - a text with names in braces: its pieces lie in it, in order, and it ends.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of((const char *)data, size);
    const char *at = rest.ptr;
    const char *end = at + size;
    struct slice piece;
    for (;;) {
        size_t before = rest.len;
        switch (template_next(&rest, &piece)) {
        case TEMPLATE_LITERAL:
        case TEMPLATE_NAME:
            assert(piece.len > 0 && piece.ptr >= at && piece.ptr + piece.len <= end);
            assert(rest.len < before && rest.ptr + rest.len == end);
            at = piece.ptr + piece.len;
            break;
        case TEMPLATE_END:
            assert(rest.len == 0);
            return 0;
        case TEMPLATE_BAD:
            assert(rest.len > 0 && *rest.ptr == '{');
            return 0;
        }
    }
}
