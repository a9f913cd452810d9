/*
 * h2_block - header blocks that came on an h2_conn: requests, answers, trailers. See h2_inside.h.
 *
 *     HEADERS [CONTINUATION ...] --whole block--> hpack_decode --> h2_head --> on_request, on_head,
 *                                                                              or lent as trailers
 *
 * Whatever a block is for, the decoder sees it, for both sides' tables have to agree (RFC
 * 9113 4.3).
 *
 * Limits: struct h2_limits, h2_guard (R2); 5 interim answers. Threads: worker.
 */
#include "lbd/http/h2_head.h"
#include "lbd/http/h2_inside.h"

#define INTERIM_MAX 5

static void refuse_stream(struct h2_conn *h2, uint32_t id)
{
    h2_send_reset(h2, id, H2_REFUSED_STREAM);
    h2_stream_note_recent(h2, id, true);
    if (h2->owner->on_refused != NULL) {
        h2->owner->on_refused(h2->conn);
    }
}

/* The head itself is wrong; framing is intact, so it gets an answer that says why. */
static bool refuse_request(struct h2_stream *s, enum close_reason reason)
{
    struct h2_conn *h2 = s->h2;
    const bool *gone = h2->gone;
    bool ended = s->in == H2_IN_ENDED;
    s->is_malformed = close_reason_status(reason) == 400;
    s->refusal = (uint8_t)reason;
    s->in = ended ? H2_IN_DONE : H2_IN_REFUSED;
    s->has_owner = true;
    s->stream.paused = true;
    h2->owner->on_bad_request(h2->conn, &s->stream, reason);
    if (*gone) {
        return false;
    }
    return h2_conn_spend(h2, H2_GUARD_RESET);
}

static void read_priority(struct h2_stream *s, const struct message *message)
{
    const struct header *priority = headers_find_name(&message->headers, SLICE("priority"));
    if (priority != NULL) {
        h2_stream_set_priority(s, header_value(&message->headers, priority));
    }
}

static bool take_request(struct h2_conn *h2, uint32_t id, bool ends, enum hpack_verdict verdict,
                         const struct hpack_fields *fields, size_t wire_len)
{
    const bool *gone = h2->gone;
    if (h2->drain == H2_DRAIN_FINAL && id > h2->served_id) {
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN); /* RFC 9113 6.8: the client was told */
    }
    struct h2_stream *s = NULL;
    if (h2->stream_count < h2->limits.max_streams) {
        s = h2_stream_new(h2);
    }
    if (s == NULL) {
        refuse_stream(h2, id);
        return h2_conn_spend(h2, H2_GUARD_RESET);
    }
    h2->dispatched++;
    h2_stream_enter(s, id);
    s->in = ends ? H2_IN_ENDED : H2_IN_BODY;
    s->stream.received_bytes = wire_len;
    if (verdict != HPACK_OK) {
        return refuse_request(s, fields->reason);
    }
    struct message message;
    enum close_reason reason = h2_head_request(fields, ends, &message);
    if (reason != CLOSE_OK) {
        return refuse_request(s, reason);
    }
    read_priority(s, &message);
    s->request_method = message.method;
    s->in_left = message.has_length ? message.content_length : H2_NO_LENGTH;
    s->has_owner = true;
    h2->beginner = s;
    h2->owner->on_request(h2->conn, &s->stream, &message);
    if (*gone) {
        return false;
    }
    h2->beginner = NULL;
    return true;
}

static enum close_reason answer_reason(enum hpack_verdict verdict, enum close_reason reason)
{
    (void)reason; /* as a request's */
    return verdict == HPACK_TOO_LARGE ? CLOSE_RESPONSE_HEADER_TOO_LARGE : CLOSE_BAD_RESPONSE;
}

static bool take_answer(struct h2_stream *s, bool ends, enum hpack_verdict verdict,
                        const struct hpack_fields *fields)
{
    struct h2_conn *h2 = s->h2;
    const bool *gone = h2->gone;
    struct message message;
    if (verdict != HPACK_OK) {
        return h2_stream_fail(s, H2_PROTOCOL_ERROR, answer_reason(verdict, fields->reason));
    }
    enum close_reason reason =
        h2_head_response(fields, ends, (enum method)s->request_method, &message);
    if (reason != CLOSE_OK) {
        return h2_stream_fail(s, H2_PROTOCOL_ERROR, reason);
    }
    if (message.status < 200) {
        if (++s->interim > INTERIM_MAX) {
            return h2_stream_fail(s, H2_CANCEL, CLOSE_TOO_MANY_INTERIM);
        }
    } else {
        s->in = ends ? H2_IN_ENDED : H2_IN_BODY;
        if (message.framing == FRAMING_LENGTH) {
            s->in_left = message.content_length;
        } else if (message.framing == FRAMING_NONE) {
            s->in_left = 0;
        }
        if (s->timer_for == H2_TIMER_HEAD) {
            s->timer_for = H2_TIMER_NONE; /* the body may wait for a slow client */
        }
    }
    h2->beginner = s;
    s->stream.events->on_head(&s->stream, &message);
    if (*gone) {
        return false;
    }
    if (h2->beginner == s && !s->stream.paused) { /* it is still there */
        h2_stream_want_body(s);
    }
    h2->beginner = NULL;
    return true;
}

