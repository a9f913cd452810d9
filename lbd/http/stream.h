/*
 * stream - one half of a conversation, on either side, any HTTP version: the seam between protocol
 * and proxy.
 *
 *        exchange asks                      stream tells
 *        send_head(head, bytes, last)       on_head(message)   a head came; its body is pulled
 *        send_body(bytes, last)             on_body            body bytes came: pull them
 *        send_trailers(lines)               on_room            what waited was sent
 *        pull(piece)                        on_end(reason)     over: sent, reset or lost; once
 *        paused = true, resume()
 *        release(), leave(reason), reset(reason)
 *
 * Bytes are lent: a pulled piece lies in the worker's scratch for the length of the call. What is
 * not pulled by then stays with the stream, undecoded, and the stream reads no more (that is the
 * only brake: HTTP/1 stops reading the socket, HTTP/2 withholds its window). What is sent goes out
 * at once; what the peer does not take waits in the stream, `is_blocked` is true until on_room, and
 * a sender that respects it leaves at most one read (64 KB) there, one that means to buffer more
 * looks at `waiting`.
 *
 * After on_end, and after release, leave and reset, the stream must not be touched. A verb ends no
 * other stream within the call: what it finds out about the connection is told to them later.
 *
 * Memory: embedded in its protocol's object; `owner` borrows. Threads: worker.
 */
#ifndef LBD_HTTP_STREAM_H
#define LBD_HTTP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/http/message.h"

struct conn;
struct stream;

/* How a head is to be sent. */
struct stream_head {
    const struct message *message;
    enum framing framing;    /* of the body that follows */
    uint64_t content_length; /* FRAMING_LENGTH, or has_length without a body (HEAD, 304) */
    bool has_length;
    bool framed;  /* body pieces carry HTTP/1.1 chunk framing already (pulled with want_framed) */
    bool upgrade; /* Upgrade: websocket, in a request or a 101 */
    bool te_trailers; /* requests: the client takes trailers, and so do we */
    bool close;       /* HTTP/1: end the connection after this message */
};

/* The least a client must give and take while we wait for it (lbd/net/pace.h); a stream with
 * idle_ms, which may last, is not measured. A rate of 0: any. */
struct stream_rates {
    uint32_t body_bytes_per_s;
    uint32_t read_bytes_per_s;
    uint32_t grace_ms;
};

enum stream_version { STREAM_HTTP1, STREAM_HTTP2 };

enum stream_pull { STREAM_MORE, STREAM_LAST, STREAM_BAD };

struct stream_piece {
    struct slice bytes;
    struct slice trailers;    /* with STREAM_LAST: raw lines, may be empty */
    enum close_reason reason; /* with STREAM_BAD */
};

struct stream_ops {
    /* Each false: nothing more can be sent; on_end is still to come from the reading side, or call
     * reset. */
    bool (*send_head)(struct stream *stream, const struct stream_head *head, struct slice bytes,
                      bool is_last);
    bool (*send_body)(struct stream *stream, struct slice bytes, bool is_last);
    bool (*send_trailers)(struct stream *stream, struct slice lines); /* ends the message */
    /* In on_head and on_body: what has come. MORE with no bytes: nothing now. */
    enum stream_pull (*pull)(struct stream *stream, struct stream_piece *piece);
    /* Body bytes are wanted again: on_body comes in a later turn. */
    void (*resume)(struct stream *stream);
    /* Server-facing: the whole answer is here. What the server does not have of the request by now
     * is not sent; the connection serves on when it can. */
    void (*release)(struct stream *stream);
    /* Client-facing, in the middle of an answer: what waits still goes out, then the client sees
     * that it ends here. */
    void (*leave)(struct stream *stream, enum close_reason reason);
    /* Over at once: HTTP/1 closes the connection, HTTP/2 resets the stream. */
    void (*reset)(struct stream *stream, enum close_reason reason);
    /* Bytes of the body still to come that need no look (plain length), when none lies in between;
     * else 0. */
    uint64_t (*opaque_left)(const struct stream *stream);
    /* Lends the connection for moving bytes past the stream (net/relay); NULL when it cannot be
     * lent. take_back tells how many bytes of the two bodies went by. */
    struct conn *(*lend)(struct stream *stream);
    void (*take_back)(struct stream *stream, uint64_t received, uint64_t sent);
    /* Gives the connection away for good (tunnel); the stream is over without on_end. NULL: not
     * possible. */
    struct conn *(*give)(struct stream *stream);
    /* Room for as many bytes as this one would have to keep. */
    bool (*is_blocked)(const struct stream *stream);
    /* How much waits in it; SIZE_MAX: its connection should keep no more. */
    size_t (*waiting)(const struct stream *stream);
};

struct stream_events {
    void (*on_head)(struct stream *stream, struct message *message);
    void (*on_body)(struct stream *stream);
    void (*on_room)(struct stream *stream);
    void (*on_end)(struct stream *stream, enum close_reason reason);
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *owner;             /* the exchange */
    uint64_t received_bytes; /* on the wire, heads and framing included */
    uint64_t sent_bytes;
    uint32_t idle_ms; /* set by the exchange: how long its body may say nothing, to a server first
                         how long the head of its answer may take; 0: as usual; UINT32_MAX: that of
                         a head as usual, then any time */
    uint8_t fault;    /* enum close_reason: why a sending verb said false; CLOSE_OK: the peer */
    bool paused;      /* set by the exchange; resume() clears it */
    bool want_framed; /* set by the exchange before the first pull: chunk framing is to be kept */
    uint8_t version;  /* enum stream_version; both sides HTTP/1: framing passes on as it lies */
};

/* How long a server may take to answer. */
static inline uint32_t stream_head_ms(const struct stream *stream, uint32_t usual_ms)
{
    return stream->idle_ms != 0 && stream->idle_ms != UINT32_MAX ? stream->idle_ms : usual_ms;
}

#endif
