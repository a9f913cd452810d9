/* session - see session.h. */
#include "lbd/proxy/session.h"

#include <string.h>
#include <unistd.h>

#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "lbd/http/http_conn.h"
#include "lbd/net/sock_opt.h"
#include "lbd/proxy/door.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/mail_session.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/proxy/sweep.h"
#include "lbd/proxy/tcp_session.h"
#include "lbd/proxy/tunnel.h"
#include "lbd/tls/tls_conn.h"
#include "lbd/upstream/upstream_stream.h"

_Static_assert(sizeof(struct session) - sizeof(struct event) <= 192,
               "an idle client costs at most 192 bytes and its event");

#define LINGER_MS     2000
#define LINGER_READS  8
#define SAYS_BYE      2 /* conn.count of one that ends later */
#define LINGER_BUDGET (1024U * 1024)

static const struct conn_ops idle_ops;
static const struct conn_ops linger_ops;
static const struct http_owner owner;

static void free_buried(struct loop_grave *grave)
{
    struct conn *conn = container_of(grave, struct conn, queue.grave);
    struct proxy_worker *proxy = loop_slot(conn->loop, LOOP_SLOT_PROXY);
    session_proxy_free(session_of(conn)->proxied);
    slab_give(&proxy->sessions, session_of(conn));
}

/* Is it mail, and nobody logged in? */
static bool is_mail_login(const struct conn *conn)
{
    return (conn->flags & SESSION_OPENS) != 0 && (conn->flags & SESSION_MAIL) != 0;
}

void session_end(struct session *session, enum close_reason reason)
{
    if (is_mail_login(&session->conn)) {
        mail_session_forget(session, reason);
    }
    struct front *front = session->front;
    struct proxy_worker *proxy = front->proxy;
    counter_add(&front->counters->connections_closed, 1);
    counter_add(&proxy->counters->loop.connections_closed, 1);
    if (session->conn.count == 0 && reason != CLOSE_OK) {
        counter_add(&front->counters->endings[reason], 1);
    }
    histogram_note_us(&front->counters->connection_duration,
                      loop_now_us(proxy->loop) - session->opened_us);
    (void)atomic_fetch_sub_explicit(&front->listener->connections, 1, memory_order_relaxed);
    uint32_t open = atomic_load_explicit(&proxy->open_connections, memory_order_relaxed);
    atomic_store_explicit(&proxy->open_connections, open - 1, memory_order_relaxed);
    upstream_stream_forget_client(proxy->upstream, session->id);
    sweep_leave_session(proxy, session);
    relief_leave_session(&proxy->relief, session);
    list_remove(&session->link);
    if (reason == CLOSE_READER_TOO_SLOW || reason == CLOSE_CLIENT_WRITE_TIMEOUT ||
        reason == CLOSE_BUFFER_HOLDER) {
        sock_opt_drop_at_close(session->conn.fd); /* else the kernel holds it all on (R3) */
    }
    conn_close(&session->conn);
    loop_bury(proxy->loop, &session->conn.queue.grave, free_buried);
    front_session_ended(front);
}

/* -- lingering: our end is sent, the peer's bytes are thrown away until it ends too -- */

static void linger_on_readable(struct conn *conn)
{
    struct net_worker *net = conn_net(conn);
    struct session *session = session_of(conn);
    for (int i = 0; i < LINGER_READS && (conn->flags & CONN_READ_READY) != 0; i++) {
        size_t got;
        switch (conn_read(conn, net->scratch, FLOW_SCRATCH_BYTES, &got)) {
        case CONN_READ_BYTES:
            session->conn.count += (uint32_t)got; /* nobody counts requests any more */
            if (session->conn.count > LINGER_BUDGET) {
                session_end(session, CLOSE_OK);
                return;
            }
            conn_look_again(conn);
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
        case CONN_READ_FAILED:
            session_end(session, CLOSE_OK);
            return;
        }
    }
    if ((conn->flags & CONN_READ_READY) != 0) {
        conn_again(conn);
    }
}

