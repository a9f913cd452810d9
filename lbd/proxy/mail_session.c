/* mail_session - see mail_session.h. */
#include "lbd/proxy/mail_session.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/crowd.h"
#include "lbd/proxy/door.h"
#include "lbd/proxy/mail_record.h"
#include "lbd/proxy/mail_session_inside.h"
#include "lbd/proxy/session.h"
#include "lbd/tls/tls_conn.h"

#define READ_BYTES 4096U
#define OUT_MAX    65536U
#define RESERVED   5U /* one in so many connections is for who is logged in */

static const struct conn_ops talk_ops;

_Static_assert(COUNTERS_MAIL_PROTOCOLS == MAIL_PROTOCOL_COUNT &&
                   COUNTERS_MAIL_MECHANISMS == MAIL_MECHANISM_COUNT,
               "stats counts what mail knows");

struct slice mail_session_state(const struct mail_session *mail, char out[MAIL_SESSION_STATE_MAX])
{
    static const char *const words[] = {
        [MAIL_SESSION_TALKS] = "command", [MAIL_SESSION_SECURES] = "starttls",
        [MAIL_SESSION_LOOKS] = "lookup",  [MAIL_SESSION_WAITS] = "wait",
        [MAIL_SESSION_LOGS_IN] = "login", [MAIL_SESSION_HOLDS_OFF] = "login",
    };
    const char *server = mail->is_reused ? "cache" : "";
    if (mail->leg.is_started) {
        server = mail->leg.is_connected ? mail_server_state_word(&mail->leg.server) : "connect";
    }
    int len = snprintf(out, MAIL_SESSION_STATE_MAX, "%s%s%s", words[mail->state],
                       server[0] != '\0' ? "/" : "", server);
    return slice_of(out, (size_t)len);
}

/* -- ends -- */

void mail_session_free(struct mail_session *mail)
{
    struct session *session = mail->session;
    struct lease *lease = mail->lease;
    counter_add(&mail_session_counters(mail)->clients_gone, 1);
    if (mail->is_in_crowd) {
        crowd_leave(mail->proxy->mail_crowd, &session->conn.peer);
    }
    mail_session_login_end(mail);
    mail_client_fini(&mail->client);
    buf_fini(&mail->out);
    session->conn.user = NULL;
    session->conn.flags &= ~(uint32_t)(SESSION_OPENS | SESSION_MAIL);
    slab_give(&mail->proxy->mail_sessions, mail);
    lease_drop(lease);
}

/* Did the client break the protocol? */
static bool is_breach(enum close_reason reason)
{
    return reason == CLOSE_BAD_COMMANDS || reason == CLOSE_COMMAND_TOO_LONG ||
           reason == CLOSE_BAD_COMMAND_BYTES || reason == CLOSE_EARLY_TALKER ||
           reason == CLOSE_FLOOD;
}

void mail_session_forget(struct session *session, enum close_reason reason)
{
    struct mail_session *mail = mail_session_of(&session->conn);
    counter_add(&mail_session_counters(mail)->protocol_errors, is_breach(reason) ? 1 : 0);
    counter_add(&mail_session_counters(mail)->starttls_injections,
                reason == CLOSE_STARTTLS_INJECTION ? 1 : 0);
    counter_add(&session->front->counters->endings[reason], 1);
    mail_record_end(mail, reason);
    mail_session_free(mail);
}

/* At once: nobody listens. */
void mail_session_drop(struct mail_session *mail, enum close_reason reason)
{
    session_end(mail->session, reason);
}

/* False: the client is gone, and so is the session. */
bool mail_session_say(struct mail_session *mail)
{
    struct iovec piece = {.iov_base = mail->out.data, .iov_len = mail->out.len};
    bool ok = mail->out.len == 0 || conn_write(mail_session_client(mail), &piece, 1);
    buf_clear(&mail->out);
    if (!ok) {
        mail_session_drop(mail, CLOSE_CLIENT_ABORT);
    }
    return ok;
}

