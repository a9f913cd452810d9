/*
 * h1_write - a message as HTTP/1.1 bytes, through one bounded cursor (R11).
 *
 * Fields that are not dropped go out in their order, runs of neighbours in one copy, then the
 * extras, then framing and connection fields made from the decision and not from what was received
 * (R9). Whatever the list says, Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade
 * and TE come from struct h1_write only, and Host from message->authority (first line; none when it
 * is empty: who makes an HTTP/1.1 request of one without a Host names the server there).
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_H1_WRITE_H
#define LBD_HTTP_H1_WRITE_H

#include <stddef.h>

#include "lbd/http/message.h"

struct h1_write {
    enum framing framing;    /* how the body will be sent */
    uint64_t content_length; /* FRAMING_LENGTH; or has_length without a body (HEAD, 304) */
    bool has_length;         /* write Content-Length although FRAMING_NONE */
    bool close;              /* Connection: close */
    bool keep_alive;         /* Connection: keep-alive, for an HTTP/1.0 client */
    bool upgrade_websocket;  /* Connection: Upgrade and Upgrade: websocket */
    bool te_trailers;        /* requests: TE: trailers, named by Connection (RFC 9110 10.1.4) */
};

/* Both write at most `capacity` bytes and return the length, or 0 when it does not fit. */
size_t h1_write_request(char *out, size_t capacity, const struct message *message,
                        const struct h1_write *how);
/* The status line is always HTTP/1.1. 1xx and 204 carry no framing fields. */
size_t h1_write_response(char *out, size_t capacity, const struct message *message,
                         const struct h1_write *how);

#endif
