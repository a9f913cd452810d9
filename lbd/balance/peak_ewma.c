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

static double expected_us(const struct target *target, uint32_t in_flight, uint64_t now_us)
{
    if (atomic_load_explicit(&target->load->latency, memory_order_relaxed) == 0) {
        return in_flight == 0 ? 0 : PEAK_EWMA_FAILURE_US;
    }
    return peak_ewma_latency_us(target->load, now_us);
}

/* What is in flight, this one too, counted in requests of a target of weight `unit`. */
static double load_of(const struct target *target, uint32_t in_flight, uint32_t unit)
{
    return 1 + (double)in_flight * unit / (target->weight != 0 ? target->weight : 1);
}

/* Is what lies between them no more than chance? */
static bool are_alike(double a, double b)
{
    a = a < PEAK_EWMA_CHANCE_US ? PEAK_EWMA_CHANCE_US : a;
    b = b < PEAK_EWMA_CHANCE_US ? PEAK_EWMA_CHANCE_US : b;
    return a < PEAK_EWMA_ALIKE * b && b < PEAK_EWMA_ALIKE * a;
}

static bool is_cheaper(const struct target *a, const struct target *b, uint64_t now_us)
{
    uint32_t in_flight_a = target_in_flight(a);
    uint32_t in_flight_b = target_in_flight(b);
    double us_a = expected_us(a, in_flight_a, now_us);
    double us_b = expected_us(b, in_flight_b, now_us);
    if (us_a > 0 && us_b > 0 && are_alike(us_a, us_b)) {
        us_a = us_b = 1;
    }
    uint32_t unit = a->weight < b->weight ? a->weight : b->weight;
    return us_a * load_of(a, in_flight_a, unit) < us_b * load_of(b, in_flight_b, unit);
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
    return is_cheaper(&targets[other], &targets[first], now_us) ? other : first;
}
