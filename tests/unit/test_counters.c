#include <pthread.h>
#include <stdatomic.h>

#include "lbd/stats/counters.h"
#include "tests/unit/unit.h"

START_TEST(each_worker_counts_for_itself_and_reading_sums)
{
    counters_init(3);
    uint32_t pool = counters_acquire(COUNTERS_POOL);
    uint32_t other = counters_acquire(COUNTERS_POOL);
    ck_assert_uint_ne(pool, 0);
    ck_assert_uint_ne(pool, other);
    for (uint32_t i = 0; i < 3; i++) {
        struct counters_pool *mine = counters_of_pool(counters_worker(i), pool);
        counter_add(&mine->retries, i + 1);
        counter_add(&mine->errors[COUNTERS_ERROR_RESET], 1);
        histogram_note_us(&mine->connect_duration, 300);
    }
    counter_add(&counters_of_pool(counters_control(), pool)->checks[COUNTERS_CHECK_FAILED], 5);

    struct counters_pool sum;
    counters_read(COUNTERS_POOL, pool, &sum);
    ck_assert_uint_eq(sum.retries, 6);
    ck_assert_uint_eq(sum.errors[COUNTERS_ERROR_RESET], 3);
    ck_assert_uint_eq(sum.errors[COUNTERS_ERROR_TIMEOUT], 0);
    ck_assert_uint_eq(sum.connect_duration.buckets[2], 3);
    ck_assert_uint_eq(sum.connect_duration.sum_us, 900);
    ck_assert_uint_eq(sum.checks[COUNTERS_CHECK_FAILED], 5);
    ck_assert_uint_eq(counters_sum(COUNTERS_POOL, pool, COUNTERS_SLOT(pool, retries)), 6);
    counters_read(COUNTERS_POOL, other, &sum);
    ck_assert_uint_eq(sum.retries, 0);
    counters_fini();
}
END_TEST

START_TEST(a_loop_is_not_summed)
{
    counters_init(2);
    counter_add(&counters_worker(0)->loop.passes, 10);
    counter_add(&counters_worker(1)->loop.passes, 20);
    struct counters_loop loop;
    counters_read(COUNTERS_LOOP, 1, &loop);
    ck_assert_uint_eq(loop.passes, 20);
    ck_assert_uint_eq(counters_sum(COUNTERS_LOOP, 0, COUNTERS_SLOT(loop, passes)), 10);
    counters_fini();
}
END_TEST

/* Every kind over several chunks: no two blocks may share memory, and old pointers stay. */
START_TEST(blocks_grow_without_moving)
{
    enum { COUNT = 2000 };
    static uint32_t ids[COUNT];
    counters_init(1);
    struct counters_worker *worker = counters_worker(0);
    uint32_t first = counters_acquire(COUNTERS_SERVER);
    const struct counters_server *pointer = counters_of_server(worker, first);
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = counters_acquire(COUNTERS_SERVER);
        counter_add(&counters_of_server(worker, ids[i])->requests, i + 1);
        counter_add(&counters_of_server(worker, ids[i])->response_us, i + 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct counters_server sum;
        counters_read(COUNTERS_SERVER, ids[i], &sum);
        ck_assert_uint_eq(sum.requests, i + 1);
        ck_assert_uint_eq(sum.response_us, i + 1);
        ck_assert_uint_eq(sum.errors, 0);
    }
    ck_assert_ptr_eq(counters_of_server(worker, first), pointer);
    for (uint32_t kind = COUNTERS_LISTENER; kind < COUNTERS_LOOP; kind++) {
        uint32_t last = 0;
        for (size_t i = 0; i < 600; i++) {
            uint32_t id = counters_acquire((enum counters_kind)kind);
            ck_assert_uint_ne(id, last);
            last = id;
        }
        ck_assert_uint_eq(counters_sum((enum counters_kind)kind, last, 0), 0);
    }
    counters_fini();
}
END_TEST

START_TEST(a_released_id_comes_back_only_when_all_zeroed_it)
{
    counters_init(2);
    uint32_t id = counters_acquire(COUNTERS_ROUTE);
    counter_add(&counters_of_route(counters_worker(0), id)->requests[1], 7);
    counter_add(&counters_of_route(counters_worker(1), id)->requests[1], 8);
    counter_add(&counters_of_route(counters_control(), id)->requests[1], 9);
    counters_release(COUNTERS_ROUTE, id);
    ck_assert_uint_eq(counters_pending(), 1); /* and the sweep has begun */
    counters_sweep(counters_worker(0));
    ck_assert_uint_eq(counters_pending(), 1);
    uint32_t meanwhile = counters_acquire(COUNTERS_ROUTE);
    ck_assert_uint_ne(meanwhile, id);
    counters_sweep(counters_worker(1));
    ck_assert_uint_eq(counters_pending(), 0);
    ck_assert_uint_eq(counters_acquire(COUNTERS_ROUTE), id);
    struct counters_route sum;
    counters_read(COUNTERS_ROUTE, id, &sum);
    ck_assert_uint_eq(sum.requests[1], 0);
    counters_sweep(counters_worker(0)); /* nothing to do: nothing happens */
    counters_release(COUNTERS_ROUTE, 0);
    ck_assert_uint_eq(counters_pending(), 0);
    counters_fini();
}
END_TEST

