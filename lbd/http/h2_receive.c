/*
 * h2_receive - frames that came on an h2_conn. See h2_inside.h.
 *
 *     HEADERS [CONTINUATION ...] --> h2_block
 *     DATA --windows, length--> lent to the exchange, or kept
 *     the rest: settings, windows, ends; budgets of h2_guard
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/http/h2_inside.h"

/* A stream that no frame has opened (RFC 9113 5.1). */
static bool is_idle(const struct h2_conn *h2, uint32_t id)
{
    bool of_client = (id & 1U) != 0;
    if (h2_is_client_facing(h2)) {
        return !of_client || id > h2->last_id;
    }
    return !of_client || id >= h2->next_id;
}

/* -- DATA -- */

enum data_verdict {
    DATA_TAKEN,
    DATA_DROPPED, /* nobody wants it */
    DATA_BROKEN,  /* the stream's error: *code, *reason */
};

/* Windows of the stream and the length that was announced (R5). */
static enum data_verdict judge_data(struct h2_stream *s, const struct h2_frame *frame, size_t len,
                                    enum h2_error *code, enum close_reason *reason)
{
    bool client = h2_is_client_facing(s->h2);
    bool ends = (frame->flags & H2_END_STREAM) != 0;
    *reason = client ? CLOSE_PROTOCOL_ERROR : CLOSE_SERVER_PROTOCOL_ERROR;
    if (s->in == H2_IN_HEAD) {
        *code = H2_PROTOCOL_ERROR;
        return DATA_BROKEN;
    }
    if (s->in == H2_IN_ENDED || s->in == H2_IN_DONE) {
        *code = H2_STREAM_CLOSED;
        return DATA_BROKEN;
    }
    if (frame->length > s->recv_window) {
        *code = H2_FLOW_CONTROL_ERROR;
        return DATA_BROKEN;
    }
    s->recv_window -= frame->length;
    s->stream.received_bytes += H2_FRAME_HEAD + frame->length;
    if (s->in == H2_IN_REFUSED) {
        return DATA_DROPPED;
    }
    if (s->in_left != H2_NO_LENGTH) {
        if (len > s->in_left || (ends && len != s->in_left)) {
            *code = H2_PROTOCOL_ERROR;
            *reason = client ? CLOSE_BAD_CONTENT_LENGTH : CLOSE_BAD_RESPONSE_FRAMING;
            return DATA_BROKEN;
        }
        s->in_left -= len;
    }
    if (ends) {
        s->in = H2_IN_ENDED;
    }
    return DATA_TAKEN;
}

static bool take_data(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    enum h2_error code;
    struct slice content;
    if (!h2_frame_content(frame, payload, &content, &code)) {
        return h2_conn_broken(h2, code);
    }
    if (frame->length > h2->recv_window) {
        return h2_conn_broken(h2, H2_FLOW_CONTROL_ERROR);
    }
    h2->recv_window -= frame->length;
    bool ends = (frame->flags & H2_END_STREAM) != 0;
    if (!ends && content.len <= H2_GUARD_TINY_BYTES &&
        !h2_conn_spend(h2, content.len == 0 ? H2_GUARD_EMPTY_DATA : H2_GUARD_TINY_DATA)) {
        return false;
    }
    struct h2_stream *s = h2_stream_find(h2, frame->stream_id);
    if (s == NULL) {
        if (is_idle(h2, frame->stream_id)) {
            return h2_conn_broken(h2, H2_PROTOCOL_ERROR);
        }
        h2_send_credit(h2, frame->length); /* RFC 9113 6.9: they came through its window */
        if (h2_stream_recent(h2, frame->stream_id) == H2_RECENT_RESET) {
            return true; /* a body that was under way when we reset its stream */
        }
        if (h2_is_client_facing(h2)) {
            h2_send_reset(h2, frame->stream_id, H2_STREAM_CLOSED);
        }
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN);
    }
    enum close_reason reason;
    switch (judge_data(s, frame, content.len, &code, &reason)) {
    case DATA_BROKEN:
        h2_send_credit(h2, frame->length);
        return h2_stream_fail(s, code, reason);
    case DATA_DROPPED:
        h2_stream_give_credit(s, frame->length);
        return true;
    case DATA_TAKEN:
        break;
    }
    h2_stream_give_credit(s, frame->length - content.len); /* padding */
    if (content.len == 0 && !ends) {
        return true;
    }
    return h2_stream_lend(s, content, SLICE_NONE);
}

