/*
 * round_robin - the next turn of the schedule whose target is fit.
 *
 * Called by balancer.c. Threads: worker.
 */
#ifndef LBD_BALANCE_ROUND_ROBIN_H
#define LBD_BALANCE_ROUND_ROBIN_H

#include "lbd/balance/balancer.h"

/* Walks at most one cycle; BALANCER_NONE when no turn of it is fit. */
uint32_t round_robin_pick(const struct balancer *balancer, struct balancer_state *state,
                          enum balancer_fitness fitness, const uint32_t *tried,
                          uint32_t tried_count);

#endif
