/* h2_oracle - see h2_oracle.h. */
#include "tests/unit/h2_oracle.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "lbd/base/err.h"
#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_frame.h"

enum {
    FRAMES_MAX = 64,
    OUT_MAX = 1024 * 1024,
    EVENTS_MAX = 256,
    PASSES = 4, /* of the loop for each frame */
    WINDOW = 1024 * 1024,
    NEVER_MS = 1000 * 1000,
};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* -- what came of a frame -- */

enum outcome_kind { OUTCOME_TAKEN, OUTCOME_REFUSED, OUTCOME_RESET, OUTCOME_ENDED };

struct outcome {
    enum outcome_kind kind; /* the worst of it */
    uint32_t code;
    uint32_t stream_id;
    bool is_answered; /* 4xx or 5xx, and maybe RST_STREAM after it */
};

static void worse(struct outcome *outcome, enum outcome_kind kind, uint32_t code, uint32_t id)
{
    if (kind > outcome->kind) {
        *outcome = (struct outcome){kind, code, id, outcome->is_answered};
    }
    outcome->is_answered = outcome->is_answered || kind == OUTCOME_REFUSED;
}

/* From what a side sent. Heads are answers of 4xx and 5xx: nobody makes others, and requests went
 * before. */
static struct outcome read_outcome(const char *bytes, size_t len)
{
    struct outcome outcome = {OUTCOME_TAKEN, 0, 0, false};
    while (len >= H2_FRAME_HEAD) {
        struct h2_frame frame = h2_frame_read(bytes);
        const char *payload = bytes + H2_FRAME_HEAD;
        must(frame.length <= len - H2_FRAME_HEAD);
        if (frame.type == H2_GOAWAY && h2_frame_u32(payload + 4) != H2_NO_ERROR) {
            worse(&outcome, OUTCOME_ENDED, h2_frame_u32(payload + 4), 0);
        } else if (frame.type == H2_RST_STREAM) {
            worse(&outcome, OUTCOME_RESET, h2_frame_u32(payload), frame.stream_id);
        } else if (frame.type == H2_HEADERS) {
            worse(&outcome, OUTCOME_REFUSED, 0, frame.stream_id);
        }
        bytes = payload + frame.length;
        len -= H2_FRAME_HEAD + frame.length;
    }
    must(len == 0);
    return outcome;
}

/* -- lbd -- */

static struct loop *loop;
static struct net_worker net;
static struct http_worker http;

static struct ours {
    struct conn conn;
    int peer;
    bool closed;
    enum h2_role role;
} ours;

static void stream_on_body(struct stream *stream)
{
    struct stream_piece piece;
    if (stream->ops->pull(stream, &piece) == STREAM_LAST && ours.role == H2_SERVER_FACING) {
        stream->ops->release(stream);
    }
}

static void stream_on_head(struct stream *stream, struct message *message)
{
    must(ours.role == H2_SERVER_FACING);
    if (message->status >= 200) {
        stream_on_body(stream);
    }
}

static void stream_on_other(struct stream *stream)
{
    (void)stream;
}

static void stream_on_end(struct stream *stream, enum close_reason reason)
{
    (void)stream;
    (void)reason;
}

static const struct stream_events stream_events = {
    .on_head = stream_on_head,
    .on_body = stream_on_body,
    .on_room = stream_on_other,
    .on_end = stream_on_end,
};

static void on_request(struct conn *conn, struct stream *stream, struct message *message)
{
    (void)conn;
    (void)message;
    stream->events = &stream_events;
}

static void on_bad_request(struct conn *conn, struct stream *stream, enum close_reason reason)
{
    (void)conn;
    stream->events = &stream_events;
    struct message message = {.status = close_reason_status(reason), .version_minor = 1};
    struct stream_head head = {.message = &message, .framing = FRAMING_NONE, .has_length = true};
    must(stream->ops->send_head(stream, &head, SLICE_NONE, true));
}

