/*
 * rendezvous - for each key an order among targets, which changes as little as it can when they do
 * (Thaler, Ravishankar: highest random weight).
 *
 *     score(key, target) for each target; the highest is first, the next one second ...
 *
 * A target that goes moves only its own keys, and spreads them over all others; one that comes
 * takes its share and no more. A weight counts for its share of keys (score = -weight / ln(u)).
 *
 * Keys and seeds follow from names alone: every lbd with the same servers has the same order, after
 * a restart as well. So strangers can foresee it; it is no protection against who may choose names.
 *
 * Threads: any.
 */
#ifndef LBD_BALANCE_RENDEZVOUS_H
#define LBD_BALANCE_RENDEZVOUS_H

#include <stdint.h>

#include "lbd/base/slice.h"

/* Of a key, or the seed of a target. */
uint64_t rendezvous_key(struct slice name);
/* weight >= 1. Greater than 0; equal ones do not happen among different seeds but by chance. */
double rendezvous_score(uint64_t key, uint64_t seed, uint32_t weight);

#endif
