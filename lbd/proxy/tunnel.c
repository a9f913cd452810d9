/* tunnel - see tunnel.h. */
#include "lbd/proxy/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/exchange.h"
#include "lbd/stats/access_record.h"
#include "lbd/upstream/upstream_conn.h"

/* The record of the request that began it, with its texts behind. */
struct tunnel_log {
    struct access_record record;
    uint64_t start_us;
    char text[];
};

static void keep(struct slice *field, char **at)
{
    if (field->len > 0) {
        memcpy(*at, field->ptr, field->len);
        field->ptr = *at;
        *at += field->len;
    }
}

static struct tunnel_log *copy_log(const struct exchange *x)
{
    struct access_record record;
    exchange_fill_record(x, &record);
    struct slice *fields[] = {&record.listener, &record.method,   &record.host,
                              &record.path,     &record.protocol, &record.route,
                              &record.pool,     &record.server,   &record.request_id};
    size_t size = sizeof(struct tunnel_log);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        size += fields[i]->len;
    }
    struct tunnel_log *log = mem_alloc(size); /* once per upgrade, and only when there is a log */
    char *at = log->text;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        keep(fields[i], &at);
    }
    log->record = record;
    log->start_us = x->start_us;
    return log;
}

/* `leave`: both ends see our end before their connection goes. */
static void finish(struct tunnel *tunnel, enum close_reason reason, bool leave)
{
    struct proxy_worker *proxy = tunnel->proxy;
    struct session *session = tunnel->session;
    uint64_t up_bytes = relay_moved(&tunnel->relay, 0);
    uint64_t down_bytes = relay_moved(&tunnel->relay, 1);
    struct counters_listener *listener = session->front->counters;
    counter_add(&listener->endings[reason], 1);
    counter_add(&listener->received_bytes, up_bytes);
    counter_add(&listener->sent_bytes, down_bytes);
    struct counters_pool *pool = counters_of_pool(proxy->counters, tunnel->pool_id);
    counter_add(&pool->sent_bytes, up_bytes);
    counter_add(&pool->received_bytes, down_bytes);
    if (tunnel->log != NULL) {
        struct access_record *record = &tunnel->log->record;
        record->reason = reason;
        record->request_bytes += up_bytes;
        record->response_bytes += down_bytes;
        record->duration_us = loop_now_us(proxy->loop) - tunnel->log->start_us;
        (void)access_log_write(proxy->access_log, record);
        free(tunnel->log);
    }
    pool_release(tunnel->server);
    counter_add(&pool->requests_finished, 1);
    proxy->tunnel_count--;
    session->conn.user = NULL;
    session->conn.flags &= ~(uint32_t)SESSION_TUNNEL;
    struct upstream_conn *server_conn = tunnel->server_conn;
    slab_give(&proxy->tunnels, tunnel);
    if (leave) {
        upstream_conn_linger(proxy->upstream, server_conn);
        session_linger(session, reason);
    } else {
        upstream_conn_end(proxy->upstream, server_conn);
        session_end(session, reason);
    }
}

static void end(struct tunnel *tunnel, enum close_reason reason)
{
    finish(tunnel, reason, false);
}

static void on_done(struct relay *relay, enum relay_end how)
{
    struct tunnel *tunnel = container_of(relay, struct tunnel, relay);
    switch (how) {
    case RELAY_DONE:
        end(tunnel, CLOSE_TUNNEL_CLOSED);
        return;
    case RELAY_FROM_LOST:
        end(tunnel, CLOSE_CLIENT_ABORT);
        return;
    case RELAY_TO_LOST:
    case RELAY_TO_SPOKE: /* not asked for */
        end(tunnel, CLOSE_SERVER_TRUNCATED);
        return;
    case RELAY_FROM_IDLE:
    case RELAY_TO_IDLE:
        end(tunnel, CLOSE_TUNNEL_TIMEOUT);
        return;
    }
}

void tunnel_abort(struct session *session, enum close_reason reason)
{
    struct relay *relay = session->conn.user;
    relay_stop(relay);
    end(container_of(relay, struct tunnel, relay), reason);
}

void tunnel_leave(struct session *session, enum close_reason reason)
{
    struct relay *relay = session->conn.user;
    relay_stop(relay);
    finish(container_of(relay, struct tunnel, relay), reason, true);
}

const struct server *tunnel_server(const struct session *session)
{
    struct relay *relay = session->conn.user;
    return container_of(relay, struct tunnel, relay)->server;
}

void tunnel_start(struct exchange *x, const struct stream_head *head, struct slice bytes)
{
    struct proxy_worker *proxy = x->proxy;
    struct tunnel *tunnel = slab_take(&proxy->tunnels);
    struct conn *waiting = &x->session->conn;
    if (tunnel == NULL || (!conn_is_watched(waiting) && !conn_watch(waiting)) ||
        !x->down->ops->send_head(x->down, head, bytes, false)) {
        if (tunnel != NULL) {
            slab_give(&proxy->tunnels, tunnel);
        }
        x->status = 0; /* no 101 went out */
        exchange_fail(x, tunnel == NULL ? CLOSE_OUT_OF_MEMORY : CLOSE_CLIENT_ABORT);
        return;
    }
    x->response_bytes = bytes.len;
    struct session *session = x->session;
    exchange_count_client(x, x->down);
    exchange_count_server(x, x->up);
    struct conn *client = x->down->ops->give(x->down);
    struct conn *server = x->up->ops->give(x->up);
    tunnel->proxy = proxy;
    tunnel->session = session;
    tunnel->server_conn = upstream_conn_of(server);
    tunnel->server = x->server;
    tunnel->pool_id = x->pool->id;
    tunnel->log = proxy->access_log != NULL ? copy_log(x) : NULL;
    uint32_t idle_ms = x->plan->timeouts.tunnel_idle_ms;
    session->conn.flags |= SESSION_TUNNEL;
    proxy->tunnel_count++;
    x->down = NULL;
    x->up = NULL;
    x->server = NULL; /* the tunnel's now */
    exchange_end(x, CLOSE_OK);
    relay_tunnel(&tunnel->relay, client, server, idle_ms, on_done);
}
