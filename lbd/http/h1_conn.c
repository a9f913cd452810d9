/* h1_conn - see h1_conn.h. */
#include "lbd/http/h1_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/http/h1_send.h"
#include "lbd/net/relay.h"

#define READS_PER_TURN 4
#define BYTES_PER_TURN FLOW_SCRATCH_BYTES
#define INTERIM_MAX    5
/* A usual head and 16 KB. */
#define HEAD_READ_BYTES (20U * 1024)
#define LATE_WATCH_MS   20
#define LEFT_MS         1000

static const struct conn_ops h1_conn_ops;
static const struct stream_ops h1_stream_ops;

void http_worker_init(struct http_worker *http)
{
    *http = (struct http_worker){0};
    slab_init(&http->h1_conns, sizeof(struct h1_conn), 64U * 1024);
    http->fields = mem_zero(H1_FIELDS_MAX, sizeof(*http->fields));
}

void http_worker_fini(struct http_worker *http)
{
    slab_fini(&http->h1_conns);
    free(http->fields);
}

static struct http_worker *worker_of(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_HTTP);
}

struct h1_conn *h1_conn_new(struct conn *conn, enum h1_role role, const struct h1_owner *owner,
                            const struct h1_limits *limits, const struct h1_timeouts *timeouts)
{
    struct h1_conn *h1 = slab_take(&worker_of(conn)->h1_conns);
    if (h1 == NULL) {
        return NULL;
    }
    memset(h1, 0, sizeof(*h1));
    h1->stream.ops = &h1_stream_ops;
    h1->stream.is_http1 = true;
    h1->conn = conn;
    h1->owner = owner;
    h1->limits = *limits;
    h1->timeouts = *timeouts;
    h1->role = (uint8_t)role;
    conn->user = h1;
    conn->ops = &h1_conn_ops;
    return h1;
}

/* The connection goes on (or ends) without this object. */
static void detach(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    if (h1->gone != NULL) {
        *h1->gone = true;
    }
    conn->user = NULL;
    conn->flags &= ~(uint32_t)CONN_LENT;
    loop_ready_remove(&conn->queue.ready); /* a turn that was asked for is not the next owner's */
    slab_give(&worker_of(conn)->h1_conns, h1);
}

static void close_conn(struct h1_conn *h1, enum close_reason reason, bool linger)
{
    struct conn *conn = h1->conn;
    const struct h1_owner *owner = h1->owner;
    detach(h1);
    owner->on_close(conn, reason, linger);
}

/* Tells the exchange that its stream is over; it must not touch it afterwards. */
static void end_stream(struct h1_conn *h1, enum close_reason reason)
{
    if (h1->has_stream) {
        h1->has_stream = false;
        h1->stream.events->on_end(&h1->stream, reason);
    }
}

struct h1_conn *h1_conn_on(const struct conn *conn)
{
    return (conn->flags & CONN_LENT) != 0 ? relay_user_before(conn) : conn->user;
}

void h1_conn_abort(struct h1_conn *h1, enum close_reason reason)
{
    end_stream(h1, reason);
    close_conn(h1, reason, false);
}

void h1_conn_leave(struct h1_conn *h1, enum close_reason reason)
{
    end_stream(h1, reason);
    close_conn(h1, reason, true);
}

void h1_conn_set_timer(struct h1_conn *h1, enum h1_timer timer, uint32_t delay_ms)
{
    h1->timer = (uint8_t)timer;
    conn_deadline(h1->conn, delay_ms);
}

static void consume(struct h1_conn *h1, size_t len)
{
    h1->pending = slice_from_at(h1->pending, len);
    h1->stream.received_bytes += len;
}

/* -- client-facing: from one request to the next -- */

static bool bytes_may_follow(const struct h1_conn *h1)
{
    return h1->in != IN_DONE || h1->pending.len > 0 || !flow_is_empty(&h1->conn->in) ||
           (h1->conn->flags & CONN_READ_READY) != 0;
}

static void become_idle(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    const struct h1_owner *owner = h1->owner;
    detach(h1);
    owner->on_idle(conn);
}

