#include "tests/unit/h2_stand.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/now.h"

/* There is one at a time: callbacks have no other way to it. */
static struct h2_stand *now_open;

static void note(const char *format, ...) LB_PRINTF(1, 2);
static void note(const char *format, ...)
{
    struct h2_stand *stand = now_open;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(stand->log + stand->log_len, H2_STAND_TEXT - stand->log_len, format, args);
    va_end(args);
    stand->log_len += (size_t)n;
    ck_assert_uint_lt(stand->log_len, H2_STAND_TEXT);
}

static struct h2_stand_stream *slot_of(const struct stream *stream)
{
    for (unsigned i = 0; i < now_open->began; i++) {
        if (now_open->streams[i].stream == stream) {
            return &now_open->streams[i];
        }
    }
    ck_abort_msg("a stream that was never begun, or is over");
}

static bool send_answer(struct h2_stand_stream *slot, uint16_t status, struct slice body)
{
    struct message message = {.status = status, .version_minor = 1};
    struct stream_head head = {
        .message = &message,
        .framing = slot->is_head ? FRAMING_NONE : FRAMING_LENGTH,
        .content_length = body.len,
        .has_length = true,
    };
    return slot->stream->ops->send_head(slot->stream, &head, slot->is_head ? SLICE_NONE : body,
                                        true);
}

void h2_stand_answer(struct h2_stand *stand, unsigned which)
{
    struct h2_stand_stream *slot = &stand->streams[which];
    char text[320];
    int len = snprintf(text, sizeof(text), "%s %zu/%u", slot->what, slot->body_len, slot->body_sum);
    ck_assert(send_answer(slot, 200, slice_of(text, (size_t)len)));
}

void h2_stand_answer_bytes(struct h2_stand *stand, unsigned which, size_t len)
{
    char *bytes = malloc(len);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', len);
    struct h2_stand_stream *slot = &stand->streams[which];
    if (!send_answer(slot, 200, slice_of(bytes, len))) {
        struct stream *stream = slot->stream;
        enum close_reason fault = (enum close_reason)stream->fault;
        ck_assert_int_ne(fault, CLOSE_OK);
        note("[fault %u %s]", which, close_reason_word(fault).ptr);
        slot->stream = NULL;
        stream->ops->reset(stream, fault);
    }
    free(bytes);
}

static void take_body(struct h2_stand_stream *slot)
{
    struct stream_piece piece;
    enum stream_pull pulled = slot->stream->ops->pull(slot->stream, &piece);
    if (pulled == STREAM_BAD) {
        note("[bad %s]", close_reason_word(piece.reason).ptr);
        ck_assert(send_answer(slot, close_reason_status(piece.reason), SLICE("bad")));
        return;
    }
    for (size_t i = 0; i < piece.bytes.len; i++) {
        slot->body_sum = slot->body_sum * 31 + (uint8_t)piece.bytes.ptr[i];
    }
    slot->body_len += piece.bytes.len;
    if (piece.trailers.len > 0) {
        note("[trailers %.*s]", SLICE_ARG(piece.trailers));
    }
    if (pulled == STREAM_LAST) {
        slot->complete = true;
        if (now_open->answers) {
            h2_stand_answer(now_open, (unsigned)(slot - now_open->streams));
        }
    }
}

static void on_head(struct stream *stream, struct message *message)
{
    (void)stream;
    (void)message;
    ck_abort_msg("requests come by on_request");
}

static void on_body(struct stream *stream)
{
    take_body(slot_of(stream));
}

static void on_room(struct stream *stream)
{
    (void)slot_of(stream);
    now_open->rooms++;
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    struct h2_stand_stream *slot = slot_of(stream);
    slot->stream = NULL;
    note("[end %zu %s]", (size_t)(slot - now_open->streams), close_reason_word(reason).ptr);
}

static const struct stream_events events = {
    .on_head = on_head, .on_body = on_body, .on_room = on_room, .on_end = on_end};

static struct h2_stand_stream *begin(struct stream *stream)
{
    ck_assert_uint_lt(now_open->began, H2_STAND_STREAMS);
    struct h2_stand_stream *slot = &now_open->streams[now_open->began++];
    memset(slot, 0, sizeof(*slot));
    slot->stream = stream;
    stream->events = &events;
    now_open->idle = false;
    return slot;
}

static void on_request(struct conn *conn, struct stream *stream, struct message *message)
{
    ck_assert_ptr_eq(conn, &now_open->conn);
    struct h2_stand_stream *slot = begin(stream);
    slot->is_head = message->method == METHOD_HEAD;
    slot->has_body = message->framing != FRAMING_NONE;
    (void)snprintf(slot->what, sizeof(slot->what), "%.*s %.*s%.*s", SLICE_ARG(message->method_text),
                   SLICE_ARG(message->path), SLICE_ARG(message->query));
    note("[%s]", slot->what);
    if (now_open->pauses) {
        stream->paused = true;
    } else if (!slot->has_body && now_open->answers) {
        h2_stand_answer(now_open, now_open->began - 1);
    }
}

