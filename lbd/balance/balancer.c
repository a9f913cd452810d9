#include "lbd/balance/balancer.h"

#include <stdlib.h>

#include "lbd/balance/hash_pick.h"
#include "lbd/balance/peak_ewma.h"
#include "lbd/balance/random_turn.h"
#include "lbd/balance/round_robin.h"
#include "lbd/balance/schedule.h"
#include "lbd/balance/two_choices.h"
#include "lbd/base/mem.h"

enum { SCAN_MAX = 256 }; /* targets outside the schedule that one pick looks at */

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

/* Somebody who became fit after the build: a bounded look around, starting anywhere. */
static uint32_t scan(const struct balancer *balancer, struct random *random,
                     enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count)
{
    if (balancer->count == 0) {
        return BALANCER_NONE;
    }
    uint32_t index = random_below(random, balancer->count);
    for (uint32_t i = 0; i < balancer->count && i < SCAN_MAX; i++) {
        if (balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            return index;
        }
        index = index + 1 < balancer->count ? index + 1 : 0;
    }
    return BALANCER_NONE;
}

uint32_t balancer_pick(const struct balancer *balancer, struct balancer_state *state,
                       struct random *random, enum balancer_fitness fitness, const uint32_t *tried,
                       uint32_t tried_count)
{
    uint32_t index = BALANCER_NONE;
    /* a schedule of targets that were not usable is no place to look for usable ones */
    if (LB_LIKELY(fitness == BALANCER_READY || balancer->schedule_of == BALANCER_USABLE)) {
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
