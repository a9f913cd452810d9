/*
 * route_explain - why does a request, or a connection of TCP, go where it goes, and not elsewhere?
 *
 * For people who ask the API. Whether a route would take a request is found out by the matcher
 * itself, on a table of that one route, so that this cannot disagree with what requests meet;
 * the words around it follow the order that route.h gives.
 *
 * Memory: keeps nothing. Threads: control; any.
 */
#ifndef LBD_PROXY_ROUTE_EXPLAIN_H
#define LBD_PROXY_ROUTE_EXPLAIN_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/proxy/route_condition.h"

/* A cheap look, to find those few among many that are worth asking the matcher about: false is
 * sure, true is not. */
bool route_explain_may_take(const struct conf_match *match, const struct route_question *question);
/* What of `match` the request fits, in words: "host www.example.com, path_prefix /api, header X is
 * '1'". */
void route_explain_fit(const struct conf_match *match, const struct route_question *question,
                       struct buf *out);
/* Alone, would the route take it? Appends why it does not (when not), or why `winner` is preferred
 * (when it would); `winner` is not NULL then. */
bool route_explain_other(const struct conf_route *conf, const struct conf_route *winner,
                         const struct route_question *question, struct buf *out);

#endif
