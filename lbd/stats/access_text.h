/*
 * access_text - how texts and numbers get into a line of the access log; each returns where to go
 * on. The caller has room for six bytes for each of the source.
 *
 * Included by access_log.c and access_format.c only. Threads: any.
 */
#ifndef LBD_STATS_ACCESS_TEXT_H
#define LBD_STATS_ACCESS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/num.h"
#include "lbd/base/slice.h"
#include "lbd/base/utf8.h"

#define PUT(out, literal) access_put((out), "" literal "", sizeof(literal) - 1)

static inline char *access_put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static inline char *access_put_escaped(char *out, unsigned char byte)
{
    if (byte == '"' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return out + 2;
    }
    out = PUT(out, "\\u00");
    out[0] = "0123456789abcdef"[byte >> 4U];
    out[1] = "0123456789abcdef"[byte & 15U];
    return out + 2;
}

/* Bit 7 of each byte that is a control, a quote, a backslash or not ASCII. */
static inline uint64_t access_special_bytes(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7U;
    uint64_t quote = eight ^ ones * '"';
    uint64_t backslash = eight ^ ones * '\\';
    uint64_t rubout = eight ^ ones * 0x7f;
    /* x - 0x20 borrows below 0x20, x - 1 below 1; what is above 0x7f is special anyway, so a borrow
     * from a special neighbour only costs the slow way */
    return ((eight - ones * 0x20) | (quote - ones) | (backslash - ones) | (rubout - ones) | eight) &
           tops;
}

/* From `at` on, byte by byte: some of it needs care. */
static inline char *access_put_slowly(char *out, struct slice s, size_t at)
{
    while (at < s.len) {
        unsigned char byte = (unsigned char)s.ptr[at];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            *out++ = (char)byte;
            at++;
            continue;
        }
        size_t len = byte < 0x80 ? 0 : utf8_length(slice_of(s.ptr + at, s.len - at));
        if (len != 0) {
            out = access_put(out, s.ptr + at, len);
            at += len;
        } else {
            out = access_put_escaped(out, byte);
            at++;
        }
    }
    return out;
}

/* Eight bytes at a time; the last eight may overlap those before them, which writes the same again.
 */
static inline char *access_put_json(char *out, struct slice s)
{
    if (s.len < 8) {
        return access_put_slowly(out, s, 0);
    }
    for (size_t at = 0;; at = at + 16 <= s.len ? at + 8 : s.len - 8) {
        uint64_t eight;
        memcpy(&eight, s.ptr + at, 8);
        if (LB_UNLIKELY(access_special_bytes(eight) != 0)) {
            return access_put_slowly(out + at, s, at);
        }
        memcpy(out + at, &eight, 8);
        if (at + 8 == s.len) {
            return out + s.len;
        }
    }
}

/* A cut may leave half a character, whose bytes are then written as \u00XX. */
static inline char *access_put_text(char *out, struct slice s, size_t max)
{
    if (LB_LIKELY(s.len <= max)) {
        return access_put_json(out, s);
    }
    out = access_put_json(out, slice_of(s.ptr, max));
    return PUT(out, "...");
}

static inline char *access_put_number(char *out, uint64_t value)
{
    return out + num_write_u64(out, value);
}

#endif
