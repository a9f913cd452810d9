/*
 * route - host and path -> what to do. Built once from the document, frozen, read by all workers.
 *
 * Order: priority (higher first), then exact host > longest wildcard > any, then exact path >
 * longest prefix > any, then name. So among routes with the same host and path pattern only one can
 * win; that one stands in a hash table under (host pattern, path pattern):
 *
 *     www.example.com   -> www.example.com, *.example.com, *.com, any        host patterns
 *     /api/v2/users     -> =/api/v2/users, /api/v2/users/, /api/v2/, /api/, /, any
 *
 * Matching is a look-up per host label and path segment, not a walk over all routes, and it ends
 * early: a host pattern knows the highest priority under it.
 *
 *     host    any case; a dot at its end does not count; "*.example.com" is one label or more
 *     path    byte by byte; prefix "/api" (or "/api/") matches "/api", "/api/", "/api/x",
 *             not "/apix"
 *
 * Limits: none of its own; segments longer than the longest configured prefix cost nothing.
 * Memory: one arena, part of a plan. Threads: built on control; read on any worker.
 */
#ifndef LBD_PROXY_ROUTE_H
#define LBD_PROXY_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/upstream/pool.h"

struct route {
    struct slice name;
    uint32_t id; /* counters block */
    enum conf_action action;
    struct pool *pool; /* CONF_ACTION_POOL; held by the snapshot */
    uint16_t status;   /* respond, redirect */
    struct slice body; /* respond */
    struct slice content_type;
    struct slice location; /* redirect; may hold "{path}" */
    bool forward_trailers;
};

struct route_table; /* hidden */

/* All in `arena`, which outlives the table. `routes` are those of one listener, with `conf` beside
 * each; their host and path bytes are borrowed from `confs`, which live as long as the table. */
struct route_table *route_table_build(struct arena *arena, const struct conf_route *const *confs,
                                      struct route *const *routes, uint32_t count);
/* host: without port, any case, may be empty; path: normalised. NULL: none. Uses no memory. */
const struct route *route_match(const struct route_table *table, struct slice host,
                                struct slice path);

#endif
