#include "lbd/balance/random_turn.h"

uint32_t random_turn_again(const struct balancer *balancer, struct random *random,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count)
{
    uint32_t turns = balancer->schedule_len;
    uint32_t turn = 0;
    for (uint32_t i = 1; i < RANDOM_TURN_DRAWS; i++) {
        turn = random_below(random, turns);
        uint32_t index = balancer->schedule[turn];
        if (LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
            return index;
        }
    }
    /* luck runs out: on from the last draw */
    for (uint32_t i = 1; i < turns; i++) {
        turn = turn + 1 < turns ? turn + 1 : 0;
        uint32_t index = balancer->schedule[turn];
        if (balancer_may_pick(balancer, index, fitness, tried, tried_count)) {
            return index;
        }
    }
    return BALANCER_NONE;
}

uint32_t random_turn_other(const struct balancer *balancer, struct random *random, uint32_t first,
                           enum balancer_fitness fitness, const uint32_t *tried,
                           uint32_t tried_count)
{
    for (uint32_t i = 0; i < RANDOM_TURN_DRAWS; i++) {
        uint32_t index = balancer->schedule[random_below(random, balancer->schedule_len)];
        if (index != first &&
            LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
            return index;
        }
    }
    return first;
}
