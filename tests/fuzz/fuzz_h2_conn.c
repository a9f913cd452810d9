/*
 * fuzz_h2_conn - a whole connection of HTTP/2, either role: what a peer sends has one meaning,
 * however it comes.
 *
 *     byte 0: bit 0 we face a server (three requests are under way), bit 1 no preface and SETTINGS
 *             before the bytes, bit 2 bodies are pulled at the end only, bit 3 requests are reset
 *             when their head came
 *     byte 1: the size of the pieces; the rest is what the peer sends
 *
 * Read at once and in pieces: each stream has the same head, body, trailers and end, and the bytes
 * that go to the peer are the same; unless an answer had to wait for a window, or the server left:
 * then it matters what else had come by the end of the pass. Every stream ends once, what goes out
 * are whole frames, and nothing is left behind.
 *
 * Threads: the main thread.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lbd/base/now.h"
#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "lbd/http/h2_frame.h"

enum { STREAMS = 256, SENT_MAX = 1024 * 1024, PASSES = 400, BUFFERED_MAX = 3 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct stream *stream; /* NULL: over */
    uint64_t head;         /* a sum of what it was */
    uint64_t body;
    size_t body_len;
    uint64_t trailers;
    bool last;
    enum close_reason reason;
};

struct run {
    struct slice input;
    struct seen seen[STREAMS];
    unsigned count;
    enum close_reason closed; /* CLOSE_OK: open to the end */
    bool is_closed;
    bool waited;       /* for a window */
    size_t sent_total; /* `sent` has the first SENT_MAX bytes of it */
    size_t sent_len;
    char sent[SENT_MAX];
};

static struct loop *loop;
static struct net_worker net;
static struct http_worker http;
static int idle_fd;
static struct conn conn;
static struct run *run;
static bool pauses;
static bool resets;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static uint64_t sum(uint64_t so_far, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        so_far = so_far * 1099511628211U + (uint8_t)bytes.ptr[i] + 1;
    }
    return so_far;
}

/* -- a transport out of memory -- */

static ssize_t memory_read(struct conn *from, void *out, size_t len)
{
    (void)from;
    size_t part = run->input.len < len ? run->input.len : len;
    if (part == 0) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(out, run->input.ptr, part);
    run->input = slice_from_at(run->input, part);
    return (ssize_t)part;
}

static ssize_t memory_write(struct conn *to, const struct iovec *pieces, int count)
{
    size_t len = 0;
    (void)to;
    for (int i = 0; i < count; i++) {
        size_t room = SENT_MAX - run->sent_len;
        size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        memcpy(run->sent + run->sent_len, pieces[i].iov_base, part);
        run->sent_len += part;
        run->sent_total += pieces[i].iov_len;
        len += pieces[i].iov_len;
    }
    return (ssize_t)len;
}

static void memory_none(struct conn *of)
{
    (void)of;
}

static const struct transport memory_transport = {
    .read = memory_read, .write = memory_write, .shut = memory_none, .close = memory_none};

/* -- the application -- */

static struct seen *seen_of(const struct stream *stream)
{
    for (unsigned i = 0; i < run->count; i++) {
        if (run->seen[i].stream == stream) {
            return &run->seen[i];
        }
    }
    abort();
}

/* Its length depends on what was asked. */
static void answer(struct seen *seen)
{
    static char bytes[70000];
    static const size_t lens[] = {0, 5, 20000, sizeof(bytes)};
    struct message message = {.status = 200, .version_minor = 1};
    size_t len = lens[seen->head % 4];
    struct stream_head head = {
        .message = &message,
        .framing = len == 0 ? FRAMING_NONE : FRAMING_LENGTH,
        .content_length = len,
        .has_length = true,
    };
    if (!seen->stream->ops->send_head(seen->stream, &head, slice_of(bytes, len), true)) {
        struct stream *stream = seen->stream;
        seen->stream = NULL;
        stream->ops->reset(stream, CLOSE_CLIENT_ABORT);
    } else if (seen->stream != NULL) {
        run->waited = true;
    }
}

static void take_body(struct seen *seen, bool faces_client)
{
    struct stream_piece piece;
    struct stream *stream = seen->stream;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    must(!seen->last);
    if (pulled == STREAM_BAD) {
        return;
    }
    seen->body = sum(seen->body, piece.bytes);
    seen->body_len += piece.bytes.len;
    seen->trailers = sum(seen->trailers, piece.trailers);
    if (pulled != STREAM_LAST) {
        return;
    }
    seen->last = true;
    if (faces_client) {
        answer(seen);
    } else {
        seen->stream = NULL;
        stream->ops->release(stream);
    }
}

