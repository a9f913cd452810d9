/*
 * h2_send - frames that go out on an h2_conn. See h2_inside.h.
 *
 * Everything is gathered in conn->out and sent at the end of the pass, or when 32 KB are there. Of
 * a body only so much goes there as windows and socket take; the rest waits in its stream, and
 * h2_send_run lets the streams have their turns: the most urgent first (RFC 9218), among those of
 * one urgency one after the other, or frame by frame when they are incremental.
 *
 * Threads: worker.
 */
#include <assert.h>
#include <string.h>

#include "lbd/http/h2_head.h"
#include "lbd/http/h2_inside.h"

#define PIECES 16

/* -- into the connection -- */

static bool put(struct h2_conn *h2, struct slice bytes)
{
    struct conn *conn = h2->conn;
    uint32_t over = CONN_WRITE_BROKEN | CONN_SHUT | CONN_SHUT_WANTED | CONN_CLOSED;
    if (LB_UNLIKELY((conn->flags & over) != 0)) {
        h2_conn_fail_later(h2, h2_is_client_facing(h2) ? CLOSE_CLIENT_ABORT : CLOSE_SERVER_RESET);
        return false;
    }
    if (!flow_put(conn_net(conn), &conn->out, bytes)) {
        h2_conn_fail_later(h2, CLOSE_OUT_OF_MEMORY);
        return false;
    }
    h2->put_bytes += bytes.len;
    h2_conn_tidy_soon(h2);
    return true;
}

/* False: broken; it is told at the end of the pass. */
static bool flush(struct h2_conn *h2)
{
    if (!conn_flush(h2->conn)) {
        h2_conn_fail_later(h2, h2_is_client_facing(h2) ? CLOSE_CLIENT_ABORT : CLOSE_SERVER_RESET);
        return false;
    }
    if (flow_is_empty(&h2->conn->out)) {
        h2->control_waiting = 0;
    }
    return true;
}

static bool has_room(struct h2_conn *h2)
{
    if (flow_len(&h2->conn->out) < H2_OUT_GATHER) {
        return true;
    }
    return flush(h2) && flow_len(&h2->conn->out) < H2_OUT_GATHER;
}

bool h2_send_is_full(const struct h2_conn *h2)
{
    return (h2->conn->flags & CONN_WRITE_READY) == 0 && flow_len(&h2->conn->out) >= H2_OUT_GATHER;
}

void h2_send_control(struct h2_conn *h2, enum h2_type type, unsigned flags, uint32_t stream_id,
                     struct slice payload)
{
    char frame[H2_FRAME_HEAD + 64];
    char *at = h2_frame_write(frame, (uint32_t)payload.len, type, flags, stream_id);
    assert(payload.len <= 64);
    if (payload.len > 0) {
        memcpy(at, payload.ptr, payload.len);
    }
    if (!put(h2, slice_of(frame, H2_FRAME_HEAD + payload.len))) {
        return;
    }
    h2->control_waiting++;
    if (h2->control_waiting >= H2_GUARD_CONTROL_WAITING && flush(h2) &&
        h2->control_waiting >= H2_GUARD_CONTROL_WAITING) {
        h2_conn_fail_later(h2, CLOSE_FLOOD); /* R3 */
    }
}

void h2_send_reset(struct h2_conn *h2, uint32_t stream_id, enum h2_error code)
{
    char payload[4];
    (void)h2_frame_put_u32(payload, code);
    h2_send_control(h2, H2_RST_STREAM, 0, stream_id, slice_of(payload, sizeof(payload)));
}

void h2_send_window_update(struct h2_conn *h2, uint32_t stream_id, uint32_t bytes)
{
    char payload[4];
    (void)h2_frame_put_u32(payload, bytes);
    h2_send_control(h2, H2_WINDOW_UPDATE, 0, stream_id, slice_of(payload, sizeof(payload)));
}

void h2_send_credit(struct h2_conn *h2, size_t len)
{
    h2->credit += (uint32_t)len;
    if (h2->credit >= H2_CONN_WINDOW / 2) {
        h2_send_window_update(h2, 0, h2->credit);
        h2->recv_window += h2->credit;
        h2->credit = 0;
    }
}

