#include "tests/unit/h2_frames.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h2_frame.h"

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "h2_frames: %s\n", what);
        abort();
    }
}

void h2_frames_init(struct h2_frames *frames)
{
    frames->bytes = malloc(H2_FRAMES_MAX);
    must(frames->bytes != NULL, "no memory");
    frames->len = 0;
}

void h2_frames_fini(struct h2_frames *frames)
{
    free(frames->bytes);
}

static void append(struct h2_frames *frames, struct slice bytes)
{
    must(frames->len + bytes.len <= H2_FRAMES_MAX, "too much");
    if (bytes.len > 0) {
        memcpy(frames->bytes + frames->len, bytes.ptr, bytes.len);
        frames->len += bytes.len;
    }
}

void h2_frames_add(struct h2_frames *frames, unsigned type, unsigned flags, unsigned stream,
                   struct slice payload)
{
    char head[H2_FRAME_HEAD];
    (void)h2_frame_write(head, (uint32_t)payload.len, (enum h2_type)type, flags, stream);
    append(frames, slice_of(head, sizeof(head)));
    append(frames, payload);
}

static size_t put_text(char *out, size_t at, size_t capacity, struct slice text)
{
    must(at + text.len + 4 <= capacity, "a block too large");
    if (text.len < 127) {
        out[at++] = (char)text.len;
    } else { /* RFC 7541 5.1 */
        size_t rest = text.len - 127;
        out[at++] = 127;
        for (; rest >= 128; rest /= 128) {
            out[at++] = (char)(rest % 128 + 128);
        }
        out[at++] = (char)rest;
    }
    if (text.len > 0) {
        memcpy(out + at, text.ptr, text.len);
    }
    return at + text.len;
}

size_t h2_frames_block(char *out, size_t capacity, struct slice fields)
{
    struct slice field;
    size_t len = 0;
    while (fields.len > 0 && slice_split(&fields, '|', &field)) {
        size_t colon = slice_find(slice_from_at(field, 1), ':') + 1;
        must(colon > 0 && colon < field.len, "a field without a colon");
        must(len < capacity, "a block too large");
        struct slice value = slice_from_at(field, colon + 1);
        if (value.len > 0 && value.ptr[0] == ' ') {
            value = slice_from_at(value, 1);
        }
        out[len++] = 0; /* a literal, not to be indexed */
        len = put_text(out, len, capacity, slice_of(field.ptr, colon));
        len = put_text(out, len, capacity, value);
    }
    return len;
}

static void add_head(struct h2_frames *frames, unsigned stream, bool ends, const char *format, ...)
    LB_PRINTF(4, 5);
static void add_head(struct h2_frames *frames, unsigned stream, bool ends, const char *format, ...)
{
    static char fields[65536];
    static char block[65536];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(fields, sizeof(fields), format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof(fields), "a head too large");
    size_t size = h2_frames_block(block, sizeof(block), slice_of(fields, (size_t)len));
    h2_frames_add(frames, H2_HEADERS, H2_END_HEADERS | (ends ? H2_END_STREAM : 0U), stream,
                  slice_of(block, size));
}

static void add_settings(struct h2_frames *frames, const char *text)
{
    char payload[256];
    size_t len = 0;
    while (*text != '\0') {
        char *after;
        unsigned long id = strtoul(text, &after, 10);
        must(*after == '=' && len + 6 <= sizeof(payload), "a setting");
        unsigned long value = strtoul(after + 1, &after, 10);
        (void)h2_frame_put_setting(payload + len, (enum h2_setting)id, (uint32_t)value);
        len += H2_SETTING_BYTES;
        text = *after == ',' ? after + 1 : after;
    }
    h2_frames_add(frames, H2_SETTINGS, 0, 0, slice_of(payload, len));
}

static void add_raw(struct h2_frames *frames, const char *text)
{
    char payload[4096];
    size_t len = 0;
    char *at;
    unsigned long type = strtoul(text, &at, 10);
    unsigned long flags = strtoul(at + 1, &at, 10);
    unsigned long stream = strtoul(at + 1, &at, 10);
    while (*at == ' ') {
        at++;
    }
    for (; at[0] != '\0' && at[1] != '\0'; at += 2) {
        char digits[3] = {at[0], at[1], '\0'};
        must(len < sizeof(payload), "a payload too large");
        payload[len++] = (char)strtoul(digits, NULL, 16);
    }
    h2_frames_add(frames, (unsigned)type, (unsigned)flags, (unsigned)stream,
                  slice_of(payload, len));
}

static void add_u32(struct h2_frames *frames, enum h2_type type, unsigned stream, const char *text)
{
    char payload[4];
    (void)h2_frame_put_u32(payload, (uint32_t)strtoul(text, NULL, 10));
    h2_frames_add(frames, type, 0, stream, slice_of(payload, sizeof(payload)));
}

#define HOST ":scheme: http|:authority: x|"

