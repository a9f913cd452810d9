/*
 * keep_alive - after how long does a server close an idle connection? Learnt, so that ours is gone
 * before: a request that is sent just as the server closes is lost, and may not be sent again.
 *
 *     the server says so     Keep-Alive: timeout=5 in its first answer on a connection
 *     it was seen            connections that it closed after the same idle time, give or take a
 *                            fourth, at two moments a second apart: a restart closes many at one
 *
 * Idle connections are then kept for 80 % of that. What is not confirmed for ten minutes is
 * forgotten, so that a server that was given more time gets it.
 *
 * Limits: shorter than 200 ms is not believed. Memory: in struct server. Threads: any; words that
 * are read and written apart, for what is lost when two workers learn at once is a guess.
 */
#ifndef LBD_UPSTREAM_KEEP_ALIVE_H
#define LBD_UPSTREAM_KEEP_ALIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* Zeroed: nothing is known. */
struct keep_alive {
    _Atomic uint32_t closes_ms; /* it closes then; 0: not known */
    _Atomic uint32_t learnt_s;  /* when that was learnt or confirmed, monotonic */
    _Atomic uint32_t guess_ms;  /* seen once */
    _Atomic uint32_t guess_s;   /* and when */
};

/* The server closed a connection that had been idle for so long. */
void keep_alive_note_closed(struct keep_alive *self, uint64_t idle_ms, uint64_t now_us);
/* The server says that it closes after so many seconds. */
void keep_alive_note_told(struct keep_alive *self, uint32_t seconds, uint64_t now_us);
/* After how long it closes, as far as is known now; 0: it is not. */
uint32_t keep_alive_closes_ms(const struct keep_alive *self, uint64_t now_us);
/* How long a connection may be idle, of `most_ms`. */
static inline uint32_t keep_alive_idle_ms(const struct keep_alive *self, uint32_t most_ms,
                                          uint64_t now_us)
{
    if (LB_LIKELY(atomic_load_explicit(&self->closes_ms, memory_order_relaxed) == 0)) {
        return most_ms;
    }
    uint32_t closes_ms = keep_alive_closes_ms(self, now_us);
    uint32_t idle_ms = closes_ms / 10 * 8;
    return closes_ms != 0 && idle_ms < most_ms ? idle_ms : most_ms;
}
/* The seconds in the value of a Keep-Alive field ("timeout=5, max=100"); 0: none, or not a number.
 */
uint32_t keep_alive_parse(struct slice value);

#endif
