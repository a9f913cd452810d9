/*
 * fuzz_json_layout - a text that is JSONC means the same after it was laid out, and laying it out
 * again changes nothing. Any other text does no harm.
 */
#include <stdlib.h>

#include "conf/json/json.h"
#include "conf/json/json_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct json_error error;
    struct buf once;
    struct buf twice;
    if (size > 65536) {
        return 0;
    }
    buf_init(&once, 64 * 1024 * 1024);
    buf_init(&twice, 64 * 1024 * 1024);
    json_layout(text, &once);
    struct json *before = json_parse(text, JSON_COMMENTS, &json_limits_document, &error);
    if (before != NULL) {
        struct json *after =
            json_parse(buf_slice(&once), JSON_COMMENTS, &json_limits_document, &error);
        json_layout(buf_slice(&once), &twice);
        if (after == NULL || !json_equal(before, after) ||
            !slice_eq(buf_slice(&once), buf_slice(&twice))) {
            abort();
        }
        json_free(after);
    }
    json_free(before);
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
