/*
 * api_connections - client connections as they are now: GET /v1/connections, and ending one:
 * DELETE /v1/connections/{id}.
 *
 *     {"connections":[{"id":"1-2a","listener":"web","client":"10.0.0.7:4711","state":"request",
 *                      "pool":"main","server":"a","age_ms":17,"requests":3,"worker":1}],"total":42}
 *
 * All that fit are counted; of those at most `limit` are shown, a fair share of each worker's. The
 * workers are asked and look at theirs a slice at a time.
 *
 * Threads: control.
 */
#ifndef API_API_CONNECTIONS_H
#define API_API_CONNECTIONS_H

#include "api/api_request.h"

void api_connections_list(struct api_request *request);
void api_connections_delete(struct api_request *request);

#endif
