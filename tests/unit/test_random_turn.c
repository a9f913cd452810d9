#include "lbd/balance/random_turn.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

static uint32_t pick(struct balance_field *field, const uint32_t *tried, uint32_t tried_count)
{
    return random_turn_pick(&field->balancer, &field->random, BALANCER_USABLE, tried, tried_count);
}

START_TEST(shares_are_those_of_the_weights)
{
    static const uint32_t weights[] = {600, 300, 100};
    struct balance_field field;
    balance_field_init(&field, BALANCER_RANDOM, weights, 3);
    uint32_t got[3] = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t index = pick(&field, NULL, 0);
        ck_assert_uint_lt(index, 3);
        got[index]++;
        balance_field_add(&field, index, 1); /* load changes nothing */
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_ge(got[i], weights[i] * 9);
        ck_assert_uint_le(got[i], weights[i] * 11);
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(the_only_fit_one_of_many_is_found)
{
    static const uint32_t tried[] = {7};
    struct balance_field field;
    balance_field_init(&field, BALANCER_RANDOM, NULL, 500);
    for (uint32_t i = 0; i < 500; i++) {
        balance_field_set_usable(&field, i, i == 7 || i == 321);
    }
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(pick(&field, tried, 1), 321);
    }
    balance_field_set_usable(&field, 321, false);
    ck_assert_uint_eq(pick(&field, tried, 1), BALANCER_NONE);
    balance_field_fini(&field);
}
END_TEST

START_TEST(the_other_is_another_where_there_is_one)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_RANDOM, NULL, 3);
    uint32_t same = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        same += random_turn_other(&field.balancer, &field.random, 1, BALANCER_USABLE, NULL, 0) == 1;
    }
    ck_assert_uint_lt(same, 10); /* eight draws of three: one in 6561 */
    balance_field_set_usable(&field, 0, false);
    balance_field_set_usable(&field, 2, false);
    ck_assert_uint_eq(
        random_turn_other(&field.balancer, &field.random, 1, BALANCER_USABLE, NULL, 0), 1);
    balance_field_fini(&field);
}
END_TEST

UNIT_TESTS("random_turn", shares_are_those_of_the_weights, the_only_fit_one_of_many_is_found,
           the_other_is_another_where_there_is_one)
