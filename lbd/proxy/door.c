/* door - see door.h. */
#include "lbd/proxy/door.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lbd/net/proxy_header.h"
#include "lbd/proxy/cause.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/stats/access_record.h"
#include "lbd/stats/recent.h"
#include "lbd/tls/tls_conn.h"

#define LONG_PASS_US 2000 /* then one step is enough */

static const struct conn_ops proxy_ops;
static const struct conn_ops tls_ops;

static void on_turn(struct loop_ready *ready);

/* -- what both stages share -- */

static void wait_more(struct session *session)
{
    if (!conn_is_watched(&session->conn) && !conn_watch(&session->conn)) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
    }
}

/* -- who failed -- */

static bool may_log(struct door_queue *queue)
{
    uint64_t now = loop_now_us(queue->loop);
    if (now - queue->lines_from_us >= 1000000) {
        queue->lines_from_us = now;
        queue->lines = 0;
    }
    return queue->lines++ < DOOR_LINES;
}

/* A port that is only tried out (a check, a scan) says nothing and is no line. */
static void log_failure(struct session *session, enum close_reason reason)
{
    struct proxy_worker *proxy = session->front->proxy;
    const struct tls_session *tls = tls_conn_session(&session->conn);
    if (proxy->access_log == NULL || session->front->plan->seeing.is_unlogged ||
        !tls_session_has_heard(tls) || !may_log(&proxy->door)) {
        return;
    }
    struct tls_conn_facts facts = {.version = SLICE_NONE};
    (void)tls_conn_look(&session->conn, &facts);
    uint64_t now = loop_now_us(proxy->loop);
    const struct access_record record = {
        .time_us = loop_wall_us(proxy->loop) - (now - session->opened_us),
        .client = session->conn.peer,
        .listener = slice_from(session->front->listener->name),
        .host = tls_conn_sni(&session->conn),
        .protocol = SLICE("tls"),
        .tls = facts.version,
        .cipher = facts.cipher,
        .reason = reason,
        .detail = slice_from(tls_session_why(tls)),
        .duration_us = now - session->opened_us,
        .connection_id = session->id,
        .revision = proxy->revision,
    };
    (void)access_log_write(proxy->access_log, &record);
}

static void on_timeout(struct conn *conn)
{
    struct session *session = session_of(conn);
    if (tls_conn_is_one(conn)) {
        log_failure(session, CLOSE_HANDSHAKE_TIMEOUT);
        counter_add(&session->front->counters->handshake_failures[COUNTERS_TLS_TIMEOUT], 1);
    }
    session_end(session, CLOSE_HANDSHAKE_TIMEOUT);
}

/* -- TLS -- */

static void wait_turn(struct conn *conn)
{
    struct proxy_worker *proxy = session_of(conn)->front->proxy;
    if (!list_is_linked(&conn->queue.ready.link)) {
        list_push_back(&proxy->door.waiting, &conn->queue.ready.link);
    }
    loop_ready_put(proxy->loop, &proxy->door.turn, on_turn);
}

static void count_handshake(const struct session *session)
{
    struct counters_listener *counters = session->front->counters;
    const struct tls_session *tls = tls_conn_session(&session->conn);
    bool is_resumed = tls_conn_is_resumed(&session->conn);
    enum counters_handshake what =
        tls_conn_is_1_3(&session->conn)
            ? (is_resumed ? COUNTERS_HANDSHAKE_1_3_RESUMED : COUNTERS_HANDSHAKE_1_3)
            : (is_resumed ? COUNTERS_HANDSHAKE_1_2_RESUMED : COUNTERS_HANDSHAKE_1_2);
    counter_add(&counters->handshakes[what], 1);
    histogram_note_us(&counters->handshake_duration,
                      loop_now_us(session->front->proxy->loop) - session->opened_us);
    if (tls_session_has_name(tls) && !tls_session_knows_name(tls)) {
        counter_add(&counters->sni_unknown, 1);
    }
}

