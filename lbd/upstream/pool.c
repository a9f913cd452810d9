#include "lbd/upstream/pool.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

enum { SKIP_MAX = POOL_TRIED_MAX + 8 }; /* tried ones and those found full, before we walk */

struct pool *pool_new(struct slice name, uint32_t id, uint32_t count)
{
    assert(count <= BALANCER_TARGETS_MAX);
    struct pool *pool = mem_zero(1, sizeof(*pool));
    arena_init(&pool->arena, NULL, 0);
    atomic_init(&pool->refs, 1);
    pool->name = arena_copy(&pool->arena, name);
    pool->id = id;
    pool->count = count;
    pool->members = arena_zero(&pool->arena, count * sizeof(*pool->members));
    pool->targets = arena_zero(&pool->arena, count * sizeof(*pool->targets));
    return pool;
}

void pool_build(struct pool *pool, enum balancer_kind kind)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->targets[i].load = &pool->members[i].server->load;
    }
    balancer_build(&pool->balancer, kind, pool->targets, pool->count, &pool->arena);
}

struct pool *pool_ref(struct pool *pool)
{
    (void)atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void pool_unref(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel);
    assert(before != 0);
    if (before != 1) {
        return;
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        server_unref(pool->members[i].server);
    }
    arena_fini(&pool->arena);
    free(pool);
}

uint32_t pool_usable_count(const struct pool *pool)
{
    uint32_t usable = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        if (target_is_fit(&pool->targets[i], false)) {
            usable++;
        }
    }
    return usable;
}

void pool_release(struct server *server)
{
    uint32_t before = atomic_fetch_sub_explicit(&server->load.in_flight, 1, memory_order_relaxed);
    assert(before != 0);
}

/* Adds the request to the member, unless it has no address or is full. */
static bool occupy(const struct pool *pool, uint32_t index)
{
    const struct target *target = &pool->targets[index];
    if (LB_UNLIKELY(pool->members[index].address.len == 0)) {
        return false;
    }
    uint32_t before = atomic_fetch_add_explicit(&target->load->in_flight, 1, memory_order_relaxed);
    if (LB_UNLIKELY(target->max_in_flight != 0 && before >= target->max_in_flight)) {
        (void)atomic_fetch_sub_explicit(&target->load->in_flight, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

/* Every member once, from a random place: somewhere there may be room. */
static uint32_t occupy_any(const struct pool *pool, struct random *random,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count)
{
    uint32_t index = random_below(random, pool->count);
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct target *target = &pool->targets[index];
        /* looked at before it is written: a pool at its limit must not fight for cache lines */
        bool has_room =
            target->max_in_flight == 0 || target_in_flight(target) < target->max_in_flight;
        if (has_room && balancer_may_pick(&pool->balancer, index, fitness, tried, tried_count) &&
            occupy(pool, index)) {
            return index;
        }
        index = index + 1 < pool->count ? index + 1 : 0;
    }
    return BALANCER_NONE;
}

/* *found_fit becomes true when there was a fit member, with room or without. */
static uint32_t choose(const struct pool *pool, struct pool_state *state, struct random *random,
                       enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count,
                       bool *found_fit)
{
    uint32_t index =
        balancer_pick(&pool->balancer, &state->balancer, random, fitness, tried, tried_count);
    if (index == BALANCER_NONE) {
        return BALANCER_NONE;
    }
    if (LB_LIKELY(occupy(pool, index))) {
        *found_fit = true;
        return index;
    }

    uint32_t skip[SKIP_MAX];
    uint32_t skip_count = tried_count;
    if (tried_count != 0) {
        memcpy(skip, tried, tried_count * sizeof(*skip));
    }
    do {
        *found_fit = *found_fit || pool->members[index].address.len != 0;
        skip[skip_count++] = index;
        index = balancer_pick(&pool->balancer, &state->balancer, random, fitness, skip, skip_count);
        if (index == BALANCER_NONE) {
            return BALANCER_NONE;
        }
        if (occupy(pool, index)) {
            *found_fit = true;
            return index;
        }
    } while (skip_count < SKIP_MAX);
    *found_fit = true;
    return occupy_any(pool, random, fitness, tried, tried_count);
}

/* Nobody is usable: because of a name without an address, or for another reason? */
static enum close_reason why_none(const struct pool *pool)
{
    enum { LOOK_AT = 256 }; /* in a larger pool the first ones speak for all */
    bool found_unresolved = false;
    for (uint32_t i = 0; i < pool->count && i < LOOK_AT; i++) {
        const struct target_load *load = pool->targets[i].load;
        if (atomic_load_explicit(&load->unresolved, memory_order_relaxed) != 0) {
            found_unresolved = true;
        } else if (atomic_load_explicit(&load->ready, memory_order_relaxed) != 0) {
            if (pool->members[i].address.len != 0) {
                return CLOSE_NO_SERVER;
            }
            found_unresolved = true;
        }
    }
    return found_unresolved ? CLOSE_UNRESOLVED : CLOSE_NO_SERVER;
}

uint32_t pool_pick(const struct pool *pool, struct pool_state *state, struct random *random,
                   uint32_t worker, uint32_t workers, const uint32_t *tried, uint32_t tried_count,
                   enum close_reason *reason)
{
    if (LB_UNLIKELY(state->balancer_len != pool->balancer.schedule_len)) {
        balancer_state_init(&state->balancer, &pool->balancer, worker, workers);
        state->balancer_len = pool->balancer.schedule_len;
    }
    if (tried_count > POOL_TRIED_MAX) {
        tried += tried_count - POOL_TRIED_MAX; /* the latest ones */
        tried_count = POOL_TRIED_MAX;
    }

    /* usable and not tried > usable > when_all_down: any that is ready, not tried first */
    static const enum balancer_fitness fitnesses[] = {BALANCER_USABLE, BALANCER_READY};
    size_t rounds = pool->fail_open ? 2 : 1;
    bool found_fit = false;
    for (size_t i = 0; i < rounds && !found_fit; i++) {
        uint32_t index = choose(pool, state, random, fitnesses[i], tried, tried_count, &found_fit);
        if (LB_UNLIKELY(index == BALANCER_NONE && tried_count != 0)) {
            index = choose(pool, state, random, fitnesses[i], NULL, 0, &found_fit);
        }
        if (LB_LIKELY(index != BALANCER_NONE)) {
            return index;
        }
    }
    *reason = found_fit ? CLOSE_SERVER_LIMIT : why_none(pool);
    return BALANCER_NONE;
}

/* As in pool_pick: health is overlooked only when no member is usable. */
enum balancer_fitness pool_fitness(const struct pool *pool)
{
    for (uint32_t i = 0; pool->fail_open && i < pool->count; i++) {
        if (target_is_fit(&pool->targets[i], false) && pool->members[i].address.len != 0) {
            return BALANCER_USABLE;
        }
    }
    return pool->fail_open ? BALANCER_READY : BALANCER_USABLE;
}

enum pool_candidate pool_candidate(const struct pool *pool, enum balancer_fitness fitness,
                                   uint32_t index)
{
    const struct target *target = &pool->targets[index];
    if (pool->members[index].address.len == 0) {
        return POOL_NO_ADDRESS;
    }
    if (!balancer_may_pick(&pool->balancer, index, fitness, NULL, 0)) {
        return POOL_NOT_FIT;
    }
    bool is_full = target->max_in_flight != 0 && target_in_flight(target) >= target->max_in_flight;
    return is_full ? POOL_FULL : POOL_CANDIDATE;
}