static void linger_on_room(struct conn *conn)
{
    (void)conn;
}

static void linger_on_timeout(struct conn *conn)
{
    session_end(session_of(conn), CLOSE_OK);
}

static const struct conn_ops linger_ops = {
    .on_readable = linger_on_readable,
    .on_room = linger_on_room,
    .on_timeout = linger_on_timeout,
};

void session_linger(struct session *session, enum close_reason reason)
{
    struct conn *conn = &session->conn;
    if ((conn->flags & (CONN_BROKEN | CONN_WRITE_BROKEN | CONN_EOF)) != 0 ||
        (!conn_is_watched(conn) && !conn_watch(conn))) {
        session_end(session, reason);
        return;
    }
    if (is_mail_login(conn)) {
        mail_session_forget(session, reason);
    }
    session->conn.count = 1; /* the ending was counted by its request */
    conn->flags |= SESSION_LINGERS;
    conn->ops = &linger_ops;
    conn_shut(conn);
    conn_deadline(conn, LINGER_MS);
    conn_again(conn);
}

/* -- later: its server went, and not all clients are to come back at once -- */

static void later_on_readable(struct conn *conn)
{
    session_end(session_of(conn), CLOSE_OK);
}

static void later_on_timeout(struct conn *conn)
{
    static char bye[] = "* BYE [UNAVAILABLE] The server went away, please connect again\r\n";
    struct session *session = session_of(conn);
    struct iovec piece = {.iov_base = bye, .iov_len = sizeof(bye) - 1};
    bool says_bye = session->conn.count == SAYS_BYE;
    if (!says_bye || conn_write(conn, &piece, 1)) {
        session_linger(session, CLOSE_OK);
    } else {
        session_end(session, CLOSE_OK);
    }
}

static const struct conn_ops later_ops = {
    .on_readable = later_on_readable,
    .on_room = linger_on_room,
    .on_timeout = later_on_timeout,
};

void session_end_later(struct session *session, enum close_reason reason, uint64_t delay_ms,
                       bool says_bye)
{
    struct conn *conn = &session->conn;
    if ((conn->flags & (CONN_BROKEN | CONN_WRITE_BROKEN | CONN_EOF)) != 0) {
        session_end(session, reason);
        return;
    }
    session->conn.count = says_bye ? SAYS_BYE : 1; /* the ending was counted by its tunnel */
    conn->flags |= SESSION_LINGERS;
    conn->ops = &later_ops;
    conn_deadline(conn, delay_ms);
}

/* -- idle -- */

static void idle_on_readable(struct conn *conn)
{
    struct session *session = session_of(conn);
    const struct plan *plan = session->front->plan;
    struct h1_limits limits = {.head_bytes = plan->limits.header_size_bytes,
                               .fields = plan->limits.header_fields};
    struct h1_timeouts timeouts = {
        .head_ms = plan->timeouts.header_ms,
        .body_ms = plan->timeouts.body_idle_ms,
        .write_ms = plan->timeouts.write_idle_ms,
        .rates = &session->front->rates,
    };
    struct h1_conn *h1 = h1_conn_new(conn, H1_CLIENT_FACING, &owner, &limits, &timeouts);
    if (h1 == NULL) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    /* RFC 9113 3.2: with TLS it is ALPN that chooses. */
    if (session->conn.count == 0 && plan->http2.enabled != 0 && conn->transport == &tcp_transport) {
        h1_conn_expect_preface(h1);
    }
    h1_conn_turn(h1);
}

void session_open_http2(struct session *session)
{
    const struct plan *plan = session->front->plan;
    struct h2_limits limits = {.head_bytes = plan->limits.header_size_bytes,
                               .fields = plan->limits.header_fields,
                               .max_streams = plan->http2.max_streams,
                               .buffered_bytes = plan->limits.buffered_bytes};
    struct h2_timeouts timeouts = {
        .head_ms = plan->timeouts.header_ms,
        .body_ms = plan->timeouts.body_idle_ms,
        .write_ms = plan->timeouts.write_idle_ms,
        .rates = &session->front->rates,
    };
    struct h2_conn *h2 = h2_conn_new(&session->conn, H2_CLIENT_FACING, &owner, &limits, &timeouts);
    if (h2 == NULL) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    h2_conn_turn(h2);
}

