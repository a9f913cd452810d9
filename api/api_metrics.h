/*
 * api_metrics - GET /metrics: everything that is counted, as Prometheus reads it.
 *
 *     ?scope=process,listener,route,pool,server   only these; a scrape never has more than the
 *                                                 document's observability.metrics gives
 *     ?pool=web                                   of pools and servers only these
 *     ?name[]=lbd_pool_servers&name[]=...         only these families, at most 16
 *     Accept                                      text 0.0.4 or OpenMetrics 1.0
 *
 * The answer is made while it is sent (api_scrape, api_blocks).
 *
 * Threads: control.
 */
#ifndef API_API_METRICS_H
#define API_API_METRICS_H

#include "api/api_request.h"

void api_metrics_get(struct api_request *request);

#endif
