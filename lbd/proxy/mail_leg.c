/* mail_leg - see mail_leg.h. */
#include "lbd/proxy/mail_leg.h"

#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_conn.h"

#define READ_BYTES 4096U
#define OUT_MAX    65536U

static void talk(struct conn *conn);

static struct mail_leg *leg_of(const struct conn *conn)
{
    return conn->user;
}

static void drop_conn(struct mail_leg *leg)
{
    upstream_conn_cancel(leg->upstream, &leg->waiter);
    if (leg->conn != NULL) {
        upstream_conn_end(leg->upstream, leg->conn);
        leg->conn = NULL;
    }
}

/* The last thing it does: fn may end it. */
static void tell(struct mail_leg *leg, enum mail_server_event event, enum close_reason reason)
{
    if (event != MAIL_SERVER_READY) {
        drop_conn(leg);
    } else {
        conn_no_deadline(&leg->conn->conn);
    }
    leg->fn(leg, event, reason);
}

void mail_leg_goodbye(struct mail_leg *leg)
{
    struct buf out;
    buf_init(&out, OUT_MAX);
    mail_server_goodbye(&leg->server, &out);
    struct iovec piece = {.iov_base = out.data, .iov_len = out.len};
    if (leg->conn != NULL && (out.len == 0 || conn_write(&leg->conn->conn, &piece, 1))) {
        upstream_conn_linger(leg->upstream, leg->conn);
        leg->conn = NULL;
    }
    buf_fini(&out);
}

/* False: the connection broke. */
static bool send_out(struct mail_leg *leg, struct buf *out)
{
    bool ok = true;
    if (out->len > 0) {
        struct iovec piece = {.iov_base = out->data, .iov_len = out->len};
        ok = conn_write(&leg->conn->conn, &piece, 1);
        conn_deadline(&leg->conn->conn, leg->pool->response_ms);
        mem_wipe(out->data, out->capacity);
    }
    buf_fini(out);
    return ok;
}

static void on_room(struct conn *conn)
{
    (void)conn;
}

static void on_timeout(struct conn *conn)
{
    tell(leg_of(conn), MAIL_SERVER_UNAVAILABLE, CLOSE_RESPONSE_TIMEOUT);
}

static const struct conn_ops talk_ops = {
    .on_readable = talk,
    .on_room = on_room,
    .on_timeout = on_timeout,
};

static void begin_talk(struct mail_leg *leg, struct upstream_conn *conn)
{
    leg->conn = conn;
    conn->conn.ops = &talk_ops;
    conn->conn.user = leg;
    conn_deadline(&conn->conn, leg->pool->response_ms);
    conn_look_again(&conn->conn);
    conn_again(&conn->conn); /* never in the caller's call */
}

/* -- TLS by STARTTLS -- */

static void secured(struct mail_leg *leg, struct upstream_conn *conn)
{
    struct buf out;
    buf_init(&out, OUT_MAX);
    begin_talk(leg, conn);
    mail_server_secured(&leg->server, &out);
    if (!send_out(leg, &out)) {
        tell(leg, MAIL_SERVER_UNAVAILABLE, CLOSE_SERVER_RESET);
    }
}

static void on_secured(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                       enum close_reason reason)
{
    struct mail_leg *leg = container_of(waiter, struct mail_leg, waiter);
    if (conn == NULL) {
        tell(leg, MAIL_SERVER_FAILED, reason);
    } else {
        secured(leg, conn);
    }
}

static void secure(struct mail_leg *leg)
{
    enum close_reason reason;
    struct upstream_conn *conn = leg->conn;
    leg->conn = NULL;
    leg->waiter.fn = on_secured;
    if (conn_is_blocked(&conn->conn) || leg->pool->tls == NULL) {
        leg->conn = conn;
        tell(leg, MAIL_SERVER_FAILED, CLOSE_SERVER_TLS_FAILED);
        return;
    }
    switch (
        upstream_conn_secure(leg->upstream, leg->pool, leg->member, conn, &leg->waiter, &reason)) {
    case UPSTREAM_READY:
        secured(leg, conn);
        return;
    case UPSTREAM_PENDING:
        return;
    case UPSTREAM_FAILED:
        tell(leg, MAIL_SERVER_FAILED, reason);
        return;
    }
}

/* -- talking -- */

