#include <stdlib.h>

#include "lbd/balance/levels.h"
#include "lbd/base/random.h"
#include "tests/unit/unit.h"

enum { MOST = 64 };

struct field {
    struct target_load loads[MOST];
    struct target targets[MOST];
    uint8_t ranks[MOST];
    uint32_t count;
    struct level levels[LEVELS_MAX];
    uint32_t found;
};

static void add(struct field *field, uint8_t rank, uint32_t weight, bool is_usable)
{
    uint32_t i = field->count++;
    atomic_store(&field->loads[i].usable, is_usable ? 1 : 0);
    field->targets[i] = (struct target){.load = &field->loads[i], .weight = weight};
    field->ranks[i] = rank;
}

static void build(struct field *field, uint32_t overprovisioning)
{
    field->found =
        levels_build(field->targets, field->ranks, field->count, overprovisioning, field->levels);
}

/* What of all usable weight lies on a rank, in LEVELS_WHOLE: what its servers get. */
static uint32_t got(const struct field *field, uint8_t rank)
{
    uint64_t sum = 0;
    uint64_t on_rank = 0;
    for (uint32_t i = 0; i < field->count; i++) {
        uint64_t weight = target_is_fit(&field->targets[i], false) ? field->targets[i].weight : 0;
        sum += weight;
        on_rank += field->ranks[i] == rank ? weight : 0;
    }
    return sum != 0 ? (uint32_t)(on_rank * LEVELS_WHOLE / sum) : 0;
}

/* '.' usable, 'x' not; groups in the order of their ranks 0, 2, 4: shares per cent at 140 % */
static const struct {
    const char *groups[3];
    uint32_t shares[3];
} cases[] = {
    {{"....", "..", ""}, {100, 0, 0}},
    {{"..........", "..", ""}, {100, 0, 0}},
    {{"........xx", "..", ""}, {100, 0, 0}}, /* 80 % times 1.4 */
    {{"xx.....xxx", "..", ""}, {70, 30, 0}},
    {{".x", "..", ""}, {70, 30, 0}},
    {{"xx", "..", ".."}, {0, 100, 0}},
    {{"xx", ".x", ".."}, {0, 70, 30}},
    {{"xx", "xx", "."}, {0, 0, 100}},
    {{"...xxxxxxx", ".xxxxxxxxx", ""}, {75, 25, 0}}, /* 42 and 14: not enough, so as they can */
    {{".x", ".x", ".x"}, {70, 30, 0}},
    {{"xx", "xx", "xx"}, {0, 0, 0}},
};

START_TEST(what_is_lacking_goes_on)
{
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct field field = {0};
        for (uint8_t g = 0; g < 3; g++) {
            for (const char *at = cases[c].groups[g]; *at != '\0'; at++) {
                add(&field, (uint8_t)(2 * g), 100, *at == '.');
            }
        }
        build(&field, 140);
        uint32_t level = 0;
        for (uint8_t g = 0; g < 3; g++) {
            if (cases[c].groups[g][0] == '\0') {
                continue;
            }
            uint32_t share = field.levels[level].share;
            ck_assert_uint_eq(field.levels[level].rank, 2 * g);
            ck_assert_msg(abs((int)share - (int)cases[c].shares[g] * 100) <= 1,
                          "case %zu group %u: %u", c, g, share);
            if (cases[c].shares[g] != 0) {
                uint32_t has = got(&field, (uint8_t)(2 * g));
                ck_assert_msg(abs((int)has - (int)share) <= 30, "case %zu group %u has %u", c, g,
                              has);
            }
            level++;
        }
        ck_assert_uint_eq(field.found, level);
    }
}
END_TEST

START_TEST(who_stands_by_has_no_weight_and_one_group_alone_keeps_its_own)
{
    struct field field = {0};
    add(&field, 0, 7, true);
    add(&field, 0, 300, true);
    add(&field, 0, 20, true);
    add(&field, 1, 100, true);
    add(&field, 2, 100, true);
    build(&field, 140);
    static const uint32_t want[] = {7, 300, 20, 0, 0};
    for (uint32_t i = 0; i < field.count; i++) {
        ck_assert_uint_eq(field.targets[i].weight, want[i]);
    }
}
END_TEST

START_TEST(when_nobody_is_usable_weights_stay)
{
    struct field field = {0};
    add(&field, 0, 7, false);
    add(&field, 2, 9, false);
    build(&field, 140);
    ck_assert_uint_eq(field.targets[0].weight, 7);
    ck_assert_uint_eq(field.targets[1].weight, 9);
}
END_TEST

START_TEST(near_servers_come_first_within_their_priority)
{
    struct field field = {0};
    add(&field, levels_rank(0, false), 100, true);
    add(&field, levels_rank(0, false), 100, false);
    add(&field, levels_rank(0, true), 100, true);
    add(&field, levels_rank(0, true), 100, true);
    add(&field, levels_rank(1, false), 100, true);
    build(&field, 140);
    ck_assert_uint_eq(field.found, 3);
    ck_assert_uint_eq(field.levels[0].share, 7000);
    ck_assert_uint_eq(field.levels[1].share, 3000);
    ck_assert_uint_eq(field.levels[2].share, 0);
    ck_assert_uint_eq(field.targets[4].weight, 0);
}
END_TEST

/* Any groups, weights and failures: shares add up to all, nobody usable is left out of a level that
 * gets some, and within it weights hold. */
START_TEST(shares_are_whole_and_fair)
{
    struct random random;
    random_seed_with(&random, 5);
    for (uint32_t round = 0; round < 3000; round++) {
        struct field field = {0};
        uint32_t before[MOST];
        uint32_t count = 1 + random_below(&random, MOST);
        uint32_t factor = 100 + random_below(&random, 200);
        for (uint32_t i = 0; i < count; i++) {
            before[i] = 50 + random_below(&random, 200);
            add(&field, (uint8_t)random_below(&random, 6), before[i],
                random_below(&random, 3) != 0);
        }
        build(&field, factor);
        uint32_t sum = 0;
        for (uint32_t i = 0; i < field.found; i++) {
            const struct level *level = &field.levels[i];
            sum += level->share;
            ck_assert(level->share == 0 || level->usable != 0);
            if (level->share > 300) {
                uint32_t has = got(&field, level->rank);
                ck_assert_msg(abs((int)has - (int)level->share) <= 150, "%u for %u", has,
                              level->share);
            }
        }
        bool has_some = sum != 0;
        ck_assert(!has_some || (sum > LEVELS_WHOLE - LEVELS_MAX && sum <= LEVELS_WHOLE));
        for (uint32_t i = 0; has_some && i < count; i++) {
            ck_assert_uint_le(field.targets[i].weight, 1000);
            for (uint32_t k = 0; k < i; k++) {
                if (field.ranks[i] == field.ranks[k] && field.targets[i].weight > 100 &&
                    field.targets[k].weight > 100) {
                    double ratio = (double)before[i] * field.targets[k].weight /
                                   ((double)before[k] * field.targets[i].weight);
                    ck_assert_msg(ratio > 0.98 && ratio < 1.02, "ratio %f", ratio);
                }
            }
        }
    }
}
END_TEST

UNIT_TESTS("levels", what_is_lacking_goes_on,
           who_stands_by_has_no_weight_and_one_group_alone_keeps_its_own,
           when_nobody_is_usable_weights_stay, near_servers_come_first_within_their_priority,
           shares_are_whole_and_fair)