/* What was said last goes out first. */
void mail_session_leave(struct mail_session *mail, enum close_reason reason)
{
    if (mail_session_say(mail)) {
        session_linger(mail->session, reason);
    }
}

void mail_session_end(struct session *session, enum close_reason reason, bool polite)
{
    struct mail_session *mail = mail_session_of(&session->conn);
    if (polite && !door_has(&session->conn)) {
        mail_client_bye(&mail->client, reason, &mail->out);
        mail_session_leave(mail, reason);
    } else {
        session_end(session, reason);
    }
}

const struct server *mail_session_server(const struct session *session)
{
    return mail_session_of(&session->conn)->server;
}

struct slice mail_session_pool(const struct session *session)
{
    const struct mail_session *mail = mail_session_of(&session->conn);
    return mail->pool != NULL ? mail->pool->name : SLICE_NONE;
}

struct slice mail_session_user(const struct session *session)
{
    const struct mail_session *mail = mail_session_of(&session->conn);
    return mail->lookup.name.len != 0 ? mail_name_slice(&mail->lookup.name)
                                      : mail_login_user(&mail->client.login);
}

const struct addr_small *mail_session_behind(const struct mail_session *mail)
{
    const struct addr_small *client = &mail->client_address;
    const struct addr_small *peer = &mail_session_client(mail)->peer;
    bool is_other =
        client->family != 0 && (!addr_small_is_same_ip(client, peer) || client->port != peer->port);
    return is_other ? client : NULL;
}

const struct addr_small *mail_session_client_of(const struct session *session)
{
    return mail_session_behind(mail_session_of(&session->conn));
}

const struct mail_seat *mail_session_seat(const struct session *session)
{
    const struct mail_session *mail = mail_session_of(&session->conn);
    return mail->lookup.seat.user != NULL ? &mail->lookup.seat : NULL;
}

/* -- time -- */

/* From now on: `silence_ms` at most, and never beyond the time for the whole login. */
void mail_session_deadline(struct mail_session *mail, uint64_t silence_ms)
{
    uint64_t passed_ms = (mail_session_now(mail) - mail->session->opened_us) / 1000;
    uint64_t whole_ms = mail->plan->mail->conf->timeouts.login_ms;
    uint64_t left_ms = passed_ms < whole_ms ? whole_ms - passed_ms : 1;
    conn_deadline(mail_session_client(mail), left_ms < silence_ms ? left_ms : silence_ms);
}

/* What it says is heard by an event. */
static void begin_talking(struct mail_session *mail)
{
    mail->state = MAIL_SESSION_TALKS;
    mail_session_client(mail)->ops = &talk_ops;
    mail_session_deadline(mail, mail->plan->mail->conf->timeouts.read_ms);
}

/* It may have said something already. */
void mail_session_go_on(struct mail_session *mail)
{
    struct conn *conn = mail_session_client(mail);
    begin_talking(mail);
    conn_look_again(conn);
    conn_again(conn);
}

/* -- STARTTLS -- */

static void secure_on_room(struct conn *conn)
{
    if (!conn_is_blocked(conn)) {
        door_secure(session_of(conn));
    }
}

static void secure_on_timeout(struct conn *conn)
{
    mail_session_drop(mail_session_of(conn), CLOSE_HANDSHAKE_TIMEOUT);
}

/* Our answer must be gone before the first byte of TLS. */
static const struct conn_ops secure_ops = {
    .on_readable = secure_on_room,
    .on_room = secure_on_room,
    .on_timeout = secure_on_timeout,
};

static void begin_tls(struct mail_session *mail)
{
    struct conn *conn = mail_session_client(mail);
    mail->state = MAIL_SESSION_SECURES;
    conn->ops = &secure_ops;
    if (!mail_session_say(mail)) {
        return;
    }
    secure_on_room(conn);
}

/* -- commands -- */

