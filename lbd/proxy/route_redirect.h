/*
 * route_redirect - where a redirect sends a client: the value of Location (RFC 9110 10.2.2).
 *
 *     location "https://x{path}"     as it is; {path} is path and query of the request
 *     parts                          scheme://host:port/path?query, each the route's or the
 *                                    request's; the port of the request only while scheme and host
 *                                    stay
 *
 * A path that stands at the beginning has one slash there: "//x" would be another host
 * (RFC 3986 4.2). A request without a host gets a path alone.
 *
 * Memory: in the arena, or the route's. Threads: any.
 */
#ifndef LBD_PROXY_ROUTE_REDIRECT_H
#define LBD_PROXY_ROUTE_REDIRECT_H

#include "lbd/proxy/route.h"

/* proto: "http" or "https", how the client came. False: there is no such path. */
bool route_redirect_make(const struct route *route, const struct message *request,
                         struct slice proto, struct pattern_work *patterns, struct arena *arena,
                         struct slice *out);

#endif
