#include <pthread.h>

#include "lbd/balance/learned.h"
#include "lbd/base/compiler.h"
#include "lbd/base/random.h"
#include "tests/unit/unit.h"

static uint64_t key_of(uint32_t i)
{
    return learned_key(slice_of((const char *)&i, sizeof(i)));
}

static bool knows(struct learned *learned, uint32_t i, uint32_t now_s, uint64_t want)
{
    uint64_t id = 0;
    return learned_find(learned, key_of(i), now_s, &id) && id == want;
}

START_TEST(what_was_put_is_found_and_replaced)
{
    struct learned *learned = learned_new(1000, 60);
    for (uint32_t i = 0; i < 500; i++) {
        learned_put(learned, key_of(i), i, 10);
    }
    ck_assert_uint_eq(learned_count(learned), 500);
    for (uint32_t i = 0; i < 500; i++) {
        ck_assert(knows(learned, i, 10, i));
        ck_assert(!knows(learned, i + 500, 10, i));
    }
    learned_put(learned, key_of(7), 70, 11);
    ck_assert(knows(learned, 7, 11, 70));
    ck_assert_uint_eq(learned_count(learned), 500);
    ck_assert_uint_eq(learned_evicted(learned), 0);
    learned_unref(learned);
}
END_TEST

START_TEST(what_is_not_used_is_over_in_time)
{
    struct learned *learned = learned_new(64, 60);
    learned_put(learned, key_of(1), 1, 10);
    learned_put(learned, key_of(2), 2, 10);
    ck_assert(knows(learned, 1, 60, 1)); /* this is use */
    ck_assert(!knows(learned, 2, 71, 2));
    ck_assert(knows(learned, 1, 120, 1));
    ck_assert(!knows(learned, 1, 181, 1));
    ck_assert_uint_eq(learned_count(learned), 0);
    ck_assert_uint_eq(learned_evicted(learned), 0);
    learned_unref(learned);
}
END_TEST

START_TEST(the_one_not_used_for_longest_makes_room)
{
    struct learned *learned = learned_new(64, 600); /* one stripe */
    for (uint32_t i = 0; i < 64; i++) {
        learned_put(learned, key_of(i), i, 10);
    }
    ck_assert(knows(learned, 0, 11, 0)); /* 1 is the oldest now */
    learned_put(learned, key_of(100), 100, 12);
    learned_put(learned, key_of(101), 101, 12);
    ck_assert(knows(learned, 0, 13, 0));
    ck_assert(!knows(learned, 1, 13, 1));
    ck_assert(!knows(learned, 2, 13, 2));
    ck_assert(knows(learned, 3, 13, 3));
    ck_assert(knows(learned, 100, 13, 100));
    ck_assert_uint_eq(learned_count(learned), 64);
    ck_assert_uint_eq(learned_evicted(learned), 2);
    learned_unref(learned);
}
END_TEST

START_TEST(it_never_has_more_than_it_may)
{
    static const uint32_t sizes[] = {64, 65, 100, 1000, 5000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct learned *learned = learned_new(sizes[s], 600);
        for (uint32_t i = 0; i < 3 * sizes[s]; i++) {
            learned_put(learned, key_of(i), i, i / 100);
            ck_assert_uint_le(learned_count(learned), sizes[s] + 64);
        }
        ck_assert_uint_ge(learned_count(learned), sizes[s]);
        learned_unref(learned);
    }
}
END_TEST

