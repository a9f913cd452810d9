/* upstream_conn - see upstream_conn.h. */
#include "lbd/upstream/upstream_conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lbd/net/dial.h"
#include "lbd/tls/tls_conn.h"

/* -- opening -- */

/* NULL: no memory; the descriptor is then closed. */
static struct upstream_conn *new_conn(struct upstream_worker *upstream, const struct pool *pool,
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
    self->waiter = NULL;
    self->client_id = 0;
    self->way = server->way;
    self->old_us = 0;
    self->greeting = (struct flow){0};
    self->step = UPSTREAM_DIALS;
    self->is_http2 = false;
    self->shared = NULL;
    self->pool_id = pool->id;
    self->address_version = server->address_version;
    self->idle_ms = pool->idle_ms;
    self->is_idle = false;
    self->has_served = false;
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->connections_opened, 1);
    counter_add(&counters_of_server(upstream->counters, self->server->id)->connections_opened, 1);
    return self;
}

static struct upstream_worker *worker_of(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_UPSTREAM);
}

static struct counters_pool *counters_of(const struct upstream_conn *self)
{
    return counters_of_pool(worker_of(&self->conn)->counters, self->pool_id);
}

/* The PROXY header goes out before anything else, below TLS. */
static bool greet(struct upstream_conn *self)
{
    char header[PROXY_HEADER_OUT_MAX];
    struct conn *conn = &self->conn;
    if (flow_is_empty(&self->greeting)) {
        return true;
    }
    size_t len = flow_take(conn_net(conn), &self->greeting, header);
    struct iovec piece = {.iov_base = header, .iov_len = len};
    /* a socket that was just connected takes so little at once, or nothing ever */
    return tcp_transport.write(conn, &piece, 1) == (ssize_t)len;
}

static enum close_reason reason_of_tls(const struct conn *conn)
{
    switch (tls_conn_failure(conn)) {
    case TLS_CLIENT_HANDSHAKE:
        return CLOSE_SERVER_TLS_FAILED;
    case TLS_CLIENT_VERIFY:
        return CLOSE_SERVER_TLS_UNVERIFIED;
    case TLS_CLIENT_PIN:
        return CLOSE_SERVER_TLS_PIN_MISMATCH;
    }
    return CLOSE_SERVER_TLS_FAILED;
}

static enum upstream_open shake_hands(struct upstream_conn *self, enum close_reason *reason)
{
    struct conn *conn = &self->conn;
    if (conn->transport->handshake(conn) == 0) {
        struct counters_pool *counters = counters_of(self);
        counter_add(&counters->tls_handshakes, 1);
        counter_add(&counters->tls_resumed, tls_conn_is_resumed(conn) ? 1 : 0);
        histogram_note_us(&counters->tls_duration, loop_now_us(conn->loop) - self->shaking_us);
        self->is_http2 = slice_eq(tls_conn_alpn(conn), SLICE("h2"));
        if (self->must_http2 && !self->is_http2) {
            *reason = CLOSE_SERVER_TLS_FAILED;
            server_note_trouble(self->server, *reason,
                                "the server does not agree on HTTP/2 (ALPN 'h2')");
            return UPSTREAM_FAILED;
        }
        return UPSTREAM_READY;
    }
    if (errno == EAGAIN) {
        return UPSTREAM_PENDING;
    }
    *reason = reason_of_tls(conn);
    server_note_trouble(self->server, *reason, tls_conn_why(conn));
    return UPSTREAM_FAILED;
}

/* The next steps, as far as they go now. */
static enum upstream_open go_on(struct upstream_conn *self, enum close_reason *reason)
{
    struct conn *conn = &self->conn;
    if (self->step == UPSTREAM_DIALS) {
        if (!dial_finish(conn->fd, reason)) {
            return UPSTREAM_FAILED;
        }
        if (!greet(self)) {
            *reason = CLOSE_CONNECT_FAILED;
            return UPSTREAM_FAILED;
        }
        self->step = tls_conn_is_one(conn) ? UPSTREAM_SHAKES_HANDS : UPSTREAM_IS_OPEN;
        self->shaking_us = loop_now_us(conn->loop);
    }
    if (self->step == UPSTREAM_SHAKES_HANDS) {
        enum upstream_open verdict = shake_hands(self, reason);
        if (verdict != UPSTREAM_READY) {
            return verdict;
        }
        self->step = UPSTREAM_IS_OPEN;
    }
    self->idle_link = (struct list_node){0};
    server_note_connect(self->server, true);
    return UPSTREAM_READY;
}