bool h2_receive_next_data(struct h2_conn *h2, struct h2_stream *s, struct slice *bytes)
{
    if (h2->gone == NULL || h2->pending.len < H2_FRAME_HEAD || s->in != H2_IN_BODY) {
        return false;
    }
    struct h2_frame frame = h2_frame_read(h2->pending.ptr);
    enum h2_error code;
    enum close_reason reason;
    if (frame.type != H2_DATA || frame.stream_id != s->id || (frame.flags & H2_PADDED) != 0 ||
        frame.length <= H2_GUARD_TINY_BYTES || frame.length > H2_FRAME_MAX ||
        frame.length > h2->recv_window || frame.length > s->recv_window ||
        h2->pending.len - H2_FRAME_HEAD < frame.length) {
        return false; /* an ordinary turn shall see what it is */
    }
    if (s->in_left != H2_NO_LENGTH &&
        (frame.length > s->in_left ||
         ((frame.flags & H2_END_STREAM) != 0 && frame.length != s->in_left))) {
        return false;
    }
    (void)judge_data(s, &frame, frame.length, &code, &reason);
    h2->recv_window -= frame.length;
    *bytes = slice_of(h2->pending.ptr + H2_FRAME_HEAD, frame.length);
    h2->pending = slice_from_at(h2->pending, H2_FRAME_HEAD + frame.length);
    return true;
}

/* -- the rest -- */

static bool take_reset(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    struct h2_stream *s = h2_stream_find(h2, frame->stream_id);
    if (s == NULL) {
        return is_idle(h2, frame->stream_id) ? h2_conn_broken(h2, H2_PROTOCOL_ERROR)
                                             : h2_conn_spend(h2, H2_GUARD_UNKNOWN);
    }
    if (h2_is_client_facing(h2)) {
        s->in = H2_IN_DONE;
        h2_stream_end(s, CLOSE_CLIENT_ABORT);
        return h2_conn_spend(h2, H2_GUARD_RESET);
    }
    uint32_t code = h2_frame_u32(payload.ptr);
    bool refused = code == H2_REFUSED_STREAM && s->in == H2_IN_HEAD && s->interim == 0;
    if (code == H2_NO_ERROR && (s->in == H2_IN_ENDED || s->in == H2_IN_DONE)) {
        /* RFC 9113 8.1: the answer is whole, the rest of the request is not wanted */
        s->out = H2_OUT_DONE;
        flow_clear(conn_net(h2->conn), &s->outbox);
        list_remove(&s->send_link);
        return true;
    }
    h2_stream_end(s, refused ? CLOSE_SERVER_REFUSED : CLOSE_SERVER_STREAM_RESET);
    return true;
}

/* A window of streams that are there changes by as much as that of new ones (RFC 9113 6.9.2). */
static bool change_windows(struct h2_conn *h2, uint32_t value)
{
    int64_t change = (int64_t)value - (int64_t)h2->peer_window;
    h2->peer_window = value;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        for (struct h2_stream *s = h2->streams[i]; s != NULL; s = s->next) {
            s->send_window += change;
            if (s->send_window > (int64_t)H2_WINDOW_MAX) {
                return h2_conn_broken(h2, H2_FLOW_CONTROL_ERROR);
            }
            if (change > 0 && !h2_send_window_granted(s, (uint32_t)change)) {
                h2_stream_set_timer(s, H2_TIMER_WRITE, 0); /* it ends, but not in this list */
            }
            h2_send_window_changed(s);
        }
    }
    return true;
}

static bool take_settings(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    if (!h2_conn_spend(h2, H2_GUARD_SETTINGS)) {
        return false;
    }
    if ((frame->flags & H2_ACK) != 0) {
        return true;
    }
    if (!h2->has_settings) {
        h2->has_settings = true;
        h2->input_due_us = 0;
    }
    struct h2_setting_value setting;
    while (h2_frame_setting(&payload, &setting)) {
        enum h2_error code;
        if (!h2_frame_setting_is_valid(&setting, &code)) {
            return h2_conn_broken(h2, code);
        }
        if (setting.id == H2_SETTING_INITIAL_WINDOW_SIZE) {
            if (!change_windows(h2, setting.value)) {
                return false;
            }
        } else if (setting.id == H2_SETTING_MAX_CONCURRENT_STREAMS) {
            h2->peer_max_streams = setting.value;
        } else if (setting.id == H2_SETTING_ENABLE_PUSH && setting.value != 0 &&
                   !h2_is_client_facing(h2)) {
            return h2_conn_broken(h2, H2_PROTOCOL_ERROR);
        }
    }
    h2_send_control(h2, H2_SETTINGS, H2_ACK, 0, SLICE_NONE);
    const bool *gone = h2->gone;
    if (h2->owner->on_settings != NULL) {
        h2->owner->on_settings(h2->conn);
    }
    return !*gone;
}