/* Both messages are through and sent: on to the next request. */
static void finish_if_sent(struct h1_conn *h1)
{
    if (h1->out != OUT_DONE || conn_is_blocked(h1->conn)) {
        return;
    }
    end_stream(h1, CLOSE_OK);
    if (h1->close_after || h1->in != IN_DONE) {
        close_conn(h1, CLOSE_OK, bytes_may_follow(h1));
        return;
    }
    h1->in = IN_HEAD;
    h1->out = OUT_HEAD;
    h1->timer = TIMER_NONE;
    h1->began = false;
    h1->starved = false;
    h1->stream.paused = false;
    h1->stream.want_framed = false;
    h1->stream.received_bytes = 0;
    h1->stream.sent_bytes = 0;
    h1_head_init(&h1->head);
    if (h1->gone != NULL) {
        return; /* the turn goes on with what is there */
    }
    if (!flow_is_empty(&h1->conn->in) || (h1->conn->flags & CONN_READ_READY) != 0) {
        conn_again(h1->conn);
    } else {
        become_idle(h1);
    }
}

static void refuse(struct h1_conn *h1, enum close_reason reason)
{
    h1->in = IN_REFUSED;
    h1->close_after = true;
    h1->has_stream = true;
    h1->stream.paused = true;
    h1->owner->on_bad_request(h1, reason);
}

static void take_request(struct h1_conn *h1)
{
    struct http_worker *http = worker_of(h1->conn);
    struct message message = {.headers = {.list = http->fields, .capacity = H1_FIELDS_MAX}};
    switch (h1_head_request(&h1->head, h1->pending, &h1->limits, &message)) {
    case H1_MORE:
        h1->starved = true;
        return;
    case H1_BAD:
        refuse(h1, (enum close_reason)h1->head.reason);
        return;
    case H1_DONE:
        break;
    }
    consume(h1, message.head_len);
    h1->peer_http10 = message.version_minor == 0;
    h1->peer_wants_close = message.wants_close;
    h1->request_method = message.method;
    bool has_body = message.framing == FRAMING_CHUNKED ||
                    (message.framing == FRAMING_LENGTH && message.content_length > 0);
    h1_body_init(&h1->body, has_body ? message.framing : FRAMING_NONE, message.content_length,
                 H1_BODY_DECODED, false);
    h1->in = has_body ? IN_BODY : IN_DONE;
    h1->has_stream = true;
    h1->timer = TIMER_NONE;
    h1->owner->on_request(h1, &message);
}

/* -- server-facing -- */

static void fail_response(struct h1_conn *h1, enum close_reason reason)
{
    end_stream(h1, reason);
    close_conn(h1, reason, false);
}

static void take_response(struct h1_conn *h1)
{
    struct http_worker *http = worker_of(h1->conn);
    struct message message = {.headers = {.list = http->fields, .capacity = H1_FIELDS_MAX}};
    h1->began = true;
    switch (h1_head_response(&h1->head, h1->pending, &h1->limits, h1->request_method, &message)) {
    case H1_MORE:
        h1->starved = true;
        return;
    case H1_BAD:
        fail_response(h1, (enum close_reason)h1->head.reason);
        return;
    case H1_DONE:
        break;
    }
    consume(h1, message.head_len);
    bool interim = message.status < 200 && message.status != 101;
    if (interim) {
        h1_head_init(&h1->head);
        if (++h1->interim > INTERIM_MAX) {
            fail_response(h1, CLOSE_TOO_MANY_INTERIM);
            return;
        }
    } else {
        if (message.framing == FRAMING_LENGTH && message.content_length == 0) {
            message.framing = FRAMING_NONE;
        }
        h1_body_init(&h1->body, message.framing, message.content_length, H1_BODY_DECODED, true);
        h1->in = message.framing == FRAMING_NONE ? IN_DONE : IN_BODY;
        if (h1->timer == TIMER_HEAD) {
            h1->timer = TIMER_NONE; /* the body may wait for a slow client */
        }
        h1->peer_wants_close = message.wants_close || message.framing == FRAMING_UNTIL_CLOSE;
    }
    h1->stream.events->on_head(&h1->stream, &message);
}

