/* The benchmark's histogram: a percentile must be what sorting all values would say, to 1.6 %. */
#include "tests/bench/latency.h"
#include "tests/unit/unit.h"

START_TEST(percentiles_of_a_ramp)
{
    static struct latency latency;
    for (uint64_t us = 1; us <= 100000; us++) {
        latency_note(&latency, us);
    }
    static const struct {
        double share;
        double want;
    } cases[] = {{0.5, 50000}, {0.99, 99000}, {0.999, 99900}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double got = (double)latency_percentile(&latency, cases[i].share);
        ck_assert_msg(got > cases[i].want * 0.984 && got < cases[i].want * 1.016, "%f: %f",
                      cases[i].share, got);
    }
    ck_assert_uint_eq(latency.max_us, 100000);
}
END_TEST

START_TEST(small_values_are_exact_and_huge_ones_fit)
{
    static struct latency latency;
    ck_assert_uint_eq(latency_percentile(&latency, 0.5), 0);
    latency_note(&latency, 7);
    ck_assert_uint_eq(latency_percentile(&latency, 0.5), 7);
    ck_assert_uint_eq(latency_percentile(&latency, 1.0), 7);
    latency_note(&latency, UINT64_MAX);
    ck_assert_uint_eq(latency.max_us, UINT64_MAX);
    ck_assert_uint_gt(latency_percentile(&latency, 1.0), 4000000000U);
}
END_TEST

UNIT_TESTS("latency", percentiles_of_a_ramp, small_values_are_exact_and_huge_ones_fit)
