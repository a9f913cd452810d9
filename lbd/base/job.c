#include "lbd/base/job.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

struct job_pool {
    struct mailbox *receiver; /* borrowed */
    pthread_t threads[JOB_THREADS_MAX];
    uint32_t thread_count;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct job *first;
    struct job *last;
    bool is_stopping;
};

static void deliver(struct mailbox_message *message, void *receiver)
{
    struct job *job = container_of(message, struct job, message);
    (void)receiver;
    job->done(job);
}

/* Waits for a job; NULL: there will be none. */
static struct job *take(struct job_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->is_stopping) {
        (void)pthread_cond_wait(&pool->more, &pool->lock);
    }
    struct job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        if (pool->first == NULL) {
            pool->last = NULL;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *run(void *arg)
{
    struct job_pool *pool = arg;
    struct job *job = NULL;
    while ((job = take(pool)) != NULL) {
        job->work(job);
        job->message.deliver = deliver;
        mailbox_post(pool->receiver, &job->message);
    }
    return NULL;
}

/* Signals are the control thread's. */
static int start_thread(struct job_pool *pool)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&pool->threads[pool->thread_count], NULL, run, pool);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_setname_np(pool->threads[pool->thread_count], "lbd-job");
    }
    return error;
}

struct job_pool *job_pool_start(uint32_t threads, struct mailbox *receiver, struct err *err)
{
    struct job_pool *pool = mem_zero(1, sizeof(*pool));
    assert(threads >= 1 && threads <= JOB_THREADS_MAX);
    pool->receiver = receiver;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->more, NULL);
    while (pool->thread_count < threads) {
        int error = start_thread(pool);
        if (error != 0) {
            job_pool_stop(pool);
            (void)err_set(err, ERR_SYSTEM, "cannot start a thread: %s", strerror(error));
            return NULL;
        }
        pool->thread_count++;
    }
    return pool;
}

void job_post(struct job_pool *pool, struct job *job)
{
    job->next = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->last != NULL) {
        pool->last->next = job;
    } else {
        pool->first = job;
    }
    pool->last = job;
    (void)pthread_cond_signal(&pool->more);
    (void)pthread_mutex_unlock(&pool->lock);
}

void job_pool_stop(struct job_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    (void)pthread_cond_broadcast(&pool->more);
    (void)pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&pool->more);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}
