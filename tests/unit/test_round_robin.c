#include <string.h>

#include "lbd/balance/round_robin.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

START_TEST(every_cycle_gives_the_exact_weights)
{
    static const uint32_t weights[] = {5, 3, 1, 1};
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, weights, 4);
    struct balancer_state state;
    balancer_state_init(&state, &field.balancer, 0, 1);
    for (uint32_t cycle = 0; cycle < 20; cycle++) {
        uint32_t got[4] = {0};
        for (uint32_t i = 0; i < 10; i++) {
            got[round_robin_pick(&field.balancer, &state, BALANCER_USABLE, NULL, 0)]++;
        }
        ck_assert_mem_eq(got, weights, sizeof(got));
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(two_workers_together_give_the_exact_weights)
{
    static const uint32_t weights[] = {4, 3, 1};
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, weights, 3);
    struct balancer_state state[2];
    balancer_state_init(&state[0], &field.balancer, 0, 2);
    balancer_state_init(&state[1], &field.balancer, 1, 2);
    ck_assert_uint_ne(state[0].position, state[1].position);
    /* one turn each in turn: half a cycle of each makes one whole cycle */
    for (uint32_t cycle = 0; cycle < 20; cycle++) {
        uint32_t got[3] = {0};
        for (uint32_t i = 0; i < 8; i++) {
            got[round_robin_pick(&field.balancer, &state[i % 2], BALANCER_USABLE, NULL, 0)]++;
        }
        ck_assert_mem_eq(got, weights, sizeof(got));
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(unusable_and_tried_ones_are_walked_over)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, NULL, 4);
    struct balancer_state state = {0};
    balance_field_set_usable(&field, 1, false);
    const uint32_t tried[] = {2};
    uint32_t got[4] = {0};
    for (uint32_t i = 0; i < 100; i++) {
        got[round_robin_pick(&field.balancer, &state, BALANCER_USABLE, tried, 1)]++;
    }
    ck_assert_uint_eq(got[0], 50);
    ck_assert_uint_eq(got[1], 0);
    ck_assert_uint_eq(got[2], 0);
    ck_assert_uint_eq(got[3], 50);
    balance_field_fini(&field);
}
END_TEST

START_TEST(nobody_fit_is_none_and_keeps_the_place)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, NULL, 3);
    struct balancer_state state = {.position = 1};
    const uint32_t tried[] = {0, 1, 2};
    ck_assert_uint_eq(round_robin_pick(&field.balancer, &state, BALANCER_USABLE, tried, 3),
                      BALANCER_NONE);
    ck_assert_uint_eq(round_robin_pick(&field.balancer, &state, BALANCER_USABLE, NULL, 0), 1);
    balance_field_fini(&field);
}
END_TEST

START_TEST(a_place_of_a_longer_schedule_does_no_harm)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, NULL, 3);
    struct balancer_state state = {.position = 4000};
    ck_assert_uint_eq(round_robin_pick(&field.balancer, &state, BALANCER_USABLE, NULL, 0), 0);
    balance_field_fini(&field);
}
END_TEST

UNIT_TESTS("round_robin", every_cycle_gives_the_exact_weights,
           two_workers_together_give_the_exact_weights, unusable_and_tried_ones_are_walked_over,
           nobody_fit_is_none_and_keeps_the_place, a_place_of_a_longer_schedule_does_no_harm)
