#include <stdlib.h>
#include <string.h>

#include "lbd/balance/schedule.h"
#include "lbd/base/random.h"
#include "tests/unit/unit.h"

struct plan {
    struct arena arena;
    struct target *targets;
    uint16_t *members;
    uint16_t *turns;
    uint32_t len;
};

static void plan_make(struct plan *plan, const uint32_t *weights, uint32_t count)
{
    arena_init(&plan->arena, NULL, 0);
    plan->targets = arena_zero(&plan->arena, count * sizeof(*plan->targets));
    plan->members = arena_zero(&plan->arena, count * sizeof(*plan->members));
    for (uint32_t i = 0; i < count; i++) {
        plan->targets[i].weight = weights[i];
        plan->members[i] = (uint16_t)i;
    }
    plan->turns = schedule_build(plan->targets, plan->members, count, &plan->arena, &plan->len);
}

static uint32_t turns_of(const struct plan *plan, uint32_t index)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->len; i++) {
        found += plan->turns[i] == index;
    }
    return found;
}

static const struct {
    uint32_t weights[6];
    uint32_t count;
    const char *want; /* a letter per turn */
} small[] = {
    {{100}, 1, "A"},           {{100, 100, 100}, 3, "ABC"}, /* equal: one after the other */
    {{7, 7}, 2, "AB"},                                      /* the common divisor goes out */
    {{2, 1}, 2, "AAB"},        {{200, 200, 100}, 3, "ABABC"},
    {{5, 1, 1}, 3, "AAABAAC"}, /* no run of five */
    {{3, 0}, 2, "AAAB"},       /* who is in the schedule has a turn */
};

START_TEST(small_schedules_are_exact_and_smooth)
{
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        struct plan plan;
        plan_make(&plan, small[i].weights, small[i].count);
        char text[64] = "";
        for (uint32_t turn = 0; turn < plan.len; turn++) {
            text[turn] = (char)('A' + plan.turns[turn]);
        }
        ck_assert_msg(strcmp(text, small[i].want) == 0, "case %zu: %s, wanted %s", i, text,
                      small[i].want);
        arena_fini(&plan.arena);
    }
}
END_TEST

START_TEST(no_member_gives_no_turn)
{
    struct plan plan;
    plan_make(&plan, NULL, 0);
    ck_assert_uint_eq(plan.len, 0);
    arena_fini(&plan.arena);
}
END_TEST

START_TEST(turns_follow_random_weights_exactly_below_the_limit)
{
    struct random random;
    random_seed_with(&random, 7);
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t weights[20];
        uint32_t count = 2 + random_below(&random, 19);
        uint32_t sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            weights[i] = 1 + random_below(&random, 200);
            sum += weights[i];
        }
        struct plan plan;
        plan_make(&plan, weights, count);
        ck_assert_uint_eq(sum % plan.len, 0);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_eq(turns_of(&plan, i) * (uint64_t)sum, (uint64_t)weights[i] * plan.len);
        }
        arena_fini(&plan.arena);
    }
}
END_TEST

START_TEST(a_large_sum_is_scaled_and_nobody_is_left_out)
{
    uint32_t count = 1000;
    uint32_t *weights = calloc(count, sizeof(*weights));
    ck_assert_ptr_nonnull(weights);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        weights[i] = i < 10 ? 1 : 990 + i % 11;
        sum += weights[i];
    }
    struct plan plan;
    plan_make(&plan, weights, count);
    ck_assert_uint_le(plan.len, SCHEDULE_TURNS + count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turns = turns_of(&plan, i);
        uint64_t fair = weights[i] * (uint64_t)SCHEDULE_TURNS / sum;
        ck_assert_uint_ge(turns, 1);
        ck_assert_uint_le(turns, fair + 1);
        ck_assert_uint_ge(turns + 1, fair);
    }
    arena_fini(&plan.arena);
    free(weights);
}
END_TEST

START_TEST(ten_thousand_equal_servers_have_a_turn_each)
{
    uint32_t count = 10000;
    uint32_t *weights = calloc(count, sizeof(*weights));
    ck_assert_ptr_nonnull(weights);
    for (uint32_t i = 0; i < count; i++) {
        weights[i] = 100;
    }
    struct plan plan;
    plan_make(&plan, weights, count);
    ck_assert_uint_eq(plan.len, count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(plan.turns[i], i);
    }
    arena_fini(&plan.arena);
    free(weights);
}
END_TEST

/* Between two turns of the same server there is never more than twice its fair distance. */
START_TEST(turns_of_one_server_are_spread)
{
    static const uint32_t weights[] = {50, 10, 10, 5, 5, 20};
    struct plan plan;
    plan_make(&plan, weights, ARRAY_LEN(weights));
    for (uint32_t index = 0; index < ARRAY_LEN(weights); index++) {
        uint32_t fair = plan.len / turns_of(&plan, index);
        uint32_t since = 0;
        for (uint32_t i = 0; i < 2 * plan.len; i++) {
            since = plan.turns[i % plan.len] == index ? 0 : since + 1;
            ck_assert_uint_le(since, 2 * fair);
        }
    }
    arena_fini(&plan.arena);
}
END_TEST

UNIT_TESTS("schedule", small_schedules_are_exact_and_smooth, no_member_gives_no_turn,
           turns_follow_random_weights_exactly_below_the_limit,
           a_large_sum_is_scaled_and_nobody_is_left_out,
           ten_thousand_equal_servers_have_a_turn_each, turns_of_one_server_are_spread)
