/* tcp_session - see tcp_session.h. */
#include "lbd/proxy/tcp_session.h"

#include <string.h>

#include "lbd/balance/peak_ewma.h"
#include "lbd/proxy/balance_key.h"
#include "lbd/proxy/cause.h"
#include "lbd/proxy/door.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/proxy/tunnel.h"
#include "lbd/stats/access_record.h"
#include "lbd/tls/tls_conn.h"

static void pick(struct tcp_session *tcp);

static struct tcp_session *tcp_of(const struct conn *conn)
{
    return conn->user;
}

static struct counters_pool *pool_counters(const struct tcp_session *tcp)
{
    return counters_of_pool(tcp->proxy->counters, tcp->pool->id);
}

/* -- the record -- */

static void fill_record(const struct tcp_session *tcp, struct access_record *record)
{
    const struct session *session = tcp->session;
    const struct route *route = tcp->route;
    uint64_t now = loop_now_us(tcp->proxy->loop);
    struct tls_conn_facts tls = {.version = SLICE_NONE};
    (void)tls_conn_look(&session->conn, &tls);
    *record = (struct access_record){
        .time_us = loop_wall_us(tcp->proxy->loop) - (now - session->opened_us),
        .client = session->conn.peer,
        .listener = slice_from(session->front->listener->name),
        .host = slice_of(tcp->name, tcp->name_len),
        .protocol = slice_from(conf_protocol_word(tcp->plan->protocol)),
        .tls = tls.version,
        .cipher = tls.cipher,
        .sni = tls.sni,
        .subject = tls.subject,
        .proxy_authority = session_proxy_said(session)->authority,
        .proxy_unique_id = session_proxy_said(session)->unique_id,
        .route = route != NULL ? route->name : SLICE_NONE,
        .pool = tcp->pool != NULL ? tcp->pool->name : SLICE_NONE,
        .server =
            tcp->tries > 0 ? slice_from(tcp->pool->members[tcp->member].server->name) : SLICE_NONE,
        .tries = tcp->tries,
        .duration_us = now - session->opened_us,
        .connect_us = tcp->connect_us,
        .connection_id = session->id,
        .revision = tcp->revision,
        .shadow_policy = door_shadow_policy(session),
    };
}

/* -- ends -- */

/* A second or later try: it is over, or it stands. */
static void end_retry(const struct tcp_session *tcp)
{
    if (tcp->tries > 1) {
        counter_add(&pool_counters(tcp)->retries_ended, 1);
    }
}

static void release_server(struct tcp_session *tcp)
{
    if (tcp->server != NULL) {
        end_retry(tcp);
        pool_release(tcp->server);
        tcp->server = NULL;
        counter_add(&pool_counters(tcp)->requests_finished, 1);
    }
}

static void free_it(struct tcp_session *tcp)
{
    struct session *session = tcp->session;
    struct lease *lease = tcp->lease;
    session->conn.user = NULL;
    session->conn.flags &= ~(uint32_t)SESSION_OPENS;
    slab_give(&tcp->proxy->tcp_sessions, tcp);
    lease_drop(lease);
}

static void fail(struct tcp_session *tcp, enum close_reason reason)
{
    struct session *session = tcp->session;
    struct proxy_worker *proxy = tcp->proxy;
    upstream_conn_cancel(proxy->upstream, &tcp->waiter);
    release_server(tcp);
    counter_add(&session->front->counters->endings[reason], 1);
    bool is_logged = proxy->access_log != NULL && !tcp->plan->seeing.is_unlogged;
    if (is_logged || !close_reason_is_good(reason)) {
        struct access_record record;
        struct cause cause;
        const struct cause_facts facts = {.plan = tcp->plan, .pool = tcp->pool};
        fill_record(tcp, &record);
        record.reason = reason;
        (void)cause_find(&cause, reason, &facts);
        record.setting = slice_from(cause.pointer);
        record.setting_value = slice_from(cause.value);
        const struct recent_entry entry = {.record = record};
        if (!close_reason_is_good(reason)) {
            recent_put(&proxy->recent, &entry);
        }
        if (is_logged) {
            (void)access_log_write(proxy->access_log, &record);
        }
    }
    free_it(tcp);
    session_end(session, reason);
}

void tcp_session_end(struct session *session, enum close_reason reason)
{
    fail(tcp_of(&session->conn), reason);
}

const struct server *tcp_session_server(const struct session *session)
{
    return tcp_of(&session->conn)->server;
}

