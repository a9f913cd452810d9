/*
 * route - host, path and what else a request says -> what to do. Built once from the document,
 * frozen, read by all workers.
 *
 * Order of precedence, of two routes that both match:
 *
 *     1  priority, higher first
 *     2  host     exact > longest wildcard > host_regex > any
 *     3  path     exact > template > path_regex > longest prefix > any; of two templates, at the
 *                 first segment where they differ: itself > {name} > {name*}
 *     4  more conditions (route_condition.h) before fewer
 *     5  name, by bytes
 *
 * A *rule* is a host pattern with a path pattern; it stands in a hash table under both. All routes
 * with this host and path are its candidates, in order: the first whose conditions hold wins. One
 * without conditions ends the list.
 *
 *     www.example.com    -> www.example.com, *.example.com, *.com, host_regex, any   host patterns
 *     /api/v2/users      -> =/api/v2/users, each shape of template, path_regex,
 *                           /api/v2/users/, /api/v2/, /api/, /, any
 *
 * Matching is a look-up per host label, path segment and shape of template under that host, not a
 * walk over all routes, and it ends early: a host pattern knows the highest priority under it. Only
 * candidates of one rule are walked over, and routes with path_regex (or host_regex and the same
 * path) are candidates of one rule. Regular expressions are looked at last, and their work is
 * bounded (pattern.h).
 *
 *     host      any case; a dot at its end does not count; "*.example.com" is one label or more
 *     path      byte by byte; prefix "/api" (or "/api/") matches "/api", "/api/", "/api/x",
 *               not "/apix"; templates as path_template.h says
 *
 * A listener of TCP has no paths: there the protocols of ALPN stand in their place, exact ones, and
 * a client that offers several is matched in its order.
 *
 *     alpn      byte by byte; a route with some goes before one without
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
#include "lbd/filter/filter.h"
#include "lbd/proxy/route_condition.h"
#include "lbd/proxy/route_path.h"
#include "lbd/proxy/route_split.h"
#include "lbd/upstream/pool.h"

struct mirror;

struct route {
    struct slice name;
    uint32_t id; /* counters block */
    enum conf_action action;
    struct pool *pool; /* CONF_ACTION_POOL; held by the snapshot */
    uint16_t status;   /* respond, redirect */
    struct slice body; /* respond */
    struct slice content_type;
    const struct conf_header *headers; /* respond, redirect: further ones */
    uint32_t header_count;
    struct slice location; /* redirect; may hold "{path}"; empty: `redirect` says it */
    const struct conf_redirect *redirect;
    const struct route_path *path;   /* what it makes of the path, for servers or a redirect; NULL:
                                        it stays */
    const struct mirror *mirror;     /* who gets copies; NULL: nobody */
    const struct route_split *split; /* in place of `pool`, which is one of them; NULL: none */
    struct slice host;               /* what servers get as Host; empty: as it was sent */
    uint32_t response_ms;            /* 0: what the pool has */
    uint32_t idle_ms;                /* likewise */
    bool forward_trailers;
    bool server_timing; /* here or on the listener: clients are told where the time went */
    bool is_unlogged;   /* no lines in the access log */
    const struct filter_chain *filters;   /* the listener's policies and its own; NULL: none */
    uint32_t buffer_request;              /* bytes of a body before a server is picked; 0: none */
    uint32_t buffer_response;             /* ... of an answer that a slow client has not taken */
    enum conf_priority_class queue_class; /* in its pool's queue */
};

struct route_table; /* hidden */

/* All in `arena`, which outlives the table. `routes` are those of one listener, with `conf` beside
 * each; their host and path bytes are borrowed from `confs`, which live as long as the table. */
struct route_table *route_table_build(struct arena *arena, const struct conf_route *const *confs,
                                      struct route *const *routes, uint32_t count);
/* NULL: none; `table` NULL has none. Uses no memory. */
const struct route *route_match(const struct route_table *table,
                                const struct route_question *question);
/* How many look-ups of hosts and rules that takes, and conditions that are looked at. */
uint32_t route_match_cost(const struct route_table *table, const struct route_question *question);

#endif
