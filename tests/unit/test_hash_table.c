#include <stdlib.h>
#include <string.h>

#include "lbd/balance/hash_table.h"
#include "lbd/balance/levels.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

enum { KEYS = 100000 };

static const enum balancer_kind kinds[] = {BALANCER_MAGLEV, BALANCER_RING_HASH};

/* Whom each key belongs to, as numbers of names; targets left_out and not in the table. */
static uint16_t *owners(enum balancer_kind kind, const uint32_t *weights, uint32_t count,
                        uint32_t left_out)
{
    struct arena arena;
    struct hash_table table;
    uint64_t *seeds = balance_field_seeds(count);
    struct target *targets = mem_zero((size_t)count + 1, sizeof(*targets));
    uint16_t *names = mem_zero((size_t)count + 1, sizeof(*names));
    uint16_t *of = mem_zero(KEYS, sizeof(*of));
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i != left_out) {
            targets[used].weight = weights != NULL ? weights[i] : 100;
            seeds[used] = seeds[i];
            names[used++] = (uint16_t)i;
        }
    }
    arena_init(&arena, NULL, 0);
    if (kind == BALANCER_MAGLEV) {
        hash_table_build_maglev(&table, targets, seeds, used, &arena);
    } else {
        hash_table_build_ring(&table, targets, seeds, used, &arena);
    }
    uint32_t inside = 0; /* an assertion for each key would take longer than all else */
    for (uint32_t key = 0; key < KEYS; key++) {
        uint32_t slot = hash_table_start(&table, hash_mix(key));
        inside += slot < table.slots ? 1 : 0;
        of[key] = names[hash_table_at(&table, slot < table.slots ? slot : 0)];
    }
    ck_assert_uint_eq(inside, KEYS);
    arena_fini(&arena);
    free(names);
    free(targets);
    free(seeds);
    return of;
}

static void count(const uint16_t *of, uint32_t *got, uint32_t servers)
{
    uint32_t known = 0;
    memset(got, 0, servers * sizeof(*got));
    for (uint32_t key = 0; key < KEYS; key++) {
        known += of[key] < servers ? 1 : 0;
        got[of[key] < servers ? of[key] : 0]++;
    }
    ck_assert_uint_eq(known, KEYS);
}

/* Of each target, within so many per cent of its share; of the ring three standard deviations: the
 * lightest has 52 points. */
START_TEST(keys_are_spread_by_weight)
{
    static const uint32_t uneven[20] = {100, 100, 200, 50, 100, 400, 100, 100, 75, 100,
                                        100, 100, 100, 33, 100, 100, 150, 100, 90, 100};
    static const struct {
        enum balancer_kind kind;
        const uint32_t *weights;
        uint32_t count;
        uint32_t percent;
    } cases[] = {
        {BALANCER_MAGLEV, NULL, 20, 6},    {BALANCER_MAGLEV, NULL, 3, 6},
        {BALANCER_MAGLEV, uneven, 20, 9},  {BALANCER_RING_HASH, NULL, 20, 25},
        {BALANCER_RING_HASH, NULL, 3, 25}, {BALANCER_RING_HASH, uneven, 20, 42},
        {BALANCER_MAGLEV, NULL, 1, 0},     {BALANCER_RING_HASH, NULL, 1, 0},
    };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        uint32_t got[20];
        uint32_t sum = 0;
        uint16_t *of = owners(cases[c].kind, cases[c].weights, cases[c].count, UINT32_MAX);
        count(of, got, cases[c].count);
        for (uint32_t i = 0; i < cases[c].count; i++) {
            sum += cases[c].weights != NULL ? cases[c].weights[i] : 100;
        }
        for (uint32_t i = 0; i < cases[c].count; i++) {
            uint32_t weight = cases[c].weights != NULL ? cases[c].weights[i] : 100;
            double share = (double)KEYS * weight / sum;
            double off = ((double)got[i] - share) * 100 / share;
            ck_assert_msg(off <= cases[c].percent && off >= -(double)cases[c].percent,
                          "case %zu: server %u has %u keys, %.1f per cent off its share", c, i,
                          got[i], off);
        }
        free(of);
    }
}
END_TEST

