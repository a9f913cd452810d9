/* idle - see idle.h. */
#include "lbd/upstream/idle.h"

#include "lbd/base/hash.h"
#include "lbd/upstream/shared.h"

#define TRIM_MS         500
#define TRIM_AGAIN_MS   8
#define CLOSES_PER_TURN 128U /* about a millisecond */
#define KEEP_IDLE       64U

static void on_trim(struct loop_timer *timer);

static struct list_node *bound_to(struct upstream_worker *upstream, uint64_t client_id)
{
    return &upstream->bound[hash_mix(client_id) % UPSTREAM_BOUND_LISTS];
}

static void take_out(struct upstream_worker *upstream, struct upstream_conn *self)
{
    struct server_worker *server = upstream_server(upstream, self->server->id);
    list_remove(&self->idle_link);
    self->is_idle = false;
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->idle_removed, 1);
    if (self->client_id != 0) {
        upstream->bound_count--;
        return;
    }
    upstream->idle_count--;
    server->idle_count--;
    if (server->idle_count < server->idle_low) {
        server->idle_low = server->idle_count;
    }
    if (server->idle_count == 0) {
        list_remove(&server->with_idle);
    }
}

static void close_idle(struct upstream_worker *upstream, struct upstream_conn *self)
{
    take_out(upstream, self);
    upstream_conn_end(upstream, self);
}

static void close_it(struct conn *conn)
{
    close_idle(loop_slot(conn->loop, LOOP_SLOT_UPSTREAM), upstream_conn_of(conn));
}

static void on_room(struct conn *conn)
{
    (void)conn;
}

/* The server does not want it any more. */
static void note_closed(struct upstream_conn *self)
{
    uint64_t now = loop_now_us(self->conn.loop);
    uint32_t idle_ms = (uint32_t)(now / 1000) - self->conn.count;
    if (server_is_usable(self->server)) { /* else it may be on its way down */
        keep_alive_note_closed(&self->server->keep_alive, idle_ms, now);
    }
}

static void on_readable(struct conn *conn)
{
    char byte;
    size_t got;
    if ((conn->flags & CONN_PEER_CLOSED) != 0) {
        note_closed(upstream_conn_of(conn));
    }
    /* TLS has words of its own (session tickets): not a byte of the server's */
    if (conn->transport != &tcp_transport && (conn->flags & CONN_PEER_CLOSED) == 0 &&
        conn_read(conn, &byte, sizeof(byte), &got) == CONN_READ_NOTHING) {
        return;
    }
    close_it(conn);
}

static const struct conn_ops idle_ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_timeout = close_it,
};

static struct upstream_conn *oldest(const struct server_worker *server)
{
    return list_entry(server->idle.prev, struct upstream_conn, idle_link);
}

