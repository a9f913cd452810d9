/*
 * hash_pick - the first target in the order of a key (hash_table) that is fit and has room.
 *
 *     key --> | down | tried | over its bound | this one |
 *
 * Bounded load (Mirrokni, Thorup, Zadimoghaddam): a target takes no more while it has `bound` per
 * cent of its fair share of what is in flight in the whole pool; keys that run hot spill over to
 * the next in their order, and come back. In-flight counts are those of all workers. Their sum is
 * taken for a pick that finds its first choice busy; of more than 16 targets it may be older, by
 * two microseconds for each.
 *
 * Called by balancer.c. Threads: worker.
 */
#ifndef LBD_BALANCE_HASH_PICK_H
#define LBD_BALANCE_HASH_PICK_H

#include "lbd/balance/balancer.h"

/* Slots that are looked at; then a turn of the schedule by key. */
#define HASH_PICK_WALK_MAX 1024U

/* A request without a key goes anywhere, by weight. BALANCER_NONE when nobody is fit. */
uint32_t hash_pick(const struct balancer *balancer, struct balancer_state *state,
                   struct random *random, enum balancer_fitness fitness, const uint32_t *tried,
                   uint32_t tried_count);

#endif
