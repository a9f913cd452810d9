#include "lbd/balance/peak_ewma.h"

#include <math.h>

#include "lbd/balance/random_turn.h"

/* The word: microseconds above, when they were noted (monotonic milliseconds, 32 bits) below. */

static uint32_t word_us(uint64_t word)
{
    return (uint32_t)(word >> 32U);
}

static uint64_t word_of(uint64_t us, uint32_t at_ms)
{
    us = us == 0 ? 1 : us;
    us = us > UINT32_MAX ? UINT32_MAX : us;
    return us << 32U | at_ms;
}

/* What time has left of a share of 1; the clock of another worker may be a little ahead. */
static double share_left(uint64_t word, uint32_t now_ms)
{
    int32_t past_ms = (int32_t)(now_ms - (uint32_t)word);
    return past_ms <= 0 ? 1 : exp(-(double)past_ms / PEAK_EWMA_TAU_MS);
}

static uint32_t ms_of(uint64_t now_us)
{
    return (uint32_t)(now_us / 1000);
}

double peak_ewma_latency_us(const struct target_load *load, uint64_t now_us)
{
    uint64_t word = atomic_load_explicit(&load->latency, memory_order_relaxed);
    return word_us(word) * share_left(word, ms_of(now_us));
}

void peak_ewma_note(struct target_load *load, uint64_t took_us, uint64_t now_us)
{
    uint32_t now_ms = ms_of(now_us);
    uint64_t word = atomic_load_explicit(&load->latency, memory_order_relaxed);
    double left = share_left(word, now_ms);
    double known_us = word_us(word);
    if (took_us < known_us * left) {
        if (left >= 1) {
            return; /* in the same millisecond: it weighs nothing */
        }
        took_us = (uint64_t)(known_us * left + (double)took_us * (1 - left));
    }
    atomic_store_explicit(&load->latency, word_of(took_us, now_ms), memory_order_relaxed);
}

static double cost_of(const struct target *target, uint64_t now_us)
{
    uint32_t in_flight = target_in_flight(target);
    double latency_us = peak_ewma_latency_us(target->load, now_us);
    if (atomic_load_explicit(&target->load->latency, memory_order_relaxed) == 0) {
        latency_us = in_flight == 0 ? 0 : PEAK_EWMA_FAILURE_US;
    }
    return latency_us * ((double)in_flight + 1) / (target->weight != 0 ? target->weight : 1);
}

uint32_t peak_ewma_pick(const struct balancer *balancer, struct random *random, uint64_t now_us,
                        enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count)
{
    uint32_t first = random_turn_pick(balancer, random, fitness, tried, tried_count);
    if (first == BALANCER_NONE) {
        return BALANCER_NONE;
    }
    uint32_t other = random_turn_other(balancer, random, first, fitness, tried, tried_count);
    if (other == first) {
        return first;
    }
    const struct target *targets = balancer->targets;
    return cost_of(&targets[other], now_us) < cost_of(&targets[first], now_us) ? other : first;
}
