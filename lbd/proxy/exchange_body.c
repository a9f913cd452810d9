/*
 * exchange_body - the body of a request, taken in before a server is picked
 * (routes.buffering.request).
 *
 *     head --[100 Continue]--> collect --all of it came--> pick, and it can be sent again
 *                                 '--more than fits, or memory is tight--> pick; the rest streams
 *
 * Who uploads slowly keeps no server busy meanwhile. What was collected goes out of the flow as the
 * server takes it, and stays until the answer begins.
 *
 * Threads: worker.
 */
#include "lbd/http/status.h"
#include "lbd/proxy/exchange.h"

static struct net_worker *net_of(const struct exchange *x)
{
    return conn_net(&x->session->conn);
}

void exchange_body_plan(struct exchange *x)
{
    struct message *request = &x->head->request;
    uint32_t most = x->route->buffer_request;
    bool fits = request->framing == FRAMING_CHUNKED ||
                (request->content_length > 0 && request->content_length <= most);
    if (most == 0 || !fits || request->framing == FRAMING_NONE || x->is_grpc ||
        request->protocol.len > 0) {
        return;
    }
    x->collects = true;
    x->owes_continue = request->expects_continue;
    request->expects_continue = false; /* we answer it: no server is there to do so */
}

/* What is there now. False: the exchange is over. */
static bool take(struct exchange *x, bool *is_last)
{
    struct stream_piece piece;
    enum stream_pull pulled = exchange_pull_body(x, &piece);
    if (pulled == STREAM_BAD) {
        exchange_fail(x, piece.reason);
        return false;
    }
    if (!flow_put(net_of(x), &x->head->body, piece.bytes)) {
        exchange_fail(x, CLOSE_OUT_OF_MEMORY);
        return false;
    }
    *is_last = pulled == STREAM_LAST;
    if (*is_last) {
        x->has_whole_body = true;
        x->body_trailers = arena_copy(&x->head->arena, piece.trailers);
    }
    return true;
}

static bool is_enough(const struct exchange *x)
{
    return flow_len(&x->head->body) > x->route->buffer_request || net_worker_is_tight(net_of(x));
}

void exchange_collect(struct exchange *x)
{
    bool is_last;
    if (!take(x, &is_last)) {
        return;
    }
    if (is_last || is_enough(x)) {
        x->down->paused = true;
        exchange_run(x, EXCHANGE_PICK);
    }
}

enum exchange_verdict exchange_body(struct exchange *x)
{
    struct stream *down = x->down;
    bool is_last;
    if (!take(x, &is_last)) {
        return EXCHANGE_WAIT;
    }
    if (is_last || is_enough(x)) {
        return EXCHANGE_GO_ON;
    }
    if (x->owes_continue) {
        struct message interim = {
            .status = 100, .version_minor = 1, .reason_phrase = status_phrase(100)};
        struct stream_head head = {.message = &interim, .framing = FRAMING_NONE};
        if (!down->ops->send_head(down, &head, SLICE_NONE, false)) {
            exchange_client_lost(x);
            return EXCHANGE_WAIT;
        }
    }
    down->ops->resume(down);
    return EXCHANGE_WAIT;
}

/* -- what was collected goes out -- */

enum stream_pull exchange_body_next(struct exchange *x, struct stream_piece *piece)
{
    *piece = (struct stream_piece){0};
    (void)flow_next(&x->head->body, &x->body_at, &piece->bytes);
    x->sends_body = x->body_at != NULL;
    if (x->sends_body || !x->has_whole_body) {
        return STREAM_MORE;
    }
    piece->trailers = x->body_trailers;
    return STREAM_LAST;
}

void exchange_body_send(struct exchange *x)
{
    struct stream *up = x->up;
    while (x->sends_body && !up->ops->is_blocked(up)) {
        struct stream_piece piece;
        enum stream_pull pulled = exchange_body_next(x, &piece);
        if (!exchange_send_up(x, &piece, pulled == STREAM_LAST)) {
            x->request_broken = true;
            return;
        }
    }
    if (!x->sends_body && !x->has_whole_body) {
        flow_clear(net_of(x), &x->head->body);
        if (!up->ops->is_blocked(up)) {
            x->down->ops->resume(x->down);
        }
    }
}