/* ring_hash: the keys of who goes, and no other; maglev: those, and few others. */
START_TEST(who_goes_takes_its_share_only)
{
    enum { SERVERS = 50 };
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        uint16_t *before = owners(kinds[k], NULL, SERVERS, UINT32_MAX);
        for (uint32_t gone = 0; gone < SERVERS; gone += 7) {
            uint32_t own = 0;
            uint32_t others = 0;
            uint32_t got[SERVERS] = {0};
            uint16_t *after = owners(kinds[k], NULL, SERVERS, gone);
            for (uint32_t key = 0; key < KEYS; key++) {
                if (before[key] == gone) {
                    own++;
                    got[after[key]]++;
                } else if (before[key] != after[key]) {
                    others++;
                }
            }
            ck_assert_uint_gt(own, 0);
            ck_assert_uint_eq(got[gone], 0);
            ck_assert_msg(others <= (kinds[k] == BALANCER_MAGLEV ? own : 0),
                          "%u keys of others moved with %u", others, own);
            for (uint32_t i = 0; i < SERVERS; i++) { /* nobody inherits it all */
                ck_assert_uint_le(got[i], own / 4);
            }
            free(after);
        }
        free(before);
    }
}
END_TEST

/* Nowhere is there a number of servers at which one more, or one less, moves everything. */
START_TEST(one_more_moves_little_at_any_number)
{
    static const uint32_t numbers[] = {2, 3, 4, 5, 6, 7, 9, 11, 15, 21, 30, 41, 82};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
            uint32_t servers = numbers[i];
            uint32_t others = 0;
            uint16_t *before = owners(kinds[k], NULL, servers, UINT32_MAX);
            uint16_t *after = owners(kinds[k], NULL, servers, servers / 2);
            for (uint32_t key = 0; key < KEYS; key++) {
                others += before[key] != servers / 2 && before[key] != after[key] ? 1 : 0;
            }
            ck_assert_msg(others <= (kinds[k] == BALANCER_MAGLEV ? KEYS / 100 : 0),
                          "%u keys of others moved with one of %u servers", others, servers);
            free(before);
            free(after);
        }
    }
}
END_TEST

START_TEST(a_weight_moves_its_difference)
{
    enum { SERVERS = 10 };
    uint32_t weights[SERVERS];
    for (uint32_t i = 0; i < SERVERS; i++) {
        weights[i] = 100;
    }
    uint16_t *before = owners(BALANCER_RING_HASH, weights, SERVERS, UINT32_MAX);
    weights[4] = 150;
    uint16_t *after = owners(BALANCER_RING_HASH, weights, SERVERS, UINT32_MAX);
    uint32_t moved = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        if (before[key] != after[key]) {
            ck_assert_uint_eq(after[key], 4);
            moved++;
        }
    }
    ck_assert_uint_gt(moved, 0);
    ck_assert_uint_le(moved, KEYS / 10);
    free(before);
    free(after);
}
END_TEST

/* The order in which they stand in the document, which is that of their names, plays no part. */
START_TEST(the_place_in_the_list_does_not_matter_to_the_ring)
{
    struct arena arena;
    struct hash_table table;
    struct hash_table turned;
    struct target targets[3] = {{.weight = 100}, {.weight = 100}, {.weight = 100}};
    const uint64_t seeds[] = {11, 22, 33};
    const uint64_t seeds_turned[] = {33, 11, 22};
    arena_init(&arena, NULL, 0);
    hash_table_build_ring(&table, targets, seeds, 3, &arena);
    hash_table_build_ring(&turned, targets, seeds_turned, 3, &arena);
    for (uint64_t key = 0; key < 1000; key++) {
        uint64_t mixed = hash_mix(key);
        ck_assert_uint_eq(seeds[hash_table_at(&table, hash_table_start(&table, mixed))],
                          seeds_turned[hash_table_at(&turned, hash_table_start(&turned, mixed))]);
    }
    arena_fini(&arena);
}
END_TEST

/* Small weights are spread as large ones of the same proportion are: three deviations of the
 * lightest, which has 40 points at the least. */
START_TEST(small_weights_are_spread_too)
{
    static const uint32_t weights[][3] = {{1, 1, 1}, {2, 1, 1}, {10, 20, 30}, {5, 5, 5}};
    for (size_t c = 0; c < ARRAY_LEN(weights); c++) {
        uint32_t got[3];
        uint16_t *of = owners(BALANCER_RING_HASH, weights[c], 3, UINT32_MAX);
        double sum = weights[c][0] + weights[c][1] + weights[c][2];
        count(of, got, 3);
        for (uint32_t i = 0; i < 3; i++) {
            double share = KEYS * weights[c][i] / sum;
            ck_assert_msg(got[i] > share * 0.6 && got[i] < share * 1.4, "case %zu: %u has %u", c, i,
                          got[i]);
        }
        free(of);
    }
}
END_TEST