static bool take_ping(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    if ((frame->flags & H2_ACK) != 0) {
        if (h2->drain == H2_DRAIN_ANNOUNCED) { /* what was under way to us is here */
            h2_conn_drain_final(h2);
        }
        return h2_conn_spend(h2, H2_GUARD_PING);
    }
    if (!h2_conn_spend(h2, H2_GUARD_PING)) {
        return false;
    }
    h2_send_control(h2, H2_PING, H2_ACK, 0, payload);
    return true;
}

static bool take_goaway(struct h2_conn *h2, struct slice payload)
{
    uint32_t last = h2_frame_u32(payload.ptr) & H2_STREAM_ID_MAX;
    if (h2_is_client_facing(h2)) {
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN); /* it opens no more streams, or closes */
    }
    if (last > h2->goaway_id) {
        return true;
    }
    h2->goaway_id = last;
    h2->is_leaving = true;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        struct h2_stream *next = NULL;
        for (struct h2_stream *s = h2->streams[i]; s != NULL; s = next) {
            next = s->next;
            if (s->id > last) { /* RFC 9113 6.8: not served, may go elsewhere */
                h2_stream_end(s, CLOSE_SERVER_REFUSED);
            }
        }
    }
    h2_conn_tidy_soon(h2);
    return true;
}

static bool take_window_update(struct h2_conn *h2, const struct h2_frame *frame,
                               struct slice payload)
{
    uint32_t more = h2_frame_u32(payload.ptr) & H2_WINDOW_MAX;
    if (!h2_conn_spend(h2, H2_GUARD_WINDOW_UPDATE)) {
        return false;
    }
    if (frame->stream_id == 0) {
        if (more == 0 || h2->send_window + more > (int64_t)H2_WINDOW_MAX) {
            return h2_conn_broken(h2, more == 0 ? H2_PROTOCOL_ERROR : H2_FLOW_CONTROL_ERROR);
        }
        bool was_shut = h2->send_window <= 0;
        h2->send_window += more;
        if (!h2_send_conn_window_granted(h2, more)) {
            h2_conn_fail(h2, H2_ENHANCE_YOUR_CALM, CLOSE_READER_TOO_SLOW);
            return false;
        }
        if (was_shut) {
            h2_conn_tidy_soon(h2);
        }
        return true;
    }
    struct h2_stream *s = h2_stream_find(h2, frame->stream_id);
    if (s == NULL) {
        return !is_idle(h2, frame->stream_id) || h2_conn_broken(h2, H2_PROTOCOL_ERROR);
    }
    bool client = h2_is_client_facing(h2);
    if (more == 0 || s->send_window + more > (int64_t)H2_WINDOW_MAX) {
        return h2_stream_fail(s, more == 0 ? H2_PROTOCOL_ERROR : H2_FLOW_CONTROL_ERROR,
                              client ? CLOSE_PROTOCOL_ERROR : CLOSE_SERVER_PROTOCOL_ERROR);
    }
    s->send_window += more;
    if (!h2_send_window_granted(s, more)) {
        return h2_stream_fail(s, H2_ENHANCE_YOUR_CALM, CLOSE_READER_TOO_SLOW);
    }
    h2_send_window_changed(s);
    return true;
}

static bool take_priority_update(struct h2_conn *h2, struct slice payload)
{
    if (!h2_is_client_facing(h2)) {
        return h2_conn_broken(h2, H2_PROTOCOL_ERROR); /* RFC 9218 7.1 */
    }
    uint32_t id = h2_frame_u32(payload.ptr) & H2_STREAM_ID_MAX;
    if ((id & 1U) == 0) { /* no stream, or one that we would have pushed */
        return h2_conn_broken(h2, H2_PROTOCOL_ERROR);
    }
    struct h2_stream *s = h2_stream_find(h2, id);
    if (s != NULL) {
        h2_stream_set_priority(s, slice_from_at(payload, 4));
    }
    return h2_conn_spend(h2, H2_GUARD_PRIORITY);
}

