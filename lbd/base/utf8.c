#include "lbd/base/utf8.h"

/* Length of the valid sequence at the front of s (s.len >= 1), or 0. */
static size_t sequence_length(struct slice s)
{
    const unsigned char *byte = (const unsigned char *)s.ptr;
    if (byte[0] < 0x80) {
        return 1;
    }
    /* RFC 3629 4: what the second byte may be depends on the first */
    size_t len;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (byte[0] >= 0xc2 && byte[0] <= 0xdf) {
        len = 2;
    } else if (byte[0] >= 0xe0 && byte[0] <= 0xef) {
        len = 3;
        low = byte[0] == 0xe0 ? 0xa0 : 0x80;  /* not overlong */
        high = byte[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (byte[0] >= 0xf0 && byte[0] <= 0xf4) {
        len = 4;
        low = byte[0] == 0xf0 ? 0x90 : 0x80;  /* not overlong */
        high = byte[0] == 0xf4 ? 0x8f : 0xbf; /* at most U+10FFFF */
    } else {
        return 0;
    }
    if (s.len < len || byte[1] < low || byte[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((byte[i] & 0xc0U) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t utf8_length(struct slice s)
{
    return s.len != 0 ? sequence_length(s) : 0;
}

size_t utf8_first_invalid(struct slice s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t len = sequence_length(slice_of(s.ptr + at, s.len - at));
        if (len == 0) {
            return at;
        }
        at += len;
    }
    return SIZE_MAX;
}

size_t utf8_write(char out[4], uint32_t code_point)
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0U | code_point >> 6U);
        out[1] = (char)(0x80U | (code_point & 0x3fU));
        return 2;
    }
    if (code_point < 0x10000) {
        if (code_point >= 0xd800 && code_point <= 0xdfff) {
            return 0; /* half of a surrogate pair */
        }
        out[0] = (char)(0xe0U | code_point >> 12U);
        out[1] = (char)(0x80U | (code_point >> 6U & 0x3fU));
        out[2] = (char)(0x80U | (code_point & 0x3fU));
        return 3;
    }
    if (code_point > 0x10ffff) {
        return 0;
    }
    out[0] = (char)(0xf0U | code_point >> 18U);
    out[1] = (char)(0x80U | (code_point >> 12U & 0x3fU));
    out[2] = (char)(0x80U | (code_point >> 6U & 0x3fU));
    out[3] = (char)(0x80U | (code_point & 0x3fU));
    return 4;
}
