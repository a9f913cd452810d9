/*
 * conf_share - what the weights of a pool's servers come to, where some are a share of the whole.
 *
 *     "a": 100   "b": 100   "c": "25%"      c gets a quarter, a and b what is left, by their
 * numbers: x 75       x 75       25 x 200       on one scale: 7500 7500 5000
 *
 * A share is one of all that servers of the same priority get while all of them are there, whatever
 * others stand beside it. It is compiled to a weight, so a server that goes leaves its part to all
 * others as they have theirs, as ever. So nothing here depends on health or on what is set by hand.
 *
 * The scale of a priority is the worth of a weight of 1 there (1 where there are no shares). It
 * keeps shares exact whatever the numbers are.
 *
 * Threads: any.
 */
#ifndef CONF_CONF_SHARE_H
#define CONF_CONF_SHARE_H

#include <stdint.h>

#include "conf/conf.h"

struct conf_share_sum {
    uint32_t percent; /* of all shares */
    uint32_t shares;  /* how many there are */
    uint64_t number;  /* of all numbers */
    uint32_t numbers; /* likewise */
};

/* By priority. */
struct conf_share_sums {
    struct conf_share_sum of[CONF_PRIORITIES];
};

/* One walk over the servers. */
void conf_share_add_up(const struct conf_pool *pool, struct conf_share_sums *sums);
/* What a weight of 1 is worth beside this server, 1 to 100. */
uint32_t conf_share_scale(const struct conf_share_sums *sums, const struct conf_server *server);
/* Its weight on that scale; 0: there is nothing to compare it with (conf_check refuses that). */
uint64_t conf_share_scaled(const struct conf_share_sums *sums, const struct conf_server *server);
/* What none of its priority weighs more than on that scale. */
uint64_t conf_share_most(const struct conf_share_sums *sums, const struct conf_server *server);
/* As a number, rounded, 1 at least: for people. Walks over the pool for a share only. */
uint32_t conf_share_number(const struct conf_pool *pool, const struct conf_server *server);
/* So many per cent of a weight, rounded; 1 at least: to take all away there is the admin state. */
static inline uint32_t conf_share_of(uint32_t weight, uint32_t percent)
{
    uint64_t share = ((uint64_t)weight * percent + 50) / 100;
    return share < 1 ? 1 : share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

#endif
