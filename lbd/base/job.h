/*
 * job - slow work beside a loop: a few threads that take it, a mailbox that brings it back.
 *
 *     control: job_post(pool, job) --queue--> a thread of the pool: job->work(job)
 *              job->done(job)     <--mailbox--------'
 *
 * For what would make a loop wait: compiling a large document, hashing a password. Jobs that one
 * loop posts begin in order; with one thread they end in order too.
 *
 * Memory: a job is the poster's, embedded in what it is about; between post and done it belongs to
 * the pool. Threads: post, stop: the receiver of the mailbox; work: one of the pool's.
 */
#ifndef LBD_BASE_JOB_H
#define LBD_BASE_JOB_H

#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/mailbox.h"

#define JOB_THREADS_MAX 4

struct job {
    struct mailbox_message message; /* the pool's */
    struct job *next;               /* the pool's */
    void (*work)(struct job *job);  /* on a thread of the pool; may block */
    void (*done)(struct job *job);  /* on the thread that drains the mailbox; the job is its own */
};

struct job_pool;

/* Starts 1 to JOB_THREADS_MAX threads. `receiver` (borrowed, outlives the pool) gets what is done.
 * NULL: *err says why. */
LB_MUST_CHECK struct job_pool *job_pool_start(uint32_t threads, struct mailbox *receiver,
                                              struct err *err);
void job_post(struct job_pool *pool, struct job *job);
/* Waits until everything that was posted is worked off, joins the threads, frees the pool. Drain
 * the mailbox afterwards: what was done last lies in it. NULL is fine. */
void job_pool_stop(struct job_pool *pool);

#endif
