/*
 * health_grpc - a server that says SERVING is fit (grpc.health.v1.Health/Check).
 *
 * One call over HTTP/2, in clear with prior knowledge or over the pool's TLS, about one service or
 * (empty) the server as a whole.
 *
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_GRPC_H
#define LBD_UPSTREAM_HEALTH_GRPC_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_grpc;

#endif
