/*
 * api_explain - GET /v1/explain and /v1/explain/{key}: what a setting is, from the schema table.
 *
 * An unknown key is answered 404, with the nearest one or the place where it belongs.
 *
 * Threads: control.
 */
#ifndef API_API_EXPLAIN_H
#define API_API_EXPLAIN_H

#include "api/api_request.h"

void api_explain_all(struct api_request *request);
void api_explain_key(struct api_request *request);

#endif