static uint16_t *owners_of(struct target *targets, uint32_t count)
{
    struct arena arena;
    struct hash_table table;
    uint64_t *seeds = balance_field_seeds(count);
    uint16_t *of = mem_zero(KEYS, sizeof(*of));
    arena_init(&arena, NULL, 0);
    hash_table_build_ring(&table, targets, seeds, count, &arena);
    for (uint32_t key = 0; key < KEYS; key++) {
        uint32_t slot = hash_table_start(&table, hash_mix(key));
        for (;; slot = slot + 1 < table.slots ? slot + 1 : 0) { /* as hash_pick walks */
            const struct target *target = &targets[hash_table_at(&table, slot)];
            if (target->weight != 0 && (target->load == NULL || target_is_fit(target, false))) {
                break;
            }
        }
        of[key] = (uint16_t)hash_table_at(&table, slot);
    }
    arena_fini(&arena);
    free(seeds);
    return of;
}

/* 0 to 3 are a group, 4 and 5 the one behind; 2 and 3 go out. */
START_TEST(a_group_that_begins_to_help_moves_no_key_among_others)
{
    enum { SERVERS = 6 };
    static const uint8_t ranks[SERVERS] = {0, 0, 0, 0, 2, 2};
    static const uint32_t weights[SERVERS] = {100, 130, 100, 100, 150, 100};
    struct target_load loads[SERVERS] = {0};
    uint16_t *before = NULL;
    for (uint32_t out = 0; out <= 2; out++) {
        struct target targets[SERVERS];
        struct level levels[LEVELS_MAX];
        uint32_t behind = 0;
        for (uint32_t i = 0; i < SERVERS; i++) {
            targets[i] = (struct target){.load = &loads[i], .weight = weights[i]};
            atomic_store(&loads[i].usable, i < 4 - out || i >= 4 ? 1 : 0);
        }
        ck_assert_uint_eq(levels_build(targets, ranks, SERVERS, 140, levels), 2);
        uint16_t *after = owners_of(targets, SERVERS);
        for (uint32_t key = 0; key < KEYS; key++) {
            behind += after[key] >= 4 ? 1 : 0;
            if (before != NULL && before[key] != after[key]) {
                uint32_t gone = 4 - out;
                bool is_right = before[key] == gone || after[key] >= 4;
                ck_assert_msg(is_right, "%u out: from %u to %u", out, before[key], after[key]);
            }
        }
        double share = (double)KEYS * levels[1].share / LEVELS_WHOLE;
        ck_assert_msg(behind >= share * 0.7 && behind <= share * 1.3, "%u out: %u behind", out,
                      behind);
        free(before);
        before = after;
    }
    free(before);
}
END_TEST

START_TEST(a_share_that_changes_moves_no_key_among_others)
{
    /* a share beside two numbers: of 10 % and of 20 %, as the scale of the whole has them */
    static const struct {
        uint32_t weights[3];
        uint32_t own[3];
    } cases[] = {{{2000, 9000, 9000}, {2222, 10000, 10000}},
                 {{4000, 8000, 8000}, {5000, 10000, 10000}}};
    uint16_t *of[2];
    uint32_t moved = 0;
    for (size_t c = 0; c < 2; c++) {
        struct target targets[3] = {{0}};
        for (uint32_t i = 0; i < 3; i++) {
            targets[i].weight = cases[c].weights[i];
            targets[i].own_weight = cases[c].own[i];
        }
        of[c] = owners_of(targets, 3);
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        if (of[0][key] != of[1][key]) {
            ck_assert_uint_eq(of[1][key], 0);
            moved++;
        }
    }
    ck_assert_uint_gt(moved, 0);
    free(of[0]);
    free(of[1]);
}
END_TEST

START_TEST(limits_hold)
{
    enum { MANY = 65535 };
    struct arena arena;
    struct hash_table table;
    uint64_t *seeds = balance_field_seeds(MANY);
    struct target *targets = mem_zero(MANY, sizeof(*targets));
    arena_init(&arena, NULL, 0);
    hash_table_build_maglev(&table, targets, seeds, 0, &arena);
    ck_assert_uint_eq(table.slots, 0);
    hash_table_build_ring(&table, targets, seeds, 0, &arena);
    ck_assert_uint_eq(table.slots, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        targets[i].weight = 1000;
    }
    hash_table_build_ring(&table, targets, seeds, MANY, &arena);
    ck_assert_uint_ge(table.slots, MANY);
    ck_assert_uint_le(table.slots, HASH_TABLE_POINTS_MAX);
    hash_table_build_maglev(&table, targets, seeds, MANY, &arena);
    ck_assert_uint_eq(table.slots, 65537);
    arena_fini(&arena);
    free(targets);
    free(seeds);
}
END_TEST

UNIT_TESTS("hash_table", keys_are_spread_by_weight, who_goes_takes_its_share_only,
           one_more_moves_little_at_any_number, a_weight_moves_its_difference,
           the_place_in_the_list_does_not_matter_to_the_ring, small_weights_are_spread_too,
           a_group_that_begins_to_help_moves_no_key_among_others,
           a_share_that_changes_moves_no_key_among_others, limits_hold)