static void on_idle(struct conn *conn)
{
    (void)conn;
}

static void on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    (void)reason;
    (void)linger;
    ours.closed = true;
    conn_close(conn);
}

static const struct http_owner owner = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_idle = on_idle,
    .on_close = on_close,
};

static void turn(void)
{
    for (int i = 0; i < PASSES; i++) {
        loop_run_once(loop, 0);
    }
}

static struct outcome ours_take(struct slice bytes)
{
    static char out[OUT_MAX];
    size_t len = 0;
    while (bytes.len > 0) {
        ssize_t sent = send(ours.peer, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            break;
        }
        bytes = slice_from_at(bytes, (size_t)sent);
        turn();
    }
    turn();
    ssize_t got;
    while ((got = recv(ours.peer, out + len, sizeof(out) - len, 0)) > 0) {
        len += (size_t)got;
    }
    struct outcome outcome = read_outcome(out, len);
    must(outcome.kind != OUTCOME_ENDED || ours.closed);
    return outcome;
}

/* The requests of both: GET and, last, HEAD. */
enum { REQUESTS = 4 };

static void ours_ask(struct h2_conn *h2)
{
    static char greeting[OUT_MAX];
    for (int i = 0; i < REQUESTS; i++) {
        bool is_head = i + 1 == REQUESTS;
        struct message message = {
            .method = is_head ? METHOD_HEAD : METHOD_GET,
            .method_text = is_head ? SLICE("HEAD") : SLICE("GET"),
            .authority = SLICE("a"),
            .path = SLICE("/"),
            .version_minor = 1,
        };
        struct stream_head head = {.message = &message, .framing = FRAMING_NONE};
        struct stream *stream = h2_conn_open(h2);
        must(stream != NULL);
        stream->events = &stream_events;
        must(stream->ops->send_head(stream, &head, SLICE_NONE, true));
    }
    turn();
    must(recv(ours.peer, greeting, sizeof(greeting), 0) > 0);
}

