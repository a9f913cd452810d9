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
