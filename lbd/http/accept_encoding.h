/*
 * accept_encoding - which codings of a body a client takes (RFC 9110 12.5.3).
 *
 *     gzip, br;q=0.5          gzip 1000, identity 1000
 *     *;q=0.1, gzip;q=0       gzip 0, identity 100
 *     (no field)              gzip 0, identity 1000: a client that wants it says so
 *
 * Of several members for a coding the last one counts; one whose weight cannot be read is one that
 * is not wanted.
 *
 * Sans-I/O. Limits: the head's. Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_ACCEPT_ENCODING_H
#define LBD_HTTP_ACCEPT_ENCODING_H

#include <stdint.h>

#include "lbd/http/headers.h"

#define ACCEPT_ENCODING_MOST 1000U /* q=1 */

/* In thousandths; 0: not acceptable. */
struct accept_encoding {
    uint16_t gzip;
    uint16_t identity;
};

/* Of all fields of a request, those that servers are not told, too: the client said them. */
struct accept_encoding accept_encoding_read(const struct headers *headers);
/* The value of one field. */
struct accept_encoding accept_encoding_of(struct slice value);

#endif
