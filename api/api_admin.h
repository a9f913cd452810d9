/*
 * api_admin - /v1/pools/{p}/servers/{s}/admin-state: drain, maintenance and back, by hand.
 *
 *     PUT {"state":"drain","reason":"kernel"}  lays it over what is configured
 *     GET                                      what counts, what is configured, what lies over it:
 *         {"state":"drain","configured":"ready","override":{"reason":"kernel",...}}
 *     DELETE                                   what is configured counts again
 *
 * Threads: control.
 */
#ifndef API_API_ADMIN_H
#define API_API_ADMIN_H

#include "api/api_request.h"

void api_admin_get(struct api_request *request);
void api_admin_put(struct api_request *request);
void api_admin_delete(struct api_request *request);

#endif
