/*
 * h2_stream - the streams of an h2_conn: begin, what they lend, end. See h2_inside.h.
 *
 * Threads: worker.
 */
#include <assert.h>
#include <string.h>

#include "lbd/http/h2_inside.h"

static const struct stream_ops h2_stream_ops;

/* -- begin and end -- */

static struct h2_stream **bucket_of(struct h2_conn *h2, uint32_t id)
{
    return &h2->streams[(id >> 1) % H2_BUCKETS];
}

struct h2_stream *h2_stream_new(struct h2_conn *h2)
{
    struct h2_stream *s = slab_take(&h2_worker(h2)->h2_streams);
    if (s == NULL) {
        return NULL;
    }
    memset(s, 0, sizeof(*s));
    s->stream.ops = &h2_stream_ops;
    s->stream.version = STREAM_HTTP2;
    s->h2 = h2;
    s->send_window = h2->peer_window;
    s->recv_window = H2_STREAM_WINDOW;
    s->in_left = H2_NO_LENGTH;
    s->out_left = H2_NO_LENGTH;
    s->urgency = H2_URGENCY_USUAL;
    h2->stream_count++;
    h2->is_idle = false;
    return s;
}

void h2_stream_enter(struct h2_stream *s, uint32_t id)
{
    struct h2_stream **bucket = bucket_of(s->h2, id);
    s->id = id;
    s->next = *bucket;
    *bucket = s;
}

struct h2_stream *h2_stream_find(const struct h2_conn *h2, uint32_t id)
{
    struct h2_stream *s = h2->streams[(id >> 1) % H2_BUCKETS];
    while (s != NULL && s->id != id) {
        s = s->next;
    }
    return s;
}

#define RECENT_WAS_OPEN (UINT32_C(1) << 31)

void h2_stream_note_recent(struct h2_conn *h2, uint32_t id, bool was_open)
{
    h2->recent[h2->recent_at++ % H2_RECENT] = id | (was_open ? RECENT_WAS_OPEN : 0);
    if (was_open) {
        h2_guard_earn_reset(&h2->guard);
    }
}

enum h2_recent h2_stream_recent(const struct h2_conn *h2, uint32_t id)
{
    for (size_t i = 0; i < H2_RECENT; i++) {
        if ((h2->recent[i] & ~RECENT_WAS_OPEN) == id) {
            return h2->recent[i] == id ? H2_RECENT_ENDED : H2_RECENT_RESET;
        }
    }
    return H2_RECENT_NONE;
}

void h2_stream_leave(struct h2_stream *s)
{
    struct h2_stream **link = bucket_of(s->h2, s->id);
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
}

/* Has the peer not said its last on it? */
static bool in_is_open(const struct h2_stream *s)
{
    return s->in == H2_IN_HEAD || s->in == H2_IN_BODY || s->in == H2_IN_REFUSED;
}

static void discard_lent(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    if (h2->lender == s) {
        h2->lender = NULL;
        if (!h2->lent_taken) {
            h2_stream_give_credit(s, h2->lent.len);
        }
    }
    if (h2->beginner == s) {
        h2->beginner = NULL;
    }
}

void h2_stream_free(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    struct net_worker *net = conn_net(h2->conn);
    if (s->id != 0) {
        h2_stream_note_recent(h2, s->id, in_is_open(s));
    }
    h2_stream_leave(s);
    s->in = H2_IN_DONE; /* credit is the connection's alone from here on */
    discard_lent(s);
    h2_stream_give_credit(s, flow_len(&s->inbox) - s->in_trailers);
    list_remove(&s->send_link);
    list_remove(&s->resume_link);
    loop_timer_stop(&s->timer);
    flow_clear(net, &s->inbox);
    flow_clear(net, &s->outbox);
    slab_give(&h2_worker(h2)->h2_streams, s);
    assert(h2->stream_count > 0);
    if (--h2->stream_count == 0) {
        h2_conn_tidy_soon(h2);
    }
}