/* False: the leg is over, or its connection somebody else's for now. */
static bool feed(struct mail_leg *leg, char *bytes, size_t len)
{
    struct buf out;
    enum mail_server_event event;
    struct conn *conn = &leg->conn->conn;
    buf_init(&out, OUT_MAX);
    size_t used = mail_server_feed(&leg->server, bytes, len, &out, &event);
    bool kept = used == len || event != MAIL_SERVER_READY ||
                flow_put(conn_net(conn), &conn->in, slice_of(bytes + used, len - used));
    if (!kept || !send_out(leg, &out)) {
        buf_fini(&out);
        tell(leg, MAIL_SERVER_UNAVAILABLE, kept ? CLOSE_SERVER_RESET : CLOSE_OUT_OF_MEMORY);
        return false;
    }
    switch (event) {
    case MAIL_SERVER_MORE:
        return true;
    case MAIL_SERVER_STARTTLS:
        secure(leg);
        return false;
    case MAIL_SERVER_REFUSED:
    case MAIL_SERVER_CHALLENGE:
        mail_leg_goodbye(leg);
        tell(leg, event, CLOSE_OK);
        return false;
    case MAIL_SERVER_READY:
        tell(leg, event, CLOSE_OK);
        return false;
    case MAIL_SERVER_UNAVAILABLE:
        mail_leg_goodbye(leg);
        tell(leg, event, CLOSE_SERVER_UNAVAILABLE);
        return false;
    case MAIL_SERVER_FAILED:
        tell(leg, event, (enum close_reason)leg->server.reason);
        return false;
    }
    return true;
}

static void talk(struct conn *conn)
{
    struct mail_leg *leg = leg_of(conn);
    char *bytes = conn_net(conn)->scratch;
    size_t got;
    while ((conn->flags & CONN_READ_READY) != 0) {
        switch (conn_read(conn, bytes, READ_BYTES, &got)) {
        case CONN_READ_BYTES:
            if (!feed(leg, bytes, got)) {
                return;
            }
            conn_look_again(conn);
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
        case CONN_READ_FAILED:
            tell(leg, MAIL_SERVER_UNAVAILABLE, CLOSE_SERVER_RESET);
            return;
        }
    }
}

/* -- connecting -- */

static void connected(struct mail_leg *leg, struct upstream_conn *conn)
{
    leg->is_connected = true;
    leg->connected_us = loop_now_us(leg->upstream->loop);
    leg->server.is_secure = tls_conn_is_one(&conn->conn);
    begin_talk(leg, conn);
}

static void on_connected(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                         enum close_reason reason)
{
    struct mail_leg *leg = container_of(waiter, struct mail_leg, waiter);
    if (conn == NULL) {
        tell(leg, MAIL_SERVER_UNAVAILABLE, reason);
    } else {
        connected(leg, conn);
    }
}

bool mail_leg_start(struct mail_leg *leg, const struct mail_leg_begin *begin,
                    enum close_reason *reason)
{
    struct upstream_conn *conn = NULL;
    memset(leg, 0, sizeof(*leg));
    leg->upstream = begin->upstream;
    leg->pool = begin->pool;
    leg->member = begin->member;
    leg->fn = begin->fn;
    if (begin->pool->mail != NULL) {
        leg->terms = begin->pool->mail->terms;
    } else {
        leg->terms.tells_client = true;
    }
    leg->terms.protocol = begin->protocol;
    leg->terms.host = begin->host;
    leg->started_us = loop_now_us(begin->upstream->loop);
    leg->waiter.fn = on_connected;
    mail_server_init(&leg->server, &leg->terms, begin->login, begin->user, begin->origin, false);
    leg->server.mail_from = begin->mail_from;
    leg->is_started = true;
    switch (upstream_conn_open(begin->upstream, begin->pool, begin->member, begin->client,
                               &leg->waiter, &conn, reason)) {
    case UPSTREAM_READY:
        connected(leg, conn);
        return true;
    case UPSTREAM_PENDING:
        return true;
    case UPSTREAM_FAILED:
        break;
    }
    mail_leg_fini(leg);
    return false;
}

struct upstream_conn *mail_leg_take(struct mail_leg *leg)
{
    struct upstream_conn *conn = leg->conn;
    leg->conn = NULL;
    conn->conn.user = NULL;
    return conn;
}

void mail_leg_fini(struct mail_leg *leg)
{
    if (leg->is_started) {
        drop_conn(leg);
        mail_server_fini(&leg->server);
        leg->is_started = false;
    }
}
