/*
 * api_overview - GET /v1/status: everything that matters, in one document.
 *
 *     {"version":"...","state":"ready","revision":42,"conditions":[...],"listeners":{},"pools":{},
 *      "problems":[{"pointer":"#/pools/web/servers/a","message":"down: refused"}]}
 *
 * With many servers it is made while it is sent (api_blocks): what comes or goes meanwhile may be
 * in it or not.
 *
 * Threads: control.
 */
#ifndef API_API_OVERVIEW_H
#define API_API_OVERVIEW_H

#include "api/api_request.h"

#define API_OVERVIEW_WHOLE_MAX 500 /* servers of an answer that is made at once */

void api_overview_get(struct api_request *request);

#endif
