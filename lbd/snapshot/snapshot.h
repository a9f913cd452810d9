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
#include "lbd/filter/filter.h"
#include "lbd/mail/mail_map.h"
#include "lbd/proxy/mail_callback.h"
#include "lbd/proxy/plan.h"
#include "lbd/snapshot/body_file.h"
#include "lbd/upstream/pool.h"

#define SNAPSHOT_WORKERS_MAX 64

/* What a pool was made from: when it is still so, the next snapshot shares the pool. */
struct snapshot_pool_made {
    uint64_t version; /* conf_pool.version */
    uint64_t epoch;   /* registry_pool.epoch: of addresses and usability */
    bool with_places; /* its members have one */
    uint64_t due_ms;  /* monotonic: weights rise by slow_start then; 0: they stay */
    uint64_t sticky_key[2];
};

/* Servers of a pool with these labels. */
struct snapshot_subset {
    struct pool *pool;   /* counted */
    struct slice labels; /* canonical JSON, of the document */
    bool or_any;
};

struct snapshot {
    struct list_node link; /* control only: all that are published and not freed */
    struct arena arena;
    struct conf_document *document; /* held: plans and routes borrow texts from it */
    uint64_t revision;              /* of the document it was built from */
    uint64_t generation;            /* counts publications: health and DNS changes too */
    uint64_t published_us;
    uint64_t tls_epoch;  /* registry_tls.epoch: of certificates that were read again */
    struct plan **plans; /* one per listener, sorted by listener name */
    uint32_t plan_count;
    struct pool **pools;             /* counted, sorted by name */
    struct snapshot_pool_made *made; /* one per pool; control only */
    uint32_t pool_count;
    struct snapshot_subset *subsets; /* owned; of routes */
    uint32_t subset_count;
    struct filter **filters; /* of policies: counted, sorted by name */
    uint32_t filter_count;
    struct body_file **bodies; /* that routes answer with: counted */
    uint32_t body_count;
    struct mail_map *mail_maps; /* sorted by name */
    uint32_t mail_map_count;
    struct mail_callback **mail_callbacks; /* counted */
    uint32_t mail_callback_count;
    uint32_t worker_count;
    bool has_low;         /* a route of the lowest class, that may be shed */
    struct lease *leases; /* one per worker, owned; `released` is the worker's to set */
};

#endif
