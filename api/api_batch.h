/*
 * api_batch - many changes of the configuration, all of them or none.
 *
 *     [{"method":"PUT","path":"/v1/pools/web","if_match":"\"tag\"","body":{..}}, ...]
 *
 * Operations are made one after the other, and only what comes out at the end must be valid; so a
 * route may come before its pool. Preconditions are about the document before the first of them.
 *
 * Limits: 1 to 1,000 operations, 16 MiB. Threads: control.
 */
#ifndef API_API_BATCH_H
#define API_API_BATCH_H

#include "api/api_request.h"

#define API_BATCH_MAX 1000

/* POST /v1/batch */
void api_batch_post(struct api_request *request);

#endif
