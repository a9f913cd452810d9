/* h2_conn - see h2_conn.h. Here: its life. */
#include "lbd/http/h2_conn.h"

#include <assert.h>
#include <string.h>

#include "lbd/http/h2_inside.h"

#define READS_PER_TURN 4
#define BYTES_PER_TURN FLOW_SCRATCH_BYTES

static const struct conn_ops h2_conn_ops;
static const struct http_conn_ops h2_http_ops;

static const char drain_ping[8] = {'l', 'b', 'd', ' ', 'e', 'n', 'd', 's'};

struct h2_conn *h2_conn_of(struct http_conn *http)
{
    static_assert(offsetof(struct h2_conn, http) == 0, "the http_conn comes first");
    assert(http->version == STREAM_HTTP2);
    return container_of(http, struct h2_conn, http);
}

struct h2_conn *h2_conn_new(struct conn *conn, enum h2_role role, const struct http_owner *owner,
                            const struct h2_limits *limits, const struct h2_timeouts *timeouts)
{
    struct http_worker *http = loop_slot(conn->loop, LOOP_SLOT_HTTP);
    struct h2_conn *h2 = slab_take(&http->h2_conns);
    if (h2 == NULL) {
        return NULL;
    }
    memset(h2, 0, sizeof(*h2));
    http_conn_init(&h2->http, &h2_http_ops, STREAM_HTTP2);
    hpack_decoder_init(&h2->decoder);
    hpack_encode_init(&h2->encoder);
    for (size_t i = 0; i < H2_URGENCIES; i++) {
        list_init(&h2->waiting[i]);
    }
    list_init(&h2->resumed);
    h2->conn = conn;
    h2->owner = owner;
    h2->limits = *limits;
    h2->timeouts = *timeouts;
    h2->role = (uint8_t)role;
    if (role == H2_SERVER_FACING) {
        h2->has_preface = true; /* a server sends none */
        h2->guard.factor = H2_GUARD_SERVER_FACTOR;
    }
    h2->send_window = H2_WINDOW_INITIAL;
    h2->recv_window = H2_CONN_WINDOW;
    h2->peer_window = H2_WINDOW_INITIAL;
    h2->peer_max_streams = H2_STREAMS_ASSUMED;
    h2->goaway_id = H2_STREAM_ID_MAX;
    h2->next_id = 1;
    conn->user = &h2->http;
    conn->ops = &h2_conn_ops;
    h2->heard_us = loop_now_us(conn->loop);
    h2->input_due_us = loop_now_us(conn->loop) + (uint64_t)timeouts->head_ms * 1000;
    h2_send_greeting(h2);
    h2_conn_set_deadline(h2);
    return h2;
}

uint32_t h2_conn_streams(const struct h2_conn *h2)
{
    return h2->stream_count;
}

uint64_t h2_conn_held(const struct h2_conn *h2)
{
    uint64_t held = 0;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        for (const struct h2_stream *s = h2->streams[i]; s != NULL; s = s->next) {
            held += flow_len(&s->inbox) + flow_len(&s->outbox);
        }
    }
    return held;
}

uint32_t h2_conn_room(const struct h2_conn *h2)
{
    uint32_t most = h2->limits.max_streams < h2->peer_max_streams ? h2->limits.max_streams
                                                                  : h2->peer_max_streams;
    if (h2->is_leaving || h2->drain != H2_DRAIN_NO || h2->failing != CLOSE_OK ||
        h2->next_id > H2_STREAM_ID_MAX - 2 * H2_STREAMS_ASSUMED || h2->stream_count >= most) {
        return 0;
    }
    return most - h2->stream_count;
}

struct stream *h2_conn_open(struct h2_conn *h2)
{
    struct h2_stream *s = h2_stream_new(h2);
    if (s == NULL) {
        return NULL;
    }
    s->has_owner = true;
    h2_stream_enter(s, 0);
    return &s->stream;
}

/* -- the end -- */

