/* tunnel - see tunnel.h. */
#include "lbd/proxy/tunnel.h"

#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/mail/sieve_guard.h"
#include "lbd/mail/smtp_guard.h"
#include "lbd/net/sock_opt.h"
#include "lbd/proxy/cause.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/mail_record.h"
#include "lbd/proxy/mail_tracked.h"
#include "lbd/stats/access_kept.h"
#include "lbd/upstream/upstream_conn.h"

_Static_assert(sizeof(struct session) + sizeof(struct upstream_conn) + sizeof(struct tunnel) <= 808,
               "an idle tunnel costs at most 1 KB, with what libevent keeps of two descriptors");

static const struct relay_ops tcp_ops;
static const struct relay_ops websocket_ops;
static const struct relay_ops mail_ops;
static const struct relay_ops tracked_ops;
static const struct relay_ops smtp_ops;
static const struct relay_ops sieve_ops;

static struct tunnel *tunnel_of(struct relay *relay)
{
    return container_of(relay, struct tunnel, relay);
}

static struct session *session_in(const struct tunnel *tunnel)
{
    return session_of(tunnel->relay.ways[0].from);
}

static struct upstream_conn *server_conn_in(const struct tunnel *tunnel)
{
    return upstream_conn_of(tunnel->relay.ways[0].to);
}

static bool is_tracked(const struct tunnel *tunnel)
{
    return tunnel->relay.ops == &tracked_ops;
}

static bool is_guarded(const struct tunnel *tunnel)
{
    return tunnel->relay.ops == &smtp_ops || tunnel->relay.ops == &sieve_ops;
}

static bool is_mail(const struct tunnel *tunnel)
{
    return tunnel->relay.ops == &mail_ops || is_tracked(tunnel) || is_guarded(tunnel);
}

static bool is_websocket(const struct tunnel *tunnel)
{
    return tunnel->relay.ops == &websocket_ops;
}

/* Counted as they pass: a tunnel may be open for days. */
static void on_moved(struct relay *relay, uint64_t up_bytes, uint64_t down_bytes)
{
    const struct tunnel *tunnel = tunnel_of(relay);
    const struct front *front = session_in(tunnel)->front;
    const struct upstream_conn *server_conn = server_conn_in(tunnel);
    struct counters_worker *counters = front->proxy->counters;
    struct counters_pool *pool = counters_of_pool(counters, server_conn->pool_id);
    struct counters_server *server = counters_of_server(counters, server_conn->server->id);
    counter_add(&front->counters->received_bytes, up_bytes);
    counter_add(&front->counters->sent_bytes, down_bytes);
    counter_add(&pool->sent_bytes, up_bytes);
    counter_add(&pool->received_bytes, down_bytes);
    counter_add(&server->sent_bytes, up_bytes);
    counter_add(&server->received_bytes, down_bytes);
}

/* Of a client that went by itself: the server's connection may be another one's next. */
static bool park(struct tunnel *tunnel, enum close_reason reason)
{
    return is_tracked(tunnel) && (reason == CLOSE_TUNNEL_CLOSED || reason == CLOSE_CLIENT_ABORT) &&
           mail_tracked_park(tunnel->mail.tracked, server_conn_in(tunnel), &tunnel->mail.seat);
}

/* -- a server that leaves many sessions at once -- */

#define SILENT_MS  1000U    /* who said something within this time waits for what it gets */
#define WINDOW_US  1000000U /* ends within it belong together */
#define AT_ONCE    10U      /* so many of a worker are passed on as they come, */
#define PER_SECOND 200U     /* and of those behind them so many a second, over all workers */

static struct server_worker *server_worker_of(const struct tunnel *tunnel)
{
    struct upstream_worker *upstream = session_in(tunnel)->front->proxy->upstream;
    return upstream_server(upstream, server_conn_in(tunnel)->server->id);
}

/* Did this client hear and say nothing for a while? One that logs out is let go by its server
 * too. */