static void on_preface(struct conn *conn)
{
    session_open_http2(session_of(conn));
}

static void idle_on_room(struct conn *conn)
{
    (void)conn;
}

static void idle_on_timeout(struct conn *conn)
{
    struct session *session = session_of(conn);
    session_end(session, session->conn.count > 0 ? CLOSE_KEEP_ALIVE_TIMEOUT : CLOSE_HEADER_TIMEOUT);
}

static const struct conn_ops idle_ops = {
    .on_readable = idle_on_readable,
    .on_room = idle_on_room,
    .on_timeout = idle_on_timeout,
};

static void on_idle(struct conn *conn)
{
    struct session *session = session_of(conn);
    const struct plan *plan = session->front->plan;
    if (conn->user == NULL) {
        conn->ops = &idle_ops;
    }
    if (!conn_is_watched(conn) && !conn_watch(conn)) {
        session_abort(session, CLOSE_OUT_OF_MEMORY, false);
        return;
    }
    conn_deadline(conn, session->conn.count > 0 ? plan->timeouts.keep_alive_ms
                                                : plan->timeouts.header_ms);
}

/* Requests count their own endings; that a client broke the rules is the connection's. */
static void count_misdeed(const struct session *session, enum close_reason reason)
{
    if (session->conn.count > 0 && (reason == CLOSE_FLOOD || reason == CLOSE_PROTOCOL_ERROR)) {
        counter_add(&session->front->counters->endings[reason], 1);
    }
}

static void on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    count_misdeed(session_of(conn), reason);
    if (linger) {
        session_linger(session_of(conn), reason);
    } else {
        session_end(session_of(conn), reason);
    }
}

/* A connection that ends with this request for want of connections or memory. */
static void count_kept(const struct session *session)
{
    if (!session->front->closes) {
        struct counters_worker *counters = session->front->proxy->counters;
        counter_add(&counters->loop.relief[COUNTERS_RELIEF_KEEP_ALIVE], 1);
    }
}

static void on_request(struct conn *conn, struct stream *stream, struct message *message)
{
    struct session *session = session_of(conn);
    session->conn.count++;
    if (LB_UNLIKELY(session_closes(session))) {
        count_kept(session);
        struct http_conn *http = http_conn_on(conn);
        http->ops->drain(http);
    }
    exchange_start(session, stream, message);
}

static void on_bad_request(struct conn *conn, struct stream *stream, enum close_reason reason)
{
    struct session *session = session_of(conn);
    session->conn.count++;
    exchange_refuse(session, stream, reason);
}

static void on_refused(struct conn *conn)
{
    struct session *session = session_of(conn);
    session->conn.count++;
    counter_add(&session->front->counters->endings[CLOSE_OVERLOAD], 1);
}

static const struct http_owner owner = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_refused = on_refused,
    .on_preface = on_preface,
    .on_idle = on_idle,
    .on_close = on_close,
};

void session_open(struct session *session, struct slice name, struct slice alpn)
{
    char wire[1 + 255]; /* one protocol, as a ClientHello has it */
    if (session->front->plan->mail != NULL || (session->conn.flags & SESSION_MAIL) != 0) {
        mail_session_open(session);
        return;
    }
    if (session->front->plan->protocol != CONF_PROTOCOL_HTTP) {
        wire[0] = (char)(unsigned char)alpn.len;
        if (alpn.len != 0) {
            memcpy(wire + 1, alpn.ptr, alpn.len);
        }
        tcp_session_start(session, name, slice_of(wire, alpn.len != 0 ? alpn.len + 1 : 0));
        return;
    }
    /* The kernel waited for the first bytes (TCP_DEFER_ACCEPT), or they came with the last of the
     * handshake: read before watching. */
    session->conn.ops = &idle_ops;
    session->conn.flags |= CONN_READ_READY;
    if (slice_eq(alpn, SLICE("h2"))) {
        session_open_http2(session);
        return;
    }
    idle_on_readable(&session->conn);
}

