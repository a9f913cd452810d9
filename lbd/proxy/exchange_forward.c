/*
 * exchange_forward - the server's side of an exchange: pick, connect, send, receive.
 *
 * Threads: worker.
 */
#include <string.h>
#include <sys/socket.h>

#include "lbd/http/grpc.h"
#include "lbd/http/h1_body.h"
#include "lbd/http/hop.h"
#include "lbd/proxy/balance_key.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/proxy/tunnel.h"

/* A plain body with this much still to come goes by splice: two system calls more pay from about
 * here. */
#define SPLICE_BYTES (32U * 1024)

/* A body of a call, say, that a server of HTTP/2 may refuse with its stream. */
#define KEPT_BODY_MAX 1024U

/* How long the server may be silent inside a body. */
static uint32_t idle_ms(const struct exchange *x)
{
    return x->route->idle_ms != 0 ? x->route->idle_ms : x->pool->idle_ms;
}

static const struct stream_events up_events;

static struct counters_pool *pool_counters(const struct exchange *x)
{
    return counters_of_pool(x->proxy->counters, x->pool->id);
}

static LB_INLINE void release_server(struct exchange *x)
{
    if (x->server != NULL) {
        counter_add(&pool_counters(x)->requests_finished, 1);
        if (LB_UNLIKELY(x->tries > 1)) {
            counter_add(&pool_counters(x)->retries_ended, 1);
        }
        pool_release(x->server); /* who waits is rung for, and asks those counters */
        x->server = NULL;
    }
}

void exchange_count_server(struct exchange *x, const struct stream *stream)
{
    struct counters_pool *pool = pool_counters(x);
    struct counters_server *server =
        counters_of_server(x->proxy->counters, x->pool->members[x->member].server->id);
    counter_add(&pool->received_bytes, stream->received_bytes);
    counter_add(&pool->sent_bytes, stream->sent_bytes);
    counter_add(&server->received_bytes, stream->received_bytes);
    counter_add(&server->sent_bytes, stream->sent_bytes);
}

static LB_INLINE void finish_server(struct exchange *x)
{
    struct stream *up = x->up;
    x->up = NULL;
    exchange_count_server(x, up);
    up->ops->release(up);
    pool_note_whole(x->pool, x->server, x->status);
    release_server(x);
}

void exchange_release_server(struct exchange *x)
{
    release_server(x);
}

void exchange_finish_server(struct exchange *x)
{
    finish_server(x);
}

void exchange_reset_stream(struct exchange *x, enum close_reason reason)
{
    if (x->up != NULL) {
        struct stream *up = x->up;
        x->up = NULL;
        exchange_count_server(x, up);
        up->ops->reset(up, reason);
    }
}

void exchange_reset_server(struct exchange *x, enum close_reason reason)
{
    if (LB_UNLIKELY(x->is_tunnel)) {
        exchange_websocket_end(x);
    } else if (x->server == NULL && !loop_timer_is_set(&x->timer)) {
        return; /* the usual end: the answer is whole, and nobody waits for a place */
    } else {
        loop_timer_stop(&x->timer);
        exchange_queue_leave(x);
        upstream_stream_cancel(x->proxy->upstream, &x->waiter);
    }
    exchange_reset_stream(x, reason);
    release_server(x);
}

/* Half an answer is out, and the client reads how it went behind it. */
static bool may_end_by_trailers(const struct exchange *x)
{
    return x->is_grpc && x->is_open && x->down->version == STREAM_HTTP2;
}

void exchange_fail(struct exchange *x, enum close_reason reason)
{
    exchange_reset_server(x, reason);
    if (!x->head_sent) {
        exchange_reply_reason(x, reason);
        return;
    }
    if (may_end_by_trailers(x) && exchange_reply_trailers(x, reason)) {
        return;
    }
    /* Half an answer is out: only the end of the connection tells that it is not whole. */
    struct stream *down = x->down;
    x->down = NULL;
    exchange_count_client(x, down);
    exchange_end(x, reason); /* first: with its last client the front goes */
    down->ops->reset(down, reason);
}

/* -- pick, connect -- */

/* On to the pool that stands in when this one is down. False: there is none that can, or a server
 * was tried already, and how that went is the answer. */
static bool fall_back(struct exchange *x, enum close_reason reason)
{
    const struct pool *next = x->tries == 0 ? pool_fallback(x->pool, reason) : NULL;
    if (next == NULL || (x->is_upgrade && next->http == POOL_HTTP2)) {
        return false;
    }
    counter_add(&pool_counters(x)->fallbacks, 1);
    x->pool = next;
    x->belongs_to = 0;
    if (LB_UNLIKELY(next->sticky != NULL)) {
        exchange_sticky_find(x);
    }
    return true;
}

