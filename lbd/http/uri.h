/*
 * uri - paths and queries of request targets (RFC 3986, RFC 9112 3.2).
 *
 * Match what you forward (R10): the normalised path is what routes see and what the server gets.
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_URI_H
#define LBD_HTTP_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/slice.h"

enum uri_path_verdict {
    URI_PATH_PLAIN, /* as it is */
    URI_PATH_FIXED, /* *out is the normalised path in the arena */
    URI_PATH_BAD,   /* holds what R10 refuses */
};
/* Percent-decodes unreserved characters, upper-cases the other escapes, removes dot segments.
 * Refuses %00, %2f, %5c, backslash, '#', controls, non-ASCII, broken escapes, and ';' parameters on
 * dot segments. */
enum uri_path_verdict uri_path_normalise(struct slice path, struct arena *arena, struct slice *out);
/* Is the query free of controls, '#', non-ASCII? */
bool uri_query_is_valid(struct slice query);

#endif
