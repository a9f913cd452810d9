#include <pthread.h>
#include <stdatomic.h>

#include "lbd/base/random.h"
#include "lbd/filter/rate_buckets.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static struct key_table table;
static struct rate rate;

static void set_up(uint32_t keys, uint32_t count, uint32_t period_ms, uint32_t burst)
{
    key_table_init(&table, keys);
    rate_init(&rate, count, period_ms, burst);
}

static uint32_t take_all(uint64_t key, uint64_t now_ns)
{
    struct rate_taken taken;
    uint32_t count = 0;
    while (rate_take(&table, &rate, key, now_ns, &taken)) {
        count++;
    }
    return count;
}

START_TEST(a_burst_and_then_evenly)
{
    struct rate_taken taken;
    set_up(64, 10, 1000, 5);
    ck_assert(rate_take(&table, &rate, 1, START, &taken));
    ck_assert_uint_eq(taken.left, 4);
    ck_assert_uint_eq(taken.full_ns, SECOND / 10);
    ck_assert_uint_eq(take_all(1, START), 4);
    ck_assert(!rate_take(&table, &rate, 1, START, &taken));
    ck_assert_uint_eq(taken.wait_ns, SECOND / 10);
    ck_assert_uint_eq(taken.left, 0);
    ck_assert_uint_eq(take_all(1, START + SECOND / 10 - 1), 0);
    ck_assert_uint_eq(take_all(1, START + SECOND / 10), 1);
    ck_assert_uint_eq(take_all(1, START + SECOND / 10 * 3), 2);
    ck_assert_uint_eq(take_all(2, START), 5); /* another key is not concerned */
    ck_assert_uint_eq(take_all(1, START + 100 * SECOND), 5);
    key_table_fini(&table);
}
END_TEST

/* A window by the clock would let twice as many through around its edge. */
START_TEST(no_span_of_time_has_more_than_its_share)
{
    enum { TAKEN_MAX = 4000 };
    static uint64_t times[TAKEN_MAX];
    struct random random;
    uint32_t count = 0;
    random_seed_with(&random, 7);
    set_up(64, 60, 60000, 20); /* one a second, 20 at once */
    for (uint64_t now = START; count < TAKEN_MAX; now += random_below(&random, 900) * 1000000U) {
        struct rate_taken taken;
        if (rate_take(&table, &rate, 1, now, &taken)) {
            times[count++] = now;
        }
    }
    for (uint32_t from = 0; from < count; from++) {
        for (uint32_t to = from; to < count && to < from + 100; to++) {
            uint64_t span = times[to] - times[from];
            unit_expect(to - from + 1 <= 20 + span / SECOND, "%u in %llu ns", to - from + 1,
                        (unsigned long long)span);
        }
    }
    key_table_fini(&table);
}
END_TEST

/* What a bucket of one key alone would say. */
static bool exact_take(uint64_t *full_at_ns, uint64_t now_ns, bool takes)
{
    uint64_t full = (*full_at_ns > now_ns ? *full_at_ns : now_ns) + rate.interval_ns;
    bool ok = full <= now_ns + rate.burst_ns;
    if (ok && takes) {
        *full_at_ns = full;
    }
    return ok;
}

START_TEST(who_is_pushed_out_gains_nothing)
{
    enum { KEYS = 500, ROUNDS = 300000 };
    static uint64_t full_at_ns[KEYS];
    struct random random;
    uint64_t now = START;
    uint32_t evictions = 0;
    uint32_t let_in = 0;
    random_seed_with(&random, 11);
    set_up(32, 10, 1000, 8); /* a fraction of the keys has a place */
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct rate_taken taken;
        uint32_t key = random_below(&random, 3) == 0 ? 0 : random_below(&random, KEYS);
        now += random_below(&random, 4000000);
        if (rate_take(&table, &rate, key + 1, now, &taken)) {
            unit_expect(exact_take(&full_at_ns[key], now, true), "round %u, key %u: credit", i,
                        key);
            let_in++;
        }
        evictions += taken.is_eviction;
    }
    ck_assert_uint_gt(evictions, 1000);
    ck_assert_uint_gt(let_in, 10000);
    key_table_fini(&table);
}
END_TEST

START_TEST(a_flood_of_keys_leaves_the_empty_bucket_empty)
{
    set_up(16, 1, 3600000, 3);
    ck_assert_uint_eq(take_all(5, START), 3);
    for (uint64_t key = 100; key < 5000; key++) {
        (void)take_all(key, START + 1);
    }
    ck_assert_uint_eq(take_all(5, START + 2), 0);
    key_table_fini(&table);
}
END_TEST

START_TEST(the_fastest_and_the_slowest_rates_work)
{
    set_up(16, 1000000, 1000, 1000000);
    ck_assert_uint_eq(take_all(1, START), 1000000);
    ck_assert_uint_eq(take_all(1, START + 1000 * 500), 500);
    key_table_fini(&table);
    set_up(16, 1, 3600000, 1000000);
    ck_assert_uint_eq(take_all(1, START), 1000000);
    ck_assert_uint_eq(take_all(1, START + 3600 * SECOND), 1);
    key_table_fini(&table);
}
END_TEST

/* -- many threads -- */

enum { THREADS = 4, TRIES = 50000, BURST = 30000 };

static atomic_uint let_in;

static void *hammer(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < TRIES; i++) {
        struct rate_taken taken;
        if (rate_take(&table, &rate, 1, START, &taken)) {
            (void)atomic_fetch_add(&let_in, 1);
        }
        (void)rate_take(&table, &rate, 2 + i % 3, START, &taken);
    }
    return NULL;
}

START_TEST(the_sum_over_threads_is_exact)
{
    pthread_t threads[THREADS];
    set_up(16, BURST, 1000, BURST);
    atomic_store(&let_in, 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(let_in, BURST);
    key_table_fini(&table);
}
END_TEST

UNIT_TESTS("rate_buckets", a_burst_and_then_evenly, no_span_of_time_has_more_than_its_share,
           who_is_pushed_out_gains_nothing, a_flood_of_keys_leaves_the_empty_bucket_empty,
           the_fastest_and_the_slowest_rates_work, the_sum_over_threads_is_exact)
