#include "lbd/upstream/pool.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/balance/weighted_draw.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

enum { SKIP_MAX = POOL_TRIED_MAX + 8 }; /* tried ones and those found full, before we walk */

struct pool *pool_new(struct slice name, uint32_t id, uint32_t count)
{
    assert(count <= BALANCER_TARGETS_MAX);
    struct pool *pool = mem_zero(1, sizeof(*pool));
    arena_init(&pool->arena, NULL, 0);
    retry_policy_init(&pool->retry, 0);
    atomic_init(&pool->refs, 1);
    pool->name = arena_copy(&pool->arena, name);
    pool->id = id;
    pool->state_id = id;
    pool->count = count;
    pool->members = arena_zero(&pool->arena, count * sizeof(*pool->members));
    pool->targets = arena_zero(&pool->arena, count * sizeof(*pool->targets));
    return pool;
}

/* The host of "host:port"; one behind a unix socket has no name but this. */
static const char *host_of(struct pool *pool, struct slice address)
{
    struct slice host;
    uint16_t port;
    if (addr_is_unix(address) || !addr_split(address, true, &host, &port)) {
        host = SLICE("localhost");
    }
    return arena_strdup(&pool->arena, host);
}

static uint64_t way_to(const struct pool *pool, const struct pool_member *member)
{
    uint64_t way = (uint64_t)pool->send_proxy_tlvs << 16 | (uint64_t)pool->http << 8 |
                   (uint64_t)pool->send_proxy;
    if (pool->http != POOL_HTTP1) { /* timeouts of a shared connection are those it began with */
        way ^= hash_mix((uint64_t)pool->response_ms << 32 | pool->idle_ms);
    }
    for (uint32_t i = 0; i < pool->sources.count; i++) {
        char text[ADDR_TEXT_MAX];
        size_t len = addr_write(&pool->sources.list[i], text);
        way = hash_fast(slice_of(text, len), way);
    }
    if (pool->tls != NULL) {
        way = hash_fast(slice_from(member->tls_name), tls_client_identity(pool->tls) ^ way);
    }
    return way;
}

/* By the names of servers: their addresses may change. */
static void build_by_hash(struct pool *pool, enum balancer_kind kind)
{
    uint64_t *seeds = mem_zero((size_t)pool->count + 1, sizeof(*seeds));
    for (uint32_t i = 0; i < pool->count; i++) {
        seeds[i] = rendezvous_key(slice_from(pool->members[i].server->name));
    }
    balancer_build_hash(&pool->balancer, kind, pool->targets, seeds, pool->count, pool->hash_bound,
                        &pool->arena);
    free(seeds);
}

void pool_build(struct pool *pool, enum balancer_kind kind)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        struct pool_member *member = &pool->members[i];
        if (pool->tls != NULL && member->tls_name == NULL) {
            member->tls_name = host_of(pool, member->host);
        }
        member->way = way_to(pool, member);
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->targets[i].load = &pool->members[i].server->load;
    }
    if (balancer_is_hash(kind)) {
        build_by_hash(pool, kind);
    } else {
        balancer_build(&pool->balancer, kind, pool->targets, pool->count, &pool->arena);
    }
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
    if (pool->whole != NULL) { /* all but its arena is the whole pool's */
        pool_unref(pool->whole);
        arena_fini(&pool->arena);
        free(pool);
        return;
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        server_unref(pool->members[i].server);
        place_unref(pool->members[i].place);
    }
    if (pool->mail != NULL) {
        struct slice secret = pool->mail->terms.master_password;
        mem_wipe((char *)(uintptr_t)secret.ptr, secret.len);
    }
    if (pool->sticky != NULL) {
        learned_unref(pool->sticky->learned);
    }
    tls_client_unref(pool->tls);
    pool_unref(pool->fallback);
    queue_unref(pool->queue);
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

bool pool_take(const struct pool *pool, uint32_t member)
{
    return occupy(pool, member);
}

/* Looked at before it is written: a pool at its limit must not fight for cache lines. */
static bool has_room(const struct target *target)
{
    return target->max_in_flight == 0 || target_in_flight(target) < target->max_in_flight;
}

/* One of all members that have room, by weight. */
static uint32_t occupy_drawn(const struct pool *pool, struct random *random,
                             enum balancer_fitness fitness, const uint32_t *tried,
                             uint32_t tried_count)
{
    struct weighted_draw draw = weighted_draw(pool->targets, fitness);
    for (uint32_t i = 0; i < pool->count; i++) {
        if (has_room(&pool->targets[i]) && pool->members[i].address.len != 0 &&
            balancer_may_pick(&pool->balancer, i, fitness, tried, tried_count)) {
            weighted_draw_offer(&draw, random, i);
        }
    }
    return draw.drawn != BALANCER_NONE && occupy(pool, draw.drawn) ? draw.drawn : BALANCER_NONE;
}

/* Every member once, from a random place: somewhere there may be room. */
static uint32_t occupy_any(const struct pool *pool, struct random *random,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count)
{
    uint32_t index = random_below(random, pool->count);
    for (uint32_t i = 0; i < pool->count; i++) {
        if (has_room(&pool->targets[index]) &&
            balancer_may_pick(&pool->balancer, index, fitness, tried, tried_count) &&
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
    index = occupy_drawn(pool, random, fitness, tried, tried_count);
    if (LB_LIKELY(index != BALANCER_NONE)) {
        return index;
    }
    return occupy_any(pool, random, fitness, tried, tried_count); /* others were quicker */
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

/* Nobody is usable, has room and was not tried: who stands by > who was tried > when_all_down: any
 * that is ready, not tried first. */
static uint32_t choose_further(const struct pool *pool, struct pool_state *state,
                               struct random *random, const uint32_t *tried, uint32_t tried_count,
                               bool *found_fit)
{
    bool has_levels = pool->level_count != 0;
    uint32_t index = BALANCER_NONE;
    if (has_levels) {
        index = choose(pool, state, random, BALANCER_STANDBY, tried, tried_count, found_fit);
    }
    bool may_wait = *found_fit && pool->queue != NULL;
    if (index == BALANCER_NONE && tried_count != 0 && !may_wait) {
        index = choose(pool, state, random, BALANCER_USABLE, NULL, 0, found_fit);
        if (index == BALANCER_NONE && has_levels) {
            index = choose(pool, state, random, BALANCER_STANDBY, NULL, 0, found_fit);
        }
    }
    if (index != BALANCER_NONE || !pool->fail_open || *found_fit) {
        return index;
    }
    index = choose(pool, state, random, BALANCER_READY, tried, tried_count, found_fit);
    if (index == BALANCER_NONE && tried_count != 0) {
        index = choose(pool, state, random, BALANCER_READY, NULL, 0, found_fit);
    }
    return index;
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

    bool found_fit = false;
    uint32_t index = choose(pool, state, random, BALANCER_USABLE, tried, tried_count, &found_fit);
    if (LB_LIKELY(index != BALANCER_NONE)) {
        return index;
    }
    index = choose_further(pool, state, random, tried, tried_count, &found_fit);
    if (index == BALANCER_NONE) {
        *reason = found_fit ? CLOSE_SERVER_LIMIT : why_none(pool);
    }
    return index;
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
        return target_is_fit(target, false) ? POOL_STANDS_BY : POOL_NOT_FIT;
    }
    bool is_full = target->max_in_flight != 0 && target_in_flight(target) >= target->max_in_flight;
    return is_full ? POOL_FULL : POOL_CANDIDATE;
}
