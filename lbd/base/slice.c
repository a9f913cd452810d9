#include "lbd/base/slice.h"

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && slice_lower(a.ptr[i]) != slice_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common != 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t slice_find(struct slice s, char byte)
{
    const char *at = s.len != 0 ? memchr(s.ptr, byte, s.len) : NULL;
    return at != NULL ? (size_t)(at - s.ptr) : SIZE_MAX;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len != 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len != 0 && is_blank(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool slice_split(struct slice *rest, char separator, struct slice *part)
{
    if (rest->ptr == NULL) {
        return false;
    }
    size_t at = slice_find(*rest, separator);
    if (at == SIZE_MAX) {
        *part = *rest;
        *rest = SLICE_NONE;
        return true;
    }
    *part = slice_of(rest->ptr, at);
    *rest = slice_of(rest->ptr + at + 1, rest->len - at - 1);
    return true;
}
