/*
 * mail_session_login - from a login's command to its answer; see mail_session.h.
 *
 *     where does the user go (mail_lookup)? -> the cache -> the server's gate -> mail_leg
 *         -> in: proxy/tunnel    -> refused: wait, answer, on with commands (mail_session.c)
 */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/smtp_guard.h"
#include "lbd/proxy/balance_key.h"
#include "lbd/proxy/mail_pace.h"
#include "lbd/proxy/mail_record.h"
#include "lbd/proxy/mail_session_inside.h"
#include "lbd/proxy/mail_tracked.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/proxy/tunnel.h"
#include "lbd/tls/tls_conn.h"

#define HOLD_FIRST_S  1U
#define HOLD_LAST     4U     /* 2^4 s */
#define CLOSE_OVER_MS 30000U /* of a pool that says nothing of mail */
#define HOPS          7U     /* a login may take through proxies that say so */

static const struct conn_ops wait_ops;

static void go_to_server(struct mail_session *mail);
static void wait_turn(struct mail_session *mail);

/* What a login's reason counts as. */
static enum counters_login login_result(enum close_reason reason)
{
    switch ((unsigned)reason) {
    case CLOSE_OK:
        return COUNTERS_LOGIN_OK;
    case CLOSE_BAD_LOGIN:
    case CLOSE_USER_DISABLED:
        return COUNTERS_LOGIN_BAD_CREDENTIALS;
    case CLOSE_NO_ROUTE:
    case CLOSE_LOOKUP_FAILED:
    case CLOSE_LOOP:
        return COUNTERS_LOGIN_ROUTE_ERROR;
    case CLOSE_USER_LIMIT:
    case CLOSE_ADDRESS_BANNED:
    case CLOSE_ADDRESS_LIMIT:
    case CLOSE_LOGIN_WAIT:
    case CLOSE_USER_KICKED:
    case CLOSE_SERVER_LIMIT:
    case CLOSE_POOL_CONNECTIONS_LIMIT:
    case CLOSE_POOL_PENDING_LIMIT:
        return COUNTERS_LOGIN_LIMIT;
    case CLOSE_LOGIN_TIMEOUT:
    case CLOSE_RESPONSE_TIMEOUT:
        return COUNTERS_LOGIN_TIMEOUT;
    case CLOSE_SERVER_NO_STARTTLS:
    case CLOSE_SERVER_STARTTLS_INJECTION:
        return COUNTERS_LOGIN_STARTTLS;
    case CLOSE_BAD_RESPONSE:
    case CLOSE_SERVER_NO_LOGIN:
    case CLOSE_SERVER_PREAUTH:
        return COUNTERS_LOGIN_PROTOCOL;
    default:
        return COUNTERS_LOGIN_SERVER_DOWN;
    }
}

static struct counters_pool *pool_counters(const struct mail_session *mail)
{
    return counters_of_pool(mail->proxy->counters, mail->pool->id);
}

/* A login is over, this way or that. */
static void note_login(const struct mail_session *mail, enum close_reason reason)
{
    size_t mechanism = mail->mechanism;
    counter_add(&mail_session_counters(mail)
                     ->logins[mechanism * COUNTERS_LOGIN_COUNT + login_result(reason)],
                1);
    mail_record_login(mail, reason);
}

/* The server is done with the login. */
static void leave_gate(struct mail_session *mail)
{
    login_gate_cancel(&mail->gate);
    if (mail->is_in_gate) {
        mail->is_in_gate = false;
        login_gate_leave(mail->proxy->upstream, mail->server);
    }
}

static void release_server(struct mail_session *mail)
{
    leave_gate(mail);
    if (mail->server != NULL) {
        pool_release(mail->server);
        mail->server = NULL;
        counter_add(&pool_counters(mail)->requests_finished, 1);
    }
}

/* The login has nothing to do with the cache any more. */
static void forget_parked(struct mail_session *mail)
{
    mail_cache_cancel(&mail->parked);
    mail_cache_entry_free(mail->entry);
    mail->entry = NULL;
}

void mail_session_login_end(struct mail_session *mail)
{
    release_server(mail);
    forget_parked(mail);
    loop_timer_stop(&mail->hold);
    mail_lookup_end(&mail->lookup);
    mail_leg_fini(&mail->leg);
}

