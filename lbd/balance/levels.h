/*
 * levels - targets in an order of preference: by priority, and within one the near zone before far
 * ones. Says how much each level gets, and writes that into the weights of its targets.
 *
 *     level          usable of its weight   could carry (x 140 %)   gets
 *     0, near              50 %                  70 %                70 %
 *     0, far              100 %                 100 %                30 %
 *     1                   100 %                 100 %                 -      stands by: weight 0
 *
 * A level can carry what is usable of its weight, times the overprovisioning factor, and no more
 * than all; what is left goes on to the next level. So nothing spills while a level has lost less
 * than its reserve (at 140 %: 28 % of its weight), and then as much as it lacks, not all at once.
 * When all levels together cannot carry everything, they share it as they can carry it. Within a
 * level weights count as ever; servers that drain or are out count as not usable.
 *
 * Weights are compiled into a pool (pool_build), so a request costs what it ever did. A single
 * level that gets all leaves weights as they are. Those who stand by are found by rank and
 * own_weight (balancer.h). On a ring, where a server that is worth less gives keys away, the
 * servers of the level that is worth most keep all theirs, and those of others have less (`worth`):
 * so a level that begins to help takes keys, and moves none among the others.
 *
 * Limits: LEVELS_MAX. Memory: the caller's. Threads: control.
 */
#ifndef LBD_BALANCE_LEVELS_H
#define LBD_BALANCE_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/target.h"

#define LEVELS_PRIORITIES 16U
#define LEVELS_MAX        (2 * LEVELS_PRIORITIES)
#define LEVELS_WHOLE      10000U /* of `share` */

/* Which level a target is on. */
static inline uint8_t levels_rank(uint32_t priority, bool is_far)
{
    return (uint8_t)(2 * priority + (is_far ? 1 : 0));
}

struct level {
    uint8_t rank;
    uint32_t targets;
    uint32_t usable; /* of them */
    uint64_t weight;
    uint64_t usable_weight;
    uint32_t share; /* of LEVELS_WHOLE; 0: it stands by */
};

/* ranks[]: one per target, whose `load` is there. Fills levels[] in their order and returns how
 * many there are. Sets the weights of those that stand by to 0, those of others so that levels get
 * their shares; when nobody is usable, weights stay. Sets `rank`, `worth`, and `own_weight` of
 * those that have none. */
uint32_t levels_build(struct target *targets, const uint8_t *ranks, uint32_t count,
                      uint32_t overprovisioning_per_cent, struct level levels[LEVELS_MAX]);

#endif
