#include "lbd/filter/filter_worker.h"

#include <string.h>

void filter_worker_init(struct filter_worker *worker, struct loop *loop,
                        const struct slice *resolvers, uint32_t resolver_count)
{
    memset(worker, 0, sizeof(*worker));
    worker->loop = loop;
    list_init(&worker->asides);
    http_client_init(&worker->client, loop, resolvers, resolver_count);
    loop_slot_set(loop, LOOP_SLOT_FILTER, worker);
}

void filter_worker_fini(struct filter_worker *worker)
{
    if (worker->jobs != NULL) {
        job_pool_stop(worker->jobs);
        (void)mailbox_drain(&worker->mailbox);
        loop_watch_stop(&worker->watch);
        mailbox_fini(&worker->mailbox);
    }
    while (worker->loop != NULL && !list_is_empty(&worker->asides)) {
        struct filter_aside *aside =
            list_entry(list_first(&worker->asides), struct filter_aside, link);
        aside->cancel(aside);
    }
    http_client_fini(&worker->client);
    filter_memo_free(worker->memo);
    if (worker->loop != NULL) {
        coder_pool_fini(&worker->coders, loop_slot(worker->loop, LOOP_SLOT_NET));
    }
    memset(worker, 0, sizeof(*worker));
}

struct filter_worker *filter_worker_of(const struct loop *loop)
{
    return loop_slot(loop, LOOP_SLOT_FILTER);
}

struct filter_memo *filter_worker_memo(struct filter_worker *worker)
{
    if (worker->memo == NULL) {
        worker->memo = filter_memo_new();
    }
    return worker->memo;
}

static void on_done(struct loop_watch *watch, unsigned ready)
{
    struct filter_worker *worker = container_of(watch, struct filter_worker, watch);
    (void)ready;
    (void)mailbox_drain(&worker->mailbox);
}

static bool start(struct filter_worker *worker)
{
    struct err err = {0};
    if (!mailbox_init(&worker->mailbox, worker, &err)) {
        return false;
    }
    if (loop_watch_start(worker->loop, &worker->watch, mailbox_fd(&worker->mailbox), LOOP_READ,
                         on_done)) {
        worker->jobs = job_pool_start(1, &worker->mailbox, &err);
        if (worker->jobs != NULL) {
            return true;
        }
        loop_watch_stop(&worker->watch);
    }
    mailbox_fini(&worker->mailbox);
    return false;
}

bool filter_worker_post(struct filter_worker *worker, struct job *job)
{
    if (worker->waiting >= FILTER_JOBS_MAX || (worker->jobs == NULL && !start(worker))) {
        return false;
    }
    worker->waiting++;
    job_post(worker->jobs, job);
    return true;
}

bool filter_worker_begin_aside(struct filter_worker *worker, struct filter_aside *aside)
{
    if (worker->aside_count >= FILTER_ASIDES_MAX) {
        return false;
    }
    worker->aside_count++;
    list_push_back(&worker->asides, &aside->link);
    return true;
}

void filter_worker_end_aside(struct filter_worker *worker, struct filter_aside *aside)
{
    worker->aside_count--;
    list_remove(&aside->link);
}

void filter_worker_done(struct filter_worker *worker)
{
    worker->waiting--;
}

bool filter_worker_recall(const struct filter_run *run, const struct filter *filter,
                          const struct filter_memo_key *key, void **value)
{
    struct filter_memo *memo = filter_worker_memo(filter_worker_of(run->loop));
    bool is_known = filter_memo_find(memo, key, loop_now_us(run->loop), value);
    enum counters_memo what = is_known ? COUNTERS_MEMO_HIT : COUNTERS_MEMO_MISS;
    counter_add(&counters_of_policy(run->counters, filter->id)->memo[what], 1);
    return is_known;
}
