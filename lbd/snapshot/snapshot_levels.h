/*
 * snapshot_levels - priorities and zones of servers become levels of a pool (balance/levels).
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_LEVELS_H
#define LBD_SNAPSHOT_SNAPSHOT_LEVELS_H

#include "conf/conf.h"
#include "lbd/upstream/pool.h"

/* Of a pool whose members and weights are there. `zone`: where this lbd is; empty: nowhere. */
void snapshot_levels(struct pool *pool, const struct conf_pool *conf, struct slice zone);

#endif
