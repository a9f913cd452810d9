/*
 * method - request methods: words, and what RFC 9110 9.2 says of them.
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_METHOD_H
#define LBD_HTTP_METHOD_H

#include <stdbool.h>

#include "lbd/base/slice.h"

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_PATCH,
    METHOD_TRACE,
    METHOD_CONNECT,
};

enum method method_of(struct slice word); /* case-sensitive (RFC 9110 9.1) */
/* One of these in other letters ("post"): to us another method, to some servers the same. */
bool method_is_misspelt(struct slice word);
struct slice method_word(enum method method);
/* May be sent again on another connection when no byte of an answer came: GET, HEAD, OPTIONS. */
bool method_is_retry_safe(enum method method);

#endif
