#include <pthread.h>
#include <stdatomic.h>

#include "lbd/base/compiler.h"
#include "lbd/base/hash.h"
#include "lbd/base/random.h"
#include "lbd/filter/key_table.h"
#include "tests/unit/unit.h"

/* Counts as limits of concurrency do: how many above, how often it changed hands below. */
#define ONE (UINT64_C(1) << 32)

static bool one_more(void *arg, uint64_t from, uint64_t *to)
{
    *to = from + ONE;
    return from / ONE < *(const uint64_t *)arg;
}

static bool the_first(void *arg, uint64_t from, uint64_t *to)
{
    (void)arg;
    *to = ONE | (uint32_t)(from + 1);
    return from < ONE;
}

static const struct key_table_rule rule = {.own = one_more, .take = the_first};
static const struct key_table_rule joining = {.own = one_more, .take = the_first, .joins = true};

static void give(struct key_table_slot *slot)
{
    (void)atomic_fetch_sub(&slot->value, ONE);
}

START_TEST(keys_have_numbers_of_their_own)
{
    struct key_table table;
    enum key_table_change change;
    uint64_t limit = 2;
    key_table_init(&table, 64);
    struct key_table_slot *slot = key_table_update(&table, 7, &rule, &limit, &change);
    ck_assert_ptr_nonnull(slot);
    ck_assert_int_eq(change, KEY_TABLE_ADDED);
    ck_assert_ptr_eq(key_table_update(&table, 7, &rule, &limit, &change), slot);
    ck_assert_int_eq(change, KEY_TABLE_SAME);
    ck_assert_ptr_null(key_table_update(&table, 7, &rule, &limit, &change));
    ck_assert_ptr_ne(key_table_update(&table, 8, &rule, &limit, &change), slot);
    give(slot);
    ck_assert_ptr_eq(key_table_update(&table, 7, &rule, &limit, &change), slot);
    key_table_fini(&table);
}
END_TEST

/* The i-th key of set 0. */
static uint64_t key_at(const struct key_table *table, uint64_t i)
{
    return (i + 1) * (table->mask + 1U);
}

START_TEST(a_full_set_refuses_or_shares)
{
    struct key_table table;
    enum key_table_change change;
    uint64_t limit = 2;
    key_table_init(&table, 64);
    struct key_table_slot *slots[KEY_TABLE_WAYS];
    for (uint32_t i = 0; i < KEY_TABLE_WAYS; i++) {
        slots[i] = key_table_update(&table, key_at(&table, i), &rule, &limit, &change);
        ck_assert_ptr_nonnull(slots[i]);
    }
    uint64_t late = key_at(&table, 100);
    ck_assert_ptr_null(key_table_update(&table, late, &rule, &limit, &change));
    struct key_table_slot *shared = key_table_update(&table, late, &joining, &limit, &change);
    ck_assert_ptr_nonnull(shared);
    ck_assert_int_eq(change, KEY_TABLE_SAME);
    give(shared);
    give(slots[3]);
    ck_assert_ptr_eq(key_table_update(&table, late, &rule, &limit, &change), slots[3]);
    ck_assert_int_eq(change, KEY_TABLE_REPLACED);
    key_table_fini(&table);
}
END_TEST

/* -- many threads -- */

enum { THREADS = 4, ROUNDS = 60000, KEYS = 40, LIMIT = 2 };

struct stand {
    struct key_table table;
    _Atomic int held[KEYS]; /* as those who hold see it */
    atomic_uint wrong;
    atomic_uint let_in;
};

struct seat {
    struct stand *stand;
    uint64_t seed;
};

/* Far more keys than places: slots change hands all the time. */
static void *take_and_give(void *arg)
{
    const struct seat *seat = arg;
    struct stand *stand = seat->stand;
    struct random random;
    uint64_t limit = LIMIT;
    random_seed_with(&random, seat->seed);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t key = random_below(&random, KEYS);
        enum key_table_change change;
        struct key_table_slot *slot =
            key_table_update(&stand->table, key_at(&stand->table, key), &rule, &limit, &change);
        if (slot == NULL) {
            continue;
        }
        (void)atomic_fetch_add(&stand->let_in, 1);
        if (atomic_fetch_add(&stand->held[key], 1) >= LIMIT) {
            (void)atomic_fetch_add(&stand->wrong, 1);
        }
        (void)atomic_fetch_sub(&stand->held[key], 1);
        give(slot);
    }
    return NULL;
}

START_TEST(threads_never_exceed_a_limit)
{
    struct stand stand = {.wrong = 0};
    struct seat seats[THREADS];
    pthread_t threads[THREADS];
    key_table_init(&stand.table, KEY_TABLE_MIN);
    for (uint32_t i = 0; i < THREADS; i++) {
        seats[i] = (struct seat){&stand, i + 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, &seats[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(stand.wrong, 0);
    ck_assert_uint_gt(stand.let_in, THREADS * ROUNDS / 2);
    for (uint32_t i = 0; i < (stand.table.mask + 1) * KEY_TABLE_WAYS; i++) {
        ck_assert_uint_lt(stand.table.slots[i].value, ONE); /* all were given back */
    }
    key_table_fini(&stand.table);
}
END_TEST

UNIT_TESTS("key_table", keys_have_numbers_of_their_own, a_full_set_refuses_or_shares,
           threads_never_exceed_a_limit)