/* BALANCER_NONE with *reason. */
static LB_INLINE uint32_t pick_member(struct exchange *x, enum close_reason *reason)
{
    struct upstream_worker *upstream = x->proxy->upstream;
    struct pool_worker *pool = upstream_pool(upstream, x->pool->state_id);
    uint32_t member = BALANCER_NONE;
    if (LB_UNLIKELY(x->pool->sticky != NULL)) {
        switch (exchange_sticky_pick(x, &member)) {
        case EXCHANGE_STICKY_TAKEN:
            return member;
        case EXCHANGE_STICKY_REFUSED:
            *reason = CLOSE_STICKY_UNAVAILABLE;
            return BALANCER_NONE;
        case EXCHANGE_STICKY_ANY:
            break;
        }
    }
    balance_key_set(x->pool, &x->head->request, exchange_client(x), loop_now_us(upstream->loop),
                    &pool->state.balancer);
    return pool_pick(x->pool, &pool->state, &upstream->random, upstream->worker, upstream->workers,
                     x->tried, x->tried_count, reason);
}

uint32_t exchange_pick_member(struct exchange *x, enum close_reason *reason)
{
    return pick_member(x, reason);
}

static LB_INLINE enum exchange_verdict take_member(struct exchange *x, uint32_t member,
                                                   enum close_reason reason)
{
    if (LB_UNLIKELY(member == BALANCER_NONE)) {
        counter_add(&pool_counters(x)->no_server, 1);
        if (fall_back(x, reason)) {
            return exchange_pick(x);
        }
        exchange_fail(x, x->failure != CLOSE_OK ? (enum close_reason)x->failure : reason);
        return EXCHANGE_WAIT;
    }
    if (LB_UNLIKELY(x->tries > 0) && exchange_rests(x, member)) {
        return EXCHANGE_WAIT;
    }
    x->member = member;
    x->server = x->pool->members[member].server;
    x->tries++;
    if (x->tried_count < EXCHANGE_TRIES) {
        x->tried[x->tried_count++] = member;
    }
    counter_add(&pool_counters(x)->requests_started, 1);
    if (LB_UNLIKELY(x->tries > 1)) {
        counter_add(&pool_counters(x)->retries_begun, 1);
    }
    counter_add(&counters_of_server(x->proxy->counters, x->server->id)->requests, 1);
    if (LB_UNLIKELY(x->pool->retry.per_try_ms != 0)) {
        exchange_watch_try(x);
    }
    return EXCHANGE_GO_ON;
}

enum exchange_verdict exchange_pick(struct exchange *x)
{
    struct upstream_worker *upstream = x->proxy->upstream;
    struct queue *queue = x->pool->queue;
    if (x->tries == 0) {
        retry_budget_note(&upstream_pool(upstream, x->pool->id)->budget, &x->pool->retry,
                          x->start_us, upstream->workers);
    }
    if (LB_UNLIKELY(queue != NULL) && queue_len(queue) > 0) {
        return exchange_queue(x); /* nobody takes a place before those who wait for one */
    }
    if (x->tries == 0 &&
        !circuit_admits(&x->pool->circuit, x->proxy->counters, x->pool->id, CIRCUIT_REQUESTS)) {
        exchange_fail(x, CLOSE_POOL_REQUESTS_LIMIT);
        return EXCHANGE_WAIT;
    }
    enum close_reason reason;
    uint32_t member = pick_member(x, &reason);
    if (LB_UNLIKELY(member == BALANCER_NONE) && queue != NULL && reason == CLOSE_SERVER_LIMIT) {
        return exchange_queue(x);
    }
    return take_member(x, member, reason);
}

enum exchange_verdict exchange_take_member(struct exchange *x, uint32_t member,
                                           enum close_reason reason)
{
    return take_member(x, member, reason);
}

static void on_connected(struct upstream_waiter *waiter, struct stream *stream,
                         enum close_reason reason)
{
    struct exchange *x = container_of(waiter, struct exchange, waiter);
    if (stream == NULL) {
        exchange_try_failed(x, reason, RETRY_CONNECT);
        return;
    }
    x->connect_us = loop_now_us(x->proxy->loop) - waiter->opening.started_us;
    x->up = stream;
    exchange_run(x, EXCHANGE_SEND);
}