static bool is_silent(const struct tunnel *tunnel)
{
    const struct conn *client = &session_in(tunnel)->conn;
    uint64_t left_ms = loop_timer_left_ms(client->loop, &client->timer);
    return left_ms + SILENT_MS < tunnel->relay.idle_ms;
}

/* Its server is gone. How long the client may stay without one: all that go at once would come back
 * at once, to the servers that are left. 0: it goes now. */
static uint64_t delay_ms_of(const struct tunnel *tunnel)
{
    struct server_worker *server = server_worker_of(tunnel);
    struct upstream_worker *upstream = session_in(tunnel)->front->proxy->upstream;
    uint64_t now = loop_now_us(upstream->loop);
    if (!is_mail(tunnel) || server->close_over_ms == 0 || !is_silent(tunnel)) {
        return 0;
    }
    if (now - server->leaving_us > WINDOW_US) {
        server->leaving = 0;
    }
    server->leaving_us = now;
    server->leaving++;
    if (server->leaving <= AT_ONCE) {
        return 0;
    }
    uint64_t delay_ms =
        (uint64_t)(server->leaving - AT_ONCE) * 1000U * upstream->workers / PER_SECOND;
    return delay_ms < server->close_over_ms
               ? delay_ms
               : 1 + random_below(&upstream->random, server->close_over_ms);
}

/* A session of mail is over with its server: a client that does not close must not keep its user
 * there. */
static bool loses_server(struct relay *relay)
{
    struct tunnel *tunnel = tunnel_of(relay);
    tunnel->relay.first_ms = (uint32_t)delay_ms_of(tunnel); /* nobody waits for a first byte */
    return true;
}

/* Does the client of an IMAP session expect anything but a BYE? */
static bool may_hear_bye(const struct tunnel *tunnel)
{
    struct buf out;
    if (!is_tracked(tunnel) || tunnel->relay.ways[1].in_pipe != 0) {
        return false;
    }
    buf_init(&out, 512);
    mail_tracked_goodbye(tunnel->mail.tracked, CLOSE_SERVER_TRUNCATED, &out);
    bool may = out.len != 0;
    buf_fini(&out);
    return may;
}

/* What a client says to a server that it could tell too much. */
struct tunnel_guard {
    union {
        struct smtp_guard smtp;
        struct sieve_guard sieve;
    };
    struct tunnel *tunnel;
    struct loop_ready ready;
};

static void free_guard(struct tunnel_guard *guard)
{
    loop_ready_remove(&guard->ready);
    free(guard);
}

/* `leave`: both ends see our end before their connection goes. */
static void finish_later(struct tunnel *tunnel, enum close_reason reason, bool leave,
                         uint64_t later_ms)
{
    bool says_bye = later_ms != 0 && may_hear_bye(tunnel);
    struct session *session = session_in(tunnel);
    struct upstream_conn *server_conn = server_conn_in(tunnel);
    struct proxy_worker *proxy = session->front->proxy;
    struct server *server = server_ref(server_conn->server);
    uint32_t pool_id = server_conn->pool_id;
    uint64_t up_bytes = relay_moved(&tunnel->relay, 0);
    uint64_t down_bytes = relay_moved(&tunnel->relay, 1);
    counter_add(&session->front->counters->endings[reason], 1);
    if (!is_mail(tunnel) && tunnel->log != NULL) {
        struct cause cause;
        if (cause_of_tunnel(&cause, reason, session->front->listener->name,
                            tunnel->relay.idle_ms)) {
            access_kept_blame(tunnel->log, slice_from(cause.pointer), slice_from(cause.value));
        }
        access_kept_finish(tunnel->log, proxy->access_log, reason, up_bytes, down_bytes,
                           loop_now_us(proxy->loop));
    }
    bool is_parked = park(tunnel, reason);
    if (is_mail(tunnel)) {
        counter_add(&proxy->counters->mail[tunnel->mail.seat.protocol].sessions_ended, 1);
        mail_record_relayed(session, &tunnel->mail.seat, tunnel->mail.behind, server, reason,
                            up_bytes, down_bytes);
        free(tunnel->mail.behind);
        if (is_guarded(tunnel)) {
            free_guard(tunnel->mail.guard);
        } else {
            mail_tracked_free(tunnel->mail.tracked);
        }
        mail_users_leave(proxy->mail_users, &tunnel->mail.seat, loop_now_us(proxy->loop) / 1000);
    } else {
        filter_hold_end(tunnel->hold);
    }
    pool_release(server);
    server_unref(server);
    counter_add(&counters_of_pool(proxy->counters, pool_id)->requests_finished, 1);
    proxy->tunnel_count--;
    session->conn.user = NULL;
    session->conn.flags &= ~(uint32_t)(SESSION_TUNNEL | SESSION_MAIL);
    slab_give(&proxy->tunnels, tunnel);
    if (leave && !is_parked) {
        upstream_conn_linger(proxy->upstream, server_conn);
    } else if (!is_parked) {
        upstream_conn_end(proxy->upstream, server_conn);
    }
    if (later_ms != 0) {
        session_end_later(session, reason, later_ms, says_bye);
    } else if (leave) {
        session_linger(session, reason);
    } else {
        session_end(session, reason);
    }
}

