/*
 * api_openapi - the API as an OpenAPI 3.1 document, for generators, linters and the tests.
 *
 *     api_table     paths, methods, parameters, roles
 *     api_describe  words and documents                     -->  GET /v1/openapi.json
 *     conf_schema   the resources of the configuration           lbd --openapi
 *     api_problem   what refusals there are
 *
 * Nothing is said here that those tables do not say: what is new in them is new in the document.
 *
 * Memory: the text is made once and kept. Threads: control.
 */
#ifndef API_API_OPENAPI_H
#define API_API_OPENAPI_H

#include "api/api_request.h"

/* Appends the document. */
void api_openapi_write(struct buf *out);
/* GET /v1/openapi.json */
void api_openapi_get(struct api_request *request);

#endif