static void ours_begin(enum h2_role role)
{
    static const struct h2_limits limits = {.head_bytes = 65536, .fields = 100, .max_streams = 100};
    static const struct h2_timeouts timeouts = {
        .head_ms = NEVER_MS, .body_ms = NEVER_MS, .write_ms = NEVER_MS};
    if (loop == NULL) {
        struct err err;
        loop = loop_new(&err);
        must(loop != NULL);
        net_worker_init(&net);
        loop_slot_set(loop, LOOP_SLOT_NET, &net);
        http_worker_init(&http);
        loop_slot_set(loop, LOOP_SLOT_HTTP, &http);
    }
    int fds[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    ours = (struct ours){.peer = fds[1], .role = role};
    conn_init(&ours.conn, loop, fds[0], NULL);
    struct h2_conn *h2 = h2_conn_new(&ours.conn, role, &owner, &limits, &timeouts);
    must(h2 != NULL);
    h2_conn_turn(h2);
    if (role == H2_SERVER_FACING) {
        ours_ask(h2);
    }
}

static void ours_end(void)
{
    if (!ours.closed) {
        struct http_conn *on = ours.conn.user;
        on->ops->abort(on, CLOSE_SHUTDOWN);
    }
    must(ours.closed);
    (void)close(ours.peer);
    turn(); /* the event's grave */
}

/* -- libnghttp2 -- */

static struct theirs {
    nghttp2_session *session;
} theirs;

static struct outcome theirs_take(struct slice bytes)
{
    static char out[OUT_MAX];
    size_t len = 0;
    ssize_t used = nghttp2_session_mem_recv(theirs.session, (const uint8_t *)bytes.ptr, bytes.len);
    const uint8_t *part;
    ssize_t part_len;
    while ((part_len = nghttp2_session_mem_send(theirs.session, &part)) > 0) {
        must(len + (size_t)part_len <= sizeof(out));
        memcpy(out + len, part, (size_t)part_len);
        len += (size_t)part_len;
    }
    struct outcome outcome = read_outcome(out, len);
    if (used < 0 && outcome.kind != OUTCOME_ENDED) {
        outcome = (struct outcome){OUTCOME_ENDED, H2_PROTOCOL_ERROR, 0, false};
    }
    return outcome;
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                                                \
    }

static void theirs_ask(void)
{
    for (int i = 0; i < REQUESTS; i++) {
        nghttp2_nv fields[] = {
            FIELD(":method", "GET"),
            FIELD(":scheme", "http"),
            FIELD(":authority", "a"),
            FIELD(":path", "/"),
        };
        if (i + 1 == REQUESTS) {
            fields[0] = (nghttp2_nv)FIELD(":method", "HEAD");
        }
        must(nghttp2_submit_request(theirs.session, NULL, fields, ARRAY_LEN(fields), NULL, NULL) >
             0);
    }
}

static void theirs_begin(enum h2_role role)
{
    static const nghttp2_settings_entry as_server[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    static const nghttp2_settings_entry as_client[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    must(nghttp2_session_callbacks_new(&callbacks) == 0);
    must(nghttp2_option_new(&options) == 0);
    nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
    if (role == H2_CLIENT_FACING) {
        must(nghttp2_session_server_new2(&theirs.session, callbacks, NULL, options) == 0);
        must(nghttp2_submit_settings(theirs.session, NGHTTP2_FLAG_NONE, as_server,
                                     ARRAY_LEN(as_server)) == 0);
    } else {
        must(nghttp2_session_client_new2(&theirs.session, callbacks, NULL, options) == 0);
        must(nghttp2_submit_settings(theirs.session, NGHTTP2_FLAG_NONE, as_client,
                                     ARRAY_LEN(as_client)) == 0);
    }
    must(nghttp2_session_set_local_window_size(theirs.session, NGHTTP2_FLAG_NONE, 0, WINDOW) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    if (role == H2_SERVER_FACING) {
        const uint8_t *part;
        theirs_ask();
        while (nghttp2_session_mem_send(theirs.session, &part) > 0) {
        }
    }
}

/* -- both -- */

static bool is_refusal(struct outcome outcome)
{
    return outcome.kind != OUTCOME_TAKEN;
}

/* Streams on which DATA may come. */
struct seen {
    uint32_t open[FRAMES_MAX];
    size_t count;
    uint32_t highest;
};

static bool is_open(const struct seen *seen, uint32_t id)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->open[i] == id) {
            return true;
        }
    }
    return false;
}

static void note_over(struct seen *seen, uint32_t id)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->open[i] == id) {
            seen->open[i] = seen->open[--seen->count];
        }
    }
}

/* The frame was taken, or what came of it is the stream's business alone. */
static void note_frame(struct seen *seen, const struct h2_frame *frame, struct outcome us)
{
    bool has_end = frame->type == H2_HEADERS || frame->type == H2_DATA;
    if (frame->type == H2_HEADERS && frame->stream_id > seen->highest) {
        seen->open[seen->count++] = frame->stream_id;
        seen->highest = frame->stream_id;
    }
    if (us.kind != OUTCOME_TAKEN || frame->type == H2_RST_STREAM ||
        (has_end && (frame->flags & H2_END_STREAM) != 0)) {
        note_over(seen, us.kind != OUTCOME_TAKEN ? us.stream_id : frame->stream_id);
    }
}

/* An error in RFC 7540 5.3.1, of which RFC 9113 knows nothing. */
static bool depends_on_itself(const struct h2_frame *frame, struct slice bytes)
{
    size_t at = H2_FRAME_HEAD + ((frame->flags & H2_PADDED) != 0 ? 1 : 0);
    return frame->type == H2_HEADERS && (frame->flags & H2_WITH_PRIORITY) != 0 &&
           bytes.len >= at + 4 &&
           (h2_frame_u32(bytes.ptr + at) & H2_STREAM_ID_MAX) == frame->stream_id;
}