enum exchange_verdict exchange_connect(struct exchange *x)
{
    enum close_reason reason;
    struct upstream_ask ask = {
        .pool = x->pool, .member = x->member, .fresh = x->fresh, .http1 = x->is_upgrade};
    struct upstream_client client = {.id = x->session->id,
                                     .source = &x->session->conn.peer,
                                     .write_tlvs = session_proxy_write,
                                     .arg = x->session};
    struct addr_small destination;
    if (x->pool->send_proxy != PROXY_HEADER_NONE) {
        destination = session_destination(x->session);
        client.destination = &destination;
        ask.client = &client;
    }
    x->waiter.fn = on_connected;
    switch (
        upstream_stream_open(x->proxy->upstream, &ask, &x->waiter, &x->up, &x->reused, &reason)) {
    case UPSTREAM_READY:
        return EXCHANGE_GO_ON;
    case UPSTREAM_PENDING:
        return EXCHANGE_WAIT;
    case UPSTREAM_FAILED:
        break;
    }
    x->up = NULL;
    exchange_try_failed(x, reason, RETRY_CONNECT);
    return EXCHANGE_WAIT;
}

/* -- the request goes out -- */

/* Those of the trailers that may go on, in the arena; empty: none, or they are not wanted. */
static struct slice filter_trailers(struct exchange *x, struct slice raw)
{
    char *out = arena_alloc(&x->head->arena, raw.len);
    return slice_of(out, h1_trailers_filter(raw, out, raw.len));
}

static inline struct slice take_trailers(struct exchange *x, struct slice raw)
{
    bool are_taken = LB_UNLIKELY(raw.len != 0) && x->with_trailers;
    return are_taken ? filter_trailers(x, raw) : SLICE_NONE;
}

static struct slice take_request_trailers(struct exchange *x, struct slice raw)
{
    if (LB_LIKELY(raw.len == 0) || (x->head->filters != NULL && x->head->filters->drops_trailers)) {
        return SLICE_NONE;
    }
    return take_trailers(x, raw);
}

void exchange_client_lost(struct exchange *x)
{
    struct stream *down = x->down;
    enum close_reason reason =
        down->fault != CLOSE_OK ? (enum close_reason)down->fault : CLOSE_CLIENT_ABORT;
    x->down = NULL;
    exchange_reset_server(x, reason);
    exchange_count_client(x, down);
    exchange_end(x, reason); /* first: with its last client the front goes */
    down->ops->reset(down, reason);
}

static void on_uploaded(struct relay *relay, enum relay_end end)
{
    struct exchange *x = container_of(relay, struct exchange, relay);
    uint64_t moved = relay_moved(relay, 0);
    struct stream *up = x->up;
    struct stream *down = x->down;
    x->is_relaying = false;
    x->request_bytes += moved;
    x->request_done = end == RELAY_DONE;
    switch (end) {
    case RELAY_DONE:
        down->ops->take_back(down, moved, 0);
        up->ops->take_back(up, 0, moved);
        return;
    case RELAY_TO_SPOKE: /* an early answer: from here on the body goes the ordinary way */
        up->ops->take_back(up, 0, moved);
        down->paused = up->ops->is_blocked(up);
        down->ops->take_back(down, moved, 0);
        return;
    case RELAY_TO_LOST: /* its answer may still be there to be read */
        x->request_broken = true;
        down->paused = true;
        down->ops->take_back(down, moved, 0);
        up->ops->take_back(up, 0, moved);
        return;
    case RELAY_TO_SLOW: /* nothing is asked of a server */
    case RELAY_TO_IDLE:
        down->ops->take_back(down, moved, 0);
        exchange_fail(x, CLOSE_RESPONSE_TIMEOUT);
        return;
    case RELAY_FROM_LOST:
        exchange_client_lost(x);
        return;
    case RELAY_FROM_SLOW:
    case RELAY_FROM_IDLE:
    case RELAY_FROM_ENDED: /* of tunnels only, as the next ones */
    case RELAY_TO_ENDED:
    case RELAY_FROM_SILENT:
        down->ops->take_back(down, moved, 0);
        exchange_fail(x, end == RELAY_FROM_SLOW ? CLOSE_BODY_TOO_SLOW : CLOSE_BODY_TIMEOUT);
        return;
    }
}

/* What is under way past the streams comes back to them. */
static void stop_relaying(struct exchange *x)
{
    uint64_t moved = relay_moved(&x->relay, 0);
    relay_stop(&x->relay);
    x->is_relaying = false;
    if (x->head_sent) {
        x->response_bytes += moved;
        x->up->ops->take_back(x->up, moved, 0);
    } else {
        x->request_bytes += moved;
        x->down->ops->take_back(x->down, moved, 0);
    }
}

