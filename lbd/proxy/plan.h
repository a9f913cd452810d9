/*
 * plan - compiled instructions of one listener: routes, limits, timeouts. Frozen; replaced whole by
 * the next snapshot's.
 *
 * Memory: one arena, owned by its snapshot. Threads: built on control; read on any worker.
 */
#ifndef LBD_PROXY_PLAN_H
#define LBD_PROXY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/base/close_reason.h"
#include "lbd/http/message.h"
#include "lbd/http/uri.h"
#include "lbd/net/listener.h"
#include "lbd/proxy/route.h"

struct plan {
    struct listener *listener;    /* referenced */
    struct listener_bind **binds; /* referenced; the addresses it listens on now */
    uint32_t bind_count;
    const struct snapshot *snapshot; /* it belongs to */
    struct route_table *routes;
    const struct route *default_route; /* to default_pool; NULL: no_route */
    struct conf_listener_timeouts timeouts;
    struct conf_listener_limits limits;
    bool is_drained; /* accepts nothing; answers say close */
};

/* Where a request goes: normalises its path (in `arena` when that is a change) and asks the routes,
 * then the default pool. CLOSE_OK with *route, or the reason to refuse it. */
static inline enum close_reason plan_route(const struct plan *plan, struct message *request,
                                           struct arena *arena, const struct route **route)
{
    *route = NULL;
    if (LB_UNLIKELY(!request->path_is_plain) && request->target_form != TARGET_ASTERISK) {
        struct slice fixed;
        switch (uri_path_normalise(request->path, arena, &fixed)) {
        case URI_PATH_PLAIN:
            break;
        case URI_PATH_FIXED:
            request->path = fixed;
            break;
        case URI_PATH_BAD:
            return CLOSE_BAD_TARGET;
        }
    }
    *route = route_match(plan->routes, message_host(request), request->path);
    if (*route == NULL) {
        *route = plan->default_route;
    }
    return *route != NULL ? CLOSE_OK : CLOSE_NO_ROUTE;
}

#endif
