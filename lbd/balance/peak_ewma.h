/*
 * peak_ewma - of two targets drawn at random the one that is expected to answer sooner.
 *
 *     cost = latency x (1 + in flight / weight)      weight: of the lighter of the two 1
 *
 * Draws are turns of the weighted schedule, so the cost of a target that is idle has no weight in
 * it, and of two that cost the same the first draw is taken: equal targets get their shares. So
 * that chance in their latencies takes nothing from that, they are equal when neither has twice
 * that of the other, or a millisecond if the other has less.
 *
 * The latency is a mean over time that forgets with PEAK_EWMA_TAU_MS and jumps to a peak at once: a
 * server that stalls is avoided from its first late answer on, and asked again when the peak is
 * forgotten, by one request first. Who was never measured is asked when it is idle, and counts as
 * slow while it has not answered.
 *
 *     worker A  --note--> target_load.latency <--cost--  worker B       one word: what, and when
 *
 * All workers share that word, so what one has seen all heed. It is written as a whole without a
 * lock: of two notes at the same moment one may be lost, never half of one seen.
 *
 * Called by balancer.c, and by who measures: proxy/exchange_forward (request sent to first byte of
 * the answer), proxy/tcp_session (to connect). Threads: worker; time comes in.
 */
#ifndef LBD_BALANCE_PEAK_EWMA_H
#define LBD_BALANCE_PEAK_EWMA_H

#include "lbd/balance/balancer.h"

#define PEAK_EWMA_TAU_MS     5000U    /* after so long 37 % of a peak are left */
#define PEAK_EWMA_ALIKE      2        /* latencies that differ by less than this factor are equal */
#define PEAK_EWMA_CHANCE_US  1000     /* less counts as so much beside another */
#define PEAK_EWMA_FAILURE_US 1000000U /* what a failure counts as, and an answer not yet seen */

/* BALANCER_NONE when no target of the schedule is fit. */
uint32_t peak_ewma_pick(const struct balancer *balancer, struct random *random, uint64_t now_us,
                        enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count);
/* It took so long. */
void peak_ewma_note(struct target_load *load, uint64_t took_us, uint64_t now_us);
/* What is left of it now; 0: never measured, or forgotten. */
double peak_ewma_latency_us(const struct target_load *load, uint64_t now_us);

#endif