void exchange_give_up(struct exchange *x, enum close_reason reason)
{
    if (x->is_relaying) {
        stop_relaying(x);
    }
    if (!x->head_sent || may_end_by_trailers(x)) {
        exchange_fail(x, reason);
        return;
    }
    if (x->is_tunnel && exchange_websocket_leave(x, reason)) {
        return;
    }
    struct stream *down = x->down;
    x->down = NULL;
    exchange_reset_server(x, reason);
    exchange_count_client(x, down);
    exchange_end(x, reason); /* first: with its last client the front goes */
    down->ops->leave(down, reason);
}

/* Hands the rest of a large plain upload over to splice. False: not this one. */
static bool relay_upload(struct exchange *x)
{
    struct stream *up = x->up;
    struct stream *down = x->down;
    uint64_t left = down->ops->opaque_left(down);
    if (left < SPLICE_BYTES || x->head_sent || up->version != STREAM_HTTP1 || x->is_call ||
        x->head->mirror != NULL) {
        return false;
    }
    struct conn *from = down->ops->lend(down);
    if (from == NULL) {
        return false;
    }
    struct conn *to = up->ops->lend(up);
    if (to == NULL) {
        down->ops->take_back(down, 0, 0);
        return false;
    }
    x->is_relaying = true;
    x->paces.from_rule = (struct pace_rule){.bytes_per_s = x->plan->limits.min_body_rate_bytes,
                                            .grace_ms = x->plan->timeouts.rate_grace_ms,
                                            .idle_ms = x->plan->timeouts.body_idle_ms};
    x->paces.to_rule = (struct pace_rule){.idle_ms = idle_ms(x)};
    relay_count(&x->relay, from, to, left, &x->paces, on_uploaded);
    relay_stop_when_spoken_to(&x->relay);
    return true;
}

enum stream_pull exchange_pull_body(struct exchange *x, struct stream_piece *piece)
{
    x->body_begun = true;
    enum stream_pull pulled = x->down->ops->pull(x->down, piece);
    x->request_bytes += piece->bytes.len;
    if (LB_UNLIKELY(x->head->mirror != NULL)) {
        mirror_keep(x, piece, pulled);
    }
    if (LB_UNLIKELY(x->head->filters != NULL) && x->request_bytes > x->head->filters->body_max &&
        !filter_run_body_fits(x->head->filters, x->request_bytes)) {
        piece->reason = CLOSE_BODY_TOO_LARGE;
        return STREAM_BAD;
    }
    return pulled;
}

/* Kept when that is all of a small one. */
static enum stream_pull pull_body(struct exchange *x, struct stream_piece *piece)
{
    bool is_first = x->request_bytes == 0;
    enum stream_pull pulled = exchange_pull_body(x, piece);
    if (is_first && pulled == STREAM_LAST && x->up->version == STREAM_HTTP2 &&
        piece->trailers.len == 0 && piece->bytes.len > 0 && piece->bytes.len <= KEPT_BODY_MAX) {
        x->kept_body = arena_copy(&x->head->arena, piece->bytes);
    }
    return pulled;
}

/* What there is of the body for a try. */
static enum stream_pull pull_first(struct exchange *x, struct stream_piece *piece)
{
    if (LB_UNLIKELY(!flow_is_empty(&x->head->body))) {
        x->body_at = NULL;
        return exchange_body_next(x, piece);
    }
    if (x->kept_body.ptr != NULL) {
        piece->bytes = x->kept_body;
        return STREAM_LAST;
    }
    return pull_body(x, piece);
}

/* A policy says how large it may be: without what frames it. */
static bool is_body_counted(const struct exchange *x)
{
    return x->head->filters != NULL && x->head->filters->body_max != UINT64_MAX;
}

