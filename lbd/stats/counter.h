/*
 * counter - one 64-bit slot that one thread writes and any thread reads.
 *
 * No lock-prefixed instruction: the writer is alone, so a load, an addition and a store are enough
 * (0.6 ns). The store is a release and the read an acquire, which is free on x86-64:
 * who reads `closed` before `opened` never sees more closed than opened.
 *
 * Threads: add and set the one owner of the slot; get any.
 */
#ifndef LBD_STATS_COUNTER_H
#define LBD_STATS_COUNTER_H

#include <stdint.h>

static inline void counter_set(uint64_t *slot, uint64_t value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

static inline void counter_add(uint64_t *slot, uint64_t more)
{
    counter_set(slot, __atomic_load_n(slot, __ATOMIC_RELAXED) + more);
}

static inline uint64_t counter_get(const uint64_t *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

#endif
