/*
 * api_stats - GET /v1/stats: the counters as JSON, for lbctl top and for who has no Prometheus.
 *
 *     ?scope=process,listeners,routes,pools,servers      only these
 *
 *     {"time":"...","revision":42,"bounds_ms":[0.1,0.25,...],
 *      "process":{"connections":7,...},"listeners":{"web":{"requests":12,...}},"routes":{},
 *      "pools":{},"servers":{"web/a":{}}}
 *
 * Counters only grow (a rate is the difference of two answers), a duration is
 *
 *     {"count":12,"sum_ms":3.4,"p50_ms":0.2,"p95_ms":0.5,"p99_ms":0.9,"buckets":[3,9,...]}
 *
 * with quantiles over all that was counted; those of an interval come from the difference of two
 * `buckets`, which are not cumulative: the last one is what lies above the last of bounds_ms.
 *
 * The answer is made while it is sent (api_blocks): an object that comes or goes meanwhile may be
 * in it or not.
 *
 * Threads: control.
 */
#ifndef API_API_STATS_H
#define API_API_STATS_H

#include "api/api_request.h"

void api_stats_get(struct api_request *request);

#endif