enum exchange_verdict exchange_send(struct exchange *x)
{
    struct stream *up = x->up;
    struct stream *down = x->down;
    struct message *request = &x->head->request;
    bool has_body = request->framing == FRAMING_CHUNKED ||
                    (request->framing == FRAMING_LENGTH && request->content_length > 0);
    struct stream_head head = {
        .message = request,
        .framing = has_body ? (enum framing)request->framing : FRAMING_NONE,
        .content_length = request->content_length,
        .has_length = request->has_length,
        .upgrade = x->is_upgrade,
        .framed = request->framing == FRAMING_CHUNKED && down->version == STREAM_HTTP1 &&
                  up->version == STREAM_HTTP1 && x->kept_body.ptr == NULL &&
                  flow_is_empty(&x->head->body) && !is_body_counted(x) && x->head->mirror == NULL,
        .te_trailers = x->with_trailers && request->has_trailer_te,
    };
    struct stream_piece piece = {0};
    enum stream_pull pulled = STREAM_LAST;
    up->idle_ms = x->is_call && !x->is_connect ? UINT32_MAX /* the call's own timer sees to it */
                                               : x->route->response_ms;
    up->owner = x;
    up->events = &up_events;
    if (request->authority.len == 0 || x->host_is_servers) {
        x->host_is_servers = true;
        /* An HTTP/1.0 client may leave it out; HTTP/1.1 to the server needs one. */
        request->authority = x->pool->members[x->member].host;
    }
    x->sent_us = loop_now_us(x->proxy->loop);
    if (has_body) {
        down->want_framed = head.framed;
        pulled = pull_first(x, &piece);
        if (pulled == STREAM_BAD) {
            exchange_fail(x, piece.reason);
            return EXCHANGE_WAIT;
        }
    }
    struct slice trailers = take_request_trailers(x, piece.trailers);
    x->request_done = pulled == STREAM_LAST;
    bool sent = up->ops->send_head(up, &head, piece.bytes, x->request_done && trailers.len == 0);
    if (sent && trailers.len > 0) {
        sent = up->ops->send_trailers(up, trailers);
    }
    if (!sent) {
        x->up = NULL;
        up->ops->reset(up, CLOSE_SERVER_RESET);
        exchange_try_failed(x, CLOSE_SERVER_RESET,
                            x->reused ? RETRY_REUSED_DIED : RETRY_FRESH_DIED);
        return EXCHANGE_WAIT;
    }
    if (LB_UNLIKELY(!flow_is_empty(&x->head->body))) {
        exchange_body_send(x);
    } else if (!x->request_done && !relay_upload(x) && !up->ops->is_blocked(up)) {
        down->ops->resume(down);
    }
    return EXCHANGE_GO_ON;
}

bool exchange_send_up(struct exchange *x, const struct stream_piece *piece, bool is_last)
{
    struct stream *up = x->up;
    struct slice trailers = take_request_trailers(x, piece->trailers);
    x->request_done = is_last;
    bool sent = (piece->bytes.len == 0 && !is_last) ||
                up->ops->send_body(up, piece->bytes, is_last && trailers.len == 0);
    return sent && (trailers.len == 0 || up->ops->send_trailers(up, trailers));
}

void exchange_on_request_body(struct exchange *x)
{
    struct stream *down = x->down;
    struct stream *up = x->up;
    if (LB_UNLIKELY(x->is_tunnel)) {
        exchange_websocket_up(x);
        return;
    }
    if (LB_UNLIKELY(x->own_left.len > 0)) {
        exchange_reply_drop(x);
        return;
    }
    if (LB_UNLIKELY(x->step == EXCHANGE_BODY && !x->head_sent)) { /* not given up meanwhile */
        exchange_collect(x);
        return;
    }
    if (up == NULL || x->step != EXCHANGE_RECEIVE || x->request_broken || x->is_connect) {
        down->paused = true; /* R7 too: nothing of a tunnel before there is one */
        return;
    }
    struct stream_piece piece;
    enum stream_pull pulled = pull_body(x, &piece);
    if (pulled == STREAM_BAD) {
        exchange_fail(x, piece.reason);
        return;
    }
    if (!exchange_send_up(x, &piece, pulled == STREAM_LAST)) {
        /* The server takes no more; its answer (413, say) may be on the way and ends this. */
        x->request_broken = true;
        down->paused = true;
    } else if (!x->request_done && !relay_upload(x) && up->ops->is_blocked(up)) {
        down->paused = true;
    }
}

static void on_up_room(struct stream *stream)
{
    struct exchange *x = stream->owner;
    if (x->step != EXCHANGE_RECEIVE || x->request_done || x->request_broken || !x->down->paused) {
        return;
    }
    if (LB_UNLIKELY(x->sends_body)) {
        exchange_body_send(x);
    } else {
        x->down->ops->resume(x->down);
    }
}

/* -- the answer comes back -- */

