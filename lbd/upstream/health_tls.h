/*
 * health_tls - a server that completes a TLS handshake is fit.
 *
 * Verified as the pool's `tls` has it; a pool without one (its clients' TLS goes through to the
 * servers) is asked for the handshake alone.
 *
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_TLS_H
#define LBD_UPSTREAM_HEALTH_TLS_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_tls;

#endif