static enum close_reason reason_of(enum tls_trouble trouble)
{
    switch (trouble) {
    case TLS_TROUBLE_CLOSED:
        return CLOSE_TLS_ABORTED;
    case TLS_TROUBLE_NOT_TLS:
    case TLS_TROUBLE_PLAIN_HTTP:
        return CLOSE_TLS_EXPECTED;
    case TLS_TROUBLE_NOTHING_SHARED:
        return CLOSE_TLS_NOTHING_SHARED;
    case TLS_TROUBLE_NAME:
        return CLOSE_TLS_UNKNOWN_NAME;
    case TLS_TROUBLE_PROTOCOL:
        return CLOSE_TLS_NO_PROTOCOL;
    case TLS_TROUBLE_NO_CERTIFICATE:
        return CLOSE_TLS_CLIENT_CERTIFICATE_MISSING;
    case TLS_TROUBLE_CERTIFICATE:
        return CLOSE_TLS_CLIENT_CERTIFICATE_REFUSED;
    case TLS_TROUBLE_REFUSED:
        return CLOSE_TLS_REFUSED_BY_CLIENT;
    case TLS_TROUBLE_NONE:
    case TLS_TROUBLE_OTHER:
        break;
    }
    return CLOSE_TLS_HANDSHAKE_FAILED;
}