/* -- the answer to a login -- */

static void answer_refusal(struct mail_session *mail)
{
    struct slice text = SLICE_NONE;
    if (mail->leg.is_started && mail->refusal == MAIL_REFUSED_AS_IS) {
        text = buf_slice(&mail->leg.server.text);
    } else if (mail->lookup.result.is_refused && mail->lookup.result.text.len != 0) {
        mail->refusal = MAIL_REFUSED_AS_IS;
        text = mail->lookup.result.text;
    }
    bool may_go_on =
        mail_client_refuse(&mail->client, (enum mail_refusal)mail->refusal, text, &mail->out);
    mail_leg_fini(&mail->leg);
    mail_lookup_end(&mail->lookup);
    if (!may_go_on) {
        mail_session_leave(mail, (enum close_reason)mail->client.reason);
    } else if (mail_session_say(mail)) {
        mail_session_go_on(mail);
    }
}

static void on_hold_over(struct loop_timer *timer)
{
    answer_refusal(container_of(timer, struct mail_session, hold));
}

static uint64_t passed_ms(const struct mail_session *mail)
{
    return (mail_session_now(mail) - mail->login_us) / 1000;
}

/* In how many ms a login that failed is answered: whoever refused it, as long after its command. */
static uint64_t hold_ms(const struct mail_session *mail)
{
    unsigned failures = mail->client.failures;
    uint64_t due_ms =
        UINT64_C(1000) * (HOLD_FIRST_S << (failures < HOLD_LAST ? failures : HOLD_LAST));
    uint64_t pace_ms = mail_pace_ms(mail->proxy->mail_pace, mail->plan->mail->offer.protocol,
                                    mail_session_now(mail) / 1000);
    due_ms = due_ms > pace_ms ? due_ms : pace_ms;
    uint64_t already_ms = passed_ms(mail);
    return already_ms < due_ms ? due_ms - already_ms : 0;
}

static void refuse(struct mail_session *mail, enum mail_refusal refusal, enum close_reason reason)
{
    const struct mail_lookup_result *result = &mail->lookup.result;
    note_login(mail, reason);
    release_server(mail);
    forget_parked(mail);
    if (!result->is_refused) { /* else its words are still needed */
        mail_lookup_end(&mail->lookup);
    }
    bool is_wiped = mail_login_set_secret(&mail->client.login, SLICE_NONE, 0);
    assert(is_wiped);
    mail->refusal = (uint8_t)refusal;
    mail->state = MAIL_SESSION_HOLDS_OFF;
    bool has_delay = result->is_refused && result->has_delay;
    bool is_held =
        refusal == MAIL_REFUSED || refusal == MAIL_REFUSED_AS_IS ||
        reason == CLOSE_ADDRESS_BANNED; /* who is shut out waits as well, or fills logs */
    if (has_delay || is_held) {
        uint64_t wait_ms = has_delay ? result->delay_ms : hold_ms(mail);
        conn_no_deadline(mail_session_client(mail));
        loop_timer_set(mail->proxy->loop, &mail->hold, wait_ms, on_hold_over);
    } else {
        answer_refusal(mail);
    }
}

static void note_durations(const struct mail_session *mail)
{
    struct counters_mail *counters = mail_session_counters(mail);
    const struct mail_leg *leg = &mail->leg;
    uint64_t now = mail_session_now(mail);
    histogram_note_us(&counters->lookup_duration, leg->started_us - mail->login_us);
    histogram_note_us(&counters->connect_duration, leg->connected_us - leg->started_us);
    histogram_note_us(&counters->server_login_duration, now - leg->connected_us);
    histogram_note_us(&counters->login_duration, now - mail->login_us);
}

/* A relay port: a MAIL or RCPT has waited for a server, which answers it. False: the server is
 * gone. */
static bool send_waiting_line(struct mail_session *mail, struct upstream_conn *server_conn)
{
    static char end[] = "\r\n";
    struct buf *line = &mail->client.line;
    struct iovec pieces[] = {{.iov_base = line->data, .iov_len = line->len},
                             {.iov_base = end, .iov_len = 2}};
    return conn_write(&server_conn->conn, pieces, 2);
}

/* Is what follows looked at? Also where it need not be, when the server would let another user in
 * by the same connection (RFC 8437). */
