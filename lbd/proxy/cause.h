/*
 * cause - the setting that made a conversation end: where it stands in the document, and its value.
 *
 *     response_timeout, pool api      -> /pools/api/timeouts/response       60s
 *     server_limit, pool api          -> /pools/api/servers/a/max_connections 200
 *     header_too_large, listener web  -> /listeners/web/limits/header_size  64KiB
 *
 * One table: reason -> place. A reason that no setting is behind has no row. Used when something
 * has failed, never for a request that goes well.
 *
 * Limits: names are at most 63 bytes (conf). Memory: text in the struct. Threads: any; the plan and
 * the pool are those that served.
 */
#ifndef LBD_PROXY_CAUSE_H
#define LBD_PROXY_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/num.h"
#include "lbd/proxy/plan.h"
#include "lbd/proxy/pressure.h"
#include "lbd/upstream/pool.h"

#define CAUSE_POINTER_MAX 192

/* What was under way; NULL: there was none. */
struct cause_facts {
    const struct plan *plan;
    const struct pool *pool;
    const struct route *route;
    bool is_call;      /* a gRPC call or tunnel, with the listener's tunnel_idle */
    bool is_uploading; /* the server had not taken all of the request */
    const struct pressure_limits *limits; /* NULL: not known */
    bool is_short_of_buffers;             /* what waits, and not memory in all */
};

struct cause {
    char pointer[CAUSE_POINTER_MAX]; /* "": no setting is behind the reason */
    char value[NUM_TEXT_MAX];        /* as the document writes it; "": it is not one number */
};

/* False: no setting is behind it, and both texts are empty. */
bool cause_find(struct cause *cause, enum close_reason reason, const struct cause_facts *facts);
/* The same for a tunnel, which keeps no plan: that it was silent for idle_ms. */
bool cause_of_tunnel(struct cause *cause, enum close_reason reason, const char *listener,
                     uint32_t idle_ms);
/* That a policy said no. */
bool cause_of_policy(struct cause *cause, struct slice policy);

#endif
