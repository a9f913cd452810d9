/*
 * hash_table - for each key an order among targets that changes little when they do: the tables of
 * the algorithms maglev and ring_hash.
 *
 *     maglev     slots [ b | a | c | a | b | ... ]           (Eisenbud et al., Maglev, NSDI 2016)
 *                key % slots is where its order begins, the slots behind it are the order
 *     ring       points of a circle, sorted: 160 per weight of 100 for each target (Karger et al.)
 *                the first point at or after the key, and those behind it
 *
 * maglev shares keys within one per cent of the weights and finds its slot without a search; when a
 * target comes or goes, up to one per cent of the keys of others move too. It has the same number
 * of slots whatever the number of targets: with another one every key would move. ring_hash moves
 * the keys of that target and no other, and shares within some ten per cent; the lighter a target
 * the less exactly. Points follow from a target's own weight, whatever shares stand beside it, and
 * who has more of them has all that it had with fewer: so a weight that changes takes keys or gives
 * them, and moves none among others. A level that stands by (levels.h) has next to none; when it
 * begins to help it gets some.
 *
 * Where weights are small all points are doubled until there are 80 for each target on the average,
 * where they are too many all are halved. Either moves half of all keys, but depends on the
 * mean of the weights: targets like those that are there never change it, nor does health. Who
 * wants to be sure gives weights of 50 and more, of which none is doubled.
 *
 * All targets are in it, whatever their health: who is unfit is passed by when an order is walked
 * (hash_pick), so that its keys alone go elsewhere, and come back with it.
 *
 * Seeds follow from names: every lbd with the same servers has the same table, after a restart too.
 *
 * Limits: 65537 slots; 1048576 points, or one per target where that is more. Memory: the caller's
 * arena, 128 KiB for maglev. Threads: built on control; read on any.
 */
#ifndef LBD_BALANCE_HASH_TABLE_H
#define LBD_BALANCE_HASH_TABLE_H

#include <stdint.h>

#include "lbd/balance/target.h"
#include "lbd/base/arena.h"

#define HASH_TABLE_SLOTS       65537U /* a prime, so that every stride visits all of them */
#define HASH_TABLE_POINTS      160U   /* of a target of weight 100 */
#define HASH_TABLE_POINTS_MEAN 80U    /* of all targets, at least */
#define HASH_TABLE_POINTS_MAX  (1024U * 1024U)

struct hash_table {
    uint32_t slots;    /* 0: no targets */
    uint16_t *targets; /* maglev: index of the target per slot; else NULL */
    uint64_t *points;  /* ring: 48 bits of place above the target's index */
};

/* seeds[]: one per target, of its name (rendezvous_key). */
void hash_table_build_maglev(struct hash_table *table, const struct target *targets,
                             const uint64_t *seeds, uint32_t count, struct arena *arena);
void hash_table_build_ring(struct hash_table *table, const struct target *targets,
                           const uint64_t *seeds, uint32_t count, struct arena *arena);
/* Where the order of a key begins. The table is not empty. */
uint32_t hash_table_start(const struct hash_table *table, uint64_t key);

static inline uint32_t hash_table_at(const struct hash_table *table, uint32_t slot)
{
    return table->targets != NULL ? table->targets[slot]
                                  : (uint32_t)(table->points[slot] & 0xffffU);
}

#endif
