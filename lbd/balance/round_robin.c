#include "lbd/balance/round_robin.h"

uint32_t round_robin_pick(const struct balancer *balancer, struct balancer_state *state,
                          enum balancer_fitness fitness, const uint32_t *tried,
                          uint32_t tried_count)
{
    uint32_t turns = balancer->schedule_len;
    uint32_t turn = state->position < turns ? state->position : 0;
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t index = balancer->schedule[turn];
        turn = turn + 1 < turns ? turn + 1 : 0;
        if (LB_LIKELY(balancer_may_pick(balancer, index, fitness, tried, tried_count))) {
            state->position = turn;
            return index;
        }
    }
    return BALANCER_NONE;
}
