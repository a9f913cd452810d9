#include "tests/unit/fake_stream.h"

#include <string.h>

#include "lbd/proxy/exchange.h"
#include "tests/unit/unit.h"

static struct fake_stream *fake_of(struct stream *stream)
{
    return container_of(stream, struct fake_stream, stream);
}

static void note(struct fake_stream *fake, const char *what, struct slice bytes, bool is_last)
{
    size_t len = strlen(fake->log);
    (void)snprintf(fake->log + len, sizeof(fake->log) - len, "%s%.*s%s", what, SLICE_ARG(bytes),
                   is_last ? "." : "");
}

static bool send_head(struct stream *stream, const struct stream_head *head, struct slice bytes,
                      bool is_last)
{
    struct fake_stream *fake = fake_of(stream);
    const struct message *message = head->message;
    char text[256];
    ck_assert(!fake->is_over);
    ck_assert(!head->framed); /* it cannot take HTTP/1 chunks */
    (void)snprintf(text, sizeof(text), "[%u]", message->status);
    note(fake, text, bytes, is_last);
    for (uint32_t i = 0; i < message->extra_count; i++) {
        const struct header_extra *extra = &message->extras[i];
        if (slice_starts(extra->name, SLICE("grpc-"))) {
            (void)snprintf(text, sizeof(text), "{%.*s: %.*s}", SLICE_ARG(extra->name),
                           SLICE_ARG(extra->value));
            note(fake, text, SLICE_NONE, false);
        }
    }
    return !fake->refuses;
}

static bool send_body(struct stream *stream, struct slice bytes, bool is_last)
{
    struct fake_stream *fake = fake_of(stream);
    ck_assert(!fake->is_over);
    note(fake, "|", bytes, is_last);
    return !fake->refuses;
}

static bool send_trailers(struct stream *stream, struct slice lines)
{
    struct fake_stream *fake = fake_of(stream);
    ck_assert(!fake->is_over);
    note(fake, "[trailers ", lines, true);
    return !fake->refuses;
}

static enum stream_pull pull(struct stream *stream, struct stream_piece *piece)
{
    struct fake_stream *fake = fake_of(stream);
    *piece = (struct stream_piece){0};
    if (fake->is_bad) {
        piece->reason = CLOSE_BAD_CHUNK;
        return STREAM_BAD;
    }
    if (fake->body == NULL) {
        return fake->stays_open ? STREAM_MORE : STREAM_LAST;
    }
    size_t len = strlen(fake->body);
    len = len < fake->piece ? len : fake->piece;
    piece->bytes = slice_of(fake->body, len);
    fake->body += len;
    if (*fake->body == '\0') {
        fake->body = NULL;
        return fake->stays_open ? STREAM_MORE : STREAM_LAST;
    }
    return STREAM_MORE;
}

static void resume(struct stream *stream)
{
    stream->paused = false;
}

static void leave(struct stream *stream, enum close_reason reason)
{
    struct fake_stream *fake = fake_of(stream);
    ck_assert(!fake->is_over);
    fake->is_over = true;
    note(fake, "[leave ", close_reason_word(reason), true);
}

static void reset(struct stream *stream, enum close_reason reason)
{
    struct fake_stream *fake = fake_of(stream);
    ck_assert(!fake->is_over);
    fake->is_over = true;
    note(fake, "[reset ", close_reason_word(reason), true);
}

static uint64_t opaque_left(const struct stream *stream)
{
    (void)stream;
    return 0;
}

static bool is_blocked(const struct stream *stream)
{
    return ((const struct fake_stream *)(const void *)stream)->is_blocked;
}

static const struct stream_ops ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .pull = pull,
    .resume = resume,
    .leave = leave,
    .reset = reset,
    .opaque_left = opaque_left,
    .is_blocked = is_blocked,
};

static struct fake_client *client_of(struct http_conn *http)
{
    return container_of(http, struct fake_client, http);
}

static void client_abort(struct http_conn *http, enum close_reason reason)
{
    (void)reason;
    client_of(http)->aborted++;
}

static void client_leave(struct http_conn *http, enum close_reason reason)
{
    (void)reason;
    client_of(http)->left++;
}

static void client_drain(struct http_conn *http)
{
    client_of(http)->drained++;
}

static const struct http_conn_ops conn_ops = {
    .abort = client_abort,
    .leave = client_leave,
    .drain = client_drain,
};

void fake_client_init(struct fake_client *client, struct proxy_stand *stand)
{
    memset(client, 0, sizeof(*client));
    client->session.front = stand->front;
    client->session.conn.loop = stand->up.base.loop;
    client->session.conn.transport = &tcp_transport;
    client->session.conn.user = &client->http;
    http_conn_init(&client->http, &conn_ops, STREAM_HTTP2);
}

void fake_stream_init(struct fake_stream *fake)
{
    static_assert(offsetof(struct fake_stream, stream) == 0, "the stream comes first");
    memset(fake, 0, sizeof(*fake));
    fake->stream.ops = &ops;
    fake->stream.version = STREAM_HTTP2;
    fake->piece = 4;
}

void fake_stream_start(struct fake_stream *fake, struct fake_client *client, const char *head_text,
                       void (*edit)(struct message *message))
{
    static struct header fields[32];
    struct h1_limits limits = {.head_bytes = 4096, .fields = 32};
    struct message message = {.headers = {.list = fields, .capacity = 32}};
    struct h1_head head;
    h1_head_init(&head);
    ck_assert_int_eq(h1_head_request(&head, slice_from(head_text), &limits, &message), H1_DONE);
    message.is_http2 = true;
    if (edit != NULL) {
        edit(&message);
    }
    exchange_start(&client->session, &fake->stream, &message);
}

void fake_stream_body(struct fake_stream *fake, const char *body)
{
    fake->body = body;
    while (fake->body != NULL && !fake->stream.paused) { /* it tells as long as it is wanted */
        fake->stream.events->on_body(&fake->stream);
    }
}

void fake_stream_finish(struct fake_stream *fake, enum close_reason reason)
{
    ck_assert(!fake->is_over);
    fake->is_over = true;
    fake->stream.events->on_end(&fake->stream, reason);
}
