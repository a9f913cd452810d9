/*
 * random_turn - the target of a turn of the schedule drawn at random: shares are those of the
 * weights, each request for itself.
 *
 * The algorithm random as it is, and how others draw their candidates. Called by balancer.c,
 * two_choices.c.
 *
 * Threads: worker.
 */
#ifndef LBD_BALANCE_RANDOM_TURN_H
#define LBD_BALANCE_RANDOM_TURN_H

#include "lbd/balance/balancer.h"

#define RANDOM_TURN_DRAWS 8 /* that find nobody fit, until we walk instead */

/* The same after a first draw that found nobody. */
uint32_t random_turn_again(const struct balancer *balancer, struct random *random,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count);

/* BALANCER_NONE when no turn of the schedule is fit; it may be empty. */
static inline uint32_t random_turn_pick(const struct balancer *balancer, struct random *random,
                                        enum balancer_fitness fitness, const uint32_t *tried,
                                        uint32_t tried_count)
{
    if (balancer->schedule_len == 0) {
        return BALANCER_NONE;
    }
    uint32_t index = balancer->schedule[random_below(random, balancer->schedule_len)];
    if (LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
        return index;
    }
    return random_turn_again(balancer, random, fitness, tried, tried_count);
}

/* A second fit target, or `first` when a few draws give no other. The schedule is not empty. */
uint32_t random_turn_other(const struct balancer *balancer, struct random *random, uint32_t first,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count);

#endif
