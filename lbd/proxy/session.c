/* session - see session.h. */
#include "lbd/proxy/session.h"

#include <unistd.h>

#include "lbd/http/h1_conn.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/sweep.h"
#include "lbd/proxy/tunnel.h"

_Static_assert(sizeof(struct session) - sizeof(struct event) <= 192,
               "an idle client costs at most 192 bytes and its event");

#define LINGER_MS     2000
#define LINGER_READS  8
#define LINGER_BUDGET (1024U * 1024)

static const struct conn_ops idle_ops;
static const struct conn_ops linger_ops;
static const struct h1_owner owner;

static void free_buried(struct loop_grave *grave)
{
    struct conn *conn = container_of(grave, struct conn, queue.grave);
    struct proxy_worker *proxy = loop_slot(conn->loop, LOOP_SLOT_PROXY);
    slab_give(&proxy->sessions, session_of(conn));
}

void session_end(struct session *session, enum close_reason reason)
{
    struct front *front = session->front;
    struct proxy_worker *proxy = front->proxy;
    counter_add(&front->counters->connections_closed, 1);
    counter_add(&proxy->counters->loop.connections_closed, 1);
    if (session->requests == 0 && reason != CLOSE_OK) {
        counter_add(&front->counters->endings[reason], 1);
    }
    histogram_note_us(&front->counters->connection_duration,
                      loop_now_us(proxy->loop) - session->opened_us);
    (void)atomic_fetch_sub_explicit(&front->listener->connections, 1, memory_order_relaxed);
    uint32_t open = atomic_load_explicit(&proxy->open_connections, memory_order_relaxed);
    atomic_store_explicit(&proxy->open_connections, open - 1, memory_order_relaxed);
    sweep_leave_session(proxy, session);
    list_remove(&session->link);
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
            session->requests += (uint32_t)got; /* nobody counts requests any more */
            if (session->requests > LINGER_BUDGET) {
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
    session->requests = 1; /* the ending was counted by its request */
    conn->flags |= SESSION_LINGERS;
    conn->ops = &linger_ops;
    conn_shut(conn);
    conn_deadline(conn, LINGER_MS);
    conn_again(conn);
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
    };
    struct h1_conn *h1 = h1_conn_new(conn, H1_CLIENT_FACING, &owner, &limits, &timeouts);
    if (h1 == NULL) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    h1_conn_turn(h1);
}

static void idle_on_room(struct conn *conn)
{
    (void)conn;
}

static void idle_on_timeout(struct conn *conn)
{
    struct session *session = session_of(conn);
    session_end(session, session->requests > 0 ? CLOSE_KEEP_ALIVE_TIMEOUT : CLOSE_HEADER_TIMEOUT);
}

static const struct conn_ops idle_ops = {
    .on_readable = idle_on_readable,
    .on_room = idle_on_room,
    .on_timeout = idle_on_timeout,
};

static void h1_on_idle(struct conn *conn)
{
    struct session *session = session_of(conn);
    const struct plan *plan = session->front->plan;
    conn->ops = &idle_ops;
    if (!conn_is_watched(conn) && !conn_watch(conn)) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    conn_deadline(conn,
                  session->requests > 0 ? plan->timeouts.keep_alive_ms : plan->timeouts.header_ms);
}

static void h1_on_close(struct conn *conn, enum close_reason reason, bool linger)
{
    if (linger) {
        session_linger(session_of(conn), reason);
    } else {
        session_end(session_of(conn), reason);
    }
}

static void h1_on_request(struct h1_conn *h1, struct message *message)
{
    struct session *session = session_of(h1->conn);
    session->requests++;
    if (session->front->closes) {
        h1_conn_close_after(h1);
    }
    exchange_start(session, &h1->stream, message);
}

static void h1_on_bad_request(struct h1_conn *h1, enum close_reason reason)
{
    struct session *session = session_of(h1->conn);
    session->requests++;
    exchange_refuse(session, &h1->stream, reason);
}

static const struct h1_owner owner = {
    .on_request = h1_on_request,
    .on_bad_request = h1_on_bad_request,
    .on_idle = h1_on_idle,
    .on_close = h1_on_close,
};

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
    session->requests = 0;
    list_push_back(&front->sessions, &session->link);
    /* The kernel waited for the first bytes (TCP_DEFER_ACCEPT): read before watching. */
    session->conn.flags |= CONN_READ_READY;
    idle_on_readable(&session->conn);
}

/* NULL: no request is under way, or only half of its head is there. */
static struct exchange *exchange_on(struct h1_conn *h1)
{
    return h1 != NULL && h1->has_stream ? h1->stream.owner : NULL;
}

static void abort_request(struct h1_conn *h1, enum close_reason reason, bool polite)
{
    struct exchange *x = exchange_on(h1);
    if (!polite) {
        h1_conn_abort(h1, reason);
    } else if (x != NULL && !x->head_sent) {
        h1_conn_close_after(h1);
        exchange_give_up(x, reason);
    } else {
        h1_conn_leave(h1, reason);
    }
}

void session_abort(struct session *session, enum close_reason reason, bool polite)
{
    struct conn *conn = &session->conn;
    if ((conn->flags & SESSION_TUNNEL) != 0) {
        if (polite) {
            tunnel_leave(session, reason);
        } else {
            tunnel_abort(session, reason);
        }
    } else if (h1_conn_on(conn) != NULL) {
        abort_request(h1_conn_on(conn), reason, polite);
    } else if (polite && (conn->flags & SESSION_LINGERS) == 0) {
        session_linger(session, reason);
    } else {
        session_end(session, reason);
    }
}

const char *session_state_word(enum session_state state)
{
    switch (state) {
    case SESSION_IS_IDLE:
        return "idle";
    case SESSION_IS_REQUEST:
        return "request";
    case SESSION_IS_TUNNEL:
        return "tunnel";
    case SESSION_IS_LINGER:
        return "linger";
    }
    return "";
}

void session_look(struct session *session, struct session_facts *facts)
{
    struct conn *conn = &session->conn;
    *facts = (struct session_facts){.state = SESSION_IS_IDLE};
    if ((conn->flags & SESSION_TUNNEL) != 0) {
        facts->state = SESSION_IS_TUNNEL;
        facts->server = tunnel_server(session);
        facts->pool = slice_from(facts->server->pool_name);
        return;
    }
    if ((conn->flags & SESSION_LINGERS) != 0) {
        facts->state = SESSION_IS_LINGER;
        return;
    }
    struct h1_conn *h1 = h1_conn_on(conn);
    const struct exchange *x = exchange_on(h1);
    if (h1 != NULL) {
        facts->state = SESSION_IS_REQUEST;
    }
    if (x != NULL) {
        facts->server = x->server;
        facts->pool = x->pool != NULL ? x->pool->name : SLICE_NONE;
    }
}

bool session_leave_server(struct session *session, const struct server *server,
                          enum close_reason reason)
{
    struct session_facts facts;
    session_look(session, &facts);
    if (facts.server != server) {
        return false;
    }
    if (facts.state == SESSION_IS_TUNNEL) {
        tunnel_leave(session, reason);
    } else {
        exchange_give_up(exchange_on(h1_conn_on(&session->conn)), reason);
    }
    return true;
}