static bool is_followed(const struct mail_session *mail, const struct mail_welcome *welcome)
{
    return mail->plan->mail->tracks ||
           (mail->plan->mail->offer.protocol == MAIL_IMAP &&
            mail_word_in(welcome->capabilities, SLICE("UNAUTHENTICATE")));
}

/* Of SMTP and Sieve: lines that begin with a word. */
static bool has_capability(struct slice capabilities, struct slice capability)
{
    struct slice line;
    while (capabilities.len > 0 && slice_split(&capabilities, '\n', &line)) {
        struct slice word;
        if (mail_word_next(&line, &word) && slice_eq_nocase(word, capability)) {
            return true;
        }
    }
    return false;
}

/* The user is in. */
static void relay(struct mail_session *mail, struct upstream_conn *server_conn,
                  const struct mail_welcome *welcome)
{
    struct session *session = mail->session;
    struct upstream_worker *upstream = mail->proxy->upstream;
    note_login(mail, CLOSE_OK);
    mail_client_accept(&mail->client, welcome, &mail->out);
    if (!mail_session_say(mail)) { /* and `mail` is gone */
        upstream_conn_end(upstream, server_conn);
        return;
    }
    if (mail->is_relay && !send_waiting_line(mail, server_conn)) {
        upstream_conn_end(upstream, server_conn);
        mail_session_drop(mail, CLOSE_SERVER_RESET);
        return;
    }
    struct tunnel_mail kept = {.seat = mail->lookup.seat};
    kept.seat.protocol = (uint8_t)mail->plan->mail->offer.protocol;
    kept.seat.mechanism = mail->mechanism;
    if (mail_session_behind(mail) != NULL) {
        kept.behind = mem_alloc(sizeof(*kept.behind));
        *kept.behind = *mail_session_behind(mail);
    }
    if (is_followed(mail, welcome)) {
        kept.tracked = mail_tracked_new(mail->proxy, welcome->capabilities, mail->entry);
        mail->entry = NULL;
        if (mail->has_mailbox) {
            mail_tracked_inherit(kept.tracked);
        }
    }
    struct smtp_guard guard;
    struct tunnel_begin begin = {
        .session = session,
        .server_conn = server_conn,
        .idle_ms = mail->plan->mail->idle_ms,
        .mail = &kept,
        .is_sieve_guarded = mail->plan->mail->offer.protocol == MAIL_SIEVE &&
                            has_capability(welcome->capabilities, SLICE("UNAUTHENTICATE")),
    };
    if (mail->plan->mail->offer.protocol == MAIL_SMTP && !mail->client.is_trusted) {
        /* the line that has waited is not answered yet */
        smtp_guard_init(&guard, has_capability(welcome->capabilities, SLICE("CHUNKING")),
                        mail->is_relay ? 1 : 0);
        begin.smtp = &guard;
    }
    session->conn.user = NULL;
    if (!tunnel_open(&begin)) {
        session->conn.user = mail;
        mail_tracked_free(kept.tracked);
        free(kept.behind);
        upstream_conn_end(upstream, server_conn);
        mail_session_drop(mail, CLOSE_OUT_OF_MEMORY);
        return;
    }
    void *relay = session->conn.user;
    (void)mail_lookup_take_seat(&mail->lookup);
    leave_gate(mail);
    mail->server = NULL; /* the tunnel's now */
    counter_add(&mail_session_counters(mail)->sessions, 1);
    mail_session_free(mail);
    session->conn.user = relay;
    session->conn.flags |= SESSION_MAIL;
}

/* May the user have one more session? If not, it is over. */
static bool may_have_session(struct mail_session *mail)
{
    if (mail_lookup_proved(&mail->lookup)) {
        return true;
    }
    bool is_kicked = mail_users_is_kicked(&mail->lookup.seat);
    if (mail->leg.is_started) {
        mail_leg_goodbye(&mail->leg);
    }
    refuse(mail, is_kicked ? MAIL_UNAVAILABLE : MAIL_TOO_MANY,
           is_kicked ? CLOSE_USER_KICKED : CLOSE_USER_LIMIT);
    return false;
}