/* -- a turn -- */

static bool wants_bytes(const struct h1_conn *h1)
{
    return h1->in == IN_HEAD || (h1->in == IN_BODY && !h1->stream.paused);
}

static void step(struct h1_conn *h1)
{
    if (h1->in == IN_HEAD) {
        if (h1->role == H1_CLIENT_FACING) {
            take_request(h1);
        } else {
            take_response(h1);
        }
        return;
    }
    const bool *gone = h1->gone; /* outlives h1: it is the turn's */
    size_t before = h1->pending.len;
    h1->stream.events->on_body(&h1->stream);
    if (*gone) {
        return;
    }
    if (h1->in == IN_BODY && h1->pending.len == before && !h1->starved) {
        h1->stream.paused = true; /* not wanted now */
    }
}

static void input_ended(struct h1_conn *h1, enum conn_read_verdict verdict)
{
    if (h1->role == H1_CLIENT_FACING) {
        if (h1->has_stream) {
            h1_conn_abort(h1, CLOSE_CLIENT_ABORT);
        } else {
            bool partial = h1->pending.len > 0;
            close_conn(h1, partial ? CLOSE_CLIENT_ABORT : CLOSE_CLIENT_CLOSED, false);
        }
        return;
    }
    if (h1->in == IN_BODY && verdict == CONN_READ_END && h1_body_may_end_at_close(&h1->body)) {
        h1->in = IN_DONE;
        h1->stream.events->on_body(&h1->stream);
        return;
    }
    fail_response(h1,
                  h1->in == IN_HEAD && !h1->began ? CLOSE_SERVER_RESET : CLOSE_SERVER_TRUNCATED);
}

/* Reads after what is pending, contiguous with it. False: nothing (more) to go on with. */
static bool read_more(struct h1_conn *h1, struct net_worker *net)
{
    struct conn *conn = h1->conn;
    if (h1->pending.len > 0 && h1->pending.ptr != net->scratch) {
        memmove(net->scratch, h1->pending.ptr, h1->pending.len);
    }
    /* Little before the head of an answer is known: a large body then goes by splice nearly whole,
     * and a slow client leaves nothing here that it does not take. */
    bool head = h1->role == H1_SERVER_FACING && h1->in == IN_HEAD;
    size_t got;
    enum conn_read_verdict verdict = conn_read(conn, net->scratch + h1->pending.len,
                                               head ? HEAD_READ_BYTES : FLOW_SCRATCH_BYTES, &got);
    if (verdict == CONN_READ_BYTES) {
        h1->pending = slice_of(net->scratch, h1->pending.len + got);
        h1->starved = false;
        return true;
    }
    h1->pending = slice_of(net->scratch, h1->pending.len);
    if (verdict != CONN_READ_NOTHING) {
        input_ended(h1, verdict);
    }
    return false;
}

/* A client that is served at once is never watched; one that waits is, soon, so that its going away
 * is seen. */
static bool watch_soon(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    if (LB_LIKELY(conn_is_watched(conn))) {
        return true;
    }
    if (wants_bytes(h1)) {
        return conn_watch(conn);
    }
    if (h1->timer == TIMER_NONE) {
        conn_deadline(conn, LATE_WATCH_MS);
    }
    return true;
}

