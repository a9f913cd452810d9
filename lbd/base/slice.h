/*
 * slice - borrowed bytes: a pointer and a length, never owned, never terminated.
 *
 * Whoever makes a slice says how long the bytes live. An empty slice may have a NULL pointer.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_SLICE_H
#define LBD_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal (not of a char pointer). In the initialiser of a static table a
 * compound literal is not a constant: SLICE_INIT stands there instead. */
#define SLICE(literal) ((struct slice){"" literal "", sizeof(literal) - 1})
#define SLICE_INIT(literal)                                                                        \
    {                                                                                              \
        "" literal "", sizeof(literal) - 1                                                         \
    }
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf: "%.*s" with SLICE_ARG(s). */
#define SLICE_ARG(s) (int)(s).len, (s).ptr != NULL ? (s).ptr : ""

static inline struct slice slice_of(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_from(const char *text)
{
    return (struct slice){text, text != NULL ? strlen(text) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* The part of `s` from `from` on; `from` past the end gives an empty slice. */
static inline struct slice slice_from_at(struct slice s, size_t from)
{
    return from >= s.len ? slice_of(s.ptr + s.len, 0) : slice_of(s.ptr + from, s.len - from);
}

/* Of letters of ASCII, the only ones whose case protocols overlook. */
static inline char slice_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* ASCII letters compare equal whatever their case. */
bool slice_eq_nocase(struct slice a, struct slice b);
/* Orders by bytes, shorter first on a common prefix: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);
/* Index of the first `byte`, or SIZE_MAX. */
size_t slice_find(struct slice s, char byte);
/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);
/* Takes the text before the first `separator` off the front of *rest into *part; the separator is
 * dropped. Returns false when *rest was used up (its ptr is then NULL). An empty *rest with a
 * non-NULL ptr gives one empty part. */
bool slice_split(struct slice *rest, char separator, struct slice *part);

#endif
