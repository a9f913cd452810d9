/*
 * snapshot_tls - compiles the TLS of a listener: from names in a document to a tls_front.
 *
 * Called by snapshot_build. A listener whose certificates, authorities and rules are those of the
 * newest snapshot gets the same tls_front; of one that changed, what stayed the same is shared.
 *
 * Memory: the plan's reference. Threads: control, or the saver's thread that builds.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_TLS_H
#define LBD_SNAPSHOT_SNAPSHOT_TLS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/snapshot_build.h"

struct plan;

/* Fills plan->tls for a listener that has TLS. False: *err says why; its place is the pointer. */
LB_MUST_CHECK bool snapshot_tls_add(const struct snapshot_build *build,
                                    const struct conf_listener *conf, struct plan *plan,
                                    struct err *err);

#endif
