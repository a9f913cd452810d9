#include "tests/bench/origin_streams.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/h2_session.h"

enum { AT_ONCE = 1000, WINDOW = 1 << 20, GRPC_MESSAGE = 128 };

static const char preface[] = "PRI * HTTP/2.0";

struct request {
    struct request *next; /* of those that are open */
    struct request **at;  /* who points here */
    size_t body_bytes;
    size_t sent;
    bool call;
};

struct origin_streams {
    struct h2_session h2;
    struct request *open; /* owned */
};

static struct request *request_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct origin_streams *streams = user;
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        abort();
    }
    request->next = streams->open;
    request->at = &streams->open;
    if (request->next != NULL) {
        request->next->at = &request->next;
    }
    streams->open = request;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    struct request *request = request_of(session, frame->hd.stream_id);
    if (request == NULL) {
        return 0;
    }
    if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
        unsigned long bytes = 0;
        char path[64] = "";
        memcpy(path, value, value_len < sizeof(path) ? value_len : sizeof(path) - 1);
        if (sscanf(path, "/b/%lu", &bytes) == 1 && bytes <= ORIGIN_BODY_MAX) {
            request->body_bytes = bytes;
        }
    } else if (name_len == 7 && memcmp(name, ":method", 7) == 0) {
        request->call = value_len == 4;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)user;
    struct request *request = source->ptr;
    size_t left = request->body_bytes - request->sent;
    size_t take = left < room ? left : room;
    memset(out, 'x', take);
    if (request->call && request->sent == 0 && take >= 5) {
        memcpy(out, "\0\0\0\0", 4);
        out[4] = GRPC_MESSAGE;
    }
    request->sent += take;
    if (request->sent == request->body_bytes) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (request->call) {
            const nghttp2_nv trailers[] = {h2_session_field("grpc-status", "0"),
                                           h2_session_field("grpc-message", "")};
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(session, id, trailers, 2) != 0) {
                return NGHTTP2_ERR_CALLBACK_FAILURE;
            }
        }
    }
    return (ssize_t)take;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    struct request *request = request_of(session, frame->hd.stream_id);
    if (request == NULL) {
        return 0;
    }
    if (request->call) {
        request->body_bytes = 5 + GRPC_MESSAGE;
    }
    char length[24];
    (void)snprintf(length, sizeof(length), "%zu", request->body_bytes);
    const nghttp2_nv page[] = {
        h2_session_field(":status", "200"),
        h2_session_field("server", "origin"),
        h2_session_field("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        h2_session_field("content-type",
                         request->call ? "application/grpc" : "text/plain; charset=utf-8"),
        h2_session_field("content-length", length),
    };
    nghttp2_data_provider body = {.source = {.ptr = request}, .read_callback = read_body};
    return nghttp2_submit_response(session, frame->hd.stream_id, page, request->call ? 4 : 5,
                                   &body);
}

static void request_free(struct request *request)
{
    *request->at = request->next;
    if (request->next != NULL) {
        request->next->at = request->at;
    }
    free(request);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    (void)error;
    (void)user;
    struct request *request = request_of(session, id);
    if (request != NULL) {
        request_free(request);
    }
    return 0;
}

bool origin_streams_begins(const char *bytes, size_t len)
{
    return len >= sizeof(preface) - 1 && memcmp(bytes, preface, sizeof(preface) - 1) == 0;
}

struct origin_streams *origin_streams_new(void)
{
    static nghttp2_session_callbacks *callbacks;
    if (callbacks == NULL) {
        h2_session_must(nghttp2_session_callbacks_new(&callbacks), "callbacks");
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    }
    struct origin_streams *streams = calloc(1, sizeof(*streams));
    if (streams == NULL) {
        abort();
    }
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, AT_ONCE},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    h2_session_must(nghttp2_session_server_new(&streams->h2.session, callbacks, streams),
                    "session");
    h2_session_must(nghttp2_submit_settings(streams->h2.session, NGHTTP2_FLAG_NONE, settings,
                                            sizeof(settings) / sizeof(settings[0])),
                    "settings");
    return streams;
}

void origin_streams_free(struct origin_streams *streams)
{
    if (streams != NULL) {
        nghttp2_session_del(streams->h2.session);
        while (streams->open != NULL) {
            request_free(streams->open);
        }
        free(streams);
    }
}

bool origin_streams_feed(struct origin_streams *streams, const void *bytes, size_t len)
{
    return nghttp2_session_mem_recv(streams->h2.session, bytes, len) == (ssize_t)len;
}

size_t origin_streams_take(struct origin_streams *streams, char *out, size_t room)
{
    return h2_session_take(&streams->h2, out, room);
}
