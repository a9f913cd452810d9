#include "tests/bench/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/h2_session.h"

enum {
    STREAM_WINDOW = 6 << 20,
    CONNECTION_WINDOW = 15 << 20,
    HEADER_TABLE = 64 << 10,
    GRPC_MESSAGE = 128
};

struct slot {
    struct streams_answer answer;
    size_t sent; /* of a call's message */
    bool used;
    bool grpc;
    bool grpc_ok;
};

struct streams {
    struct h2_session h2;
    void *owner; /* borrowed */
    streams_answer_fn *on_answer;
    uint32_t open;
    bool goodbye;
    struct slot slots[STREAMS_MAX];
};

static struct slot *slot_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    struct slot *slot = slot_of(session, frame->hd.stream_id);
    if (slot == NULL) {
        return 0;
    }
    if (name_len == 7 && memcmp(name, ":status", 7) == 0 && value_len == 3) {
        slot->answer.status =
            (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
    } else if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
        slot->grpc_ok = value_len == 1 && value[0] == '0';
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    (void)flags;
    (void)bytes;
    (void)user;
    struct slot *slot = slot_of(session, id);
    if (slot != NULL) {
        slot->answer.body_bytes += len;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct streams *streams = user;
    struct slot *slot = slot_of(session, id);
    if (slot == NULL || !slot->used) {
        return 0;
    }
    struct streams_answer answer = slot->answer;
    answer.whole = error == NGHTTP2_NO_ERROR && (!slot->grpc || slot->grpc_ok);
    slot->used = false;
    streams->open--;
    streams->on_answer(streams->owner, &answer);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct streams *streams = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        streams->goodbye = true;
    }
    return 0;
}

struct streams *streams_new(void *owner, streams_answer_fn *on_answer)
{
    static nghttp2_session_callbacks *callbacks;
    if (callbacks == NULL) {
        h2_session_must(nghttp2_session_callbacks_new(&callbacks), "callbacks");
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    }
    struct streams *streams = calloc(1, sizeof(*streams));
    if (streams == NULL) {
        abort();
    }
    streams->owner = owner;
    streams->on_answer = on_answer;
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, HEADER_TABLE},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    h2_session_must(nghttp2_session_client_new(&streams->h2.session, callbacks, streams),
                    "session");
    h2_session_must(nghttp2_submit_settings(streams->h2.session, NGHTTP2_FLAG_NONE, settings,
                                            sizeof(settings) / sizeof(settings[0])),
                    "settings");
    h2_session_must(nghttp2_session_set_local_window_size(streams->h2.session, NGHTTP2_FLAG_NONE, 0,
                                                          CONNECTION_WINDOW),
                    "window");
    return streams;
}

void streams_free(struct streams *streams)
{
    if (streams != NULL) {
        nghttp2_session_del(streams->h2.session);
        free(streams);
    }
}

uint32_t streams_open(const struct streams *streams)
{
    return streams->open;
}

/* The message of a call: a length, then bytes that say nothing. */
static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)id;
    (void)session;
    (void)user;
    struct slot *slot = source->ptr;
    size_t whole = 5 + GRPC_MESSAGE;
    size_t take = whole - slot->sent < room ? whole - slot->sent : room;
    for (size_t i = 0; i < take; i++) {
        out[i] = slot->sent + i == 4 ? GRPC_MESSAGE : slot->sent + i < 4 ? 0 : 'm';
    }
    slot->sent += take;
    if (slot->sent == whole) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)take;
}

bool streams_ask(struct streams *streams, const struct streams_question *question,
                 uint64_t since_us)
{
    struct slot *slot = NULL;
    for (uint32_t i = 0; i < STREAMS_MAX && slot == NULL; i++) {
        slot = streams->slots[i].used ? NULL : &streams->slots[i];
    }
    if (slot == NULL || streams->goodbye) {
        return false;
    }
    *slot = (struct slot){.answer = {.since_us = since_us}, .used = true, .grpc = question->grpc};
    const nghttp2_nv call[] = {
        h2_session_field(":method", "POST"),
        h2_session_field(":scheme", question->scheme),
        h2_session_field(":authority", question->host),
        h2_session_field(":path", question->path),
        h2_session_field("content-type", "application/grpc"),
        h2_session_field("te", "trailers"),
        h2_session_field("user-agent", "grpc-node-js/1.9.0"),
        h2_session_field("grpc-accept-encoding", "identity,deflate,gzip"),
        h2_session_field("grpc-timeout", "9S"),
    };
    const nghttp2_nv page[] = {
        h2_session_field(":method", "GET"),
        h2_session_field(":scheme", question->scheme),
        h2_session_field(":authority", question->host),
        h2_session_field(":path", question->path),
        h2_session_field("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 "
                                       "Firefox/120.0"),
        h2_session_field("accept",
                         "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;"
                         "q=0.8"),
        h2_session_field("accept-language", "en-US,en;q=0.5"),
        h2_session_field("accept-encoding", "gzip, deflate, br"),
        h2_session_field("cookie", "session=0123456789abcdef0123456789abcdef"),
        h2_session_field("upgrade-insecure-requests", "1"),
    };
    const nghttp2_data_provider message = {.source = {.ptr = slot}, .read_callback = read_message};
    int32_t id = question->grpc
                     ? nghttp2_submit_request(streams->h2.session, NULL, call,
                                              sizeof(call) / sizeof(call[0]), &message, slot)
                     : nghttp2_submit_request(streams->h2.session, NULL, page,
                                              sizeof(page) / sizeof(page[0]), NULL, slot);
    if (id < 0) {
        slot->used = false;
        return false;
    }
    streams->open++;
    return true;
}

bool streams_feed(struct streams *streams, const void *bytes, size_t len)
{
    return nghttp2_session_mem_recv(streams->h2.session, bytes, len) == (ssize_t)len &&
           !streams->goodbye;
}

size_t streams_take(struct streams *streams, char *out, size_t room)
{
    return h2_session_take(&streams->h2, out, room);
}