/* The connection goes on (or ends) without this object; every stream is gone. */
static void detach(struct h2_conn *h2)
{
    struct conn *conn = h2->conn;
    assert(h2->stream_count == 0);
    if (h2->gone != NULL) {
        *h2->gone = true;
    }
    conn->user = NULL;
    loop_ready_remove(&conn->queue.ready); /* a turn that was asked for is not the next owner's */
    loop_ready_remove(&h2->tidy);
    flow_clear(conn_net(conn), &h2->block);
    hpack_decoder_fini(&h2->decoder);
    slab_give(&h2_worker(h2)->h2_conns, h2);
}

static void close_conn(struct h2_conn *h2, enum close_reason reason, bool linger)
{
    struct conn *conn = h2->conn;
    const struct http_owner *owner = h2->owner;
    detach(h2);
    owner->on_close(conn, reason, linger);
}

/* Why the streams of a connection that is lost end: facing a server it matters whether an answer
 * had begun. */
static enum close_reason reason_of_begun(const struct h2_conn *h2, enum close_reason reason)
{
    return !h2_is_client_facing(h2) && reason == CLOSE_SERVER_RESET ? CLOSE_SERVER_TRUNCATED
                                                                    : reason;
}

static void end_all(struct h2_conn *h2, enum close_reason reason)
{
    h2->is_leaving = true;
    h2_stream_end_all(h2, reason, reason_of_begun(h2, reason));
}

static void say_goaway(struct h2_conn *h2, enum h2_error code)
{
    h2_send_goaway(h2, h2->drain == H2_DRAIN_FINAL ? h2->served_id : h2->last_id, code);
    if (!conn_flush(h2->conn)) {
        return; /* nobody will hear it */
    }
}

void h2_conn_fail(struct h2_conn *h2, enum h2_error code, enum close_reason reason)
{
    if (reason == CLOSE_FLOOD && !h2_is_client_facing(h2)) {
        reason = CLOSE_SERVER_PROTOCOL_ERROR;
    }
    say_goaway(h2, code);
    end_all(h2, reason);
    close_conn(h2, reason, true);
}

bool h2_conn_broken(struct h2_conn *h2, enum h2_error code)
{
    h2_conn_fail(h2, code,
                 h2_is_client_facing(h2) ? CLOSE_PROTOCOL_ERROR : CLOSE_SERVER_PROTOCOL_ERROR);
    return false;
}

bool h2_conn_spend(struct h2_conn *h2, enum h2_guard_kind kind)
{
    if (h2_guard_note(&h2->guard, kind, loop_now_us(h2->conn->loop))) {
        return true;
    }
    h2_conn_fail(h2, H2_ENHANCE_YOUR_CALM,
                 h2_is_client_facing(h2) ? CLOSE_FLOOD : CLOSE_SERVER_PROTOCOL_ERROR);
    return false;
}

static void h2_abort(struct http_conn *http, enum close_reason reason)
{
    struct h2_conn *h2 = h2_conn_of(http);
    end_all(h2, reason);
    close_conn(h2, reason, false);
}

static void h2_leave(struct http_conn *http, enum close_reason reason)
{
    struct h2_conn *h2 = h2_conn_of(http);
    end_all(h2, reason);
    say_goaway(h2, H2_NO_ERROR);
    close_conn(h2, reason, true);
}

/* -- drain (RFC 9113 6.8) -- */

static void h2_drain(struct http_conn *http)
{
    struct h2_conn *h2 = h2_conn_of(http);
    if (h2->drain != H2_DRAIN_NO) {
        return;
    }
    h2->drain = H2_DRAIN_ANNOUNCED;
    h2_conn_tidy_soon(h2);
    if (!h2_is_client_facing(h2)) {
        h2->drain = H2_DRAIN_FINAL; /* a server opens nothing */
        return;
    }
    h2_send_goaway(h2, H2_STREAM_ID_MAX, H2_NO_ERROR);
    h2_send_control(h2, H2_PING, 0, 0, slice_of(drain_ping, sizeof(drain_ping)));
    h2->grace_due_us = loop_now_us(h2->conn->loop) + (uint64_t)H2_DRAIN_GRACE_MS * 1000;
    h2_conn_set_deadline(h2);
}

