#include "lbd/base/compiler.h"
#include "lbd/stats/histogram.h"
#include "tests/unit/unit.h"

/* The definition: the first bound that is not smaller. */
static size_t index_by_search(const uint64_t *bounds, uint64_t value)
{
    size_t index = 0;
    while (bounds[index] < value) {
        index++;
    }
    return index;
}

static void check(uint64_t value)
{
    size_t want = index_by_search(histogram_bounds_us, value);
    size_t got = histogram_index_us(value);
    unit_expect(got == want, "%llu us fell into %zu, not %zu", (unsigned long long)value, got,
                want);
    want = index_by_search(histogram_bounds_bytes, value);
    got = histogram_index_bytes(value);
    unit_expect(got == want, "%llu bytes fell into %zu, not %zu", (unsigned long long)value, got,
                want);
}

START_TEST(the_index_is_the_first_bound_that_is_not_smaller)
{
    for (uint64_t value = 0; value < 300000; value++) {
        check(value);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t off = 0; off < 3; off++) {
            check((UINT64_C(1) << bit) + off - 1);
        }
    }
    for (size_t i = 0; i < HISTOGRAM_DURATION_BOUNDS; i++) {
        for (uint64_t off = 0; off < 3; off++) {
            check(histogram_bounds_us[i] + off - 1);
        }
    }
    for (uint64_t value = 1; value < UINT64_MAX / 3; value = value * 3 / 2 + 1) {
        check(value);
    }
    check(UINT64_MAX);
}
END_TEST

START_TEST(bounds_are_those_of_the_design)
{
    static const double ms[] = {0.1, 0.25, 0.5, 1,   2.5,  5,    10,  25,    50,
                                100, 250,  500, 1e3, 2500, 5000, 1e4, 30000, 60000};
    ck_assert_uint_eq(ARRAY_LEN(ms), HISTOGRAM_DURATION_BOUNDS);
    for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
        ck_assert_uint_eq(histogram_bounds_us[i], (uint64_t)(ms[i] * 1000));
    }
    ck_assert_uint_eq(histogram_bounds_bytes[0], 256);
    ck_assert_uint_eq(histogram_bounds_bytes[HISTOGRAM_SIZE_BOUNDS - 1], 16777216);
}
END_TEST

START_TEST(notes_count_and_sum)
{
    struct histogram_duration durations = {0};
    struct histogram_size sizes = {0};
    histogram_note_us(&durations, 0);
    histogram_note_us(&durations, 100);
    histogram_note_us(&durations, 101);
    histogram_note_us(&durations, 61000000);
    ck_assert_uint_eq(durations.buckets[0], 2);
    ck_assert_uint_eq(durations.buckets[1], 1);
    ck_assert_uint_eq(durations.buckets[HISTOGRAM_DURATION_BOUNDS], 1);
    ck_assert_uint_eq(durations.sum_us, 61000201);
    ck_assert_uint_eq(histogram_count(durations.buckets, ARRAY_LEN(durations.buckets)), 4);
    histogram_note_bytes(&sizes, 256);
    histogram_note_bytes(&sizes, 257);
    ck_assert_uint_eq(sizes.buckets[0], 1);
    ck_assert_uint_eq(sizes.buckets[1], 1);
    ck_assert_uint_eq(sizes.sum_bytes, 513);
}
END_TEST

START_TEST(quantiles_lie_in_their_bucket)
{
    struct histogram_duration none = {0};
    struct histogram_duration some = {.buckets = {[0] = 50, [2] = 40, [17] = 9, [18] = 1}};
    static const struct {
        unsigned per_mille;
        uint64_t us;
    } cases[] = {
        {250, 50},                                     /* half of the first bucket */
        {500, 100}, {700, 375},                        /* half of 250 to 500 */
        {900, 500}, {990, 60000000}, {1000, 60000000}, /* beyond the last bound nothing is known */
    };
    ck_assert_uint_eq(histogram_quantile_us(&none, 500), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t got = histogram_quantile_us(&some, cases[i].per_mille);
        ck_assert_msg(got == cases[i].us, "%u: %llu", cases[i].per_mille, (unsigned long long)got);
    }
}
END_TEST

UNIT_TESTS("histogram", quantiles_lie_in_their_bucket,
           the_index_is_the_first_bound_that_is_not_smaller, bounds_are_those_of_the_design,
           notes_count_and_sum)
