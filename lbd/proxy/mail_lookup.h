/*
 * mail_lookup - a login asks where it goes, and whether.
 *
 *     mail_lookup_start --> READY: lookup->result
 *                      '--> PENDING --> lookup->fn(lookup), or mail_lookup_end
 *
 *     banned?  ->  the name, normalised  ->  mail_users, maps (mail_routes)  ->  callback, when no
 *     map knows  ->  the affinity table (mail_users): the server, unless the user must wait
 *
 * A pin (mail_users_move) and the server where the user has sessions stand above what all others
 * say of servers; the pool and the name at the server are still theirs.
 *
 * With a result of no refusal the user counts as being at that server:
 *
 *     the server refused name or password   mail_lookup_refused, then mail_lookup_end
 *     it let the user in                    mail_lookup_proved; false: too many sessions: say so
 *     the session goes on                   *seat = mail_lookup_take_seat, then mail_lookup_end
 *                                           mail_users_leave at the session's end
 *     it cannot be reached                  mail_lookup_again: perhaps elsewhere; or
 * mail_lookup_end
 *
 * A disabled user is answered as a wrong password is (MAIL_REFUSED): who does not know the password
 * must not learn that the name exists. Log and API have MAIL_DISABLED (result.why). The answer is
 * held back as every refusal is, so the time it takes tells nothing either.
 *
 * A pool whose servers are not shown the client's password (credentials master or none) is reached
 * only when somebody has looked at it: the callback, or TLS at a certificate (EXTERNAL). So there
 * the callback is asked even for a user whom a map knows.
 *
 * A server that a callback names must be one of a pool of mail, the listener's first: so checks,
 * drains and the affinity table hold for it. One that is none is refused, with a word in the log.
 *
 * Memory: lookup is the caller's; it holds names, words and perhaps a password, which
 * mail_lookup_end wipes. Threads: the worker's.
 */
#ifndef LBD_PROXY_MAIL_LOOKUP_H
#define LBD_PROXY_MAIL_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_login.h"
#include "lbd/mail/mail_name.h"
#include "lbd/net/loop.h"
#include "lbd/proxy/mail_callback.h"
#include "lbd/proxy/mail_routes.h"
#include "lbd/proxy/mail_users.h"
#include "lbd/upstream/pool.h"

struct proxy_worker;

/* Of the client. Texts are borrowed until the result; empty: not known, or none. */
struct mail_lookup_client {
    const struct addr_small *address; /* whom bans and the callback mean: the client's own, or the
                                         one that a PROXY header or a trusted client named */
    const struct addr_small *local;   /* where it connected to */
    bool has_proxy_header;            /* the two came with one */
    bool is_exempt;                   /* of bans: trusted, and named nobody */
    uint32_t attempt;                 /* of this connection, from 1 */
    bool is_secure;
    struct slice tls_version;
    struct slice tls_cipher;
    struct slice tls_subject;     /* of its certificate, verified */
    struct slice tls_fingerprint; /* SHA-256, hexadecimal */
    struct slice helo;            /* SMTP: the name in EHLO */
    struct slice mail_from;       /* relay without login: the whole MAIL line, */
    struct slice rcpt_to;         /* and the first RCPT */
    struct slice session;         /* our session id */
};

struct mail_lookup_question {
    struct proxy_worker *proxy;
    const struct mail_routes *routes; /* of the plan; the caller holds its lease */
    const struct mail_login *login;   /* NULL: a relay port, nobody logs in */
    struct mail_lookup_client client;
};

struct mail_lookup_result {
    bool is_refused;
    enum mail_refusal refusal; /* what the client is told */
    enum mail_refusal why;     /* what the log says: DISABLED and INTERNAL, too */
    bool may_retry;            /* refused by the callback, which says when: delay_ms */
    bool has_delay;            /* the answer waits delay_ms; without it, as the session sees fit */
    uint32_t delay_ms;
    struct slice text;   /* of the callback, for the client (of SMTP with its code before it);
                            empty: the dialect's words */
    const char *problem; /* for the log: why MAIL_INTERNAL or MAIL_UNAVAILABLE; "" */
    /* no refusal: */
    const struct pool *pool;
    uint32_t member;      /* BALANCER_NONE: a relay port without login: any (pool_pick) */
    struct slice user;    /* at the server; empty: as the client said */
    struct slice authzid; /* likewise, whom the client acts as */
    struct slice secret;  /* at the server; empty: the client's */
    const char *by;       /* who sent it there: "user", "map", "callback", "default" */
};

enum mail_lookup_state { MAIL_LOOKUP_READY, MAIL_LOOKUP_PENDING };

struct mail_lookup {
    struct mail_lookup_result result;
    struct mail_name name;                  /* normalised: for logs and bans */
    struct mail_name mailbox;               /* likewise, what it is at the server: for the affinity
                                               table, limits of sessions and the cache */
    void (*fn)(struct mail_lookup *lookup); /* the caller's: PENDING is over */
    void *arg;                              /* the caller's */
    /* mail_lookup's */
    struct mail_lookup_question question;
    struct mail_route route;
    struct mail_seat seat;
    struct mail_ask ask;
    struct mail_callback_call *call;
    struct loop_timer timer;
    uint64_t give_up_ms;
    uint32_t waits; /* the callback said WAIT so often */
    bool is_proved; /* it said yes */
    bool is_named;  /* and by which name the server knows the user */
    char *secret;   /* owned, wiped */
    size_t secret_len;
    char text[MAIL_TEXT_MAX + MAIL_ASK_CODE_MAX + 1];
    char problem[512];
};

/* `lookup` need not be zeroed; fn and arg are given. */
enum mail_lookup_state mail_lookup_start(struct mail_lookup *lookup,
                                         const struct mail_lookup_question *question,
                                         void (*fn)(struct mail_lookup *lookup), void *arg);
/* The server of the result cannot be reached: where now? The seat is given back first; a new result
 * comes as from mail_lookup_start, but nobody is asked twice. */
enum mail_lookup_state mail_lookup_again(struct mail_lookup *lookup);
/* The server refused name or password: counts for bans. True: the client is banned now. */
bool mail_lookup_refused(struct mail_lookup *lookup);
/* The server let the user in. False: it has too many sessions (MAIL_TOO_MANY), or was kicked. */
LB_MUST_CHECK bool mail_lookup_proved(struct mail_lookup *lookup);
/* The seat is the session's now. */
struct mail_seat mail_lookup_take_seat(struct mail_lookup *lookup);
/* Cancels what is under way, gives back a seat that was not taken, wipes. Also one that is zeroed.
 */
void mail_lookup_end(struct mail_lookup *lookup);

#endif
