#include "lbd/balance/sticky.h"

#include <assert.h>
#include <string.h>

#include "lbd/balance/balancer.h"
#include "lbd/base/hash.h"

uint64_t sticky_id(struct slice pool, struct slice server, const uint64_t key[2])
{
    char text[STICKY_NAMES_MAX];
    size_t len = pool.len + 1 + server.len;
    assert(len <= sizeof(text)); /* names have at most 63 bytes */
    memcpy(text, pool.ptr, pool.len);
    text[pool.len] = '/'; /* stands in no name */
    memcpy(text + pool.len + 1, server.ptr, server.len);
    return hash_sip(slice_of(text, len), key);
}

static struct sticky_slot *slot_of(const struct sticky *sticky, uint64_t id)
{
    uint32_t at = (uint32_t)id & sticky->mask;
    while (sticky->slots[at].target != 0 && sticky->slots[at].id != id) {
        at = (at + 1) & sticky->mask;
    }
    return &sticky->slots[at];
}

void sticky_build(struct sticky *sticky, const uint64_t *ids, uint32_t count, struct arena *arena)
{
    uint32_t slots = 4;
    while (slots < 2 * count) {
        slots *= 2;
    }
    *sticky = (struct sticky){.ids = ids, .mask = slots - 1};
    sticky->slots = arena_zero(arena, slots * sizeof(*sticky->slots));
    for (uint32_t i = 0; i < count; i++) {
        struct sticky_slot *slot = slot_of(sticky, ids[i]);
        if (slot->target == 0) {
            *slot = (struct sticky_slot){.id = ids[i], .target = i + 1};
        }
    }
}

uint32_t sticky_find(const struct sticky *sticky, uint64_t id)
{
    uint32_t target = slot_of(sticky, id)->target;
    return target != 0 ? target - 1 : BALANCER_NONE;
}