static void on_bad_request(struct conn *conn, struct stream *stream, enum close_reason reason)
{
    ck_assert_ptr_eq(conn, &now_open->conn);
    struct h2_stand_stream *slot = begin(stream);
    note("[refused %s]", close_reason_word(reason).ptr);
    ck_assert(send_answer(slot, close_reason_status(reason), SLICE("refused")));
}

static void on_refused(struct conn *conn)
{
    ck_assert_ptr_eq(conn, &now_open->conn);
    note("[no room]");
}

static void on_idle(struct conn *conn)
{
    ck_assert_ptr_nonnull(conn->user);
    now_open->idle = true;
    conn_deadline(conn, H2_STAND_IDLE_MS);
}

static void on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    ck_assert_ptr_null(conn->user);
    ck_assert(!now_open->closed);
    note("[close %s%s]", close_reason_word(reason).ptr, linger ? " linger" : "");
    now_open->closed = true;
    now_open->h2 = NULL;
    conn_close(conn);
}

static const struct http_owner owner = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_refused = on_refused,
    .on_idle = on_idle,
    .on_close = on_close,
};

void h2_stand_open(struct h2_stand *stand)
{
    static const struct stream_rates none;
    h2_stand_open_at(stand, &none);
}

void h2_stand_open_at(struct h2_stand *stand, const struct stream_rates *rates)
{
    const struct h2_timeouts timeouts = {.head_ms = H2_STAND_HEAD_MS,
                                         .body_ms = H2_STAND_BODY_MS,
                                         .write_ms = H2_STAND_WRITE_MS,
                                         .rates = &stand->rates};
    int ours;
    memset(stand, 0, sizeof(*stand));
    stand->rates = *rates;
    now_open = stand;
    stand->limits = (struct h2_limits){.head_bytes = 4000, .fields = 50, .max_streams = 100};
    stand->answers = true;
    stand->clock_us = 9000000000ULL;
    now_set_for_test(stand->clock_us, 1700000000000000ULL + stand->clock_us);
    loop_stand_open(&stand->loop);
    http_worker_init(&stand->http);
    loop_slot_set(stand->loop.loop, LOOP_SLOT_HTTP, &stand->http);
    hpack_stand_init(&stand->decoder, (struct hpack_limits){.bytes = 65536, .fields = 100});
    h2_frames_init(&stand->frames);
    loop_stand_unix_pair(&ours, &stand->peer);
    conn_init(&stand->conn, stand->loop.loop, ours, NULL);
    stand->h2 = h2_conn_new(&stand->conn, H2_CLIENT_FACING, &owner, &stand->limits, &timeouts);
    ck_assert_ptr_nonnull(stand->h2);
    h2_conn_turn(stand->h2);
    ck_assert_str_eq(h2_stand_heard(stand), "S 6=4000,3=100,8=1,9=1; W0 983041; ");
}

void h2_stand_close(struct h2_stand *stand)
{
    if (stand->h2 != NULL) {
        struct http_conn *http = http_conn_on(&stand->conn);
        http->ops->abort(http, CLOSE_SHUTDOWN);
    }
    for (unsigned i = 0; i < stand->began; i++) {
        ck_assert_ptr_null(stand->streams[i].stream);
    }
    conn_close(&stand->conn);
    if (stand->peer >= 0) {
        (void)close(stand->peer);
    }
    ck_assert_uint_eq(stand->http.h2_conns.objects, 0);
    ck_assert_uint_eq(stand->http.h2_streams.objects, 0);
    hpack_stand_fini(&stand->decoder);
    h2_frames_fini(&stand->frames);
    http_worker_fini(&stand->http);
    loop_stand_close(&stand->loop);
    now_set_for_test(0, 0);
}

void h2_stand_send(struct h2_stand *stand, struct slice bytes)
{
    while (bytes.len > 0 && !stand->closed) {
        size_t sent = peer_write(stand->peer, bytes.ptr, bytes.len);
        bytes = slice_from_at(bytes, sent);
        loop_stand_settle(&stand->loop);
    }
}

void h2_stand_say(struct h2_stand *stand, const char *text)
{
    stand->frames.len = 0;
    h2_frames_say(&stand->frames, text);
    h2_stand_send(stand, slice_of(stand->frames.bytes, stand->frames.len));
}

const char *h2_stand_heard(struct h2_stand *stand)
{
    static char text[H2_STAND_TEXT];
    loop_stand_settle(&stand->loop);
    stand->unread_len += peer_read(stand->peer, stand->unread + stand->unread_len,
                                   sizeof(stand->unread) - stand->unread_len);
    size_t read = h2_frames_text(&stand->decoder, slice_of(stand->unread, stand->unread_len), text,
                                 sizeof(text));
    memmove(stand->unread, stand->unread + read, stand->unread_len - read);
    stand->unread_len -= read;
    return text;
}

void h2_stand_tick(struct h2_stand *stand, uint64_t more_ms)
{
    stand->clock_us += more_ms * 1000;
    now_set_for_test(stand->clock_us, 1700000000000000ULL + stand->clock_us);
    loop_run_once(stand->loop.loop, 0);
    loop_stand_settle(&stand->loop);
}