void session_start(struct front *front, int fd, const struct sockaddr *peer)
{
    struct proxy_worker *proxy = front->proxy;
    counter_add(&front->counters->connections_opened, 1);
    counter_add(&proxy->counters->loop.connections_opened, 1);
    struct session *session = slab_take(&proxy->sessions);
    if (session == NULL) {
        counter_add(&front->counters->rejected[COUNTERS_REJECT_MEMORY], 1);
        counter_add(&front->counters->connections_closed, 1);
        counter_add(&proxy->counters->loop.connections_closed, 1);
        (void)atomic_fetch_sub_explicit(&front->listener->connections, 1, memory_order_relaxed);
        uint32_t open = atomic_load_explicit(&proxy->open_connections, memory_order_relaxed);
        atomic_store_explicit(&proxy->open_connections, open - 1, memory_order_relaxed);
        (void)close(fd);
        return;
    }
    conn_init(&session->conn, proxy->loop, fd, &idle_ops);
    addr_small_from(&session->conn.peer, peer);
    session->front = front;
    session->opened_us = loop_now_us(proxy->loop);
    session->id = (uint64_t)(proxy->worker + 1) << SESSION_NUMBER_BITS | ++proxy->accepted;
    session->conn.count = 0;
    session->proxied = NULL;
    list_push_back(&front->sessions, &session->link);
    if (door_is_needed(front->plan)) {
        door_enter(session);
    } else {
        session_open(session, SLICE_NONE, SLICE_NONE);
    }
}

typedef bool exchange_is_fn(const struct exchange *x, const void *arg);

static bool is_any(const struct exchange *x, const void *arg)
{
    (void)x;
    (void)arg;
    return true;
}

static bool is_tunnel(const struct exchange *x, const void *arg)
{
    (void)arg;
    return x->is_tunnel;
}

static bool is_at(const struct exchange *x, const void *server)
{
    return x->server == server;
}

/* Ends those requests that are under way and meant, politely. How many. With the last of them the
 * connection may go. */
static uint32_t leave_requests(const struct http_conn *http, exchange_is_fn *is_meant,
                               const void *arg, enum close_reason reason)
{
    uint32_t left = 0;
    struct list_node *next = NULL;
    for (struct list_node *node = list_first(&http->exchanges); node != NULL; node = next) {
        struct exchange *x = list_entry(node, struct exchange, link);
        next = node->next != &http->exchanges ? node->next : NULL;
        if (is_meant(x, arg)) {
            exchange_give_up(x, reason);
            left++;
        }
    }
    return left;
}

void session_drain(struct session *session)
{
    struct conn *conn = &session->conn;
    bool is_other = (conn->flags & (SESSION_TUNNEL | SESSION_OPENS)) != 0;
    struct http_conn *http = is_other ? NULL : http_conn_on(conn);
    if (http != NULL && http->version == STREAM_HTTP2) {
        http->ops->drain(http);
    }
}

bool session_has_shown(const struct session *session, const struct tls_front *front)
{
    return tls_conn_is_one(&session->conn) ? tls_conn_is_let_in(&session->conn, front)
                                           : !tls_front_is_closed(front);
}

