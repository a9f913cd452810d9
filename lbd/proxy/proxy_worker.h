/*
 * proxy_worker - what one worker keeps for its clients: the current snapshot's lease, fronts,
 * objects.
 *
 * Memory: one per worker, slot LOOP_SLOT_PROXY. Threads: that worker; `open_connections` may be
 * read by any.
 */
#ifndef LBD_PROXY_PROXY_WORKER_H
#define LBD_PROXY_PROXY_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/lease.h"
#include "lbd/base/list.h"
#include "lbd/base/pattern.h"
#include "lbd/net/loop.h"
#include "lbd/net/slab.h"
#include "lbd/proxy/door.h"
#include "lbd/proxy/mail_callback.h"
#include "lbd/proxy/mirror.h"
#include "lbd/proxy/relief.h"
#include "lbd/proxy/sweep.h"
#include "lbd/stats/access_log.h"
#include "lbd/stats/counters.h"
#include "lbd/stats/recent.h"
#include "lbd/upstream/upstream_worker.h"

struct mail_bans;
struct mail_cache_worker;
struct mail_pace;
struct mail_users;
struct crowd;

struct proxy_worker {
    struct loop *loop;
    struct upstream_worker *upstream;
    struct counters_worker *counters;
    struct access_log *access_log;              /* NULL: off */
    struct mail_cache_worker *mail_cache;       /* NULL: none (tests) */
    struct mail_users *mail_users;              /* of the process; NULL: none (tests) */
    struct mail_bans *mail_bans;                /* likewise */
    struct mail_pace *mail_pace;                /* likewise */
    struct mail_callback_worker mail_callbacks; /* zeroed: none (tests) */
    struct mailbox *control;                    /* for words for the log; NULL: nowhere (tests) */
    uint64_t mail_told_us;                      /* the last one */
    struct lease *lease;                        /* on the snapshot that new requests use */
    uint64_t revision;                          /* of that snapshot */
    struct list_node fronts;
    struct door_queue door;
    struct list_node sweeps; /* walks over the clients that are under way */
    struct sweep goodbyes;   /* one of them: front_drain */
    struct slab sessions;
    struct slab exchanges;
    struct slab exchange_heads;
    struct slab exchange_tunnels;
    struct slab tcp_sessions;
    struct slab mail_sessions;
    struct slab tunnels;
    struct slab imap_tracks;        /* struct imap_track_work */
    struct loop_timer accept_again; /* after descriptors ran out, or the limit was reached */
    struct pattern_work patterns;
    struct mirror_worker mirrors;
    struct crowd *mail_crowd; /* of the process: mail clients that are not logged in */
    struct recent recent;     /* requests that failed or were slow */
    struct relief relief;     /* what is given up near the limits */
    uint64_t request_id_base;
    uint64_t requests;
    uint64_t accepted;
    uint32_t worker;
    uint32_t max_connections; /* of this worker */
    _Atomic uint32_t open_connections;
    uint32_t tunnel_count;
    bool draining;
    bool goodbyes_again; /* another front began to close meanwhile */
    bool accept_paused;
    void (*on_quiet)(struct proxy_worker *proxy); /* while draining: the last connection ended */
};

void proxy_worker_init(struct proxy_worker *proxy, struct loop *loop,
                       struct upstream_worker *upstream, struct access_log *access_log,
                       uint32_t worker, uint32_t max_connections);
/* Every front is gone before. */
void proxy_worker_fini(struct proxy_worker *proxy);

#endif
