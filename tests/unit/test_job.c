#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "lbd/base/job.h"
#include "tests/unit/unit.h"

enum { JOBS = 200 };

struct counted {
    struct job job;
    uint32_t number;
    bool worked;
    bool done;
};

static struct counted jobs[JOBS];
static uint32_t order[JOBS];
static uint32_t done_count;
static atomic_uint at_once;
static atomic_uint at_once_most;
static pthread_t poster;

static void work(struct job *job)
{
    struct counted *counted = container_of(job, struct counted, job);
    unsigned now = atomic_fetch_add(&at_once, 1) + 1;
    unsigned most = atomic_load(&at_once_most);
    while (now > most && !atomic_compare_exchange_weak(&at_once_most, &most, now)) {
        /* somebody else was higher */
    }
    ck_assert(!pthread_equal(pthread_self(), poster));
    counted->worked = true;
    (void)atomic_fetch_sub(&at_once, 1);
}

static void on_done(struct job *job)
{
    struct counted *counted = container_of(job, struct counted, job);
    ck_assert(pthread_equal(pthread_self(), poster));
    ck_assert(counted->worked);
    ck_assert(!counted->done);
    counted->done = true;
    order[done_count++] = counted->number;
}

static void wait_for_all(struct mailbox *mailbox)
{
    while (done_count < JOBS) {
        struct pollfd watch = {.fd = mailbox_fd(mailbox), .events = POLLIN};
        ck_assert_int_eq(poll(&watch, 1, 60000), 1);
        (void)mailbox_drain(mailbox);
    }
}

static void run_all(uint32_t threads, bool stops_at_once)
{
    struct mailbox mailbox;
    struct err err;
    memset(jobs, 0, sizeof(jobs));
    done_count = 0;
    poster = pthread_self();
    ck_assert(mailbox_init(&mailbox, NULL, &err));
    struct job_pool *pool = job_pool_start(threads, &mailbox, &err);
    ck_assert_ptr_nonnull(pool);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        jobs[i].job.work = work;
        jobs[i].job.done = on_done;
        job_post(pool, &jobs[i].job);
    }
    if (!stops_at_once) {
        wait_for_all(&mailbox);
    }
    job_pool_stop(pool);
    while (mailbox_drain(&mailbox) != 0) {
        /* what was done last */
    }
    ck_assert_uint_eq(done_count, JOBS);
    mailbox_fini(&mailbox);
}

START_TEST(every_job_is_worked_off_and_comes_back_once)
{
    run_all(2, false);
    ck_assert_uint_le(atomic_load(&at_once_most), 2);
}
END_TEST

START_TEST(one_thread_keeps_the_order)
{
    run_all(1, false);
    for (uint32_t i = 0; i < JOBS; i++) {
        ck_assert_uint_eq(order[i], i);
    }
}
END_TEST

START_TEST(stopping_leaves_nothing_undone)
{
    run_all(2, true);
}
END_TEST

START_TEST(stopping_nothing_is_fine)
{
    job_pool_stop(NULL);
}
END_TEST

UNIT_TESTS("job", every_job_is_worked_off_and_comes_back_once, one_thread_keeps_the_order,
           stopping_leaves_nothing_undone, stopping_nothing_is_fine)
