#include "lbd/upstream/shared.h"

#include <assert.h>
#include <string.h>

#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "lbd/tls/tls_conn.h"

/* In line for one connection that is opened: the next one opens another. */
#define WAITING_MAX SHARED_STREAMS_MAX

/* What a server chose by ALPN last. */
enum { SPEAKS_UNKNOWN, SPEAKS_HTTP1, SPEAKS_HTTP2 };

struct shared {
    struct list_node link; /* server_worker.shared */
    struct upstream_worker *upstream;
    struct upstream_conn *conn; /* also while it is opened */
    struct h2_conn *h2;         /* NULL: it is opened */
    struct upstream_conn_waiter opening;
    struct list_node waiters; /* struct upstream_waiter.link */
    uint32_t waiting;
    uint32_t response_ms;
    uint32_t server_id;
    bool is_settled; /* SETTINGS have come */
    bool is_ending;  /* the line is being told */
    uint64_t client_id;
    struct addr_small source; /* of the client whose PROXY header it begins with */
    struct addr_small destination;
    size_t (*write_tlvs)(const void *arg, unsigned words, char out[PROXY_TLVS_OUT_MAX]);
    const void *client; /* its argument: there while a waiter of this client is */
};

static_assert(sizeof(struct shared) <= SHARED_BYTES, "the slab's size");

static const struct http_owner owner;

static struct shared *shared_of(struct conn *conn)
{
    return upstream_conn_of(conn)->shared;
}

static struct server_worker *server_of(const struct shared *self)
{
    return upstream_server(self->upstream, self->server_id);
}

static struct shared *new_shared(struct upstream_worker *upstream, uint32_t server_id,
                                 uint32_t response_ms)
{
    struct shared *self = slab_take(&upstream->shared);
    if (self == NULL) {
        return NULL;
    }
    memset(self, 0, sizeof(*self));
    self->upstream = upstream;
    self->server_id = server_id;
    self->response_ms = response_ms;
    list_init(&self->waiters);
    struct server_worker *server = server_of(self);
    if (list_is_empty(&server->shared)) {
        list_push_back(&upstream->with_shared, &server->with_shared);
    }
    list_push_front(&server->shared, &self->link);
    return self;
}

/* Nobody finds it any more. */
static void take_out(struct shared *self)
{
    struct server_worker *server = server_of(self);
    self->is_ending = true;
    self->upstream->bound_shared -= self->client_id != 0 ? 1 : 0;
    list_remove(&self->link);
    if (list_is_empty(&server->shared)) {
        list_remove(&server->with_shared);
    }
}

static void free_shared(struct shared *self)
{
    assert(list_is_empty(&self->waiters) && self->is_ending);
    slab_give(&self->upstream->shared, self);
}

/* -- those in line -- */

static void line_up(struct shared *self, struct upstream_waiter *waiter,
                    const struct upstream_ask *ask)
{
    waiter->shared = self;
    waiter->pool = ask->pool;
    waiter->member = ask->member;
    waiter->opening.conn = NULL;
    waiter->opening.started_us = loop_now_us(self->upstream->loop);
    list_push_back(&self->waiters, &waiter->link);
    self->waiting++;
}

static struct upstream_waiter *next_in_line(struct shared *self)
{
    struct list_node *node = list_pop_front(&self->waiters);
    if (node == NULL) {
        return NULL;
    }
    struct upstream_waiter *waiter = list_entry(node, struct upstream_waiter, link);
    waiter->shared = NULL;
    self->waiting--;
    return waiter;
}

/* In another line, or for a connection of his own. */
static void ask_again(struct shared *self, struct upstream_waiter *waiter)
{
    struct upstream_client client = {
        .id = self->client_id,
        .source = &self->source,
        .destination = &self->destination,
        .write_tlvs = self->write_tlvs,
        .arg = self->client,
    };
    struct upstream_ask ask = {
        .pool = waiter->pool, .member = waiter->member, .client = client.id != 0 ? &client : NULL};
    struct stream *stream = NULL;
    bool reused = false;
    enum close_reason reason = CLOSE_OK;
    uint64_t started_us = waiter->opening.started_us;
    enum upstream_open verdict =
        upstream_stream_open(self->upstream, &ask, waiter, &stream, &reused, &reason);
    waiter->opening.started_us = started_us;
    if (verdict != UPSTREAM_PENDING) {
        waiter->fn(waiter, verdict == UPSTREAM_READY ? stream : NULL, reason);
    }
}

