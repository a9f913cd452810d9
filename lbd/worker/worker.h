/*
 * worker - the threads that own connections.
 *
 * Each has its loop, its mailbox, its listening sockets' events, its idle server connections and
 * its counters; a connection lives on one worker for life. Control talks to them by messages only:
 *
 *     publish(snapshot) --message--> adopt: swap plans, start and stop accepting
 *                                      '--message--> all adopted?
 *               last exchange on the old snapshot --message--> released (control frees it)
 *     drain(deadline)   --message--> stop accepting, answers say close, end what is left
 *                                      '--message--> drained
 *
 * Threads: control calls everything here.
 */
#ifndef LBD_WORKER_WORKER_H
#define LBD_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/mailbox.h"
#include "lbd/net/loop.h"
#include "lbd/proxy/pressure.h"
#include "lbd/snapshot/snapshot.h"

struct workers;
struct log_writer;
struct mail_cache;
struct mail_answers;
struct mail_bans;
struct mail_users;

/* A stage that a worker is in, and why. */
struct worker_pressure {
    uint32_t worker;
    enum pressure_kind kind;
    uint8_t stage;
    uint64_t used; /* of its part; of lag: microseconds of a pass */
    uint64_t limit;
};

struct workers_options {
    uint32_t count;                /* 1 to SNAPSHOT_WORKERS_MAX */
    struct mailbox *control;       /* where answers go; its receiver is control's business */
    struct log_writer *access_log; /* NULL: off */
    uint32_t max_connections;      /* of the process, split over the workers */
    uint32_t max_idle;             /* connections to servers that wait, likewise; 0: no limit */
    uint64_t max_buffered_bytes;   /* likewise; 0: any number */
    uint64_t max_memory_bytes;     /* likewise; 0: any number */
    uint32_t shed_lag_ms;          /* 0: nothing is shed */
    uint64_t drain_timeout_ms;     /* of a listener that was removed; of clients that must show
                                      more than they have */
    const struct slice *resolvers; /* for callbacks of mail: "ip:port"; none: the system's */
    uint32_t resolver_count;
    void (*released)(struct snapshot *snapshot,
                     void *arg); /* on control: nobody reads it any more */
    /* NULL, or on control: a worker went over to another stage (proxy/pressure.h). */
    void (*pressed)(const struct worker_pressure *pressure, void *arg);
    void *arg;
};

/* Usable CPUs: affinity mask and cgroup quota, 1 to SNAPSHOT_WORKERS_MAX. */
uint32_t workers_auto_count(void);
LB_MUST_CHECK struct workers *workers_start(const struct workers_options *options, struct err *err);
uint32_t workers_count(const struct workers *workers);
/* Users of mail and bans, over all workers; they live as long as the workers. */
struct mail_users *workers_mail_users(const struct workers *workers);
struct mail_bans *workers_mail_bans(const struct workers *workers);
struct mail_answers *workers_mail_answers(const struct workers *workers);
/* Hands the snapshot (with its leases made) to every worker; the previous one is retired. adopted()
 * runs on control when all of them run it. Publications are adopted in order. */
void workers_publish(struct workers *workers, struct snapshot *snapshot,
                     void (*adopted)(struct snapshot *snapshot, void *arg), void *arg);
/* Asks every worker for one pass of its loop: an idle one makes none by itself (is it alive?). */
void workers_ping(struct workers *workers);
/* Stops accepting, lets requests end, closes idle connections politely; drained() runs on control
 * when nothing is open, at the latest at the deadline, when the rest is closed. */
void workers_drain(struct workers *workers, uint64_t deadline_ms, void (*drained)(void *arg),
                   void *arg);
/* Ends everything at once, joins the threads, frees. The last snapshot is released before it
 * returns. Run mailbox_drain of control afterwards. */
void workers_stop(struct workers *workers);

/* The logged-in connections that all of them keep for webmail. */
struct mail_cache *workers_mail_cache(const struct workers *workers);

/* For metrics and status; any time. */
struct loop_stats workers_loop_stats(const struct workers *workers, uint32_t worker);
uint64_t workers_generation(const struct workers *workers, uint32_t worker); /* adopted */
uint32_t workers_connections(const struct workers *workers,
                             uint32_t worker); /* client connections open */

#endif
