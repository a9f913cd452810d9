/* conn - see conn.h. */
#include "lbd/net/conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lbd/net/sock_opt.h"

_Static_assert(sizeof(struct conn) - sizeof(struct event) <= 168,
               "an idle connection is small (hot-path rule 20)");

#define WRITE_PIECES 16

struct net_worker *conn_net(const struct conn *conn)
{
    return loop_slot(conn->loop, LOOP_SLOT_NET);
}

void conn_init(struct conn *conn, struct loop *loop, int fd, const struct conn_ops *ops)
{
    memset(conn, 0, sizeof(*conn));
    conn->loop = loop;
    conn->ops = ops;
    conn->transport = &tcp_transport;
    conn->fd = fd;
    conn->flags = CONN_WRITE_READY;
}

static void on_event(struct loop_watch *watch, unsigned ready)
{
    struct conn *conn = container_of(watch, struct conn, watch);
    if ((ready & LOOP_READ) != 0) {
        conn->flags |= CONN_READ_READY;
    }
    if ((ready & LOOP_CLOSED) != 0) {
        conn->flags |= CONN_PEER_CLOSED | CONN_READ_READY;
    }
    /* Every edge reports "writable" along with what really happened: only news is acted upon. */
    if ((ready & LOOP_WRITE) != 0 &&
        ((conn->flags & CONN_WRITE_READY) == 0 || conn_is_blocked(conn))) {
        conn->flags |= CONN_WRITE_READY;
        if (!conn_flush(conn)) {
            ready |= LOOP_READ; /* the owner hears of it by reading */
        } else if (!conn_is_blocked(conn)) {
            conn->ops->on_room(conn);
        }
    }
    if ((ready & (LOOP_READ | LOOP_CLOSED)) != 0 && (conn->flags & CONN_CLOSED) == 0) {
        conn->ops->on_readable(conn);
    }
}

bool conn_watch(struct conn *conn)
{
    return loop_watch_start(conn->loop, &conn->watch, conn->fd,
                            LOOP_READ | LOOP_WRITE | LOOP_CLOSED | LOOP_EDGE, on_event);
}

enum conn_read_verdict conn_read(struct conn *conn, char *out, size_t len, size_t *got)
{
    *got = 0;
    if ((conn->flags & CONN_BROKEN) != 0) {
        return CONN_READ_FAILED;
    }
    ssize_t n = conn->transport->read(conn, out, len);
    if (LB_LIKELY(n > 0)) {
        *got = (size_t)n;
        /* A short read emptied the socket; if the peer has closed, the end is still to be read. */
        if ((size_t)n < len && (conn->flags & CONN_PEER_CLOSED) == 0) {
            conn->flags &= ~(uint32_t)CONN_READ_READY;
        }
        return CONN_READ_BYTES;
    }
    if (n == 0) {
        conn->flags = (conn->flags & ~(uint32_t)CONN_READ_READY) | CONN_EOF | CONN_PEER_CLOSED;
        return CONN_READ_END;
    }
    if (errno == EAGAIN || errno == EINTR) {
        if (errno == EAGAIN) {
            conn->flags &= ~(uint32_t)CONN_READ_READY;
        }
        return CONN_READ_NOTHING;
    }
    conn->flags |= CONN_BROKEN;
    return CONN_READ_FAILED;
}

/* Drops `sent` bytes from the pieces; returns the first piece that is left. */
static int pieces_advance(struct iovec *pieces, int count, size_t sent)
{
    int i = 0;
    while (i < count && sent >= pieces[i].iov_len) {
        sent -= pieces[i].iov_len;
        i++;
    }
    if (i < count) {
        pieces[i].iov_base = (char *)pieces[i].iov_base + sent;
        pieces[i].iov_len -= sent;
    }
    return i;
}

