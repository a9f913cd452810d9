#include "tests/bench/latency.h"

#include <stddef.h>

void latency_note(struct latency *latency, uint64_t us)
{
    size_t bucket = (size_t)us;
    if (us >= LATENCY_STEPS) {
        unsigned shift = 63U - (unsigned)__builtin_clzll(us) - 6U;
        bucket = (size_t)(shift + 1) * LATENCY_STEPS + (size_t)((us >> shift) - LATENCY_STEPS);
    }
    latency->buckets[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
    latency->count++;
    if (us > latency->max_us) {
        latency->max_us = us;
    }
}

uint64_t latency_percentile(const struct latency *latency, double share)
{
    uint64_t want = (uint64_t)((double)latency->count * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen > want || (seen == latency->count && seen > 0)) {
            if (i < LATENCY_STEPS) {
                return i;
            }
            unsigned shift = (unsigned)(i / LATENCY_STEPS) - 1;
            return ((uint64_t)LATENCY_STEPS + i % LATENCY_STEPS) << shift;
        }
    }
    return 0;
}
