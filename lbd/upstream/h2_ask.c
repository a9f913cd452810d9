#include "lbd/upstream/h2_ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/http/h2_frame.h"
#include "lbd/http/h2_head.h"

enum { STREAM = 1, HEAD_MAX = 65536, DECODED_FIELDS = 128 };

void h2_ask_init(struct h2_ask *ask)
{
    *ask = (struct h2_ask){.grpc_status = -1};
    hpack_decoder_init(&ask->decoder);
    hpack_encode_init(&ask->encoder);
    buf_init(&ask->block, HEAD_MAX);
    buf_init(&ask->body, H2_ASK_BODY_MAX);
}

void h2_ask_fini(struct h2_ask *ask)
{
    hpack_decoder_fini(&ask->decoder);
    buf_fini(&ask->block);
    buf_fini(&ask->body);
    free(ask->text);
    ask->text = NULL;
}

/* -- out -- */

static void put_frame(struct buf *out, enum h2_type type, unsigned flags, uint32_t stream,
                      struct slice payload)
{
    char head[H2_FRAME_HEAD];
    (void)h2_frame_write(head, (uint32_t)payload.len, type, flags, stream);
    (void)buf_append(out, head, sizeof(head));
    (void)buf_append_slice(out, payload);
}

bool h2_ask_write(struct h2_ask *ask, const struct h2_ask_request *request, struct buf *out)
{
    char block[H2_FRAME_MAX];
    char setting[H2_SETTING_BYTES];
    struct hpack_encode writer;
    bool has_body = request->body.len != 0;
    hpack_encode_begin(&writer, &ask->encoder, block, sizeof(block));
    hpack_encode_pseudo(&writer, HPACK_METHOD, request->method);
    hpack_encode_pseudo(&writer, HPACK_SCHEME, request->scheme);
    hpack_encode_pseudo(&writer, HPACK_AUTHORITY, request->authority);
    hpack_encode_pseudo(&writer, HPACK_PATH, request->path);
    for (uint32_t i = 0; i < request->field_count; i++) {
        hpack_encode_field(&writer, request->fields[i].name, request->fields[i].value);
    }
    size_t len = hpack_encode_end(&writer);
    if (len == 0 || request->body.len > H2_FRAME_MAX) {
        return false;
    }
    (void)h2_frame_put_setting(setting, H2_SETTING_ENABLE_PUSH, 0);
    (void)buf_append_slice(out, H2_PREFACE);
    put_frame(out, H2_SETTINGS, 0, 0, slice_of(setting, sizeof(setting)));
    put_frame(out, H2_HEADERS, H2_END_HEADERS | (has_body ? 0U : (unsigned)H2_END_STREAM), STREAM,
              slice_of(block, len));
    if (has_body) {
        put_frame(out, H2_DATA, H2_END_STREAM, STREAM, request->body);
    }
    return !out->overflow;
}

/* -- in -- */

LB_PRINTF(2, 3) static enum h2_ask_step bad(struct h2_ask *ask, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(ask->why, sizeof(ask->why), fmt, args);
    va_end(args);
    return H2_ASK_BAD;
}

static void note_grpc(struct h2_ask *ask, const struct hpack_fields *fields)
{
    const struct headers *headers = &fields->headers;
    const struct header *status = headers_find_name(headers, SLICE("grpc-status"));
    const struct header *message = headers_find_name(headers, SLICE("grpc-message"));
    uint64_t number = 0;
    if (status != NULL && num_parse_u64(header_value(headers, status), &number) && number < 1000) {
        ask->grpc_status = (int)number;
    }
    if (message != NULL) {
        (void)snprintf(ask->grpc_message, sizeof(ask->grpc_message), "%.*s",
                       SLICE_ARG(header_value(headers, message)));
    }
}

static enum h2_ask_step take_block(struct h2_ask *ask)
{
    static const struct hpack_limits limits = {.bytes = HEAD_MAX, .fields = DECODED_FIELDS};
    struct header list[DECODED_FIELDS];
    struct hpack_fields fields = {
        .headers = {.list = list, .capacity = DECODED_FIELDS},
        .capacity = HEAD_MAX + HPACK_SLACK,
    };
    if (ask->text == NULL) {
        ask->text = mem_alloc(HEAD_MAX + HPACK_SLACK);
    }
    fields.bytes = ask->text;
    ask->in_block = false;
    if (hpack_decode(&ask->decoder, buf_slice(&ask->block), &limits, &fields) != HPACK_OK) {
        return bad(ask, "malformed answer: its header block");
    }
    buf_clear(&ask->block);
    if (ask->status == 0) {
        struct message message = {0};
        if (h2_head_response(&fields, ask->block_ends, METHOD_GET, &message) != CLOSE_OK) {
            return bad(ask, "malformed answer: its head");
        }
        if (message.status >= 200) {
            ask->status = message.status;
            if (ask->on_head != NULL) {
                ask->on_head(&fields.headers, ask->arg);
            }
        }
    }
    if (ask->status != 0) {
        note_grpc(ask, &fields);
    }
    return ask->block_ends ? H2_ASK_ENDED : H2_ASK_MORE;
}

