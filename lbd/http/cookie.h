/*
 * cookie - takes the text of a Cookie field apart (RFC 6265 4.2.1, 5.4).
 *
 *     a=1; session="x y"; b     a: 1, session: x y       b has no '=': it is passed over
 *
 * Nothing is decoded; quotes around a whole value are taken off, and white space around names and
 * values, as servers do. Names have a case.
 *
 * Limits: the head's. Memory: points into the text. Threads: any.
 */
#ifndef LBD_HTTP_COOKIE_H
#define LBD_HTTP_COOKIE_H

#include <stdbool.h>

#include "lbd/base/slice.h"

struct cookie {
    struct slice name;
    struct slice value;
};

/* The next of a field's text; *rest starts as that. False at the end. */
bool cookie_next(struct slice *rest, struct cookie *cookie);

#endif