static void on_head(struct stream *stream, struct message *message)
{
    struct seen *seen = seen_of(stream);
    seen->head = seen->head * 31 + message->status;
    if (message->status < 200) {
        return;
    }
    seen->head = sum(seen->head, slice_of(message->headers.base, message->head_len));
    if (pauses) {
        stream->paused = true;
    } else {
        take_body(seen, false);
    }
}

static void on_request_body(struct stream *stream)
{
    take_body(seen_of(stream), true);
}

static void on_answer_body(struct stream *stream)
{
    take_body(seen_of(stream), false);
}

static void on_room(struct stream *stream)
{
    (void)seen_of(stream);
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    struct seen *seen = seen_of(stream);
    seen->stream = NULL;
    seen->reason = reason;
}

static const struct stream_events down_events = {
    .on_head = on_head, .on_body = on_request_body, .on_room = on_room, .on_end = on_end};
static const struct stream_events up_events = {
    .on_head = on_head, .on_body = on_answer_body, .on_room = on_room, .on_end = on_end};

static struct seen *begin(struct stream *stream, const struct stream_events *events)
{
    if (run->count == STREAMS) {
        run->count = 0; /* the first are forgotten when they are over */
        while (run->count < STREAMS && run->seen[run->count].stream != NULL) {
            run->count++;
        }
        must(run->count < STREAMS);
    }
    struct seen *seen = &run->seen[run->count++];
    memset(seen, 0, sizeof(*seen));
    seen->stream = stream;
    stream->events = events;
    return seen;
}

static void on_request(struct conn *of, struct stream *stream, struct message *message)
{
    must(of == &conn);
    struct seen *seen = begin(stream, &down_events);
    seen->head = sum(sum(message->framing + 1U, message->method_text), message->path);
    seen->head = sum(sum(seen->head, message->authority), message->query);
    seen->head = sum(seen->head, slice_of(message->headers.base, message->head_len));
    if (resets && seen->head % 3 == 0) {
        seen->stream = NULL;
        stream->ops->reset(stream, CLOSE_KILLED);
    } else if (message->framing == FRAMING_NONE) {
        answer(seen);
    } else if (pauses) {
        stream->paused = true;
    } else if (seen->head % 2 == 0) {
        take_body(seen, true); /* what follows the head at once */
    }
}

static void on_bad_request(struct conn *of, struct stream *stream, enum close_reason reason)
{
    must(of == &conn);
    struct seen *seen = begin(stream, &down_events);
    seen->head = 4 + (uint64_t)reason * 4;
    answer(seen);
}

static void on_refused(struct conn *of)
{
    must(of == &conn);
}

static void on_idle(struct conn *of)
{
    must(of->user != NULL);
}

static void on_close(struct conn *of, enum close_reason reason, bool linger)
{
    (void)linger;
    must(of->user == NULL && !run->is_closed);
    run->is_closed = true;
    run->closed = reason;
    conn_close(of);
}

static const struct http_owner owner = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_refused = on_refused,
    .on_idle = on_idle,
    .on_close = on_close,
};

/* -- one run -- */

static void turn(void)
{
    for (int i = 0; i < PASSES && !run->is_closed; i++) {
        loop_run_once(loop, 0);
        if (!list_is_linked(&conn.queue.ready.link)) {
            loop_run_once(loop, 0);
            break;
        }
    }
    must(net.buffered_bytes <= BUFFERED_MAX);
}

static void feed(struct slice bytes)
{
    char *copy = malloc(bytes.len); /* of its exact size */
    must(copy != NULL);
    memcpy(copy, bytes.ptr, bytes.len);
    run->input = slice_of(copy, bytes.len);
    for (int i = 0; i < PASSES && !run->is_closed && run->input.len > 0; i++) {
        conn.flags |= CONN_READ_READY;
        h2_conn_turn(h2_conn_of(conn.user));
        if (!run->is_closed) {
            turn();
        }
    }
    free(copy);
}

static void ask(struct h2_conn *h2)
{
    struct message message = {.method = METHOD_GET,
                              .method_text = SLICE("GET"),
                              .path = SLICE("/"),
                              .authority = SLICE("x")};
    struct stream_head head = {.message = &message, .framing = FRAMING_NONE};
    struct stream *stream = h2_conn_open(h2);
    must(stream != NULL);
    (void)begin(stream, &up_events);
    must(stream->ops->send_head(stream, &head, SLICE_NONE, true));
}

