/*
 * conn - a connected peer: transport, readiness, what waits to be sent, one deadline.
 *
 * Edge-triggered: readiness bits are set by events and cleared only by EAGAIN or a short read.
 * Writes go out at once; only what the kernel does not take is copied and sent when there is room.
 * Whoever owns the connection at the moment (session, h1_conn, idle, relay) sets `ops`.
 *
 *     event -> flags -> flush `out` -> ops->on_room      all was sent
 *                                   -> ops->on_readable  bytes, an end or an error wait
 *
 * Limits: an idle one owns no buffer and is at most 192 bytes beside its struct event, with what
 * its owner adds. Memory: embedded in its owner's object; conn_close and then bury that object, for
 * it may be on the current batch. Threads: one worker for life.
 */
#ifndef LBD_NET_CONN_H
#define LBD_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lbd/base/addr.h"
#include "lbd/net/flow.h"
#include "lbd/net/loop.h"
#include "lbd/net/transport.h"

enum conn_flag {
    CONN_READ_READY = 1,      /* a read may yield something */
    CONN_WRITE_READY = 2,     /* a write may be taken */
    CONN_PEER_CLOSED = 4,     /* the peer shut its sending side; bytes may still lie before it */
    CONN_EOF = 8,             /* a read saw the end */
    CONN_BROKEN = 16,         /* a read failed */
    CONN_WRITE_BROKEN = 2048, /* a write failed; what the peer sent before may still be read */
    CONN_SHUT = 32,           /* we shut our sending side */
    CONN_SHUT_WANTED = 64,    /* ... once `out` is sent */
    CONN_CLOSED = 128,        /* conn_close was called */
    CONN_OWNER_1 = 256,       /* bits for the owner */
    CONN_OWNER_2 = 512,
    CONN_OWNER_3 = 4096,
    CONN_OWNER_4 = 16384,
    CONN_CUT_OFF = 8192,    /* BROKEN: the stream ended and its transport had not said so before */
    CONN_LENT = 1024,       /* net/relay has it for a while */
    CONN_NO_MEMORY = 32768, /* WRITE_BROKEN: what had to wait found no room */
    CONN_MORE = 65536, /* the owner's, for one conn_write: more follows in this turn, or our end */
};

struct conn;

struct conn_ops {
    void (*on_readable)(
        struct conn *conn); /* bytes, the end or an error wait: read until nothing comes */
    void (*on_room)(
        struct conn *conn); /* everything that waited was sent, or the socket became writable */
    void (*on_timeout)(struct conn *conn); /* the deadline passed */
};

struct conn {
    struct loop_watch watch;
    struct loop *loop;
    const struct conn_ops *ops;
    const struct transport *transport;
    void *user; /* the owner's, e.g. the h1_conn while there is one */
    int fd;
    uint32_t flags;  /* enum conn_flag */
    struct flow in;  /* read but not used yet */
    struct flow out; /* to be sent */
    struct loop_timer timer;
    union {
        struct loop_ready ready; /* another turn */
        struct loop_grave grave; /* after conn_close */
    } queue;
    struct addr_small peer;
    uint32_t count; /* the owner's, as it needs it */
};

/* A non-blocking descriptor, not yet watched. The transport is plain. */
void conn_init(struct conn *conn, struct loop *loop, int fd, const struct conn_ops *ops);
/* Watches it; false when the kernel refuses. Once. */
LB_MUST_CHECK bool conn_watch(struct conn *conn);
static inline bool conn_is_watched(const struct conn *conn)
{
    return loop_watch_is_started(&conn->watch);
}

enum conn_read_verdict {
    CONN_READ_BYTES,
    CONN_READ_NOTHING, /* not now */
    CONN_READ_END,     /* the peer finished */
    CONN_READ_FAILED,
};

/* One read of at most `len` bytes. */
enum conn_read_verdict conn_read(struct conn *conn, char *out, size_t len, size_t *got);
/* A reset that came together with bytes is reported as readable and nothing else (libevent says no
 * LOOP_CLOSED with an error), and a short read looks as if it had taken all: who still misses bytes
 * after one reads once more, or would notice only at its deadline. */
static inline void conn_look_again(struct conn *conn)
{
    conn->flags |= CONN_READ_READY;
}
/* Sends the pieces (at most 16) or keeps what the kernel does not take. False: nothing more can be
 * sent (reading may still yield what came before). `pieces` are used up. */
LB_MUST_CHECK bool conn_write(struct conn *conn, struct iovec *pieces, int count);
/* Tries to send what waits. False: broken. */
LB_MUST_CHECK bool conn_flush(struct conn *conn);
/* Is anything waiting to be sent? */
static inline bool conn_is_blocked(const struct conn *conn)
{
    return !flow_is_empty(&conn->out);
}
/* Ends our sending side once everything is sent. */
void conn_shut(struct conn *conn);
/* Ends everything at once; the object stays until its owner buries it. Safe to call twice. */
void conn_close(struct conn *conn);
/* Nothing of it is this loop's any more, as after conn_close; its descriptor and transport live on,
 * as they are, in whoever read them before. Nothing may wait in `in` or `out`. */
void conn_leave(struct conn *conn);
/* on_readable later in this pass, or in the next when called from such a turn. */
void conn_again(struct conn *conn);
/* How much of `sent`, of all that was handed to conn_write, the peer has taken: neither we hold it
 * nor the kernel. One system call. */
uint64_t conn_taken(const struct conn *conn, uint64_t sent);
/* Another deadline; ops->on_timeout. */
void conn_deadline(struct conn *conn, uint64_t delay_ms);
void conn_no_deadline(struct conn *conn);
struct net_worker *conn_net(const struct conn *conn);
/* Did the peer reset the connection (a half-close is none)? Nothing can be sent to it then. One
 * getsockopt, and only when something waits to be read: libevent tells an error as "readable". */
bool conn_was_reset(struct conn *conn);

#endif
