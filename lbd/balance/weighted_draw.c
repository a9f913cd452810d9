#include "lbd/balance/weighted_draw.h"

void weighted_draw_offer(struct weighted_draw *draw, struct random *random, uint32_t index)
{
    const struct target *target = &draw->targets[index];
    uint32_t weight = target->weight;
    if (draw->fitness != BALANCER_USABLE) { /* levels are of no account among these */
        weight = target_own_weight(target);
    }
    if (draw->fitness == BALANCER_STANDBY && target->rank != draw->rank) {
        if (target->rank > draw->rank) {
            return;
        }
        draw->rank = target->rank;
        draw->weight = 0;
    }
    draw->weight += weight;
    if (random_u64(random) % draw->weight < weight) {
        draw->drawn = index;
    }
}
