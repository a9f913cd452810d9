/*
 * authority - the host[:port] of a URI or a Host field, with one reading only (RFC 3986 3.2, R8 of
 * docs/http-rules.md).
 *
 * Threads: any.
 */
#ifndef LBD_BASE_AUTHORITY_H
#define LBD_BASE_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

/* host[:port] with a reg-name, IPv4 or bracketed IPv6; no userinfo, no comma, nothing
 * percent-encoded (R8). */
bool authority_is_valid(struct slice authority);
/* Splits a valid authority; port 0 when there is none. Brackets stay with the host. */
void authority_split(struct slice authority, struct slice *host, uint16_t *port);

#endif
