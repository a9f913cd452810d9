/*
 * api_body - the small JSON object that comes with a wish, read by a table.
 *
 *     {"server":"b2","kick_delay":"2s"}   every member known and of its kind, or all that is wrong
 *
 * Limits: texts of 256 bytes, long ones as the row lets bodies be. Memory: texts lie in the JSON,
 * which the caller frees. Threads: any.
 */
#ifndef API_API_BODY_H
#define API_API_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "api/api_request.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"

enum api_body_kind {
    API_BODY_TEXT,      /* struct slice */
    API_BODY_LONG_TEXT, /* likewise; as long as the body may be */
    API_BODY_DURATION,  /* uint32_t of milliseconds */
    API_BODY_NUMBER,    /* uint32_t */
    API_BODY_WORD       /* uint32_t: which of `words` */
};

struct api_body_member {
    const char *key;
    enum api_body_kind kind;
    size_t offset; /* in what is filled */
    bool is_required;
    uint32_t min, max;        /* DURATION in ms, NUMBER */
    const char *const *words; /* ends with NULL */
};

/* Fills `out` with what the body of the request says; what it does not name stays. An empty body is
 * an empty object. NULL: the reply says all that is wrong; else the JSON. */
LB_MUST_CHECK struct json *api_body_read(struct api_request *request,
                                         const struct api_body_member *members, size_t count,
                                         void *out);

#endif
