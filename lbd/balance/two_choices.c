#include "lbd/balance/two_choices.h"

#include "lbd/balance/random_turn.h"

/* Less in flight per weight, each counted as if it already had the request. */
static bool is_less_loaded(const struct target *a, const struct target *b)
{
    return (target_in_flight(a) + UINT64_C(1)) * b->weight <
           (target_in_flight(b) + UINT64_C(1)) * a->weight;
}

/* The least loaded of all, ties go to whoever stands next after `first`. */
static uint32_t least_of_all(const struct balancer *balancer, uint32_t first,
                             enum balancer_fitness fitness, const uint32_t *tried,
                             uint32_t tried_count)
{
    uint32_t best = first;
    for (uint32_t i = 1; i < balancer->count; i++) {
        uint32_t index = first + i < balancer->count ? first + i : first + i - balancer->count;
        if (is_less_loaded(&balancer->targets[index], &balancer->targets[best]) &&
            balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            best = index;
        }
    }
    return best;
}

uint32_t two_choices_pick(const struct balancer *balancer, struct random *random,
                          enum balancer_fitness fitness, const uint32_t *tried,
                          uint32_t tried_count)
{
    uint32_t first = random_turn_pick(balancer, random, fitness, tried, tried_count);
    if (first == BALANCER_NONE || target_in_flight(&balancer->targets[first]) == 0) {
        return first;
    }
    if (balancer->count < TWO_CHOICES_COMPARE_ALL_BELOW) {
        return least_of_all(balancer, first, fitness, tried, tried_count);
    }
    uint32_t other = random_turn_other(balancer, random, first, fitness, tried, tried_count);
    return is_less_loaded(&balancer->targets[other], &balancer->targets[first]) ? other : first;
}
