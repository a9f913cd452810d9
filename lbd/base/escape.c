#include "lbd/base/escape.h"

#include <string.h>

#include "lbd/base/num.h"

/* The byte that begins at `at`; returns how much of the text it takes, 0: nothing that we know. */
static size_t read_one(struct slice text, size_t at, char *byte)
{
    static const char names[] = "rnt\\";
    static const char bytes[] = "\r\n\t\\";
    if (text.ptr[at] != '\\') {
        *byte = text.ptr[at];
        return 1;
    }
    if (at + 1 >= text.len) {
        return 0;
    }
    const char *name = memchr(names, text.ptr[at + 1], sizeof(names) - 1);
    if (name != NULL) {
        *byte = bytes[name - names];
        return 2;
    }
    uint64_t value = 0;
    if (text.ptr[at + 1] != 'x' || at + 4 > text.len ||
        !num_parse_hex(slice_of(text.ptr + at + 2, 2), &value)) {
        return 0;
    }
    *byte = (char)value;
    return 4;
}

bool escape_is_valid(struct slice text)
{
    size_t taken = 1;
    char byte;
    for (size_t at = 0; at < text.len && taken != 0; at += taken) {
        taken = read_one(text, at, &byte);
    }
    return taken != 0;
}

size_t escape_read(struct slice text, char *out)
{
    size_t len = 0;
    size_t taken = 1;
    for (size_t at = 0; at < text.len && taken != 0; at += taken) {
        taken = read_one(text, at, &out[len]);
        len += taken != 0 ? 1 : 0;
    }
    return len;
}
