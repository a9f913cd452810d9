/*
 * health_tcp - a server that accepts a connection is fit; or one that then says what is expected,
 * asked or not.
 *
 * Limits: 64 KiB of what it says.
 *
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_TCP_H
#define LBD_UPSTREAM_HEALTH_TCP_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_tcp;

#endif
