/*
 * api_requests - the last requests that failed or were slow, with what led there: GET
 * /v1/requests/recent, and one of them: GET /v1/requests/{id}.
 *
 *     {"requests":[{"id":"90e2c9a1b33ef1d0","time":"2026-11-21T10:00:00.123456Z","status":503,
 *                   "reason":"server_limit","ended_by":"lbd","setting":"/pools/api/servers/a/...",
 *                   "advice":"...","route":"api","pool":"api","tries":[...],"candidates":[...]}],
 *      "total":42}
 *
 * The workers keep them (stats/recent) and are asked (worker/requests). All that fit are counted,
 * the newest are shown.
 *
 * Threads: control.
 */
#ifndef API_API_REQUESTS_H
#define API_API_REQUESTS_H

#include "api/api_request.h"

void api_requests_recent(struct api_request *request);
void api_requests_get(struct api_request *request);

#endif
