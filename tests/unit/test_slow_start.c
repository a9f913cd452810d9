#include "lbd/balance/slow_start.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

START_TEST(weights_rise_to_the_whole_in_the_window)
{
    static const struct {
        uint32_t weight;
        uint64_t since_ms;
        uint32_t window_ms;
        uint64_t now_ms;
        uint32_t want;
        uint64_t due_ms;
    } cases[] = {
        {100, 5000, 10000, 5000, 10, 6000},
        {100, 5000, 10000, 5999, 10, 6000},
        {100, 5000, 10000, 6000, 19, 7000},
        {100, 5000, 10000, 10000, 55, 11000},
        {100, 5000, 10000, 14999, 91, 15000},
        {100, 5000, 10000, 15000, 100, 0},
        {100, 5000, 10000, 99999, 100, 0},
        {1000, 5000, 10000, 5000, 100, 6000},
        {1, 5000, 10000, 5000, 1, 6000},
        {9, 5000, 10000, 5000, 1, 6000},
        {100, 5000, 0, 5000, 100, 0},       /* no window */
        {100, 5000, 10000, 4000, 10, 6000}, /* a clock that is behind */
        {100, 0, 3, 0, 10, 1},              /* steps shorter than a millisecond */
        {100, 0, 3, 1, 37, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t weight = slow_start_weight(cases[i].weight, cases[i].since_ms, cases[i].window_ms,
                                            cases[i].now_ms);
        uint64_t due_ms = slow_start_due_ms(cases[i].since_ms, cases[i].window_ms, cases[i].now_ms);
        ck_assert_msg(weight == cases[i].want, "case %zu: %u", i, weight);
        ck_assert_msg(due_ms == cases[i].due_ms, "case %zu: due %llu", i,
                      (unsigned long long)due_ms);
    }
}
END_TEST

/* Each step is due after now, and there are never more than eleven weights. */
START_TEST(steps_come_to_an_end)
{
    static const uint32_t windows[] = {1, 7, 10, 999, 1000, 60000, 3600000};
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        uint64_t now_ms = 12345;
        uint32_t last = 0;
        uint32_t steps = 0;
        for (uint64_t due_ms = now_ms; due_ms != 0; steps++) {
            now_ms = due_ms;
            uint32_t weight = slow_start_weight(1000, 12345, windows[i], now_ms);
            ck_assert_uint_gt(weight, last);
            last = weight;
            due_ms = slow_start_due_ms(12345, windows[i], now_ms);
            ck_assert(due_ms == 0 || due_ms > now_ms);
        }
        ck_assert_uint_eq(last, 1000);
        ck_assert_uint_le(steps, SLOW_START_STEPS + 1);
        ck_assert_uint_eq(now_ms, 12345 + windows[i]);
    }
}
END_TEST

UNIT_TESTS("slow_start", weights_rise_to_the_whole_in_the_window, steps_come_to_an_end)
