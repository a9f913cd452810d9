/*
 * api_table - every resource of the API, one row each: path, methods, who answers.
 *
 *     /v1/pools/{}/servers/{}   ->  row, names = {"api", "a"}
 *     /v1/mail/users/a%2Fb      ->  row, names = {"a/b"}: parts are decoded after they are cut
 *
 * The transport looks a row up, checks method, query and media type by it, and calls its handler.
 *
 * Memory: constant. Threads: any.
 */
#ifndef API_API_TABLE_H
#define API_API_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/api_request.h"

typedef void api_handler_fn(struct api_request *request);

struct api_row {
    const char *pattern; /* "{}" stands for a name, "{*}" at the end for all that is left */
    const char *pointer; /* config resources: the JSON pointer, "{}" likewise; else NULL */
    api_handler_fn *handlers[API_METHODS]; /* NULL: method not allowed */
    const char *query;                     /* parameters of GET, separated by spaces */
    const char *changing_query;            /* of the other methods */
    enum api_role role;                    /* of GET; NONE stands for READ */
    enum api_role changing_role;           /* of the other methods; NONE stands for ADMIN */
    bool is_observable;                    /* also on the observe address */
    bool is_secret;                        /* answers hold what must not be kept */
    size_t body_max;                       /* bytes */
};

size_t api_table_count(void);
const struct api_row *api_table_row(size_t index);
/* Finds the row of request->path and fills in its names; NULL: there is none. Who made the request
 * frees its `unescaped`. */
const struct api_row *api_table_find(struct api_request *request);
/* The first part of a path, as it came, that would have a row if that part were a name, and what
 * such a name must be; SLICE_NONE: it is not the names. */
struct slice api_table_bad_name(struct slice path, const char **must_be);
/* The JSON pointer of a config resource with the names of its path put in. */
void api_table_write_pointer(const struct api_row *row, const struct slice *names, struct buf *out);
/* What it takes to use this method. */
enum api_role api_table_role(const struct api_row *row, enum api_method method);
/* "GET, HEAD, PUT" */
void api_table_allow(const struct api_row *row, char *out, size_t size);
/* Does it show configuration or state? Then its answer says from which event on to follow it. */
bool api_table_is_state(const struct api_row *row);
/* Is this parameter known to the row for this method? */
bool api_table_knows_query(const struct api_row *row, enum api_method method, struct slice name);

#endif