/* What came with an event and was not used waits for what comes next. False: it is over. */
static bool keep_rest(struct mail_session *mail, enum mail_client_event event, struct slice rest)
{
    struct conn *conn = mail_session_client(mail);
    if (rest.len == 0 || event == MAIL_CLIENT_CLOSE) {
        return true;
    }
    if (event == MAIL_CLIENT_STARTTLS) { /* CVE-2011-0411 */
        buf_clear(&mail->out);
        mail_session_leave(mail, CLOSE_STARTTLS_INJECTION);
        return false;
    }
    if (!flow_put(conn_net(conn), &conn->in, rest)) {
        mail_session_drop(mail, CLOSE_OUT_OF_MEMORY);
        return false;
    }
    return true;
}

/* True: on with the next bytes. */
static bool feed(struct mail_session *mail, char *bytes, size_t len)
{
    enum mail_client_event event;
    size_t used = mail_client_feed(&mail->client, bytes, len, &mail->out, &event);
    bool goes_on = keep_rest(mail, event, slice_of(bytes + used, len - used));
    mem_wipe(bytes, len);
    if (!goes_on) {
        return false;
    }
    switch (event) {
    case MAIL_CLIENT_MORE:
        return mail_session_say(mail);
    case MAIL_CLIENT_STARTTLS:
        begin_tls(mail);
        return false;
    case MAIL_CLIENT_LOGIN:
    case MAIL_CLIENT_RELAY:
        if (mail_session_say(mail)) {
            mail_session_login(mail, event == MAIL_CLIENT_RELAY);
        }
        return false;
    case MAIL_CLIENT_CLOSE:
        mail_session_leave(mail, (enum close_reason)mail->client.reason);
        return false;
    }
    return false;
}

/* What was kept goes first. False: nothing more for now, or it is over. */
static bool read_some(struct mail_session *mail)
{
    struct conn *conn = mail_session_client(mail);
    struct net_worker *net = conn_net(conn);
    size_t got;
    if (!flow_is_empty(&conn->in)) {
        got = flow_take(net, &conn->in, net->scratch);
        return feed(mail, net->scratch, got);
    }
    switch (conn_read(conn, net->scratch, READ_BYTES, &got)) {
    case CONN_READ_BYTES:
        mail_session_deadline(mail, mail->plan->mail->conf->timeouts.read_ms);
        if (!feed(mail, net->scratch, got)) {
            return false;
        }
        conn_look_again(conn);
        return true;
    case CONN_READ_NOTHING:
        return false;
    case CONN_READ_END:
        mail_session_leave(mail, CLOSE_CLIENT_CLOSED);
        return false;
    case CONN_READ_FAILED:
        mail_session_drop(mail, CLOSE_CLIENT_ABORT);
        return false;
    }
    return false;
}

/* A client that does not read is not heard either. */
static void talk(struct mail_session *mail)
{
    struct conn *conn = mail_session_client(mail);
    while (!conn_is_blocked(conn) && read_some(mail)) {
    }
}

static void talk_on_event(struct conn *conn)
{
    talk(mail_session_of(conn));
}

static void talk_on_timeout(struct conn *conn)
{
    struct mail_session *mail = mail_session_of(conn);
    mail_client_bye(&mail->client, CLOSE_LOGIN_TIMEOUT, &mail->out);
    mail_session_leave(mail, CLOSE_LOGIN_TIMEOUT);
}

static const struct conn_ops talk_ops = {
    .on_readable = talk_on_event,
    .on_room = talk_on_event,
    .on_timeout = talk_on_timeout,
};

/* -- in -- */

/* The common name of a certificate's subject ("CN=anna,O=Example"), which EXTERNAL logs in as. One
 * with anything escaped in it is nobody's. */
static struct slice common_name(struct slice subject)
{
    struct slice part;
    while (slice_split(&subject, ',', &part)) {
        if (slice_starts(part, SLICE("CN="))) {
            struct slice name = slice_from_at(part, 3);
            bool is_plain = slice_find(name, '\\') == SIZE_MAX && slice_find(name, '+') == SIZE_MAX;
            return is_plain ? name : SLICE_NONE;
        }
        if (part.len > 0 && part.ptr[part.len - 1] == '\\') {
            return SLICE_NONE; /* what follows is the same value */
        }
    }
    return SLICE_NONE;
}