static void finish(struct tunnel *tunnel, enum close_reason reason, bool leave)
{
    finish_later(tunnel, reason, leave, 0);
}

static void end(struct tunnel *tunnel, enum close_reason reason)
{
    finish(tunnel, reason, false);
}

/* Who only sees an end would take what it got for all there was. */
static void pass_reset_on(const struct tunnel *tunnel, const struct conn *to)
{
    if (!is_websocket(tunnel)) {
        sock_opt_reset_at_close(to->fd);
    }
}

/* Between two responses a mail client is told, as its protocol has it. */
static void say_bye(struct tunnel *tunnel, enum close_reason reason)
{
    struct buf out;
    if (tunnel->relay.ways[1].in_pipe != 0) {
        return;
    }
    buf_init(&out, 512);
    mail_tracked_goodbye(tunnel->mail.tracked, reason, &out);
    struct iovec piece = {.iov_base = out.data, .iov_len = out.len};
    if (out.len > 0) {
        (void)!conn_write(&session_in(tunnel)->conn, &piece,
                          1); /* gone, and nothing is to be done */
    }
    buf_fini(&out);
}

/* Between two frames a client is told that its WebSocket goes away. */
static void say_goodbye(struct tunnel *tunnel, enum close_reason reason)
{
    if (is_tracked(tunnel)) {
        say_bye(tunnel, reason);
        return;
    }
    struct conn *client = &session_in(tunnel)->conn;
    struct slice frame = WEBSOCKET_GOING_AWAY;
    struct iovec piece = {.iov_base = (char *)(uintptr_t)frame.ptr, .iov_len = frame.len};
    if (is_websocket(tunnel) && websocket_frames_between(&tunnel->frames) &&
        tunnel->relay.ways[1].in_pipe == 0 && conn_write(client, &piece, 1)) {
        counter_add(&session_in(tunnel)->front->counters->websockets_told, 1);
    }
}

static uint64_t on_frames(struct relay *relay, struct slice bytes)
{
    struct tunnel *tunnel = tunnel_of(relay);
    if (bytes.ptr != NULL) {
        websocket_frames_follow(&tunnel->frames, bytes);
    } else {
        websocket_frames_skip(&tunnel->frames, bytes.len);
    }
    return websocket_frames_unseen(&tunnel->frames);
}