/* Who takes this port for one of HTTP is told so; nothing of a request is read (R12). */
static void tell_plain_http(const struct conn *conn)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 32\r\n"
                                 "Connection: close\r\n"
                                 "Lbd-Reason: tls_expected\r\n"
                                 "\r\n"
                                 "This port speaks HTTPS, not HTTP";
    (void)send(conn->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse(struct session *session)
{
    struct conn *conn = &session->conn;
    enum tls_trouble trouble = tls_session_trouble(tls_conn_session(conn));
    enum close_reason reason = reason_of(trouble);
    counter_add(&session->front->counters->handshake_failures[reason - CLOSE_TLS_HANDSHAKE_FAILED],
                1);
    if (trouble == TLS_TROUBLE_NAME && tls_session_has_name(tls_conn_session(conn))) {
        counter_add(&session->front->counters->sni_unknown, 1);
    }
    log_failure(session, reason);
    if (trouble == TLS_TROUBLE_CLOSED || trouble == TLS_TROUBLE_REFUSED) {
        session_end(session, reason); /* nobody listens */
        return;
    }
    if (trouble == TLS_TROUBLE_PLAIN_HTTP) {
        tell_plain_http(conn);
    }
    /* bytes of the client may lie unread: closing now would take our alert away from it */
    tls_conn_give_up(conn);
    counter_add(&session->front->counters->endings[reason], 1);
    conn->flags |= CONN_READ_READY;
    session_linger(session, reason);
}

/* Who comes with a certificate may log in by it (SASL EXTERNAL). */
static bool is_login_by_certificate(const struct plan *plan)
{
    return plan->mail != NULL &&
           (plan->mail->offer.mechanisms & MAIL_MECHANISM_BIT(MAIL_EXTERNAL)) != 0;
}

static void step(struct session *session)
{
    struct conn *conn = &session->conn;
    if (conn->transport->handshake(conn) == 0) {
        enum conf_client_forward forward = session->front->plan->client_forward;
        count_handshake(session);
        if (forward != CONF_CLIENT_FORWARD_OFF || is_login_by_certificate(session->front->plan)) {
            tls_conn_keep_peer(conn, forward == CONF_CLIENT_FORWARD_CERTIFICATE);
        }
        conn_no_deadline(conn);
        if (LB_UNLIKELY(!session_is_let_in(session))) { /* asked for less when it began */
            counter_add(&session->front->counters->endings[CLOSE_CLIENT_AUTH_CHANGED], 1);
            log_failure(session, CLOSE_CLIENT_AUTH_CHANGED);
            conn->flags |= CONN_READ_READY;
            session_linger(session, CLOSE_CLIENT_AUTH_CHANGED);
            return;
        }
        session_open(session, tls_conn_sni(conn), tls_conn_alpn(conn));
    } else if (errno == EAGAIN) {
        wait_more(session);
    } else {
        refuse(session);
    }
}

static void on_turn(struct loop_ready *ready)
{
    struct door_queue *queue = container_of(ready, struct door_queue, turn);
    for (int i = 0; i < DOOR_STEPS; i++) {
        struct list_node *node = list_pop_front(&queue->waiting);
        if (node == NULL) {
            return;
        }
        step(session_of(container_of(node, struct conn, queue.ready.link)));
        if (loop_pass_us(queue->loop) > LONG_PASS_US) {
            break;
        }
    }
    if (!list_is_empty(&queue->waiting)) {
        loop_ready_put(queue->loop, &queue->turn, on_turn); /* in the next pass */
    }
}

static const struct conn_ops tls_ops = {
    .on_readable = wait_turn,
    .on_room = wait_turn,
    .on_timeout = on_timeout,
};

static void start_tls(struct session *session)
{
    struct conn *conn = &session->conn;
    struct tls_front *tls = session->front->plan->tls;
    if (tls == NULL || !tls_conn_server(conn, tls, NULL)) { /* its plan may be another by now */
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    conn->ops = &tls_ops;
    wait_turn(conn);
}

/* -- the policies -- */

/* Who are asked of a connection, and not of each request; NULL: nobody. */
static const struct filter_chain *filters_of(const struct session *session)
{
    const struct plan *plan = session->front->plan;
    return plan->protocol == CONF_PROTOCOL_HTTP ? NULL : plan->filters;
}

static struct slice shadow_policy(const struct session *session, const struct filter *end)
{
    const struct filter_chain *filters = filters_of(session);
    const struct filter *found =
        filters != NULL ? filter_chain_shadows(filters, &session->conn.peer, end) : NULL;
    return found != NULL ? found->name : SLICE_NONE;
}

struct slice door_shadow_policy(const struct session *session)
{
    return shadow_policy(session, NULL);
}

/* A flood of them leaves room for others, in the log and among the recent ones. */
static void note_refusal(struct session *session, const struct filter *by)
{
    struct proxy_worker *proxy = session->front->proxy;
    const struct plan *plan = session->front->plan;
    struct cause cause;
    if (!may_log(&proxy->door)) {
        return;
    }
    uint64_t now = loop_now_us(proxy->loop);
    (void)cause_of_policy(&cause, by->name);
    const struct recent_entry entry = {
        .record = {.time_us = loop_wall_us(proxy->loop) - (now - session->opened_us),
                   .client = session->conn.peer,
                   .listener = slice_from(session->front->listener->name),
                   .protocol = slice_from(conf_protocol_word(plan->protocol)),
                   .proxy_authority = session_proxy_said(session)->authority,
                   .proxy_unique_id = session_proxy_said(session)->unique_id,
                   .setting = slice_from(cause.pointer),
                   .shadow_policy = shadow_policy(session, by),
                   .reason = CLOSE_ACCESS_DENIED,
                   .duration_us = now - session->opened_us,
                   .connection_id = session->id,
                   .revision = proxy->revision},
    };
    recent_put(&proxy->recent, &entry);
    if (proxy->access_log != NULL && !plan->seeing.is_unlogged) {
        (void)access_log_write(proxy->access_log, &entry.record);
    }
}

/* Who it is is known now. False: a policy said no, and it is over. */
static bool is_let_in(struct session *session)
{
    const struct filter_chain *filters = filters_of(session);
    struct front *front = session->front;
    const struct filter *by =
        filters != NULL ? filter_chain_refuses(filters, &session->conn.peer, front->proxy->counters)
                        : NULL;
    if (LB_LIKELY(by == NULL)) {
        return true;
    }
    counter_add(&front->counters->rejected[COUNTERS_REJECT_ACL], 1);
    note_refusal(session, by);
    session_end(session, CLOSE_ACCESS_DENIED);
    return false;
}

static void begin_tls(struct session *session)
{
    struct conn *conn = &session->conn;
    if (!is_let_in(session)) {
        return;
    }
    if (!plan_is_tls_first(session->front->plan)) {
        const struct proxy_tlvs *said = session_proxy_said(session);
        bool is_tcp = session->front->plan->protocol == CONF_PROTOCOL_TCP;
        conn_no_deadline(conn);
        /* of TCP: a proxy that ended TLS for us says what the client asked for. HTTP says it
         * itself, and its protocol is not the one of the proxy's client. */
        session_open(session, is_tcp ? said->authority : SLICE_NONE,
                     is_tcp ? said->alpn : SLICE_NONE);
        return;
    }
    start_tls(session);
}

/* -- the PROXY header -- */

static void log_header(struct session *session, const char *why)
{
    struct proxy_worker *proxy = session->front->proxy;
    if (proxy->access_log == NULL || session->front->plan->seeing.is_unlogged ||
        !may_log(&proxy->door)) {
        return;
    }
    uint64_t now = loop_now_us(proxy->loop);
    const struct access_record record = {
        .time_us = loop_wall_us(proxy->loop) - (now - session->opened_us),
        .client = session->conn.peer,
        .listener = slice_from(session->front->listener->name),
        .protocol = SLICE("proxy"),
        .reason = CLOSE_BAD_PROXY_HEADER,
        .detail = slice_from(why),
        .duration_us = now - session->opened_us,
        .connection_id = session->id,
        .revision = proxy->revision,
    };
    (void)access_log_write(proxy->access_log, &record);
}

static void refuse_header(struct session *session, const char *why)
{
    counter_add(&session->front->counters->rejected[COUNTERS_REJECT_PROXY_PROTOCOL], 1);
    log_header(session, why);
    session_end(session, CLOSE_BAD_PROXY_HEADER);
}

static void accept_header(struct session *session, const struct proxy_header *header)
{
    struct conn *conn = &session->conn;
    char gone[PROXY_HEADER_MAX];
    /* the very bytes that were looked at: what follows is for the next stage */
    if (recv(conn->fd, gone, header->len, 0) != (ssize_t)header->len) {
        refuse_header(session, "it is gone again");
        return;
    }
    session->proxied = session_proxy_new(&header->tlvs);
    if (header->source.family != 0) {
        conn->peer = header->source;
    }
    begin_tls(session);
}

static void read_header(struct conn *conn)
{
    struct session *session = session_of(conn);
    struct proxy_header header;
    char bytes[PROXY_HEADER_MAX];
    ssize_t got = recv(conn->fd, bytes, sizeof(bytes), MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_more(session);
        return;
    }
    if (got <= 0) {
        session_end(session, CLOSE_CLIENT_CLOSED);
        return;
    }
    switch (proxy_header_read(bytes, (size_t)got, &header)) {
    case PROXY_HEADER_DONE:
        accept_header(session, &header);
        break;
    case PROXY_HEADER_MORE:
        if ((conn->flags & CONN_PEER_CLOSED) != 0) {
            refuse_header(session, "it is not whole"); /* no more will come */
        } else {
            wait_more(session);
        }
        break;
    case PROXY_HEADER_BAD:
        refuse_header(session, header.why);
        break;
    }
}

static void on_proxy_room(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops proxy_ops = {
    .on_readable = read_header,
    .on_room = on_proxy_room,
    .on_timeout = on_timeout,
};

/* -- in and out -- */

void door_queue_init(struct door_queue *queue, struct loop *loop)
{
    *queue = (struct door_queue){.loop = loop};
    list_init(&queue->waiting);
}

void door_queue_fini(struct door_queue *queue)
{
    assert(list_is_empty(&queue->waiting));
    loop_ready_remove(&queue->turn);
}

bool door_is_needed(const struct plan *plan)
{
    return plan_is_tls_first(plan) || !cidr_set_is_empty(&plan->proxies) ||
           (plan->protocol != CONF_PROTOCOL_HTTP && plan->filters != NULL);
}

void door_secure(struct session *session)
{
    struct conn *conn = &session->conn;
    conn_deadline(conn, session->front->plan->timeouts.handshake_ms);
    conn_look_again(conn);
    start_tls(session);
}

void door_enter(struct session *session)
{
    struct conn *conn = &session->conn;
    const struct plan *plan = session->front->plan;
    conn->flags |= CONN_READ_READY;
    conn_deadline(conn, plan->timeouts.handshake_ms);
    if (cidr_set_has(&plan->proxies, &conn->peer)) {
        conn->ops = &proxy_ops;
        read_header(conn);
    } else {
        begin_tls(session);
    }
}

bool door_has(const struct conn *conn)
{
    return conn->ops == &proxy_ops || conn->ops == &tls_ops;
}