static void logged_in(struct mail_session *mail)
{
    struct mail_leg *leg = &mail->leg;
    const struct mail_welcome *welcome = &leg->server.welcome;
    if (!may_have_session(mail)) {
        return;
    }
    note_durations(mail);
    if (mail->entry != NULL) {
        mail_cache_logged_in(mail->proxy->mail_cache, mail->entry, welcome->capabilities,
                             leg->connected_us - leg->started_us,
                             mail_session_now(mail) - leg->connected_us);
    }
    relay(mail, mail_leg_take(leg), welcome);
}

/* -- the cache -- */

/* It may use connections that others left, and leave its own. */
static void look_at_cache(struct mail_session *mail)
{
    const struct mail_plan *plan = mail->plan->mail;
    const struct mail_login *login = &mail->client.login;
    struct slice user = mail->lookup.result.user;
    if (mail->entry != NULL || plan->conf->has_cache == 0 || login->mechanism == MAIL_EXTERNAL ||
        !cidr_set_has(&plan->cache_clients, &mail_session_client(mail)->peer)) {
        return;
    }
    const struct mail_cache_login with = {
        .conf = &plan->conf->cache,
        .group = slice_from(mail->plan->listener->name),
        .pool = mail->pool,
        .user = mail_name_slice(&mail->lookup.mailbox),
        .login = user.len != 0 ? user : mail_login_user(login),
        .authzid = mail_login_authzid(login),
        .secret = mail_login_secret(login),
        .origin = mail->origin.client_ip,
        .client = &mail_session_client(mail)->peer,
        .mechanism = (enum mail_mechanism)login->mechanism,
    };
    mail->entry = mail_cache_entry_new(mail->proxy->mail_cache, &with);
}

static void reuse(struct mail_session *mail, const struct mail_cache_hit *hit)
{
    const struct mail_welcome welcome = {
        .text = SLICE("Logged in"), .capabilities = hit->capabilities, .untagged = hit->untagged};
    if (!may_have_session(mail)) {
        upstream_conn_end(mail->proxy->upstream, hit->conn);
        return;
    }
    mail->is_reused = true;
    mail->has_mailbox = hit->has_mailbox;
    relay(mail, hit->conn, &welcome);
}

static void on_parked(struct mail_cache_waiter *waiter, const struct mail_cache_hit *hit)
{
    struct mail_session *mail = container_of(waiter, struct mail_session, parked);
    if (hit != NULL) {
        reuse(mail, hit);
    } else {
        wait_turn(mail);
    }
}

/* True: it is in, or waits for an answer. */
static bool take_parked(struct mail_session *mail)
{
    struct mail_cache_hit hit;
    mail->parked.fn = on_parked;
    switch (
        mail_cache_take(mail->proxy->mail_cache, mail->entry, mail->server, &mail->parked, &hit)) {
    case MAIL_CACHE_HIT:
        reuse(mail, &hit);
        return true;
    case MAIL_CACHE_PENDING:
        return true;
    case MAIL_CACHE_MISS:
        return false;
    }
    return false;
}

/* -- a server -- */

/* Another one may do. */
static void try_failed(struct mail_session *mail, enum close_reason reason)
{
    struct upstream_worker *upstream = mail->proxy->upstream;
    enum counters_error error = counters_error_of(reason);
    if (error != COUNTERS_ERROR_COUNT) {
        counter_add(&pool_counters(mail)->errors[error], 1);
    }
    counter_add(&counters_of_server(mail->proxy->counters, mail->server->id)->errors, 1);
    release_server(mail);
    mail->failure = (uint8_t)reason;
    uint32_t before = mail->member;
    struct retry_facts facts = {.tries = mail->tries};
    if (upstream_conn_is_ours(reason) ||
        !upstream_may_retry(upstream, mail->pool, &facts, RETRY_CONNECT)) {
        refuse(mail, MAIL_UNAVAILABLE, reason);
        return;
    }
    mail->state = MAIL_SESSION_LOOKS;
    mail_leg_fini(&mail->leg);
    if (mail_lookup_again(&mail->lookup) == MAIL_LOOKUP_PENDING) {
        return;
    }
    const struct mail_lookup_result *result = &mail->lookup.result;
    if (result->is_refused || (result->pool == mail->pool && result->member == before)) {
        refuse(mail, MAIL_UNAVAILABLE, reason); /* the user belongs there and nowhere else */
        return;
    }
    counter_add(&pool_counters(mail)->retries, 1);
    go_to_server(mail);
}

