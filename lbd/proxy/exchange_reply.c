/*
 * exchange_reply - answers that lbd makes itself: failures, fixed responses, redirects.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/http/grpc.h"
#include "lbd/http/status.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/route_redirect.h"

/* Of a long answer: what a slow client does not take waits where it lies, not in a copy. */
#define PIECE_BYTES (64U * 1024)

/* Bytes of a request body that are waited for, so that the connection can be kept after an answer
 * of our own. */
static void drop_request_body(struct exchange *x)
{
    struct stream_piece piece;
    (void)x->down->ops->pull(x->down, &piece);
    x->request_bytes += piece.bytes.len;
}

static void send_answer(struct exchange *x, struct message *answer, struct slice body, bool close)
{
    struct stream *down = x->down;
    bool has_body = answer->status != 204 && answer->status != 304;
    bool is_head = x->head->request.method == METHOD_HEAD;
    struct stream_head head = {
        .message = answer,
        .framing = has_body && !is_head && body.len > 0 ? FRAMING_LENGTH : FRAMING_NONE,
        .content_length = has_body ? body.len : 0,
        .has_length = has_body,
        .close = close || session_closes(x->session),
    };
    if (x->head->filters != NULL) {
        filter_run_response(x->head->filters, answer);
    }
    x->status = answer->status;
    x->head_sent = true;
    if (head.framing == FRAMING_NONE) {
        body = SLICE_NONE;
    }
    bool is_last = body.len <= PIECE_BYTES;
    struct slice piece = is_last ? body : slice_of(body.ptr, PIECE_BYTES);
    x->response_bytes = piece.len;
    x->own_left = slice_from_at(body, piece.len);
    /* When it is sent the exchange is over (on_end); when it cannot be, the client is gone. */
    if (!down->ops->send_head(down, &head, piece, is_last)) {
        x->down = NULL;
        x->reason = CLOSE_CLIENT_ABORT;
        exchange_end(x, CLOSE_CLIENT_ABORT); /* first: with its last client the front goes */
        down->ops->reset(down, CLOSE_CLIENT_ABORT);
    } else if (!is_last) {
        exchange_reply_more(x);
    }
}

void exchange_reply_more(struct exchange *x)
{
    struct stream *down = x->down;
    bool is_last = false;
    while (!is_last && !down->ops->is_blocked(down)) {
        is_last = x->own_left.len <= PIECE_BYTES;
        struct slice piece = is_last ? x->own_left : slice_of(x->own_left.ptr, PIECE_BYTES);
        x->own_left = slice_from_at(x->own_left, piece.len);
        x->response_bytes += piece.len;
        if (!down->ops->send_body(down, piece, is_last)) { /* with the last one it may be over */
            exchange_client_lost(x);
            return;
        }
    }
}

void exchange_reply_drop(struct exchange *x)
{
    struct stream_piece piece;
    x->down->paused = x->down->ops->pull(x->down, &piece) == STREAM_BAD;
    x->request_bytes += piece.bytes.len;
}

static void begin_answer(struct exchange *x, struct message *answer, uint16_t status)
{
    exchange_know_id(x); /* what no policy saw and no server gets has not needed it so far */
    if (LB_UNLIKELY(x->plan->seeing.traces)) {
        exchange_know_trace(x);
    }
    *answer = (struct message){
        .status = status, .version_minor = 1, .reason_phrase = status_phrase(status)};
    message_add(answer, SLICE("Date"), slice_of(loop_http_date(x->proxy->loop), 29));
    if (LB_UNLIKELY(exchange_tells_times(x))) {
        exchange_tell_times(x, answer);
    }
}

/* After what may be an attempt to be understood in two ways nothing more is served (R6), nor over a
 * connection that is not let in any more (R12). */
static bool is_last(enum close_reason reason)
{
    return close_reason_is_malformed(reason) || reason == CLOSE_CLIENT_AUTH_CHANGED;
}

/* Names the setting behind the reason to clients who may know. */
static void add_detail(struct exchange *x, struct message *answer)
{
    if (LB_LIKELY(!x->plan->seeing.reason_detail)) {
        return;
    }
    struct slice detail = exchange_cause_text(x);
    if (detail.len != 0) {
        message_add(answer, SLICE("Lbd-Reason-Detail"), detail);
    }
}