static void after_turn(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    bool nothing_began =
        h1->in == IN_HEAD && flow_is_empty(&conn->in) && (conn->flags & CONN_READ_READY) == 0;
    if (h1->role == H1_CLIENT_FACING && nothing_began) {
        become_idle(h1);
        return;
    }
    if (!watch_soon(h1)) {
        h1_conn_abort(h1, CLOSE_OUT_OF_MEMORY);
        return;
    }
    /* A client that ended its bytes has closed or half-closed; both look the same. For a second the
     * answer may still begin, for those that half-close; then the client is taken to be gone, for
     * the server should not work for nobody. A reset says so at once. */
    bool waiting = h1->has_stream && !wants_bytes(h1);
    if (h1->role == H1_CLIENT_FACING && waiting && conn_was_reset(conn)) {
        h1_conn_abort(h1, CLOSE_CLIENT_ABORT);
        return;
    }
    bool left = h1->out == OUT_HEAD && (conn->flags & CONN_PEER_CLOSED) != 0;
    if (h1->role == H1_CLIENT_FACING && waiting && left && h1->timer != TIMER_LEFT &&
        h1->timer != TIMER_WRITE) {
        h1_conn_set_timer(h1, TIMER_LEFT, LEFT_MS);
        return;
    }
    if (!wants_bytes(h1)) {
        return;
    }
    if (h1->in == IN_BODY) {
        if (h1->timer != TIMER_WRITE) {
            h1_conn_set_timer(h1, TIMER_BODY, h1->timeouts.body_ms);
        }
    } else if (h1->role == H1_CLIENT_FACING && h1->timer != TIMER_HEAD) {
        h1_conn_set_timer(h1, TIMER_HEAD, h1->timeouts.head_ms);
    }
}

void h1_conn_turn(struct h1_conn *h1)
{
    if (h1->is_lent || h1->gone != NULL) {
        return;
    }
    struct conn *conn = h1->conn;
    struct net_worker *net = conn_net(conn);
    bool gone = false;
    int reads = 0;
    size_t taken = 0;
    h1->gone = &gone;
    h1->pending = SLICE_NONE;
    if (wants_bytes(h1)) {
        h1->pending = slice_of(net->scratch, flow_take(net, &conn->in, net->scratch));
    }
    while (wants_bytes(h1) && !h1->is_lent) {
        if (h1->pending.len == 0 || h1->starved) {
            if ((conn->flags & CONN_READ_READY) == 0) {
                if (reads == 0 || (h1->in == IN_HEAD && h1->pending.len == 0)) {
                    break; /* between two messages: the usual case costs no further read */
                }
                conn_look_again(conn);
            }
            if (reads++ == READS_PER_TURN || taken >= BYTES_PER_TURN) {
                conn_again(conn); /* the edge is used up: ask for a turn behind the others */
                break;
            }
            size_t before = h1->pending.len;
            bool more = read_more(h1, net);
            if (gone) {
                return;
            }
            if (!more) {
                break;
            }
            taken += h1->pending.len - before;
        }
        step(h1);
        if (gone) {
            return;
        }
    }
    if (h1->role == H1_SERVER_FACING && h1->in == IN_HEAD && h1->pending.len > 0) {
        h1->began = true;
    }
    bool kept = flow_put(net, &conn->in, h1->pending);
    h1->pending = SLICE_NONE;
    h1->gone = NULL;
    if (!kept) {
        h1_conn_abort(h1, CLOSE_OUT_OF_MEMORY);
        return;
    }
    if (!h1->is_lent) {
        after_turn(h1);
    }
}

static void on_readable(struct conn *conn)
{
    h1_conn_turn(conn->user);
}

static void on_room(struct conn *conn)
{
    struct h1_conn *h1 = conn->user;
    if (h1->timer == TIMER_WRITE) {
        h1->timer = TIMER_NONE;
    }
    if (h1->role == H1_CLIENT_FACING && h1->out == OUT_DONE) {
        finish_if_sent(h1);
    } else if (h1->role == H1_SERVER_FACING && h1->out == OUT_DONE && h1->in == IN_HEAD) {
        h1_conn_set_timer(h1, TIMER_HEAD, h1->timeouts.head_ms);
    } else if (h1->has_stream) {
        h1->stream.events->on_room(&h1->stream);
    }
}

/* A request's body stalls. When no answer began the exchange makes one: its pull says BAD. */
static void body_stalled(struct h1_conn *h1)
{
    if (h1->out == OUT_HEAD) {
        bool gone = false;
        h1->in = IN_REFUSED;
        h1->body.reason = CLOSE_BODY_TIMEOUT;
        h1->gone = &gone;
        h1->stream.events->on_body(&h1->stream);
        if (gone) {
            return;
        }
        h1->gone = NULL;
        if (h1->out != OUT_HEAD) {
            return; /* the answer is on its way */
        }
    }
    h1_conn_abort(h1, CLOSE_BODY_TIMEOUT);
}

