#include "lbd/balance/levels.h"

#include <assert.h>
#include <string.h>

enum { WEIGHT_MOST = 1000 /* what the heaviest gets where levels share */ };

/* Adds up by rank; returns how many there are. */
static uint32_t collect(struct target *targets, const uint8_t *ranks, uint32_t count,
                        struct level levels[LEVELS_MAX])
{
    uint32_t found = 0;
    memset(levels, 0, LEVELS_MAX * sizeof(*levels));
    for (uint32_t i = 0; i < count; i++) {
        assert(ranks[i] < LEVELS_MAX);
        struct level *level = &levels[ranks[i]];
        targets[i].rank = ranks[i];
        targets[i].own_weight = target_own_weight(&targets[i]);
        level->rank = ranks[i];
        level->targets++;
        level->weight += targets[i].weight;
        if (target_is_fit(&targets[i], false)) {
            level->usable++;
            level->usable_weight += targets[i].weight;
        }
    }
    for (uint32_t rank = 0; rank < LEVELS_MAX; rank++) {
        if (levels[rank].targets != 0) {
            levels[found++] = levels[rank];
        }
    }
    return found;
}

static uint32_t can_carry(const struct level *level, uint32_t overprovisioning_per_cent)
{
    uint64_t of_whole = level->usable_weight * overprovisioning_per_cent * (LEVELS_WHOLE / 100);
    of_whole /= level->weight != 0 ? level->weight : 1;
    return of_whole < LEVELS_WHOLE ? (uint32_t)of_whole : LEVELS_WHOLE;
}

/* False: nobody can carry anything. */
static bool share_out(struct level *levels, uint32_t count, uint32_t overprovisioning_per_cent)
{
    uint32_t left = LEVELS_WHOLE;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t most = can_carry(&levels[i], overprovisioning_per_cent);
        levels[i].share = most < left ? most : left;
        left -= levels[i].share;
    }
    uint32_t taken = LEVELS_WHOLE - left;
    for (uint32_t i = 0; i < count && taken != 0; i++) {
        levels[i].share = (uint32_t)((uint64_t)levels[i].share * LEVELS_WHOLE / taken);
    }
    return taken != 0;
}

/* What a weight of 1 on this level is worth. */
static double worth_of(const struct level *level)
{
    return level->share != 0 ? (double)level->share / (double)level->usable_weight : 0;
}

/* The same on a ring, which knows own weights alone; relative to the level that is worth most. */
static void set_ring_worth(struct target *targets, uint32_t count, const struct level *levels,
                           uint32_t level_count)
{
    uint64_t usable[LEVELS_MAX] = {0};
    double worth[LEVELS_MAX] = {0};
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (target_is_fit(&targets[i], false)) {
            usable[targets[i].rank] += targets[i].own_weight;
        }
    }
    for (uint32_t i = 0; i < level_count; i++) {
        uint8_t rank = levels[i].rank;
        worth[rank] = usable[rank] != 0 ? levels[i].share / (double)usable[rank] : 0;
        most = worth[rank] > most ? worth[rank] : most;
    }
    for (uint32_t i = 0; i < count && most > 0; i++) {
        double part = worth[targets[i].rank] / most;
        uint32_t of_all = (uint32_t)(part * TARGET_WORTH_ALL + 0.5);
        targets[i].worth = (uint16_t)(of_all == 0 ? 1 : of_all % TARGET_WORTH_ALL);
    }
}

uint32_t levels_build(struct target *targets, const uint8_t *ranks, uint32_t count,
                      uint32_t overprovisioning_per_cent, struct level levels[LEVELS_MAX])
{
    uint32_t found = collect(targets, ranks, count, levels);
    if (!share_out(levels, found, overprovisioning_per_cent)) {
        return found;
    }
    double worth[LEVELS_MAX] = {0};
    uint32_t sharing = 0;
    for (uint32_t i = 0; i < found; i++) {
        worth[levels[i].rank] = worth_of(&levels[i]);
        sharing += levels[i].share != 0 ? 1 : 0;
    }
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        double value = targets[i].weight * worth[ranks[i]];
        most = value > most ? value : most;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (worth[ranks[i]] <= 0) {
            targets[i].weight = 0;
        } else if (sharing > 1) {
            double weight = targets[i].weight * worth[ranks[i]] * WEIGHT_MOST / most + 0.5;
            targets[i].weight = weight >= 1 ? (uint32_t)weight : 1;
        }
    }
    if (sharing > 1) {
        set_ring_worth(targets, count, levels, found);
    }
    return found;
}
