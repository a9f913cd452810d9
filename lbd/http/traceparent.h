/*
 * traceparent - by which trace a request is known (W3C Trace Context, Level 1).
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *     version - trace id           - parent id       - flags
 *
 * Reads what a client sent and makes new ones. A later version may have more behind a dash; it is
 * read as far as it is known (3.2.4). Anything else is no traceparent, and its tracestate means
 * nothing (3.3.1).
 *
 * Memory: borrows. Threads: any.
 */
#ifndef LBD_HTTP_TRACEPARENT_H
#define LBD_HTTP_TRACEPARENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define TRACEPARENT_LEN    55U
#define TRACEPARENT_ID_LEN 32U
#define TRACEPARENT_MAX    512U /* of a later version */

struct traceparent {
    struct slice trace_id;
    struct slice parent_id;
    bool is_sampled;
};

/* False: it is none. */
bool traceparent_read(struct slice value, struct traceparent *out);
/* Writes a new one, of version 00. The numbers are random; those that would make an id of nothing
 * but zeros are mended. */
void traceparent_write(char out[TRACEPARENT_LEN], const uint64_t trace_id[2], uint64_t parent_id,
                       bool is_sampled);

#endif