struct slice tcp_session_pool(const struct session *session)
{
    const struct tcp_session *tcp = tcp_of(&session->conn);
    return tcp->pool != NULL ? tcp->pool->name : SLICE_NONE;
}

/* -- pick, connect, again -- */

/* While the server is being connected to nothing is read: the client's bytes wait in the kernel,
 * and an end of its sending is no end of the conversation. */
static void waiting_on_readable(struct conn *conn)
{
    if (conn_was_reset(conn)) {
        fail(tcp_of(conn), CLOSE_CLIENT_ABORT);
    }
}

static void waiting_on_room(struct conn *conn)
{
    (void)conn;
}

static void waiting_on_timeout(struct conn *conn)
{
    (void)conn; /* connecting has a deadline of its own */
}

static const struct conn_ops waiting_ops = {
    .on_readable = waiting_on_readable,
    .on_room = waiting_on_room,
    .on_timeout = waiting_on_timeout,
};

static void connected(struct tcp_session *tcp, struct upstream_conn *server_conn)
{
    struct session *session = tcp->session;
    struct proxy_worker *proxy = tcp->proxy;
    struct access_record record;
    fill_record(tcp, &record);
    struct tunnel_begin begin = {
        .session = session,
        .server_conn = server_conn,
        .idle_ms = tcp->plan->timeouts.tunnel_idle_ms,
        .first_byte_ms =
            tcp->plan->protocol == CONF_PROTOCOL_TCP ? tcp->plan->timeouts.first_byte_ms : 0,
        .record = proxy->access_log != NULL && !tcp->plan->seeing.is_unlogged ? &record : NULL,
    };
    session->conn.user = NULL;
    if (!tunnel_open(&begin)) {
        session->conn.user = tcp;
        upstream_conn_end(proxy->upstream, server_conn);
        fail(tcp, CLOSE_OUT_OF_MEMORY);
        return;
    }
    void *relay = session->conn.user;
    tcp->server = NULL; /* the tunnel's now */
    end_retry(tcp);
    free_it(tcp);
    session->conn.user = relay;
}

/* How long connecting took, for who balances by it. */
static void note_latency(const struct tcp_session *tcp, uint64_t took_us)
{
    if (tcp->pool->balancer.kind == BALANCER_PEAK_EWMA) {
        peak_ewma_note(&tcp->server->load, took_us, loop_now_us(tcp->proxy->loop));
    }
}

static void try_failed(struct tcp_session *tcp, enum close_reason reason)
{
    struct upstream_worker *upstream = tcp->proxy->upstream;
    const struct pool *pool = tcp->pool;
    if (upstream_conn_is_ours(reason)) {
        fail(tcp, reason); /* ours, not the server's: no other can be reached either */
        return;
    }
    enum counters_error error = counters_error_of(reason);
    if (error != COUNTERS_ERROR_COUNT) {
        counter_add(&pool_counters(tcp)->errors[error], 1);
    }
    counter_add(&counters_of_server(tcp->proxy->counters, tcp->server->id)->errors, 1);
    note_latency(tcp, PEAK_EWMA_FAILURE_US);
    pool_note_failure(pool, tcp->server);
    release_server(tcp);
    tcp->failure = (uint8_t)reason;
    struct retry_facts facts = {.tries = tcp->tries};
    if (!upstream_may_retry(upstream, pool, &facts, RETRY_CONNECT)) {
        fail(tcp, reason);
        return;
    }
    counter_add(&pool_counters(tcp)->retries, 1);
    pick(tcp);
}

static void on_connected(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                         enum close_reason reason)
{
    struct tcp_session *tcp = container_of(waiter, struct tcp_session, waiter);
    if (conn == NULL) {
        try_failed(tcp, reason);
        return;
    }
    tcp->connect_us = loop_now_us(tcp->proxy->loop) - waiter->started_us;
    note_latency(tcp, tcp->connect_us);
    pool_note_whole(tcp->pool, tcp->server, 200);
    connected(tcp, conn);
}