void h2_stream_end(struct h2_stream *s, enum close_reason reason)
{
    if (s->has_owner) {
        s->has_owner = false;
        s->stream.events->on_end(&s->stream, reason);
    }
    h2_stream_free(s);
}

bool h2_stream_fail(struct h2_stream *s, enum h2_error code, enum close_reason reason)
{
    struct h2_conn *h2 = s->h2;
    h2_send_reset(h2, s->id, code);
    h2_stream_end(s, reason);
    if (h2_is_client_facing(h2) && code != H2_NO_ERROR &&
        !h2_guard_note(&h2->guard, H2_GUARD_RESET, loop_now_us(h2->conn->loop))) {
        h2_conn_fail(h2, H2_ENHANCE_YOUR_CALM, CLOSE_FLOOD);
        return false;
    }
    return true;
}

void h2_stream_end_all(struct h2_conn *h2, enum close_reason reason, enum close_reason begun)
{
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        while (h2->streams[i] != NULL) {
            struct h2_stream *s = h2->streams[i];
            h2_stream_end(s, s->in == H2_IN_HEAD ? reason : begun);
        }
    }
}

/* -- deadlines -- */

static void on_timer(struct loop_timer *timer);

void h2_stream_set_timer(struct h2_stream *s, enum h2_timer timer, uint32_t delay_ms)
{
    s->timer_for = (uint8_t)timer;
    loop_timer_set(s->h2->conn->loop, &s->timer, delay_ms, on_timer);
}

void h2_stream_want_body(struct h2_stream *s)
{
    if (s->in == H2_IN_BODY && s->timer_for != H2_TIMER_WRITE) {
        uint32_t idle_ms = s->stream.idle_ms != 0 ? s->stream.idle_ms : s->h2->timeouts.body_ms;
        h2_stream_set_timer(s, H2_TIMER_BODY, idle_ms);
    }
}

struct pace_rule h2_stream_read_rule(const struct h2_stream *s)
{
    const struct h2_timeouts *timeouts = &s->h2->timeouts;
    struct pace_rule rule = {.idle_ms = timeouts->write_ms};
    if (timeouts->rates != NULL && s->stream.idle_ms == 0) {
        rule.bytes_per_s = timeouts->rates->read_bytes_per_s;
        rule.grace_ms = timeouts->rates->grace_ms;
    }
    return rule;
}

/* `bytes` came of a body that was waited for. False: it is too slow. */
static bool body_keeps_pace(struct h2_stream *s, size_t bytes)
{
    const struct stream_rates *rates = s->h2->timeouts.rates;
    if (rates == NULL || s->stream.idle_ms != 0) {
        return true;
    }
    uint64_t now = loop_now_us(s->h2->conn->loop);
    const struct pace_rule rule = {.bytes_per_s = rates->body_bytes_per_s,
                                   .grace_ms = rates->grace_ms,
                                   .idle_ms = s->h2->timeouts.body_ms};
    if (s->h2->recv_window < H2_FRAME_MAX) {
        pace_rest(&s->body_pace); /* others hold the connection's window: it could not send */
    }
    bool keeps = pace_note(&s->body_pace, &rule, now, bytes);
    pace_wait(&s->body_pace, now);
    return keeps;
}

/* A request's body stalls or trickles. When no answer began the exchange makes one: its pull says
 * BAD. False: the connection is gone. */
static bool give_up_body(struct h2_stream *s, enum close_reason reason)
{
    struct h2_conn *h2 = s->h2;
    uint32_t id = s->id;
    if (s->out == H2_OUT_HEAD && s->has_owner) {
        s->in = H2_IN_REFUSED;
        s->refusal = (uint8_t)reason;
        s->stream.events->on_body(&s->stream);
        s = h2_stream_find(h2, id);
        if (s == NULL || s->out != H2_OUT_HEAD) {
            return true;
        }
    }
    return h2_stream_fail(s, H2_NO_ERROR, reason);
}

