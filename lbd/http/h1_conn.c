/* h1_conn - see h1_conn.h. */
#include "lbd/http/h1_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/http/h1_send.h"
#include "lbd/http/h2_inside.h"
#include "lbd/tls/tls_conn.h"

#define READS_PER_TURN 4
#define BYTES_PER_TURN FLOW_SCRATCH_BYTES
#define INTERIM_MAX    5
/* A usual head and 16 KB. */
#define HEAD_READ_BYTES (20U * 1024)
#define LATE_WATCH_MS   20
#define LEFT_MS         1000

static const struct conn_ops h1_conn_ops;
static const struct http_conn_ops h1_http_ops;
static const struct stream_ops h1_stream_ops;

void http_worker_init(struct http_worker *http)
{
    *http = (struct http_worker){0};
    slab_init(&http->h1_conns, sizeof(struct h1_conn), 64U * 1024);
    slab_init(&http->h2_conns, sizeof(struct h2_conn), 64U * 1024);
    slab_init(&http->h2_streams, sizeof(struct h2_stream), 64U * 1024);
    http->h2_text = mem_alloc(FLOW_HEAD_BYTES);
    http->fields = mem_zero(H1_FIELDS_MAX, sizeof(*http->fields));
}

void http_worker_fini(struct http_worker *http)
{
    slab_fini(&http->h1_conns);
    slab_fini(&http->h2_conns);
    slab_fini(&http->h2_streams);
    free(http->h2_text);
    free(http->fields);
}

static struct http_worker *worker_of(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_HTTP);
}

