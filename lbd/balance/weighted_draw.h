/*
 * weighted_draw - one of those that are offered, drawn at random by weight in a single pass.
 *
 *     offered   a 100   b 300   c 100
 *     held      a       b or a  c, b or a     the k-th is taken with its share of the weight so far
 *
 * Of targets that stand by those of the lowest rank alone are drawn among. For paths that are rare:
 * it costs a random number for each offer. Called by balancer.c, upstream/pool.c.
 *
 * Pure. Threads: worker.
 */
#ifndef LBD_BALANCE_WEIGHTED_DRAW_H
#define LBD_BALANCE_WEIGHTED_DRAW_H

#include "lbd/balance/balancer.h"

struct weighted_draw {
    const struct target *targets; /* borrowed */
    enum balancer_fitness fitness;
    uint64_t weight; /* of all offered on `rank` */
    uint32_t drawn;  /* its index; BALANCER_NONE: nobody was offered */
    uint8_t rank;    /* with STANDBY: the lowest that was offered */
};

static inline struct weighted_draw weighted_draw(const struct target *targets,
                                                 enum balancer_fitness fitness)
{
    return (struct weighted_draw){
        .targets = targets, .fitness = fitness, .drawn = BALANCER_NONE, .rank = UINT8_MAX};
}
/* Each index once; who is offered is fit. */
void weighted_draw_offer(struct weighted_draw *draw, struct random *random, uint32_t index);

#endif
