#include "lbd/balance/two_choices.h"

enum { DRAWS = 8 }; /* until we walk instead */

/* Less in flight per weight, each counted as if it already had the request. */
static bool is_less_loaded(const struct target *a, const struct target *b)
{
    return (target_in_flight(a) + UINT64_C(1)) * b->weight <
           (target_in_flight(b) + UINT64_C(1)) * a->weight;
}

/* A fit target by a random turn; walks on from the last draw when luck runs out. */
static uint32_t draw(const struct balancer *balancer, struct random *random,
                     enum balancer_fitness fitness, const uint32_t *tried, uint32_t tried_count)
{
    uint32_t turns = balancer->schedule_len;
    uint32_t turn = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        turn = random_below(random, turns);
        uint32_t index = balancer->schedule[turn];
        if (LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
            return index;
        }
    }
    for (uint32_t i = 1; i < turns; i++) {
        turn = turn + 1 < turns ? turn + 1 : 0;
        uint32_t index = balancer->schedule[turn];
        if (balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            return index;
        }
    }
    return BALANCER_NONE;
}

/* A second fit target, or `first` when a few draws give no other. */
static uint32_t draw_other(const struct balancer *balancer, struct random *random, uint32_t first,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count)
{
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t index = balancer->schedule[random_below(random, balancer->schedule_len)];
        if (index != first &&
            LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
            return index;
        }
    }
    return first;
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
    if (balancer->schedule_len == 0) {
        return BALANCER_NONE;
    }
    uint32_t first = draw(balancer, random, fitness, tried, tried_count);
    if (first == BALANCER_NONE || target_in_flight(&balancer->targets[first]) == 0) {
        return first;
    }
    if (balancer->count < TWO_CHOICES_COMPARE_ALL_BELOW) {
        return least_of_all(balancer, first, fitness, tried, tried_count);
    }
    uint32_t other = draw_other(balancer, random, first, fitness, tried, tried_count);
    return is_less_loaded(&balancer->targets[other], &balancer->targets[first]) ? other : first;
}