static bool take_frame(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    switch (frame->type) {
    case H2_DATA:
        return take_data(h2, frame, payload);
    case H2_HEADERS:
        return h2_block_headers(h2, frame, payload);
    case H2_PRIORITY:
        return h2_conn_spend(h2, H2_GUARD_PRIORITY);
    case H2_RST_STREAM:
        return take_reset(h2, frame, payload);
    case H2_SETTINGS:
        return take_settings(h2, frame, payload);
    case H2_PUSH_PROMISE: /* we never allow it */
        return h2_conn_broken(h2, H2_PROTOCOL_ERROR);
    case H2_PING:
        return take_ping(h2, frame, payload);
    case H2_GOAWAY:
        return take_goaway(h2, payload);
    case H2_WINDOW_UPDATE:
        return take_window_update(h2, frame, payload);
    case H2_CONTINUATION:
        return h2_block_continuation(h2, frame, payload);
    case H2_PRIORITY_UPDATE:
        return take_priority_update(h2, payload);
    default:
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN);
    }
}

/* RFC 9113 3.4: 24 bytes, then SETTINGS. */
static enum h2_step take_preface(struct h2_conn *h2)
{
    struct slice preface = H2_PREFACE;
    size_t len = h2->pending.len < preface.len ? h2->pending.len : preface.len;
    if (memcmp(h2->pending.ptr, preface.ptr, len) != 0) {
        (void)h2_conn_broken(h2, H2_PROTOCOL_ERROR);
        return H2_STEP_GONE;
    }
    if (len == preface.len) {
        h2->has_preface = true;
        h2->pending = slice_from_at(h2->pending, len);
    }
    return H2_STEP_MORE;
}

/* What the frame's head alone tells of the connection; H2_FRAME_STREAM_ERROR is for later, when the
 * frame is whole. */
static enum h2_frame_verdict check_frame(struct h2_conn *h2, const struct h2_frame *frame,
                                         enum h2_error *code)
{
    bool in_order = h2->block_stream == 0
                        ? frame->type != H2_CONTINUATION
                        : frame->type == H2_CONTINUATION && frame->stream_id == h2->block_stream;
    bool first_is_settings =
        h2->has_settings || (frame->type == H2_SETTINGS && (frame->flags & H2_ACK) == 0);
    if (!in_order || !first_is_settings) { /* RFC 9113 6.10, 3.4 */
        *code = H2_PROTOCOL_ERROR;
        return H2_FRAME_CONNECTION_ERROR;
    }
    return h2_frame_check(frame, code);
}

static bool fail_frame(struct h2_conn *h2, const struct h2_frame *frame, enum h2_error code)
{
    struct h2_stream *s = h2_stream_find(h2, frame->stream_id);
    if (s == NULL) {
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN);
    }
    return h2_stream_fail(
        s, code, h2_is_client_facing(h2) ? CLOSE_PROTOCOL_ERROR : CLOSE_SERVER_PROTOCOL_ERROR);
}

/* Does a new stream have to wait: too many in this turn (R1), or nothing of ours goes out? */
static bool must_pause(struct h2_conn *h2, const struct h2_frame *frame)
{
    if (frame->type != H2_HEADERS || !h2_is_client_facing(h2) || frame->stream_id <= h2->last_id) {
        return false;
    }
    h2->input_waits = h2_send_is_full(h2);
    return h2->dispatched >= H2_GUARD_NEW_STREAMS || h2->input_waits;
}

enum h2_step h2_receive(struct h2_conn *h2)
{
    if (LB_UNLIKELY(!h2->has_preface)) {
        enum h2_step step = take_preface(h2);
        if (step == H2_STEP_GONE || !h2->has_preface) {
            return step;
        }
    }
    while (h2->pending.len >= H2_FRAME_HEAD) {
        struct h2_frame frame = h2_frame_read(h2->pending.ptr);
        enum h2_error code;
        if (must_pause(h2, &frame)) {
            return H2_STEP_PAUSE;
        }
        enum h2_frame_verdict verdict = check_frame(h2, &frame, &code);
        if (verdict == H2_FRAME_CONNECTION_ERROR) {
            (void)h2_conn_broken(h2, code);
            return H2_STEP_GONE;
        }
        if (h2->pending.len - H2_FRAME_HEAD < frame.length) {
            return H2_STEP_MORE;
        }
        struct slice payload = slice_of(h2->pending.ptr + H2_FRAME_HEAD, frame.length);
        h2->pending = slice_from_at(h2->pending, H2_FRAME_HEAD + frame.length);
        if (!(verdict == H2_FRAME_OK ? take_frame(h2, &frame, payload)
                                     : fail_frame(h2, &frame, code))) {
            return H2_STEP_GONE;
        }
    }
    return H2_STEP_MORE;
}
