#include "lbd/balance/balancer.h"

#include <stdlib.h>

#include "lbd/balance/hash_pick.h"
#include "lbd/balance/peak_ewma.h"
#include "lbd/balance/random_turn.h"
#include "lbd/balance/round_robin.h"
#include "lbd/balance/schedule.h"
#include "lbd/balance/two_choices.h"
#include "lbd/balance/weighted_draw.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

enum { SCAN_MAX = 256 }; /* targets outside the schedule that one pick looks at */

#define DRAW_SALT UINT64_C(0x9e3779b97f4a7c15)

static uint32_t collect_fit(const struct target *targets, uint32_t count,
                            enum balancer_fitness fitness, uint16_t *members)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool stands_by = fitness == BALANCER_USABLE && targets[i].weight == 0;
        if (target_is_fit(&targets[i], fitness == BALANCER_READY) && !stands_by) {
            members[found++] = (uint16_t)i;
        }
    }
    return found;
}

static bool stands_by_on(const struct target *target, uint32_t rank)
{
    return target->weight == 0 && target->rank == rank && target_is_fit(target, false);
}

static void build_standby(struct balancer *balancer, uint16_t *members, struct arena *arena)
{
    uint64_t ranks = 0; /* a bit for each with somebody */
    uint32_t count = 0;
    for (uint32_t i = 0; i < balancer->count; i++) {
        const struct target *target = &balancer->targets[i];
        assert(target->rank < 64);
        uint64_t bit = stands_by_on(target, target->rank) ? UINT64_C(1) << target->rank : 0;
        count += (ranks & bit) == 0 && bit != 0 ? 1 : 0;
        ranks |= bit;
    }
    if (count == 0) {
        return;
    }
    balancer->standby = arena_zero(arena, count * sizeof(*balancer->standby));
    for (uint32_t rank = 0; rank < 64; rank++) {
        uint32_t found = 0;
        for (uint32_t i = 0; (ranks >> rank & 1U) != 0 && i < balancer->count; i++) {
            if (stands_by_on(&balancer->targets[i], rank)) {
                members[found++] = (uint16_t)i;
            }
        }
        if (found != 0) {
            struct balancer_standby *standby = &balancer->standby[balancer->standby_count++];
            standby->schedule =
                schedule_build(balancer->targets, members, found, arena, &standby->schedule_len);
        }
    }
}

void balancer_build(struct balancer *balancer, enum balancer_kind kind,
                    const struct target *targets, uint32_t count, struct arena *arena)
{
    assert(count <= BALANCER_TARGETS_MAX);
    *balancer = (struct balancer){.kind = kind, .targets = targets, .count = count};

    uint16_t *members = mem_zero((size_t)count + 1, sizeof(*members));
    uint32_t found = collect_fit(targets, count, BALANCER_USABLE, members);
    balancer->schedule_of = BALANCER_USABLE;
    if (found == 0) {
        found = collect_fit(targets, count, BALANCER_READY, members);
        balancer->schedule_of = BALANCER_READY;
    }
    balancer->schedule = schedule_build(targets, members, found, arena, &balancer->schedule_len);
    build_standby(balancer, members, arena);
    free(members);
}

void balancer_build_hash(struct balancer *balancer, enum balancer_kind kind,
                         const struct target *targets, const uint64_t *seeds, uint32_t count,
                         uint32_t bound_per_cent, struct arena *arena)
{
    balancer_build(balancer, kind, targets, count, arena);
    balancer->hash_bound = bound_per_cent;
    if (kind == BALANCER_MAGLEV) {
        hash_table_build_maglev(&balancer->hash, targets, seeds, count, arena);
    } else {
        hash_table_build_ring(&balancer->hash, targets, seeds, count, arena);
    }
}

void balancer_state_init(struct balancer_state *state, const struct balancer *balancer,
                         uint32_t worker, uint32_t workers)
{
    state->position = (uint32_t)((uint64_t)balancer->schedule_len * worker / workers);
}

/* A turn of the first level that has somebody fit. Usability may have changed since the build. */
static uint32_t pick_standby(const struct balancer *balancer, const struct balancer_state *state,
                             struct random *random, const uint32_t *tried, uint32_t tried_count)
{
    bool by_key = balancer_is_hash(balancer->kind) && state->has_key;
    for (uint32_t level = 0; level < balancer->standby_count; level++) {
        const struct balancer_standby *standby = &balancer->standby[level];
        uint32_t turns = standby->schedule_len;
        uint32_t turn = 0;
        for (uint32_t i = 0; i < RANDOM_TURN_DRAWS + turns; i++) {
            if (i >= RANDOM_TURN_DRAWS) { /* luck runs out: on from the last draw */
                turn = turn + 1 < turns ? turn + 1 : 0;
            } else if (by_key) {
                turn = (uint32_t)(hash_mix(state->key + i * DRAW_SALT) % turns);
            } else {
                turn = random_below(random, turns);
            }
            uint32_t index = standby->schedule[turn];
            if (balancer_may_pick(balancer, index, BALANCER_STANDBY, tried, tried_count)) {
                return index;
            }
        }
    }
    return BALANCER_NONE;
}

/* Somebody who became fit after the build: a bounded look around, starting anywhere. */
static uint32_t scan(const struct balancer *balancer, struct random *random,
                     enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count)
{
    if (balancer->count == 0) {
        return BALANCER_NONE;
    }
    struct weighted_draw draw = weighted_draw(balancer->targets, fitness);
    uint32_t index = random_below(random, balancer->count);
    for (uint32_t i = 0; i < balancer->count && i < SCAN_MAX; i++) {
        if (balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            weighted_draw_offer(&draw, random, index);
        }
        index = index + 1 < balancer->count ? index + 1 : 0;
    }
    return draw.drawn;
}

uint32_t balancer_pick(const struct balancer *balancer, struct balancer_state *state,
                       struct random *random, enum balancer_fitness fitness, const uint32_t *tried,
                       uint32_t tried_count)
{
    uint32_t index = BALANCER_NONE;
    if (LB_UNLIKELY(fitness == BALANCER_STANDBY)) {
        index = pick_standby(balancer, state, random, tried, tried_count);
    } else if (LB_LIKELY(fitness == BALANCER_READY || balancer->schedule_of == BALANCER_USABLE)) {
        /* a schedule of targets that were not usable is no place to look for usable ones */
        switch (balancer->kind) {
        case BALANCER_LEAST_REQUEST:
            index = two_choices_pick(balancer, random, fitness, tried, tried_count);
            break;
        case BALANCER_ROUND_ROBIN:
            index = round_robin_pick(balancer, state, fitness, tried, tried_count);
            break;
        case BALANCER_RANDOM:
            index = random_turn_pick(balancer, random, fitness, tried, tried_count);
            break;
        case BALANCER_PEAK_EWMA:
            index = peak_ewma_pick(balancer, random, state->now_us, fitness, tried, tried_count);
            break;
        case BALANCER_MAGLEV:
        case BALANCER_RING_HASH:
            index = hash_pick(balancer, state, random, fitness, tried, tried_count);
            break;
        }
    }
    if (LB_UNLIKELY(index == BALANCER_NONE)) {
        index = scan(balancer, random, fitness, tried, tried_count);
    }
    return index;
}
