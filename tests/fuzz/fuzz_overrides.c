/*
 * fuzz_overrides - any state file, any record of its journal: refused, or overrides that are the
 * same when written and read again.
 */
#include <stdlib.h>

#include "lbd/control/overrides.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_again(const struct overrides *overrides)
{
    struct overrides again;
    struct buf text;
    struct buf text_again;
    struct err err;
    uint64_t tag = 0;
    overrides_init(&again);
    buf_init(&text, (size_t)16 * 1024 * 1024);
    buf_init(&text_again, (size_t)16 * 1024 * 1024);
    overrides_write(overrides, 7, &text);
    must(overrides_read(&again, buf_slice(&text), &tag, &err) && tag == 7);
    must(overrides_count(&again) == overrides_count(overrides));
    overrides_write(&again, 7, &text_again);
    must(slice_eq(buf_slice(&text), buf_slice(&text_again)));
    buf_fini(&text);
    buf_fini(&text_again);
    overrides_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct overrides overrides;
    struct err err;
    struct slice text = slice_of((const char *)data, size);
    overrides_init(&overrides);
    if (overrides_read(&overrides, text, NULL, &err)) {
        check_again(&overrides);
    } else {
        must(overrides_count(&overrides) == 0);
    }
    if (overrides_read_record(&overrides, text)) {
        check_again(&overrides);
    }
    overrides_fini(&overrides);
    return 0;
}
