/*
 * latency - a histogram of microseconds for the load generator.
 *
 * 64 buckets per power of two: a percentile is exact to 1.6 %, from 1 us to 71 minutes.
 *
 * Threads: any, one owner.
 */
#ifndef TESTS_BENCH_LATENCY_H
#define TESTS_BENCH_LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 64, LATENCY_BUCKETS = LATENCY_STEPS * 27 };

struct latency {
    uint64_t buckets[LATENCY_BUCKETS];
    uint64_t count;
    uint64_t max_us;
};

void latency_note(struct latency *latency, uint64_t us);
/* The value that `share` (0-1) of all values do not exceed; 0 when there is none. */
uint64_t latency_percentile(const struct latency *latency, double share);

#endif
