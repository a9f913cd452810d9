/* h2_frame - see h2_frame.h. */
#include "lbd/http/h2_frame.h"

#include "lbd/base/compiler.h"

struct h2_frame h2_frame_read(const char bytes[H2_FRAME_HEAD])
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (struct h2_frame){
        .length = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2],
        .stream_id = h2_frame_u32(bytes + 5) & H2_STREAM_ID_MAX,
        .type = b[3],
        .flags = b[4],
    };
}

char *h2_frame_write(char out[H2_FRAME_HEAD], uint32_t length, enum h2_type type, unsigned flags,
                     uint32_t stream_id)
{
    out[0] = (char)(length >> 16);
    out[1] = (char)(length >> 8);
    out[2] = (char)length;
    out[3] = (char)type;
    out[4] = (char)flags;
    return h2_frame_put_u32(out + 5, stream_id);
}

/* RFC 9113 6.1 to 6.10, RFC 9218 7.1 */
static const struct shape {
    uint32_t length_min;
    uint32_t length_max;
    bool on_stream;   /* has a stream; else it is of the connection */
    bool either;      /* may be both */
    bool bad_alone;   /* a wrong length is the stream's error */
    uint8_t multiple; /* the length is one of this; 0: any */
} shapes[] = {
    [H2_DATA] = {0, H2_FRAME_MAX, true, false, false, 0},
    [H2_HEADERS] = {0, H2_FRAME_MAX, true, false, false, 0},
    [H2_PRIORITY] = {5, 5, true, false, true, 0},
    [H2_RST_STREAM] = {4, 4, true, false, false, 0},
    [H2_SETTINGS] = {0, H2_FRAME_MAX, false, false, false, H2_SETTING_BYTES},
    [H2_PUSH_PROMISE] = {4, H2_FRAME_MAX, true, false, false, 0},
    [H2_PING] = {8, 8, false, false, false, 0},
    [H2_GOAWAY] = {8, H2_FRAME_MAX, false, false, false, 0},
    [H2_WINDOW_UPDATE] = {4, 4, false, true, false, 0},
    [H2_CONTINUATION] = {0, H2_FRAME_MAX, true, false, false, 0},
};

enum h2_frame_verdict h2_frame_check(const struct h2_frame *frame, enum h2_error *code)
{
    static const struct shape priority_update = {4, H2_FRAME_MAX, false, false, false, 0};
    *code = H2_FRAME_SIZE_ERROR;
    if (frame->length > H2_FRAME_MAX) {
        return H2_FRAME_CONNECTION_ERROR;
    }
    const struct shape *shape = &priority_update;
    if (LB_LIKELY(frame->type < ARRAY_LEN(shapes))) {
        shape = &shapes[frame->type];
    } else if (frame->type != H2_PRIORITY_UPDATE) {
        return H2_FRAME_OK;
    }
    if (!shape->either && shape->on_stream != (frame->stream_id != 0)) {
        *code = H2_PROTOCOL_ERROR;
        return H2_FRAME_CONNECTION_ERROR;
    }
    bool fits = frame->length >= shape->length_min && frame->length <= shape->length_max &&
                (shape->multiple == 0 || frame->length % shape->multiple == 0);
    if (frame->type == H2_SETTINGS && (frame->flags & H2_ACK) != 0 && frame->length != 0) {
        fits = false;
    }
    if (!fits) {
        return shape->bad_alone ? H2_FRAME_STREAM_ERROR : H2_FRAME_CONNECTION_ERROR;
    }
    return H2_FRAME_OK;
}

bool h2_frame_content(const struct h2_frame *frame, struct slice payload, struct slice *content,
                      enum h2_error *code)
{
    size_t front = 0;
    size_t padding = 0;
    if ((frame->flags & H2_PADDED) != 0) {
        front = 1;
        padding = payload.len > 0 ? (unsigned char)payload.ptr[0] : 0;
    }
    if (frame->type == H2_HEADERS && (frame->flags & H2_WITH_PRIORITY) != 0) {
        front += 5;
    }
    if (front > payload.len) {
        *code = H2_FRAME_SIZE_ERROR;
        return false;
    }
    if (padding > payload.len - front) { /* RFC 9113 6.1 */
        *code = H2_PROTOCOL_ERROR;
        return false;
    }
    *content = slice_of(payload.ptr + front, payload.len - front - padding);
    return true;
}

bool h2_frame_setting(struct slice *payload, struct h2_setting_value *setting)
{
    if (payload->len < H2_SETTING_BYTES) {
        return false;
    }
    const unsigned char *b = (const unsigned char *)payload->ptr;
    setting->id = (uint16_t)(b[0] << 8 | b[1]);
    setting->value = h2_frame_u32(payload->ptr + 2);
    *payload = slice_from_at(*payload, H2_SETTING_BYTES);
    return true;
}

char *h2_frame_put_setting(char *out, enum h2_setting id, uint32_t value)
{
    out[0] = (char)((unsigned)id >> 8);
    out[1] = (char)id;
    return h2_frame_put_u32(out + 2, value);
}

bool h2_frame_setting_is_valid(const struct h2_setting_value *setting, enum h2_error *code)
{
    *code = H2_PROTOCOL_ERROR;
    switch (setting->id) {
    case H2_SETTING_ENABLE_PUSH:
    case H2_SETTING_ENABLE_CONNECT_PROTOCOL:
    case H2_SETTING_NO_RFC7540_PRIORITIES:
        return setting->value <= 1;
    case H2_SETTING_INITIAL_WINDOW_SIZE:
        *code = H2_FLOW_CONTROL_ERROR;
        return setting->value <= H2_WINDOW_MAX;
    case H2_SETTING_MAX_FRAME_SIZE:
        return setting->value >= H2_FRAME_MAX && setting->value <= 0xffffff;
    default:
        return true;
    }
}