bool session_judge(struct session *session, bool at_last)
{
    const struct conn *conn = &session->conn;
    bool is_open = (conn->flags & (SESSION_TUNNEL | SESSION_OPENS)) != 0;
    if (door_has(conn) || (conn->flags & SESSION_LINGERS) != 0) {
        return true; /* judged when it is through, or over */
    }
    const struct http_conn *http = is_open ? NULL : http_conn_on(&session->conn);
    if (!is_open && http == NULL && !at_last) {
        return true; /* an idle one: judged with its next request */
    }
    if (session_is_let_in(session)) {
        return true;
    }
    if (http != NULL && !list_is_empty(&http->exchanges) && at_last) {
        session_abort(session, CLOSE_DRAIN_DEADLINE, true); /* no answer that asks for a repeat */
    } else if (http == NULL || at_last) {
        session_abort(session, CLOSE_CLIENT_AUTH_CHANGED, true);
    } else {
        session_drain(session);
        (void)leave_requests(http, is_tunnel, NULL, CLOSE_CLIENT_AUTH_CHANGED);
    }
    return false;
}

void session_abort(struct session *session, enum close_reason reason, bool polite)
{
    struct conn *conn = &session->conn;
    bool is_tunnel = (conn->flags & SESSION_TUNNEL) != 0;
    bool is_opening = (conn->flags & SESSION_OPENS) != 0;
    struct http_conn *http = is_tunnel || is_opening ? NULL : http_conn_on(conn);
    if (is_mail_login(conn)) {
        mail_session_end(session, reason, polite);
    } else if (is_opening) {
        tcp_session_end(session, reason);
    } else if (is_tunnel) {
        if (polite) {
            tunnel_leave(session, reason);
        } else {
            tunnel_abort(session, reason);
        }
    } else if (http != NULL && polite && !list_is_empty(&http->exchanges)) {
        http->ops->drain(http); /* it ends by itself after the last of them */
        (void)leave_requests(http, is_any, NULL, reason);
    } else if (http != NULL && polite) {
        http->ops->leave(http, reason);
    } else if (http != NULL) {
        http->ops->abort(http, reason);
    } else if (polite && (conn->flags & SESSION_LINGERS) == 0 && !door_has(conn)) {
        session_linger(session, reason);
    } else {
        session_end(session, reason);
    }
}

struct addr_small session_destination(const struct session *session)
{
    struct addr_small out = {0};
    struct addr found = {.len = sizeof(found.u)};
    if (getsockname(session->conn.fd, &found.u.any, &found.len) == 0) {
        addr_small_from(&out, &found.u.any);
    }
    return out;
}

bool session_is_behind_proxy(const struct session *session)
{
    const struct addr_small *peer = &session->conn.peer;
    struct addr_small own = {0};
    struct addr found = {.len = sizeof(found.u)};
    if (cidr_set_is_empty(&session->front->plan->proxies) ||
        getpeername(session->conn.fd, &found.u.any, &found.len) != 0) {
        return false;
    }
    addr_small_from(&own, &found.u.any);
    return own.port != peer->port || !addr_small_is_same_ip(&own, peer);
}

const char *session_state_word(enum session_state state)
{
    switch (state) {
    case SESSION_IS_IDLE:
        return "idle";
    case SESSION_IS_OPENING:
        return "opening";
    case SESSION_IS_REQUEST:
        return "request";
    case SESSION_IS_TUNNEL:
        return "tunnel";
    case SESSION_IS_LINGER:
        return "linger";
    }
    return "";
}

const char *session_protocol_word(enum session_protocol protocol)
{
    switch (protocol) {
    case SESSION_SPEAKS_HTTP1:
        return "http1";
    case SESSION_SPEAKS_HTTP2:
        return "http2";
    case SESSION_SPEAKS_TCP:
        return "tcp";
    case SESSION_SPEAKS_IMAP:
    case SESSION_SPEAKS_POP3:
    case SESSION_SPEAKS_SMTP:
    case SESSION_SPEAKS_SIEVE:
        return mail_protocol_word((enum mail_protocol)(protocol - SESSION_SPEAKS_IMAP));
    }
    return "";
}

static uint32_t count_requests(const struct http_conn *http)
{
    uint32_t count = 0;
    struct list_node *node = NULL;
    list_for_each (node, &http->exchanges) {
        count++;
    }
    return count;
}

