/*
 * route_split - which of several pools a client belongs to.
 *
 * Each pool has its share by weight, and who has the same key always goes to the same pool: after a
 * restart, and from another lbd (rendezvous.h). A change of weights moves no more clients than the
 * shares that change; a pool of weight 0 gets none.
 *
 *     key      a header, a cookie, or the client's address; who lacks the first two is known by the
 *              address. All clients of a unix socket are one. Or chance, which knows nobody.
 *     cookie   of ours, optional: 16 hexadecimal digits that name a pool. Who brings one stays
 * there whatever the weights are, unless it left the split or has weight 0; then, and with a value
 * that names none of these pools, the key says where, and the client is told anew (exchange_split).
 *
 * Memory: in the arena of the snapshot. Threads: built on control; read on any worker.
 */
#ifndef LBD_PROXY_ROUTE_SPLIT_H
#define LBD_PROXY_ROUTE_SPLIT_H

#include "conf/conf.h"
#include "lbd/balance/sticky.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/http/message.h"
#include "lbd/upstream/pool.h"

struct route_split_arm {
    struct pool *pool; /* held by the snapshot */
    uint64_t seed;
    uint32_t weight;
};

struct route_split_cookie {
    struct slice name;
    struct slice attributes;        /* behind its value in Set-Cookie, for requests in clear, */
    struct slice attributes_secure; /* and over TLS */
    bool forwards;                  /* servers see it */
    struct sticky arms;
};

struct route_split {
    struct route_split_arm *arms;
    uint32_t count;
    enum conf_split_key key; /* not AUTO */
    struct slice name;
    struct route_split_cookie *cookie; /* NULL: none */
};

/* Why a client belongs to a pool. */
enum route_split_by {
    ROUTE_SPLIT_BY_COOKIE,
    ROUTE_SPLIT_BY_KEY,
    ROUTE_SPLIT_BY_ADDRESS,
    ROUTE_SPLIT_BY_CHANCE
};
/* What its cookie says. */
enum route_split_brought {
    ROUTE_SPLIT_NOTHING, /* there is none, or the split wants none */
    ROUTE_SPLIT_ITS_POOL,
    ROUTE_SPLIT_UNKNOWN, /* none of these pools */
    ROUTE_SPLIT_CLOSED   /* one that has weight 0 now */
};

struct route_split_choice {
    uint32_t arm;
    enum route_split_by by;
    enum route_split_brought brought;
};

/* One without pools yet: the caller sets arms[i].pool. */
struct route_split *route_split_build(struct arena *arena, const struct conf_split *conf);
/* ... with a cookie whose values are made with `key`. The caller sets its attributes. */
void route_split_build_cookie(struct route_split *split, struct arena *arena,
                              const struct conf_split *conf, const uint64_t key[2]);
/* Always one that has a weight. client NULL: not known. chance: a random number, for those that are
 * drawn. */
struct route_split_choice route_split_pick(const struct route_split *split,
                                           const struct message *request,
                                           const struct addr_small *client, uint64_t chance);
/* What the cookie for this pool has as its value. */
#define ROUTE_SPLIT_VALUE 16U
void route_split_write(const struct route_split *split, uint32_t arm, char out[ROUTE_SPLIT_VALUE]);

#endif