static void count_opening(const struct upstream_conn *self)
{
    counter_add(&counters_of(self)->openings_begun, 1);
}

static void count_opened(const struct upstream_conn *self)
{
    counter_add(&counters_of(self)->openings_ended, 1);
}

static void open_failed(struct conn *conn, enum close_reason reason)
{
    struct upstream_conn *self = upstream_conn_of(conn);
    struct upstream_conn_waiter *waiter = self->waiter;
    self->waiter = NULL;
    waiter->conn = NULL;
    count_opened(self);
    if (reason != CLOSE_OVERLOAD) { /* that one is ours, not the server's */
        server_note_connect(self->server, false);
    }
    upstream_conn_end(worker_of(conn), self);
    waiter->fn(waiter, NULL, reason);
}

static void opening_on_event(struct conn *conn)
{
    struct upstream_conn *self = upstream_conn_of(conn);
    struct upstream_conn_waiter *waiter = self->waiter;
    bool was_dialling = self->step == UPSTREAM_DIALS;
    enum close_reason reason = CLOSE_OK;
    enum upstream_open verdict = go_on(self, &reason);
    if (was_dialling && self->step != UPSTREAM_DIALS) {
        uint64_t us = loop_now_us(conn->loop) - waiter->started_us;
        histogram_note_us(&counters_of(self)->connect_duration, us);
    }
    switch (verdict) {
    case UPSTREAM_PENDING:
        return;
    case UPSTREAM_FAILED:
        open_failed(conn, reason);
        return;
    case UPSTREAM_READY:
        waiter->conn = NULL;
        count_opened(self);
        conn_no_deadline(conn);
        waiter->fn(waiter, self, CLOSE_OK);
        return;
    }
}

static void opening_on_readable(struct conn *conn)
{
    /* An error comes with both bits; on_room saw it first. Bytes from a server that speaks first
     * stay unread. */
    if ((conn->flags & CONN_WRITE_READY) == 0 ||
        upstream_conn_of(conn)->step == UPSTREAM_SHAKES_HANDS) {
        opening_on_event(conn);
    }
}

static void opening_on_timeout(struct conn *conn)
{
    bool shakes = upstream_conn_of(conn)->step == UPSTREAM_SHAKES_HANDS;
    open_failed(conn, shakes ? CLOSE_SERVER_TLS_TIMEOUT : CLOSE_CONNECT_TIMEOUT);
}

static const struct conn_ops opening_ops = {
    .on_readable = opening_on_readable,
    .on_room = opening_on_event,
    .on_timeout = opening_on_timeout,
};

static bool keep_greeting(struct upstream_conn *self, const struct pool *pool,
                          const struct upstream_client *client)
{
    char header[PROXY_HEADER_OUT_MAX];
    char tlvs[PROXY_TLVS_OUT_MAX];
    bool with_checksum = (pool->send_proxy_tlvs & PROXY_TLVS_CHECKSUM) != 0;
    size_t len = 0;
    if (client != NULL) {
        size_t tlvs_len = pool->send_proxy_tlvs != 0 && client->write_tlvs != NULL
                              ? client->write_tlvs(client->arg, pool->send_proxy_tlvs, tlvs)
                              : 0;
        self->client_id = client->id;
        len = proxy_header_write(header, pool->send_proxy, client->source, client->destination,
                                 slice_of(tlvs, tlvs_len), with_checksum);
    } else {
        len = proxy_header_write(header, pool->send_proxy, NULL, NULL, SLICE_NONE, with_checksum);
    }
    return flow_put(conn_net(&self->conn), &self->greeting, slice_of(header, len));
}

