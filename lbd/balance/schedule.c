#include "lbd/balance/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whoever is in the schedule gets a turn: those who stand by have their own weight among them. */
static uint32_t weight_of(const struct target *target)
{
    if (target->weight != 0) {
        return target->weight;
    }
    return target->own_weight != 0 ? target->own_weight : 1;
}

/* How many turns each member gets; returns their sum. */
static uint32_t count_turns(const struct target *targets, const uint16_t *members, uint32_t count,
                            uint32_t *turns)
{
    uint32_t divisor = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        divisor = common_divisor(weight_of(&targets[members[i]]), divisor);
        sum += weight_of(&targets[members[i]]);
    }
    sum /= divisor;

    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t share = weight_of(&targets[members[i]]) / divisor;
        if (sum > SCHEDULE_TURNS) {
            share = (share * SCHEDULE_TURNS + sum / 2) / sum;
        }
        turns[i] = share != 0 ? (uint32_t)share : 1;
        total += turns[i];
    }
    return total;
}

static int compare_turns(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

uint16_t *schedule_build(const struct target *targets, const uint16_t *members, uint32_t count,
                         struct arena *arena, uint32_t *turns)
{
    *turns = 0;
    if (count == 0) {
        return NULL;
    }

    uint32_t *shares = mem_zero(count, sizeof(*shares));
    uint32_t total = count_turns(targets, members, count, shares);
    uint16_t *schedule = arena_alloc(arena, total * sizeof(*schedule));
    *turns = total;
    if (total == count) { /* equal weights: one after the other, nothing to sort */
        memcpy(schedule, members, count * sizeof(*schedule));
        free(shares);
        return schedule;
    }

    /* The place in the cycle as a 32-bit fraction, above the member that stands there: 48 bits.
     * (2 n k + 2 i + 1) / 2 n is k plus the phase of member i of n. */
    uint64_t *places = mem_zero(total, sizeof(*places));
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < shares[i]; k++) {
            uint64_t place = 2 * (uint64_t)count * k + 2 * (uint64_t)i + 1;
            place = (place << 32U) / (2 * (uint64_t)count * shares[i]);
            places[at++] = place << 16U | i;
        }
    }
    qsort(places, total, sizeof(*places), compare_turns);
    for (uint32_t i = 0; i < total; i++) {
        schedule[i] = members[places[i] & 0xffffU];
    }
    free(places);
    free(shares);
    return schedule;
}