static void tell_all(struct shared *self, enum close_reason reason)
{
    struct upstream_waiter *waiter = NULL;
    if (close_reason_status(reason) == 0) {
        reason = CLOSE_SERVER_RESET; /* a peaceful end, but not for those who wait */
    }
    while ((waiter = next_in_line(self)) != NULL) {
        waiter->fn(waiter, NULL, reason);
    }
}

/* -- a connection -- */

static void begin_use(struct shared *self)
{
    struct upstream_conn *conn = self->conn;
    if (conn->is_idle) {
        struct counters_pool *counters = counters_of_pool(self->upstream->counters, conn->pool_id);
        conn->is_idle = false;
        counter_add(&counters->idle_removed, 1);
    }
}

static struct stream *open_stream(struct shared *self)
{
    struct stream *stream = h2_conn_open(self->h2);
    if (stream != NULL) {
        begin_use(self);
    }
    return stream;
}

static void give(struct shared *self, struct upstream_waiter *waiter)
{
    struct stream *stream = open_stream(self);
    waiter->fn(waiter, stream, stream != NULL ? CLOSE_OK : CLOSE_OUT_OF_MEMORY);
}

/* It takes nothing new, and ends by itself. */
static void drain(struct shared *self)
{
    struct http_conn *http = self->conn->conn.user;
    http->ops->drain(http);
}

static void on_idle(struct conn *conn)
{
    struct shared *self = shared_of(conn);
    struct upstream_conn *server_conn = self->conn;
    bool is_out = !server_is_ready(server_conn->server);
    bool is_old = server_conn->old_us != 0 && loop_now_us(conn->loop) >= server_conn->old_us;
    if (!server_conn->is_idle) {
        server_conn->is_idle = true;
        counter_add(&counters_of_pool(self->upstream->counters, server_conn->pool_id)->idle_added,
                    1);
    }
    if (is_out || is_old || h2_conn_room(self->h2) == 0) { /* the server lets nobody in */
        drain(self);
    }
    conn_deadline(conn, server_conn->idle_ms);
}

static void on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    struct shared *self = shared_of(conn);
    struct upstream_conn *server_conn = self->conn;
    begin_use(self);
    take_out(self);
    server_conn->shared = NULL;
    if (tls_conn_was_refused(conn)) {
        reason = CLOSE_SERVER_TLS_FAILED;
        server_note_trouble(server_conn->server, reason, tls_conn_why(conn));
    }
    if (!self->is_settled && reason == CLOSE_SERVER_PROTOCOL_ERROR) {
        server_note_trouble(server_conn->server, reason,
                            "it does not speak HTTP/2 here, and http_version is 2");
    }
    if (linger) {
        upstream_conn_linger(self->upstream, server_conn);
    } else {
        upstream_conn_end(self->upstream, server_conn);
    }
    tell_all(self, reason);
    free_shared(self);
}

/* The server says how many there may be. */
static void on_settings(struct conn *conn)
{
    struct shared *self = shared_of(conn);
    struct upstream_waiter *waiter = NULL;
    self->is_settled = true;
    while (self->waiting > 0 && h2_conn_room(self->h2) > 0) {
        give(self, next_in_line(self));
    }
    while ((waiter = next_in_line(self)) != NULL) {
        ask_again(self, waiter);
    }
}

static const struct http_owner owner = {
    .on_idle = on_idle, .on_close = on_close, .on_settings = on_settings};

/* False: no memory; the connection is closed. */
static bool begin(struct shared *self, struct upstream_conn *conn)
{
    static const struct h2_limits limits = {
        .head_bytes = 65536, .fields = H1_FIELDS_MAX, .max_streams = SHARED_STREAMS_MAX};
    const struct h2_timeouts timeouts = {
        .head_ms = self->response_ms, .body_ms = conn->idle_ms, .write_ms = conn->idle_ms};
    self->conn = conn;
    conn->shared = self;
    self->h2 = h2_conn_new(&conn->conn, H2_SERVER_FACING, &owner, &limits, &timeouts);
    if (self->h2 == NULL) {
        conn->shared = NULL;
        upstream_conn_end(self->upstream, conn);
        return false;
    }
    server_of(self)->speaks = SPEAKS_HTTP2;
    if ((conn->conn.flags & CONN_READ_READY) != 0) {
        conn_again(&conn->conn);
    }
    return true;
}

