#include <stdio.h>
#include <stdlib.h>

#include "lbd/filter/filter_memo.h"
#include "tests/unit/unit.h"

static struct filter_memo_key key_of(const struct filter_memo *memo, const char *a, const char *b)
{
    const struct slice parts[] = {slice_from(a), slice_from(b)};
    struct filter_memo_key key;
    filter_memo_key(memo, parts, 2, &key);
    return key;
}

START_TEST(what_is_known_ends)
{
    struct filter_memo *memo = filter_memo_new();
    struct filter_memo_key key = key_of(memo, "ann", "secret");
    void *value = NULL;
    ck_assert(!filter_memo_find(memo, &key, 10, &value));
    int *told = malloc(sizeof(*told));
    filter_memo_put(memo, &key, 10, 20, told);
    ck_assert(filter_memo_find(memo, &key, 19, &value) && value == told);
    ck_assert(!filter_memo_find(memo, &key, 20, &value));
    filter_memo_put(memo, &key, 30, 40, NULL); /* frees what it had */
    ck_assert(filter_memo_find(memo, &key, 30, &value) && value == NULL);
    filter_memo_free(memo);
}
END_TEST

START_TEST(parts_do_not_run_together)
{
    struct filter_memo *memo = filter_memo_new();
    struct filter_memo_key key = key_of(memo, "ab", "c");
    void *value;
    filter_memo_put(memo, &key, 0, 10, NULL);
    key = key_of(memo, "a", "bc");
    ck_assert(!filter_memo_find(memo, &key, 0, &value));
    key = key_of(memo, "ab", "c");
    ck_assert(filter_memo_find(memo, &key, 0, &value));
    filter_memo_free(memo);
}
END_TEST

START_TEST(it_does_not_grow)
{
    struct filter_memo *memo = filter_memo_new();
    uint32_t known = 0;
    for (uint32_t i = 0; i < 3 * FILTER_MEMO_ENTRIES; i++) {
        char name[2] = {(char)('a' + i % 26), '\0'};
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", i);
        struct filter_memo_key key = key_of(memo, name, number);
        filter_memo_put(memo, &key, 0, 100 + i, malloc(8));
    }
    for (uint32_t i = 0; i < 3 * FILTER_MEMO_ENTRIES; i++) {
        char name[2] = {(char)('a' + i % 26), '\0'};
        char number[16];
        void *value;
        (void)snprintf(number, sizeof(number), "%u", i);
        struct filter_memo_key key = key_of(memo, name, number);
        known += filter_memo_find(memo, &key, 50, &value);
    }
    ck_assert_uint_gt(known, FILTER_MEMO_ENTRIES / 2);
    ck_assert_uint_le(known, FILTER_MEMO_ENTRIES);
    filter_memo_free(memo);
}
END_TEST

UNIT_TESTS("filter_memo", what_is_known_ends, parts_do_not_run_together, it_does_not_grow)
