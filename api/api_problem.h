/*
 * api_problem - why not, as RFC 9457 says it.
 *
 *     {"type":"/v1/problems/invalid-config","title":"The configuration is not valid","status":422,
 *      "detail":"2 errors; nothing was changed","instance":"urn:lbd:api-request:...","revision":42,
 *      "errors":[{"pointer":"#/pools/api/servers/a/adress","code":"unknown-key","detail":"...",
 *                 "suggestion":"address","line":14,"column":21}]}
 *
 * `instance` is a name and no place: requests of the API are in the log, by that id (api.request).
 *
 * Each type is a row of a table; GET /v1/problems/{type} explains it, also without a network.
 *
 * Threads: control.
 */
#ifndef API_API_PROBLEM_H
#define API_API_PROBLEM_H

#include "api/api_request.h"
#include "conf/conf_errors.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

/* A row of the table. */
struct api_problem_type {
    const char *type; /* the last part of its path */
    unsigned status;
    const char *title;
    const char *explanation;
};
/* NULL: past the end. */
const struct api_problem_type *api_problem_type_at(size_t index);

/* Fills the reply with the problem `type` (a row of the table) and its status. */
void api_problem(struct api_request *request, const char *type, const char *fmt, ...)
    LB_PRINTF(3, 4);
/* The same with a list of errors and warnings (may be NULL). */
struct api_problem_more {
    const struct conf_errors *errors; /* or NULL */
    uint32_t operation;               /* of a batch: the one to blame, from 1; 0: none */
    struct slice current;             /* canonical JSON of the resource as it is, or empty */
};
void api_problem_more(struct api_request *request, const char *type, const char *detail,
                      const struct api_problem_more *more);
void api_problem_with(struct api_request *request, const char *type, const char *detail,
                      const struct conf_errors *errors);
/* "errors": [...] or "warnings": [...] as members of an open object; nothing when the list is
 * empty. */
void api_problem_write_errors(struct json_write *w, const struct conf_errors *errors);
void api_problem_write_warnings(struct json_write *w, const struct conf_errors *errors);
/* The type for an error without one of its own. */
const char *api_problem_of(enum err_kind kind);
/* GET /v1/problems/{type} */
void api_problem_explain(struct api_request *request);

#endif