static void on_relayed(struct relay *relay, enum relay_end end)
{
    struct exchange *x = container_of(relay, struct exchange, relay);
    uint64_t moved = relay_moved(relay, 0);
    struct stream *down = x->down;
    x->is_relaying = false;
    x->response_bytes += moved;
    x->up->ops->take_back(x->up, moved, 0);
    switch (end) {
    case RELAY_DONE:
        finish_server(x);
        down->ops->take_back(down, 0, moved); /* the last byte is sent: it ends here */
        return;
    case RELAY_TO_LOST:
    case RELAY_TO_SPOKE: /* not asked for */
        exchange_client_lost(x);
        return;
    case RELAY_TO_SLOW:
    case RELAY_TO_IDLE:
        down->fault = end == RELAY_TO_SLOW ? CLOSE_READER_TOO_SLOW : CLOSE_CLIENT_WRITE_TIMEOUT;
        exchange_client_lost(x);
        return;
    case RELAY_FROM_LOST:
        exchange_server_failed(x, CLOSE_SERVER_TRUNCATED);
        return;
    case RELAY_FROM_SLOW: /* nothing is asked of a server */
    case RELAY_FROM_IDLE:
    case RELAY_FROM_ENDED: /* of tunnels only, as the next ones */
    case RELAY_TO_ENDED:
    case RELAY_FROM_SILENT:
        exchange_server_failed(x, CLOSE_SERVER_IDLE_TIMEOUT);
        return;
    }
}

static bool is_paced(const struct exchange *x)
{
    return x->head != NULL && x->head->filters != NULL && x->head->filters->is_paced;
}

/* A policy has taken over the body of the answer. */
static bool is_coded(const struct exchange *x)
{
    return x->head != NULL && x->head->filters != NULL && x->head->filters->coder != 0;
}

static void on_pause_over(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);
    if (x->up->paused && !x->down->ops->is_blocked(x->down)) {
        x->up->ops->resume(x->up);
    }
}

/* Hands a large plain body over to splice. False: not this one. */
static bool relay_body(struct exchange *x)
{
    struct stream *up = x->up;
    struct stream *down = x->down;
    uint64_t left = up->ops->opaque_left(up);
    if (left < SPLICE_BYTES || down->version != STREAM_HTTP1 || !x->request_done || x->is_call ||
        left <= x->route->buffer_response || is_paced(x) || is_coded(x)) {
        return false;
    }
    struct conn *to = down->ops->lend(down);
    if (to == NULL) {
        return false;
    }
    struct conn *from = up->ops->lend(up);
    if (from == NULL) {
        down->ops->take_back(down, 0, 0);
        return false;
    }
    x->is_relaying = true;
    exchange_forget_head(x);
    x->paces.from_rule = (struct pace_rule){.idle_ms = idle_ms(x)};
    x->paces.to_rule = (struct pace_rule){.bytes_per_s = x->plan->limits.min_read_rate_bytes,
                                          .grace_ms = x->plan->timeouts.rate_grace_ms,
                                          .idle_ms = x->plan->timeouts.write_idle_ms};
    relay_count(&x->relay, from, to, left, &x->paces, on_relayed);
    return true;
}

/* The client is slow: is more of the answer read for it, so that the server is free sooner? */
static bool buffers_more(const struct exchange *x)
{
    const struct stream *down = x->down;
    return LB_UNLIKELY(x->route->buffer_response != 0) && !x->is_call &&
           down->ops->waiting(down) < x->route->buffer_response &&
           !net_worker_is_tight(conn_net(&x->session->conn));
}

static bool send_bytes(struct stream *down, const struct stream_head *head, struct slice bytes,
                       bool is_last)
{
    return head != NULL ? down->ops->send_head(down, head, bytes, is_last)
                        : down->ops->send_body(down, bytes, is_last);
}

/* What becomes of a piece in the hands of who has taken the body over. `body_ends`: nothing follows
 * it; `is_last`: not even trailers. */
static bool send_coded(struct exchange *x, const struct stream_head *head, struct slice bytes,
                       bool body_ends, bool is_last, uint64_t *pause_ms)
{
    struct stream *down = x->down;
    struct filter_run *run = x->head->filters;
    struct filter_piece piece = {.in = bytes, .is_last = body_ends};
    bool more;
    bool sent;
    do {
        more = filter_run_code(run, &piece);
        x->response_bytes += piece.out.len;
        if (LB_UNLIKELY(run->is_paced)) {
            uint64_t own_ms = filter_run_sent(run, piece.out.len);
            *pause_ms = own_ms > *pause_ms ? own_ms : *pause_ms;
        }
        sent = send_bytes(down, head, piece.out, is_last && !more); /* over, perhaps */
        head = NULL;
    } while (sent && more);
    return sent;
}