void h2_send_goaway(struct h2_conn *h2, uint32_t last_id, enum h2_error code)
{
    char payload[8];
    (void)h2_frame_put_u32(h2_frame_put_u32(payload, last_id), code);
    h2_send_control(h2, H2_GOAWAY, 0, 0, slice_of(payload, sizeof(payload)));
}

void h2_send_greeting(struct h2_conn *h2)
{
    char settings[4 * H2_SETTING_BYTES];
    char *at =
        h2_frame_put_setting(settings, H2_SETTING_MAX_HEADER_LIST_SIZE, h2->limits.head_bytes);
    if (h2_is_client_facing(h2)) {
        at = h2_frame_put_setting(at, H2_SETTING_MAX_CONCURRENT_STREAMS, h2->limits.max_streams);
        at = h2_frame_put_setting(at, H2_SETTING_ENABLE_CONNECT_PROTOCOL, 1);
        at = h2_frame_put_setting(at, H2_SETTING_NO_RFC7540_PRIORITIES, 1);
    } else {
        (void)put(h2, H2_PREFACE);
        at = h2_frame_put_setting(at, H2_SETTING_ENABLE_PUSH, 0);
    }
    h2_send_control(h2, H2_SETTINGS, 0, 0, slice_of(settings, (size_t)(at - settings)));
    h2_send_window_update(h2, 0, H2_CONN_WINDOW - H2_WINDOW_INITIAL);
}

/* A header block that lies behind H2_FRAME_HEAD free bytes; what does not fit into one frame goes
 * on in CONTINUATIONs, whose heads overwrite what was put already. */
static bool put_block(struct h2_stream *s, char *block, size_t len, bool ends)
{
    enum h2_type type = H2_HEADERS;
    unsigned flags = ends ? H2_END_STREAM : 0;
    do {
        size_t part = len < H2_FRAME_MAX ? len : H2_FRAME_MAX;
        unsigned last = part == len ? H2_END_HEADERS : 0;
        char *frame = block - H2_FRAME_HEAD;
        (void)h2_frame_write(frame, (uint32_t)part, type, flags | last, s->id);
        if (!put(s->h2, slice_of(frame, H2_FRAME_HEAD + part))) {
            return false;
        }
        s->stream.sent_bytes += H2_FRAME_HEAD + part;
        type = H2_CONTINUATION;
        flags = 0;
        block += part;
        len -= part;
    } while (len > 0);
    return true;
}

static bool put_data_head(struct h2_stream *s, size_t len, bool ends)
{
    struct h2_conn *h2 = s->h2;
    char frame[H2_FRAME_HEAD];
    (void)h2_frame_write(frame, (uint32_t)len, H2_DATA, ends ? H2_END_STREAM : 0, s->id);
    s->stream.sent_bytes += H2_FRAME_HEAD + len;
    s->send_window -= (int64_t)len;
    h2->send_window -= (int64_t)len;
    h2_guard_earn_frame(&h2->guard);
    return put(h2, slice_of(frame, sizeof(frame)));
}

/* -- the end of what a stream sends -- */

/* Our END_STREAM went. Client-facing the stream is over. */
static bool out_done(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    s->out = H2_OUT_DONE;
    if (!h2_is_client_facing(h2)) {
        if (s->in == H2_IN_HEAD) {
            h2_stream_set_timer(s, H2_TIMER_HEAD, stream_head_ms(&s->stream, h2->timeouts.head_ms));
        } else if (!s->stream.paused) { /* an early answer: the timer was that of writing */
            h2_stream_want_body(s);
        }
        return true;
    }
    if (s->is_malformed) {
        h2_send_reset(h2, s->id, H2_PROTOCOL_ERROR);
    } else if (s->in == H2_IN_BODY || s->in == H2_IN_REFUSED) {
        h2_send_reset(h2, s->id, H2_NO_ERROR); /* RFC 9113 8.1: the rest is not wanted */
    } else {
        h2_guard_earn_stream(&h2->guard, loop_now_us(h2->conn->loop));
    }
    h2_stream_end(s, CLOSE_OK);
    return true;
}

