#include "lbd/base/base64.h"

#include <stdint.h>

/* `last_two` are the characters of 62 and 63. */
static int sextet(char c, const char last_two[2])
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == last_two[0] ? 62 : c == last_two[1] ? 63 : -1;
}

static bool read(char *text, size_t digits, const char last_two[2], struct slice *bytes)
{
    size_t to = 0;
    uint32_t bits = 0;
    if (digits % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        int value = sextet(text[i], last_two);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        switch (i % 4) {
        case 0:
            break;
        case 1:
            text[to++] = (char)(bits >> 4);
            bits &= 0xfU;
            break;
        case 2:
            text[to++] = (char)(bits >> 2);
            bits &= 0x3U;
            break;
        case 3:
            text[to++] = (char)bits;
            bits = 0;
            break;
        }
    }
    if (bits != 0) {
        return false; /* a second spelling of the same bytes */
    }
    *bytes = slice_of(text, to);
    return true;
}

bool base64_read(char *text, size_t len, struct slice *bytes)
{
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=') {
        padding++;
    }
    return len % 4 == 0 && read(text, len - padding, "+/", bytes);
}

bool base64_read_url(char *text, size_t len, struct slice *bytes)
{
    return read(text, len, "-_", bytes);
}

void base64_write(struct slice bytes, struct buf *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { LINE_END = 4 };
    /* Now, so that memory which is outgrown holds nothing of it. */
    (void)buf_reserve(out, (bytes.len + 2) / 3 * 4 + LINE_END);
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i;
        uint32_t bits = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (have > 1) {
            bits |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        }
        if (have > 2) {
            bits |= (uint32_t)(unsigned char)bytes.ptr[i + 2];
        }
        char four[4] = {letters[bits >> 18], letters[bits >> 12 & 63],
                        have > 1 ? letters[bits >> 6 & 63] : '=',
                        have > 2 ? letters[bits & 63] : '='};
        buf_append(out, four, sizeof(four));
    }
}
