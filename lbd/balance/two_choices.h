/*
 * two_choices - of two targets drawn at random the one with less in flight per weight.
 *
 * Draws are turns of the weighted schedule, so a heavy target is drawn more often. A first draw
 * that is idle is taken at once: where nothing is in flight the shares are those of the weights.
 * Below 8 targets all are compared instead. In-flight counts are shared by all workers, so nobody
 * decides on a part of the load.
 *
 * Called by balancer.c. Threads: worker.
 */
#ifndef LBD_BALANCE_TWO_CHOICES_H
#define LBD_BALANCE_TWO_CHOICES_H

#include "lbd/balance/balancer.h"

#define TWO_CHOICES_COMPARE_ALL_BELOW 8

/* BALANCER_NONE when no target of the schedule is fit. */
uint32_t two_choices_pick(const struct balancer *balancer, struct random *random,
                          enum balancer_fitness fitness, const uint32_t *tried,
                          uint32_t tried_count);

#endif