static size_t on_commands(struct relay *relay, struct slice bytes)
{
    struct mail_tracked_said said;
    size_t passed = mail_tracked_pass(tunnel_of(relay)->mail.tracked, bytes, &said);
    struct iovec ask = {.iov_base = said.ask, .iov_len = said.ask_len};
    switch (said.then) {
    case MAIL_TRACKED_PASSES:
        break;
    case MAIL_TRACKED_HOLDS:
        relay_hold(relay);
        break;
    case MAIL_TRACKED_WAITS:
        relay_pause(relay);
        if (said.ask_len != 0) { /* broken: nobody answers, and that is told */
            (void)!conn_write(relay->ways[0].to, &ask, 1);
        }
        break;
    }
    return passed;
}

static uint64_t on_responses(struct relay *relay, struct slice bytes)
{
    size_t drop = 0;
    uint64_t unseen = mail_tracked_look(tunnel_of(relay)->mail.tracked, bytes, &drop);
    relay_drop(relay, drop);
    return unseen;
}

/* The client wants to be somebody else, or might. */
static void on_forged(struct loop_ready *ready)
{
    static char end[] = "\r\n";
    struct tunnel_guard *guard = container_of(ready, struct tunnel_guard, ready);
    struct tunnel *tunnel = guard->tunnel;
    const char *text = tunnel->relay.ops == &sieve_ops
                           ? "BYE \"UNAUTHENTICATE ends the session here.\""
                           : smtp_guard_refusal(&guard->smtp);
    struct iovec pieces[] = {{.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)},
                             {.iov_base = end, .iov_len = sizeof(end) - 1}};
    relay_stop(&tunnel->relay);
    (void)!conn_write(&session_in(tunnel)->conn, pieces, 2); /* gone, and nothing is to be done */
    finish(tunnel, CLOSE_BAD_COMMANDS, true);
}

static size_t pass_mail(struct relay *relay, struct slice bytes, bool may)
{
    struct tunnel *tunnel = tunnel_of(relay);
    if (may) {
        return bytes.len;
    }
    relay_hold(relay);
    loop_ready_put(session_in(tunnel)->conn.loop, &tunnel->mail.guard->ready, on_forged);
    return 0;
}

static size_t on_smtp_commands(struct relay *relay, struct slice bytes)
{
    bool may = smtp_guard_client(&tunnel_of(relay)->mail.guard->smtp, bytes);
    return pass_mail(relay, bytes, may);
}

static size_t on_sieve_commands(struct relay *relay, struct slice bytes)
{
    bool may = sieve_guard_client(&tunnel_of(relay)->mail.guard->sieve, bytes);
    return pass_mail(relay, bytes, may);
}

static uint64_t on_smtp_replies(struct relay *relay, struct slice bytes)
{
    if (bytes.ptr != NULL) {
        smtp_guard_server(&tunnel_of(relay)->mail.guard->smtp, bytes);
    }
    return 0;
}

/* The client went without LOGOUT. */
static bool keeps_server(struct relay *relay)
{
    return mail_tracked_is_clean(tunnel_of(relay)->mail.tracked);
}

static void on_mailbox_left(struct mail_tracked *tracked)
{
    struct tunnel *tunnel = tracked->user;
    relay_resume(&tunnel->relay);
}

/* The client said LOGOUT, and what it asked before is answered (or will not be); or its server
 * connection is none that can be used. */
static void on_over(struct mail_tracked *tracked)
{
    struct tunnel *tunnel = tracked->user;
    bool is_out = tracked->logout != NULL;
    relay_stop(&tunnel->relay);
    say_bye(tunnel, is_out ? CLOSE_OK : CLOSE_SERVER_TRUNCATED);
    finish(tunnel, is_out ? CLOSE_TUNNEL_CLOSED : CLOSE_SERVER_TRUNCATED, true);
}

