#include "lbd/snapshot/snapshot_levels.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

void snapshot_levels(struct pool *pool, const struct conf_pool *conf, struct slice zone)
{
    struct level levels[LEVELS_MAX];
    uint8_t *ranks = mem_zero((size_t)pool->count + 1, sizeof(*ranks));
    bool has_several = false;
    if (conf->groups.zone.len != 0) {
        zone = conf->groups.zone;
    }
    bool is_aware = conf->groups.zone_aware != 0 && zone.len != 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct conf_server *server = &conf->servers[i];
        bool is_far = is_aware && server->zone.len != 0 && !slice_eq(server->zone, zone);
        ranks[i] = levels_rank(server->priority, is_far);
        has_several = has_several || ranks[i] != ranks[0];
        pool->targets[i].load = &pool->members[i].server->load;
    }
    if (has_several) {
        pool->level_count =
            levels_build(pool->targets, ranks, pool->count, conf->groups.overprovisioning, levels);
        pool->levels = arena_alloc(&pool->arena, pool->level_count * sizeof(*levels));
        memcpy(pool->levels, levels, pool->level_count * sizeof(*levels));
    }
    free(ranks);
}