static void check_frames(struct slice sent, bool preface)
{
    size_t at = preface ? H2_PREFACE.len : 0;
    while (at < sent.len) {
        must(sent.len - at >= H2_FRAME_HEAD);
        struct h2_frame frame = h2_frame_read(sent.ptr + at);
        enum h2_error code;
        must(h2_frame_check(&frame, &code) == H2_FRAME_OK);
        at += H2_FRAME_HEAD + frame.length;
    }
    must(at == sent.len);
}

static void converse(struct run *result, bool server, struct slice before, struct slice bytes,
                     size_t step)
{
    static const struct h2_limits limits = {.head_bytes = 8192, .fields = 50, .max_streams = 100};
    static const struct h2_timeouts timeouts = {
        .head_ms = 10000, .body_ms = 10000, .write_ms = 10000};
    run = result;
    result->count = 0;
    result->is_closed = false;
    result->waited = false;
    result->closed = CLOSE_OK;
    result->sent_len = 0;
    result->sent_total = 0;
    conn_init(&conn, loop, idle_fd, NULL);
    conn.transport = &memory_transport;
    must(conn_watch(&conn));
    struct h2_conn *h2 = h2_conn_new(&conn, server ? H2_SERVER_FACING : H2_CLIENT_FACING, &owner,
                                     &limits, &timeouts);
    must(h2 != NULL);
    for (int i = 0; server && i < 3; i++) {
        ask(h2);
    }
    turn();
    if (before.len > 0) {
        feed(before);
    }
    while (bytes.len > 0 && !run->is_closed) {
        size_t part = bytes.len < step ? bytes.len : step;
        feed(slice_of(bytes.ptr, part));
        bytes = slice_from_at(bytes, part);
    }
    for (unsigned i = 0; pauses && i < result->count && !run->is_closed; i++) {
        if (result->seen[i].stream != NULL) {
            result->seen[i].stream->ops->resume(result->seen[i].stream);
            turn();
        }
    }
    if (result->sent_total == result->sent_len) {
        check_frames(slice_of(result->sent, result->sent_len), server);
    }
    if (!run->is_closed) {
        struct http_conn *on = http_conn_on(&conn);
        on->ops->abort(on, CLOSE_SHUTDOWN);
    }
    for (unsigned i = 0; i < result->count; i++) {
        must(result->seen[i].stream == NULL);
    }
    loop_run_once(loop, 0);
    must(http.h2_conns.objects == 0 && http.h2_streams.objects == 0 && net.buffered_bytes == 0);
}

static void check_same(const struct run *a, const struct run *b)
{
    must(a->count == b->count && a->is_closed == b->is_closed && a->closed == b->closed);
    for (unsigned i = 0; i < a->count; i++) {
        const struct seen *x = &a->seen[i];
        const struct seen *y = &b->seen[i];
        must(x->head == y->head && x->body == y->body && x->body_len == y->body_len);
        must(x->trailers == y->trailers && x->last == y->last && x->reason == y->reason);
    }
    must(a->sent_total == b->sent_total && memcmp(a->sent, b->sent, a->sent_len) == 0);
}

static void start(void)
{
    struct err err;
    now_set_for_test(9000000000ULL, 1700000000000000ULL);
    loop = loop_new(&err);
    must(loop != NULL);
    net_worker_init(&net);
    loop_slot_set(loop, LOOP_SLOT_NET, &net);
    http_worker_init(&http);
    loop_slot_set(loop, LOOP_SLOT_HTTP, &http);
    idle_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    must(idle_fd >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole;
    static struct run pieces;
    static const char begin_with[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    if (size < 3 || size > 65536) {
        return 0;
    }
    if (loop == NULL) {
        start();
    }
    bool server = (data[0] & 1) != 0;
    struct slice before = slice_of(begin_with, sizeof(begin_with));
    if (server) {
        before = slice_from_at(before, H2_PREFACE.len);
    }
    if ((data[0] & 2) != 0) {
        before = SLICE_NONE;
    }
    pauses = (data[0] & 4) != 0;
    resets = (data[0] & 8) != 0;
    struct slice bytes = slice_of((const char *)data + 2, size - 2);
    converse(&whole, server, before, bytes, bytes.len);
    converse(&pieces, server, before, bytes, 1 + (size_t)data[1] % 60);
    bool left = whole.closed == CLOSE_SERVER_CLOSED || pieces.closed == CLOSE_SERVER_CLOSED;
    if (!whole.waited && !pieces.waited && !left) {
        check_same(&whole, &pieces);
    }
    return 0;
}