/* Sends a piece of the answer; the exchange may be over afterwards. */
static void send_piece(struct exchange *x, const struct stream_head *head,
                       const struct stream_piece *piece, bool is_last)
{
    struct stream *down = x->down;
    struct stream *up = x->up;
    struct slice trailers = take_trailers(x, piece->trailers);
    if (LB_UNLIKELY(x->is_grpc) && piece->trailers.len > 0) {
        x->grpc_status = 1 + (uint8_t)grpc_status_in(piece->trailers);
    }
    bool last_bytes = is_last && trailers.len == 0;
    uint64_t pause_ms = 0;
    bool sent;
    if (is_last) {
        finish_server(x); /* the bytes stay lent until the turn ends */
    }
    if (LB_UNLIKELY(is_coded(x))) {
        sent = send_coded(x, head, piece->bytes, is_last, last_bytes, &pause_ms);
    } else {
        x->response_bytes += piece->bytes.len;
        if (LB_UNLIKELY(is_paced(x))) {
            pause_ms = filter_run_sent(x->head->filters, piece->bytes.len);
        }
        sent = send_bytes(down, head, piece->bytes, last_bytes);
    }
    if (sent && trailers.len > 0) {
        sent = down->ops->send_trailers(down, trailers);
    }
    if (is_last && sent) {
        return; /* over, or when the client has taken it all */
    }
    if (!sent) {
        exchange_client_lost(x);
        return;
    }
    if (LB_UNLIKELY(pause_ms != 0)) {
        up->paused = true;
        loop_timer_set(x->proxy->loop, &x->timer, pause_ms, on_pause_over);
    } else if (down->ops->is_blocked(down)) {
        up->paused = !buffers_more(x);
        exchange_forget_head(x);
    } else if (head != NULL) {
        (void)relay_body(x);
    }
}

static void count_response(struct exchange *x, uint16_t status)
{
    struct counters_pool *pool = pool_counters(x);
    counter_add(&pool->responses[counters_code_of(status)], 1);
    histogram_note_us(&pool->response_duration, x->first_byte_us - x->sent_us);
    struct counters_server *server = counters_of_server(x->proxy->counters, x->server->id);
    counter_add(&server->responses[counters_code_of(status)], 1);
    counter_add(&server->response_us, x->first_byte_us - x->sent_us);
    exchange_note_latency(x, x->first_byte_us - x->sent_us);
    pool_note_head(x->pool, x->server, status);
}

static void forward_interim(struct exchange *x, struct message *message)
{
    struct stream_head head = {.message = message, .framing = FRAMING_NONE};
    hop_response(message, SLICE_NONE, false);
    if (!x->down->ops->send_head(x->down, &head, SLICE_NONE, false)) {
        exchange_client_lost(x);
    }
}

/* An answer that is nothing but its end has it in the head. */
static void note_grpc_status(struct exchange *x, const struct message *answer)
{
    const struct header *found = headers_find_name(&answer->headers, SLICE("grpc-status"));
    if (found != NULL) {
        x->grpc_status = 1 + (uint8_t)grpc_status_read(header_value(&answer->headers, found));
    } else if (answer->status != 200) {
        x->grpc_status = 1 + (uint8_t)grpc_status_of_http(answer->status);
    }
}

/* Its first answer on a connection may say how long that is kept. */
static void note_keep_alive(const struct exchange *x, const struct message *answer)
{
    const struct header *found = headers_find(&answer->headers, HEADER_KEEP_ALIVE);
    if (LB_UNLIKELY(found != NULL)) {
        keep_alive_note_told(&x->server->keep_alive,
                             keep_alive_parse(header_value(&answer->headers, found)),
                             loop_now_us(x->proxy->loop));
    }
}

