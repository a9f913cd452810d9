/*
 * accept_encoding - which codings of a body a client takes (RFC 9110 12.5.3).
 *
 *     gzip, br;q=0.5          gzip 1000, br 500, the others 0, identity 1
 *     *;q=0.1, gzip;q=0       gzip 0, all others 100
 *     (no field)              identity alone: a client that wants another one says so
 *
 * A client that lists codings and not identity takes it, too, but likes each of them better. Of
 * several members for a coding the last one counts; one whose weight cannot be read is one that
 * is not wanted.
 *
 * Sans-I/O. Limits: the head's. Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_ACCEPT_ENCODING_H
#define LBD_HTTP_ACCEPT_ENCODING_H

#include <stdint.h>

#include "conf/conf.h"
#include "lbd/http/headers.h"

#define ACCEPT_ENCODING_MOST  1000U /* q=1 */
#define ACCEPT_ENCODING_LEAST 1U

/* In thousandths; 0: not acceptable. */
struct accept_encoding {
    uint16_t weights[CONF_ENCODING_COUNT];
    uint16_t identity;
};

/* Of all fields of a request, those that servers are not told, too: the client said them. */
struct accept_encoding accept_encoding_read(const struct headers *headers);
/* The value of one field. */
struct accept_encoding accept_encoding_of(struct slice value);
/* Of those that are offered, the server's favourite first, which a client takes and likes as well
 * as nothing done: its favourite first; of those that it likes the same, the server's. How many. */
uint32_t accept_encoding_choose(const struct accept_encoding *takes,
                                const enum conf_encoding *offered, uint32_t count,
                                enum conf_encoding chosen[CONF_ENCODING_COUNT]);

#endif
