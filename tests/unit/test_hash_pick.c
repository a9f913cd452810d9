#include <string.h>

#include "lbd/balance/hash_pick.h"
#include "lbd/base/hash.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

enum { SERVERS = 12, KEYS = 5000 };

static const enum balancer_kind kinds[] = {BALANCER_MAGLEV, BALANCER_RING_HASH};

static uint32_t pick(struct balance_field *field, uint64_t key, const uint32_t *tried,
                     uint32_t tried_count)
{
    struct balancer_state state = {.has_key = true, .key = hash_mix(key)};
    return hash_pick(&field->balancer, &state, &field->random, BALANCER_USABLE, tried, tried_count);
}

START_TEST(the_same_key_goes_to_the_same_server_on_every_worker)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field one;
        struct balance_field other;
        balance_field_init(&one, kinds[k], NULL, SERVERS);
        balance_field_init(&other, kinds[k], NULL, SERVERS);
        random_seed_with(&other.random, 7);
        for (uint64_t key = 0; key < KEYS; key++) {
            ck_assert_uint_eq(pick(&one, key, NULL, 0), pick(&other, key, NULL, 0));
        }
        balance_field_fini(&one);
        balance_field_fini(&other);
    }
}
END_TEST

/* Down, whether the pool was built again or not yet: its keys go, no other does, all come back. */
START_TEST(who_is_down_loses_its_own_keys_only)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, SERVERS);
        static uint32_t before[KEYS];
        for (uint64_t key = 0; key < KEYS; key++) {
            before[key] = pick(&field, key, NULL, 0);
        }
        balance_field_set_usable(&field, 5, false);
        for (uint32_t built = 0; built < 2; built++) {
            uint32_t got[SERVERS] = {0};
            uint32_t moved = 0;
            for (uint64_t key = 0; key < KEYS; key++) {
                uint32_t index = pick(&field, key, NULL, 0);
                if (before[key] != 5) {
                    ck_assert_uint_eq(index, before[key]);
                } else {
                    got[index]++;
                    moved++;
                }
            }
            ck_assert_uint_eq(got[5], 0);
            for (uint32_t i = 0; i < SERVERS; i++) { /* spread over the others */
                ck_assert_uint_le(got[i], moved / 3);
            }
            balance_field_build(&field, kinds[k]);
        }
        balance_field_set_usable(&field, 5, true);
        balance_field_build(&field, kinds[k]);
        for (uint64_t key = 0; key < KEYS; key++) {
            ck_assert_uint_eq(pick(&field, key, NULL, 0), before[key]);
        }
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(tried_ones_are_passed_by_in_order)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, SERVERS);
        for (uint64_t key = 0; key < 100; key++) {
            uint32_t tried[SERVERS];
            bool seen[SERVERS] = {false};
            for (uint32_t n = 0; n < SERVERS; n++) {
                tried[n] = pick(&field, key, tried, n);
                ck_assert_uint_lt(tried[n], SERVERS);
                ck_assert(!seen[tried[n]]);
                seen[tried[n]] = true;
                ck_assert_uint_eq(pick(&field, key, tried, n), tried[n]); /* an order, not luck */
            }
            ck_assert_uint_eq(pick(&field, key, tried, SERVERS), BALANCER_NONE);
        }
        balance_field_fini(&field);
    }
}
END_TEST

/* All requests have one key and none ends: nobody gets more than 1.25 of the mean, rounded up. */
START_TEST(a_hot_key_does_not_overload_its_server)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, SERVERS);
        for (uint32_t i = 1; i <= 1200; i++) {
            uint32_t index = pick(&field, 99, NULL, 0);
            balance_field_add(&field, index, 1);
            uint32_t bound = (i * 125 + SERVERS * 100 - 1) / (SERVERS * 100);
            ck_assert_msg(balance_field_in_flight(&field, index) <= bound, "request %u: %u > %u", i,
                          balance_field_in_flight(&field, index), bound);
        }
        uint32_t busy = 0;
        for (uint32_t i = 0; i < SERVERS; i++) {
            busy += balance_field_in_flight(&field, i) == 125;
        }
        ck_assert_uint_ge(busy, 9); /* no further than it must: each is filled before the next */
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(the_bound_heeds_weights_and_who_is_down)
{
    static const uint32_t weights[] = {300, 100, 100, 100};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], weights, 4);
        balance_field_set_usable(&field, 3, false);
        for (uint64_t i = 0; i < 500; i++) {
            balance_field_add(&field, pick(&field, i % 3, NULL, 0), 1);
        }
        ck_assert_uint_le(balance_field_in_flight(&field, 0), 376); /* 500 x 3/5 x 1.25 */
        ck_assert_uint_le(balance_field_in_flight(&field, 1), 126);
        ck_assert_uint_le(balance_field_in_flight(&field, 2), 126);
        ck_assert_uint_eq(balance_field_in_flight(&field, 3), 0);
        balance_field_fini(&field);
    }
}
END_TEST

/* Of many servers the sum may be a little old; the bound holds all the same within that. */
START_TEST(an_old_sum_is_good_enough)
{
    enum { MANY = 200 };
    struct balance_field field;
    balance_field_init(&field, BALANCER_MAGLEV, NULL, MANY);
    struct balancer_state state = {.has_key = true};
    uint32_t worst = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        state.key = hash_mix(i % 50); /* few keys, all hot */
        state.now_us = i * 10;
        uint32_t index =
            hash_pick(&field.balancer, &state, &field.random, BALANCER_USABLE, NULL, 0);
        balance_field_add(&field, index, 1);
        uint32_t in_flight = balance_field_in_flight(&field, index);
        worst = in_flight > worst ? in_flight : worst;
    }
    ck_assert_uint_le(worst, 126); /* the mean is 100 */
    balance_field_fini(&field);
}
END_TEST

START_TEST(without_a_key_any_server_will_do)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 4);
        struct balancer_state state = {.has_key = false};
        uint32_t got[4] = {0};
        for (uint32_t i = 0; i < 4000; i++) {
            got[hash_pick(&field.balancer, &state, &field.random, BALANCER_USABLE, NULL, 0)]++;
        }
        for (uint32_t i = 0; i < 4; i++) {
            ck_assert_uint_ge(got[i], 800);
        }
        balance_field_fini(&field);
    }
}
END_TEST

/* Two of a thousand: far apart in every order, still found, and by key. */
START_TEST(the_last_of_many_are_found_by_key)
{
    enum { MANY = 1000 };
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, MANY);
        for (uint32_t i = 0; i < MANY; i++) {
            balance_field_set_usable(&field, i, i == 10 || i == 700);
        }
        balance_field_build(&field, kinds[k]);
        uint32_t first = 0;
        for (uint64_t key = 0; key < 1000; key++) {
            uint32_t index = pick(&field, key, NULL, 0);
            ck_assert(index == 10 || index == 700);
            ck_assert_uint_eq(pick(&field, key, NULL, 0), index);
            first += index == 10;
        }
        ck_assert_uint_ge(first, 300);
        ck_assert_uint_le(first, 700);
        balance_field_fini(&field);
    }
}
END_TEST

UNIT_TESTS("hash_pick", the_same_key_goes_to_the_same_server_on_every_worker,
           who_is_down_loses_its_own_keys_only, tried_ones_are_passed_by_in_order,
           a_hot_key_does_not_overload_its_server, the_bound_heeds_weights_and_who_is_down,
           an_old_sum_is_good_enough, without_a_key_any_server_will_do,
           the_last_of_many_are_found_by_key)
