#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/net/loop_memory.h"
#include "tests/unit/unit.h"

START_TEST(small_objects_are_close_and_whole)
{
    unsigned char *objects[1000];
    loop_memory_init();
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        objects[i] = loop_memory_take(LOOP_MEMORY_SMALL);
        ck_assert(loop_memory_is_small(objects[i]));
        ck_assert_uint_eq((uintptr_t)objects[i] % LOOP_MEMORY_SMALL, 0);
        memset(objects[i], (int)(i & 0xFF), LOOP_MEMORY_SMALL);
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        for (size_t at = 0; at < LOOP_MEMORY_SMALL; at++) {
            ck_assert_uint_eq(objects[i][at], i & 0xFF);
        }
        loop_memory_give(objects[i]);
    }
    void *again = loop_memory_take(1);
    ck_assert_ptr_eq(again, objects[ARRAY_LEN(objects) - 1]);
    loop_memory_give(again);
}
END_TEST

START_TEST(larger_ones_are_mallocs)
{
    loop_memory_init();
    char *large = loop_memory_take(LOOP_MEMORY_SMALL + 1);
    ck_assert(!loop_memory_is_small(large));
    large[0] = 'x';
    large = loop_memory_resize(large, 1000);
    ck_assert_int_eq(large[0], 'x');
    loop_memory_give(large);
    loop_memory_give(NULL);
    char *first = loop_memory_resize(NULL, 64);
    ck_assert_ptr_nonnull(first);
    loop_memory_give(first);
}
END_TEST

START_TEST(one_that_grows_moves_out)
{
    loop_memory_init();
    char *object = loop_memory_take(8);
    memcpy(object, "0123456789abcde", LOOP_MEMORY_SMALL);
    ck_assert_ptr_eq(loop_memory_resize(object, LOOP_MEMORY_SMALL), object);
    char *larger = loop_memory_resize(object, 100);
    ck_assert(!loop_memory_is_small(larger));
    ck_assert_str_eq(larger, "0123456789abcde");
    loop_memory_give(larger);
    char *again = loop_memory_take(8);
    ck_assert_ptr_eq(again, object);
    loop_memory_give(again);
}
END_TEST

UNIT_TESTS("loop_memory", small_objects_are_close_and_whole, larger_ones_are_mallocs,
           one_that_grows_moves_out)