/* Closes some of what is too much. True: more is left. */
static bool trim_server(struct upstream_worker *upstream, struct server_worker *server)
{
    if (!server_is_ready(oldest(server)->server)) {
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

/* Those of a client that are of servers which are not to be used. */
static void sweep_bound(struct upstream_worker *upstream)
{
    for (uint32_t i = 0; upstream->bound_count > 0 && i < UPSTREAM_BOUND_LISTS; i++) {
        struct list_node *node;
        struct list_node *next;
        list_for_each_safe (node, next, &upstream->bound[i]) {
            struct upstream_conn *self = list_entry(node, struct upstream_conn, idle_link);
            if (!server_is_ready(self->server)) {
                close_idle(upstream, self);
            }
        }
    }
}

void idle_forget_client(struct upstream_worker *upstream, uint64_t client_id)
{
    struct list_node *node;
    struct list_node *next;
    if (LB_LIKELY(upstream->bound_count == 0)) {
        return;
    }
    list_for_each_safe (node, next, bound_to(upstream, client_id)) {
        struct upstream_conn *self = list_entry(node, struct upstream_conn, idle_link);
        if (self->client_id == client_id) {
            close_idle(upstream, self);
        }
    }
}

void idle_sweep(struct upstream_worker *upstream)
{
    struct list_node *node;
    sweep_bound(upstream);
    shared_sweep(upstream);
    list_for_each (node, &upstream->with_idle) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        if (!server_is_ready(oldest(server)->server)) {
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

static struct upstream_conn *take_bound(struct upstream_worker *upstream,
                                        const struct pool_member *member, uint64_t client_id)
{
    uint64_t now = loop_now_us(upstream->loop);
    struct list_node *node;
    list_for_each (node, bound_to(upstream, client_id)) {
        struct upstream_conn *self = list_entry(node, struct upstream_conn, idle_link);
        if (self->server == member->server && upstream_conn_fits(self, member, client_id, now)) {
            take_out(upstream, self);
            return self;
        }
    }
    return NULL;
}

struct upstream_conn *idle_take(struct upstream_worker *upstream, const struct pool_member *member,
                                uint64_t client_id)
{
    struct server_worker *server = upstream_server(upstream, member->server->id);
    if (client_id != 0) {
        return take_bound(upstream, member, client_id);
    }
    if (server->idle_count == 0) {
        return NULL;
    }
    uint64_t now = loop_now_us(upstream->loop);
    while (server->idle_count > 0) {
        struct upstream_conn *self =
            list_entry(list_first(&server->idle), struct upstream_conn, idle_link);
        if (LB_LIKELY(upstream_conn_fits(self, member, 0, now))) {
            take_out(upstream, self);
            return self;
        }
        close_idle(upstream, self); /* too old, or things have changed since it was made */
    }
    return NULL;
}

/* Descriptors are for what works. A look at all servers makes room for some, not for one. */
static bool has_room(struct upstream_worker *upstream)
{
    if (LB_LIKELY(upstream->idle_count + upstream->bound_count < upstream->idle_max)) {
        return true;
    }
    counter_add(&upstream->counters->loop.relief[COUNTERS_RELIEF_IDLE_SERVER],
                idle_close_oldest(upstream, upstream->idle_max / 16 + 1));
    return upstream->idle_count + upstream->bound_count < upstream->idle_max;
}

void idle_give(struct upstream_worker *upstream, struct upstream_conn *self)
{
    uint64_t now = loop_now_us(upstream->loop);
    bool is_old = self->old_us != 0 && now >= self->old_us;
    if (!server_is_ready(self->server) || is_old || !has_room(upstream)) {
        upstream_conn_end(upstream, self);
        return;
    }
    struct server_worker *server = upstream_server(upstream, self->server->id);
    self->conn.ops = &idle_ops;
    self->is_idle = true;
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->idle_added, 1);
    self->conn.count = (uint32_t)(now / 1000);
    conn_deadline(&self->conn, keep_alive_idle_ms(&self->server->keep_alive, self->idle_ms, now));
    if (self->client_id != 0) {
        list_push_front(bound_to(upstream, self->client_id), &self->idle_link);
        upstream->bound_count++;
        return;
    }
    list_push_front(&server->idle, &self->idle_link);
    upstream->idle_count++;
    if (server->idle_count++ == 0) {
        list_push_back(&upstream->with_idle, &server->with_idle);
        server->idle_low = 0;
        server->surplus = 0;
        if (!loop_timer_is_set(&upstream->trim)) {
            loop_timer_set(upstream->loop, &upstream->trim, TRIM_MS, on_trim);
        }
    }
}

/* How long its oldest one waits. */
static uint32_t oldest_ms(const struct server_worker *server, uint32_t now_ms)
{
    return now_ms - oldest(server)->conn.count;
}

uint32_t idle_close_oldest(struct upstream_worker *upstream, uint32_t max)
{
    uint32_t now_ms = (uint32_t)(loop_now_us(upstream->loop) / 1000);
    uint32_t longest_ms = 0;
    uint32_t closed = 0;
    struct list_node *node;
    struct list_node *next;
    list_for_each (node, &upstream->with_idle) {
        uint32_t ms = oldest_ms(list_entry(node, struct server_worker, with_idle), now_ms);
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    /* the last quarter of that: one look at each server, and no server's all before another's */
    list_for_each_safe (node, next, &upstream->with_idle) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        while (closed < max && server->idle_count > 0 &&
               oldest_ms(server, now_ms) >= longest_ms - longest_ms / 4) {
            close_idle(upstream, oldest(server));
            closed++;
        }
    }
    return closed;
}

void idle_close_all(struct upstream_worker *upstream)
{
    struct list_node *node;
    shared_end_all(upstream);
    while ((node = list_first(&upstream->with_idle)) != NULL) {
        struct server_worker *server = list_entry(node, struct server_worker, with_idle);
        while (server->idle_count > 0) {
            close_idle(upstream, oldest(server));
        }
    }
    for (uint32_t i = 0; i < UPSTREAM_BOUND_LISTS; i++) {
        while ((node = list_first(&upstream->bound[i])) != NULL) {
            close_idle(upstream, list_entry(node, struct upstream_conn, idle_link));
        }
    }
}
