/* tcp - the plain transport, see transport.h. */
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/net/conn.h"
#include "lbd/net/transport.h"

static int tcp_handshake(struct conn *conn)
{
    (void)conn;
    return 0;
}

static ssize_t tcp_read(struct conn *conn, void *out, size_t len)
{
    return recv(conn->fd, out, len, 0);
}

static ssize_t tcp_write(struct conn *conn, const struct iovec *pieces, int count)
{
    int flags = MSG_NOSIGNAL | ((conn->flags & CONN_MORE) != 0 ? MSG_MORE : 0);
    if (count == 1) {
        return send(conn->fd, pieces[0].iov_base, pieces[0].iov_len, flags);
    }
    /* The kernel does not write to the pieces. */
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = (size_t)count};
    return sendmsg(conn->fd, &message, flags);
}

static void tcp_shut(struct conn *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
}

static void tcp_close(struct conn *conn)
{
    (void)close(conn->fd);
}

const struct transport tcp_transport = {
    .handshake = tcp_handshake,
    .read = tcp_read,
    .write = tcp_write,
    .shut = tcp_shut,
    .close = tcp_close,
};
