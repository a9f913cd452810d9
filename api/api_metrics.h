/*
 * api_metrics - /metrics: everything that is counted, as Prometheus reads it.
 *
 * Numbers of listeners, routes, pools, servers and workers come from stats/counters; those of the
 * process and of control are written here. ?scope=full adds the rarer numbers of servers,
 * ?scope=none leaves servers out.
 *
 * Threads: control.
 */
#ifndef API_API_METRICS_H
#define API_API_METRICS_H

#include "api/api_request.h"

#define API_METRICS_SERIES_MAX                                                                     \
    50000 /* of servers; above it they are left out, and that is said                              \
           */

void api_metrics_get(struct api_request *request);
/* Counts an answered request of a row of the table (SIZE_MAX: of no row). */
void api_metrics_note(size_t row, const char *method, unsigned status);

#endif
