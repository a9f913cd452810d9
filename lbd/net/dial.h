/*
 * dial - begins a connection to an address; the connection's watch tells when it is there.
 *
 * It leaves from the address that the kernel chooses, or from one of `sources` of the same family,
 * in turn: each has as many ports as there are, for every server. Ports are taken when connecting
 * (IP_BIND_ADDRESS_NO_PORT), so that one may be used again for another server; when an address has
 * none left the next one is tried.
 *
 * Threads: any.
 */
#ifndef LBD_NET_DIAL_H
#define LBD_NET_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"

/* Addresses of ours without port. Frozen. */
struct dial_sources {
    const struct addr *list;
    uint32_t count; /* 0: what the kernel chooses */
};

/* Before connect: the socket leaves from the source whose turn it is. False: errno says why not. */
LB_MUST_CHECK bool dial_bind(int fd, int family, const struct dial_sources *sources, uint32_t turn);

enum dial_verdict { DIAL_CONNECTED, DIAL_PENDING, DIAL_FAILED };

/* A non-blocking socket in *fd, unless DIAL_FAILED, then *reason: CLOSE_OVERLOAD when it is this
 * process that has no descriptor or memory left, CLOSE_SOURCE_UNAVAILABLE when it cannot leave from
 * there, or all ports that lead to that address are in use. `turn`: the caller counts. */
LB_MUST_CHECK enum dial_verdict dial_start(const struct addr *address,
                                           const struct dial_sources *sources, uint32_t turn,
                                           int *fd, enum close_reason *reason);
/* The socket became writable: true, or false with *reason. */
LB_MUST_CHECK bool dial_finish(int fd, enum close_reason *reason);

#endif