/* It speaks HTTP/1: the first in line has it, the others get theirs. */
static void fall_back(struct shared *self, struct upstream_conn *conn)
{
    struct upstream_waiter *waiter = next_in_line(self);
    server_of(self)->speaks = SPEAKS_HTTP1;
    conn->shared = NULL;
    struct stream *stream = upstream_stream_begin(self->upstream, conn, self->response_ms);
    waiter->fn(waiter, stream, stream != NULL ? CLOSE_OK : CLOSE_OUT_OF_MEMORY);
    while ((waiter = next_in_line(self)) != NULL) {
        ask_again(self, waiter);
    }
}

static void on_opened(struct upstream_conn_waiter *opening, struct upstream_conn *conn,
                      enum close_reason reason)
{
    struct shared *self = container_of(opening, struct shared, opening);
    if (conn != NULL && conn->is_http2) {
        if (begin(self, conn)) {
            give(self, next_in_line(self)); /* the others when SETTINGS have come */
            return;
        }
        conn = NULL;
        reason = CLOSE_OUT_OF_MEMORY;
    }
    take_out(self);
    if (conn != NULL) {
        fall_back(self, conn);
    } else {
        tell_all(self, reason);
    }
    free_shared(self);
}

static enum upstream_open open_another(struct upstream_worker *upstream,
                                       const struct upstream_ask *ask,
                                       struct upstream_waiter *waiter, struct stream **stream,
                                       enum close_reason *reason)
{
    const struct pool *pool = ask->pool;
    struct upstream_conn *conn = NULL;
    struct shared *self =
        new_shared(upstream, pool->members[ask->member].server->id, pool->response_ms);
    *reason = CLOSE_OUT_OF_MEMORY;
    if (self == NULL) {
        return UPSTREAM_FAILED;
    }
    if (ask->client != NULL) {
        self->client_id = ask->client->id;
        self->source = *ask->client->source;
        self->destination = *ask->client->destination;
        self->write_tlvs = ask->client->write_tlvs;
        self->client = ask->client->arg;
        upstream->bound_shared++;
    }
    self->opening.fn = on_opened;
    enum upstream_open verdict =
        upstream_conn_open(upstream, pool, ask->member, ask->client, &self->opening, &conn, reason);
    if (verdict == UPSTREAM_PENDING) {
        self->conn = self->opening.conn;
        self->conn->shared = self;
        line_up(self, waiter, ask);
        return UPSTREAM_PENDING;
    }
    if (verdict == UPSTREAM_READY) { /* at once: in clear, so HTTP/2 was known before */
        *reason = CLOSE_OUT_OF_MEMORY;
        if (begin(self, conn)) {
            *stream = open_stream(self);
            return *stream != NULL ? UPSTREAM_READY : UPSTREAM_FAILED;
        }
    }
    take_out(self);
    free_shared(self);
    return UPSTREAM_FAILED;
}

bool shared_is_for(struct upstream_worker *upstream, const struct pool *pool, uint32_t member)
{
    switch (pool->http) {
    case POOL_HTTP1:
        return false;
    case POOL_HTTP2:
        return true;
    case POOL_HTTP_BY_ALPN:
        break;
    }
    return upstream_server(upstream, pool->members[member].server->id)->speaks != SPEAKS_HTTP1;
}

