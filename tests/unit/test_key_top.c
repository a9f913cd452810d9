#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/filter/key_top.h"
#include "tests/unit/unit.h"

static struct key_table table;
static struct key_top *top;

static bool set_own(void *arg, uint64_t from, uint64_t *to)
{
    (void)from;
    *to = *(uint64_t *)arg;
    return true;
}

static void set(uint64_t key, uint64_t value)
{
    static const struct key_table_rule rule = {.own = set_own, .take = set_own};
    enum key_table_change change;
    ck_assert_ptr_nonnull(key_table_update(&table, key, &rule, &value, &change));
}

static void note(uint64_t key, uint64_t value, const char *name)
{
    set(key, value);
    key_top_note(top, &table, key, value, slice_from(name));
}

START_TEST(the_fullest_come_first)
{
    struct key_top_row rows[3];
    ck_assert_uint_eq(key_top_list(top, &table, 0, rows, 3), 0);
    note(11, 5, "five");
    note(22, 9, "nine");
    note(33, 7, "");
    note(44, 1, "one");
    note(55, 8, "eight");
    ck_assert_uint_eq(key_top_list(top, &table, 2, rows, 3), 3);
    ck_assert_uint_eq(rows[0].key, 22);
    ck_assert(slice_eq(slice_of(rows[0].name, rows[0].name_len), SLICE("nine")));
    ck_assert_uint_eq(rows[0].value, 9);
    ck_assert_uint_eq(rows[1].key, 55);
    ck_assert_uint_eq(rows[2].key, 33);
    ck_assert_uint_eq(rows[2].name_len, 0);
    /* what counts is how full they are now */
    set(22, 0);
    set(44, 100);
    ck_assert_uint_eq(key_top_list(top, &table, 2, rows, 3), 3);
    ck_assert_uint_eq(rows[0].key, 44);
    ck_assert_uint_eq(rows[1].key, 55);
    ck_assert_uint_eq(key_top_list(top, &table, 100, rows, 3), 1);
}
END_TEST

START_TEST(a_key_is_noted_once)
{
    struct key_top_row rows[3];
    note(7, 1, "seven");
    ck_assert_uint_eq(key_table_value(&table, 7), 1);
    ck_assert_uint_eq(key_table_value(&table, 8), 0);
    note(7, 2, "again");
    ck_assert(key_top_has(top, 7));
    ck_assert(!key_top_has(top, 8));
    ck_assert_uint_eq(key_top_list(top, &table, 0, rows, 3), 1);
    ck_assert(slice_eq(slice_of(rows[0].name, rows[0].name_len), SLICE("seven")));
}
END_TEST

/* However many come: those that are the fullest stay. */
START_TEST(fuller_ones_take_the_places)
{
    struct key_top_row rows[20];
    char name[16];
    for (uint64_t key = 1; key <= 2000; key++) {
        (void)snprintf(name, sizeof(name), "k%u", (unsigned)key);
        note(key, key, name);
    }
    uint32_t count = key_top_list(top, &table, 0, rows, 20);
    ck_assert_uint_eq(count, 20);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_gt(rows[i].key, 1000);
        ck_assert_uint_eq(rows[i].value, rows[i].key);
        (void)snprintf(name, sizeof(name), "k%u", (unsigned)rows[i].key);
        ck_assert(slice_eq(slice_of(rows[i].name, rows[i].name_len), slice_from(name)));
        ck_assert(i == 0 || rows[i].value < rows[i - 1].value);
    }
    uint64_t least = rows[19].value;
    for (uint64_t key = 3001; key <= 4000; key++) { /* those that are less full take none */
        note(key, 1, "small");
    }
    ck_assert_uint_eq(key_top_list(top, &table, 0, rows, 20), 20);
    ck_assert_uint_eq(rows[19].value, least);
}
END_TEST

enum { ROUNDS = 20000 };

static void *keep_noting(void *arg)
{
    uint64_t first = *(uint64_t *)arg;
    char name[16];
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t key = first + i % 500;
        (void)snprintf(name, sizeof(name), "k%u", (unsigned)key);
        note(key, 1 + i, name);
    }
    return NULL;
}

/* Whatever is written meanwhile: a name is that of its key. */
START_TEST(names_are_those_of_their_keys)
{
    uint64_t firsts[2] = {1, 301};
    pthread_t threads[2];
    struct key_top_row rows[20];
    char name[16];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_noting, &firsts[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        uint32_t count = key_top_list(top, &table, 0, rows, 20);
        for (uint32_t j = 0; j < count; j++) {
            (void)snprintf(name, sizeof(name), "k%u", (unsigned)rows[j].key);
            ck_assert(slice_eq(slice_of(rows[j].name, rows[j].name_len), slice_from(name)));
        }
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}
END_TEST

static void setup(void)
{
    key_table_init(&table, 8192);
    top = mem_zero(1, sizeof(*top));
}

static void teardown(void)
{
    key_table_fini(&table);
    free(top);
}

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_fullest_come_first);
    tcase_add_test(tcase, a_key_is_noted_once);
    tcase_add_test(tcase, fuller_ones_take_the_places);
    tcase_add_test(tcase, names_are_those_of_their_keys);
}

UNIT_MAIN("key_top", add_all)