START_TEST(a_removed_object_keeps_its_numbers_during_a_scrape)
{
    counters_init(1);
    uint32_t id = counters_acquire(COUNTERS_SERVER);
    counter_add(&counters_of_server(counters_worker(0), id)->requests, 7);
    counters_hold();
    counters_hold();
    counters_release(COUNTERS_SERVER, id);
    ck_assert_uint_eq(counters_pending(), 1);
    counters_sweep(counters_worker(0));
    ck_assert_uint_eq(counters_sum(COUNTERS_SERVER, id, COUNTERS_SLOT(server, requests)), 7);
    counters_unhold();
    counters_sweep(counters_worker(0));
    ck_assert_uint_eq(counters_sum(COUNTERS_SERVER, id, COUNTERS_SLOT(server, requests)), 7);
    counters_unhold();
    counters_sweep(counters_worker(0));
    ck_assert_uint_eq(counters_pending(), 0);
    ck_assert_uint_eq(counters_sum(COUNTERS_SERVER, id, COUNTERS_SLOT(server, requests)), 0);
    counters_fini();
}
END_TEST

START_TEST(ids_may_be_taken_before_the_workers_are_there)
{
    uint32_t id = counters_acquire(COUNTERS_LISTENER);
    uint32_t many = id;
    for (size_t i = 0; i < 100; i++) {
        many = counters_acquire(COUNTERS_LISTENER);
    }
    counters_init(2);
    ck_assert_uint_eq(counters_worker_count(), 2);
    counter_add(&counters_of_listener(counters_worker(1), many)->client_aborts, 1);
    counter_add(&counters_of_listener(counters_control(), many)->client_aborts, 1);
    ck_assert_uint_eq(counters_sum(COUNTERS_LISTENER, many, COUNTERS_SLOT(listener, client_aborts)),
                      2);
    ck_assert_uint_eq(counters_sum(COUNTERS_LISTENER, id, COUNTERS_SLOT(listener, client_aborts)),
                      0);
    counters_fini();
    counters_release(COUNTERS_LISTENER, id); /* an object that outlives the counters */
    ck_assert_uint_eq(counters_pending(), 0);
}
END_TEST

START_TEST(id_zero_counts_into_the_void)
{
    counters_init(1);
    counter_add(&counters_of_pool(counters_worker(0), 0)->retries, 1);
    counter_add(&counters_of_server(counters_worker(0), 0)->requests, 1);
    uint32_t id = counters_acquire(COUNTERS_POOL);
    ck_assert_uint_eq(counters_sum(COUNTERS_POOL, id, COUNTERS_SLOT(pool, retries)), 0);
    counters_fini();
}
END_TEST

START_TEST(codes_and_reasons_find_their_place)
{
    ck_assert_uint_eq(counters_code_of(101), 0);
    ck_assert_uint_eq(counters_code_of(204), 1);
    ck_assert_uint_eq(counters_code_of(599), 4);
    ck_assert_uint_eq(counters_code_of(0), 4);
    ck_assert_uint_eq(counters_code_of(999), 4);
    ck_assert_int_eq(counters_error_of(CLOSE_OK), COUNTERS_ERROR_COUNT);
    ck_assert_int_eq(counters_error_of(CLOSE_CLIENT_ABORT), COUNTERS_ERROR_COUNT);
    ck_assert_int_eq(counters_error_of(CLOSE_CONNECT_REFUSED), COUNTERS_ERROR_REFUSED);
    ck_assert_int_eq(counters_error_of(CLOSE_RESPONSE_TIMEOUT), COUNTERS_ERROR_TIMEOUT);
    ck_assert_int_eq(counters_error_of(CLOSE_SERVER_TRUNCATED), COUNTERS_ERROR_RESET);
    ck_assert_int_eq(counters_error_of(CLOSE_BAD_RESPONSE_FRAMING), COUNTERS_ERROR_PROTOCOL);
    ck_assert_int_eq(counters_error_of(CLOSE_UNRESOLVED), COUNTERS_ERROR_DNS);
}
END_TEST

enum { ROUNDS = 200000 };

static atomic_uint running;
static uint32_t shared_id;

static void *work(void *argument)
{
    struct counters_worker *worker = argument;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct counters_pool *pool = counters_of_pool(worker, shared_id);
        counter_add(&pool->requests_started, 1);
        counter_add(&pool->requests_finished, 1);
        if (i % 64 == 0) {
            counters_sweep(worker);
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* While two workers count, control reads, and other objects come and go. */
START_TEST(sums_grow_and_gauges_stay_small_while_workers_count)
{
    enum { WORKERS = 2 };
    pthread_t threads[WORKERS];
    counters_init(WORKERS);
    shared_id = counters_acquire(COUNTERS_POOL);
    atomic_store(&running, WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, counters_worker(i)), 0);
    }
    uint64_t before = 0;
    while (atomic_load(&running) != 0) {
        struct counters_pool sum;
        counters_read(COUNTERS_POOL, shared_id, &sum);
        ck_assert_uint_ge(sum.requests_started, before);
        ck_assert_uint_ge(sum.requests_started, sum.requests_finished);
        before = sum.requests_started;
        counters_release(COUNTERS_POOL, counters_acquire(COUNTERS_POOL));
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        counters_sweep(counters_worker(i));
    }
    ck_assert_uint_eq(counters_sum(COUNTERS_POOL, shared_id, COUNTERS_SLOT(pool, requests_started)),
                      (uint64_t)WORKERS * ROUNDS);
    ck_assert_uint_eq(counters_gauge(COUNTERS_POOL, shared_id,
                                     COUNTERS_SLOT(pool, requests_started),
                                     COUNTERS_SLOT(pool, requests_finished)),
                      0);
    counters_fini();
}
END_TEST

UNIT_TESTS("counters", each_worker_counts_for_itself_and_reading_sums, a_loop_is_not_summed,
           blocks_grow_without_moving, a_released_id_comes_back_only_when_all_zeroed_it,
           a_removed_object_keeps_its_numbers_during_a_scrape,
           ids_may_be_taken_before_the_workers_are_there, id_zero_counts_into_the_void,
           codes_and_reasons_find_their_place, sums_grow_and_gauges_stay_small_while_workers_count)
