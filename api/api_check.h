/*
 * api_check - is it fit, now? POST /v1/pools/{p}/servers/{s}/check and POST /v1/pools/{p}/check.
 *
 *     {"result":"failed","detail":"HTTP 503, expected 2xx","duration_ms":1.2,"health":"up"}
 *
 * A probe beside the schedule, also of servers in maintenance; the answer comes when it has ended.
 *
 * Limits: 64 servers of a pool at once. Threads: control.
 */
#ifndef API_API_CHECK_H
#define API_API_CHECK_H

#include "api/api_request.h"

void api_check_server(struct api_request *request);
void api_check_pool(struct api_request *request);

#endif