static void on_timeout(struct conn *conn)
{
    struct h1_conn *h1 = conn->user;
    bool client = h1->role == H1_CLIENT_FACING;
    switch ((enum h1_timer)h1->timer) {
    case TIMER_NONE: /* of an earlier state: deadlines are not taken back, only looked at */
        if (!conn_is_watched(conn) && !conn_watch(conn)) {
            h1_conn_abort(h1, CLOSE_OUT_OF_MEMORY);
        }
        return;
    case TIMER_WRITE: {
        size_t waiting = flow_len(&conn->out);
        if (waiting < h1->blocked_len) {
            h1->blocked_len = waiting; /* slowly, but it goes */
            conn_deadline(conn, h1->timeouts.write_ms);
            return;
        }
        h1_conn_abort(h1, client ? CLOSE_CLIENT_WRITE_TIMEOUT : CLOSE_RESPONSE_TIMEOUT);
        return;
    }
    case TIMER_HEAD:
        if (!client) {
            fail_response(h1, CLOSE_RESPONSE_TIMEOUT);
        } else if (h1->in == IN_HEAD) {
            refuse(h1, CLOSE_HEADER_TIMEOUT);
        }
        return;
    case TIMER_LEFT:
        if (h1->has_stream && h1->out == OUT_HEAD) {
            h1_conn_abort(h1, CLOSE_CLIENT_ABORT);
        }
        return;
    case TIMER_BODY:
        if (h1->in != IN_BODY || h1->stream.paused) {
            return;
        }
        if (client) {
            body_stalled(h1);
        } else {
            fail_response(h1, CLOSE_SERVER_IDLE_TIMEOUT);
        }
        return;
    }
}

static const struct conn_ops h1_conn_ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_timeout = on_timeout,
};

/* -- what h1_send.c leaves to us -- */

bool h1_conn_out_done(struct h1_conn *h1)
{
    h1->out = OUT_DONE;
    if (h1->role == H1_CLIENT_FACING) {
        finish_if_sent(h1);
    } else if (!conn_is_blocked(h1->conn) && h1->in == IN_HEAD) {
        h1_conn_set_timer(h1, TIMER_HEAD, h1->timeouts.head_ms);
    }
    return true;
}

/* -- the rest of the seam -- */

static const struct h1_conn *const_h1_conn_of(const struct stream *stream)
{
    static_assert(offsetof(struct h1_conn, stream) == 0, "the stream comes first");
    return (const struct h1_conn *)(const void *)stream;
}

static enum stream_pull h1_pull(struct stream *stream, struct stream_piece *piece)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    *piece = (struct stream_piece){0};
    if (h1->in == IN_REFUSED) {
        piece->reason = (enum close_reason)h1->body.reason;
        return STREAM_BAD;
    }
    if (h1->in != IN_BODY || h1->gone == NULL) {
        return h1->in == IN_DONE ? STREAM_LAST : STREAM_MORE; /* bytes are lent in a turn only */
    }
    if (stream->want_framed) {
        h1->body.mode = H1_BODY_FRAMED;
    }
    struct h1_body_piece got;
    enum h1_verdict verdict =
        h1_body_feed(&h1->body, (char *)(uintptr_t)h1->pending.ptr, h1->pending.len, &got);
    consume(h1, got.consumed);
    piece->bytes = got.out;
    piece->trailers = got.trailers;
    switch (verdict) {
    case H1_MORE:
        h1->starved = true;
        return STREAM_MORE;
    case H1_BAD:
        h1->in = IN_REFUSED;
        h1->close_after = true;
        piece->reason = (enum close_reason)h1->body.reason;
        return STREAM_BAD;
    case H1_DONE:
        break;
    }
    h1->in = IN_DONE;
    h1->starved = false;
    if (h1->timer == TIMER_BODY) {
        h1->timer = TIMER_NONE;
    }
    return STREAM_LAST;
}

static void h1_resume(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    stream->paused = false;
    if (!h1->is_lent && h1->gone == NULL) {
        conn_again(h1->conn);
    }
}