static void look_at(struct session_facts *facts, const struct exchange *x)
{
    facts->request = x;
    facts->server = x->server;
    facts->pool = x->pool != NULL ? x->pool->name : SLICE_NONE;
}

void session_look(struct session *session, struct session_facts *facts)
{
    struct conn *conn = &session->conn;
    *facts = (struct session_facts){.state = SESSION_IS_IDLE};
    if (session->front->plan->protocol != CONF_PROTOCOL_HTTP) {
        facts->protocol = SESSION_SPEAKS_TCP;
    }
    if (session->front->plan->mail != NULL) {
        facts->protocol = (enum session_protocol)(SESSION_SPEAKS_IMAP +
                                                  (int)session->front->plan->mail->offer.protocol);
    }
    if ((conn->flags & SESSION_TUNNEL) != 0) {
        const struct mail_seat *seat = tunnel_seat(session);
        facts->state = SESSION_IS_TUNNEL;
        facts->server = tunnel_server(session);
        facts->pool = slice_from(facts->server->pool_name);
        if (seat != NULL) {
            facts->seat = seat;
            facts->behind = tunnel_behind(session);
            facts->user = seat->user != NULL ? mail_users_name(seat) : SLICE_NONE;
            facts->protocol = (enum session_protocol)(SESSION_SPEAKS_IMAP + (int)seat->protocol);
        }
        return;
    }
    if (is_mail_login(conn)) {
        facts->state = SESSION_IS_OPENING;
        facts->server = mail_session_server(session);
        facts->pool = mail_session_pool(session);
        facts->user = mail_session_user(session);
        facts->seat = mail_session_seat(session);
        facts->behind = mail_session_client_of(session);
        return;
    }
    if (door_has(conn)) {
        facts->state = SESSION_IS_OPENING;
        return;
    }
    if ((conn->flags & SESSION_OPENS) != 0) {
        facts->state = SESSION_IS_OPENING;
        facts->server = tcp_session_server(session);
        facts->pool = tcp_session_pool(session);
        return;
    }
    if ((conn->flags & SESSION_LINGERS) != 0) {
        facts->state = SESSION_IS_LINGER;
        return;
    }
    const struct http_conn *http = http_conn_on(conn);
    if (http == NULL) {
        return;
    }
    struct list_node *first = list_first(&http->exchanges);
    facts->protocol = http->version == STREAM_HTTP2 ? SESSION_SPEAKS_HTTP2 : SESSION_SPEAKS_HTTP1;
    facts->streams = count_requests(http);
    if (http->version == STREAM_HTTP1 || first != NULL) {
        facts->state = SESSION_IS_REQUEST;
    }
    if (first != NULL) {
        facts->requests = &http->exchanges;
        look_at(facts, list_entry(first, struct exchange, link));
    }
}

bool session_look_on(struct session_facts *facts)
{
    if (facts->request == NULL || facts->request->link.next == facts->requests) {
        return false;
    }
    look_at(facts, list_entry(facts->request->link.next, struct exchange, link));
    return true;
}

uint32_t session_leave_server(struct session *session, const struct server *server,
                              enum close_reason reason)
{
    struct conn *conn = &session->conn;
    if ((conn->flags & SESSION_TUNNEL) != 0) {
        bool is_there = tunnel_server(session) == server;
        if (is_there) {
            tunnel_leave(session, reason);
        }
        return is_there ? 1 : 0;
    }
    if ((conn->flags & SESSION_OPENS) != 0) {
        bool is_mail = is_mail_login(conn);
        bool is_there =
            (is_mail ? mail_session_server(session) : tcp_session_server(session)) == server;
        if (is_there && is_mail) {
            mail_session_end(session, reason, true);
        } else if (is_there) {
            tcp_session_end(session, reason);
        }
        return is_there ? 1 : 0;
    }
    const struct http_conn *http = http_conn_on(conn);
    return http != NULL ? leave_requests(http, is_at, server, reason) : 0;
}
