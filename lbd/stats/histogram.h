/*
 * histogram - how often a value fell where: fixed buckets, exact counts.
 *
 * Two shapes: durations (0.1 ms to 60 s) and sizes (256 B to 16 MiB in powers of four). Each octave
 * of the value holds at most one bound, so the index is a bit-scan and one compare. A struct is
 * nothing but 64-bit slots: blocks of counters.h contain and sum it as such.
 *
 * Limits: values above the last bound fall into the last bucket (+Inf).
 * Threads: note the one owner; readers take counter_get of each slot, or a summed copy.
 */
#ifndef LBD_STATS_HISTOGRAM_H
#define LBD_STATS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "lbd/stats/counter.h"

#define HISTOGRAM_DURATION_BOUNDS 18
#define HISTOGRAM_SIZE_BOUNDS     9

struct histogram_duration {
    uint64_t buckets[HISTOGRAM_DURATION_BOUNDS + 1]; /* not cumulative; the last is +Inf */
    uint64_t sum_us;
};

struct histogram_size {
    uint64_t buckets[HISTOGRAM_SIZE_BOUNDS + 1];
    uint64_t sum_bytes;
};

/* Upper bounds, inclusive; one UINT64_MAX more stands for +Inf. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_DURATION_BOUNDS + 1];
extern const uint64_t histogram_bounds_bytes[HISTOGRAM_SIZE_BOUNDS + 1];
/* By the number of the highest set bit: the first bound that is not below this octave. */
extern const uint8_t histogram_first_bound[64];

static inline size_t histogram_index_us(uint64_t us)
{
    size_t index = histogram_first_bound[63U - (unsigned)__builtin_clzll(us | 1U)];
    return index + (us > histogram_bounds_us[index] ? 1U : 0U);
}

static inline size_t histogram_index_bytes(uint64_t bytes)
{
    if (bytes <= 256) {
        return 0;
    }
    /* bounds are 2^8, 2^10, ... 2^24, each belonging to the bucket below it */
    size_t index = (63U - (unsigned)__builtin_clzll(bytes - 1) - 8U) / 2U + 1U;
    return index < HISTOGRAM_SIZE_BOUNDS ? index : HISTOGRAM_SIZE_BOUNDS;
}

static inline void histogram_note_us(struct histogram_duration *histogram, uint64_t us)
{
    counter_add(&histogram->buckets[histogram_index_us(us)], 1);
    counter_add(&histogram->sum_us, us);
}

static inline void histogram_note_bytes(struct histogram_size *histogram, uint64_t bytes)
{
    counter_add(&histogram->buckets[histogram_index_bytes(bytes)], 1);
    counter_add(&histogram->sum_bytes, bytes);
}

/* Number of values noted. */
uint64_t histogram_count(const uint64_t *buckets, size_t bucket_count);
/* The duration in microseconds below which `per_mille` of 1000 values lie, taken as spread evenly
 * in their bucket; beyond the last bound it is that bound. 0 without values. Of a copy. */
uint64_t histogram_quantile_us(const struct histogram_duration *histogram, unsigned per_mille);

#endif
