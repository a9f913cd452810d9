#include <stdio.h>

#include "lbd/base/map.h"
#include "tests/unit/unit.h"

START_TEST(puts_replaces_and_removes)
{
    struct map map;
    int one = 1;
    int two = 2;
    map_init(&map);
    ck_assert_ptr_null(map_get(&map, SLICE("a")));
    ck_assert_ptr_null(map_remove(&map, SLICE("a")));
    char key[] = "a";
    ck_assert_ptr_null(map_put(&map, slice_from(key), &one));
    key[0] = 'b'; /* the map has its own copy */
    ck_assert_ptr_eq(map_get(&map, SLICE("a")), &one);
    ck_assert_ptr_eq(map_put(&map, SLICE("a"), &two), &one);
    ck_assert_uint_eq(map.count, 1);
    ck_assert_ptr_null(map_put(&map, SLICE(""), &one)); /* an empty key is a key */
    ck_assert_ptr_eq(map_get(&map, SLICE_NONE), &one);
    ck_assert_ptr_eq(map_remove(&map, SLICE("a")), &two);
    ck_assert_ptr_null(map_get(&map, SLICE("a")));
    ck_assert_uint_eq(map.count, 1);
    map_fini(&map);
}
END_TEST

/* The same moves on the map and on a plain array must end the same. */
START_TEST(behaves_like_an_array_of_flags)
{
    enum { KEYS = 700, MOVES = 60000 };
    static char present[KEYS];
    struct map map;
    uint32_t state = 12345;
    size_t count = 0;
    map_init(&map);
    for (size_t i = 0; i < MOVES; i++) {
        char name[16];
        state = state * 1664525U + 1013904223U;
        size_t key = state >> 8U & 0xffffU;
        key = key % (i < MOVES / 2 ? KEYS : 20); /* later few keys, so that holes are reused */
        int len = snprintf(name, sizeof(name), "k%zu", key);
        struct slice text = slice_of(name, (size_t)len);
        if ((state & 1U) != 0) {
            void *before = map_put(&map, text, &present[key]);
            ck_assert_ptr_eq(before, present[key] ? &present[key] : NULL);
            count += !present[key];
            present[key] = 1;
        } else {
            void *removed = map_remove(&map, text);
            ck_assert_ptr_eq(removed, present[key] ? &present[key] : NULL);
            count -= (size_t)present[key];
            present[key] = 0;
        }
        ck_assert_uint_eq(map.count, count);
    }
    ck_assert_uint_lt(map.entry_capacity, 4 * KEYS);
    size_t seen = 0;
    struct map_entry *entry;
    map_for_each (entry, &map) {
        ck_assert_int_eq(*(char *)entry->value, 1);
        ck_assert_ptr_eq(map_get(&map, entry->key), entry->value);
        seen++;
    }
    ck_assert_uint_eq(seen, count);
    map_fini(&map);
}
END_TEST

START_TEST(iterates_in_order_of_insertion)
{
    struct map map;
    static int values[100];
    map_init(&map);
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i * 7919 % 100);
        values[i] = i;
        ck_assert_ptr_null(map_put(&map, slice_from(name), &values[i]));
    }
    int next = 0;
    struct map_entry *entry;
    map_for_each (entry, &map) {
        ck_assert_int_eq(*(int *)entry->value, next);
        if (next % 3 == 0) { /* in its turn an entry may go */
            ck_assert_ptr_nonnull(map_remove(&map, entry->key));
        }
        next++;
    }
    ck_assert_int_eq(next, 100);
    ck_assert_uint_eq(map.count, 66);
    map_fini(&map);
}
END_TEST

/* Whatever the order of the questions and wherever the cursor stands, the answer is that of
 * map_get. */
START_TEST(a_cursor_changes_no_answer)
{
    enum { KEYS = 50 };
    struct map map;
    static int values[KEYS];
    uint32_t state = 7;
    size_t cursor = 0;
    map_init(&map);
    ck_assert_ptr_null(map_get_near(&map, SLICE("a"), &cursor));
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        ck_assert_ptr_null(map_put(&map, slice_from(name), &values[i]));
    }
    for (int i = 0; i < 2000; i++) {
        char name[16];
        state = state * 1664525U + 1013904223U;
        int key = i % 3 != 0 ? i % KEYS : (int)(state >> 8U) % (KEYS + 5); /* mostly in order */
        (void)snprintf(name, sizeof(name), "%d", key);
        ck_assert_ptr_eq(map_get_near(&map, slice_from(name), &cursor),
                         map_get(&map, slice_from(name)));
        ck_assert_uint_le(cursor, KEYS);
        if (i % 100 == 99) {
            (void)map_remove(&map, slice_from(name));
        }
    }
    map_fini(&map);
}
END_TEST

UNIT_TESTS("map", a_cursor_changes_no_answer, puts_replaces_and_removes,
           behaves_like_an_array_of_flags, iterates_in_order_of_insertion)
