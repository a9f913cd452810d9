#include "lbd/balance/hash_pick.h"

#include "lbd/balance/random_turn.h"

enum { SUM_AT_ONCE = 16, SUM_US_PER_TARGET = 2 };

static void sum_up(const struct balancer *balancer, struct balancer_state *state,
                   enum balancer_fitness fitness)
{
    if (balancer->count > SUM_AT_ONCE && state->now_us < state->sum_until_us) {
        return;
    }
    state->sum_in_flight = 0;
    state->sum_weight = 0;
    state->sum_until_us = state->now_us + (uint64_t)balancer->count * SUM_US_PER_TARGET;
    for (uint32_t i = 0; i < balancer->count; i++) {
        if (balancer_may_pick(balancer, i, fitness, NULL, 0)) {
            state->sum_in_flight += target_in_flight(&balancer->targets[i]);
            state->sum_weight += balancer->targets[i].weight;
        }
    }
}

/* May it have one more: is it below its share of all and this one, times the bound? */
static bool has_room(const struct balancer *balancer, const struct balancer_state *state,
                     const struct target *target)
{
    uint64_t share = (state->sum_in_flight + 1) * target->weight * balancer->hash_bound;
    return (uint64_t)target_in_flight(target) * state->sum_weight * 100 < share;
}

/* Few are fit: those of the schedule, still by key. */
static uint32_t by_schedule(const struct balancer *balancer, uint64_t key,
                            enum balancer_fitness fitness, const uint32_t *tried,
                            uint32_t tried_count)
{
    uint32_t turns = balancer->schedule_len;
    uint32_t turn = turns != 0 ? (uint32_t)(key % turns) : 0;
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t index = balancer->schedule[turn];
        if (balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            return index;
        }
        turn = turn + 1 < turns ? turn + 1 : 0;
    }
    return BALANCER_NONE;
}

uint32_t hash_pick(const struct balancer *balancer, struct balancer_state *state,
                   struct random *random, enum balancer_fitness fitness, const uint32_t *tried,
                   uint32_t tried_count)
{
    const struct hash_table *table = &balancer->hash;
    if (!state->has_key || table->slots == 0) {
        return random_turn_pick(balancer, random, fitness, tried, tried_count);
    }
    uint32_t slot = hash_table_start(table, state->key);
    uint32_t first = BALANCER_NONE;
    for (uint32_t i = 0; i < table->slots && i < HASH_PICK_WALK_MAX; i++) {
        uint32_t index = hash_table_at(table, slot);
        slot = slot + 1 < table->slots ? slot + 1 : 0;
        if (index == first || !balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            continue;
        }
        const struct target *target = &balancer->targets[index];
        if (balancer->hash_bound == 0 || target_in_flight(target) == 0) {
            return index;
        }
        if (first == BALANCER_NONE) {
            first = index;
            sum_up(balancer, state, fitness);
        }
        if (has_room(balancer, state, target)) {
            return index;
        }
    }
    if (first != BALANCER_NONE) {
        return first; /* the others are tried or full: better over its bound than nowhere */
    }
    return by_schedule(balancer, state->key, fitness, tried, tried_count);
}
