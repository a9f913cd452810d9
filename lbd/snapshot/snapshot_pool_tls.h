/*
 * snapshot_pool_tls - the TLS that a pool of the document speaks to its servers, compiled.
 *
 *     conf_pool.tls + certificates and CA sets of the registry --> tls_client --> pool.tls
 *                                                            '--commit--> registry_pool.tls
 * (checks)
 *
 * A pool that is made anew takes over the tls_client of the one before it when everything that
 * matters is the same; so connections and sessions live on. The system's authorities are read once
 * in a process.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_POOL_TLS_H
#define LBD_SNAPSHOT_SNAPSHOT_POOL_TLS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/registry.h"
#include "lbd/snapshot/snapshot.h"

/* What `pool` of `conf` says; *client is the caller's reference, NULL: clear. `old`: the pool of
 * that name in the newest snapshot, or NULL. False: *err with its place. */
LB_MUST_CHECK bool snapshot_pool_tls(const struct conf *conf, const struct conf_pool *pool,
                                     struct registry *registry, const struct pool *old,
                                     struct tls_client **client, struct err *err);
/* The snapshot is the one that counts: health checks speak as its pools do. */
void snapshot_pool_tls_commit(const struct snapshot *snapshot, struct registry *registry);

#endif
