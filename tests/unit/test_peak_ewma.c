#include <math.h>

#include "lbd/balance/peak_ewma.h"
#include "tests/unit/balance_field.h"
#include "tests/unit/unit.h"

#define MS UINT64_C(1000)

static uint32_t pick(struct balance_field *field, uint64_t now_us)
{
    return peak_ewma_pick(&field->balancer, &field->random, now_us, BALANCER_USABLE, NULL, 0);
}

START_TEST(a_peak_is_taken_at_once_and_forgotten_slowly)
{
    static const struct {
        uint64_t at_ms;
        uint64_t took_us; /* 0: nothing is noted */
        double low;
        double high;
    } steps[] = {
        {1000, 2000, 2000, 2000},
        {1000, 500, 2000, 2000}, /* in the same millisecond: weighs nothing */
        {1001, 200000, 200000, 200000},
        {1001 + PEAK_EWMA_TAU_MS, 0, 73000, 74000}, /* 1/e is left */
        {1001 + PEAK_EWMA_TAU_MS, 1000, 74000, 74500},
        {1000, 0, 74000, 74500}, /* a worker whose clock is behind */
        {1001 + 20 * PEAK_EWMA_TAU_MS, 0, 0, 1},
        {1001 + 20 * PEAK_EWMA_TAU_MS, 3000, 3000, 3000},
    };
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, NULL, 1);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i].took_us != 0) {
            peak_ewma_note(&field.loads[0], steps[i].took_us, steps[i].at_ms * MS);
        }
        double us = peak_ewma_latency_us(&field.loads[0], steps[i].at_ms * MS);
        ck_assert_msg(us >= steps[i].low && us <= steps[i].high, "step %zu: %f", i, us);
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(the_clock_may_wrap)
{
    const uint64_t end_us = (UINT64_C(1) << 32U) * MS;
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, NULL, 1);
    peak_ewma_note(&field.loads[0], 1000, end_us - 500 * MS);
    double us = peak_ewma_latency_us(&field.loads[0], end_us + 500 * MS);
    ck_assert(us > 818 && us < 819); /* e to the -1/5 */
    peak_ewma_note(&field.loads[0], UINT64_MAX, end_us);
    ck_assert(peak_ewma_latency_us(&field.loads[0], end_us) == UINT32_MAX);
    balance_field_fini(&field);
}
END_TEST

START_TEST(who_was_never_measured_is_asked_once_while_it_has_not_answered)
{
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, NULL, 2);
    peak_ewma_note(&field.loads[0], 1000, MS);
    ck_assert_uint_eq(pick(&field, MS), 1);
    balance_field_add(&field, 1, 1);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(pick(&field, MS), 0);
    }
    balance_field_fini(&field);
}
END_TEST

START_TEST(cost_is_per_weight)
{
    static const uint32_t weights[] = {300, 100};
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, weights, 2);
    peak_ewma_note(&field.loads[0], 1000, MS);
    peak_ewma_note(&field.loads[1], 1000, MS);
    for (uint32_t i = 0; i < 400; i++) { /* requests that never end: they settle at 3 to 1 */
        balance_field_add(&field, pick(&field, MS), 1);
    }
    ck_assert_uint_ge(balance_field_in_flight(&field, 0), 296);
    ck_assert_uint_le(balance_field_in_flight(&field, 0), 304);
    balance_field_fini(&field);
}
END_TEST

/* One request after the other, answers of equal servers vary up to the double by chance: a share is
 * within seven deviations of what the schedule draws. */
START_TEST(equal_ones_get_their_shares)
{
    enum { SERVERS = 4, PICKS = 100000 };
    static const uint32_t weights[SERVERS] = {100, 400, 125, 375};
    struct balance_field field;
    uint32_t got[SERVERS] = {0};
    uint64_t now_us = MS;
    balance_field_init(&field, BALANCER_PEAK_EWMA, weights, SERVERS);
    for (uint32_t i = 0; i < SERVERS; i++) {
        peak_ewma_note(&field.loads[i], 1000, now_us);
    }
    for (uint32_t i = 0; i < PICKS; i++) {
        uint32_t index = pick(&field, now_us);
        got[index]++;
        now_us += 100;
        peak_ewma_note(&field.loads[index], 1000 + random_below(&field.random, 700), now_us);
    }
    for (uint32_t i = 0; i < SERVERS; i++) {
        double share = (double)PICKS * weights[i] / 1000;
        ck_assert_msg(fabs(got[i] - share) < 7 * sqrt(share), "server %u: %u", i, got[i]);
    }
    balance_field_fini(&field);
}
END_TEST

/* Two of which one is slower, by more than chance: it gets what it must, though it is heavier: when
 * eight draws find nobody else, one of a hundred. */
START_TEST(who_is_slower_is_avoided_whatever_its_weight)
{
    static const uint32_t weights[] = {150, 100};
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, weights, 2);
    peak_ewma_note(&field.loads[0], 3000, MS);
    peak_ewma_note(&field.loads[1], 1000, MS);
    uint32_t slow = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        slow += pick(&field, MS) == 0 ? 1 : 0;
    }
    ck_assert_uint_le(slow, 60);
    balance_field_add(&field, 1, 3); /* it has as much to do as would take it longer */
    for (uint32_t i = 0; i < 1000; i++) {
        slow += pick(&field, MS) == 0 ? 1 : 0;
    }
    ck_assert_uint_ge(slow, 940);
    balance_field_fini(&field);
}
END_TEST

/* Ten servers, one request after the other, all answers take 1 ms but those of one, 200 ms for a
 * while: it is met once in that time, and has its share again afterwards. */
START_TEST(a_stall_is_met_once_and_forgiven)
{
    enum { SERVERS = 10, STALLS = 3 };
    struct balance_field field;
    balance_field_init(&field, BALANCER_PEAK_EWMA, NULL, SERVERS);
    uint64_t now_us = MS;
    uint32_t stalled = 0;
    uint32_t got = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        bool is_stalling = i >= 1000 && i < 6000;
        uint32_t index = pick(&field, now_us);
        uint64_t took_us = is_stalling && index == STALLS ? 200 * MS : MS;
        now_us += MS;
        peak_ewma_note(&field.loads[index], took_us, now_us);
        stalled += took_us > MS;
        got += i >= 60000 && index == STALLS;
    }
    ck_assert_uint_eq(stalled, 1);
    ck_assert_uint_ge(got, 2000); /* a tenth of 40000 would be even */
    ck_assert_uint_le(got, 6000);
    balance_field_fini(&field);
}
END_TEST

UNIT_TESTS("peak_ewma", a_peak_is_taken_at_once_and_forgotten_slowly, the_clock_may_wrap,
           who_was_never_measured_is_asked_once_while_it_has_not_answered, cost_is_per_weight,
           equal_ones_get_their_shares, who_is_slower_is_avoided_whatever_its_weight,
           a_stall_is_met_once_and_forgiven)
