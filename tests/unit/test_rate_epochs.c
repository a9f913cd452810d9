#include "lbd/filter/rate_epochs.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)
#define NO_END (UINT64_MAX / 2)

static const struct {
    uint64_t unit_ns;
    uint64_t next_unit_ns;
    uint64_t most_ns; /* afterwards */
    uint64_t left_ns; /* before */
    uint64_t want_ns; /* afterwards */
} cases[] = {
    {1800 * SECOND, SECOND / 100, SECOND, 3600 * SECOND, SECOND / 50},   /* raised */
    {SECOND / 100, 1800 * SECOND, 3600 * SECOND, SECOND, 3600 * SECOND}, /* lowered */
    {SECOND, SECOND, 2 * SECOND, 10 * SECOND, 2 * SECOND},               /* a smaller burst */
    {SECOND, SECOND, NO_END, 10 * SECOND, 10 * SECOND},                  /* a larger one */
    {3, 1, NO_END, 800, 267},                                            /* rounded up */
    {SECOND, 7 * SECOND, NO_END, 0, 0},
};

START_TEST(what_is_left_is_left_at_the_new_rate)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rate_epochs epochs = {.now = 0};
        rate_epochs_begin(&epochs, cases[i].unit_ns, NO_END - 1, START - SECOND);
        uint64_t value = rate_epochs_write(&epochs, START + cases[i].left_ns);
        ck_assert_uint_eq(rate_epochs_read(&epochs, value), START + cases[i].left_ns);
        rate_epochs_begin(&epochs, cases[i].next_unit_ns, cases[i].most_ns, START);
        uint64_t got = rate_epochs_read(&epochs, value);
        unit_expect(got == START + cases[i].want_ns, "row %zu: %llu ns", i,
                    (unsigned long long)(got - START));
    }
}
END_TEST

START_TEST(what_was_over_stays_over)
{
    struct rate_epochs epochs = {.now = 0};
    rate_epochs_begin(&epochs, SECOND, SECOND, START);
    uint64_t value = rate_epochs_write(&epochs, START);
    rate_epochs_begin(&epochs, 3600 * SECOND, 3600 * SECOND, START + SECOND);
    ck_assert_uint_eq(rate_epochs_read(&epochs, value), START);
    ck_assert_uint_eq(rate_epochs_read(&epochs, 0), 0); /* a place that nobody ever had */
}
END_TEST

START_TEST(the_same_rate_is_no_change)
{
    struct rate_epochs epochs = {.now = 0};
    for (uint32_t i = 0; i < 20; i++) {
        rate_epochs_begin(&epochs, SECOND, SECOND, START + i);
    }
    ck_assert_uint_eq(epochs.now, 0);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t value = rate_epochs_write(&epochs, START + SECOND);
        rate_epochs_begin(&epochs, SECOND, SECOND + i, START);
        ck_assert_uint_eq(rate_epochs_read(&epochs, value), START + SECOND);
    }
}
END_TEST

UNIT_TESTS("rate_epochs", what_is_left_is_left_at_the_new_rate, what_was_over_stays_over,
           the_same_rate_is_no_change)