void h2_conn_drain_final(struct h2_conn *h2)
{
    h2->drain = H2_DRAIN_FINAL;
    h2->grace_due_us = 0;
    h2->served_id = h2->last_id;
    h2_send_goaway(h2, h2->last_id, H2_NO_ERROR);
}

static const struct http_conn_ops h2_http_ops = {
    .abort = h2_abort,
    .leave = h2_leave,
    .drain = h2_drain,
};

/* -- the end of a pass -- */

void h2_conn_fail_later(struct h2_conn *h2, enum close_reason reason)
{
    if (h2->failing == CLOSE_OK) {
        h2->failing = (uint8_t)reason;
    }
    h2_conn_tidy_soon(h2);
}

struct pace_rule h2_conn_read_rule(const struct h2_conn *h2)
{
    struct pace_rule rule = {.idle_ms = h2->timeouts.write_ms};
    if (h2->timeouts.rates != NULL) {
        rule.bytes_per_s = h2->timeouts.rates->read_bytes_per_s;
        rule.grace_ms = h2->timeouts.rates->grace_ms;
    }
    for (size_t i = 0; i < H2_BUCKETS && rule.bytes_per_s != 0; i++) {
        for (const struct h2_stream *s = h2->streams[i]; s != NULL; s = s->next) {
            if (s->stream.idle_ms != 0) {
                rule.bytes_per_s = 0;
            }
        }
    }
    return rule;
}

static enum pace_verdict look_at_output(struct h2_conn *h2)
{
    const struct pace_rule rule = h2_conn_read_rule(h2);
    const struct conn *conn = h2->conn;
    return pace_output_look(&h2->output, &rule, loop_now_us(conn->loop), flow_len(&conn->out),
                            conn_taken(conn, h2->put_bytes));
}

/* False: the peer takes nothing, or too little; the h2_conn is gone. */
static bool output_goes(struct h2_conn *h2)
{
    bool client = h2_is_client_facing(h2);
    switch (look_at_output(h2)) {
    case PACE_GO_ON:
        return true;
    case PACE_IDLE:
        h2_abort(&h2->http, client ? CLOSE_CLIENT_WRITE_TIMEOUT : CLOSE_RESPONSE_TIMEOUT);
        return false;
    case PACE_SLOW:
        h2_abort(&h2->http, CLOSE_READER_TOO_SLOW);
        return false;
    }
    return true;
}

/* The end of a pass. False: the h2_conn is gone. */
static bool note_blocked(struct h2_conn *h2)
{
    size_t waiting = flow_len(&h2->conn->out);
    if (LB_LIKELY(waiting == 0 && !pace_output_waits(&h2->output))) {
        h2->control_waiting = 0;
        return true;
    }
    uint64_t now = loop_now_us(h2->conn->loop);
    if (LB_UNLIKELY(pace_output_is_long(&h2->output, now)) && !output_goes(h2)) {
        return false;
    }
    if (waiting == 0) {
        h2->control_waiting = 0;
        pace_output_rest(&h2->output);
    } else if (!pace_output_waits(&h2->output)) {
        pace_output_wait(&h2->output, now, waiting);
        h2_conn_set_deadline(h2);
    }
    return true;
}

/* Nothing is under way any more. */
static void settle(struct h2_conn *h2)
{
    bool leaves = h2->drain == H2_DRAIN_FINAL || (h2->is_leaving && !h2_is_client_facing(h2));
    if (leaves && !conn_is_blocked(h2->conn)) {
        bool server = !h2_is_client_facing(h2);
        if (server) {
            say_goaway(h2, H2_NO_ERROR);
        }
        close_conn(h2, server ? CLOSE_SERVER_CLOSED : CLOSE_OK, true);
        return;
    }
    if (!h2->is_idle) {
        struct conn *conn = h2->conn;
        h2->is_idle = true;
        h2->owner->on_idle(conn);
        if (conn->user == &h2->http) {
            h2_conn_set_deadline(h2); /* what is due anyway may be sooner */
        }
    }
}

