/*
 * exchange_reply - answers that lbd makes itself: failures, fixed responses, redirects.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/http/status.h"
#include "lbd/proxy/exchange.h"

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
        .close = close || x->session->front->closes,
    };
    x->status = answer->status;
    x->head_sent = true;
    if (head.framing == FRAMING_NONE) {
        body = SLICE_NONE;
    }
    x->response_bytes = body.len;
    /* When it is sent the exchange is over (on_end); when it cannot be, the client is gone. */
    if (!down->ops->send_head(down, &head, body, true)) {
        x->down = NULL;
        x->reason = CLOSE_CLIENT_ABORT;
        exchange_end(x, CLOSE_CLIENT_ABORT); /* first: with its last client the front goes */
        down->ops->reset(down, CLOSE_CLIENT_ABORT);
    }
}

static void begin_answer(struct exchange *x, struct message *answer, uint16_t status)
{
    *answer = (struct message){
        .status = status, .version_minor = 1, .reason_phrase = status_phrase(status)};
    message_add(answer, SLICE("Date"), slice_of(loop_http_date(x->proxy->loop), 29));
}

/* One after the other, in the exchange's arena. */
static struct slice join(struct exchange *x, const struct slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *out = arena_alloc(&x->head->arena, len);
    char *to = out;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(to, parts[i].ptr, parts[i].len);
            to += parts[i].len;
        }
    }
    return slice_of(out, len);
}

void exchange_reply_reason(struct exchange *x, enum close_reason reason)
{
    struct message answer;
    struct slice word = close_reason_word(reason);
    x->reason = (uint8_t)reason;
    uint16_t status = close_reason_status(reason);
    begin_answer(x, &answer, status != 0 ? status : 502);
    message_add(&answer, SLICE("Content-Type"), SLICE("text/plain; charset=utf-8"));
    message_add(&answer, SLICE("Lbd-Reason"), word);
    if (status == 503) {
        message_add(&answer, SLICE("Retry-After"), SLICE("1"));
    }
    drop_request_body(x);
    const struct slice parts[] = {SLICE("lbd: "), word, SLICE(": "),
                                  slice_from(close_reason_sentence(reason)), SLICE("\n")};
    struct slice body = join(x, parts, ARRAY_LEN(parts));
    /* After what may be an attempt to be understood in two ways nothing more is served (R6). */
    send_answer(x, &answer, body, close_reason_is_malformed(reason));
}

/* "{path}" stands for path and query as they are forwarded. */
static struct slice fill_location(struct exchange *x, struct slice pattern)
{
    static const char mark[] = "{path}";
    const char *at = memmem(pattern.ptr, pattern.len, mark, sizeof(mark) - 1);
    if (at == NULL) {
        return pattern;
    }
    struct slice before = slice_of(pattern.ptr, (size_t)(at - pattern.ptr));
    struct slice after = slice_from_at(pattern, before.len + sizeof(mark) - 1);
    const struct slice parts[] = {before, x->head->request.path, x->head->request.query, after};
    return join(x, parts, ARRAY_LEN(parts));
}

void exchange_reply_route(struct exchange *x)
{
    const struct route *route = x->route;
    struct message answer;
    begin_answer(x, &answer, route->status);
    if (route->action == CONF_ACTION_REDIRECT) {
        x->reason = CLOSE_REDIRECT;
        message_add(&answer, SLICE("Location"), fill_location(x, route->location));
    } else {
        x->reason = CLOSE_FIXED_RESPONSE;
        if (route->content_type.len > 0) {
            message_add(&answer, SLICE("Content-Type"), route->content_type);
        }
    }
    drop_request_body(x);
    send_answer(x, &answer, route->action == CONF_ACTION_RESPOND ? route->body : SLICE_NONE, false);
}