static void pick(struct tcp_session *tcp)
{
    struct upstream_worker *upstream = tcp->proxy->upstream;
    const struct pool *pool = tcp->pool;
    struct pool_worker *state = upstream_pool(upstream, pool->state_id);
    if (tcp->tries == 0 &&
        !circuit_admits(&pool->circuit, tcp->proxy->counters, pool->id, CIRCUIT_REQUESTS)) {
        fail(tcp, CLOSE_POOL_REQUESTS_LIMIT);
        return;
    }
    if (tcp->tries == 0) {
        retry_budget_note(&state->budget, &pool->retry, loop_now_us(upstream->loop),
                          upstream->workers);
    }
    balance_key_set(pool, NULL, &tcp->session->conn.peer, loop_now_us(upstream->loop),
                    &state->state.balancer);
    enum close_reason reason;
    uint32_t member = pool_pick(pool, &state->state, &upstream->random, upstream->worker,
                                upstream->workers, tcp->tried, tcp->tried_count, &reason);
    if (member == BALANCER_NONE) {
        counter_add(&pool_counters(tcp)->no_server, 1);
        const struct pool *next = tcp->tries == 0 ? pool_fallback(pool, reason) : NULL;
        if (next != NULL) {
            counter_add(&pool_counters(tcp)->fallbacks, 1);
            tcp->pool = next;
            pick(tcp);
            return;
        }
        fail(tcp, tcp->tries > 0 ? (enum close_reason)tcp->failure : reason);
        return;
    }
    tcp->member = member;
    tcp->server = pool->members[member].server;
    tcp->tries++;
    if (tcp->tried_count < TCP_SESSION_TRIES) {
        tcp->tried[tcp->tried_count++] = member;
    }
    counter_add(&pool_counters(tcp)->requests_started, 1);
    if (tcp->tries > 1) {
        counter_add(&pool_counters(tcp)->retries_begun, 1);
    }
    counter_add(&counters_of_server(tcp->proxy->counters, tcp->server->id)->requests, 1);

    struct upstream_conn *server_conn = NULL;
    struct addr_small destination;
    struct upstream_client client = {.id = tcp->session->id,
                                     .source = &tcp->session->conn.peer,
                                     .write_tlvs = session_proxy_write,
                                     .arg = tcp->session};
    bool is_named = pool->send_proxy != PROXY_HEADER_NONE;
    if (is_named) {
        destination = session_destination(tcp->session);
        client.destination = &destination;
    }
    tcp->waiter.fn = on_connected;
    switch (upstream_conn_open(upstream, pool, member, is_named ? &client : NULL, &tcp->waiter,
                               &server_conn, &reason)) {
    case UPSTREAM_READY:
        connected(tcp, server_conn);
        return;
    case UPSTREAM_PENDING:
        return;
    case UPSTREAM_FAILED:
        try_failed(tcp, reason);
        return;
    }
}

/* It is known where the client wants to go. */
static void begin_connecting(struct tcp_session *tcp, struct slice name, struct slice alpn)
{
    struct conn *client = &tcp->session->conn;
    tcp->name_len = name.len < sizeof(tcp->name) ? name.len : sizeof(tcp->name);
    if (tcp->name_len != 0) {
        memcpy(tcp->name, name.ptr, tcp->name_len);
    }
    const struct route_question question = {
        .host = name,
        .alpn = alpn,
        .by_name = true,
        .client = &client->peer,
        .patterns = &tcp->session->front->proxy->patterns,
    };
    tcp->route = plan_route_name(tcp->plan, &question);
    if (tcp->route == NULL) {
        fail(tcp, CLOSE_NO_ROUTE);
        return;
    }
    tcp->pool = tcp->route->pool;
    client->ops = &waiting_ops;
    conn_no_deadline(client);
    if (!conn_is_watched(client) && !conn_watch(client)) {
        fail(tcp, CLOSE_OUT_OF_MEMORY);
        return;
    }
    pick(tcp);
}

/* -- the ClientHello -- */

/* False: more is needed, or it is over. */
static bool look_at_hello(struct tcp_session *tcp, const char *bytes, size_t len)
{
    struct tls_hello_facts facts;
    switch (tls_hello_feed(&tcp->hello, bytes, len)) {
    case TLS_HELLO_MORE:
        return false;
    case TLS_HELLO_DONE:
        if (tls_hello_facts(&tcp->hello, bytes, len, &facts)) {
            begin_connecting(tcp, tls_hello_name(&facts), tls_hello_alpn(&facts));
            return true;
        }
        break;
    case TLS_HELLO_BAD:
        break;
    }
    fail(tcp, CLOSE_BAD_CLIENT_HELLO);
    return true;
}

/* What has come so far lies in conn->in; these bytes are new. True: the hello was complete, or it
 * is over. */
