/*
 * api_resource - reads and changes any part of the configuration document: one handler for all of
 * them.
 *
 * The row says which JSON pointer a path stands for; the rest is the same for the whole document, a
 * collection, and one listener, route, pool, server or health check.
 *
 * Threads: control.
 */
#ifndef API_API_RESOURCE_H
#define API_API_RESOURCE_H

#include "api/api_request.h"

void api_resource_get(struct api_request *request);
void api_resource_put(struct api_request *request);
void api_resource_patch(struct api_request *request);
void api_resource_delete(struct api_request *request);
/* All servers of a pool: row pointer "/pools/{}/servers". */
void api_resource_put_endpoints(struct api_request *request);

#endif
