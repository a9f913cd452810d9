/*
 * worker_inside - a worker's own state, for the files of this room.
 *
 * Threads: as noted.
 */
#ifndef LBD_WORKER_WORKER_INSIDE_H
#define LBD_WORKER_WORKER_INSIDE_H

#include <pthread.h>

#include "lbd/filter/filter_worker.h"
#include "lbd/http/h1_conn.h"
#include "lbd/proxy/mail_bans.h"
#include "lbd/proxy/mail_pace.h"
#include "lbd/proxy/mail_users.h"
#include "lbd/proxy/proxy_worker.h"
#include "lbd/upstream/upstream_worker.h"
#include "lbd/worker/worker.h"

struct worker_drain;

/* One thread. All but the mailbox and `generation` belong to it. */
struct worker {
    struct workers *workers;
    uint32_t number;
    pthread_t thread;
    struct mailbox mailbox;
    _Atomic uint64_t generation; /* of the snapshot it runs */
    struct loop *loop;
    struct loop_watch mailbox_watch;
    struct loop_timer tidy_timer;
    struct net_worker net;
    struct http_worker http;
    struct upstream_worker upstream;
    struct filter_worker filter;
    struct proxy_worker proxy;
    struct mailbox_message *drained; /* to post when nothing is open any more; NULL: no drain */
} LB_ALIGNED;

struct workers {
    struct workers_options options;
    struct worker *list;
    struct mail_users *mail_users; /* owned */
    struct mail_bans *mail_bans;   /* owned */
    struct mail_pace mail_pace;
    struct mail_answers *mail_answers; /* owned */
    struct crowd *mail_crowd;          /* owned; of mail clients that are not logged in */
    uint32_t count;
    struct mail_cache *mail_cache;
};

/* How long a snapshot is in use: one lease per worker, the last one released tells control. */
struct worker_hold;

struct worker_hold_part {
    struct mailbox_message message; /* worker -> control: released */
    struct worker_hold *hold;
};

struct worker_hold {
    struct workers *workers;
    struct snapshot *snapshot;
    uint32_t remaining; /* control's */
    struct worker_hold_part parts[];
};

/* The worker runs the snapshot from here on. */
void worker_adopt(struct worker *worker, struct snapshot *snapshot, struct worker_hold *hold);
/* Stops accepting; `drained` is posted to control when nothing is open any more. */
void worker_drain_begin(struct worker *worker, uint64_t deadline_ms,
                        struct mailbox_message *drained);
/* Closes everything at once. */
void worker_end_all(struct worker *worker);

#endif
