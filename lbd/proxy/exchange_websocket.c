/*
 * exchange_websocket - WebSocket over HTTP/2 to a server over HTTP/1.1.
 *
 *     CONNECT :protocol=websocket --ask--> GET, Upgrade --101, check, start--> 200, bytes both ways
 *
 * Once the tunnel stands, only what it needs is kept: the head is given back, the server's
 * connection is taken from its stream and read here, and the exchange moves into an object of
 * EXCHANGE_TUNNEL_BYTES.
 *
 *     down (a stream) --pull--> conn_write, until it waits; on_room: resume
 *     send_body, until it waits; on_down_room <--conn_read-- the server's connection
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/base/random.h"
#include "lbd/proxy/exchange.h"
#include "lbd/stats/access_kept.h"

#define READS_PER_TURN 4

static_assert(EXCHANGE_TUNNEL_BYTES <= 272, "an idle tunnel costs at most 1 KB with both its ends");

static const struct conn_ops server_ops;

/* -- the handshake -- */

void exchange_websocket_ask(struct exchange *x)
{
    struct message *request = &x->head->request;
    struct random *random = &x->proxy->upstream->random;
    char *key = arena_alloc(&x->head->arena, WEBSOCKET_KEY_BYTES + 1);
    x->is_connect = true;
    websocket_key_write(random_u64(random), random_u64(random), key);
    websocket_key_accept(slice_of(key, WEBSOCKET_KEY_BYTES), x->accept);
    message_drop_name(request, SLICE("sec-websocket-key")); /* RFC 8441 5: means nothing there */
    message_add(request, SLICE("Sec-WebSocket-Key"), slice_of(key, WEBSOCKET_KEY_BYTES));
    request->method = METHOD_GET;
    request->method_text = SLICE("GET");
}

enum close_reason exchange_websocket_check(const struct exchange *x, struct message *answer)
{
    static const struct slice name = SLICE_INIT("sec-websocket-accept");
    const struct header *accept = headers_find_name(&answer->headers, name);
    if (answer->status >= 200) {
        /* a client would take any 2xx for an open WebSocket */
        return answer->status < 300 ? CLOSE_NOT_SWITCHED : CLOSE_OK;
    }
    if (accept == NULL ||
        !slice_eq(header_value(&answer->headers, accept), slice_from(x->accept))) {
        return CLOSE_BAD_ACCEPT;
    }
    message_drop_name(answer, name);
    return CLOSE_OK;
}

/* -- the tunnel -- */

static struct exchange *exchange_on(const struct conn *conn)
{
    return conn->user;
}

static void count_moved(const struct exchange *x, uint64_t up_bytes, uint64_t down_bytes)
{
    struct counters_pool *pool = counters_of_pool(x->proxy->counters, x->pool->id);
    struct counters_server *server = counters_of_server(x->proxy->counters, x->server->id);
    counter_add(&pool->sent_bytes, up_bytes);
    counter_add(&pool->received_bytes, down_bytes);
    counter_add(&server->sent_bytes, up_bytes);
    counter_add(&server->received_bytes, down_bytes);
}

/* Bytes from the server; `is_last`: it will send no more. False: the exchange is over, or will be
 * by itself. */
static bool pass_down(struct exchange *x, struct slice bytes, bool is_last)
{
    struct stream *down = x->down;
    x->response_bytes += bytes.len;
    count_moved(x, 0, bytes.len);
    websocket_frames_follow(&x->call.frames, bytes);
    if (!down->ops->send_body(down, bytes, is_last)) {
        exchange_client_lost(x);
        return false;
    }
    if (is_last) { /* over now, or when the client has taken it all */
        return false;
    }
    x->call.server_paused = down->ops->is_blocked(down);
    return true;
}

static void on_server_readable(struct conn *conn)
{
    struct exchange *x = exchange_on(conn);
    struct net_worker *net = conn_net(conn);
    for (int i = 0; !x->call.server_paused; i++) {
        if (i == READS_PER_TURN) {
            conn_again(conn);
            return;
        }
        size_t got = flow_take(net, &conn->in, net->scratch); /* came behind the 101 */
        if (got == 0) {
            if ((conn->flags & CONN_READ_READY) == 0) {
                return;
            }
            switch (conn_read(conn, net->scratch, FLOW_SCRATCH_BYTES, &got)) {
            case CONN_READ_BYTES:
                break;
            case CONN_READ_NOTHING:
                return;
            case CONN_READ_END:
                x->call.server_paused = true; /* and stays so */
                (void)pass_down(x, SLICE_NONE, true);
                return;
            case CONN_READ_FAILED:
                exchange_server_failed(x, CLOSE_SERVER_TRUNCATED);
                return;
            }
        }
        conn_look_again(conn);
        if (!pass_down(x, slice_of(net->scratch, got), false)) {
            return;
        }
    }
}

static void on_server_room(struct conn *conn)
{
    struct stream *down = exchange_on(conn)->down;
    if (down->paused) {
        down->ops->resume(down);
    }
}