static void add_one(struct h2_frames *frames, const char *text)
{
    char letter = text[0];
    if (letter == 'X') {
        add_raw(frames, text + 1);
        return;
    }
    size_t digits = strspn(text + 1, "0123456789");
    unsigned stream = (unsigned)strtoul(digits > 0 ? text + 1 : "0", NULL, 10);
    const char *rest = text + 1 + digits;
    rest += *rest == ' ';
    const char *bar = strchr(rest, '|');
    int word = (int)(bar != NULL ? (size_t)(bar - rest) : strlen(rest));
    char payload[8] = {0};
    switch (letter) {
    case '!':
        append(frames, H2_PREFACE);
        return;
    case 'S':
        add_settings(frames, rest);
        return;
    case 's':
        h2_frames_add(frames, H2_SETTINGS, H2_ACK, 0, SLICE_NONE);
        return;
    case 'G':
        add_head(frames, stream, true, ":method: GET|" HOST ":path: %.*s%s", word, rest,
                 rest + word);
        return;
    case 'O':
        add_head(frames, stream, false, ":method: POST|" HOST ":path: %.*s%s", word, rest,
                 rest + word);
        return;
    case 'A':
    case 'a':
        add_head(frames, stream, letter == 'a', ":status: %.*s%s", word, rest, rest + word);
        return;
    case 'H':
    case 'h':
        add_head(frames, stream, letter == 'h', "%s", rest);
        return;
    case 'T':
        add_head(frames, stream, true, "%s", rest);
        return;
    case 'D':
    case 'd':
        h2_frames_add(frames, H2_DATA, letter == 'd' ? H2_END_STREAM : 0U, stream,
                      slice_from(rest));
        return;
    case 'P':
    case 'p':
        memcpy(payload, rest, strnlen(rest, sizeof(payload)));
        h2_frames_add(frames, H2_PING, letter == 'p' ? H2_ACK : 0U, 0,
                      slice_of(payload, sizeof(payload)));
        return;
    case 'R':
        add_u32(frames, H2_RST_STREAM, stream, rest);
        return;
    case 'W':
        add_u32(frames, H2_WINDOW_UPDATE, stream, rest);
        return;
    case 'Y':
        (void)h2_frame_put_u32(payload, stream);
        (void)h2_frame_put_u32(payload + 4, (uint32_t)strtoul(rest, NULL, 10));
        h2_frames_add(frames, H2_GOAWAY, 0, 0, slice_of(payload, sizeof(payload)));
        return;
    default:
        must(false, text);
    }
}

void h2_frames_say(struct h2_frames *frames, const char *text)
{
    struct slice rest = slice_from(text);
    struct slice part;
    while (rest.ptr != NULL && slice_split(&rest, ';', &part)) {
        static char one[65536];
        part = slice_trim(part);
        must(part.len < sizeof(one), "a frame too large");
        if (part.len > 0) {
            memcpy(one, part.ptr, part.len);
            one[part.len] = '\0';
            add_one(frames, one);
        }
    }
}

/* -- reading -- */

struct text {
    char *out;
    size_t len;
    size_t capacity;
};

static void print(struct text *text, const char *format, ...) LB_PRINTF(2, 3);
static void print(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->out + text->len, text->capacity - text->len, format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < text->capacity - text->len, "too much text");
    text->len += (size_t)len;
}

static void print_settings(struct text *text, struct slice payload)
{
    struct h2_setting_value setting;
    const char *comma = " ";
    print(text, "S");
    while (h2_frame_setting(&payload, &setting)) {
        print(text, "%s%u=%u", comma, setting.id, setting.value);
        comma = ",";
    }
}

static void print_head(struct text *text, struct hpack_stand *decoder, const struct h2_frame *frame,
                       struct slice payload)
{
    must((frame->flags & H2_END_HEADERS) != 0, "CONTINUATION is not read");
    must(hpack_stand_decode(decoder, payload) == HPACK_OK, "a header block");
    struct slice fields = hpack_stand_text(decoder);
    print(text, "H%u %.*s", frame->stream_id, SLICE_ARG(fields));
}

static void print_frame(struct text *text, struct hpack_stand *decoder,
                        const struct h2_frame *frame, struct slice payload)
{
    const char *at = payload.ptr;
    bool ends = (frame->flags & H2_END_STREAM) != 0;
    switch (frame->type) {
    case H2_DATA:
        print(text, "D%u", frame->stream_id);
        if (payload.len > 64) {
            print(text, " (%zu)", payload.len);
        } else if (payload.len > 0) {
            print(text, " %.*s", SLICE_ARG(payload));
        }
        print(text, "%s", ends ? " E" : "");
        break;
    case H2_HEADERS:
        print_head(text, decoder, frame, payload);
        print(text, "%s", ends ? " E" : "");
        break;
    case H2_SETTINGS:
        if (ends) {
            print(text, "s");
        } else {
            print_settings(text, payload);
        }
        break;
    case H2_PING:
        print(text, "%c %.*s", ends ? 'p' : 'P', (int)strnlen(at, 8), at);
        break;
    case H2_RST_STREAM:
        print(text, "R%u %u", frame->stream_id, h2_frame_u32(at));
        break;
    case H2_WINDOW_UPDATE:
        print(text, "W%u %u", frame->stream_id, h2_frame_u32(at));
        break;
    case H2_GOAWAY:
        print(text, "Y%u %u", h2_frame_u32(at), h2_frame_u32(at + 4));
        break;
    default:
        print(text, "X%u,%u,%u", frame->type, frame->flags, frame->stream_id);
        break;
    }
    print(text, "; ");
}

size_t h2_frames_text(struct hpack_stand *decoder, struct slice bytes, char *out, size_t capacity)
{
    struct text text = {out, 0, capacity};
    size_t at = 0;
    out[0] = '\0';
    if (slice_starts(bytes, H2_PREFACE)) {
        print(&text, "!; ");
        at = H2_PREFACE.len;
    }
    while (bytes.len - at >= H2_FRAME_HEAD) {
        struct h2_frame frame = h2_frame_read(bytes.ptr + at);
        if (bytes.len - at - H2_FRAME_HEAD < frame.length) {
            break;
        }
        struct slice payload = slice_of(bytes.ptr + at + H2_FRAME_HEAD, frame.length);
        print_frame(&text, decoder, &frame, payload);
        at += H2_FRAME_HEAD + frame.length;
    }
    return at;
}
