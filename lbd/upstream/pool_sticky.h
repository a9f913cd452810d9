/*
 * pool_sticky - how clients stay with a server of a pool, as a snapshot sees it.
 *
 * Made by snapshot_sticky from the document; lbd/proxy/exchange_sticky asks it for each request of
 * such a pool.
 *
 *     insert    cookie of ours: 16 hexadecimal digits, the sticky_id of (pool, server)
 *     passive   cookie of the application: its value, or what stands behind the last dot of it, is
 *               the server's `sticky_id`
 *     learn     cookie or header of the application, as answers brought it: a table (learned)
 *
 * Memory: in the pool's arena, with a reference on the table. Threads: built on control; read on
 * any.
 */
#ifndef LBD_UPSTREAM_POOL_STICKY_H
#define LBD_UPSTREAM_POOL_STICKY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/learned.h"
#include "lbd/balance/sticky.h"
#include "lbd/base/slice.h"

struct pool;

enum pool_sticky_mode { POOL_STICKY_INSERT, POOL_STICKY_PASSIVE, POOL_STICKY_LEARN };

struct pool_sticky {
    enum pool_sticky_mode mode;
    struct slice name;              /* of the cookie, */
    bool is_header;                 /* or of the header */
    struct slice attributes;        /* behind its value in Set-Cookie, for requests in clear, */
    struct slice attributes_secure; /* and over TLS */
    bool fails;                     /* no other server when the client's is not usable */
    bool moves_on_drain;            /* one that drains counts as down */
    bool forwards;                  /* servers see a cookie of ours */
    struct sticky servers;
    struct learned *learned; /* of POOL_STICKY_LEARN; referenced; else NULL */
};

/* The id that names a server in passive mode. */
uint64_t pool_sticky_id_of_text(struct slice text);
/* Who is meant by the value of the cookie or header: a member, or BALANCER_NONE. now_s: monotonic,
 * for the table. */
uint32_t pool_sticky_find(const struct pool_sticky *sticky, struct slice value, uint32_t now_s);
/* May a client that belongs to this member still go there? */
bool pool_sticky_may_stay(const struct pool *pool, uint32_t member);
/* What a cookie for this member has as its value. */
#define POOL_STICKY_VALUE 16U
void pool_sticky_write(const struct pool_sticky *sticky, uint32_t member,
                       char out[POOL_STICKY_VALUE]);

#endif