/* What the pool wants beyond a plain connection. False: no memory. */
static bool prepare(struct upstream_conn *self, const struct pool *pool, uint32_t member,
                    const struct upstream_client *client, bool wants_http1)
{
    struct err err;
    self->must_http2 = pool->http == POOL_HTTP2;
    self->is_http2 = self->must_http2;
    if (pool->send_proxy != PROXY_HEADER_NONE && !keep_greeting(self, pool, client)) {
        return false;
    }
    if (pool->tls == NULL || pool->tls_later) {
        return true;
    }
    if (!tls_conn_client(&self->conn, pool->tls, pool->members[member].tls_name,
                         self->server->tls_reuse, &err)) {
        return false;
    }
    if (wants_http1 && pool->http == POOL_HTTP_BY_ALPN) {
        tls_conn_offer(&self->conn, SLICE("http/1.1"));
    }
    return true;
}

/* Connections that were opened together do not grow old together. */
static uint64_t old_at(struct upstream_worker *upstream, const struct pool *pool)
{
    uint64_t tenth_us = pool->max_age_ms * UINT64_C(100);
    if (tenth_us == 0) {
        return 0;
    }
    uint64_t jitter_us = random_below(&upstream->random, 2001) * tenth_us / 1000;
    return loop_now_us(upstream->loop) + 9 * tenth_us + jitter_us;
}

/* False: a limit of the pool is in the way. */
static bool may_open(const struct upstream_worker *upstream, const struct pool *pool,
                     enum close_reason *reason)
{
    if (!circuit_admits(&pool->circuit, upstream->counters, pool->id, CIRCUIT_CONNECTIONS)) {
        *reason = CLOSE_POOL_CONNECTIONS_LIMIT;
        return false;
    }
    *reason = CLOSE_POOL_PENDING_LIMIT;
    return circuit_admits(&pool->circuit, upstream->counters, pool->id, CIRCUIT_PENDING);
}

enum upstream_open upstream_conn_open(struct upstream_worker *upstream, const struct pool *pool,
                                      uint32_t member, const struct upstream_client *client,
                                      struct upstream_conn_waiter *waiter,
                                      struct upstream_conn **conn, enum close_reason *reason)
{
    const struct pool_member *target = &pool->members[member];
    if (LB_UNLIKELY(!may_open(upstream, pool, reason))) {
        return UPSTREAM_FAILED;
    }
    counter_add(&counters_of_pool(upstream->counters, pool->id)->connects, 1);
    counter_add(&counters_of_server(upstream->counters, target->server->id)->connects, 1);
    int fd;
    enum dial_verdict dialled =
        dial_start(&target->address, &pool->sources, upstream->source_turn++, &fd, reason);
    if (dialled == DIAL_FAILED) {
        if (*reason == CLOSE_SOURCE_UNAVAILABLE) {
            server_note_trouble(
                target->server, *reason,
                "no connection can leave from the pool's source_address: it is none "
                "of this machine's, or has no port left");
        }
        if (!upstream_conn_is_ours(*reason)) {
            server_note_connect(target->server, false);
        }
        return UPSTREAM_FAILED;
    }
    struct upstream_conn *self = new_conn(upstream, pool, member, fd, &opening_ops);
    *reason = CLOSE_OUT_OF_MEMORY;
    if (self == NULL) {
        return UPSTREAM_FAILED;
    }
    self->old_us = old_at(upstream, pool);
    if (dialled == DIAL_PENDING) {
        self->conn.flags &= ~(uint32_t)CONN_WRITE_READY;
    }
    enum upstream_open verdict = UPSTREAM_PENDING;
    if (!prepare(self, pool, member, client, waiter->wants_http1) || !conn_watch(&self->conn)) {
        verdict = UPSTREAM_FAILED;
    } else if (dialled == DIAL_CONNECTED) {
        verdict = go_on(self, reason);
    }
    switch (verdict) {
    case UPSTREAM_READY:
        *conn = self;
        break;
    case UPSTREAM_PENDING:
        self->waiter = waiter;
        waiter->conn = self;
        waiter->started_us = loop_now_us(upstream->loop);
        count_opening(self);
        conn_deadline(&self->conn, pool->connect_ms);
        break;
    case UPSTREAM_FAILED:
        upstream_conn_end(upstream, self);
        break;
    }
    return verdict;
}

