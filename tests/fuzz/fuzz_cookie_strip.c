/*
 * fuzz_cookie_strip - of a Cookie field nothing goes but the cookies of one name.
 *
 * The input is a name, a line feed, and the text of a Cookie field. What stays is compared pair by
 * pair with what was sent.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/cookie_strip.h"
#include "lbd/http/request_value.h"

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
    struct slice name;
    struct slice value;
    if (!slice_split(&text, '\n', &name) || text.ptr == NULL || name.len == 0 ||
        slice_find(name, '=') != SIZE_MAX || slice_find(name, ';') != SIZE_MAX ||
        slice_trim(name).len != name.len) {
        return 0;
    }
    char *out = malloc(text.len + 1);
    must(out != NULL);
    size_t len = cookie_strip_text(text, name, out);
    must(len <= text.len);
    struct slice stayed = slice_of(out, len);
    must(!request_value_of_cookies(stayed, name, &value));

    /* the others are all there, in their order */
    struct slice sent;
    struct slice left;
    while (slice_split(&text, ';', &sent)) {
        if (request_value_of_cookies(sent, name, &value)) {
            continue;
        }
        if (slice_split(&stayed, ';', &left)) {
            must(slice_eq(slice_trim(left), slice_trim(sent)));
        } else {
            must(slice_trim(sent).len == 0);
        }
    }
    must(!slice_split(&stayed, ';', &left) || slice_trim(left).len == 0);
    free(out);
    return 0;
}