/* gRPC over HTTP/2: "trailers-only". A 401 of a policy is one here, too, whatever its reason. */
static void reply_grpc(struct exchange *x, enum close_reason reason,
                       const struct filter_answer *said)
{
    struct message answer;
    enum grpc_status status =
        said != NULL && said->status == 401 ? GRPC_UNAUTHENTICATED : grpc_status_of(reason);
    x->grpc_status = (uint8_t)(1 + status);
    begin_answer(x, &answer, 200);
    message_add(&answer, SLICE("Content-Type"), SLICE("application/grpc"));
    message_add(&answer, SLICE("Lbd-Reason"), close_reason_word(reason));
    add_detail(x, &answer);
    message_add(&answer, SLICE("grpc-status"), grpc_status_text(status));
    message_add(&answer, SLICE("grpc-message"), grpc_message_of(reason));
    drop_request_body(x);
    send_answer(x, &answer, SLICE_NONE, is_last(reason));
}

bool exchange_reply_trailers(struct exchange *x, enum close_reason reason)
{
    char lines[GRPC_TRAILERS_MAX];
    size_t len = grpc_write_trailers(reason, lines);
    x->reason = (uint8_t)reason;
    return x->down->ops->send_trailers(x->down, slice_of(lines, len));
}

/* A WebSocket over HTTP/2 would take 2xx for an open tunnel (RFC 9113 8.5). */
static bool would_switch(const struct exchange *x, uint16_t status)
{
    return LB_UNLIKELY(x->head->request.protocol.len != 0) && status / 100 == 2;
}

/* An answer in the words of its reason, unless the policy that gave it has some of its own. */
static void reply(struct exchange *x, enum close_reason reason, const struct filter_answer *said)
{
    struct message answer;
    if (said != NULL && would_switch(x, said->status)) {
        said = NULL;
        reason = CLOSE_NOT_SWITCHED;
    }
    struct slice word = close_reason_word(reason);
    x->reason = (uint8_t)reason;
    if (x->is_grpc) {
        reply_grpc(x, reason, said);
        return;
    }
    uint16_t status =
        said != NULL && said->status != 0 ? said->status : close_reason_status(reason);
    bool has_words = said != NULL && said->body.len > 0;
    begin_answer(x, &answer, status != 0 ? status : 502);
    if (status != 204) {
        message_add(&answer, SLICE("Content-Type"),
                    has_words ? said->type : SLICE("text/plain; charset=utf-8"));
    }
    message_add(&answer, SLICE("Lbd-Reason"), word);
    add_detail(x, &answer);
    bool says_when = false;
    for (uint32_t i = 0; said != NULL && i < said->field_count; i++) {
        message_add(&answer, said->fields[i].name, said->fields[i].value);
        says_when = says_when || slice_eq(said->fields[i].name, SLICE("Retry-After"));
    }
    if (status == 503 && !says_when) {
        message_add(&answer, SLICE("Retry-After"), SLICE("1"));
    }
    drop_request_body(x);
    const struct slice parts[] = {SLICE("lbd: "), word, SLICE(": "),
                                  slice_from(close_reason_sentence(reason)), SLICE("\n")};
    struct slice body =
        has_words ? said->body : arena_join(&x->head->arena, parts, ARRAY_LEN(parts));
    send_answer(x, &answer, body, is_last(reason));
}

void exchange_reply_reason(struct exchange *x, enum close_reason reason)
{
    reply(x, reason, NULL);
}

void exchange_reply_filter(struct exchange *x, const struct filter_answer *said)
{
    reply(x, said->reason, said);
}

void exchange_reply_route(struct exchange *x)
{
    const struct route *route = x->route;
    struct slice location = SLICE_NONE;
    struct message answer;
    if (route->action == CONF_ACTION_REDIRECT &&
        !route_redirect_make(route, &x->head->request, exchange_proto(x), &x->proxy->patterns,
                             &x->head->arena, &location)) {
        exchange_reply_reason(x, CLOSE_REWRITE_FAILED);
        return;
    }
    if (would_switch(x, route->status)) {
        exchange_reply_reason(x, CLOSE_NOT_SWITCHED);
        return;
    }
    begin_answer(x, &answer, route->status);
    if (route->action == CONF_ACTION_REDIRECT) {
        x->reason = CLOSE_REDIRECT;
        message_add(&answer, SLICE("Location"), location);
    } else {
        x->reason = CLOSE_FIXED_RESPONSE;
        if (route->content_type.len > 0) {
            message_add(&answer, SLICE("Content-Type"), route->content_type);
        }
    }
    for (uint32_t i = 0; i < route->header_count; i++) {
        message_add(&answer, route->headers[i].name, route->headers[i].value);
    }
    drop_request_body(x);
    send_answer(x, &answer, route->action == CONF_ACTION_RESPOND ? route->body : SLICE_NONE, false);
}
