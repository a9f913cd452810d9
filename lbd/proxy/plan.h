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

#endif