/* The RFC leaves it open, or lbd is stricter on purpose. */
static bool may_differ(const struct h2_frame *frame, struct slice bytes, const struct seen *seen,
                       struct outcome us, struct outcome them)
{
    if (ours.role == H2_SERVER_FACING && frame->type == H2_HEADERS) {
        if (us.kind == OUTCOME_RESET) {
            return true; /* R4 to R9 */
        }
        static const char length[] = "content-length";
        if (!is_refusal(us) && memmem(bytes.ptr, bytes.len, length, sizeof(length) - 1) != NULL) {
            return true; /* of 0 in an interim answer or a 204: left out, not refused (as HTTP/1) */
        }
    }
    if (ours.role == H2_SERVER_FACING && frame->type == H2_DATA && us.kind == OUTCOME_RESET &&
        (frame->length == 0 || (frame->flags & H2_PADDED) != 0)) {
        return true; /* before the head: libnghttp2 objects to the first byte */
    }
    if (depends_on_itself(frame, bytes)) {
        return true;
    }
    if (frame->type == H2_SETTINGS && (frame->flags & H2_ACK) != 0 && !is_refusal(us)) {
        return true; /* an ACK for nothing: nobody says what it is */
    }
    if (frame->type == H2_SETTINGS && frame->length > H2_SETTING_BYTES &&
        us.kind == OUTCOME_ENDED) {
        return true; /* of a setting that comes twice libnghttp2 looks at the last */
    }
    if (frame->type == H2_GOAWAY && us.kind == OUTCOME_TAKEN) {
        return true; /* a last stream that cannot be: nothing to us, who push nothing */
    }
    if (frame->type == H2_PRIORITY) {
        return true; /* RFC 9113 6.3: libnghttp2 does not look at it */
    }
    if (frame->type == H2_DATA && us.kind == OUTCOME_ENDED && !is_open(seen, frame->stream_id)) {
        return true; /* libnghttp2 does not look at the padding of what it throws away */
    }
    if (frame->type == H2_PRIORITY_UPDATE && us.kind == OUTCOME_ENDED) {
        return true; /* RFC 9218 7.1: libnghttp2 takes one of stream 0 */
    }
    if (us.kind == OUTCOME_ENDED && frame->type == H2_HEADERS &&
        frame->stream_id <= seen->highest) {
        return true; /* RFC 9113 5.1.1: libnghttp2 ignores ids that were skipped or are over */
    }
    if ((us.kind == OUTCOME_ENDED && us.code == H2_ENHANCE_YOUR_CALM) ||
        (them.kind == OUTCOME_ENDED && them.code == H2_ENHANCE_YOUR_CALM)) {
        return true; /* R1 to R3, and limits of libnghttp2 */
    }
    if (us.is_answered && them.kind == OUTCOME_TAKEN) {
        return frame->type == H2_HEADERS || frame->type == H2_CONTINUATION; /* R4 to R10 */
    }
    if (us.kind == OUTCOME_RESET && frame->type == H2_HEADERS &&
        frame->stream_id <= seen->highest) {
        return true; /* trailers: R9 */
    }
    if (us.kind == OUTCOME_RESET && us.code == H2_REFUSED_STREAM) {
        return true;
    }
    /* RFC 9113 5.1: streams that are over; an error of either kind, or nothing when it was us */
    if ((us.code == H2_STREAM_CLOSED && us.kind >= OUTCOME_RESET) ||
        (them.code == H2_STREAM_CLOSED && them.kind >= OUTCOME_RESET)) {
        return true;
    }
    return false;
}