bool conn_write(struct conn *conn, struct iovec *pieces, int count)
{
    if (LB_UNLIKELY((conn->flags & (CONN_WRITE_BROKEN | CONN_SHUT | CONN_SHUT_WANTED)) != 0)) {
        return false;
    }
    int first = 0;
    if (!conn_is_blocked(conn) && (conn->flags & CONN_WRITE_READY) != 0) {
        ssize_t n = conn->transport->write(conn, pieces, count);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
                conn->flags |= CONN_WRITE_BROKEN;
                return false;
            }
            n = 0;
        }
        first = pieces_advance(pieces, count, (size_t)n);
        if (LB_LIKELY(first == count)) {
            return true;
        }
        conn->flags &= ~(uint32_t)CONN_WRITE_READY;
        /* A connection that is registered late (worker's accept) must hear of room from here on. */
        if (!conn_is_watched(conn) && !conn_watch(conn)) {
            conn->flags |= CONN_WRITE_BROKEN;
            return false;
        }
    }
    struct net_worker *net = conn_net(conn);
    for (int i = first; i < count; i++) {
        if (!flow_put(net, &conn->out, slice_of(pieces[i].iov_base, pieces[i].iov_len))) {
            conn->flags |= CONN_WRITE_BROKEN | CONN_NO_MEMORY;
            return false;
        }
    }
    return true;
}

static void shut_now(struct conn *conn)
{
    conn->flags = (conn->flags & ~(uint32_t)CONN_SHUT_WANTED) | CONN_SHUT;
    conn->transport->shut(conn);
}

bool conn_flush(struct conn *conn)
{
    struct net_worker *net = conn_net(conn);
    while (conn_is_blocked(conn) && (conn->flags & CONN_WRITE_READY) != 0) {
        struct iovec pieces[WRITE_PIECES];
        int count = flow_pieces(&conn->out, pieces, WRITE_PIECES);
        size_t offered = 0;
        for (int i = 0; i < count; i++) {
            offered += pieces[i].iov_len;
        }
        ssize_t n = conn->transport->write(conn, pieces, count);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
                conn->flags |= CONN_WRITE_BROKEN;
                flow_clear(net, &conn->out);
                return false;
            }
            n = 0;
        }
        flow_consume(net, &conn->out, (size_t)n);
        if ((size_t)n < offered) {
            conn->flags &= ~(uint32_t)CONN_WRITE_READY;
        }
    }
    if (!conn_is_blocked(conn) && (conn->flags & CONN_SHUT_WANTED) != 0) {
        shut_now(conn);
    }
    return true;
}

void conn_shut(struct conn *conn)
{
    if ((conn->flags & (CONN_SHUT | CONN_SHUT_WANTED | CONN_CLOSED)) != 0) {
        return;
    }
    if (conn_is_blocked(conn)) {
        conn->flags |= CONN_SHUT_WANTED;
    } else {
        shut_now(conn);
    }
}

static void leave_loop(struct conn *conn)
{
    conn->flags |= CONN_CLOSED;
    loop_watch_stop(&conn->watch);
    loop_timer_stop(&conn->timer);
    loop_ready_remove(&conn->queue.ready);
}

void conn_close(struct conn *conn)
{
    if ((conn->flags & CONN_CLOSED) != 0) {
        return;
    }
    struct net_worker *net = conn_net(conn);
    leave_loop(conn);
    flow_clear(net, &conn->in);
    flow_clear(net, &conn->out);
    conn->transport->close(conn);
    conn->fd = -1;
}

void conn_leave(struct conn *conn)
{
    assert(flow_is_empty(&conn->in) && flow_is_empty(&conn->out));
    leave_loop(conn);
    conn->transport = &tcp_transport;
    conn->fd = -1;
}

bool conn_was_reset(struct conn *conn)
{
    if ((conn->flags & (CONN_PEER_CLOSED | CONN_READ_READY)) != 0 &&
        sock_opt_connect_error(conn->fd) != 0) {
        conn->flags |= CONN_BROKEN | CONN_WRITE_BROKEN; /* asking takes the error away */
    }
    return (conn->flags & (CONN_BROKEN | CONN_WRITE_BROKEN)) != 0;
}

uint64_t conn_taken(const struct conn *conn, uint64_t sent)
{
    uint64_t held = flow_len(&conn->out) + sock_opt_unsent(conn->fd);
    return held < sent ? sent - held : 0;
}

static void on_again(struct loop_ready *ready)
{
    struct conn *conn = container_of(ready, struct conn, queue.ready);
    conn->ops->on_readable(conn);
}

void conn_again(struct conn *conn)
{
    loop_ready_put(conn->loop, &conn->queue.ready, on_again);
}

static void on_deadline(struct loop_timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    conn->ops->on_timeout(conn);
}

void conn_deadline(struct conn *conn, uint64_t delay_ms)
{
    loop_timer_set(conn->loop, &conn->timer, delay_ms, on_deadline);
}

void conn_no_deadline(struct conn *conn)
{
    loop_timer_stop(&conn->timer);
}
