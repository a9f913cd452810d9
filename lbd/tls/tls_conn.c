#include "lbd/tls/tls_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_peer.h"
#include "lbd/tls/tls_session_inside.h"

/* A plain connection has no room for TLS: each that speaks it has verbs of its own, and behind them
 * what it needs. */
struct tls_link {
    struct transport verbs;
    struct tls_session *session;
    uint64_t wrote_us;   /* last; loop clock */
    uint32_t small_left; /* bytes that go in small records */
};

#define SMALL_RECORD 1370U /* one TCP segment, with what TLS and TCP add */
#define SMALL_BYTES  65536U
#define IDLE_US      1000000U

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
    /* it always waits for more: a reset behind what came must be seen (conn_look_again) */
    tls_session_is_told(session_of(conn), false);
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
    tls_session_is_told(session_of(conn), (conn->flags & CONN_PEER_CLOSED) == 0);
    enum tls_verdict verdict = tls_session_read(session_of(conn), out, len, &got);
    if (verdict == TLS_DONE) {
        if (got < len && tls_session_has_ended(session_of(conn))) {
            conn->flags |= CONN_PEER_CLOSED; /* no event will tell of the end behind the bytes */
        }
        return (ssize_t)got;
    }
    if (verdict == TLS_FAILED && tls_session_was_cut_off(session_of(conn))) {
        conn->flags |= CONN_CUT_OFF;
    }
    return not_now(conn, verdict, true);
}

/* Small records at first are readable with the first segment; see PERFORMANCE 2.13. */
static size_t record_max(struct tls_link *link, const struct conn *conn)
{
    uint64_t now_us = loop_now_us(conn->loop);
    if (now_us - link->wrote_us > IDLE_US) {
        link->small_left = SMALL_BYTES;
    }
    link->wrote_us = now_us;
    return link->small_left > 0 ? SMALL_RECORD : TLS_SESSION_RECORD_MAX;
}

static ssize_t tls_write(struct conn *conn, const struct iovec *pieces, int count)
{
    struct tls_link *link = link_of(conn);
    size_t taken = 0;
    enum tls_verdict verdict =
        tls_session_write_pieces(link->session, pieces, count, record_max(link, conn), &taken);
    if (verdict != TLS_DONE) {
        return not_now(conn, verdict, false);
    }
    link->small_left -= taken < link->small_left ? (uint32_t)taken : link->small_left;
    return (ssize_t)taken;
}

static void tls_shut(struct conn *conn)
{
    if (tls_session_shut(session_of(conn)) == TLS_WANT_WRITE) {
        /* conn_flush comes here again when there is room */
        conn->flags &= ~(uint32_t)(CONN_WRITE_READY | CONN_SHUT);
        conn->flags |= CONN_SHUT_WANTED;
    } else {
        (void)shutdown(conn->fd, SHUT_WR);
    }
}

/* A loop without connections of clients may have no net_worker. */
static void count_one(const struct conn *conn, int more)
{
    struct net_worker *net = conn_net(conn);
    if (net != NULL) {
        net->tls_conns += (uint32_t)more;
    }
}

static void tls_close(struct conn *conn)
{
    struct tls_link *link = link_of(conn);
    if (!tls_session_has_ended(link->session)) {
        (void)tls_session_shut(link->session); /* or it looks as if somebody cut us off */
    }
    tls_session_free(link->session);
    free(link);
    count_one(conn, -1);
    conn->transport = &tcp_transport;
    (void)close(conn->fd);
}

void tls_conn_give_up(struct conn *conn)
{
    struct tls_link *link = link_of(conn);
    tls_session_free(link->session);
    free(link);
    count_one(conn, -1);
    conn->transport = &tcp_transport;
}

static void set_session(struct conn *conn, struct tls_session *session)
{
    struct tls_link *link = mem_alloc(sizeof(*link));
    *link = (struct tls_link){.verbs = {.handshake = tls_handshake,
                                        .read = tls_read,
                                        .write = tls_write,
                                        .shut = tls_shut,
                                        .close = tls_close},
                              .session = session};
    conn->transport = &link->verbs;
    count_one(conn, 1);
}

bool tls_conn_init(struct conn *conn, struct tls_context *context, const char *peer_name,
                   struct err *err)
{
    struct tls_session *session = tls_session_new(context, conn->fd, peer_name, err);
    if (session == NULL) {
        return false;
    }
    set_session(conn, session);
    return true;
}

