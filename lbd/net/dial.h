/*
 * dial - begins a connection to an address; the connection's watch tells when it is there.
 *
 * Threads: any.
 */
#ifndef LBD_NET_DIAL_H
#define LBD_NET_DIAL_H

#include <stdbool.h>

#include "lbd/base/addr.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"

enum dial_verdict { DIAL_CONNECTED, DIAL_PENDING, DIAL_FAILED };

/* A non-blocking socket in *fd, unless DIAL_FAILED, then *reason: CLOSE_OVERLOAD when it is this
 * process that has no descriptor or memory left. */
LB_MUST_CHECK enum dial_verdict dial_start(const struct addr *address, int *fd,
                                           enum close_reason *reason);
/* The socket became writable: true, or false with *reason. */
LB_MUST_CHECK bool dial_finish(int fd, enum close_reason *reason);

#endif
