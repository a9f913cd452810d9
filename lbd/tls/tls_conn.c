#include "lbd/tls/tls_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/mem.h"

/* A plain connection has no room for TLS: each that speaks it has verbs of its own, and behind them
 * what it needs. */
struct tls_link {
    struct transport verbs;
    struct tls_session *session;
};

static struct tls_link *link_of(const struct conn *conn)
{
    uintptr_t verbs = (uintptr_t)conn->transport; /* const for all but us */
    return (struct tls_link *)(verbs - offsetof(struct tls_link, verbs));
}

static struct tls_session *session_of(const struct conn *conn)
{
    return link_of(conn)->session;
}

const struct tls_session *tls_conn_session(const struct conn *conn)
{
    return session_of(conn);
}

/* -1 and errno, as the kernel would say it. */
static ssize_t not_now(struct conn *conn, enum tls_verdict verdict, bool is_reading)
{
    switch (verdict) {
    case TLS_DONE:
    case TLS_END:
        return 0;
    case TLS_WANT_READ:
        errno = EAGAIN;
        return -1;
    case TLS_WANT_WRITE:
        /* a read that must answer first: it stays readable, and room will be told */
        conn->flags &= ~(uint32_t)CONN_WRITE_READY;
        errno = is_reading ? EINTR : EAGAIN;
        return -1;
    case TLS_FAILED:
        break;
    }
    errno = EPROTO;
    return -1;
}

static int tls_handshake(struct conn *conn)
{
    enum tls_verdict verdict = tls_session_handshake(session_of(conn));
    if (verdict == TLS_WANT_READ) {
        conn->flags &= ~(uint32_t)CONN_READ_READY;
    }
    int result = (int)not_now(conn, verdict, false);
    if (result == 0) {
        conn->flags |= CONN_READ_READY; /* bytes may have come with the last of it */
    }
    return result;
}

static ssize_t tls_read(struct conn *conn, void *out, size_t len)
{
    size_t got = 0;
    enum tls_verdict verdict = tls_session_read(session_of(conn), out, len, &got);
    if (verdict == TLS_DONE) {
        if (got < len && tls_session_has_ended(session_of(conn))) {
            conn->flags |= CONN_PEER_CLOSED; /* no event will tell of the end behind the bytes */
        }
        return (ssize_t)got;
    }
    return not_now(conn, verdict, true);
}

/* Small pieces go into one record. */
static struct iovec gather(const struct iovec *pieces, int count, char *room)
{
    size_t len = 0;
    if (count == 1 || pieces[0].iov_len >= TLS_SESSION_RECORD_MAX) {
        return pieces[0];
    }
    for (int i = 0; i < count && len < TLS_SESSION_RECORD_MAX; i++) {
        size_t space = TLS_SESSION_RECORD_MAX - len;
        size_t part = pieces[i].iov_len < space ? pieces[i].iov_len : space;
        memcpy(room + len, pieces[i].iov_base, part);
        len += part;
    }
    return (struct iovec){.iov_base = room, .iov_len = len};
}

static ssize_t tls_write(struct conn *conn, const struct iovec *pieces, int count)
{
    char room[TLS_SESSION_RECORD_MAX];
    struct iovec left[16];
    ssize_t total = 0;
    assert(count <= (int)ARRAY_LEN(left));
    memcpy(left, pieces, (size_t)count * sizeof(*pieces));
    int at = 0;
    while (at < count) {
        size_t taken = 0;
        struct iovec part = gather(left + at, count - at, room);
        enum tls_verdict verdict =
            part.iov_len != 0
                ? tls_session_write(session_of(conn), part.iov_base, part.iov_len, &taken)
                : TLS_DONE;
        if (verdict != TLS_DONE) {
            return total > 0 ? total : not_now(conn, verdict, false);
        }
        total += (ssize_t)taken;
        while (at < count && taken >= left[at].iov_len) {
            taken -= left[at].iov_len;
            at++;
        }
        if (at < count) {
            left[at].iov_base = (char *)left[at].iov_base + taken;
            left[at].iov_len -= taken;
        }
    }
    return total;
}

static void tls_shut(struct conn *conn)
{
    (void)tls_session_shut(session_of(conn));
    (void)shutdown(conn->fd, SHUT_WR);
}

static void tls_close(struct conn *conn)
{
    struct tls_link *link = link_of(conn);
    tls_session_free(link->session);
    free(link);
    conn->transport = &tcp_transport;
    (void)close(conn->fd);
}

bool tls_conn_init(struct conn *conn, struct tls_context *context, const char *peer_name,
                   struct err *err)
{
    struct tls_session *session = tls_session_new(context, conn->fd, peer_name, err);
    if (session == NULL) {
        return false;
    }
    struct tls_link *link = mem_alloc(sizeof(*link));
    *link = (struct tls_link){.verbs = {.handshake = tls_handshake,
                                        .read = tls_read,
                                        .write = tls_write,
                                        .shut = tls_shut,
                                        .close = tls_close},
                              .session = session};
    conn->transport = &link->verbs;
    return true;
}

bool tls_conn_is_one(const struct conn *conn)
{
    return conn->transport->close == tls_close;
}
