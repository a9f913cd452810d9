/*
 * exchange_forward - the server's side of an exchange: pick, connect, send, receive, try again.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/http/h1_body.h"
#include "lbd/http/h1_conn.h"
#include "lbd/http/hop.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/tunnel.h"

/* A plain body with this much still to come goes by splice: two system calls more pay from about
 * here. */
#define SPLICE_BYTES (32U * 1024)

#define TRAILERS_MAX 8192U

static const struct stream_events up_events;

static struct counters_pool *pool_counters(const struct exchange *x)
{
    return counters_of_pool(x->proxy->counters, x->pool->id);
}

static void release_server(struct exchange *x)
{
    if (x->server != NULL) {
        pool_release(x->server);
        x->server = NULL;
        counter_add(&pool_counters(x)->requests_finished, 1);
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

/* The answer is complete: the connection may serve another request. */
static void finish_server(struct exchange *x)
{
    struct stream *up = x->up;
    x->up = NULL;
    exchange_count_server(x, up);
    upstream_stream_release(x->proxy->upstream, up);
    release_server(x);
}

void exchange_reset_server(struct exchange *x, enum close_reason reason)
{
    upstream_stream_cancel(x->proxy->upstream, &x->waiter);
    if (x->up != NULL) {
        struct stream *up = x->up;
        x->up = NULL;
        exchange_count_server(x, up);
        up->ops->reset(up, reason);
    }
    release_server(x);
}

void exchange_fail(struct exchange *x, enum close_reason reason)
{
    exchange_reset_server(x, reason);
    if (!x->head_sent) {
        exchange_reply_reason(x, reason);
        return;
    }
    /* Half an answer is out: only the end of the connection tells that it is not whole. */
    struct stream *down = x->down;
    x->down = NULL;
    exchange_count_client(x, down);
    exchange_end(x, reason); /* first: with its last client the front goes */
    down->ops->reset(down, reason);
}

/* -- pick, connect, again -- */

enum exchange_verdict exchange_pick(struct exchange *x)
{
    struct upstream_worker *upstream = x->proxy->upstream;
    struct pool_worker *pool = upstream_pool(upstream, x->pool->id);
    if (x->tries == 0) {
        retry_budget_note(&pool->budget, x->start_us, upstream->workers);
    }
    enum close_reason reason;
    uint32_t member = pool_pick(x->pool, &pool->state, &upstream->random, upstream->worker,
                                upstream->workers, x->tried, x->tried_count, &reason);
    if (member == BALANCER_NONE) {
        counter_add(&pool_counters(x)->no_server, 1);
        exchange_fail(x, x->tries > 0 ? (enum close_reason)x->failure : reason);
        return EXCHANGE_WAIT;
    }
    x->member = member;
    x->server = x->pool->members[member].server;
    x->tries++;
    if (x->tried_count < EXCHANGE_TRIES) {
        x->tried[x->tried_count++] = member;
    }
    counter_add(&pool_counters(x)->requests_started, 1);
    counter_add(&counters_of_server(x->proxy->counters, x->server->id)->requests, 1);
    return EXCHANGE_GO_ON;
}

static void count_error(struct exchange *x, enum close_reason reason)
{
    if (reason == CLOSE_OVERLOAD) {
        return; /* ours, not the server's */
    }
    enum counters_error error = counters_error_of(reason);
    if (error != COUNTERS_ERROR_COUNT) {
        counter_add(&pool_counters(x)->errors[error], 1);
    }
    counter_add(&counters_of_server(x->proxy->counters, x->server->id)->errors, 1);
}

/* What the server sent cannot be used, or it stopped: not to be tried again. */
static void server_failed(struct exchange *x, enum close_reason reason)
{
    count_error(x, reason);
    exchange_fail(x, reason);
}

/* A try failed and nothing of it is held but the place on the server. */
static void try_failed(struct exchange *x, enum close_reason reason, enum retry_failure failure)
{
    struct upstream_worker *upstream = x->proxy->upstream;
    count_error(x, reason);
    release_server(x);
    x->failure = (uint8_t)reason;
    if (reason == CLOSE_OVERLOAD) {
        exchange_fail(x, reason); /* no other server can be reached either */
        return;
    }
    bool ended = reason == CLOSE_SERVER_RESET || failure == RETRY_CONNECT;
    struct retry_facts facts = {
        .safe_method = method_is_retry_safe((enum method)x->head->request.method),
        .has_body =
            x->head->request.framing == FRAMING_CHUNKED || x->head->request.content_length > 0,
        .answer_began = x->head_sent || x->first_byte_us != 0 || !ended,
        .tries = x->tries,
        .retries_allowed = x->pool->retries,
    };
    bool no_budget;
    struct pool_worker *pool = upstream_pool(upstream, x->pool->id);
    uint64_t now = loop_now_us(upstream->loop);
    if (!retry_take(&pool->budget, &facts, failure, now, upstream->workers, &no_budget)) {
        exchange_fail(x, reason);
        return;
    }
    if (failure == RETRY_REUSED_DIED && x->tried_count > 0) {
        x->tried_count--; /* an old connection says little of the server: it may be tried again,
                             afresh */
        x->fresh = true;
    }
    counter_add(&pool_counters(x)->retries, 1);
    exchange_run(x, EXCHANGE_PICK);
}

static void on_connected(struct upstream_waiter *waiter, struct stream *stream,
                         enum close_reason reason)
{
    struct exchange *x = container_of(waiter, struct exchange, waiter);
    if (stream == NULL) {
        try_failed(x, reason, RETRY_CONNECT);
        return;
    }
    x->connect_us = loop_now_us(x->proxy->loop) - waiter->started_us;
    x->up = stream;
    exchange_run(x, EXCHANGE_SEND);
}

enum exchange_verdict exchange_connect(struct exchange *x)
{
    enum close_reason reason;
    x->waiter.fn = on_connected;
    switch (upstream_stream_open(x->proxy->upstream, x->pool, x->member, x->fresh, &x->waiter,
                                 &x->up, &x->reused, &reason)) {
    case UPSTREAM_READY:
        return EXCHANGE_GO_ON;
    case UPSTREAM_PENDING:
        return EXCHANGE_WAIT;
    case UPSTREAM_FAILED:
        break;
    }
    x->up = NULL;
    try_failed(x, reason, RETRY_CONNECT);
    return EXCHANGE_WAIT;
}

/* -- the request goes out -- */

/* Trailers that may go on; they end the message either way. */
static bool send_trailers(struct exchange *x, struct stream *to, struct slice raw)
{
    char *out = arena_alloc(&x->head->arena, TRAILERS_MAX);
    size_t len = h1_trailers_filter(raw, out, TRAILERS_MAX);
    return to->ops->send_trailers(to, slice_of(out, len));
}

static void client_lost(struct exchange *x)
{
    struct stream *down = x->down;
    x->down = NULL;
    exchange_reset_server(x, CLOSE_CLIENT_ABORT);
    exchange_count_client(x, down);
    exchange_end(x, CLOSE_CLIENT_ABORT); /* first: with its last client the front goes */
    down->ops->reset(down, CLOSE_CLIENT_ABORT);
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
    case RELAY_TO_IDLE:
        down->ops->take_back(down, moved, 0);
        exchange_fail(x, CLOSE_RESPONSE_TIMEOUT);
        return;
    case RELAY_FROM_LOST:
        client_lost(x);
        return;
    case RELAY_FROM_IDLE:
        down->ops->take_back(down, moved, 0);
        exchange_fail(x, CLOSE_BODY_TIMEOUT);
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
    if (!x->head_sent) {
        exchange_fail(x, reason);
        return;
    }
    struct stream *down = x->down;
    x->down = NULL;
    exchange_reset_server(x, reason);
    exchange_count_client(x, down);
    exchange_end(x, reason); /* first: with its last client the front goes */
    h1_conn_of(down)->has_stream = false;
    h1_conn_leave(h1_conn_of(down), reason);
}

/* Hands the rest of a large plain upload over to splice. False: not this one. */
static bool relay_upload(struct exchange *x)
{
    struct stream *up = x->up;
    struct stream *down = x->down;
    uint64_t left = down->ops->opaque_left(down);
    if (left < SPLICE_BYTES || x->head_sent || !up->is_http1) {
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
    relay_count(&x->relay, from, to, left, x->plan->timeouts.body_idle_ms, x->pool->idle_ms,
                on_uploaded);
    relay_stop_when_spoken_to(&x->relay);
    return true;
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
        .framed = request->framing == FRAMING_CHUNKED && down->is_http1 && up->is_http1,
        .te_trailers = x->route->forward_trailers && request->has_trailer_te,
    };
    struct stream_piece piece = {0};
    enum stream_pull pulled = STREAM_LAST;
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
        pulled = down->ops->pull(down, &piece);
        if (pulled == STREAM_BAD) {
            exchange_fail(x, piece.reason);
            return EXCHANGE_WAIT;
        }
        x->request_bytes += piece.bytes.len;
    }
    bool with_trailers = piece.trailers.len > 0 && x->route->forward_trailers;
    x->request_done = pulled == STREAM_LAST;
    bool sent = up->ops->send_head(up, &head, piece.bytes, x->request_done && !with_trailers);
    if (sent && with_trailers) {
        sent = send_trailers(x, up, piece.trailers);
    }
    if (!sent) {
        x->up = NULL;
        up->ops->reset(up, CLOSE_SERVER_RESET);
        try_failed(x, CLOSE_SERVER_RESET, x->reused ? RETRY_REUSED_DIED : RETRY_FRESH_DIED);
        return EXCHANGE_WAIT;
    }
    if (!x->request_done && !relay_upload(x) && !up->ops->is_blocked(up)) {
        down->ops->resume(down);
    }
    return EXCHANGE_GO_ON;
}

void exchange_on_request_body(struct exchange *x)
{
    struct stream *down = x->down;
    struct stream *up = x->up;
    if (up == NULL || x->step != EXCHANGE_RECEIVE || x->request_broken) {
        down->paused = true;
        return;
    }
    struct stream_piece piece;
    enum stream_pull pulled = down->ops->pull(down, &piece);
    if (pulled == STREAM_BAD) {
        exchange_fail(x, piece.reason);
        return;
    }
    x->request_bytes += piece.bytes.len;
    x->request_done = pulled == STREAM_LAST;
    bool with_trailers = piece.trailers.len > 0 && x->route->forward_trailers;
    bool sent = (piece.bytes.len == 0 && !x->request_done) ||
                up->ops->send_body(up, piece.bytes, x->request_done && !with_trailers);
    if (sent && with_trailers) {
        sent = send_trailers(x, up, piece.trailers);
    }
    if (!sent) {
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
    if (x->step == EXCHANGE_RECEIVE && !x->request_done && !x->request_broken && x->down->paused) {
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
        client_lost(x);
        return;
    case RELAY_TO_IDLE:
        x->reason = CLOSE_CLIENT_WRITE_TIMEOUT;
        client_lost(x);
        return;
    case RELAY_FROM_LOST:
        server_failed(x, CLOSE_SERVER_TRUNCATED);
        return;
    case RELAY_FROM_IDLE:
        server_failed(x, CLOSE_SERVER_IDLE_TIMEOUT);
        return;
    }
}

/* Hands a large plain body over to splice. False: not this one. */
static bool relay_body(struct exchange *x)
{
    struct stream *up = x->up;
    struct stream *down = x->down;
    uint64_t left = up->ops->opaque_left(up);
    if (left < SPLICE_BYTES || !down->is_http1 || !x->request_done) {
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
    relay_count(&x->relay, from, to, left, x->pool->idle_ms, x->plan->timeouts.write_idle_ms,
                on_relayed);
    return true;
}

/* Sends a piece of the answer; the exchange may be over afterwards. */
static void send_piece(struct exchange *x, const struct stream_head *head,
                       const struct stream_piece *piece, bool is_last)
{
    struct stream *down = x->down;
    struct stream *up = x->up;
    bool with_trailers = is_last && piece->trailers.len > 0 && x->route->forward_trailers;
    bool last_bytes = is_last && !with_trailers;
    x->response_bytes += piece->bytes.len;
    struct slice trailers = SLICE_NONE;
    if (with_trailers) {
        trailers = arena_copy(&x->head->arena, piece->trailers);
    }
    if (is_last) {
        finish_server(x); /* the bytes stay lent until the turn ends */
    }
    bool sent = head != NULL ? down->ops->send_head(down, head, piece->bytes, last_bytes)
                             : down->ops->send_body(down, piece->bytes, last_bytes);
    if (sent && with_trailers) {
        sent = send_trailers(x, down, trailers);
    }
    if (is_last && sent) {
        return; /* over, or when the client has taken it all */
    }
    if (!sent) {
        client_lost(x);
        return;
    }
    if (down->ops->is_blocked(down)) {
        up->paused = true;
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
}

static void forward_interim(struct exchange *x, struct message *message)
{
    struct stream_head head = {.message = message, .framing = FRAMING_NONE};
    hop_response(message, SLICE_NONE, false);
    if (!x->down->ops->send_head(x->down, &head, SLICE_NONE, false)) {
        client_lost(x);
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
    if (status == 101 && !(x->is_upgrade && message->upgrade_websocket)) {
        server_failed(x, CLOSE_BAD_SWITCH);
        return;
    }
    bool client_http10 = x->head->request.version_minor == 0;
    bool chunked = message->framing == FRAMING_CHUNKED;
    hop_response(message, slice_of(loop_http_date(x->proxy->loop), 29), x->route->forward_trailers);
    struct stream_head head = {
        .message = message,
        .framing = message->framing == FRAMING_UNTIL_CLOSE ? FRAMING_CHUNKED
                                                           : (enum framing)message->framing,
        .content_length = message->content_length,
        .has_length = message->has_length,
        .framed = chunked && stream->is_http1 && x->down->is_http1 && !client_http10,
        .upgrade = status == 101,
        .close = !x->request_done || x->session->front->closes,
    };
    stream->want_framed = head.framed;
    struct stream_piece piece;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    if (pulled == STREAM_BAD) {
        server_failed(x, piece.reason);
        return;
    }
    x->status = status;
    x->head_sent = true;
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
        server_failed(x, piece.reason);
        return;
    }
    if (piece.bytes.len > 0 || pulled == STREAM_LAST) {
        send_piece(x, NULL, &piece, pulled == STREAM_LAST);
    }
}

static void on_up_end(struct stream *stream, enum close_reason reason)
{
    struct exchange *x = stream->owner;
    exchange_count_server(x, stream);
    x->up = NULL;
    if (reason == CLOSE_SERVER_RESET && !x->head_sent) {
        try_failed(x, reason, x->reused ? RETRY_REUSED_DIED : RETRY_FRESH_DIED);
        return;
    }
    server_failed(x, reason);
}

static const struct stream_events up_events = {
    .on_head = on_up_head,
    .on_body = on_up_body,
    .on_room = on_up_room,
    .on_end = on_up_end,
};