static void on_done(struct relay *relay, enum relay_end how)
{
    struct tunnel *tunnel = tunnel_of(relay);
    switch (how) {
    case RELAY_DONE:
        end(tunnel, CLOSE_TUNNEL_CLOSED);
        return;
    case RELAY_FROM_ENDED:
        finish(tunnel, CLOSE_TUNNEL_CLOSED, true);
        return;
    case RELAY_TO_ENDED:
        if (relay->first_ms == 0) {
            finish(tunnel, CLOSE_TUNNEL_CLOSED, true);
            return;
        }
        finish_later(tunnel, CLOSE_SERVER_TRUNCATED, false, relay->first_ms);
        return;
    case RELAY_FROM_LOST:
        if (!is_tracked(tunnel) || !keeps_server(relay)) {
            pass_reset_on(tunnel, &server_conn_in(tunnel)->conn);
        }
        end(tunnel, CLOSE_CLIENT_ABORT);
        return;
    case RELAY_TO_LOST:
        if (is_mail(tunnel) && loses_server(relay) && relay->first_ms != 0) {
            finish_later(tunnel, CLOSE_SERVER_TRUNCATED, false, relay->first_ms);
            return;
        }
        pass_reset_on(tunnel, &session_in(tunnel)->conn);
        end(tunnel, CLOSE_SERVER_TRUNCATED);
        return;
    case RELAY_TO_SPOKE: /* not asked for */
        pass_reset_on(tunnel, &session_in(tunnel)->conn);
        end(tunnel, CLOSE_SERVER_TRUNCATED);
        return;
    case RELAY_FROM_SILENT:
        end(tunnel, CLOSE_FIRST_BYTE_TIMEOUT);
        return;
    case RELAY_FROM_SLOW: /* of counts only */
    case RELAY_TO_SLOW:
    case RELAY_FROM_IDLE:
    case RELAY_TO_IDLE:
        say_goodbye(tunnel, CLOSE_TUNNEL_TIMEOUT);
        finish(tunnel, CLOSE_TUNNEL_TIMEOUT, is_websocket(tunnel) || is_tracked(tunnel));
        return;
    }
}

static const struct relay_ops tcp_ops = {.done = on_done, .on_moved = on_moved};
static const struct relay_ops mail_ops = {
    .done = on_done, .on_moved = on_moved, .loses = loses_server};
static const struct relay_ops tracked_ops = {.done = on_done,
                                             .on_moved = on_moved,
                                             .look = on_responses,
                                             .pass = on_commands,
                                             .keeps = keeps_server,
                                             .loses = loses_server};
static const struct relay_ops smtp_ops = {.done = on_done,
                                          .on_moved = on_moved,
                                          .look = on_smtp_replies,
                                          .pass = on_smtp_commands,
                                          .loses = loses_server};
static const struct relay_ops sieve_ops = {
    .done = on_done, .on_moved = on_moved, .pass = on_sieve_commands, .loses = loses_server};
static const struct relay_ops websocket_ops = {
    .done = on_done, .on_moved = on_moved, .look = on_frames};

void tunnel_abort(struct session *session, enum close_reason reason)
{
    struct relay *relay = session->conn.user;
    relay_stop(relay);
    end(tunnel_of(relay), reason);
}

void tunnel_leave(struct session *session, enum close_reason reason)
{
    struct relay *relay = session->conn.user;
    struct tunnel *tunnel = tunnel_of(relay);
    relay_stop(relay);
    say_goodbye(tunnel, reason);
    finish(tunnel, reason, true);
}

const struct mail_seat *tunnel_seat(const struct session *session)
{
    struct relay *relay = session->conn.user;
    return is_mail(tunnel_of(relay)) ? &tunnel_of(relay)->mail.seat : NULL;
}

const struct addr_small *tunnel_behind(const struct session *session)
{
    struct relay *relay = session->conn.user;
    return is_mail(tunnel_of(relay)) ? tunnel_of(relay)->mail.behind : NULL;
}

const struct server *tunnel_server(const struct session *session)
{
    struct relay *relay = session->conn.user;
    return server_conn_in(tunnel_of(relay))->server;
}

