/*
 * route_split - which of several pools a client belongs to.
 *
 * Each pool has its share by weight, and who has the same key always goes to the same pool: after a
 * restart, and from another lbd (rendezvous.h). A change of weights moves no more clients than the
 * shares that change; a pool of weight 0 gets none.
 *
 *     key   a header, a cookie, or the client's address; who lacks the first two is known by the
 *           address. All clients of a unix socket are one.
 *
 * Memory: in the arena of the snapshot. Threads: built on control; read on any worker.
 */
#ifndef LBD_PROXY_ROUTE_SPLIT_H
#define LBD_PROXY_ROUTE_SPLIT_H

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/http/message.h"
#include "lbd/upstream/pool.h"

struct route_split_arm {
    struct pool *pool; /* held by the snapshot */
    uint64_t seed;
    uint32_t weight;
};

struct route_split {
    struct route_split_arm *arms;
    uint32_t count;
    enum conf_hash_key key;
    struct slice name;
};

/* One without pools yet: the caller sets arms[i].pool. */
struct route_split *route_split_build(struct arena *arena, const struct conf_split *conf);
/* Never NULL: one has a weight. client NULL: not known. */
struct pool *route_split_pick(const struct route_split *split, const struct message *request,
                              const struct addr_small *client);

#endif