struct h1_conn *h1_conn_new(struct conn *conn, enum h1_role role, const struct http_owner *owner,
                            const struct h1_limits *limits, const struct h1_timeouts *timeouts)
{
    struct h1_conn *h1 = slab_take(&worker_of(conn)->h1_conns);
    if (h1 == NULL) {
        return NULL;
    }
    memset(h1, 0, offsetof(struct h1_conn, body_pace));
    h1->stream.ops = &h1_stream_ops;
    h1->stream.version = STREAM_HTTP1;
    http_conn_init(&h1->http, &h1_http_ops, STREAM_HTTP1);
    h1->conn = conn;
    h1->owner = owner;
    h1->limits = *limits;
    h1->timeouts = *timeouts;
    h1->role = (uint8_t)role;
    conn->user = &h1->http;
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
    const struct http_owner *owner = h1->owner;
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

static struct h1_conn *h1_of_http(struct http_conn *http)
{
    return container_of(http, struct h1_conn, http);
}

static void abort_conn(struct h1_conn *h1, enum close_reason reason)
{
    end_stream(h1, reason);
    close_conn(h1, reason, false);
}

static void h1_abort(struct http_conn *http, enum close_reason reason)
{
    abort_conn(h1_of_http(http), reason);
}

static void h1_leave_conn(struct http_conn *http, enum close_reason reason)
{
    struct h1_conn *h1 = h1_of_http(http);
    end_stream(h1, reason);
    close_conn(h1, reason, true);
}

static void h1_drain(struct http_conn *http)
{
    h1_of_http(http)->close_after = true;
}

static const struct http_conn_ops h1_http_ops = {
    .abort = h1_abort,
    .leave = h1_leave_conn,
    .drain = h1_drain,
};

void h1_conn_set_timer(struct h1_conn *h1, enum h1_timer timer, uint32_t delay_ms)
{
    h1->timer = (uint8_t)timer;
    conn_deadline(h1->conn, delay_ms);
}

/* -- the least that a client must give and take -- */

static uint32_t body_ms(const struct h1_conn *h1)
{
    return h1->stream.idle_ms != 0 ? h1->stream.idle_ms : h1->timeouts.body_ms;
}

/* A turn has brought `bytes` of a body that we wait for. False: it is too slow. */
static bool body_keeps_pace(struct h1_conn *h1, size_t bytes)
{
    const struct stream_rates *rates = h1->timeouts.rates;
    if (rates == NULL || h1->stream.idle_ms != 0) {
        return true;
    }
    if (!h1->has_body_pace) {
        h1->has_body_pace = true;
        h1->body_pace = (struct pace){0};
    }
    uint64_t now = loop_now_us(h1->conn->loop);
    const struct pace_rule rule = {.bytes_per_s = rates->body_bytes_per_s,
                                   .grace_ms = rates->grace_ms,
                                   .idle_ms = h1->timeouts.body_ms};
    bool keeps = pace_note(&h1->body_pace, &rule, now, bytes);
    pace_wait(&h1->body_pace, now);
    return keeps;
}

static struct pace_rule output_rule(const struct h1_conn *h1)
{
    struct pace_rule rule = {.idle_ms = h1->timeouts.write_ms};
    if (h1->timeouts.rates != NULL && h1->stream.idle_ms == 0) {
        rule.bytes_per_s = h1->timeouts.rates->read_bytes_per_s;
        rule.grace_ms = h1->timeouts.rates->grace_ms;
    }
    return rule;
}

static enum pace_verdict look_at_output(struct h1_conn *h1)
{
    const struct conn *conn = h1->conn;
    const struct pace_rule rule = output_rule(h1);
    return pace_output_look(&h1->output, &rule, loop_now_us(conn->loop), flow_len(&conn->out),
                            conn_taken(conn, h1->stream.sent_bytes));
}

static void set_output_timer(struct h1_conn *h1)
{
    const struct pace_rule rule = output_rule(h1);
    h1_conn_set_timer(h1, TIMER_WRITE,
                      pace_output_delay_ms(&h1->output, &rule, loop_now_us(h1->conn->loop)));
}

void h1_conn_await_room(struct h1_conn *h1)
{
    if (!h1->has_output) {
        h1->has_output = true;
        h1->output = (struct pace_output){0};
    }
    pace_output_wait(&h1->output, loop_now_us(h1->conn->loop), flow_len(&h1->conn->out));
    set_output_timer(h1);
}

/* What waited was sent. False: it took too long, the h1_conn is gone. */
static bool end_waiting(struct h1_conn *h1)
{
    if (pace_output_is_long(&h1->output, loop_now_us(h1->conn->loop)) &&
        look_at_output(h1) == PACE_SLOW) {
        abort_conn(h1, CLOSE_READER_TOO_SLOW);
        return false;
    }
    pace_output_rest(&h1->output);
    h1->timer = TIMER_NONE;
    return true;
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
    const struct http_owner *owner = h1->owner;
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
    h1->stream.idle_ms = 0;
    h1->stream.received_bytes = 0;
    h1->stream.sent_bytes = 0;
    h1->has_body_pace = false;
    h1->has_output = false;
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
    h1->owner->on_bad_request(h1->conn, &h1->stream, reason);
}

/* The first line of HTTP/2's preface is a request line of a version that we do not speak. */
static bool is_preface(const struct h1_conn *h1)
{
    return h1->expects_preface && h1->head.reason == CLOSE_VERSION_NOT_SUPPORTED &&
           slice_starts(h1->pending, SLICE("PRI * HTTP/2.0\r\n"));
}

static void hand_over_preface(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    const struct http_owner *owner = h1->owner;
    if (!flow_put(conn_net(conn), &conn->in, h1->pending)) {
        abort_conn(h1, CLOSE_OUT_OF_MEMORY);
        return;
    }
    detach(h1);
    owner->on_preface(conn);
}

static void take_request(struct h1_conn *h1)
{
    struct http_worker *http = worker_of(h1->conn);
    struct message message;
    message_begin(&message, http->fields, H1_FIELDS_MAX);
    switch (h1_head_request(&h1->head, h1->pending, &h1->limits, &message)) {
    case H1_MORE:
        h1->starved = true;
        return;
    case H1_BAD:
        if (is_preface(h1)) {
            hand_over_preface(h1);
        } else {
            refuse(h1, (enum close_reason)h1->head.reason);
        }
        return;
    case H1_DONE:
        break;
    }
    h1->expects_preface = false;
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
    h1->owner->on_request(h1->conn, &h1->stream, &message);
}

/* -- server-facing -- */

static void fail_response(struct h1_conn *h1, enum close_reason reason)
{
    end_stream(h1, reason);
    close_conn(h1, reason, false);
}

/* An alert of TLS is what a server that expects TLS answers to a request in clear. */
static enum close_reason why_malformed(const struct h1_conn *h1)
{
    bool is_alert = h1->pending.len >= 2 && h1->pending.ptr[0] == 0x15 && h1->pending.ptr[1] == 3;
    return is_alert ? CLOSE_SERVER_SPEAKS_TLS : (enum close_reason)h1->head.reason;
}

static void take_response(struct h1_conn *h1)
{
    struct http_worker *http = worker_of(h1->conn);
    struct message message;
    message_begin(&message, http->fields, H1_FIELDS_MAX);
    h1->began = true;
    switch (h1_head_response(&h1->head, h1->pending, &h1->limits, h1->request_method, &message)) {
    case H1_MORE:
        h1->starved = true;
        return;
    case H1_BAD:
        fail_response(h1, why_malformed(h1));
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
        if (message.framing == FRAMING_TUNNEL) { /* bytes both ways from here on */
            h1->out = OUT_BODY;
            h1->out_framing = FRAMING_TUNNEL;
        }
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

static bool may_end_at_close(const struct h1_conn *h1)
{
    return h1_body_may_end_at_close(&h1->body) || h1->body.framing == FRAMING_TUNNEL;
}

static void input_ended(struct h1_conn *h1, enum conn_read_verdict verdict)
{
    if (h1->role == H1_CLIENT_FACING) {
        if (h1->has_stream) {
            abort_conn(h1, CLOSE_CLIENT_ABORT);
        } else {
            bool partial = h1->pending.len > 0;
            close_conn(h1, partial ? CLOSE_CLIENT_ABORT : CLOSE_CLIENT_CLOSED, false);
        }
        return;
    }
    if (h1->in == IN_BODY && verdict == CONN_READ_END && may_end_at_close(h1)) {
        h1->in = IN_DONE;
        h1->stream.events->on_body(&h1->stream);
        return;
    }
    enum close_reason reason = CLOSE_SERVER_TRUNCATED;
    if (h1->in == IN_HEAD && !h1->began) {
        /* TLS 1.3: it may say what it thinks of our certificate when we have begun */
        reason = tls_conn_was_refused(h1->conn) ? CLOSE_SERVER_TLS_FAILED : CLOSE_SERVER_RESET;
    }
    fail_response(h1, reason);
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

/* A request's body stalls or trickles. When no answer began the exchange makes one: its pull says
 * BAD. */
static void give_up_body(struct h1_conn *h1, enum close_reason reason)
{
    if (h1->out == OUT_HEAD) {
        bool gone = false;
        h1->in = IN_REFUSED;
        h1->body.reason = (uint16_t)reason;
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
    abort_conn(h1, reason);
}

/* `body_bytes`: of a body that was waited for, in this turn. */
static void after_turn(struct h1_conn *h1, size_t body_bytes)
{
    struct conn *conn = h1->conn;
    bool nothing_began =
        h1->in == IN_HEAD && flow_is_empty(&conn->in) && (conn->flags & CONN_READ_READY) == 0;
    if (h1->role == H1_CLIENT_FACING && nothing_began) {
        become_idle(h1);
        return;
    }
    if (!watch_soon(h1)) {
        abort_conn(h1, CLOSE_OUT_OF_MEMORY);
        return;
    }
    /* A client that ended its bytes has closed or half-closed; both look the same. For a second the
     * answer may still begin, for those that half-close; then the client is taken to be gone, for
     * the server should not work for nobody. A reset says so at once. */
    bool waiting = h1->has_stream && !wants_bytes(h1);
    if (h1->role == H1_CLIENT_FACING && waiting && conn_was_reset(conn)) {
        abort_conn(h1, CLOSE_CLIENT_ABORT);
        return;
    }
    bool left = h1->out == OUT_HEAD && (conn->flags & CONN_PEER_CLOSED) != 0;
    if (h1->role == H1_CLIENT_FACING && waiting && left && h1->timer != TIMER_LEFT &&
        h1->timer != TIMER_WRITE) {
        h1_conn_set_timer(h1, TIMER_LEFT, LEFT_MS);
        return;
    }
    if (!wants_bytes(h1)) {
        pace_rest(&h1->body_pace);
        return;
    }
    if (h1->in == IN_BODY) {
        if (body_bytes > 0 && !body_keeps_pace(h1, body_bytes)) {
            give_up_body(h1, CLOSE_BODY_TOO_SLOW);
            return;
        }
        if (h1->timer != TIMER_WRITE) {
            h1_conn_set_timer(h1, TIMER_BODY, body_ms(h1));
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
    bool was_body = h1->in == IN_BODY;
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
        abort_conn(h1, CLOSE_OUT_OF_MEMORY);
        return;
    }
    if (!h1->is_lent) {
        after_turn(h1, was_body ? taken : 0);
    }
}

static void on_readable(struct conn *conn)
{
    h1_conn_turn(h1_of_http(conn->user));
}

static void on_room(struct conn *conn)
{
    struct h1_conn *h1 = h1_of_http(conn->user);
    if (h1->timer == TIMER_WRITE && !end_waiting(h1)) {
        return;
    }
    if (h1->role == H1_CLIENT_FACING && h1->out == OUT_DONE) {
        finish_if_sent(h1);
    } else if (h1->role == H1_SERVER_FACING && h1->out == OUT_DONE && h1->in == IN_HEAD) {
        h1_conn_set_timer(h1, TIMER_HEAD, stream_head_ms(&h1->stream, h1->timeouts.head_ms));
    } else if (h1->has_stream) {
        h1->stream.events->on_room(&h1->stream);
    }
}

static void on_timeout(struct conn *conn)
{
    struct h1_conn *h1 = h1_of_http(conn->user);
    bool client = h1->role == H1_CLIENT_FACING;
    switch ((enum h1_timer)h1->timer) {
    case TIMER_NONE: /* of an earlier state: deadlines are not taken back, only looked at */
        if (!conn_is_watched(conn) && !conn_watch(conn)) {
            abort_conn(h1, CLOSE_OUT_OF_MEMORY);
        }
        return;
    case TIMER_WRITE:
        switch (look_at_output(h1)) {
        case PACE_GO_ON:
            set_output_timer(h1);
            return;
        case PACE_IDLE:
            abort_conn(h1, client ? CLOSE_CLIENT_WRITE_TIMEOUT : CLOSE_RESPONSE_TIMEOUT);
            return;
        case PACE_SLOW:
            abort_conn(h1, CLOSE_READER_TOO_SLOW);
            return;
        }
        return;
    case TIMER_HEAD:
        if (!client) {
            fail_response(h1, CLOSE_RESPONSE_TIMEOUT);
        } else if (h1->in == IN_HEAD) {
            refuse(h1, CLOSE_HEADER_TIMEOUT);
        }
        return;
    case TIMER_LEFT:
        if (h1->has_stream && h1->out == OUT_HEAD) {
            abort_conn(h1, CLOSE_CLIENT_ABORT);
        }
        return;
    case TIMER_BODY:
        if (h1->in != IN_BODY || h1->stream.paused) {
            return;
        }
        if (client) {
            give_up_body(h1, CLOSE_BODY_TIMEOUT);
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
        h1_conn_set_timer(h1, TIMER_HEAD, stream_head_ms(&h1->stream, h1->timeouts.head_ms));
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

/* Server-facing: may the connection be used again (R6)? */
static bool is_reusable(struct h1_conn *h1)
{
    struct conn *conn = h1->conn;
    if (h1->in != IN_DONE || h1->out != OUT_DONE || h1->peer_wants_close || h1->close_after ||
        h1->pending.len > 0 || !flow_is_empty(&conn->in) || !flow_is_empty(&conn->out)) {
        return false;
    }
    settle_readiness(conn);
    return (conn->flags & (CONN_READ_READY | CONN_PEER_CLOSED | CONN_BROKEN | CONN_WRITE_BROKEN |
                           CONN_SHUT)) == 0;
}

static void h1_release(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    h1->has_stream = false;
    if (is_reusable(h1)) {
        become_idle(h1);
    } else {
        close_conn(h1, CLOSE_OK, false);
    }
}

static void h1_leave(struct stream *stream, enum close_reason reason)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    h1->has_stream = false;
    close_conn(h1, reason, true);
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

/* NULL: the kernel does not watch it. */
static struct conn *let_go(struct h1_conn *h1)
{
    if (!conn_is_watched(h1->conn) && !conn_watch(h1->conn)) {
        return NULL;
    }
    h1->is_lent = true;
    h1->conn->flags |= CONN_LENT;
    h1->timer = TIMER_NONE;
    pace_rest(&h1->body_pace);
    pace_output_rest(&h1->output);
    return h1->conn;
}

static struct conn *h1_lend(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    bool is_plain =
        h1->conn->transport == &tcp_transport; /* else splice(2) cannot move its bytes */
    return is_plain ? let_go(h1) : NULL;
}

static struct conn *h1_give(struct stream *stream)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    struct conn *conn = let_go(h1);
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
    h1->conn->user = &h1->http;
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
        h1_conn_await_room(h1);
    }
    if (wants_bytes(h1)) {
        conn_again(h1->conn);
    }
}

static bool h1_is_blocked(const struct stream *stream)
{
    return conn_is_blocked(const_h1_conn_of(stream)->conn);
}

static size_t h1_waiting(const struct stream *stream)
{
    return flow_len(&const_h1_conn_of(stream)->conn->out);
}

static const struct stream_ops h1_stream_ops = {
    .send_head = h1_send_head,
    .send_body = h1_send_body,
    .send_trailers = h1_send_trailers,
    .pull = h1_pull,
    .resume = h1_resume,
    .release = h1_release,
    .leave = h1_leave,
    .reset = h1_reset,
    .opaque_left = h1_opaque_left,
    .lend = h1_lend,
    .take_back = h1_take_back,
    .give = h1_give,
    .is_blocked = h1_is_blocked,
    .waiting = h1_waiting,
};
