/*
 * snapshot_call_tls - TLS for what lbd itself calls: verified, by a CA set or the system's.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_CALL_TLS_H
#define LBD_SNAPSHOT_SNAPSHOT_CALL_TLS_H

#include "lbd/snapshot/snapshot_build.h"
#include "lbd/tls/tls_client.h"

/* For these URLs. *tls is the caller's reference; NULL: none of them is https. `old` (may be NULL)
 * is taken again when it is the same. `ca`: a CA set; empty: the system's. False: *err. */
LB_MUST_CHECK bool snapshot_call_tls(const struct snapshot_build *build, const struct slice *urls,
                                     uint32_t count, struct slice ca, const struct tls_client *old,
                                     struct tls_client **tls, struct err *err);

#endif