static bool add_to_hello(struct tcp_session *tcp, const char *bytes, size_t len)
{
    struct conn *conn = &tcp->session->conn;
    struct net_worker *net = conn_net(conn);
    size_t kept = flow_len(&conn->in);
    if (!flow_put(net, &conn->in, slice_of(bytes, len))) {
        fail(tcp, CLOSE_OUT_OF_MEMORY);
        return true;
    }
    if (kept == 0) {
        return look_at_hello(tcp, bytes, len);
    }
    if (kept + len < TLS_HELLO_MAX && kept + len < tcp->hello.want) {
        return false; /* whatever these bytes are, some are missing */
    }
    struct iovec pieces[4U * TLS_HELLO_MAX / FLOW_SMALL_BYTES];
    int count = flow_pieces(&conn->in, pieces, (int)ARRAY_LEN(pieces));
    size_t together = 0;
    for (int i = 0; i < count; i++) {
        memcpy(net->scratch + together, pieces[i].iov_base, pieces[i].iov_len);
        together += pieces[i].iov_len;
    }
    return look_at_hello(tcp, net->scratch, together);
}

static void hello_on_readable(struct conn *conn)
{
    struct tcp_session *tcp = tcp_of(conn);
    /* behind what add_to_hello puts together */
    char *to = conn_net(conn)->scratch + FLOW_SCRATCH_BYTES;
    for (;;) {
        size_t len = flow_len(&conn->in);
        size_t got;
        /* one that is not over by then is refused */
        switch (conn_read(conn, to, TLS_HELLO_MAX - len, &got)) {
        case CONN_READ_BYTES:
            if (add_to_hello(tcp, to, got)) {
                return;
            }
            conn_look_again(conn);
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
            fail(tcp, len == 0 ? CLOSE_CLIENT_CLOSED : CLOSE_BAD_CLIENT_HELLO);
            return;
        case CONN_READ_FAILED:
            fail(tcp, CLOSE_CLIENT_ABORT);
            return;
        }
    }
}

static void hello_on_room(struct conn *conn)
{
    (void)conn;
}

static void hello_on_timeout(struct conn *conn)
{
    fail(tcp_of(conn), CLOSE_HANDSHAKE_TIMEOUT);
}

static const struct conn_ops hello_ops = {
    .on_readable = hello_on_readable,
    .on_room = hello_on_room,
    .on_timeout = hello_on_timeout,
};

/* A PROXY header may have brought the first bytes of it. */
static void begin_hello(struct tcp_session *tcp)
{
    struct conn *conn = &tcp->session->conn;
    uint64_t passed_ms = (loop_now_us(tcp->proxy->loop) - tcp->session->opened_us) / 1000;
    uint32_t limit_ms = tcp->plan->timeouts.handshake_ms;
    conn->ops = &hello_ops;
    if (!conn_is_watched(conn) && !conn_watch(conn)) {
        fail(tcp, CLOSE_OUT_OF_MEMORY);
        return;
    }
    conn_deadline(conn, passed_ms < limit_ms ? limit_ms - passed_ms : 1);
    size_t len = flow_len(&conn->in);
    if (len > 0) {
        struct net_worker *net = conn_net(conn);
        char *kept = net->scratch + FLOW_SCRATCH_BYTES;
        if (len > FLOW_SCRATCH_BYTES) {
            fail(tcp, CLOSE_BAD_CLIENT_HELLO);
            return;
        }
        (void)flow_take(net, &conn->in, kept);
        if (add_to_hello(tcp, kept, len)) {
            return;
        }
    }
    conn_look_again(conn);
    hello_on_readable(conn);
}

void tcp_session_start(struct session *session, struct slice name, struct slice alpn)
{
    struct front *front = session->front;
    struct proxy_worker *proxy = front->proxy;
    struct tcp_session *tcp = slab_take(&proxy->tcp_sessions);
    if (tcp == NULL) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    memset(tcp, 0, offsetof(struct tcp_session, name));
    tcp->session = session;
    tcp->proxy = proxy;
    tcp->plan = front->plan;
    tcp->lease = front->pinned != NULL ? front->pinned : proxy->lease;
    tcp->revision = proxy->revision;
    lease_hold(tcp->lease);
    session->conn.count = 1; /* how it ends is counted here or by the tunnel */
    session->conn.user = tcp;
    session->conn.flags |= SESSION_OPENS;
    if (tcp->plan->protocol == CONF_PROTOCOL_TLS_PASSTHROUGH) {
        begin_hello(tcp);
    } else {
        begin_connecting(tcp, name, alpn);
    }
}
