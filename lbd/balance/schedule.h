/*
 * schedule - weights as a sequence of turns, each server's turns spread evenly.
 *
 * Weights are divided by their greatest common divisor; a sum that is still above 4096 is scaled
 * down. Turn k of a server with n turns stands at (k + phase) / n of the cycle, and every server
 * has a phase of its own, so equal weights give plain alternation and a heavy server has no long
 * runs:
 *
 *     weights 5 1 1:   A A A B A A C      not   A A A A A B C
 *
 * Limits: 4096 turns, or one per server where they are more, and at most one more per server for
 * rounding up; 65535 servers. Memory: the caller's arena. Threads: control.
 */
#ifndef LBD_BALANCE_SCHEDULE_H
#define LBD_BALANCE_SCHEDULE_H

#include <stdint.h>

#include "lbd/balance/target.h"
#include "lbd/base/arena.h"

#define SCHEDULE_TURNS 4096

/* `members`: indices into targets, each once; every one of them gets at least one turn, in order of
 * its weight. Returns the turns (indices into targets) in the arena and their number. */
uint16_t *schedule_build(const struct target *targets, const uint16_t *members, uint32_t count,
                         struct arena *arena, uint32_t *turns);

#endif
