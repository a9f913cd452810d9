/*
 * filter_worker - what a worker has for the filters that think: a thread for slow sums, a memory of
 * what was found out, connections to whom is asked and what outlives its request, coders of bodies.
 *
 *     filter --job_post--> the thread --mailbox--> job->done on the worker
 *
 * The thread is started by the first job.
 *
 * Memory: one per worker, slot LOOP_SLOT_FILTER. Threads: that worker.
 */
#ifndef LBD_FILTER_FILTER_WORKER_H
#define LBD_FILTER_FILTER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/job.h"
#include "lbd/base/list.h"
#include "lbd/base/mailbox.h"
#include "lbd/filter/coder.h"
#include "lbd/filter/filter.h"
#include "lbd/filter/filter_memo.h"
#include "lbd/net/loop.h"
#include "lbd/upstream/http_client.h"

#define FILTER_JOBS_MAX   64U  /* that wait on one worker */
#define FILTER_ASIDES_MAX 128U /* questions of one worker that nobody waits for */

/* Something that a filter finds out beside its request (filter_ops.aside). */
struct filter_aside {
    struct list_node link;
    void (*cancel)(struct filter_aside *aside); /* the worker ends: it is let go and ends itself */
};

struct filter_worker {
    struct loop *loop;
    struct filter_memo *memo; /* NULL: nobody needed it yet */
    struct job_pool *jobs;    /* NULL: likewise */
    struct mailbox mailbox;   /* of `jobs` */
    struct loop_watch watch;
    uint32_t waiting; /* jobs that were posted and are not done */
    struct http_client client;
    struct list_node asides; /* struct filter_aside */
    uint32_t aside_count;
    struct coder_pool coders;
};

/* `resolvers` are borrowed for its life: "ip:port"; none: the system's. */
void filter_worker_init(struct filter_worker *worker, struct loop *loop,
                        const struct slice *resolvers, uint32_t resolver_count);
/* Every request has ended; jobs that are under way are waited for. Also one that is zeroed. */
void filter_worker_fini(struct filter_worker *worker);
struct filter_worker *filter_worker_of(const struct loop *loop);
static inline struct coder_pool *filter_worker_coders(struct filter_worker *worker)
{
    return &worker->coders;
}
struct filter_memo *filter_worker_memo(struct filter_worker *worker);
/* filter_memo_find of the worker's memory, counted. */
bool filter_worker_recall(const struct filter_run *run, const struct filter *filter,
                          const struct filter_memo_key *key, void **value);
/* job->done comes later, from the loop. False: too many wait already, or there can be no thread. */
bool filter_worker_post(struct filter_worker *worker, struct job *job);
/* False: too many are under way, and it must not begin. */
bool filter_worker_begin_aside(struct filter_worker *worker, struct filter_aside *aside);
void filter_worker_end_aside(struct filter_worker *worker, struct filter_aside *aside);
/* In job->done: one less waits. */
void filter_worker_done(struct filter_worker *worker);

#endif
