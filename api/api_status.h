/*
 * api_status - what is observed, as JSON: configuration, listeners, routes, pools, servers. The
 * whole on one page is api_overview.
 *
 * Never stored and never part of an ETag. Conditions have the shape that Kubernetes made common:
 * type, status, reason, message, since, observed_revision.
 *
 * Threads: control.
 */
#ifndef API_API_STATUS_H
#define API_API_STATUS_H

#include "api/api_request.h"

void api_status_config(struct api_request *request);
/* Every word for how something ends, with its sentence and the status of our own answer. */
void api_status_reasons(struct api_request *request);
void api_status_listener(struct api_request *request);
void api_status_route(struct api_request *request);
void api_status_pool(struct api_request *request);
void api_status_server(struct api_request *request);
void api_status_version(struct api_request *request);
void api_status_schema(struct api_request *request);
/* The loop turns. */
void api_status_healthz(struct api_request *request);
/* The newest document runs everywhere and nothing drains; ?pool=x: and x has a usable server. */
void api_status_readyz(struct api_request *request);

#endif
