/*
 * url - where an http or https URL points, for those whom lbd itself asks (RFC 3986, RFC 9110 4.2).
 *
 * The check of the document and http_call read URLs by this one parser: what is accepted can be
 * asked.
 *
 * Limits: URL_MAX. Memory: parts lie in the text. Threads: any.
 */
#ifndef LBD_BASE_URL_H
#define LBD_BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define URL_MAX 2048U /* bytes */

enum url_verdict {
    URL_OK,
    URL_TOO_LONG,
    URL_BAD_SCHEME,    /* neither http:// nor https:// */
    URL_BAD_AUTHORITY, /* no host, a user, a port that is none */
    URL_BAD_TARGET     /* a fragment, or what is not visible ASCII */
};

struct url {
    bool is_https;
    struct slice authority; /* "host" or "host:port" */
    struct slice host;      /* without brackets */
    uint16_t port;          /* also when it is not said */
    struct slice target;    /* path and query; empty: "/" */
};

/* *out is complete with URL_OK. */
LB_MUST_CHECK enum url_verdict url_parse(struct slice text, struct url *out);

#endif
