/*
 * api_credentials - what the heads Host and Authorization say, without a connection.
 *
 * Both come from strangers before anybody has shown who they are: read strictly, nothing is kept.
 *
 * Memory: slices point into the caller's text. Threads: any.
 */
#ifndef API_API_CREDENTIALS_H
#define API_API_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* "Bearer lbd_..." (RFC 6750 2.1): the token. False: another scheme, or no token68. */
LB_MUST_CHECK bool api_credentials_bearer(struct slice authorization, struct slice *token);

/* "name", "name:port", "10.0.0.1:80", "[::1]:80" (RFC 9110 7.2): the part without port and
 * brackets, and whether it is an IP address. False: it is none of these. */
LB_MUST_CHECK bool api_credentials_host(struct slice host, struct slice *name, bool *is_ip);

/* Is the value of a header Host one that may be used for us? IP addresses and localhost always,
 * names when a pattern ("lb.example.com", "*.example.com", lower case) says so. */
bool api_credentials_host_is_allowed(struct slice host, const struct slice *patterns,
                                     uint32_t count);

/* Does `name` look like `pattern`, in which * stands for any characters (also none)? */
bool api_credentials_matches(struct slice name, struct slice pattern);

#endif
