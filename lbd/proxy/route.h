/*
 * route - host and path -> what to do. Built once from the document, frozen, read by all workers.
 *
 * Order: priority (higher first), then exact host > longest wildcard > any, then exact path > longest prefix, then name.
 * Matching costs a hash look-up per host label and path segment, not a walk over all routes.
 *
 * Memory: one arena, part of a plan. Threads: built on control; read on any worker.
 */
#ifndef LBD_PROXY_ROUTE_H
#define LBD_PROXY_ROUTE_H

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/upstream/pool.h"

#include <stdbool.h>
#include <stdint.h>

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

/* All in `arena`, which outlives the table. `routes` are those of one listener, with `conf` beside each. */
struct route_table *route_table_build(struct arena *arena, const struct conf_route *const *confs,
                                      struct route *const *routes, uint32_t count);
/* host: without port, any case, may be empty; path: normalised. NULL: none. Uses no memory. */
const struct route *route_match(const struct route_table *table, struct slice host, struct slice path);

#endif