/* Are both errors of the same kind, as far as the RFC says which? */
static bool is_same(const struct h2_frame *frame, struct outcome us, struct outcome them)
{
    if (is_refusal(us) != is_refusal(them)) {
        return false;
    }
    if (us.kind == OUTCOME_ENDED && them.kind == OUTCOME_ENDED) {
        /* libnghttp2 reads a block before its end has come */
        bool in_block = frame->type == H2_HEADERS && (frame->flags & H2_END_HEADERS) == 0;
        /* padding and the like: the RFC says PROTOCOL_ERROR where a size may be wrong, too */
        return us.code == them.code || us.code == H2_FRAME_SIZE_ERROR ||
               them.code == H2_FRAME_SIZE_ERROR || (in_block && them.code == H2_COMPRESSION_ERROR);
    }
    /* what a stream's error is for one may be a connection's for the other (RFC 9113 5.4.2) */
    return true;
}

static void show(const char *who, struct outcome outcome)
{
    static const char *const kinds[] = {"taken", "refused", "reset", "ended"};
    (void)fprintf(stderr, "%s: %s code=%u stream=%u\n", who, kinds[outcome.kind], outcome.code,
                  outcome.stream_id);
}

static void tell(const struct h2_frame *frame, struct outcome us, struct outcome them)
{
    (void)fprintf(stderr, "frame: type=%u flags=0x%x stream=%u length=%u\n", frame->type,
                  frame->flags, frame->stream_id, frame->length);
    show("lbd", us);
    show("libnghttp2", them);
    abort();
}

/* A frame, or a HEADERS and what follows up to its end: a bad field may be refused at once or at
 * the end of the block. What is cut is the last. */
static struct slice next_unit(struct slice rest, bool *is_whole)
{
    size_t len = 0;
    bool in_block = false;
    do {
        if (rest.len - len < H2_FRAME_HEAD) {
            *is_whole = false;
            return rest;
        }
        struct h2_frame frame = h2_frame_read(rest.ptr + len);
        len += H2_FRAME_HEAD + (size_t)frame.length;
        if (len > rest.len) {
            *is_whole = false;
            return rest;
        }
        in_block = (in_block ? frame.type == H2_CONTINUATION : frame.type == H2_HEADERS) &&
                   (frame.flags & H2_END_HEADERS) == 0;
    } while (in_block);
    *is_whole = true;
    return slice_of(rest.ptr, len);
}

void h2_oracle_run(enum h2_role role, struct slice frames)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0"
                                   "\0\0\0\4\1\0\0\0\0";
    struct slice hello = slice_of(settings, sizeof(settings) - 1);
    ours_begin(role);
    theirs_begin(role);
    if (role == H2_CLIENT_FACING) {
        must(ours_take(H2_PREFACE).kind == OUTCOME_TAKEN);
        must(theirs_take(H2_PREFACE).kind == OUTCOME_TAKEN);
    }
    must(ours_take(hello).kind == OUTCOME_TAKEN && theirs_take(hello).kind == OUTCOME_TAKEN);

    struct seen seen = {.highest = role == H2_SERVER_FACING ? 2 * REQUESTS - 1 : 0};
    for (int i = 0; i < FRAMES_MAX && frames.len >= H2_FRAME_HEAD && !ours.closed; i++) {
        struct h2_frame frame = h2_frame_read(frames.ptr);
        bool is_whole;
        struct slice bytes = next_unit(frames, &is_whole);
        struct outcome us = ours_take(bytes);
        struct outcome them = theirs_take(bytes);
        if (!is_whole && !(is_refusal(us) && is_refusal(them))) {
            break; /* lbd refuses some by their heads alone */
        }
        if (!is_same(&frame, us, them)) {
            if (!may_differ(&frame, bytes, &seen, us, them)) {
                tell(&frame, us, them);
            }
            break;
        }
        if (us.kind != them.kind || us.kind == OUTCOME_ENDED || frame.type == H2_GOAWAY) {
            break; /* after a GOAWAY libnghttp2 may listen no more */
        }
        note_frame(&seen, &frame, us);
        frames = slice_from_at(frames, bytes.len);
    }

    nghttp2_session_del(theirs.session);
    ours_end();
}
