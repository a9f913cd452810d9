/*
 * h2_frame - HTTP/2 frames (RFC 9113 4 and 6, RFC 9218 7.1): heads and payloads, sans-I/O.
 *
 *     9 bytes --h2_frame_read--> struct h2_frame --h2_frame_check--> fine, or whose error it is
 *     payload --h2_frame_content--> without padding and priority
 *
 * The check needs the head only, so a frame that is wrong by its length, stream or flags is refused
 * before its payload is waited for. Unknown types pass: they are ignored (RFC 9113 4.1).
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_H2_FRAME_H
#define LBD_HTTP_H2_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

enum {
    H2_FRAME_HEAD = 9,
    H2_FRAME_MAX = 16384, /* SETTINGS_MAX_FRAME_SIZE as it begins: what we take and what we send */
    H2_SETTING_BYTES = 6,
    H2_WINDOW_INITIAL = 65535,
};
#define H2_WINDOW_MAX    UINT32_C(0x7fffffff)
#define H2_STREAM_ID_MAX UINT32_C(0x7fffffff)

#define H2_PREFACE SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

enum h2_type {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_PRIORITY = 2,
    H2_RST_STREAM = 3,
    H2_SETTINGS = 4,
    H2_PUSH_PROMISE = 5,
    H2_PING = 6,
    H2_GOAWAY = 7,
    H2_WINDOW_UPDATE = 8,
    H2_CONTINUATION = 9,
    H2_PRIORITY_UPDATE = 16,
};

enum h2_flag {
    H2_ACK = 1, /* SETTINGS, PING */
    H2_END_STREAM = 1,
    H2_END_HEADERS = 4,
    H2_PADDED = 8,
    H2_WITH_PRIORITY = 32,
};

/* RFC 9113 7 */
enum h2_error {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_FLOW_CONTROL_ERROR = 3,
    H2_SETTINGS_TIMEOUT = 4,
    H2_STREAM_CLOSED = 5,
    H2_FRAME_SIZE_ERROR = 6,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_COMPRESSION_ERROR = 9,
    H2_CONNECT_ERROR = 10,
    H2_ENHANCE_YOUR_CALM = 11,
    H2_INADEQUATE_SECURITY = 12,
    H2_HTTP_1_1_REQUIRED = 13,
};

/* RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1 */
enum h2_setting {
    H2_SETTING_HEADER_TABLE_SIZE = 1,
    H2_SETTING_ENABLE_PUSH = 2,
    H2_SETTING_MAX_CONCURRENT_STREAMS = 3,
    H2_SETTING_INITIAL_WINDOW_SIZE = 4,
    H2_SETTING_MAX_FRAME_SIZE = 5,
    H2_SETTING_MAX_HEADER_LIST_SIZE = 6,
    H2_SETTING_ENABLE_CONNECT_PROTOCOL = 8,
    H2_SETTING_NO_RFC7540_PRIORITIES = 9,
};

struct h2_frame {
    uint32_t length; /* of the payload */
    uint32_t stream_id;
    uint8_t type; /* enum h2_type, or unknown */
    uint8_t flags;
};

enum h2_frame_verdict {
    H2_FRAME_OK,
    H2_FRAME_STREAM_ERROR,     /* of this stream alone */
    H2_FRAME_CONNECTION_ERROR, /* the connection has to end */
};

static inline uint32_t h2_frame_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline char *h2_frame_put_u32(char *out, uint32_t value)
{
    out[0] = (char)(value >> 24);
    out[1] = (char)(value >> 16);
    out[2] = (char)(value >> 8);
    out[3] = (char)value;
    return out + 4;
}

/* The reserved bit is ignored (RFC 9113 4.1). */
struct h2_frame h2_frame_read(const char bytes[H2_FRAME_HEAD]);
/* Returns what follows the head. */
char *h2_frame_write(char out[H2_FRAME_HEAD], uint32_t length, enum h2_type type, unsigned flags,
                     uint32_t stream_id);
/* Type, length, stream and flags against the RFC; with an error *code says which. */
enum h2_frame_verdict h2_frame_check(const struct h2_frame *frame, enum h2_error *code);
/* What a DATA or HEADERS frame carries, without padding and priority. False: *code, and the
 * connection has to end. */
bool h2_frame_content(const struct h2_frame *frame, struct slice payload, struct slice *content,
                      enum h2_error *code);

struct h2_setting_value {
    uint16_t id;
    uint32_t value;
};

/* The next of a SETTINGS payload whose length was checked; false at its end. */
bool h2_frame_setting(struct slice *payload, struct h2_setting_value *setting);
char *h2_frame_put_setting(char *out, enum h2_setting id, uint32_t value);
/* Is the value one that this setting may have (RFC 9113 6.5.2)? */
bool h2_frame_setting_is_valid(const struct h2_setting_value *setting, enum h2_error *code);

#endif
