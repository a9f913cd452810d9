/*
 * transport - five verbs under a connection: handshake, read, write, shut, close.
 *
 * tcp.c is the plain one (TCP and unix sockets); TLS will be another. Errors are -1 with errno, as
 * from the kernel; EAGAIN means "the watch will tell".
 *
 * Threads: the connection's.
 */
#ifndef LBD_NET_TRANSPORT_H
#define LBD_NET_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

struct conn;

struct transport {
    /* 0: done, -1 with EAGAIN: call again when ready, -1: failed. */
    int (*handshake)(struct conn *conn);
    /* Bytes read, 0 at the end of the stream. */
    ssize_t (*read)(struct conn *conn, void *out, size_t len);
    ssize_t (*write)(struct conn *conn, const struct iovec *pieces, int count);
    /* Ends our sending side. */
    void (*shut)(struct conn *conn);
    void (*close)(struct conn *conn);
};

/* Plain sockets; bytes may be moved by splice(2). */
extern const struct transport tcp_transport;

#endif