enum upstream_open shared_open(struct upstream_worker *upstream, const struct upstream_ask *ask,
                               struct upstream_waiter *waiter, struct stream **stream, bool *reused,
                               enum close_reason *reason)
{
    const struct pool_member *member = &ask->pool->members[ask->member];
    struct server_worker *server = upstream_server(upstream, member->server->id);
    uint64_t client_id = ask->client != NULL ? ask->client->id : 0;
    uint64_t now = loop_now_us(upstream->loop);
    struct list_node *node;
    *reused = false;
    list_for_each (node, &server->shared) {
        struct shared *self = list_entry(node, struct shared, link);
        if (!upstream_conn_fits(self->conn, member, client_id, now)) {
            if (self->h2 != NULL && self->client_id == client_id) {
                drain(self); /* it will fit nobody any more */
            }
        } else if (!self->is_settled) {
            if (self->waiting < WAITING_MAX) {
                line_up(self, waiter, ask);
                return UPSTREAM_PENDING;
            }
        } else if (ask->fresh) {
            if (self->conn->is_idle) {
                drain(self); /* a fresh one takes its place: they must not pile up */
            }
        } else if (h2_conn_room(self->h2) > 0) {
            counter_add(&counters_of_pool(upstream->counters, ask->pool->id)->reuses, 1);
            *stream = open_stream(self);
            *reused = true;
            *reason = CLOSE_OUT_OF_MEMORY;
            return *stream != NULL ? UPSTREAM_READY : UPSTREAM_FAILED;
        }
    }
    return open_another(upstream, ask, waiter, stream, reason);
}

void shared_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter)
{
    struct shared *self = waiter->shared;
    if (self == NULL) {
        return;
    }
    list_remove(&waiter->link);
    waiter->shared = NULL;
    self->waiting--;
    if (self->h2 == NULL && self->waiting == 0 && !self->is_ending) {
        self->conn->shared = NULL;
        upstream_conn_cancel(upstream, &self->opening);
        take_out(self);
        free_shared(self);
    }
}

struct stream *shared_adopt(struct upstream_worker *upstream, struct upstream_conn *conn,
                            uint32_t response_ms)
{
    struct shared *self = new_shared(upstream, conn->server->id, response_ms);
    if (self == NULL) {
        upstream_conn_end(upstream, conn);
        return NULL;
    }
    self->client_id = conn->client_id;
    upstream->bound_shared += self->client_id != 0 ? 1 : 0;
    if (begin(self, conn)) {
        return open_stream(self);
    }
    take_out(self);
    free_shared(self);
    return NULL;
}

/* -- ends -- */

/* Drains those that are of no use: of such a client, or of a server that gets nothing new. */
static void drain_some(struct upstream_worker *upstream, uint64_t client_id)
{
    struct list_node *node;
    struct list_node *inner;
    list_for_each (node, &upstream->with_shared) {
        struct server_worker *server = list_entry(node, struct server_worker, with_shared);
        list_for_each (inner, &server->shared) {
            struct shared *self = list_entry(inner, struct shared, link);
            bool is_out = !server_is_ready(self->conn->server);
            if (self->h2 != NULL && (client_id != 0 ? self->client_id == client_id : is_out)) {
                drain(self);
            }
        }
    }
}

void shared_sweep(struct upstream_worker *upstream)
{
    drain_some(upstream, 0);
}

uint32_t shared_drain_idle(struct upstream_worker *upstream)
{
    uint32_t count = 0;
    struct list_node *node;
    struct list_node *inner;
    list_for_each (node, &upstream->with_shared) {
        struct server_worker *server = list_entry(node, struct server_worker, with_shared);
        list_for_each (inner, &server->shared) {
            struct shared *self = list_entry(inner, struct shared, link);
            if (self->h2 != NULL && self->waiting == 0 && h2_conn_streams(self->h2) == 0 &&
                h2_conn_room(self->h2) > 0) {
                drain(self);
                count++;
            }
        }
    }
    return count;
}

void shared_forget_client(struct upstream_worker *upstream, uint64_t client_id)
{
    if (upstream->bound_shared > 0) {
        drain_some(upstream, client_id);
    }
}

void shared_end_all(struct upstream_worker *upstream)
{
    struct list_node *node;
    while ((node = list_first(&upstream->with_shared)) != NULL) {
        struct server_worker *server = list_entry(node, struct server_worker, with_shared);
        struct shared *self = list_entry(list_first(&server->shared), struct shared, link);
        assert(self->h2 != NULL); /* who waited for one that is opened has cancelled */
        struct http_conn *http = self->conn->conn.user;
        http->ops->leave(http, CLOSE_SHUTDOWN);
    }
}