/* By the server. What it says of itself or of the account is no guess that failed. */
static void refused(struct mail_session *mail, enum mail_refusal refusal)
{
    if (refusal == MAIL_REFUSED || refusal == MAIL_REFUSED_AS_IS) {
        mail_pace_note(mail->proxy->mail_pace, mail->plan->mail->offer.protocol, passed_ms(mail),
                       mail_session_now(mail) / 1000);
    }
    bool is_banned = refusal == MAIL_REFUSED && mail_lookup_refused(&mail->lookup);
    refuse(mail, refusal, is_banned ? CLOSE_ADDRESS_BANNED : CLOSE_BAD_LOGIN);
}

static void on_leg(struct mail_leg *leg, enum mail_server_event event, enum close_reason reason)
{
    struct mail_session *mail = container_of(leg, struct mail_session, leg);
    switch (event) {
    case MAIL_SERVER_READY:
        logged_in(mail);
        return;
    case MAIL_SERVER_CHALLENGE:
        mail_client_challenge(&mail->client, buf_slice(&leg->server.text), &mail->out);
        if (mail_session_say(mail)) {
            refused(mail, MAIL_REFUSED);
        }
        return;
    case MAIL_SERVER_REFUSED:
        refused(mail, (enum mail_refusal)leg->server.refusal);
        return;
    case MAIL_SERVER_FAILED:
        server_note_trouble(mail->server, reason,
                            leg->server.text.len != 0 ? leg->server.text.data
                                                      : close_reason_sentence(reason));
        try_failed(mail, reason);
        return;
    case MAIL_SERVER_UNAVAILABLE:
        try_failed(mail, reason);
        return;
    case MAIL_SERVER_MORE:
    case MAIL_SERVER_STARTTLS:
        return;
    }
}

/* Who is behind it, for the server. */
static void describe_origin(struct mail_session *mail)
{
    const struct session *session = mail->session;
    const struct addr_small *peer = &session->conn.peer;
    const struct mail_client *client = &mail->client;
    struct mail_origin *origin = &mail->origin;
    mail->local_address = session_destination(session);
    size_t id_len = num_write_hex(mail->id, session->id);
    *origin = (struct mail_origin){
        .client_ip = slice_of(mail->client_ip, addr_small_write_ip(peer, mail->client_ip)),
        .local_ip =
            slice_of(mail->local_ip, addr_small_write_ip(&mail->local_address, mail->local_ip)),
        .client_port = peer->port,
        .local_port = mail->local_address.port,
        .session = slice_of(mail->id, id_len),
        .helo = slice_of(client->helo, client->helo_len),
        .transport = client->is_secure ? SLICE("TLS") : SLICE("insecure"),
        .ttl = HOPS - 1,
        .is_esmtp = client->is_esmtp,
    };
    struct addr behind;
    mail->client_address = *peer;
    if (client->is_trusted &&
        addr_from_ip(slice_of(client->behind.address, client->behind.address_len),
                     client->behind.port, &behind)) {
        addr_small_from(&mail->client_address, &behind.u.any);
        origin->client_ip = slice_of(client->behind.address, client->behind.address_len);
        origin->client_port = client->behind.port;
    }
    if (client->is_trusted && client->behind.has_ttl) {
        origin->ttl = client->behind.ttl > 0 ? (uint8_t)(client->behind.ttl - 1) : 0;
    }
}

static void start_leg(struct mail_session *mail);

static void on_turn(struct login_gate_waiter *waiter)
{
    struct mail_session *mail = container_of(waiter, struct mail_session, gate);
    loop_timer_stop(&mail->hold);
    start_leg(mail);
}

static void on_too_late(struct loop_timer *timer)
{
    refuse(container_of(timer, struct mail_session, hold), MAIL_UNAVAILABLE, CLOSE_LOGIN_WAIT);
}