enum upstream_open upstream_conn_secure(struct upstream_worker *upstream, const struct pool *pool,
                                        uint32_t member, struct upstream_conn *self,
                                        struct upstream_conn_waiter *waiter,
                                        enum close_reason *reason)
{
    struct err err;
    struct conn *conn = &self->conn;
    enum upstream_open verdict = UPSTREAM_FAILED;
    *reason = CLOSE_OUT_OF_MEMORY;
    if (tls_conn_client(conn, pool->tls, pool->members[member].tls_name, self->server->tls_reuse,
                        &err)) {
        conn->ops = &opening_ops;
        conn->user = NULL;
        self->step = UPSTREAM_SHAKES_HANDS;
        self->shaking_us = loop_now_us(upstream->loop);
        verdict = go_on(self, reason);
    }
    switch (verdict) {
    case UPSTREAM_READY:
        break;
    case UPSTREAM_PENDING:
        self->waiter = waiter;
        waiter->conn = self;
        waiter->started_us = loop_now_us(upstream->loop);
        count_opening(self);
        conn_deadline(conn, pool->connect_ms);
        break;
    case UPSTREAM_FAILED:
        upstream_conn_end(upstream, self);
        break;
    }
    return verdict;
}

bool upstream_conn_fits(const struct upstream_conn *self, const struct pool_member *member,
                        uint64_t client_id, uint64_t now_us)
{
    return self->address_version == member->address_version && self->way == member->way &&
           self->client_id == client_id && (self->old_us == 0 || now_us < self->old_us);
}

void upstream_conn_cancel(struct upstream_worker *upstream, struct upstream_conn_waiter *waiter)
{
    struct upstream_conn *self = waiter->conn;
    if (self != NULL) {
        waiter->conn = NULL;
        self->waiter = NULL;
        count_opened(self);
        upstream_conn_end(upstream, self);
    }
}

/* -- the end -- */

static void free_buried(struct loop_grave *grave)
{
    struct conn *conn = container_of(grave, struct conn, queue.grave);
    struct upstream_worker *upstream = loop_slot(conn->loop, LOOP_SLOT_UPSTREAM);
    slab_give(&upstream->conns, upstream_conn_of(conn));
}

/* -- lingering -- */

#define LINGER_MS    1000
#define LINGER_READS 8

static void end_and_tell(struct upstream_worker *upstream, struct upstream_conn *self,
                         struct upstream_conn_parting *parting)
{
    upstream_conn_end(upstream, self);
    if (parting != NULL) {
        parting->fn(parting);
    }
}

