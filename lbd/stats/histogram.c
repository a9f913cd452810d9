#include "lbd/stats/histogram.h"

const uint64_t histogram_bounds_us[HISTOGRAM_DURATION_BOUNDS + 1] = {
    100,    250,    500,     1000,    2500,    5000,     10000,    25000,    50000,      100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000, UINT64_MAX,
};

const uint64_t histogram_bounds_bytes[HISTOGRAM_SIZE_BOUNDS + 1] = {
    UINT64_C(1) << 8U,  UINT64_C(1) << 10U, UINT64_C(1) << 12U, UINT64_C(1) << 14U,
    UINT64_C(1) << 16U, UINT64_C(1) << 18U, UINT64_C(1) << 20U, UINT64_C(1) << 22U,
    UINT64_C(1) << 24U, UINT64_MAX,
};

/* clang-format off */
const uint8_t histogram_first_bound[64] = {
    0, 0, 0, 0, 0, 0, 0,    /* 1 to 127: 100 */
    1, 2, 3,                /* 128: 250, 256: 500, 512: 1000 */
    4, 4,                   /* 1024, 2048: 2500 */
    5, 6, 7, 8, 9, 10, 11,  /* 4096: 5000, ... 262144: 500000 */
    12, 13, 13, 14, 15,     /* 524288: 1 s, 1, 2 Mi: 2.5 s, 4 Mi: 5 s, 8 Mi: 10 s */
    16, 17,                 /* 16 Mi: 30 s, 32 Mi: 60 s */
    18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
    18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
};
/* clang-format on */

uint64_t histogram_count(const uint64_t *buckets, size_t bucket_count)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bucket_count; i++) {
        count += counter_get(&buckets[i]);
    }
    return count;
}

uint64_t histogram_quantile_us(const struct histogram_duration *histogram, unsigned per_mille)
{
    uint64_t count = histogram_count(histogram->buckets, HISTOGRAM_DURATION_BOUNDS + 1);
    double rank = (double)count * per_mille / 1000.0;
    double below = 0;
    for (size_t i = 0; i < HISTOGRAM_DURATION_BOUNDS; i++) {
        double here = (double)histogram->buckets[i];
        if (here > 0 && below + here >= rank) {
            double from = i != 0 ? (double)histogram_bounds_us[i - 1] : 0;
            double to = (double)histogram_bounds_us[i];
            return (uint64_t)(from + (to - from) * (rank - below) / here + 0.5);
        }
        below += here;
    }
    return count != 0 ? histogram_bounds_us[HISTOGRAM_DURATION_BOUNDS - 1] : 0;
}