static void on_up_head(struct stream *stream, struct message *message)
{
    struct exchange *x = stream->owner;
    uint16_t status = message->status;
    if (status < 200 && status != 101) {
        forward_interim(x, message);
        return;
    }
    x->first_byte_us = loop_now_us(x->proxy->loop);
    count_response(x, status);
    if (!x->reused && stream->version == STREAM_HTTP1) {
        note_keep_alive(x, message);
    }
    if (LB_UNLIKELY(x->proxy->access_log != NULL)) {
        exchange_note_answer(x, &message->headers);
    }
    if (LB_UNLIKELY(retry_is_status(&x->pool->retry, status)) && exchange_try_answered(x, status)) {
        return;
    }
    if (LB_UNLIKELY(loop_timer_is_set(&x->timer))) {
        loop_timer_stop(&x->timer);
    }
    if (LB_LIKELY(stream->idle_ms != UINT32_MAX)) {
        stream->idle_ms = x->route->idle_ms;
    }
    if (LB_UNLIKELY(!flow_is_empty(&x->head->body)) && x->request_done) {
        flow_clear(conn_net(&x->session->conn), &x->head->body); /* nobody sends it again */
    }
    if (LB_UNLIKELY(x->is_grpc)) {
        note_grpc_status(x, message);
    }
    if (status == 101 && !(x->is_upgrade && message->upgrade_websocket)) {
        exchange_server_failed(x, CLOSE_BAD_SWITCH);
        return;
    }
    if (x->is_connect) {
        enum close_reason wrong = exchange_websocket_check(x, message);
        if (wrong != CLOSE_OK) {
            exchange_server_failed(x, wrong);
            return;
        }
    }
    bool client_http10 = x->head->request.version_minor == 0;
    bool chunked = message->framing == FRAMING_CHUNKED;
    hop_response(message, slice_of(loop_http_date(x->proxy->loop), 29), x->with_trailers);
    if (LB_UNLIKELY(x->pool->sticky != NULL)) {
        exchange_sticky_answer(x, message);
    }
    if (LB_UNLIKELY(x->tells_arm != 0)) {
        exchange_split_answer(x, message);
    }
    if (LB_UNLIKELY(exchange_tells_times(x))) {
        exchange_tell_times(x, message);
    }
    if (x->head->filters != NULL) {
        struct filter_run *run = x->head->filters;
        run->is_body_free = !x->is_call && !x->is_grpc && status != 101;
        run->own_cookies[0] = exchange_sticky_cookie(x);
        run->own_cookies[1] = exchange_split_cookie(x);
        filter_run_response(run, message);
        run->is_body_free = false;
    }
    bool coded = is_coded(x);
    struct stream_head head = {
        .message = message,
        .framing = coded || message->framing == FRAMING_UNTIL_CLOSE
                       ? FRAMING_CHUNKED
                       : (enum framing)message->framing,
        .content_length = message->content_length,
        .has_length = message->has_length && !coded,
        .framed = chunked && !coded && stream->version == STREAM_HTTP1 &&
                  x->down->version == STREAM_HTTP1 && !client_http10,
        .upgrade = status == 101,
        .close = !x->request_done || session_closes(x->session),
    };
    stream->want_framed = head.framed;
    struct stream_piece piece;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    if (pulled == STREAM_BAD) {
        exchange_server_failed(x, piece.reason);
        return;
    }
    x->status = status;
    x->head_sent = true;
    x->is_open = head.framing == FRAMING_CHUNKED;
    if (status == 101 && x->is_connect) {
        exchange_websocket_start(x, &head, piece.bytes);
        return;
    }
    if (status == 101) {
        tunnel_start(x, &head, piece.bytes);
        return;
    }
    send_piece(x, &head, &piece, pulled == STREAM_LAST);
}

static void on_up_body(struct stream *stream)
{
    struct exchange *x = stream->owner;
    struct stream_piece piece;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    if (pulled == STREAM_BAD) {
        exchange_server_failed(x, piece.reason);
        return;
    }
    if (piece.bytes.len > 0 || pulled == STREAM_LAST) {
        send_piece(x, NULL, &piece, pulled == STREAM_LAST);
    }
}

static bool is_reset(enum close_reason reason)
{
    return reason == CLOSE_SERVER_RESET || reason == CLOSE_SERVER_STREAM_RESET;
}

static void on_up_end(struct stream *stream, enum close_reason reason)
{
    struct exchange *x = stream->owner;
    exchange_count_server(x, stream);
    x->up = NULL;
    if (reason == CLOSE_SERVER_REFUSED && !x->head_sent) {
        exchange_try_failed(x, reason, RETRY_REFUSED);
        return;
    }
    if (is_reset(reason) && !x->head_sent) {
        /* a stream that is reset is the server's word; its connection lives */
        bool is_old = x->reused && reason != CLOSE_SERVER_STREAM_RESET;
        exchange_try_failed(x, reason, is_old ? RETRY_REUSED_DIED : RETRY_FRESH_DIED);
        return;
    }
    if (reason == CLOSE_RESPONSE_TIMEOUT && !x->head_sent) {
        exchange_try_failed(x, reason, RETRY_TIMEOUT);
        return;
    }
    exchange_server_failed(x, reason);
}

static const struct stream_events up_events = {
    .on_head = on_up_head,
    .on_body = on_up_body,
    .on_room = on_up_room,
    .on_end = on_up_end,
};
