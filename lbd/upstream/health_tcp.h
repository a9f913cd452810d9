/*
 * health_tcp - a server that accepts a connection is fit.
 *
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_TCP_H
#define LBD_UPSTREAM_HEALTH_TCP_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_tcp;

#endif