START_TEST(it_is_listed_and_forgotten)
{
    struct learned *learned = learned_new(500, 60);
    struct learned_row rows[300];
    const uint64_t odd = 1;
    for (uint32_t i = 0; i < 200; i++) {
        learned_put(learned, key_of(i), i % 2, 10);
    }
    ck_assert_uint_eq(learned_list(learned, NULL, 15, rows, 300), 200);
    ck_assert_uint_eq(rows[0].idle_s, 5);
    ck_assert_uint_eq(learned_list(learned, NULL, 15, rows, 7), 7);
    ck_assert_uint_eq(learned_list(learned, &odd, 15, rows, 300), 100);
    ck_assert_uint_eq(rows[50].id, 1);
    ck_assert_uint_eq(learned_list(learned, NULL, 71, rows, 300), 0);
    ck_assert_uint_eq(learned_forget(learned, key_of(4)), 1);
    ck_assert_uint_eq(learned_forget(learned, key_of(4)), 0);
    ck_assert_uint_eq(learned_forget_all(learned, &odd), 100);
    ck_assert_uint_eq(learned_count(learned), 99);
    ck_assert(!knows(learned, 5, 15, 1));
    ck_assert(knows(learned, 6, 15, 0));
    ck_assert_uint_eq(learned_forget_all(learned, NULL), 99);
    learned_put(learned, key_of(1), 1, 15);
    ck_assert(knows(learned, 1, 15, 1));
    learned_unref(learned);
}
END_TEST

START_TEST(a_copy_keeps_what_was_used_last)
{
    struct learned *from = learned_new(1000, 60);
    struct learned *to = learned_new(64, 60);
    for (uint32_t i = 0; i < 200; i++) {
        learned_put(from, key_of(i), i, i < 150 ? 10 : 100);
    }
    learned_copy(to, from, 101); /* those of 10 are over */
    ck_assert_uint_eq(learned_count(to), 50);
    for (uint32_t i = 150; i < 200; i++) {
        ck_assert(knows(to, i, 101, i));
    }
    learned_unref(from);
    learned_unref(to);
}
END_TEST

/* Against a plain array: random work, the same answers. */
START_TEST(it_agrees_with_a_simple_table)
{
    enum { KEYS = 40, STEPS = 20000 };
    struct learned *learned = learned_new(64, 50);
    struct random random;
    uint64_t ids[KEYS] = {0};
    uint32_t used_s[KEYS] = {0};
    bool is_there[KEYS] = {0};
    random_seed_with(&random, 3);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t now_s = 1000 + step / 3;
        uint32_t i = random_below(&random, KEYS);
        is_there[i] = is_there[i] && now_s - used_s[i] <= 50;
        switch (random_below(&random, 4)) {
        case 0:
            ids[i] = step;
            is_there[i] = true;
            used_s[i] = now_s;
            learned_put(learned, key_of(i), step, now_s);
            break;
        case 1:
            (void)learned_forget(learned, key_of(i));
            is_there[i] = false;
            break;
        default:
            ck_assert_msg(knows(learned, i, now_s, ids[i]) == is_there[i], "step %u", step);
            used_s[i] = now_s;
            break;
        }
    }
    learned_unref(learned);
}
END_TEST

static void *work(void *arg)
{
    struct learned *learned = arg;
    struct random random;
    random_seed(&random);
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = random_below(&random, 2000);
        uint64_t id = i;
        if (step % 3 == 0) {
            learned_put(learned, key_of(i), i, step / 1000);
        } else if (step % 100 == 1) {
            (void)learned_forget_all(learned, &id);
        } else {
            ck_assert(!learned_find(learned, key_of(i), step / 1000, &id) || id == i);
        }
    }
    learned_unref(learned);
    return NULL;
}

START_TEST(threads_share_it)
{
    pthread_t threads[4];
    struct learned *learned = learned_new(1000, 10);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, learned_ref(learned)), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    ck_assert_uint_le(learned_count(learned), 1064);
    learned_unref(learned);
}
END_TEST

UNIT_TESTS("learned", what_was_put_is_found_and_replaced, what_is_not_used_is_over_in_time,
           the_one_not_used_for_longest_makes_room, it_never_has_more_than_it_may,
           it_is_listed_and_forgotten, a_copy_keeps_what_was_used_last,
           it_agrees_with_a_simple_table, threads_share_it)
