#include "lbd/balance/balancer.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

static const enum balancer_kind kinds[] = {BALANCER_LEAST_REQUEST, BALANCER_ROUND_ROBIN,
                                           BALANCER_RANDOM,        BALANCER_PEAK_EWMA,
                                           BALANCER_MAGLEV,        BALANCER_RING_HASH};

static uint32_t pick(struct balance_field *field, struct balancer_state *state,
                     enum balancer_fitness fitness)
{
    return balancer_pick(&field->balancer, state, &field->random, fitness, NULL, 0);
}

START_TEST(only_usable_ones_are_in_the_schedule)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 10);
        balance_field_set_usable(&field, 3, false);
        balance_field_set_usable(&field, 7, false);
        balance_field_build(&field, kinds[k]);
        ck_assert_uint_eq(field.balancer.schedule_len, 8);
        for (uint32_t i = 0; i < 8; i++) {
            ck_assert_uint_ne(field.balancer.schedule[i], 3);
            ck_assert_uint_ne(field.balancer.schedule[i], 7);
        }
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(who_becomes_unusable_is_never_picked)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 12);
        struct balancer_state state = {0};
        for (uint32_t down = 0; down < 12; down++) {
            balance_field_set_usable(&field, down, false);
            for (uint32_t i = 0; i < 200; i++) {
                uint32_t index = pick(&field, &state, BALANCER_USABLE);
                ck_assert_msg(down == 11 ? index == BALANCER_NONE : index > down && index < 12,
                              "%u down, picked %u", down, index);
            }
        }
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(who_becomes_usable_later_is_found_when_nobody_else_is)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 3);
        struct balancer_state state = {0};
        balance_field_set_usable(&field, 1, false);
        balance_field_set_usable(&field, 2, false);
        balance_field_build(&field, kinds[k]);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), 0);
        balance_field_set_usable(&field, 0, false);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), BALANCER_NONE);
        balance_field_set_usable(&field, 2, true);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), 2);
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(fail_open_picks_among_the_ready_ones)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 4);
        struct balancer_state state = {0};
        for (uint32_t i = 0; i < 4; i++) {
            balance_field_set_usable(&field, i, false);
        }
        balance_field_set_ready(&field, 2, false);
        for (uint32_t built = 0; built < 2; built++) { /* before and after it is built again */
            uint32_t got[4] = {0};
            ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), BALANCER_NONE);
            for (uint32_t i = 0; i < 300; i++) {
                uint32_t index = pick(&field, &state, BALANCER_READY);
                ck_assert_uint_lt(index, 4);
                got[index]++;
            }
            ck_assert_uint_gt(got[0], 60);
            ck_assert_uint_gt(got[1], 60);
            ck_assert_uint_eq(got[2], 0);
            ck_assert_uint_gt(got[3], 60);
            balance_field_build(&field, kinds[k]);
        }
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(an_empty_one_gives_none)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct balance_field field;
        balance_field_init(&field, kinds[k], NULL, 0);
        struct balancer_state state = {0};
        balancer_state_init(&state, &field.balancer, 3, 4);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), BALANCER_NONE);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_READY), BALANCER_NONE);
        balance_field_fini(&field);
    }
}
END_TEST

START_TEST(workers_start_spread)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_ROUND_ROBIN, NULL, 8);
    for (uint32_t worker = 0; worker < 4; worker++) {
        struct balancer_state state;
        balancer_state_init(&state, &field.balancer, worker, 4);
        ck_assert_uint_eq(pick(&field, &state, BALANCER_USABLE), worker * 2);
    }
    balance_field_fini(&field);
}
END_TEST

UNIT_TESTS("balancer", only_usable_ones_are_in_the_schedule, who_becomes_unusable_is_never_picked,
           who_becomes_usable_later_is_found_when_nobody_else_is,
           fail_open_picks_among_the_ready_ones, an_empty_one_gives_none, workers_start_spread)
