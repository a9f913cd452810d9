/*
 * api_admin - what is set by hand over the configuration: admin states of servers, listeners and
 * the process, weights of servers; and the drains that follow.
 *
 *     PUT {"state":"drain","deadline":"2m","reason":"kernel"}  lays it over what is configured
 *     GET                                      what counts, what is configured, what lies over it:
 *         {"state":"drain","configured":"ready","override":{"reason":"kernel",...},"drain":{...}}
 *     DELETE                                   what is configured counts again
 *
 * Threads: control.
 */
#ifndef API_API_ADMIN_H
#define API_API_ADMIN_H

#include "api/api_request.h"

/* /v1/pools/{p}/servers/{s}/admin-state */
void api_admin_get(struct api_request *request);
void api_admin_put(struct api_request *request);
void api_admin_delete(struct api_request *request);
/* /v1/pools/{p}/servers/{s}/overrides/weight */
void api_admin_get_weight(struct api_request *request);
void api_admin_put_weight(struct api_request *request);
void api_admin_delete_weight(struct api_request *request);
/* /v1/listeners/{l}/admin-state */
void api_admin_get_listener(struct api_request *request);
void api_admin_put_listener(struct api_request *request);
void api_admin_delete_listener(struct api_request *request);
/* /v1/admin-state */
void api_admin_get_process(struct api_request *request);
void api_admin_put_process(struct api_request *request);
void api_admin_delete_process(struct api_request *request);
/* GET /v1/overrides, /v1/drains */
void api_admin_overrides(struct api_request *request);
void api_admin_drains(struct api_request *request);

struct drain;
/* "drain": {...} as a member of an open object; nothing when there is none: the one that runs, or
 * the last one of what is still out of use. For status documents. */
void api_admin_write_drain(const struct api_request *request, struct json_write *w,
                           enum override_kind kind, struct slice key);

#endif
