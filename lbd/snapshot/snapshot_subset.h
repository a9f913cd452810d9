/*
 * snapshot_subset - `subset` of a route's action: the servers of a pool that have these labels.
 *
 * Routes with the same wish share one. Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_SUBSET_H
#define LBD_SNAPSHOT_SNAPSHOT_SUBSET_H

#include "conf/conf.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/snapshot.h"

/* `pool` itself when the route does not ask for labels. The snapshot's. NULL: *err. */
struct pool *snapshot_subset(struct snapshot *snapshot, const struct conf_route *route,
                             struct pool *pool, struct err *err);
void snapshot_subset_fini(struct snapshot *snapshot);

#endif