/* Trailers as a last header block; none of them: an empty DATA frame. */
static bool put_trailers(struct h2_stream *s, struct slice lines)
{
    struct h2_conn *h2 = s->h2;
    char *block = conn_net(h2->conn)->head_scratch + H2_FRAME_HEAD;
    size_t len =
        h2_head_write_trailers(&h2->encoder, block, FLOW_HEAD_BYTES - H2_FRAME_HEAD, lines);
    bool sent = len > 0 ? put_block(s, block, len, true) : put_data_head(s, 0, true);
    return sent && out_done(s);
}

/* -- windows that stay shut, or open by a few bytes (R3) -- */

/* Something of the stream waits. */
static void note_shut(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    uint64_t now = loop_now_us(h2->conn->loop);
    if (s->send_window <= 0) {
        pace_wait(&s->window_pace, now);
    }
    if (h2->send_window <= 0) {
        pace_wait(&h2->window_pace, now);
    }
}

bool h2_send_window_granted(struct h2_stream *s, uint32_t bytes)
{
    if (s->window_pace.since_us == 0) {
        return true;
    }
    const struct pace_rule rule = h2_stream_read_rule(s);
    bool keeps = pace_note(&s->window_pace, &rule, loop_now_us(s->h2->conn->loop), bytes);
    if (s->send_window > 0) {
        pace_rest(&s->window_pace);
    }
    return keeps;
}

bool h2_send_conn_window_granted(struct h2_conn *h2, uint32_t bytes)
{
    if (h2->window_pace.since_us == 0) {
        return true;
    }
    const struct pace_rule rule = h2_conn_read_rule(h2);
    bool keeps = pace_note(&h2->window_pace, &rule, loop_now_us(h2->conn->loop), bytes);
    if (h2->send_window > 0) {
        pace_rest(&h2->window_pace);
    }
    return keeps;
}

/* -- whose turn it is -- */

/*
 * RFC 9218 10: of one urgency those that are not incremental go whole, in the order in which they
 * were asked for, however their answers arrive; the incremental ones take turns. The newest asks
 * last as a rule, so the walk from the back is short.
 */
void h2_send_queue(struct h2_stream *s)
{
    struct list_node *head = &s->h2->waiting[s->urgency];
    struct list_node *before = head->prev;
    while (!s->is_incremental && before != head) {
        const struct h2_stream *other = list_entry(before, struct h2_stream, send_link);
        if (other->is_incremental || other->id < s->id) {
            break;
        }
        before = before->prev;
    }
    list_insert_after(before, &s->send_link);
}

/* The stream has something that waits. */
static void wait_for_turn(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    note_shut(s);
    if (s->timer_for != H2_TIMER_WRITE) {
        s->blocked_len = flow_len(&s->outbox);
        h2_stream_set_timer(s, H2_TIMER_WRITE, h2->timeouts.write_ms);
    }
    if (s->send_window > 0 && !list_is_linked(&s->send_link)) {
        h2_send_queue(s);
    }
}

void h2_send_window_changed(struct h2_stream *s)
{
    if (s->send_window <= 0) { /* RFC 9113 6.9.2: SETTINGS may shut it, and below 0 */
        list_remove(&s->send_link);
        if (!flow_is_empty(&s->outbox)) {
            note_shut(s);
        }
    } else if (!flow_is_empty(&s->outbox) && !list_is_linked(&s->send_link)) {
        h2_send_queue(s);
        h2_conn_tidy_soon(s->h2);
    }
}

static struct h2_stream *next_waiting(struct h2_conn *h2)
{
    for (size_t i = 0; i < H2_URGENCIES; i++) {
        struct list_node *node = list_first(&h2->waiting[i]);
        if (node != NULL) {
            return list_entry(node, struct h2_stream, send_link);
        }
    }
    return NULL;
}