bool tls_conn_client(struct conn *conn, struct tls_client *client, const char *name,
                     struct tls_reuse *reuse, struct err *err)
{
    tls_error_clear();
    SSL *ssl = tls_client_begin(client, name, reuse);
    struct tls_session *session = ssl != NULL ? tls_session_adopt(ssl, conn->fd) : NULL;
    if (session == NULL) {
        return tls_error_set(err, ERR_SYSTEM, "cannot begin TLS");
    }
    set_session(conn, session);
    return true;
}

bool tls_conn_server(struct conn *conn, struct tls_front *front, struct err *err)
{
    tls_error_clear();
    struct tls_session *session = tls_session_of_client(front, conn->fd);
    if (session == NULL) {
        return tls_error_set(err, ERR_SYSTEM, "cannot begin TLS");
    }
    set_session(conn, session);
    return true;
}

static SSL *handle_of(const struct conn *conn)
{
    return tls_session_handle(session_of(conn));
}

void tls_conn_offer(struct conn *conn, struct slice protocol)
{
    unsigned char wire[33];
    assert(protocol.len != 0 && protocol.len < sizeof(wire));
    wire[0] = (unsigned char)protocol.len;
    memcpy(wire + 1, protocol.ptr, protocol.len);
    /* fails for want of memory only; then what the tls_client offers stays */
    (void)SSL_set_alpn_protos(handle_of(conn), wire, (unsigned)protocol.len + 1);
}

struct slice tls_conn_alpn(const struct conn *conn)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(handle_of(conn), &name, &len);
    return slice_of((const char *)name, len);
}

struct slice tls_conn_sni(const struct conn *conn)
{
    return slice_from(SSL_get_servername(handle_of(conn), TLSEXT_NAMETYPE_host_name));
}

bool tls_conn_look(const struct conn *conn, struct tls_conn_facts *facts)
{
    if (!tls_conn_is_one(conn) || !tls_session_is_open(session_of(conn))) {
        return false;
    }
    const struct tls_peer *peer = tls_session_peer(session_of(conn));
    *facts = (struct tls_conn_facts){
        .version = slice_from(tls_conn_version(conn)),
        .cipher = slice_from(SSL_get_cipher_name(handle_of(conn))),
        .sni = tls_conn_sni(conn),
        .subject = peer != NULL ? peer->subject : SLICE_NONE,
    };
    return true;
}

bool tls_conn_certificate(const struct conn *conn, char *out, size_t max, struct slice *name,
                          bool *is_verified)
{
    struct tls_names names;
    tls_session_peer_names(session_of(conn), &names);
    *name = SLICE_NONE;
    *is_verified = names.is_shown && SSL_get_verify_result(handle_of(conn)) == X509_V_OK;
    for (size_t i = 0; i < names.count && name->len == 0; i++) {
        struct slice one = names.items[i];
        if (slice_starts(one, SLICE("CN:")) && one.len - 3 <= max) {
            memcpy(out, one.ptr + 3, one.len - 3);
            *name = slice_of(out, one.len - 3);
        }
    }
    return names.is_shown;
}

bool tls_conn_is_resumed(const struct conn *conn)
{
    return tls_session_is_resumed(session_of(conn));
}

const char *tls_conn_version(const struct conn *conn)
{
    return SSL_get_version(handle_of(conn));
}

void tls_conn_keep_peer(struct conn *conn, bool with_certificate)
{
    tls_session_keep_peer(session_of(conn), with_certificate);
}

bool tls_conn_is_let_in(const struct conn *conn, const struct tls_front *front)
{
    return tls_session_is_let_in(session_of(conn), front);
}

bool tls_conn_is_1_3(const struct conn *conn)
{
    return SSL_version(handle_of(conn)) == TLS1_3_VERSION;
}

const char *tls_conn_why(const struct conn *conn)
{
    return tls_session_why(session_of(conn));
}

enum tls_client_failure tls_conn_failure(const struct conn *conn)
{
    return tls_client_failure(handle_of(conn));
}

bool tls_conn_was_refused(const struct conn *conn)
{
    return tls_conn_is_one(conn) && tls_client_was_refused(handle_of(conn));
}

bool tls_conn_is_one(const struct conn *conn)
{
    return conn->transport->close == tls_close;
}