static void h1_reset(struct stream *stream, enum close_reason reason)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    h1->has_stream = false;
    close_conn(h1, reason, false);
}

static uint64_t h1_opaque_left(const struct stream *stream)
{
    const struct h1_conn *h1 = const_h1_conn_of(stream);
    if (h1->in != IN_BODY || h1->pending.len > 0 || !flow_is_empty(&h1->conn->in) ||
        h1->conn->transport != &tcp_transport) {
        return 0;
    }
    return h1_body_opaque_left(&h1->body);
}

static struct conn *h1_lend(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    if (h1->conn->transport != &tcp_transport ||
        (!conn_is_watched(h1->conn) && !conn_watch(h1->conn))) {
        return NULL;
    }
    h1->is_lent = true;
    h1->conn->flags |= CONN_LENT;
    h1->timer = TIMER_NONE;
    return h1->conn;
}

static struct conn *h1_give(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    struct conn *conn = h1_lend(stream);
    if (conn != NULL) {
        bool kept = flow_put(conn_net(conn), &conn->in, h1->pending);
        if (!kept) {
            conn->flags |= CONN_BROKEN;
        }
        h1->has_stream = false;
        detach(h1);
    }
    return conn;
}

static void h1_take_back(struct stream *stream, uint64_t received, uint64_t sent)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    h1->is_lent = false;
    h1->conn->flags &= ~(uint32_t)CONN_LENT;
    h1->conn->ops = &h1_conn_ops;
    h1->conn->user = h1;
    h1->stream.received_bytes += received;
    h1->stream.sent_bytes += sent;
    if (received > 0 && h1->in == IN_BODY && h1_body_skip(&h1->body, received)) {
        h1->in = IN_DONE;
    }
    if (sent > 0 && h1->out == OUT_BODY && h1->out_framing == FRAMING_LENGTH) {
        assert(sent <= h1->out_left);
        h1->out_left -= sent;
        if (h1->out_left == 0) {
            bool is_client = h1->role == H1_CLIENT_FACING;
            (void)h1_conn_out_done(h1);
            if (is_client) {
                return; /* it may be gone */
            }
        }
    }
    if (conn_is_blocked(h1->conn)) {
        h1->blocked_len = flow_len(&h1->conn->out);
        h1_conn_set_timer(h1, TIMER_WRITE, h1->timeouts.write_ms);
    }
    if (wants_bytes(h1)) {
        conn_again(h1->conn);
    }
}

static bool h1_is_blocked(const struct stream *stream)
{
    return conn_is_blocked(const_h1_conn_of(stream)->conn);
}

static const struct stream_ops h1_stream_ops = {
    .send_head = h1_send_head,
    .send_body = h1_send_body,
    .send_trailers = h1_send_trailers,
    .pull = h1_pull,
    .resume = h1_resume,
    .reset = h1_reset,
    .opaque_left = h1_opaque_left,
    .lend = h1_lend,
    .take_back = h1_take_back,
    .give = h1_give,
    .is_blocked = h1_is_blocked,
};

/* After a read that was exact nobody knows whether more has come: one more read tells. */
static void settle_readiness(struct conn *conn)
{
    char byte;
    size_t got;
    if ((conn->flags & CONN_READ_READY) != 0 &&
        conn_read(conn, &byte, sizeof(byte), &got) == CONN_READ_BYTES) {
        conn->flags |= CONN_READ_READY; /* a byte that nobody asked for: not to be used again */
    }
}

bool h1_conn_release(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    bool reusable = h1->in == IN_DONE && h1->out == OUT_DONE && !h1->peer_wants_close &&
                    !h1->close_after && h1->pending.len == 0 && flow_is_empty(&conn->in) &&
                    flow_is_empty(&conn->out);
    if (reusable) {
        settle_readiness(conn);
        reusable = (conn->flags & (CONN_READ_READY | CONN_PEER_CLOSED | CONN_BROKEN |
                                   CONN_WRITE_BROKEN | CONN_SHUT)) == 0;
    }
    h1->has_stream = false;
    detach(h1);
    return reusable;
}