/* Moves `len` bytes of what waits into the connection. */
static bool move_waiting(struct h2_stream *s, size_t len)
{
    struct net_worker *net = conn_net(s->h2->conn);
    while (len > 0) {
        struct iovec pieces[PIECES];
        int count = flow_pieces(&s->outbox, pieces, PIECES);
        size_t moved = 0;
        for (int i = 0; i < count && moved < len; i++) {
            size_t part = pieces[i].iov_len < len - moved ? pieces[i].iov_len : len - moved;
            if (!put(s->h2, slice_of(pieces[i].iov_base, part))) {
                return false;
            }
            moved += part;
        }
        flow_consume(net, &s->outbox, moved);
        len -= moved;
    }
    return true;
}

/* All that waited of the body went. */
static bool drained(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    struct net_worker *net = conn_net(h2->conn);
    list_remove(&s->send_link);
    pace_rest(&s->window_pace);
    s->timer_for = H2_TIMER_NONE;
    if (s->out_trailers > 0) {
        struct slice lines = slice_of(net->scratch, flow_take(net, &s->outbox, net->scratch));
        s->out_trailers = 0;
        return put_trailers(s, lines);
    }
    if (s->out == H2_OUT_ENDING) {
        return out_done(s);
    }
    if (s->leaves) {
        h2_send_reset(h2, s->id, H2_CANCEL);
        h2_stream_free(s);
    } else if (s->has_owner) {
        s->stream.events->on_room(&s->stream);
    }
    return true;
}

static size_t frame_len(const struct h2_stream *s, size_t len)
{
    int64_t window = s->h2->send_window < s->send_window ? s->h2->send_window : s->send_window;
    assert(window > 0);
    len = len < H2_FRAME_MAX ? len : H2_FRAME_MAX;
    return (int64_t)len < window ? len : (size_t)window;
}

void h2_send_run(struct h2_conn *h2)
{
    struct h2_stream *s;
    while (h2->send_window > 0 && (s = next_waiting(h2)) != NULL && has_room(h2)) {
        size_t data = flow_len(&s->outbox) - s->out_trailers;
        size_t len = frame_len(s, data);
        bool all = len == data;
        bool ends = all && s->out == H2_OUT_ENDING && s->out_trailers == 0;
        if (!put_data_head(s, len, ends) || !move_waiting(s, len)) {
            return; /* broken: told at the end of the pass */
        }
        if (all) {
            if (!drained(s)) {
                return;
            }
        } else if (s->send_window <= 0) {
            list_remove(&s->send_link);
            note_shut(s);
        } else if (s->is_incremental) {
            list_remove(&s->send_link);
            h2_send_queue(s);
        }
    }
    if (LB_UNLIKELY(h2->send_window <= 0)) {
        if (next_waiting(h2) != NULL) {
            pace_wait(&h2->window_pace, loop_now_us(h2->conn->loop));
        } else {
            pace_rest(&h2->window_pace);
        }
    }
}

/* -- the sending verbs of the seam -- */

/* Is it what we announced? It must never be taken for another message. */
static bool note_body(struct h2_stream *s, size_t len, bool is_last)
{
    if (s->out_left == H2_NO_LENGTH) {
        return true;
    }
    if (len > s->out_left || (is_last && len != s->out_left)) {
        return false;
    }
    s->out_left -= len;
    return true;
}

uint64_t h2_send_waiting(const struct h2_conn *h2)
{
    uint64_t waiting = 0;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        for (const struct h2_stream *s = h2->streams[i]; s != NULL; s = s->next) {
            waiting += flow_len(&s->outbox);
        }
    }
    return waiting;
}

/* May so much more wait in the streams of the connection? Each holds at most what a server sent in
 * one read, and a head: it is counted only where that might be too much. */
static bool may_wait(const struct h2_conn *h2, size_t more)
{
    uint64_t most = h2->limits.buffered_bytes;
    if (most == 0 || (uint64_t)h2->stream_count * FLOW_HEAD_BYTES + more <= most) {
        return true;
    }
    return h2_send_waiting(h2) + more <= most;
}