/* A relay port's, or the one where the user is. False: *reason. */
static bool take_member(struct mail_session *mail, enum close_reason *reason)
{
    struct upstream_worker *upstream = mail->proxy->upstream;
    const struct pool *pool = mail->pool;
    struct pool_worker *state = upstream_pool(upstream, pool->id);
    if (mail->tries == 0) {
        retry_budget_note(&state->budget, &mail->pool->retry, loop_now_us(upstream->loop),
                          upstream->workers);
    }
    mail->member = mail->lookup.result.member;
    if (mail->member == BALANCER_NONE) {
        balance_key_set(pool, NULL, &mail->session->conn.peer, loop_now_us(upstream->loop),
                        &state->state.balancer);
        mail->member = pool_pick(pool, &state->state, &upstream->random, upstream->worker,
                                 upstream->workers, NULL, 0, reason);
        return mail->member != BALANCER_NONE;
    }
    *reason = pool->members[mail->member].address.len == 0 ? CLOSE_UNRESOLVED : CLOSE_SERVER_LIMIT;
    return pool_take(pool, mail->member);
}

/* It is known where the user goes. */
static void go_to_server(struct mail_session *mail)
{
    const struct pool *pool = mail->lookup.result.pool;
    enum close_reason reason;
    mail->pool = pool;
    if (!take_member(mail, &reason)) {
        counter_add(&pool_counters(mail)->no_server, 1);
        refuse(mail, MAIL_UNAVAILABLE, reason);
        return;
    }
    mail->server = pool->members[mail->member].server;
    mail->tries++;
    upstream_server(mail->proxy->upstream, mail->server->id)->close_over_ms =
        pool->mail != NULL ? pool->mail->close_over_ms : CLOSE_OVER_MS;
    counter_add(&pool_counters(mail)->requests_started, 1);
    counter_add(&counters_of_server(mail->proxy->counters, mail->server->id)->requests, 1);
    mail->state = MAIL_SESSION_LOGS_IN;
    look_at_cache(mail);
    if (mail->entry == NULL || mail->tries > 1 || !take_parked(mail)) {
        wait_turn(mail);
    }
}

/* At the server's gate. */
static void wait_turn(struct mail_session *mail)
{
    struct upstream_worker *upstream = mail->proxy->upstream;
    const struct pool *pool = mail->pool;
    uint32_t logins = pool->mail != NULL ? pool->mail->logins : 0;
    mail->gate.fn = on_turn;
    if (login_gate_enter(upstream, mail->server, logins, &mail->gate)) {
        start_leg(mail);
        return;
    }
    mail->state = MAIL_SESSION_WAITS;
    loop_timer_set(mail->proxy->loop, &mail->hold, pool->mail->login_wait_ms, on_too_late);
}

static void start_leg(struct mail_session *mail)
{
    struct upstream_worker *upstream = mail->proxy->upstream;
    const struct pool *pool = mail->pool;
    enum close_reason reason;
    mail->state = MAIL_SESSION_LOGS_IN;
    mail->is_in_gate = true;
    struct slice user = mail->lookup.result.user;
    struct upstream_client client = {.id = mail->session->id,
                                     .source = &mail->client_address,
                                     .destination = &mail->local_address,
                                     .write_tlvs = session_proxy_write,
                                     .arg = mail->session};
    struct mail_leg_begin begin = {
        .upstream = upstream,
        .pool = pool,
        .member = mail->member,
        .protocol = mail->plan->mail->offer.protocol,
        .login = mail->is_relay ? NULL : &mail->client.login,
        .user = user.len != 0 ? user : mail_login_user(&mail->client.login),
        .host = mail->plan->mail->offer.host,
        .mail_from = mail->is_relay ? buf_slice(&mail->client.from) : SLICE_NONE,
        .origin = &mail->origin,
        .client = pool->send_proxy != PROXY_HEADER_NONE ? &client : NULL,
        .fn = on_leg,
    };
    if (!mail_leg_start(&mail->leg, &begin, &reason)) {
        try_failed(mail, reason);
    }
}

static enum close_reason reason_of(const struct mail_lookup_result *result)
{
    switch (result->why) {
    case MAIL_REFUSED:
    case MAIL_REFUSED_AS_IS:
        break;
    case MAIL_DISABLED:
        return CLOSE_USER_DISABLED;
    case MAIL_TOO_MANY:
        return CLOSE_ADDRESS_BANNED;
    case MAIL_UNAVAILABLE:
        return CLOSE_NO_SERVER;
    case MAIL_INTERNAL:
        return CLOSE_LOOKUP_FAILED;
    }
    return CLOSE_BAD_LOGIN;
}