static void on_tidy(struct loop_ready *ready)
{
    struct h2_conn *h2 = container_of(ready, struct h2_conn, tidy);
    if (h2->failing == CLOSE_OK) {
        h2_send_run(h2);
        if (!conn_flush(h2->conn)) {
            h2_conn_fail_later(h2,
                               h2_is_client_facing(h2) ? CLOSE_CLIENT_ABORT : CLOSE_SERVER_RESET);
        }
    }
    if (h2->failing != CLOSE_OK) {
        enum close_reason reason = (enum close_reason)h2->failing;
        if (reason == CLOSE_FLOOD) {
            h2_conn_fail(h2, H2_ENHANCE_YOUR_CALM, reason);
        } else {
            h2_abort(&h2->http, reason);
        }
        return;
    }
    if (note_blocked(h2) && h2->stream_count == 0) {
        settle(h2);
    }
}

void h2_conn_tidy_soon(struct h2_conn *h2)
{
    loop_ready_put(h2->conn->loop, &h2->tidy, on_tidy);
}

/* -- a turn -- */

static void input_ended(struct h2_conn *h2)
{
    bool client = h2_is_client_facing(h2);
    if (h2->stream_count == 0) {
        close_conn(h2, client ? CLOSE_CLIENT_CLOSED : CLOSE_SERVER_CLOSED, false);
        return;
    }
    h2_abort(&h2->http, client ? CLOSE_CLIENT_ABORT : CLOSE_SERVER_RESET);
}

enum read_verdict { READ_MORE, READ_NOTHING, READ_ENDED };

/* Reads after what is pending, contiguous with it. */
static enum read_verdict read_more(struct h2_conn *h2)
{
    struct conn *conn = h2->conn;
    struct net_worker *net = conn_net(conn);
    if (h2->pending.len > 0 && h2->pending.ptr != net->scratch) {
        memmove(net->scratch, h2->pending.ptr, h2->pending.len);
    }
    size_t got;
    enum conn_read_verdict verdict =
        conn_read(conn, net->scratch + h2->pending.len, FLOW_SCRATCH_BYTES, &got);
    h2->pending = slice_of(net->scratch, h2->pending.len + got);
    switch (verdict) {
    case CONN_READ_BYTES:
        h2->heard_us = loop_now_us(conn->loop);
        return READ_MORE;
    case CONN_READ_NOTHING:
        return READ_NOTHING;
    case CONN_READ_END:
    case CONN_READ_FAILED:
        break;
    }
    return READ_ENDED;
}

/* Is something still missed after what came? Half a frame; from a server, also what streams wait
 * for: a server that was reset right behind its last bytes looks as if it were only silent. */
static bool misses_bytes(const struct h2_conn *h2)
{
    return h2->pending.len > 0 || (!h2_is_client_facing(h2) && h2->stream_count > 0);
}

/* Whole frames as long as they come. False: the h2_conn is gone. */
static bool read_frames(struct h2_conn *h2)
{
    struct conn *conn = h2->conn;
    int reads = 0;
    size_t taken = 0;
    for (;;) {
        enum h2_step step = h2->pending.len > 0 ? h2_receive(h2) : H2_STEP_MORE;
        if (step == H2_STEP_GONE) {
            return false;
        }
        if (step == H2_STEP_PAUSE) {
            if (!h2->input_waits) {
                conn_again(conn);
            }
            return true;
        }
        if ((conn->flags & CONN_READ_READY) == 0) {
            if (reads == 0 || !misses_bytes(h2)) {
                return true;
            }
            conn_look_again(conn);
        }
        if (reads++ == READS_PER_TURN || taken >= BYTES_PER_TURN) {
            conn_again(conn); /* the edge is used up: ask for a turn behind the others */
            return true;
        }
        size_t before = h2->pending.len;
        switch (read_more(h2)) {
        case READ_MORE:
            break;
        case READ_NOTHING:
            return true;
        case READ_ENDED:
            input_ended(h2);
            return false;
        }
        taken += h2->pending.len - before;
    }
}

