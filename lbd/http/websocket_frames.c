/* websocket_frames - see websocket_frames.h. */
#include "lbd/http/websocket_frames.h"

enum stage {
    STAGE_HEAD,    /* between two frames */
    STAGE_SIZE,    /* mask bit and short length */
    STAGE_LENGTH,  /* the extended length */
    STAGE_PAYLOAD, /* skipped */
    STAGE_OVER,    /* after a close frame, or no WebSocket */
};

enum { OPCODE_CLOSE = 8, OPCODE_PONG = 10, SHORT_MAX = 125, LENGTH_16 = 126 };

void websocket_frames_init(struct websocket_frames *frames)
{
    *frames = (struct websocket_frames){.stage = STAGE_HEAD};
}

static bool is_opcode(unsigned opcode)
{
    return opcode <= 2 || (opcode >= OPCODE_CLOSE && opcode <= OPCODE_PONG);
}

static void begin_payload(struct websocket_frames *frames)
{
    if (frames->left > 0) {
        frames->stage = STAGE_PAYLOAD;
    } else {
        frames->stage = frames->is_close ? STAGE_OVER : STAGE_HEAD;
    }
}

static void take_byte(struct websocket_frames *frames, uint8_t byte)
{
    switch ((enum stage)frames->stage) {
    case STAGE_HEAD:
        /* RSV1 is compression (RFC 7692); what RSV2 and RSV3 would mean nobody has said */
        frames->is_close = (byte & 0x0fU) == OPCODE_CLOSE;
        frames->stage = is_opcode(byte & 0x0fU) && (byte & 0x30U) == 0 ? STAGE_SIZE : STAGE_OVER;
        return;
    case STAGE_SIZE:
        if ((byte & 0x80U) != 0) {
            frames->stage = STAGE_OVER;
        } else if (byte <= SHORT_MAX) {
            frames->left = byte;
            begin_payload(frames);
        } else {
            frames->left = 0;
            frames->remaining = byte == LENGTH_16 ? 2 : 8;
            frames->stage = STAGE_LENGTH;
        }
        return;
    case STAGE_LENGTH:
        frames->left = frames->left << 8U | byte;
        if (--frames->remaining == 0) {
            if (frames->left > INT64_MAX) { /* RFC 6455 5.2 */
                frames->stage = STAGE_OVER;
            } else {
                begin_payload(frames);
            }
        }
        return;
    case STAGE_PAYLOAD:
    case STAGE_OVER:
        return;
    }
}

void websocket_frames_follow(struct websocket_frames *frames, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.len && frames->stage != STAGE_OVER) {
        if (frames->stage != STAGE_PAYLOAD) {
            take_byte(frames, (uint8_t)bytes.ptr[at++]);
            continue;
        }
        uint64_t here = bytes.len - at;
        uint64_t skipped = here < frames->left ? here : frames->left;
        websocket_frames_skip(frames, skipped);
        at += (size_t)skipped;
    }
}

uint64_t websocket_frames_unseen(const struct websocket_frames *frames)
{
    if (frames->stage == STAGE_OVER) {
        return UINT64_MAX;
    }
    return frames->stage == STAGE_PAYLOAD ? frames->left : 0;
}

void websocket_frames_skip(struct websocket_frames *frames, uint64_t count)
{
    if (frames->stage == STAGE_PAYLOAD) {
        frames->left -= count < frames->left ? count : frames->left;
        begin_payload(frames);
    }
}

bool websocket_frames_between(const struct websocket_frames *frames)
{
    return frames->stage == STAGE_HEAD;
}
