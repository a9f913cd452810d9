#include "lbd/upstream/pool_subset.h"

#include "lbd/base/mem.h"

/* Those of groups that stand by in the whole pool are all there is here: they have their weights
 * again, in hundredths where that tells more. */
static void wake_all(struct pool *pool)
{
    uint32_t heaviest = 0;
    bool has_parts = false;
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t own = target_own_weight(&pool->targets[i]);
        if (pool->targets[i].weight != 0) {
            return;
        }
        heaviest = own > heaviest ? own : heaviest;
        has_parts = has_parts || own % 100 != 0;
    }
    uint32_t divisor = has_parts && heaviest <= TARGET_WEIGHT_MAX ? 1 : 100;
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t weight = target_own_weight(&pool->targets[i]) / divisor;
        pool->targets[i].weight = weight != 0 ? weight : 1;
    }
}

static void build_sticky(struct pool *pool, const uint32_t *members)
{
    const struct pool_sticky *whole = pool->whole->sticky;
    struct pool_sticky *sticky = arena_zero(&pool->arena, sizeof(*sticky));
    uint64_t *ids = arena_zero(&pool->arena, ((size_t)pool->count + 1) * sizeof(*ids));
    *sticky = *whole;
    for (uint32_t i = 0; i < pool->count; i++) {
        ids[i] = whole->servers.ids[members[i]];
    }
    sticky_build(&sticky->servers, ids, pool->count, &pool->arena);
    pool->sticky = sticky;
}

struct pool *pool_subset(struct pool *whole, const uint32_t *members, uint32_t count, bool or_any,
                         uint32_t state_id)
{
    struct pool *pool = mem_zero(1, sizeof(*pool));
    *pool = *whole;
    arena_init(&pool->arena, NULL, 0);
    atomic_init(&pool->refs, 1);
    pool->whole = pool_ref(whole);
    pool->state_id = state_id;
    pool->count = count;
    pool->members = arena_zero(&pool->arena, ((size_t)count + 1) * sizeof(*pool->members));
    pool->targets = arena_zero(&pool->arena, ((size_t)count + 1) * sizeof(*pool->targets));
    for (uint32_t i = 0; i < count; i++) {
        pool->members[i] = whole->members[members[i]];
        pool->targets[i] = whole->targets[members[i]];
    }
    if (pool->level_count != 0) {
        wake_all(pool);
    }
    if (whole->sticky != NULL) {
        build_sticky(pool, members);
    }
    pool->fallback = or_any ? whole : whole->fallback;
    pool_build(pool, whole->balancer.kind);
    return pool;
}