static bool send_data(struct h2_stream *s, struct slice bytes, bool is_last)
{
    struct h2_conn *h2 = s->h2;
    if (flow_is_empty(&s->outbox)) {
        while (bytes.len > 0 && h2->send_window > 0 && s->send_window > 0 && has_room(h2)) {
            size_t len = frame_len(s, bytes.len);
            bool ends = is_last && len == bytes.len;
            if (!put_data_head(s, len, ends) || !put(h2, slice_of(bytes.ptr, len))) {
                return false;
            }
            if (ends) {
                return out_done(s);
            }
            bytes = slice_from_at(bytes, len);
        }
        if (bytes.len == 0) {
            return !is_last || (put_data_head(s, 0, true) && out_done(s));
        }
    }
    if (!may_wait(h2, bytes.len)) {
        s->stream.fault = CLOSE_OVERLOAD;
        return false;
    }
    if (!flow_put(conn_net(h2->conn), &s->outbox, bytes)) {
        s->stream.fault = CLOSE_OUT_OF_MEMORY;
        return false;
    }
    if (is_last) {
        s->out = H2_OUT_ENDING;
    }
    wait_for_turn(s);
    return true;
}

/* Server-facing: the id comes with the head, for ids go up on the wire (RFC 9113 5.1.1). */
static bool give_id(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    if (h2->is_leaving || h2->next_id > H2_STREAM_ID_MAX) {
        return false;
    }
    h2_stream_leave(s);
    h2_stream_enter(s, h2->next_id);
    h2->next_id += 2;
    return true;
}

static size_t write_head(struct h2_stream *s, const struct stream_head *head, char *out,
                         size_t capacity)
{
    struct h2_conn *h2 = s->h2;
    if (h2_is_client_facing(h2)) {
        return h2_head_write_response(&h2->encoder, out, capacity, head);
    }
    bool clear = h2->conn->transport == &tcp_transport;
    s->request_method = head->message->method;
    return h2_head_write_request(&h2->encoder, out, capacity, head,
                                 clear ? SLICE("http") : SLICE("https"));
}

bool h2_send_head(struct stream *stream, const struct stream_head *head, struct slice bytes,
                  bool is_last)
{
    struct h2_stream *s = h2_stream_of(stream);
    struct h2_conn *h2 = s->h2;
    uint16_t status = head->message->status;
    bool interim = h2_is_client_facing(h2) && status < 200 && status != 101;
    if (!interim) {
        s->out = H2_OUT_BODY;
        s->out_left = head->framing == FRAMING_LENGTH ? head->content_length
                      : head->framing == FRAMING_NONE ? 0
                                                      : H2_NO_LENGTH;
        if (!note_body(s, bytes.len, is_last)) {
            return false;
        }
    }
    char *block = conn_net(h2->conn)->head_scratch + H2_FRAME_HEAD;
    size_t len = write_head(s, head, block, FLOW_HEAD_BYTES - H2_FRAME_HEAD);
    bool ends = !interim && is_last && bytes.len == 0;
    if (len == 0 || (!h2_is_client_facing(h2) && !give_id(s)) || !put_block(s, block, len, ends)) {
        return false;
    }
    if (interim) {
        return true;
    }
    if (ends) {
        return out_done(s);
    }
    return bytes.len == 0 || send_data(s, bytes, is_last);
}

bool h2_send_body(struct stream *stream, struct slice bytes, bool is_last)
{
    struct h2_stream *s = h2_stream_of(stream);
    if (s->out == H2_OUT_DONE) {
        return true; /* the server has said that it wants no more (RFC 9113 8.1) */
    }
    if (!note_body(s, bytes.len, is_last)) {
        return false;
    }
    return (bytes.len == 0 && !is_last) || send_data(s, bytes, is_last);
}

bool h2_send_trailers(struct stream *stream, struct slice lines)
{
    struct h2_stream *s = h2_stream_of(stream);
    if (lines.len == 0 || s->out == H2_OUT_DONE) {
        return h2_send_body(stream, SLICE_NONE, true);
    }
    if (!note_body(s, 0, true) || lines.len > UINT16_MAX) {
        return false;
    }
    if (flow_is_empty(&s->outbox)) {
        return put_trailers(s, lines);
    }
    if (!flow_put(conn_net(s->h2->conn), &s->outbox, lines)) {
        return false;
    }
    s->out_trailers = (uint16_t)lines.len;
    s->out = H2_OUT_ENDING;
    return true;
}
