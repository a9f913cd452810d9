/* upstream_stream - see upstream_stream.h. */
#include "lbd/upstream/upstream_stream.h"

#include "lbd/http/h1_conn.h"
#include "lbd/net/dial.h"
#include "lbd/upstream/idle.h"
#include "lbd/upstream/upstream_conn.h"

static const struct h1_limits response_limits = {.head_bytes = 65536, .fields = H1_FIELDS_MAX};

static struct upstream_worker *worker_of(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_UPSTREAM);
}

static void h1_on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    (void)reason;
    (void)linger;
    upstream_conn_end(worker_of(conn), upstream_conn_of(conn));
}

static const struct h1_owner owner = {.on_close = h1_on_close};

/* NULL: no memory; the connection is then closed. */
static struct stream *start_stream(struct upstream_worker *upstream, struct upstream_conn *self,
                                   uint32_t response_ms)
{
    struct h1_timeouts timeouts = {
        .head_ms = response_ms, .body_ms = self->idle_ms, .write_ms = self->idle_ms};
    struct h1_conn *h1 =
        h1_conn_new(&self->conn, H1_SERVER_FACING, &owner, &response_limits, &timeouts);
    if (h1 == NULL) {
        upstream_conn_end(upstream, self);
        return NULL;
    }
    h1->has_stream = true;
    return &h1->stream;
}

static void dial_failed(struct upstream_worker *upstream, struct upstream_conn *self,
                        enum close_reason reason)
{
    struct upstream_waiter *waiter = self->waiter;
    self->waiter = NULL;
    waiter->conn = NULL;
    if (reason != CLOSE_OVERLOAD) { /* that one is ours, not the server's */
        server_note_connect(self->server, false);
    }
    upstream_conn_end(upstream, self);
    waiter->fn(waiter, NULL, reason);
}

static void dial_on_writable(struct conn *conn)
{
    struct upstream_worker *upstream = worker_of(conn);
    struct upstream_conn *self = upstream_conn_of(conn);
    struct upstream_waiter *waiter = self->waiter;
    enum close_reason reason;
    if (!dial_finish(conn->fd, &reason)) {
        dial_failed(upstream, self, reason);
        return;
    }
    self->waiter = NULL;
    waiter->conn = NULL;
    server_note_connect(self->server, true);
    histogram_note_us(&counters_of_pool(upstream->counters, self->pool_id)->connect_duration,
                      loop_now_us(upstream->loop) - waiter->started_us);
    struct stream *stream = start_stream(upstream, self, waiter->response_ms);
    waiter->fn(waiter, stream, stream != NULL ? CLOSE_OK : CLOSE_OUT_OF_MEMORY);
}

static void dial_on_readable(struct conn *conn)
{
    /* An error comes with both bits; on_room saw it first. Bytes from a server that speaks first
     * stay unread. */
    if ((conn->flags & CONN_WRITE_READY) == 0) {
        dial_on_writable(conn);
    }
}

static void dial_on_timeout(struct conn *conn)
{
    dial_failed(worker_of(conn), upstream_conn_of(conn), CLOSE_CONNECT_TIMEOUT);
}

static const struct conn_ops dial_ops = {
    .on_readable = dial_on_readable,
    .on_room = dial_on_writable,
    .on_timeout = dial_on_timeout,
};

static enum upstream_open dial(struct upstream_worker *upstream, const struct pool *pool,
                               uint32_t member, struct upstream_waiter *waiter,
                               struct stream **stream, enum close_reason *reason)
{
    const struct pool_member *target = &pool->members[member];
    counter_add(&counters_of_pool(upstream->counters, pool->id)->connects, 1);
    counter_add(&counters_of_server(upstream->counters, target->server->id)->connects, 1);
    int fd;
    enum dial_verdict verdict = dial_start(&target->address, &fd, reason);
    if (verdict == DIAL_FAILED) {
        if (*reason != CLOSE_OVERLOAD) {
            server_note_connect(target->server, false);
        }
        return UPSTREAM_FAILED;
    }
    struct upstream_conn *self = upstream_conn_new(upstream, pool, member, fd, &dial_ops);
    if (self == NULL) {
        *reason = CLOSE_OUT_OF_MEMORY;
        return UPSTREAM_FAILED;
    }
    if (verdict == DIAL_PENDING) {
        self->conn.flags &= ~(uint32_t)CONN_WRITE_READY;
    }
    if (!conn_watch(&self->conn)) {
        upstream_conn_end(upstream, self);
        *reason = CLOSE_OUT_OF_MEMORY;
        return UPSTREAM_FAILED;
    }
    if (verdict == DIAL_CONNECTED) {
        server_note_connect(self->server, true);
        *stream = start_stream(upstream, self, pool->response_ms);
        *reason = CLOSE_OUT_OF_MEMORY;
        return *stream != NULL ? UPSTREAM_READY : UPSTREAM_FAILED;
    }
    self->waiter = waiter;
    waiter->conn = self;
    waiter->response_ms = pool->response_ms;
    waiter->started_us = loop_now_us(upstream->loop);
    conn_deadline(&self->conn, pool->connect_ms);
    return UPSTREAM_PENDING;
}

enum upstream_open upstream_stream_open(struct upstream_worker *upstream, const struct pool *pool,
                                        uint32_t member, bool fresh, struct upstream_waiter *waiter,
                                        struct stream **stream, bool *reused,
                                        enum close_reason *reason)
{
    const struct pool_member *target = &pool->members[member];
    *reused = false;
    struct upstream_conn *self =
        fresh ? NULL : idle_take(upstream, target->server, target->address_version);
    if (self == NULL) {
        return dial(upstream, pool, member, waiter, stream, reason);
    }
    *reused = true;
    self->idle_ms = pool->idle_ms;
    counter_add(&counters_of_pool(upstream->counters, pool->id)->reuses, 1);
    *stream = start_stream(upstream, self, pool->response_ms);
    *reason = CLOSE_OUT_OF_MEMORY;
    return *stream != NULL ? UPSTREAM_READY : UPSTREAM_FAILED;
}

void upstream_stream_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter)
{
    struct upstream_conn *self = waiter->conn;
    if (self != NULL) {
        waiter->conn = NULL;
        self->waiter = NULL;
        upstream_conn_end(upstream, self);
    }
}

void upstream_stream_release(struct upstream_worker *upstream, struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    struct upstream_conn *self = upstream_conn_of(h1->conn);
    if (h1_conn_release(h1)) {
        idle_give(upstream, self);
    } else {
        upstream_conn_end(upstream, self);
    }
}
