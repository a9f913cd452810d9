/*
 * api_explain_route - POST /v1/explain/route: where would this request go, and why?
 *
 *     question  -->  the head a client would send  -->  http/h1_head  -->  plan_route  -->  pool
 *                                                       the parser, the matcher and the pool of the
 *                                                       snapshot that workers have: what requests
 * meet
 *
 * Limits: bodies of 64 KiB; 100 servers and 50 other routes are shown. Threads: control.
 */
#ifndef API_API_EXPLAIN_ROUTE_H
#define API_API_EXPLAIN_ROUTE_H

#include "api/api_request.h"

void api_explain_route(struct api_request *request);

#endif