/* conn.user: whom to tell. */
static void end_lingering(struct conn *conn)
{
    struct upstream_conn *self = upstream_conn_of(conn);
    list_remove(&self->idle_link);
    end_and_tell(loop_slot(conn->loop, LOOP_SLOT_UPSTREAM), self, conn->user);
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

void upstream_conn_part(struct upstream_worker *upstream, struct upstream_conn *self,
                        uint32_t limit_ms, struct upstream_conn_parting *parting)
{
    struct conn *conn = &self->conn;
    if ((conn->flags & (CONN_BROKEN | CONN_WRITE_BROKEN | CONN_EOF)) != 0) {
        end_and_tell(upstream, self, parting);
        return;
    }
    conn->user = parting;
    conn->ops = &linger_ops;
    list_push_back(&upstream->lingering, &self->idle_link);
    conn_shut(conn);
    conn_deadline(conn, limit_ms);
    conn_look_again(conn);
    conn_again(conn);
}

void upstream_conn_linger(struct upstream_worker *upstream, struct upstream_conn *self)
{
    upstream_conn_part(upstream, self, LINGER_MS, NULL);
}

void upstream_conn_end_lingering(struct upstream_worker *upstream)
{
    struct list_node *node = NULL;
    while ((node = list_first(&upstream->lingering)) != NULL) {
        end_lingering(&list_entry(node, struct upstream_conn, idle_link)->conn);
    }
}

static void count_closed(struct counters_worker *counters, uint32_t pool_id, uint32_t server_id)
{
    counter_add(&counters_of_pool(counters, pool_id)->connections_closed, 1);
    counter_add(&counters_of_server(counters, server_id)->connections_closed, 1);
}

void upstream_conn_end(struct upstream_worker *upstream, struct upstream_conn *self)
{
    assert(!self->is_idle);
    count_closed(upstream->counters, self->pool_id, self->server->id);
    if (self->step == UPSTREAM_DIALS) {
        flow_clear(conn_net(&self->conn), &self->greeting);
    }
    conn_close(&self->conn);
    server_unref(self->server);
    self->server = NULL;
    loop_bury(upstream->loop, &self->conn.queue.grave, free_buried);
}

/* -- to another worker -- */

void upstream_conn_pack(struct upstream_worker *upstream, struct upstream_conn *self,
                        struct upstream_parcel *parcel)
{
    struct conn *conn = &self->conn;
    assert(self->step == UPSTREAM_IS_OPEN && !self->is_idle && self->shared == NULL);
    *parcel = (struct upstream_parcel){
        .transport = conn->transport,
        .server = self->server,
        .fd = conn->fd,
        .flags = conn->flags &
                 (CONN_PEER_CLOSED | CONN_EOF | CONN_BROKEN | CONN_WRITE_BROKEN | CONN_SHUT),
        .client_id = self->client_id,
        .way = self->way,
        .old_us = self->old_us,
        .pool_id = self->pool_id,
        .address_version = self->address_version,
        .idle_ms = self->idle_ms,
        .is_http2 = self->is_http2,
        .peer = conn->peer,
    };
    count_closed(upstream->counters, self->pool_id, self->server->id);
    self->server = NULL; /* the parcel's */
    conn_leave(conn);
    loop_bury(upstream->loop, &conn->queue.grave, free_buried);
}

struct upstream_conn *upstream_conn_unpack(struct upstream_worker *upstream,
                                           struct upstream_parcel *parcel,
                                           const struct conn_ops *ops)
{
    struct upstream_conn *self = slab_take(&upstream->conns);
    if (self == NULL) {
        upstream_conn_drop_parcel(parcel);
        return NULL;
    }
    memset(self, 0, sizeof(*self));
    conn_init(&self->conn, upstream->loop, parcel->fd, ops);
    self->conn.transport = parcel->transport;
    self->conn.flags |= parcel->flags | CONN_READ_READY;
    self->conn.peer = parcel->peer;
    self->server = parcel->server;
    self->client_id = parcel->client_id;
    self->way = parcel->way;
    self->old_us = parcel->old_us;
    self->step = UPSTREAM_IS_OPEN;
    self->is_http2 = parcel->is_http2;
    self->pool_id = parcel->pool_id;
    self->address_version = parcel->address_version;
    self->idle_ms = parcel->idle_ms;
    *parcel = (struct upstream_parcel){.transport = NULL};
    counter_add(&counters_of_pool(upstream->counters, self->pool_id)->connections_opened, 1);
    counter_add(&counters_of_server(upstream->counters, self->server->id)->connections_opened, 1);
    if (!conn_watch(&self->conn)) {
        upstream_conn_end(upstream, self);
        return NULL;
    }
    return self;
}

void upstream_conn_drop_parcel(struct upstream_parcel *parcel)
{
    if (parcel->transport != NULL) {
        struct conn conn = {.transport = parcel->transport, .fd = parcel->fd};
        conn.transport->close(&conn);
        server_unref(parcel->server);
        *parcel = (struct upstream_parcel){.transport = NULL};
    }
}
