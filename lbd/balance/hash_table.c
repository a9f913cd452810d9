#include "lbd/balance/hash_table.h"

#include <stdlib.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

#define SKIP_SALT  UINT64_C(0x9e3779b97f4a7c15)
#define PLACE_MASK (~UINT64_C(0xffff))

static uint32_t weight_of(const struct target *target)
{
    return target->weight != 0 ? target->weight : 1;
}

/* How a target asks for slots: its own permutation of them, as often as its weight says. */
struct claim {
    uint32_t next;
    uint32_t skip;
    uint64_t credit; /* of weights; a slot costs the greatest of them */
};

void hash_table_build_maglev(struct hash_table *table, const struct target *targets,
                             const uint64_t *seeds, uint32_t count, struct arena *arena)
{
    *table = (struct hash_table){0};
    if (count == 0) {
        return;
    }
    uint32_t slots = HASH_TABLE_SLOTS;
    uint32_t heaviest = 1;
    struct claim *claims = mem_zero(count, sizeof(*claims));
    for (uint32_t i = 0; i < count; i++) {
        claims[i].next = (uint32_t)(hash_mix(seeds[i]) % slots);
        claims[i].skip = (uint32_t)(hash_mix(seeds[i] ^ SKIP_SALT) % (slots - 1)) + 1;
        heaviest = weight_of(&targets[i]) > heaviest ? weight_of(&targets[i]) : heaviest;
    }

    enum { FREE = UINT16_MAX }; /* no index: there are fewer targets */
    table->slots = slots;
    table->targets = arena_alloc(arena, slots * sizeof(*table->targets));
    for (uint32_t slot = 0; slot < slots; slot++) {
        table->targets[slot] = FREE;
    }
    for (uint32_t taken = 0, i = 0; taken < slots; i = i + 1 < count ? i + 1 : 0) {
        struct claim *claim = &claims[i];
        claim->credit += weight_of(&targets[i]);
        if (claim->credit < heaviest) {
            continue;
        }
        claim->credit -= heaviest;
        while (table->targets[claim->next] != FREE) {
            claim->next += claim->skip;
            claim->next -= claim->next >= slots ? slots : 0;
        }
        table->targets[claim->next] = (uint16_t)i;
        taken++;
    }
    free(claims);
}

static int compare_points(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Of all: doubled so often, then halved. */
struct ring_scale {
    uint32_t up;
    uint32_t down;
};

/* Follows from its own weight alone: nobody else's points move when that changes. */
static uint32_t most_points_of(const struct target *target, struct ring_scale scale)
{
    uint64_t points = ((uint64_t)target_own_weight(target) << scale.up) * HASH_TABLE_POINTS / 10000;
    points >>= scale.down;
    return points != 0 ? (uint32_t)points : 1;
}

/* What its level leaves of them: the first ones. */
static uint32_t points_of(const struct target *target, struct ring_scale scale)
{
    uint64_t points = most_points_of(target, scale);
    if (target->weight == 0) {
        return 1;
    }
    if (target->worth != 0) {
        points = points * target->worth / TARGET_WORTH_ALL;
    }
    return points != 0 ? (uint32_t)points : 1;
}

/* By halves and doubles, so that few more servers seldom change all; of their weights alone, so
 * that health never does. */
static struct ring_scale scale_of(const struct target *targets, uint32_t count)
{
    struct ring_scale scale = {0};
    uint64_t sum = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += target_own_weight(&targets[i]);
    }
    while ((sum << scale.up) * HASH_TABLE_POINTS / 10000 <
           (uint64_t)count * HASH_TABLE_POINTS_MEAN) {
        scale.up++;
    }
    do {
        total = 0;
        for (uint32_t i = 0; i < count; i++) {
            total += most_points_of(&targets[i], scale);
        }
        scale.down++;
    } while (total > HASH_TABLE_POINTS_MAX && total > count);
    scale.down--;
    return scale;
}

void hash_table_build_ring(struct hash_table *table, const struct target *targets,
                           const uint64_t *seeds, uint32_t count, struct arena *arena)
{
    *table = (struct hash_table){0};
    if (count == 0) {
        return;
    }
    struct ring_scale scale = scale_of(targets, count);
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += points_of(&targets[i], scale);
    }

    table->slots = (uint32_t)total;
    table->points = arena_alloc(arena, total * sizeof(*table->points));
    uint64_t *point = table->points;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = points_of(&targets[i], scale); k > 0; k--) {
            *point++ = (hash_mix(seeds[i] + k * SKIP_SALT) & PLACE_MASK) | i;
        }
    }
    qsort(table->points, total, sizeof(*table->points), compare_points);
}

uint32_t hash_table_start(const struct hash_table *table, uint64_t key)
{
    if (table->targets != NULL) {
        return (uint32_t)(key % table->slots);
    }
    uint64_t place = key & PLACE_MASK;
    uint32_t low = 0;
    uint32_t high = table->slots;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->points[middle] < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < table->slots ? low : 0;
}
