#include "api/rate_limit.h"

#define MINUTE_US UINT64_C(60000000)

void rate_limit_init(struct rate_limit *limit, uint64_t per_minute, uint32_t burst)
{
    map_init(&limit->full_at_us);
    limit->interval_us = per_minute != 0 ? MINUTE_US / per_minute : 0;
    if (per_minute != 0 && limit->interval_us == 0) {
        limit->interval_us = 1;
    }
    limit->burst_us = limit->interval_us * (burst != 0 ? burst : 1);
}

void rate_limit_fini(struct rate_limit *limit)
{
    map_fini(&limit->full_at_us);
}

static uint64_t full_at(const struct map_entry *entry)
{
    return (uint64_t)(uintptr_t)entry->value;
}

static void make_room(struct rate_limit *limit, uint64_t now_us)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &limit->full_at_us) {
        if (full_at(entry) <= now_us) {
            (void)map_remove(&limit->full_at_us, entry->key);
        }
    }
    if (limit->full_at_us.count >= RATE_LIMIT_NAMES_MAX) {
        size_t cursor = 0;
        (void)map_remove(&limit->full_at_us, map_next(&limit->full_at_us, &cursor)->key);
    }
}

bool rate_limit_take(struct rate_limit *limit, struct slice name, uint64_t now_us,
                     uint32_t *retry_s)
{
    if (limit->interval_us == 0) {
        return true;
    }
    uint64_t full = (uint64_t)(uintptr_t)map_get(&limit->full_at_us, name);
    full = (full > now_us ? full : now_us) + limit->interval_us;
    if (full > now_us + limit->burst_us) {
        uint64_t wait_us = full - limit->burst_us - now_us;
        *retry_s = (uint32_t)((wait_us + 999999U) / 1000000U);
        return false;
    }
    if (limit->full_at_us.count >= RATE_LIMIT_NAMES_MAX &&
        map_get(&limit->full_at_us, name) == NULL) {
        make_room(limit, now_us);
    }
    (void)map_put(&limit->full_at_us, name, (void *)(uintptr_t)full);
    return true;
}