/* A server that said nothing at all since the request may be gone without a word: nothing more is
 * sent its way. */
static void leave_if_dead(struct h2_conn *h2)
{
    uint64_t silent_us = loop_now_us(h2->conn->loop) - h2->heard_us;
    if (silent_us >= (uint64_t)h2->timeouts.head_ms * 1000) {
        h2->is_leaving = true;
        h2_conn_tidy_soon(h2);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct h2_stream *s = container_of(timer, struct h2_stream, timer);
    struct h2_conn *h2 = s->h2;
    bool client = h2_is_client_facing(h2);
    switch ((enum h2_timer)s->timer_for) {
    case H2_TIMER_NONE:
        return;
    case H2_TIMER_WRITE: {
        size_t waiting = flow_len(&s->outbox);
        if (waiting == 0) {
            s->timer_for = H2_TIMER_NONE;
            return;
        }
        if (waiting < s->blocked_len) { /* slowly, but it goes */
            if (!h2_send_window_granted(s, 0)) {
                (void)h2_stream_fail(s, H2_ENHANCE_YOUR_CALM, CLOSE_READER_TOO_SLOW);
                return;
            }
            s->blocked_len = waiting;
            h2_stream_set_timer(s, H2_TIMER_WRITE, h2->timeouts.write_ms);
            return;
        }
        (void)h2_stream_fail(s, H2_CANCEL,
                             client ? CLOSE_CLIENT_WRITE_TIMEOUT : CLOSE_RESPONSE_TIMEOUT);
        return;
    }
    case H2_TIMER_HEAD:
        if (s->in == H2_IN_HEAD) {
            leave_if_dead(h2);
            (void)h2_stream_fail(s, H2_CANCEL, CLOSE_RESPONSE_TIMEOUT);
        }
        return;
    case H2_TIMER_BODY:
        if (s->in != H2_IN_BODY || s->stream.paused) {
            return;
        }
        if (client) {
            (void)give_up_body(s, CLOSE_BODY_TIMEOUT);
        } else {
            (void)h2_stream_fail(s, H2_CANCEL, CLOSE_SERVER_IDLE_TIMEOUT);
        }
        return;
    }
}

/* -- windows -- */

void h2_stream_give_credit(struct h2_stream *s, size_t len)
{
    struct h2_conn *h2 = s->h2;
    if (len == 0) {
        return;
    }
    h2_send_credit(h2, len);
    if (s->in != H2_IN_BODY) {
        return; /* nothing more comes, or nothing that is wanted */
    }
    s->credit += (uint32_t)len;
    if (s->credit >= H2_STREAM_WINDOW / 2) {
        h2_send_window_update(h2, s->id, s->credit);
        s->recv_window += s->credit;
        s->credit = 0;
    }
}

/* -- lending -- */

static bool keep(struct h2_stream *s, struct slice bytes, struct slice trailers)
{
    struct net_worker *net = conn_net(s->h2->conn);
    if (!flow_put(net, &s->inbox, bytes) || !flow_put(net, &s->inbox, trailers)) {
        return h2_stream_fail(s, H2_INTERNAL_ERROR, CLOSE_OUT_OF_MEMORY);
    }
    s->in_trailers = (uint16_t)trailers.len;
    return true;
}

bool h2_stream_lend(struct h2_stream *s, struct slice bytes, struct slice trailers)
{
    struct h2_conn *h2 = s->h2;
    const bool *gone = h2->gone;
    if (!s->has_owner || s->in == H2_IN_REFUSED) {
        h2_stream_give_credit(s, bytes.len);
        return true;
    }
    if (s->stream.paused || !flow_is_empty(&s->inbox)) {
        pace_rest(&s->body_pace);
        return keep(s, bytes, trailers);
    }
    h2->lender = s;
    h2->lent = bytes;
    h2->lent_trailers = trailers;
    h2->lent_taken = false;
    s->stream.events->on_body(&s->stream);
    if (*gone) {
        return false;
    }
    if (h2->lender != s) {
        return true; /* it is over */
    }
    h2->lender = NULL;
    if (!h2->lent_taken) {
        s->stream.paused = true; /* not wanted now */
        pace_rest(&s->body_pace);
        return keep(s, bytes, trailers);
    }
    if (s->stream.paused || s->in != H2_IN_BODY) {
        pace_rest(&s->body_pace);
        return true;
    }
    if (!body_keeps_pace(s, bytes.len)) {
        return give_up_body(s, CLOSE_BODY_TOO_SLOW) && !*gone;
    }
    h2_stream_want_body(s);
    return true;
}

bool h2_stream_lend_resumed(struct h2_conn *h2)
{
    struct net_worker *net = conn_net(h2->conn);
    struct list_node marker;
    if (list_is_empty(&h2->resumed)) {
        return true;
    }
    list_push_back(&h2->resumed, &marker); /* what is resumed from here on waits for another turn */
    for (;;) {
        struct list_node *node = list_pop_front(&h2->resumed);
        if (node == &marker) {
            return true;
        }
        struct h2_stream *s = list_entry(node, struct h2_stream, resume_link);
        bool ended = s->in == H2_IN_ENDED;
        if (s->stream.paused || (flow_is_empty(&s->inbox) && !ended)) {
            continue;
        }
        size_t len = flow_take(net, &s->inbox, net->scratch);
        struct slice bytes = slice_of(net->scratch, len - s->in_trailers);
        struct slice trailers = slice_of(net->scratch + bytes.len, s->in_trailers);
        s->in_trailers = 0;
        if (!h2_stream_lend(s, bytes, trailers)) {
            return false;
        }
    }
}

/* -- priority -- */

void h2_stream_set_priority(struct h2_stream *s, struct slice value)
{
    struct slice member;
    while (header_list_next(&value, &member)) {
        if (member.len == 3 && slice_starts(member, SLICE("u=")) && member.ptr[2] >= '0' &&
            member.ptr[2] <= '7') {
            s->urgency = (uint8_t)(member.ptr[2] - '0');
        } else if (slice_eq(member, SLICE("i")) || slice_eq(member, SLICE("i=?1"))) {
            s->is_incremental = true;
        } else if (slice_eq(member, SLICE("i=?0"))) {
            s->is_incremental = false;
        }
    }
    if (list_is_linked(&s->send_link)) { /* on to the list of its urgency */
        list_remove(&s->send_link);
        h2_send_queue(s);
    }
}

/* -- the receiving verbs of the seam -- */

static enum stream_pull h2_pull(struct stream *stream, struct stream_piece *piece)
{
    struct h2_stream *s = h2_stream_of(stream);
    struct h2_conn *h2 = s->h2;
    *piece = (struct stream_piece){0};
    if (s->in == H2_IN_REFUSED) {
        piece->reason = (enum close_reason)s->refusal;
        return STREAM_BAD;
    }
    bool all = flow_is_empty(&s->inbox);
    if (h2->lender == s && !h2->lent_taken) {
        h2->lent_taken = true;
        piece->bytes = h2->lent;
        piece->trailers = h2->lent_trailers;
    } else if (h2->beginner == s && all) {
        (void)h2_receive_next_data(h2, s, &piece->bytes);
    }
    h2_stream_give_credit(s, piece->bytes.len);
    if (s->in == H2_IN_DONE || (s->in == H2_IN_ENDED && all)) {
        s->in = H2_IN_DONE;
        return STREAM_LAST;
    }
    return STREAM_MORE;
}

static void h2_resume(struct stream *stream)
{
    struct h2_stream *s = h2_stream_of(stream);
    struct h2_conn *h2 = s->h2;
    stream->paused = false;
    h2_stream_want_body(s);
    bool something = !flow_is_empty(&s->inbox) || s->in == H2_IN_ENDED;
    if (something && !list_is_linked(&s->resume_link)) {
        list_push_back(&h2->resumed, &s->resume_link);
        conn_again(h2->conn);
    }
}

/* Does the peer still know this stream as open? */
static bool is_open(const struct h2_stream *s)
{
    return s->id != 0 && (in_is_open(s) || s->out != H2_OUT_DONE);
}

/* Servers take many resets for an attack (R1 is ours) and end the connection with all that is under
 * way on it. When clients come and go so often, new streams get a new one in time. */
static void note_given_up(struct h2_conn *h2)
{
    if (!h2_is_client_facing(h2) && ++h2->gave_up > H2_GAVE_UP_MAX + h2->served / H2_GAVE_UP_PART) {
        h2->is_leaving = true;
        h2_conn_tidy_soon(h2);
    }
}

static void h2_release(struct stream *stream)
{
    struct h2_stream *s = h2_stream_of(stream);
    s->has_owner = false;
    if (is_open(s)) {
        h2_send_reset(s->h2, s->id, H2_CANCEL);
        note_given_up(s->h2);
    } else {
        s->h2->served++;
    }
    h2_stream_free(s);
}

static void h2_reset(struct stream *stream, enum close_reason reason)
{
    struct h2_stream *s = h2_stream_of(stream);
    s->has_owner = false;
    if (is_open(s)) {
        bool ours = h2_is_client_facing(s->h2) && reason != CLOSE_CLIENT_ABORT;
        h2_send_reset(s->h2, s->id, ours ? H2_INTERNAL_ERROR : H2_CANCEL);
        note_given_up(s->h2);
    }
    h2_stream_free(s);
}

static void h2_leave(struct stream *stream, enum close_reason reason)
{
    struct h2_stream *s = h2_stream_of(stream);
    if (flow_is_empty(&s->outbox)) {
        h2_reset(stream, reason);
        return;
    }
    s->has_owner = false;
    s->leaves = true;
}

static uint64_t h2_opaque_left(const struct stream *stream)
{
    (void)stream;
    return 0;
}

static struct conn *h2_lend_conn(struct stream *stream)
{
    (void)stream;
    return NULL;
}

static void h2_take_back(struct stream *stream, uint64_t received, uint64_t sent)
{
    (void)stream;
    assert(received == 0 && sent == 0); /* it is never lent */
}

static const struct h2_stream *const_h2_stream_of(const struct stream *stream)
{
    static_assert(offsetof(struct h2_stream, stream) == 0, "the stream comes first");
    return (const struct h2_stream *)(const void *)stream;
}

static bool h2_is_blocked(const struct stream *stream)
{
    return !flow_is_empty(&const_h2_stream_of(stream)->outbox);
}

/* Beyond half of what a connection may keep all its streams wait for the client, or the next of
 * them would be ended for it. */
static size_t h2_waiting(const struct stream *stream)
{
    const struct h2_stream *s = const_h2_stream_of(stream);
    uint32_t most = s->h2->limits.buffered_bytes;
    return most != 0 && h2_send_waiting(s->h2) > most / 2 ? SIZE_MAX : flow_len(&s->outbox);
}

static const struct stream_ops h2_stream_ops = {
    .send_head = h2_send_head,
    .send_body = h2_send_body,
    .send_trailers = h2_send_trailers,
    .pull = h2_pull,
    .resume = h2_resume,
    .release = h2_release,
    .leave = h2_leave,
    .reset = h2_reset,
    .opaque_left = h2_opaque_left,
    .lend = h2_lend_conn,
    .take_back = h2_take_back,
    .give = h2_lend_conn,
    .is_blocked = h2_is_blocked,
    .waiting = h2_waiting,
};