static void looked_up(struct mail_session *mail)
{
    const struct mail_lookup_result *result = &mail->lookup.result;
    struct mail_login *login = &mail->client.login;
    if (result->is_refused) {
        refuse(mail, result->refusal, reason_of(result));
        return;
    }
    if (result->secret.len != 0) { /* the callback knows what the server wants to see */
        login->mechanism = MAIL_PLAIN;
        if (!mail_login_set_secret(login, result->secret, MAIL_TOKEN_MAX)) {
            refuse(mail, MAIL_INTERNAL, CLOSE_LOOKUP_FAILED);
            return;
        }
    }
    if (result->authzid.len != 0 && !mail_login_set_authzid(login, result->authzid)) {
        refuse(mail, MAIL_INTERNAL, CLOSE_LOOKUP_FAILED);
        return;
    }
    go_to_server(mail);
}

static void on_looked_up(struct mail_lookup *lookup)
{
    looked_up(container_of(lookup, struct mail_session, lookup));
}

static void look_up(struct mail_session *mail)
{
    const struct mail_client *client = &mail->client;
    bool knows_both = mail->is_relay && client->offer->needs_recipient;
    struct tls_conn_facts tls = {.version = SLICE_NONE};
    (void)tls_conn_look(mail_session_client(mail), &tls);
    const struct mail_lookup_question question = {
        .proxy = mail->proxy,
        .routes = mail->plan->mail_routes,
        .login = mail->is_relay ? NULL : &client->login,
        .client =
            {
                .address = &mail->client_address,
                .local = &mail->local_address,
                .has_proxy_header = mail->plan->mail_routes->callback != NULL &&
                                    session_is_behind_proxy(mail->session),
                .is_exempt = client->is_trusted && client->behind.address_len == 0,
                .attempt = client->failures + 1U,
                .is_secure = client->is_secure,
                .tls_version = tls.version,
                .tls_cipher = tls.cipher,
                .tls_subject = tls.subject,
                .helo = mail->origin.helo,
                .mail_from = mail->is_relay ? buf_slice(knows_both ? &client->from : &client->line)
                                            : SLICE_NONE,
                .rcpt_to = knows_both ? buf_slice(&client->line) : SLICE_NONE,
                .session = mail->origin.session,
            },
    };
    if (mail_lookup_start(&mail->lookup, &question, on_looked_up, NULL) == MAIL_LOOKUP_READY) {
        looked_up(mail);
    }
}

/* The login is whole, or the MAIL of a relay port: from here on nothing is read until it is
 * answered. */
void mail_session_login(struct mail_session *mail, bool is_relay)
{
    struct conn *conn = mail_session_client(mail);
    mail->is_relay = is_relay;
    mail->login_us = mail_session_now(mail);
    mail->state = MAIL_SESSION_LOOKS;
    mail->tries = 0;
    mail->mechanism = mail->client.login.mechanism;
    conn->ops = &wait_ops;
    mail_session_deadline(mail, UINT64_MAX);
    describe_origin(mail);
    if (mail->origin.ttl == 0) {
        refuse(mail, MAIL_UNAVAILABLE, CLOSE_LOOP);
        return;
    }
    look_up(mail);
}

/* While it waits nothing is read; an end of its sending is no end of the conversation. */
static void wait_on_readable(struct conn *conn)
{
    if (conn_was_reset(conn)) {
        mail_session_drop(mail_session_of(conn), CLOSE_CLIENT_ABORT);
    }
}

static void wait_on_room(struct conn *conn)
{
    (void)conn;
}

static void wait_on_timeout(struct conn *conn)
{
    struct mail_session *mail = mail_session_of(conn);
    note_login(mail, CLOSE_LOGIN_TIMEOUT);
    loop_timer_stop(&mail->hold);
    mail_leg_fini(&mail->leg);
    mail_lookup_end(&mail->lookup);
    (void)mail_client_refuse(&mail->client, MAIL_UNAVAILABLE, SLICE_NONE, &mail->out);
    mail_client_bye(&mail->client, CLOSE_LOGIN_TIMEOUT, &mail->out);
    mail_session_leave(mail, CLOSE_LOGIN_TIMEOUT);
}

static const struct conn_ops wait_ops = {
    .on_readable = wait_on_readable,
    .on_room = wait_on_room,
    .on_timeout = wait_on_timeout,
};
