/*
 * snapshot - everything workers read, frozen: plans and pools of one revision.
 *
 * Immutable after publication. Pools are shared between snapshots (counted). Each worker has a
 * lease; an exchange holds its worker's lease from on_head to the end of the answer. When every
 * worker's lease is released the snapshot comes back to control and is freed there
 * (snapshot_retire).
 *
 * Threads: built and freed on control; read on any worker.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_H
#define LBD_SNAPSHOT_SNAPSHOT_H

#include <stdint.h>

#include "conf/conf_document.h"
#include "lbd/base/arena.h"
#include "lbd/base/lease.h"
#include "lbd/base/list.h"
#include "lbd/proxy/plan.h"
#include "lbd/upstream/pool.h"

#define SNAPSHOT_WORKERS_MAX 64

/* What a pool was made from: when it is still so, the next snapshot shares the pool. */
struct snapshot_pool_made {
    uint64_t version; /* conf_pool.version */
    uint64_t epoch;   /* registry_pool.epoch: of addresses and usability */
};

struct snapshot {
    struct list_node link; /* control only: all that are published and not freed */
    struct arena arena;
    struct conf_document *document; /* held: plans and routes borrow texts from it */
    uint64_t revision;              /* of the document it was built from */
    uint64_t generation;            /* counts publications: health and DNS changes too */
    uint64_t published_us;
    struct plan **plans; /* one per listener, sorted by listener name */
    uint32_t plan_count;
    struct pool **pools;             /* counted, sorted by name */
    struct snapshot_pool_made *made; /* one per pool; control only */
    uint32_t pool_count;
    uint32_t worker_count;
    struct lease *leases; /* one per worker, owned; `released` is the worker's to set */
};

#endif
