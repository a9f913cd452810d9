/*
 * snapshot_sticky - `sticky` of the document becomes pool.sticky.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_STICKY_H
#define LBD_SNAPSHOT_SNAPSHOT_STICKY_H

#include "conf/conf.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/registry_tls.h"
#include "lbd/upstream/pool.h"

/* What values are made with, of the pool's key_file; zeros when it is not sticky. False: *err. */
LB_MUST_CHECK bool snapshot_sticky_key(struct registry_tls *tls, const struct conf_pool *conf,
                                       uint64_t key[2], struct err *err);
/* Of a pool whose members are there. `old`, the pool of that name which runs now, keeps what it has
 * learned; NULL: none. */
void snapshot_sticky(struct pool *pool, const struct conf_pool *conf, const struct pool *old,
                     const uint64_t key[2]);

#endif
