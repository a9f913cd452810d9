/*
 * mail_session - a client of a mail listener from its greeting to its relay.
 *
 *     greeting -> commands (mail_client) -> [STARTTLS: proxy/door] -> login
 *         -> where does the user go? -> its turn (login_gate) -> a server (mail_leg)
 *              -> accepted: proxy/tunnel
 *              ^--- other server ---'          '- refused: wait, answer, on with commands
 *
 * On a relay port of SMTP nobody logs in: the first MAIL stands for the login, goes to the server
 * first, and the server answers it. Where a callback says whereto it is the first RCPT, for which
 * the server has taken the MAIL before.
 *
 * From the login command to its answer nothing of the client is read: what it sent behind the
 * command waits, at most one read of it here, the rest in the kernel, and goes to the server first.
 *
 * A login that fails is answered after 1, 2, 4, 8, 16 seconds counted from its command, so that an
 * answer's time tells nothing; the timer is the session's, the worker does not wait.
 *
 * Limits: mail.timeouts.login for all of it, mail.timeouts.read for each silence, mail.limits.
 * Memory: the proxy_worker's slab, until the relay begins; holds its worker's lease on the
 * snapshot. conn.user is this object. Threads: worker.
 */
#ifndef LBD_PROXY_MAIL_SESSION_H
#define LBD_PROXY_MAIL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/lease.h"
#include "lbd/mail/mail_client.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/mail_leg.h"
#include "lbd/proxy/mail_lookup.h"
#include "lbd/proxy/plan.h"
#include "lbd/proxy/proxy_worker.h"
#include "lbd/upstream/login_gate.h"

struct session;

enum mail_session_state {
    MAIL_SESSION_TALKS,     /* commands */
    MAIL_SESSION_SECURES,   /* STARTTLS was answered */
    MAIL_SESSION_LOOKS,     /* where does the user go? */
    MAIL_SESSION_WAITS,     /* for its turn at the server */
    MAIL_SESSION_LOGS_IN,   /* at a server, or waits for a connection of the cache */
    MAIL_SESSION_HOLDS_OFF, /* the answer waits */
};

struct mail_session {
    struct session *session;
    struct proxy_worker *proxy;
    const struct plan *plan;
    struct lease *lease; /* keeps plan and pool */
    uint64_t revision;
    struct mail_client client;
    struct buf out;
    uint8_t state;     /* enum mail_session_state */
    uint8_t refusal;   /* enum mail_refusal, while the answer waits */
    uint8_t failure;   /* enum close_reason of the last try */
    uint8_t mechanism; /* enum mail_mechanism, as the client had it */
    bool is_in_crowd;
    bool is_in_gate;
    struct login_gate_waiter gate;
    struct loop_timer hold; /* HOLDS_OFF: until the answer; WAITS: until it is too late */
    uint64_t login_us;      /* when the login command was there */
    const struct pool *pool;
    struct server *server; /* counted as in flight there; NULL: none */
    uint32_t member;
    uint32_t tries;
    struct mail_lookup lookup;        /* where it goes; zeroed before the first */
    struct addr_small client_address; /* whom bans mean */
    struct addr_small local_address;
    struct mail_leg leg;
    struct mail_cache_entry *entry; /* NULL: this login is not for the cache */
    struct mail_cache_waiter parked;
    bool is_relay;    /* nobody logs in: client.line is the MAIL that waits for a server */
    bool is_reused;   /* its server connection was parked */
    bool has_mailbox; /* with a mailbox */
    struct mail_origin origin;
    char client_ip[ADDR_TEXT_MAX];
    char local_ip[ADDR_TEXT_MAX];
    char id[24];
};

/* Begins with a connection whose door is behind it; or goes on after STARTTLS. */
void mail_session_open(struct session *session);
/* Ends it and the session. `polite`: the client is told, as its protocol can say it. */
void mail_session_end(struct session *session, enum close_reason reason, bool polite);
/* For session_end and session_linger: the session goes, whoever ends it. */
void mail_session_forget(struct session *session, enum close_reason reason);
/* The server that the user is being logged in at; NULL: none. */
const struct server *mail_session_server(const struct session *session);
/* The pool; empty: not known yet. */
struct slice mail_session_pool(const struct session *session);
/* Who wants to log in; empty: not known. */
struct slice mail_session_user(const struct session *session);
/* What the user holds; NULL: nobody knows who it is. */
const struct mail_seat *mail_session_seat(const struct session *session);
/* The client that a trusted peer speaks for; NULL: the peer is the client, or nobody logged in. */
const struct addr_small *mail_session_behind(const struct mail_session *mail);
/* The same of a session that logs in. */
const struct addr_small *mail_session_client_of(const struct session *session);
/* How far it came, "login/banner"; in `out`. */
#define MAIL_SESSION_STATE_MAX 32
struct slice mail_session_state(const struct mail_session *mail, char out[MAIL_SESSION_STATE_MAX]);

#endif
