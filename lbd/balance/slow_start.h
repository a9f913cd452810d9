/*
 * slow_start - what a server that has just become usable gets of its weight: a tenth at first, all
 * of it after the window, in ten steps.
 *
 *     10 19 28 37 46 55 64 73 82 91 100 %
 *     |--|--|--|--|--|--|--|--|--|--|        a step each tenth of the window
 *
 * Weights are compiled into a pool, so that a request costs the same as ever: snapshot_build asks
 * for them and for when the next step is due, and control builds the pool again then.
 *
 * Pure. Threads: any.
 */
#ifndef LBD_BALANCE_SLOW_START_H
#define LBD_BALANCE_SLOW_START_H

#include <stdint.h>

#define SLOW_START_STEPS 10U

/* At least 1. window_ms 0: there is none. */
uint32_t slow_start_weight(uint32_t weight, uint64_t usable_since_ms, uint32_t window_ms,
                           uint64_t now_ms);
/* When that is more the next time; 0: never. */
uint64_t slow_start_due_ms(uint64_t usable_since_ms, uint32_t window_ms, uint64_t now_ms);

#endif
