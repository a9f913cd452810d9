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
#include "lbd/base/cidr.h"
#include "lbd/base/close_reason.h"
#include "lbd/http/forwarded.h"
#include "lbd/http/message.h"
#include "lbd/http/uri.h"
#include "lbd/net/listener.h"
#include "lbd/proxy/mail_plan.h"
#include "lbd/proxy/mail_routes.h"
#include "lbd/proxy/route.h"
#include "lbd/tls/tls_front.h"

/* What is told, and to whom, of the requests of a listener. */
struct plan_seeing {
    uint64_t slow_us;      /* to the first byte of the answer: kept for those who ask why */
    uint32_t sample;       /* of the others, one of so many; 0: none */
    uint32_t trace_sample; /* of traces that begin here, one of so many is sampled; at least 1 */
    bool traces;           /* traceparent is looked at */
    bool starts_traces;    /* ... and made where there is none */
    bool server_timing;    /* clients are told where the time went */
    uint8_t request_id;    /* enum conf_request_id: whose is taken */
    bool is_unlogged;      /* no lines in the access log */
    bool reason_detail;    /* answers of our own name the setting behind their reason */
};

struct plan {
    struct listener *listener;    /* referenced */
    struct listener_bind **binds; /* referenced; the addresses it listens on now */
    uint32_t bind_count;
    const struct snapshot *snapshot;       /* it belongs to */
    struct route_table *routes;            /* NULL: none, all goes to the default pool */
    const struct mail_routes *mail_routes; /* where users go; NULL: it speaks no mail */
    const struct filter_chain *filters;    /* of requests without a route; NULL: none */
    const struct route *default_route;     /* to default_pool; NULL: no_route */
    struct conf_listener_timeouts timeouts;
    struct conf_listener_limits limits;
    enum conf_protocol protocol;
    const struct mail_plan *mail; /* NULL: another protocol */
    struct conf_listener_http2 http2;
    struct plan_seeing seeing;
    struct tls_front *tls;                   /* referenced; NULL: clear */
    enum conf_client_forward client_forward; /* OFF without client_auth, too */
    struct cidr_set proxies;                 /* who begins with a PROXY header */
    const struct forwarded_rules *forwarded; /* NULL: nobody is believed, X-Forwarded-* are sent */
    bool is_drained;                         /* accepts nothing; answers say close */
};

/* Does TLS begin with the first byte? */
static inline bool plan_is_tls_first(const struct plan *plan)
{
    return plan->tls != NULL && (plan->mail == NULL || !plan->mail->starttls);
}

/* May a server speak before its client does? Then connections are taken as soon as they are there.
 */
static inline bool plan_is_server_first(const struct plan *plan)
{
    return (plan->protocol == CONF_PROTOCOL_TCP && plan->tls == NULL) ||
           (plan->mail != NULL && !plan_is_tls_first(plan));
}

/* Does it learn what name a client asks for, and which protocols? */
static inline bool plan_has_names(const struct plan *plan)
{
    return plan->mail == NULL &&
           (plan->protocol == CONF_PROTOCOL_TLS_PASSTHROUGH || !plan_is_server_first(plan));
}

/* Where a request of `client` goes: normalises its path (in `arena` when that is a change) and asks
 * the routes, then the default pool. CLOSE_OK with *route, or the reason to refuse it. */
static inline enum close_reason plan_route(const struct plan *plan, struct message *request,
                                           const struct addr_small *client,
                                           struct pattern_work *patterns, struct arena *arena,
                                           const struct route **route)
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
    if (plan->routes != NULL) { /* else nobody looks for the host */
        const struct route_question question = {
            .host = message_host(request),
            .path = request->path,
            .request = request,
            .client = client,
            .patterns = patterns,
        };
        *route = route_match(plan->routes, &question);
    }
    if (*route == NULL) {
        *route = plan->default_route;
    }
    return *route != NULL ? CLOSE_OK : CLOSE_NO_ROUTE;
}

/* Where a connection goes: `question` is by_name. NULL: nowhere. */
static inline const struct route *plan_route_name(const struct plan *plan,
                                                  const struct route_question *question)
{
    const struct route *route = route_match(plan->routes, question);
    return route != NULL ? route : plan->default_route;
}

#endif