static bool take_trailers(struct h2_stream *s, bool ends, enum hpack_verdict verdict,
                          const struct hpack_fields *fields)
{
    bool client = h2_is_client_facing(s->h2);
    struct slice lines;
    if (s->in != H2_IN_BODY && s->in != H2_IN_REFUSED) {
        return h2_stream_fail(s, H2_STREAM_CLOSED,
                              client ? CLOSE_PROTOCOL_ERROR : CLOSE_SERVER_PROTOCOL_ERROR);
    }
    if (!ends || verdict != HPACK_OK || !h2_head_trailers(fields, &lines)) {
        return h2_stream_fail(s, H2_PROTOCOL_ERROR,
                              client ? CLOSE_BAD_TRAILER : CLOSE_BAD_RESPONSE);
    }
    if (s->in_left != H2_NO_LENGTH && s->in_left != 0) { /* R5 */
        return h2_stream_fail(s, H2_PROTOCOL_ERROR,
                              client ? CLOSE_BAD_CONTENT_LENGTH : CLOSE_BAD_RESPONSE_FRAMING);
    }
    if (s->in == H2_IN_REFUSED) {
        return true;
    }
    s->in = H2_IN_ENDED;
    return h2_stream_lend(s, SLICE_NONE, lines);
}

/* The whole block is here; whatever it is for, the decoder has to see it (RFC 9113 4.3). */
static bool take_block(struct h2_conn *h2, uint32_t id, unsigned flags, struct slice block)
{
    struct http_worker *http = h2_worker(h2);
    struct hpack_limits limits = {.bytes = h2->limits.head_bytes, .fields = h2->limits.fields};
    struct hpack_fields fields;
    fields.bytes = http->h2_text;
    fields.capacity = FLOW_HEAD_BYTES;
    fields.headers = (struct headers){.list = http->fields, .capacity = H1_FIELDS_MAX};
    bool ends = (flags & H2_END_STREAM) != 0;
    enum hpack_verdict verdict = hpack_decode(&h2->decoder, block, &limits, &fields);
    if (verdict == HPACK_BAD) {
        return h2_conn_broken(h2, H2_COMPRESSION_ERROR);
    }
    struct h2_stream *s = h2_stream_find(h2, id);
    if (s == NULL) {
        if (h2_is_client_facing(h2) && id > h2->last_id) {
            h2->has_gaps = h2->has_gaps || id != (h2->last_id == 0 ? 1 : h2->last_id + 2);
            h2->last_id = id;
            return take_request(h2, id, ends, verdict, &fields, block.len + H2_FRAME_HEAD);
        }
        return h2_conn_spend(h2, H2_GUARD_UNKNOWN); /* it was reset, and this was under way */
    }
    s->stream.received_bytes += block.len + H2_FRAME_HEAD;
    if (s->in == H2_IN_HEAD) {
        return take_answer(s, ends, verdict, &fields);
    }
    return take_trailers(s, ends, verdict, &fields);
}

/* May HEADERS come on this stream? */
static bool check_headers_id(struct h2_conn *h2, uint32_t id)
{
    if (h2_stream_find(h2, id) != NULL) {
        return true;
    }
    bool of_client = (id & 1U) != 0;
    if (!of_client) {
        return h2_conn_broken(h2, H2_PROTOCOL_ERROR);
    }
    if (h2_is_client_facing(h2)) {
        if (id > h2->last_id) {
            return true;
        }
        switch (h2_stream_recent(h2, id)) {
        case H2_RECENT_RESET: /* it was under way when we reset the stream */
            return true;
        case H2_RECENT_ENDED: /* RFC 9113 5.1: a stream that is over stays so */
            return h2_conn_broken(h2, H2_STREAM_CLOSED);
        case H2_RECENT_NONE:
            break;
        }
        /* RFC 9113 5.1.1: ids go up. A client that leaves none out had this one open; it was under
         * way when we reset it, and much has happened since. */
        return !h2->has_gaps || h2_conn_broken(h2, H2_PROTOCOL_ERROR);
    }
    return id < h2->next_id || h2_conn_broken(h2, H2_PROTOCOL_ERROR);
}

static bool keep_block(struct h2_conn *h2, struct slice part)
{
    if (!flow_put(conn_net(h2->conn), &h2->block, part)) {
        h2_conn_fail(h2, H2_INTERNAL_ERROR, CLOSE_OUT_OF_MEMORY);
        return false;
    }
    return true;
}

bool h2_block_headers(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    enum h2_error code;
    struct slice content;
    if (!h2_frame_content(frame, payload, &content, &code)) {
        return h2_conn_broken(h2, code);
    }
    if (!check_headers_id(h2, frame->stream_id)) {
        return false;
    }
    if (LB_LIKELY((frame->flags & H2_END_HEADERS) != 0)) {
        return take_block(h2, frame->stream_id, frame->flags, content);
    }
    h2->block_stream = frame->stream_id;
    h2->block_flags = frame->flags;
    h2->block_continuations = 0;
    uint32_t most_ms =
        h2->timeouts.head_ms < H2_GUARD_BLOCK_MS ? h2->timeouts.head_ms : H2_GUARD_BLOCK_MS;
    h2->input_due_us = loop_now_us(h2->conn->loop) + (uint64_t)most_ms * 1000;
    h2_conn_set_deadline(h2);
    return keep_block(h2, content);
}

bool h2_block_continuation(struct h2_conn *h2, const struct h2_frame *frame, struct slice payload)
{
    h2->block_continuations++;
    if (!h2_guard_block((uint32_t)(flow_len(&h2->block) + payload.len), h2->block_continuations)) {
        h2_conn_fail(h2, H2_ENHANCE_YOUR_CALM, CLOSE_FLOOD); /* R2: its end is not waited for */
        return false;
    }
    if (!keep_block(h2, payload)) {
        return false;
    }
    if ((frame->flags & H2_END_HEADERS) == 0) {
        return true;
    }
    struct net_worker *net = conn_net(h2->conn);
    size_t len = flow_take(net, &h2->block, net->head_scratch);
    h2->block_stream = 0;
    h2->input_due_us = 0;
    return take_block(h2, frame->stream_id, h2->block_flags, slice_of(net->head_scratch, len));
}
