/*
 * balance_key - what a pool's choice of a server is told of the request at hand: its key for maglev
 * and ring_hash, and what time it is.
 *
 * A parameter of the query is read as servers read it, and as conditions of routes do: "%61+b" is
 * the key "a b". One that is longer than 4 KiB when it is decoded counts as it was sent.
 *
 * Called before each pool_pick. Threads: worker.
 */
#ifndef LBD_PROXY_BALANCE_KEY_H
#define LBD_PROXY_BALANCE_KEY_H

#include "lbd/base/addr.h"
#include "lbd/http/message.h"
#include "lbd/upstream/pool.h"

#define BALANCE_KEY_DECODED_MAX 4096

/* `request` NULL: none, TCP or mail; then only the client's address is a key. */
void balance_key_find(const struct pool *pool, const struct message *request,
                      const struct addr_small *client, struct balancer_state *state);

static inline void balance_key_set(const struct pool *pool, const struct message *request,
                                   const struct addr_small *client, uint64_t now_us,
                                   struct balancer_state *state)
{
    state->now_us = now_us;
    if (LB_UNLIKELY(balancer_is_hash(pool->balancer.kind))) {
        balance_key_find(pool, request, client, state);
    }
}

#endif