static enum h2_ask_step add_to_block(struct h2_ask *ask, const struct h2_frame *frame,
                                     struct slice content)
{
    if (!buf_append_slice(&ask->block, content)) {
        return bad(ask, "the answer's head is larger than %d KiB", HEAD_MAX / 1024);
    }
    ask->in_block = true;
    return (frame->flags & H2_END_HEADERS) != 0 ? take_block(ask) : H2_ASK_MORE;
}

static enum h2_ask_step take_data(struct h2_ask *ask, const struct h2_frame *frame,
                                  struct slice content)
{
    if (ask->status == 0) {
        return bad(ask, "malformed answer: a body before its head");
    }
    if (!buf_append_slice(&ask->body, content)) {
        return bad(ask, "the answer is larger than %u KiB", H2_ASK_BODY_MAX / 1024);
    }
    return (frame->flags & H2_END_STREAM) != 0 ? H2_ASK_ENDED : H2_ASK_MORE;
}

static const char *error_word(uint32_t code)
{
    static const char *const words[] = {
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    };
    return code < ARRAY_LEN(words) ? words[code] : "an unknown error";
}

static enum h2_ask_step take_frame(struct h2_ask *ask, const struct h2_frame *frame,
                                   struct slice payload, struct buf *out)
{
    struct slice content = payload;
    enum h2_error code = H2_NO_ERROR;
    bool is_ours = frame->stream_id == STREAM;
    if ((frame->type == H2_CONTINUATION) != ask->in_block) {
        return bad(ask, "malformed answer: a header block is cut");
    }
    if ((frame->type == H2_DATA || frame->type == H2_HEADERS) &&
        !h2_frame_content(frame, payload, &content, &code)) {
        return bad(ask, "malformed answer: %s", error_word(code));
    }
    switch (frame->type) {
    case H2_SETTINGS:
        if ((frame->flags & H2_ACK) == 0) {
            put_frame(out, H2_SETTINGS, H2_ACK, 0, SLICE_NONE);
        }
        return H2_ASK_MORE;
    case H2_PING:
        if ((frame->flags & H2_ACK) == 0) {
            put_frame(out, H2_PING, H2_ACK, 0, payload);
        }
        return H2_ASK_MORE;
    case H2_GOAWAY:
        return (h2_frame_u32(payload.ptr) & H2_STREAM_ID_MAX) < STREAM
                   ? bad(ask, "GOAWAY with %s", error_word(h2_frame_u32(payload.ptr + 4)))
                   : H2_ASK_MORE;
    case H2_RST_STREAM:
        return is_ours
                   ? bad(ask, "the stream was reset with %s", error_word(h2_frame_u32(payload.ptr)))
                   : H2_ASK_MORE;
    case H2_HEADERS:
        ask->block_ends = (frame->flags & H2_END_STREAM) != 0;
        return is_ours ? add_to_block(ask, frame, content)
                       : bad(ask, "malformed answer: nobody asked for it");
    case H2_CONTINUATION:
        return is_ours ? add_to_block(ask, frame, content)
                       : bad(ask, "malformed answer: a header block is cut");
    case H2_DATA:
        return is_ours ? take_data(ask, frame, content)
                       : bad(ask, "malformed answer: nobody asked for it");
    case H2_PUSH_PROMISE:
        return bad(ask, "malformed answer: a push that was not allowed");
    default:
        return H2_ASK_MORE; /* not for us (RFC 9113 4.1) */
    }
}

enum h2_ask_step h2_ask_feed(struct h2_ask *ask, struct buf *in, struct buf *out)
{
    enum h2_ask_step step = H2_ASK_MORE;
    while (step == H2_ASK_MORE && in->len >= H2_FRAME_HEAD) {
        struct h2_frame frame = h2_frame_read(in->data);
        enum h2_error code = H2_NO_ERROR;
        bool is_settings = frame.type == H2_SETTINGS && (frame.flags & H2_ACK) == 0;
        if (!ask->is_settled && slice_starts(buf_slice(in), SLICE("HTTP/1."))) {
            return bad(ask, "it answers in HTTP/1: it does not speak HTTP/2 here");
        }
        if ((!ask->is_settled && !is_settings) || h2_frame_check(&frame, &code) != H2_FRAME_OK) {
            return bad(ask, "malformed answer: it is no HTTP/2");
        }
        if (in->len < H2_FRAME_HEAD + frame.length) {
            return H2_ASK_MORE;
        }
        ask->is_settled = true;
        step = take_frame(ask, &frame, slice_of(in->data + H2_FRAME_HEAD, frame.length), out);
        buf_consume(in, H2_FRAME_HEAD + frame.length);
    }
    return step;
}
