#include "lbd/proxy/mail_pace.h"

#define STEPS_MASK UINT64_C(0xFF)

static uint64_t steps_at(uint64_t noted, uint64_t now_ms)
{
    uint64_t since_ms = noted >> 8U;
    return now_ms < since_ms + MAIL_PACE_KEEP_MS ? noted & STEPS_MASK : 0;
}

void mail_pace_note(struct mail_pace *pace, enum mail_protocol protocol, uint64_t took_ms,
                    uint64_t now_ms)
{
    _Atomic uint64_t *longest = &pace->longest[protocol];
    uint64_t most = MAIL_PACE_MOST_MS / MAIL_PACE_STEP_MS;
    uint64_t steps = took_ms / MAIL_PACE_STEP_MS + 1; /* up: what took just one has room, too */
    steps = steps < most ? steps : most;
    uint64_t noted = atomic_load_explicit(longest, memory_order_relaxed);
    while (steps >= steps_at(noted, now_ms) &&
           !atomic_compare_exchange_weak_explicit(longest, &noted, now_ms << 8U | steps,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

uint32_t mail_pace_ms(const struct mail_pace *pace, enum mail_protocol protocol, uint64_t now_ms)
{
    uint64_t noted = atomic_load_explicit(&pace->longest[protocol], memory_order_relaxed);
    return (uint32_t)steps_at(noted, now_ms) * MAIL_PACE_STEP_MS;
}
