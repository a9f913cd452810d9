/*
 * tls_wire - a socket as OpenSSL sees it: encrypted bytes in and out of a descriptor.
 *
 * OpenSSL's own would raise SIGPIPE, ask an empty socket again, and send each piece of a flight by
 * itself. Here a write is always taken: what the kernel has no room for waits in `late`, and
 * whoever called OpenSSL looks whether something does. Between cork and uncork all that is written
 * becomes one send. A read that got less than it asked for has emptied the socket: until
 * tls_wire_look nothing more is asked.
 *
 *     SSL --write--> [batch of the thread, while corked] --send--> socket
 *                                                     \--no room--> late --flush--> socket
 *
 * Limits: late holds what one call of OpenSSL writes, and a batch. Memory: part of a tls_session.
 * Threads: the connection's; the batch is the thread's own.
 */
#ifndef LBD_TLS_TLS_WIRE_H
#define LBD_TLS_TLS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

/* Four records. */
#define TLS_WIRE_BATCH (4U * (16384U + 256U))

struct ssl_st;

struct tls_wire {
    int fd;
    int error;         /* of a send, or 0: nothing can be sent any more */
    bool is_told;      /* the owner hears of bytes and of an end that come later */
    bool is_empty;     /* the socket, as far as we know */
    bool is_corked;    /* the thread's batch is this one's */
    uint32_t late_len; /* bytes that wait to be sent */
    char *late;
};

/* Zeroed before. False: no memory. */
LB_MUST_CHECK bool tls_wire_attach(struct tls_wire *wire, struct ssl_st *ssl, int fd);
void tls_wire_fini(struct tls_wire *wire);
/* The wire of an SSL that was attached. */
struct tls_wire *tls_wire_of(const struct ssl_st *ssl);

/* There may be something to read. */
static inline void tls_wire_look(struct tls_wire *wire)
{
    wire->is_empty = false;
}
/* From here on written bytes are gathered; what is late goes first. */
void tls_wire_cork(struct tls_wire *wire);
/* Sends them; what there is no room for is late. */
void tls_wire_uncork(struct tls_wire *wire);
/* Does not send them: they are late, and go with what comes next. */
void tls_wire_hold(struct tls_wire *wire);
/* Bytes that are gathered. */
size_t tls_wire_corked(const struct tls_wire *wire);
/* Tries to send what is late. */
void tls_wire_flush(struct tls_wire *wire);
static inline bool tls_wire_is_late(const struct tls_wire *wire)
{
    return wire->late_len != 0;
}

#endif
