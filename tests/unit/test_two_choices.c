#include <stdlib.h>
#include <string.h>

#include "lbd/balance/two_choices.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

static uint32_t pick(struct balance_field *field, const uint32_t *tried, uint32_t tried_count)
{
    return two_choices_pick(&field->balancer, &field->random, BALANCER_USABLE, tried, tried_count);
}

START_TEST(below_eight_the_least_loaded_is_found)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, NULL, 7);
    for (uint32_t i = 0; i < 7; i++) {
        balance_field_add(&field, i, i == 4 ? 3 : 5);
    }
    for (uint32_t i = 0; i < 200; i++) {
        ck_assert_uint_eq(pick(&field, NULL, 0), 4);
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(load_is_seen_per_weight)
{
    static const uint32_t weights[] = {300, 100};
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, weights, 2);
    /* requests that never end: they must settle at 3 to 1 */
    for (uint32_t i = 0; i < 400; i++) {
        balance_field_add(&field, pick(&field, NULL, 0), 1);
    }
    ck_assert_uint_ge(balance_field_in_flight(&field, 0), 298);
    ck_assert_uint_le(balance_field_in_flight(&field, 0), 302);
    balance_field_fini(&field);
}
END_TEST

START_TEST(an_idle_pool_shares_by_weight)
{
    static const uint32_t weights[] = {600, 300, 100};
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, weights, 3);
    uint32_t got[3] = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        got[pick(&field, NULL, 0)]++; /* ends before the next one comes */
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_ge(got[i], weights[i] * 9);
        ck_assert_uint_le(got[i], weights[i] * 11);
    }
    balance_field_fini(&field);
}
END_TEST

/* 40 servers, 400 requests open at any time, one server ten times as slow as the rest: it must not
 * collect them. Random choice would let it hold 200; comparing two keeps it near the mean. */
START_TEST(uneven_durations_are_balanced)
{
    enum { SERVERS = 40, OPEN = 400, ROUNDS = 20000, SLOW = 13 };
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, NULL, SERVERS);
    static struct {
        uint32_t server;
        uint32_t left;
    } open[OPEN];
    memset(open, 0, sizeof(open));
    uint64_t slow_sum = 0;
    uint32_t worst = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t at = round % OPEN;
        if (open[at].left > 1) {
            open[at].left--;
            continue;
        }
        if (open[at].left == 1) {
            balance_field_add(&field, open[at].server, -1);
        }
        open[at].server = pick(&field, NULL, 0);
        open[at].left = open[at].server == SLOW ? 10 : 1;
        balance_field_add(&field, open[at].server, 1);
        if (round > ROUNDS / 2) {
            for (uint32_t i = 0; i < SERVERS; i++) {
                uint32_t in_flight = balance_field_in_flight(&field, i);
                worst = in_flight > worst ? in_flight : worst;
            }
            slow_sum += balance_field_in_flight(&field, SLOW);
        }
    }
    ck_assert_uint_le(worst, 20); /* the mean is 10 */
    ck_assert_uint_gt(slow_sum, 0);
    balance_field_fini(&field);
}
END_TEST

START_TEST(ten_thousand_even_requests_on_a_thousand_servers_stay_near_ten)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, NULL, 1000);
    uint32_t worst = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t index = pick(&field, NULL, 0);
        balance_field_add(&field, index, 1);
        uint32_t in_flight = balance_field_in_flight(&field, index);
        worst = in_flight > worst ? in_flight : worst;
    }
    ck_assert_uint_le(worst, 15); /* one choice gives about 22 */
    balance_field_fini(&field);
}
END_TEST

START_TEST(never_an_unusable_or_tried_one)
{
    for (uint32_t count = 2; count <= 64; count *= 2) {
        struct balance_field field;
        balance_field_init(&field, BALANCER_LEAST_REQUEST, NULL, count);
        balance_field_set_usable(&field, 0, false);
        const uint32_t tried[] = {1};
        for (uint32_t i = 0; i < 500; i++) {
            uint32_t index = pick(&field, tried, 1);
            if (count == 2) {
                ck_assert_uint_eq(index, BALANCER_NONE);
                continue;
            }
            ck_assert_uint_ge(index, 2);
            ck_assert_uint_lt(index, count);
            balance_field_add(&field, index, 1);
        }
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(the_only_usable_one_of_many_is_found)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_LEAST_REQUEST, NULL, 500);
    for (uint32_t i = 0; i < 500; i++) {
        balance_field_set_usable(&field, i, i == 321);
    }
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t index = pick(&field, NULL, 0);
        ck_assert_uint_eq(index, 321);
        balance_field_add(&field, index, 1);
    }
    balance_field_fini(&field);
}
END_TEST

UNIT_TESTS("two_choices", below_eight_the_least_loaded_is_found, load_is_seen_per_weight,
           an_idle_pool_shares_by_weight, uneven_durations_are_balanced,
           ten_thousand_even_requests_on_a_thousand_servers_stay_near_ten,
           never_an_unusable_or_tried_one, the_only_usable_one_of_many_is_found)