void h2_conn_turn(struct h2_conn *h2)
{
    if (h2->gone != NULL) {
        return;
    }
    struct conn *conn = h2->conn;
    struct net_worker *net = conn_net(conn);
    bool gone = false;
    h2->gone = &gone;
    h2->dispatched = 0;
    h2->input_waits = false;
    h2->pending = SLICE_NONE;
    if (!h2_stream_lend_resumed(h2)) {
        return;
    }
    h2->pending = slice_of(net->scratch, flow_take(net, &conn->in, net->scratch));
    if (!read_frames(h2)) {
        return;
    }
    bool kept = flow_put(net, &conn->in, h2->pending);
    h2->pending = SLICE_NONE;
    h2->gone = NULL;
    if (!kept || (!conn_is_watched(conn) && !conn_watch(conn))) {
        h2_abort(&h2->http, CLOSE_OUT_OF_MEMORY);
    }
}

static void on_readable(struct conn *conn)
{
    h2_conn_turn(h2_of_conn(conn));
}

static void on_room(struct conn *conn)
{
    struct h2_conn *h2 = h2_of_conn(conn);
    h2_conn_tidy_soon(h2);
    if (h2->input_waits) {
        conn_again(conn);
    }
}

/* -- deadlines -- */

static uint64_t sooner(uint64_t due_us, uint64_t other_us)
{
    return other_us != 0 && (due_us == 0 || other_us < due_us) ? other_us : due_us;
}

void h2_conn_set_deadline(struct h2_conn *h2)
{
    uint64_t now = loop_now_us(h2->conn->loop);
    uint64_t due = sooner(h2->input_due_us, h2->grace_due_us);
    if (pace_output_waits(&h2->output)) {
        const struct pace_rule rule = h2_conn_read_rule(h2);
        uint64_t delay_us = (uint64_t)pace_output_delay_ms(&h2->output, &rule, now) * 1000;
        due = sooner(due, now + delay_us);
    }
    if (due != 0) {
        conn_deadline(h2->conn, due > now ? (due - now + 999) / 1000 : 0);
    }
}

static void on_timeout(struct conn *conn)
{
    struct h2_conn *h2 = h2_of_conn(conn);
    uint64_t now = loop_now_us(conn->loop);
    bool client = h2_is_client_facing(h2);
    if (h2->input_due_us != 0 && now >= h2->input_due_us) {
        h2_conn_fail(h2, client ? H2_ENHANCE_YOUR_CALM : H2_SETTINGS_TIMEOUT,
                     client ? CLOSE_HEADER_TIMEOUT : CLOSE_RESPONSE_TIMEOUT); /* R2 */
        return;
    }
    if (pace_output_waits(&h2->output) && !output_goes(h2)) {
        return;
    }
    if (h2->grace_due_us != 0 && now >= h2->grace_due_us) {
        h2_conn_drain_final(h2);
        h2_conn_set_deadline(h2);
        return;
    }
    if ((h2->input_due_us | h2->grace_due_us) != 0 || pace_output_waits(&h2->output)) {
        h2_conn_set_deadline(h2);
    } else if (h2->is_idle) { /* the owner's deadline */
        say_goaway(h2, H2_NO_ERROR);
        close_conn(h2, client ? CLOSE_KEEP_ALIVE_TIMEOUT : CLOSE_IDLE_SURPLUS, true);
    }
}

static const struct conn_ops h2_conn_ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_timeout = on_timeout,
};