static void on_server_timeout(struct conn *conn)
{
    (void)conn; /* the call's timer sees to it */
}

static const struct conn_ops server_ops = {
    .on_readable = on_server_readable,
    .on_room = on_server_room,
    .on_timeout = on_server_timeout,
};

void exchange_websocket_room(struct exchange *x)
{
    if (x->call.server_paused && x->call.server_conn != NULL) {
        x->call.server_paused = false;
        conn_again(&x->call.server_conn->conn);
    }
}

void exchange_websocket_up(struct exchange *x)
{
    struct stream *down = x->down;
    struct stream_piece piece;
    enum stream_pull pulled = down->ops->pull(down, &piece);
    if (pulled == STREAM_BAD) {
        exchange_fail(x, piece.reason);
        return;
    }
    if (x->call.server_conn == NULL || x->request_broken) {
        return; /* what it still says goes nowhere */
    }
    struct conn *server = &x->call.server_conn->conn;
    struct iovec bytes = {.iov_base = (char *)(uintptr_t)piece.bytes.ptr,
                          .iov_len = piece.bytes.len};
    x->request_bytes += piece.bytes.len;
    count_moved(x, piece.bytes.len, 0);
    if (piece.bytes.len > 0 && !conn_write(server, &bytes, 1)) {
        x->request_broken = true; /* what it said before may still be read */
        down->paused = true;
        conn_look_again(server);
        conn_again(server);
        return;
    }
    if (pulled == STREAM_LAST) {
        x->request_done = true;
        conn_shut(server); /* the half that is the client's */
    } else if (conn_is_blocked(server)) {
        down->paused = true;
    }
}

void exchange_websocket_end(struct exchange *x)
{
    struct upstream_conn *server = x->call.server_conn;
    if (server != NULL) {
        x->call.server_conn = NULL;
        upstream_conn_end(x->proxy->upstream, server);
    }
}

/* The server's connection leaves its stream. False: it cannot. */
static bool take_server(struct exchange *x)
{
    struct stream *up = x->up;
    x->up = NULL;
    exchange_count_server(x, up);
    struct conn *server = up->ops->give(up);
    if (server == NULL) {
        up->ops->reset(up, CLOSE_OUT_OF_MEMORY);
        return false;
    }
    conn_no_deadline(server);
    server->ops = &server_ops;
    x->call.server_conn = upstream_conn_of(server);
    return true;
}

/* Goes on in a smaller object, if there is memory for one. */
static struct exchange *shrink(struct exchange *x)
{
    struct proxy_worker *proxy = x->proxy;
    struct exchange *small = slab_take(&proxy->exchange_tunnels);
    if (small == NULL) {
        return x;
    }
    loop_timer_stop(&x->call.timer);
    memcpy(small, x, EXCHANGE_TUNNEL_BYTES);
    list_insert_after(&x->link, &small->link);
    list_remove(&x->link);
    slab_give(&proxy->exchanges, x);
    small->is_small = true;
    small->down->owner = small;
    exchange_call_watch(small);
    return small;
}

void exchange_websocket_start(struct exchange *x, struct stream_head *head, struct slice bytes)
{
    struct stream *down = x->down;
    struct message answer = *head->message;
    answer.status = 200; /* RFC 8441 5 */
    head->message = &answer;
    head->upgrade = false;
    x->status = 200;
    x->call.kept = exchange_keep_record(x);
    x->response_bytes = bytes.len;
    x->is_tunnel = true;
    x->with_trailers = false;
    x->request_done = false; /* its bytes come now */
    x->proxy->tunnel_count++;
    down->idle_ms = UINT32_MAX;
    websocket_frames_init(&x->call.frames);
    websocket_frames_follow(&x->call.frames, bytes);
    if (!down->ops->send_head(down, head, bytes, false)) {
        exchange_client_lost(x);
        return;
    }
    if (!take_server(x)) {
        exchange_fail(x, CLOSE_OUT_OF_MEMORY);
        return;
    }
    x->call.hold = filter_run_hold(x->head->filters);
    exchange_free_head(x);
    x = shrink(x);
    struct conn *server = &x->call.server_conn->conn;
    server->user = x;
    x->call.server_paused = down->ops->is_blocked(down);
    conn_again(server); /* what came behind the 101 */
    down->ops->resume(down);
}

/* -- the end -- */

bool exchange_websocket_leave(struct exchange *x, enum close_reason reason)
{
    struct stream *down = x->down;
    if (x->call.server_conn == NULL || !websocket_frames_between(&x->call.frames)) {
        return false;
    }
    exchange_reset_server(x, reason);
    x->reason = (uint8_t)reason;
    x->response_bytes += WEBSOCKET_GOING_AWAY.len;
    counter_add(&x->session->front->counters->websockets_told, 1);
    if (!down->ops->send_body(down, WEBSOCKET_GOING_AWAY, true)) { /* else it may be over */
        exchange_client_lost(x);
    }
    return true;
}
