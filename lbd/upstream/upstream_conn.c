/* upstream_conn - see upstream_conn.h. */
#include "lbd/upstream/upstream_conn.h"

#include <assert.h>
#include <unistd.h>

struct upstream_conn *upstream_conn_new(struct upstream_worker *upstream, const struct pool *pool,
                                        uint32_t member, int fd, const struct conn_ops *ops)
{
    struct upstream_conn *self = slab_take(&upstream->conns);
    if (self == NULL) {
        (void)close(fd);
        return NULL;
    }
    const struct pool_member *server = &pool->members[member];
    conn_init(&self->conn, upstream->loop, fd, ops);
    self->server = server_ref(server->server);
    self->idle_link = (struct list_node){0};
    self->waiter = NULL;
    self->pool_id = pool->id;
    self->address_version = server->address_version;
    self->idle_ms = pool->idle_ms;
    self->is_idle = false;
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->connections_opened, 1);
    counter_add(&counters_of_server(upstream->counters, self->server->id)->connections_opened, 1);
    return self;
}

static void free_buried(struct loop_grave *grave)
{
    struct conn *conn = container_of(grave, struct conn, queue.grave);
    struct upstream_worker *upstream = loop_slot(conn->loop, LOOP_SLOT_UPSTREAM);
    slab_give(&upstream->conns, upstream_conn_of(conn));
}

/* -- lingering -- */

#define LINGER_MS    1000
#define LINGER_READS 8

static void end_lingering(struct conn *conn)
{
    struct upstream_conn *self = upstream_conn_of(conn);
    list_remove(&self->idle_link);
    upstream_conn_end(loop_slot(conn->loop, LOOP_SLOT_UPSTREAM), self);
}

static void linger_on_readable(struct conn *conn)
{
    struct net_worker *net = conn_net(conn);
    for (int i = 0; i < LINGER_READS && (conn->flags & CONN_READ_READY) != 0; i++) {
        size_t got;
        switch (conn_read(conn, net->scratch, FLOW_SCRATCH_BYTES, &got)) {
        case CONN_READ_BYTES:
            conn_look_again(conn);
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
        case CONN_READ_FAILED:
            end_lingering(conn);
            return;
        }
    }
    if ((conn->flags & CONN_READ_READY) != 0) {
        conn_again(conn);
    }
}

static void linger_on_room(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops linger_ops = {
    .on_readable = linger_on_readable,
    .on_room = linger_on_room,
    .on_timeout = end_lingering,
};

void upstream_conn_linger(struct upstream_worker *upstream, struct upstream_conn *self)
{
    struct conn *conn = &self->conn;
    if ((conn->flags & (CONN_BROKEN | CONN_WRITE_BROKEN | CONN_EOF)) != 0) {
        upstream_conn_end(upstream, self);
        return;
    }
    conn->user = NULL;
    conn->ops = &linger_ops;
    list_push_back(&upstream->lingering, &self->idle_link);
    conn_shut(conn);
    conn_deadline(conn, LINGER_MS);
    conn_look_again(conn);
    conn_again(conn);
}

void upstream_conn_end_lingering(struct upstream_worker *upstream)
{
    struct list_node *node = NULL;
    while ((node = list_first(&upstream->lingering)) != NULL) {
        end_lingering(&list_entry(node, struct upstream_conn, idle_link)->conn);
    }
}

void upstream_conn_end(struct upstream_worker *upstream, struct upstream_conn *self)
{
    assert(!self->is_idle);
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->connections_closed, 1);
    counter_add(&counters_of_server(upstream->counters, self->server->id)->connections_closed, 1);
    conn_close(&self->conn);
    server_unref(self->server);
    self->server = NULL;
    loop_bury(upstream->loop, &self->conn.queue.grave, free_buried);
}
