/* idle - see idle.h. */
#include "lbd/upstream/idle.h"

#define TRIM_MS         500
#define TRIM_AGAIN_MS   8
#define CLOSES_PER_TURN 128U /* about a millisecond */
#define KEEP_IDLE       64U

static void on_trim(struct loop_timer *timer);

static void take_out(struct upstream_worker *upstream, struct upstream_conn *self)
{
    struct server_worker *server = upstream_server(upstream, self->server->id);
    list_remove(&self->idle_link);
    self->is_idle = false;
    server->idle_count--;
    if (server->idle_count < server->idle_low) {
        server->idle_low = server->idle_count;
    }
    if (server->idle_count == 0) {
        list_remove(&server->with_idle);
    }
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->idle_removed, 1);
}

static void close_idle(struct upstream_worker *upstream, struct upstream_conn *self)
{
    take_out(upstream, self);
    upstream_conn_end(upstream, self);
}

static void on_event(struct conn *conn)
{
    close_idle(loop_slot(conn->loop, LOOP_SLOT_UPSTREAM), upstream_conn_of(conn));
}

static void on_room(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops idle_ops = {
    .on_readable = on_event,
    .on_room = on_room,
    .on_timeout = on_event,
};

static struct upstream_conn *oldest(const struct server_worker *server)
{
    return list_entry(server->idle.prev, struct upstream_conn, idle_link);
}

/* Closes some of what is too much. True: more is left. */
static bool trim_server(struct upstream_worker *upstream, struct server_worker *server)
{
    const struct server *live = oldest(server)->server;
    if (atomic_load_explicit(&live->load.ready, memory_order_relaxed) == 0) {
        server->surplus = server->idle_count;
    }
    for (uint32_t i = 0; i < CLOSES_PER_TURN && server->surplus > 0 && server->idle_count > 0;
         i++) {
        server->surplus--;
        close_idle(upstream, oldest(server));
    }
    return server->surplus > 0 && server->idle_count > 0;
}

/* A look at what the time since the last look did not need. */
static void measure(struct server_worker *server)
{
    server->surplus = server->idle_low > KEEP_IDLE ? server->idle_low - KEEP_IDLE : 0;
    server->idle_low = server->idle_count;
}

void idle_sweep(struct upstream_worker *upstream)
{
    struct list_node *node;
    list_for_each (node, &upstream->with_idle) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        const struct server *live = oldest(server)->server;
        if (atomic_load_explicit(&live->load.ready, memory_order_relaxed) == 0) {
            loop_timer_set(upstream->loop, &upstream->trim, TRIM_AGAIN_MS, on_trim);
            return;
        }
    }
}

static void on_trim(struct loop_timer *timer)
{
    struct upstream_worker *upstream = container_of(timer, struct upstream_worker, trim);
    uint64_t now = loop_now_us(upstream->loop);
    bool look = now - upstream->measured_us >= TRIM_MS * 1000ULL;
    bool more = false;
    struct list_node *node;
    struct list_node *next;
    if (look) {
        upstream->measured_us = now;
    }
    list_for_each_safe (node, next, &upstream->with_idle) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        if (look) {
            measure(server);
        }
        more = trim_server(upstream, server) || more;
    }
    if (!list_is_empty(&upstream->with_idle)) {
        loop_timer_set(upstream->loop, &upstream->trim, more ? TRIM_AGAIN_MS : TRIM_MS, on_trim);
    }
}

struct upstream_conn *idle_take(struct upstream_worker *upstream, const struct server *live,
                                uint32_t address_version)
{
    struct server_worker *server = upstream_server(upstream, live->id);
    while (server->idle_count > 0) {
        struct upstream_conn *self =
            list_entry(list_first(&server->idle), struct upstream_conn, idle_link);
        if (self->address_version == address_version) {
            take_out(upstream, self);
            return self;
        }
        close_idle(upstream, self); /* the name points elsewhere by now */
    }
    return NULL;
}

void idle_give(struct upstream_worker *upstream, struct upstream_conn *self)
{
    if (atomic_load_explicit(&self->server->load.ready, memory_order_relaxed) == 0) {
        upstream_conn_end(upstream, self);
        return;
    }
    struct server_worker *server = upstream_server(upstream, self->server->id);
    self->conn.ops = &idle_ops;
    self->is_idle = true;
    list_push_front(&server->idle, &self->idle_link);
    if (server->idle_count++ == 0) {
        list_push_back(&upstream->with_idle, &server->with_idle);
        server->idle_low = 0;
        server->surplus = 0;
        if (!loop_timer_is_set(&upstream->trim)) {
            loop_timer_set(upstream->loop, &upstream->trim, TRIM_MS, on_trim);
        }
    }
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->idle_added, 1);
    conn_deadline(&self->conn, self->idle_ms);
}

void idle_close_all(struct upstream_worker *upstream)
{
    struct list_node *node;
    while ((node = list_first(&upstream->with_idle)) != NULL) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        while (server->idle_count > 0) {
            close_idle(upstream, oldest(server));
        }
    }
}
