/* upstream_stream - see upstream_stream.h. */
#include "lbd/upstream/upstream_stream.h"

#include "lbd/http/h1_conn.h"
#include "lbd/tls/tls_conn.h"
#include "lbd/upstream/idle.h"
#include "lbd/upstream/shared.h"

static const struct h1_limits response_limits = {.head_bytes = 65536, .fields = H1_FIELDS_MAX};

static struct upstream_worker *worker_of(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_UPSTREAM);
}

/* A server that did not like our certificate says so when the handshake is over for us (TLS 1.3).
 */
static void tell_refusal(struct conn *conn, enum close_reason reason)
{
    if (reason == CLOSE_SERVER_TLS_FAILED && tls_conn_was_refused(conn)) {
        server_note_trouble(upstream_conn_of(conn)->server, reason, tls_conn_why(conn));
    }
}

/* It may speak something else: whoever is to mend that must be told. */
static void tell_other_protocol(struct conn *conn, enum close_reason reason)
{
    const struct upstream_conn *self = upstream_conn_of(conn);
    if (LB_UNLIKELY(reason == CLOSE_BAD_RESPONSE || reason == CLOSE_SERVER_SPEAKS_TLS ||
                    (reason == CLOSE_SERVER_RESET && !self->has_served))) {
        server_note_trouble(self->server, reason, close_reason_sentence(reason));
    }
}

static void on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    (void)linger;
    tell_refusal(conn, reason);
    tell_other_protocol(conn, reason);
    upstream_conn_end(worker_of(conn), upstream_conn_of(conn));
}

static void on_idle(struct conn *conn)
{
    upstream_conn_of(conn)->has_served = true;
    idle_give(worker_of(conn), upstream_conn_of(conn));
}

static const struct http_owner owner = {.on_idle = on_idle, .on_close = on_close};

struct stream *upstream_stream_begin(struct upstream_worker *upstream, struct upstream_conn *self,
                                     uint32_t response_ms)
{
    if (self->is_http2) {
        return shared_adopt(upstream, self, response_ms);
    }
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

static void on_opened(struct upstream_conn_waiter *opening, struct upstream_conn *conn,
                      enum close_reason reason)
{
    struct upstream_waiter *waiter = container_of(opening, struct upstream_waiter, opening);
    struct stream *stream = NULL;
    if (conn != NULL) {
        stream = upstream_stream_begin(worker_of(&conn->conn), conn, waiter->response_ms);
        reason = stream != NULL ? CLOSE_OK : CLOSE_OUT_OF_MEMORY;
    }
    waiter->fn(waiter, stream, reason);
}

enum upstream_open upstream_stream_open(struct upstream_worker *upstream,
                                        const struct upstream_ask *ask,
                                        struct upstream_waiter *waiter, struct stream **stream,
                                        bool *reused, enum close_reason *reason)
{
    const struct pool *pool = ask->pool;
    const struct pool_member *target = &pool->members[ask->member];
    uint64_t client_id =
        ask->client != NULL && pool->send_proxy != PROXY_HEADER_NONE ? ask->client->id : 0;
    waiter->shared = NULL;
    waiter->opening.wants_http1 = ask->http1;
    bool is_alone = ask->http1 && pool->http == POOL_HTTP_BY_ALPN;
    if (!is_alone && shared_is_for(upstream, pool, ask->member)) {
        waiter->opening.conn = NULL;
        return shared_open(upstream, ask, waiter, stream, reused, reason);
    }
    struct upstream_conn *self = ask->fresh ? NULL : idle_take(upstream, target, client_id);
    *reused = self != NULL;
    if (*reused) {
        self->idle_ms = pool->idle_ms;
        counter_add(&counters_of_pool(upstream->counters, pool->id)->reuses, 1);
    } else {
        waiter->opening.fn = on_opened;
        waiter->response_ms = pool->response_ms;
        enum upstream_open verdict = upstream_conn_open(upstream, pool, ask->member, ask->client,
                                                        &waiter->opening, &self, reason);
        if (verdict != UPSTREAM_READY) {
            return verdict;
        }
    }
    *stream = upstream_stream_begin(upstream, self, pool->response_ms);
    *reason = CLOSE_OUT_OF_MEMORY;
    return *stream != NULL ? UPSTREAM_READY : UPSTREAM_FAILED;
}

void upstream_stream_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter)
{
    shared_cancel(upstream, waiter);
    upstream_conn_cancel(upstream, &waiter->opening);
}

void upstream_stream_forget_client(struct upstream_worker *upstream, uint64_t client_id)
{
    idle_forget_client(upstream, client_id);
    shared_forget_client(upstream, client_id);
}
