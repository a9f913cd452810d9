/*
 * upstream_conn - one connection to a server, from dialling to its end.
 *
 *     dial --connected--> in use <--> idle --> closed
 *
 *     its events belong to: h1_conn (in use), upstream/idle (idle)
 *
 * Memory: the upstream_worker's slab; holds a reference on its server. Threads: one worker for
 * life.
 */
#ifndef LBD_UPSTREAM_UPSTREAM_CONN_H
#define LBD_UPSTREAM_UPSTREAM_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/list.h"
#include "lbd/net/conn.h"
#include "lbd/upstream/upstream_worker.h"

struct upstream_waiter;

struct upstream_conn {
    struct conn conn;
    struct server *server; /* referenced */
    struct list_node idle_link;
    struct upstream_waiter *waiter; /* while dialling */
    uint32_t pool_id;
    uint32_t address_version;
    uint32_t idle_ms;
    bool is_idle;
};

static inline struct upstream_conn *upstream_conn_of(struct conn *conn)
{
    return container_of(conn, struct upstream_conn, conn);
}

/* Takes the descriptor; NULL when there is no memory (the descriptor is then closed). */
struct upstream_conn *upstream_conn_new(struct upstream_worker *upstream, const struct pool *pool,
                                        uint32_t member, int fd, const struct conn_ops *ops);
/* Closes and frees after the batch; not while idle. */
void upstream_conn_end(struct upstream_worker *upstream, struct upstream_conn *conn);
/* Ends our sending side first and closes when the server has ended too, a second later at the
 * latest; what it still sends is thrown away. */
void upstream_conn_linger(struct upstream_worker *upstream, struct upstream_conn *conn);
/* Closes those that linger, at the worker's end. */
void upstream_conn_end_lingering(struct upstream_worker *upstream);

#endif
