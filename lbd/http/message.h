/*
 * message - what was said: a request or a response head, free of protocol versions.
 *
 * Sans-I/O: parsers fill it, the exchange edits it (drops fields, adds extras), writers read it.
 *
 *     parser --> struct message (bytes in the worker's scratch)
 *                      '--message_copy--> arena of the exchange
 *
 * The parser decides framing once (R5) and notes what the rest needs, so nobody scans the head
 * again.
 *
 * Memory: borrows the head's bytes and the header array. Threads: any.
 */
#ifndef LBD_HTTP_MESSAGE_H
#define LBD_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/base/arena.h"
#include "lbd/base/slice.h"
#include "lbd/http/headers.h"
#include "lbd/http/method.h"

enum framing {
    FRAMING_NONE,        /* no body */
    FRAMING_LENGTH,      /* content_length bytes, which may be 0 */
    FRAMING_CHUNKED,     /* RFC 9112 7.1; in HTTP/2: until END_STREAM without a length */
    FRAMING_UNTIL_CLOSE, /* responses only */
    FRAMING_TUNNEL,      /* 101, or 2xx to CONNECT: bytes both ways */
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

#define MESSAGE_EXTRAS_MAX  32
#define MESSAGE_EXTRAS_OURS 14 /* of those, at most, what lbd adds by itself */

struct message {
    struct headers headers;
    uint32_t head_len; /* bytes from headers.base to the end of the head, with the empty line */

    /* request */
    uint8_t method; /* enum method; METHOD_OTHER: see method_text */
    uint8_t target_form;
    uint8_t version_minor; /* HTTP/1.x as received: 0 or 1; 1 when is_http2 */
    uint8_t framing;       /* enum framing */
    struct slice method_text;
    struct slice authority; /* the one host[:port] (R8); empty only for HTTP/1.0 without Host */
    struct slice scheme;    /* :scheme of HTTP/2; HTTP/1 has none */
    struct slice protocol;  /* :protocol of an extended CONNECT (RFC 8441); else empty */
    struct slice path;      /* as received, without query; "*" for OPTIONS * */
    struct slice query;     /* with its '?', or empty */

    /* response */
    uint16_t status;
    struct slice reason_phrase;

    uint64_t content_length; /* valid when has_length */
    bool has_length;         /* a valid Content-Length was present (also on HEAD and 304 answers) */
    bool wants_close; /* the sender will close: Connection: close, HTTP/1.0 without keep-alive */
    bool expects_continue;  /* Expect: 100-continue */
    bool has_upgrade;       /* Upgrade present and named by Connection */
    bool upgrade_websocket; /* ... and it is exactly "websocket" */
    bool has_trailer_te;    /* TE: trailers */
    bool path_is_plain;     /* the path needs no normalising and holds nothing suspicious (R10) */
    bool is_http2;          /* it came by HTTP/2 */
    bool has_connection_names; /* Connection names further fields: hop.c must look for them */

    /* what lbd adds when it sends the head on */
    uint32_t extra_count;
    uint32_t extra_ours; /* how many stood there before policies: of MESSAGE_EXTRAS_OURS */
    struct header_extra extras[MESSAGE_EXTRAS_MAX]; /* last: only so many are ever looked at */
};

/* An empty one whose fields go to `list`. The extras, most of it, are left as they are. */
static inline void message_begin(struct message *message, struct header *list, uint32_t capacity)
{
    memset(message, 0, offsetof(struct message, extras));
    message->headers.list = list;
    message->headers.capacity = capacity;
}

/* Copies bytes and header numbers into the arena, so that `to` outlives the scratch. All slices
 * that pointed into the head point into the copy. */
void message_copy(struct message *to, const struct message *from, struct arena *arena);
/* Drops every field with this id. */
void message_drop(struct message *message, enum header_id id);
/* Drops every field with this name, in any case. */
void message_drop_name(struct message *message, struct slice name);
/* Adds a field; name and value must be valid (asserted: R11) and live as long as the message. */
void message_add(struct message *message, struct slice name, struct slice value);
/* May a policy still add one? Some places are left for what lbd adds itself. */
static inline bool message_has_room(const struct message *message)
{
    return message->extra_count + MESSAGE_EXTRAS_OURS < MESSAGE_EXTRAS_MAX + message->extra_ours;
}
/* The method that servers see: a WebSocket over HTTP/2 is the GET of HTTP/1.1 (RFC 8441 5). */
struct slice message_method(const struct message *message);
/* The host part of `authority` without port, not lower-cased. */
struct slice message_host(const struct message *message);

#endif