/* The connections, their place on the server and the log are the tunnel's from here on. */
static void take_over(struct tunnel *tunnel, const struct tunnel_begin *begin)
{
    struct session *session = begin->session;
    struct proxy_worker *proxy = session->front->proxy;
    *tunnel = (struct tunnel){
        .log =
            begin->record != NULL ? access_kept_new(begin->record, loop_now_us(proxy->loop)) : NULL,
    };
    session->conn.flags |= SESSION_TUNNEL;
    proxy->tunnel_count++;
}

bool tunnel_open(const struct tunnel_begin *begin)
{
    struct conn *client = &begin->session->conn;
    struct proxy_worker *proxy = begin->session->front->proxy;
    struct tunnel *tunnel = slab_take(&proxy->tunnels);
    if (tunnel == NULL || (!conn_is_watched(client) && !conn_watch(client))) {
        if (tunnel != NULL) {
            slab_give(&proxy->tunnels, tunnel);
        }
        return false;
    }
    take_over(tunnel, begin);
    const struct relay_ops *ops = &tcp_ops;
    if (begin->mail != NULL) {
        tunnel->mail = *begin->mail;
        ops = begin->mail->tracked != NULL ? &tracked_ops : &mail_ops;
    }
    if (begin->mail != NULL && (begin->smtp != NULL || begin->is_sieve_guarded)) {
        ops = begin->smtp != NULL ? &smtp_ops : &sieve_ops;
        tunnel->mail.guard = mem_zero(1, sizeof(*tunnel->mail.guard));
        tunnel->mail.guard->tunnel = tunnel;
        if (begin->smtp != NULL) {
            tunnel->mail.guard->smtp = *begin->smtp;
        }
    }
    if (ops == &tracked_ops) {
        tunnel->mail.tracked->over = on_over;
        tunnel->mail.tracked->go_on = on_mailbox_left;
        tunnel->mail.tracked->user = tunnel;
    }
    relay_tunnel(&tunnel->relay, client, &begin->server_conn->conn, begin->idle_ms, ops);
    relay_expect_first(&tunnel->relay, begin->first_byte_ms);
    return true;
}

void tunnel_start(struct exchange *x, const struct stream_head *head, struct slice bytes)
{
    struct proxy_worker *proxy = x->proxy;
    struct tunnel *tunnel = slab_take(&proxy->tunnels);
    struct conn *waiting = &x->session->conn;
    if (tunnel == NULL || (!conn_is_watched(waiting) && !conn_watch(waiting)) ||
        !x->down->ops->send_head(x->down, head, bytes, false)) {
        if (tunnel != NULL) {
            slab_give(&proxy->tunnels, tunnel);
        }
        x->status = 0; /* no 101 went out */
        exchange_fail(x, tunnel == NULL ? CLOSE_OUT_OF_MEMORY : CLOSE_CLIENT_ABORT);
        return;
    }
    x->response_bytes = bytes.len;
    struct session *session = x->session;
    exchange_count_client(x, x->down);
    exchange_count_server(x, x->up);
    list_remove(&x->link); /* the protocol's object, which has the list, goes */
    struct conn *client = x->down->ops->give(x->down);
    struct conn *server = x->up->ops->give(x->up);
    struct tunnel_begin begin = {
        .session = session,
        .server_conn = upstream_conn_of(server),
        .idle_ms = x->plan->timeouts.tunnel_idle_ms,
    };
    take_over(tunnel, &begin);
    tunnel->log = exchange_keep_record(x);
    tunnel->hold = filter_run_hold(x->head->filters);
    websocket_frames_init(&tunnel->frames);
    websocket_frames_follow(&tunnel->frames, bytes);
    x->down = NULL;
    x->up = NULL;
    x->server = NULL; /* the tunnel's now */
    if (x->tries > 1) {
        counter_add(&counters_of_pool(x->proxy->counters, x->pool->id)->retries_ended, 1);
    }
    exchange_end(x, CLOSE_OK);
    relay_tunnel(&tunnel->relay, client, server, begin.idle_ms, &websocket_ops);
}
