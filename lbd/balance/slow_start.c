#include "lbd/balance/slow_start.h"

/* 0 to SLOW_START_STEPS: none of the ten steps is left. */
static uint32_t step_at(uint64_t usable_since_ms, uint32_t window_ms, uint64_t now_ms)
{
    uint64_t age_ms = now_ms > usable_since_ms ? now_ms - usable_since_ms : 0;
    if (age_ms >= window_ms) {
        return SLOW_START_STEPS;
    }
    return (uint32_t)(age_ms * SLOW_START_STEPS / window_ms);
}

uint32_t slow_start_weight(uint32_t weight, uint64_t usable_since_ms, uint32_t window_ms,
                           uint64_t now_ms)
{
    uint32_t percent = 10 + 9 * step_at(usable_since_ms, window_ms, now_ms);
    uint32_t some = (uint32_t)((uint64_t)weight * percent / 100);
    return some != 0 ? some : 1;
}

uint64_t slow_start_due_ms(uint64_t usable_since_ms, uint32_t window_ms, uint64_t now_ms)
{
    uint32_t step = step_at(usable_since_ms, window_ms, now_ms);
    if (step == SLOW_START_STEPS) {
        return 0;
    }
    uint64_t into_ms = (uint64_t)window_ms * (step + 1);
    return usable_since_ms + (into_ms + SLOW_START_STEPS - 1) / SLOW_START_STEPS;
}
