/*
 * query - takes a query apart: name=value&name=value, as forms write it (WHATWG URL 5.1).
 *
 *     ?a=1&id=7&id=8&b&=x       a: 1, id: 7, id: 8, b: empty, a nameless one: x
 *
 * Names and values come as they were sent. What servers read is decoded, so who decides something
 * by them compares with query_is and its like, for which "%61", "+" and "%zz" are what servers take
 * them for: 'a', a space and themselves.
 *
 * Limits: the head's. Memory: points into the text. Threads: any.
 */
#ifndef LBD_HTTP_QUERY_H
#define LBD_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/slice.h"

struct query_pair {
    struct slice name;
    struct slice value;
};

/* Without the '?' that it may begin with. */
static inline struct slice query_begin(struct slice query)
{
    return query.len > 0 && query.ptr[0] == '?' ? slice_from_at(query, 1) : query;
}

/* The next pair; *rest starts as query_begin gives it. False at the end. */
bool query_next(struct slice *rest, struct query_pair *pair);
/* Is `sent`, decoded, this text? Does it begin with it? */
bool query_is(struct slice sent, struct slice text);
bool query_starts(struct slice sent, struct slice text);
/* Decodes: at most `max` bytes; the length, or SIZE_MAX when they are too few. Never longer than
 * what was sent. */
size_t query_decode(struct slice sent, char *out, size_t max);

#endif
