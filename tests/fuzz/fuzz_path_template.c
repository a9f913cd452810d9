/*
 * fuzz_path_template - a template matches a path by its segments exactly when the path is found
 * under its key, and what its variables hold, put back into its text, is the path again.
 *
 * The input is a template, a line feed, and a path.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/base/path_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* "{rest*}" is "{rest}" to who fills it in. */
static size_t without_stars(struct slice text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '*' || i + 1 == text.len || text.ptr[i + 1] != '}') {
            out[len++] = text.ptr[i];
        }
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice path = slice_of((const char *)data, size);
    struct slice text;
    struct path_template template;
    struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX];
    const char *problem = NULL;
    uint32_t count = 0;
    if (data == NULL || !slice_split(&path, '\n', &text) || path.ptr == NULL ||
        !path_template_read(text, &template, &problem)) {
        return 0;
    }
    char *own = malloc(text.len + 1);
    char *key = malloc(text.len + 1);
    size_t own_len = path_template_key(&template.shape, text, own, text.len);
    must(own_len != SIZE_MAX);
    size_t key_len = path_template_key(&template.shape, path, key, own_len);
    bool found = key_len != SIZE_MAX && slice_eq(slice_of(key, key_len), slice_of(own, own_len));
    must(path_template_match(&template, path, values, &count) == found);
    if (found) {
        char *plain = malloc(text.len + 1);
        char *back = malloc(path.len + 1);
        size_t plain_len = without_stars(text, plain);
        size_t len = path_template_fill(slice_of(plain, plain_len), values, count, back, path.len);
        must(slice_eq(slice_of(back, len), path));
        free(plain);
        free(back);
    }
    free(own);
    free(key);
    return 0;
}