/* TLS is there, by its door or by STARTTLS. */
static void note_certificate(struct mail_session *mail)
{
    struct tls_conn_facts tls = {.version = SLICE_NONE};
    bool is_offered = (mail->plan->mail->offer.mechanisms & MAIL_MECHANISM_BIT(MAIL_EXTERNAL)) != 0;
    if (is_offered && tls_conn_look(mail_session_client(mail), &tls)) {
        mail->client.subject = common_name(tls.subject);
    }
}

static struct mail_session *new_session(struct session *session)
{
    struct front *front = session->front;
    struct proxy_worker *proxy = front->proxy;
    struct mail_session *mail = slab_take(&proxy->mail_sessions);
    if (mail == NULL) {
        return NULL;
    }
    memset(mail, 0, sizeof(*mail));
    mail->session = session;
    mail->proxy = proxy;
    mail->plan = front->plan;
    mail->lease = front->pinned != NULL ? front->pinned : proxy->lease;
    mail->revision = proxy->revision;
    lease_hold(mail->lease);
    buf_init(&mail->out, OUT_MAX);
    session->conn.count = 1; /* how it ends is counted here or by the tunnel */
    counter_add(&mail_session_counters(mail)->clients, 1);
    session->conn.user = mail;
    session->conn.flags |= SESSION_OPENS | SESSION_MAIL;
    mail_client_init(&mail->client, &mail->plan->mail->offer, tls_conn_is_one(&session->conn));
    note_certificate(mail);
    mail->client.is_trusted = cidr_set_has(&mail->plan->mail->trusted, &session->conn.peer);
    if (mail->plan->default_route != NULL) { /* where users go whom nothing sends elsewhere */
        mail->client.keywords = mail->plan->default_route->pool->keywords;
    }
    return mail;
}

/* Who has not logged in must leave room for those who have, and for other addresses. */
static enum close_reason may_come_in(struct mail_session *mail)
{
    const struct proxy_worker *proxy = mail->proxy;
    uint32_t max = mail->plan->mail->conf->limits.connections_per_address;
    if (proxy->mail_sessions.objects > proxy->max_connections - proxy->max_connections / RESERVED) {
        return CLOSE_TOO_MANY_CONNECTIONS;
    }
    if (mail->client.is_trusted) {
        return CLOSE_OK;
    }
    mail->is_in_crowd = crowd_join(proxy->mail_crowd, &mail->session->conn.peer, max);
    return mail->is_in_crowd ? CLOSE_OK : CLOSE_ADDRESS_LIMIT;
}

void mail_session_open(struct session *session)
{
    struct conn *conn = &session->conn;
    if ((conn->flags & SESSION_MAIL) != 0) { /* after STARTTLS */
        struct mail_session *mail = mail_session_of(conn);
        note_certificate(mail);
        mail_client_secured(&mail->client, &mail->out);
        if (mail_session_say(mail)) {
            mail_session_go_on(mail);
        }
        return;
    }
    struct mail_session *mail = new_session(session);
    if (mail == NULL) {
        session_end(session, CLOSE_OUT_OF_MEMORY);
        return;
    }
    conn->ops = &talk_ops;
    /* of one that is watched from now on the first event tells what has come */
    bool is_fresh = !conn_is_watched(conn) && flow_is_empty(&conn->in);
    if (!conn_is_watched(conn) && !conn_watch(conn)) {
        mail_session_drop(mail, CLOSE_OUT_OF_MEMORY);
        return;
    }
    enum close_reason reason = may_come_in(mail);
    if (reason != CLOSE_OK) {
        mail_client_bye(&mail->client, reason, &mail->out);
        mail_session_leave(mail, reason);
        return;
    }
    mail_client_greet(&mail->client, &mail->out);
    if (!mail_session_say(mail)) {
        return;
    }
    if (is_fresh) {
        begin_talking(mail);
    } else {
        mail_session_go_on(mail);
    }
}
