/*
 * health_tls - a server that completes a TLS handshake is fit.
 *
 * Verified as the pool's `tls` has it; a pool without one (its clients' TLS goes through to the
 * servers) is asked for the handshake alone.
 *
 * In TLS 1.3 a server judges our certificate when the handshake is complete for us. One that asked
 * for it is given a moment to refuse: a session, bytes, a proper end or silence are a yes.
 *
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_TLS_H
#define LBD_UPSTREAM_HEALTH_TLS_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_tls;

#endif
