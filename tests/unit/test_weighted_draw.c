#include "lbd/balance/weighted_draw.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

enum { DRAWS = 40000, SERVERS = 4 };

/* Bounds are seven deviations of what is drawn. */
static const struct {
    enum balancer_fitness fitness;
    uint32_t weights[SERVERS];
    uint32_t own[SERVERS];
    uint8_t ranks[SERVERS];
    uint32_t low[SERVERS];
    uint32_t high[SERVERS];
} cases[] = {
    {BALANCER_USABLE,
     {100, 200, 100, 0},
     {0},
     {0},
     {9400, 19300, 9400, 0},
     {10600, 20700, 10600, 0}},
    {BALANCER_STANDBY,
     {0, 0, 0, 0},
     {100, 100, 300, 900},
     {6, 4, 4, 6},
     {0, 9400, 29400, 0},
     {0, 10600, 30600, 0}},
    {BALANCER_READY,
     {1, 1, 0, 0},
     {10000, 30000, 10000, 30000},
     {0, 0, 2, 2},
     {4500, 14300, 4500, 14300},
     {5500, 15700, 5500, 15700}},
};

START_TEST(who_is_offered_is_drawn_by_weight)
{
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct random random;
        struct target targets[SERVERS] = {{0}};
        uint32_t got[SERVERS] = {0};
        random_seed_with(&random, 3);
        for (uint32_t i = 0; i < SERVERS; i++) {
            targets[i].weight = cases[c].weights[i];
            targets[i].own_weight = cases[c].own[i];
            targets[i].rank = cases[c].ranks[i];
        }
        for (uint32_t n = 0; n < DRAWS; n++) {
            struct weighted_draw draw = weighted_draw(targets, cases[c].fitness);
            for (uint32_t i = 0; i < SERVERS; i++) {
                bool is_fit = cases[c].fitness != BALANCER_USABLE || targets[i].weight != 0;
                if (is_fit) {
                    weighted_draw_offer(&draw, &random, i);
                }
            }
            ck_assert_uint_lt(draw.drawn, SERVERS);
            got[draw.drawn]++;
        }
        for (uint32_t i = 0; i < SERVERS; i++) {
            ck_assert_msg(got[i] >= cases[c].low[i] && got[i] <= cases[c].high[i],
                          "case %zu, server %u: %u", c, i, got[i]);
        }
    }
}
END_TEST

START_TEST(nobody_offered_is_nobody_drawn)
{
    struct weighted_draw draw = weighted_draw(NULL, BALANCER_USABLE);
    ck_assert_uint_eq(draw.drawn, BALANCER_NONE);
}
END_TEST

UNIT_TESTS("weighted_draw", who_is_offered_is_drawn_by_weight, nobody_offered_is_nobody_drawn)
