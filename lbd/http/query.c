#include "lbd/http/query.h"

#include <stdint.h>

bool query_next(struct slice *rest, struct query_pair *pair)
{
    struct slice part;
    while (slice_split(rest, '&', &part)) {
        if (part.len == 0) {
            continue;
        }
        size_t equals = slice_find(part, '=');
        pair->name = slice_of(part.ptr, equals == SIZE_MAX ? part.len : equals);
        pair->value = slice_from_at(part, equals == SIZE_MAX ? part.len : equals + 1);
        return true;
    }
    return false;
}

/* -1 when it is none */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = slice_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one decoded byte off the front of what is left, which is not empty. */
static char take(struct slice *sent)
{
    char c = sent->ptr[0];
    size_t len = 1;
    if (c == '+') {
        c = ' ';
    } else if (c == '%' && sent->len >= 3) {
        int high = hex_digit(sent->ptr[1]);
        int low = hex_digit(sent->ptr[2]);
        if (high >= 0 && low >= 0) {
            c = (char)(high << 4 | low);
            len = 3;
        }
    }
    *sent = slice_from_at(*sent, len);
    return c;
}

/* The rest behind `text`, or false when it does not begin so. */
static bool take_text(struct slice *sent, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (sent->len == 0 || take(sent) != text.ptr[i]) {
            return false;
        }
    }
    return true;
}

bool query_is(struct slice sent, struct slice text)
{
    return take_text(&sent, text) && sent.len == 0;
}

bool query_starts(struct slice sent, struct slice text)
{
    return take_text(&sent, text);
}

size_t query_decode(struct slice sent, char *out, size_t max)
{
    size_t len = 0;
    while (sent.len > 0) {
        if (len == max) {
            return SIZE_MAX;
        }
        out[len++] = take(&sent);
    }
    return len;
}
