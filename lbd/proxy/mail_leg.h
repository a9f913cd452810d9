/*
 * mail_leg - one attempt to log a user in at one server: connecting, TLS, the words of the
 * server's dialect (mail_server).
 *
 *     mail_leg_start: connect -> greeting -> [STARTTLS] -> ... -> login -> fn(event)
 *
 * Of READY the connection is to be taken (mail_leg_take); what the server sent behind its answer
 * lies in its conn.in, unread. With any other event it is gone already.
 *
 * Limits: pool.timeouts.connect for connecting and each TLS handshake, pool.timeouts.response for
 * each answer. Memory: embedded in its session's object; what it wrote of a secret is wiped.
 * Threads: worker.
 */
#ifndef LBD_PROXY_MAIL_LEG_H
#define LBD_PROXY_MAIL_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/mail/mail_server.h"
#include "lbd/upstream/upstream_conn.h"

struct mail_leg;

/* event: READY, CHALLENGE, REFUSED, UNAVAILABLE or FAILED; leg->server has the words. `reason` of
 * the last two. Not called from mail_leg_start. */
typedef void (*mail_leg_fn)(struct mail_leg *leg, enum mail_server_event event,
                            enum close_reason reason);

struct mail_leg {
    struct upstream_worker *upstream;
    const struct pool *pool;
    uint32_t member;
    bool is_started;
    bool is_connected; /* so far it came, once */
    struct upstream_conn_waiter waiter;
    struct upstream_conn *conn; /* that we talk on; NULL: none, or it is the waiter's */
    struct mail_server server;
    struct mail_terms terms;
    uint64_t started_us;
    uint64_t connected_us; /* 0: not yet */
    mail_leg_fn fn;
};

/* What it is for. Borrowed until mail_leg_fini. */
struct mail_leg_begin {
    struct upstream_worker *upstream;
    const struct pool *pool;
    uint32_t member;
    enum mail_protocol protocol;
    const struct mail_login *login;
    struct slice user;      /* who it is for the server */
    struct slice host;      /* our name */
    struct slice mail_from; /* SMTP without a login: what it must take first; empty: nothing */
    const struct mail_origin *origin;
    const struct upstream_client *client; /* for the PROXY header; for the call */
    mail_leg_fn fn;
};

/* False: it could not begin, *reason; nothing is left of it. */
LB_MUST_CHECK bool mail_leg_start(struct mail_leg *leg, const struct mail_leg_begin *begin,
                                  enum close_reason *reason);
/* After READY: the connection, whose events are the caller's. */
struct upstream_conn *mail_leg_take(struct mail_leg *leg);
/* After READY: nobody wants it, and the server is told so. */
void mail_leg_goodbye(struct mail_leg *leg);
/* Ends whatever it does; also one that is zeroed, or was ended. */
void mail_leg_fini(struct mail_leg *leg);

#endif
