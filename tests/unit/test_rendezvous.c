#include <stdio.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

enum { KEYS = 20000 };

static uint64_t key_of(uint32_t i)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "user%u@example.com", i);
    return rendezvous_key(slice_of(name, (size_t)len));
}

static uint32_t best(uint64_t key, const uint32_t *weights, uint32_t count)
{
    uint32_t found = 0;
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        char name[8];
        int len = snprintf(name, sizeof(name), "b%u", i);
        double here =
            weights[i] != 0
                ? rendezvous_score(key, rendezvous_key(slice_of(name, (size_t)len)), weights[i])
                : 0;
        if (here > most) {
            most = here;
            found = i;
        }
    }
    return found;
}

START_TEST(keys_spread_by_weight)
{
    static const uint32_t weights[] = {100, 100, 200, 400};
    uint32_t have[4] = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        have[best(key_of(i), weights, 4)]++;
    }
    for (size_t i = 0; i < 4; i++) {
        double share = (double)weights[i] / 800;
        unit_expect((double)have[i] > share * KEYS * 0.95 && (double)have[i] < share * KEYS * 1.05,
                    "%zu has %u", i, have[i]);
    }
}
END_TEST

/* `before` and `after` differ in one target: only keys that go to it or leave it move. */
static void expect_moves(const uint32_t *before, const uint32_t *after, uint32_t target,
                         double most)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint64_t key = key_of(i);
        uint32_t from = best(key, before, 5);
        uint32_t to = best(key, after, 5);
        if (from != to) {
            moved++;
            unit_expect(from == target || to == target, "key %u moved from %u to %u", i, from, to);
        }
    }
    unit_expect((double)moved < most * KEYS * 1.05, "%u moved", moved);
    ck_assert_uint_gt(moved, 0);
}

START_TEST(a_change_moves_no_more_than_its_share)
{
    static const uint32_t five[] = {100, 100, 100, 100, 100};
    static const uint32_t four[] = {100, 100, 0, 100, 100};
    static const uint32_t heavy[] = {100, 100, 100, 150, 100};
    expect_moves(five, four, 2, 1.0 / 5);
    expect_moves(four, five, 2, 1.0 / 5);
    expect_moves(five, heavy, 3, 150.0 / 550 - 100.0 / 500 + 0.01);
}
END_TEST

START_TEST(the_order_is_the_same_everywhere)
{
    /* a change here sends users of running sites elsewhere */
    static const uint32_t weights[] = {100, 100, 100};
    static const uint32_t want[] = {2, 1, 2, 1, 1, 1, 1, 2, 2, 0, 2, 1, 1, 0, 0, 1};
    for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
        ck_assert_uint_eq(best(key_of(i), weights, 3), want[i]);
    }
}
END_TEST

UNIT_TESTS("rendezvous", keys_spread_by_weight, a_change_moves_no_more_than_its_share,
           the_order_is_the_same_everywhere)
