/*
 * fuzz_request_value - what is found under a name in cookies and queries stands there.
 *
 * The input is a name, a line feed, and the text of a Cookie field or a query.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/http/request_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void must_lie_in(struct slice value, struct slice text)
{
    must(value.ptr >= text.ptr && value.ptr + value.len <= text.ptr + text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct slice name;
    struct slice value;
    if (!slice_split(&text, '\n', &name) || text.ptr == NULL) {
        return 0;
    }
    if (request_value_of_cookies(text, name, &value)) {
        must_lie_in(value, text);
        must(slice_find(value, ';') == SIZE_MAX);
    }
    if (request_value_of_query(text, name, &value)) {
        must_lie_in(value, text);
        must(slice_find(value, '&') == SIZE_MAX);
    }
    return 0;
}
