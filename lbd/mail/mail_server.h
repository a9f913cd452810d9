/*
 * mail_server - how lbd logs in to a mail server: bytes of the server in, ours and events out. No
 * sockets.
 *
 *     mail_server_start
 *     mail_server_feed: greeting -> [PROXY went before] -> [STARTTLS] -> capabilities
 *         -> [ID, XCLIENT] -> login -> MAIL_SERVER_READY | REFUSED | UNAVAILABLE | FAILED
 *
 * Also what health checks say: `terms->is_check` ends at the capabilities (or after a login) with
 * LOGOUT or QUIT.
 *
 * Rules: MAIL.md 4.2, 4.3, 4.5. STARTTLS is sent alone and answered by one reply; a byte more is an
 * attack. What was said before TLS is forgotten. No credentials before TLS where it is required,
 * and none to a server that says LOGINDISABLED. Every byte of a client's name is encoded for the
 * protocol it enters.
 *
 * Limits: MAIL_SERVER_LINE_MAX, MAIL_SERVER_LINES_MAX, MAIL_CAPABILITIES_MAX. Memory: one object
 * beside the session, freed when the relay begins. Threads: one owner.
 */
#ifndef LBD_MAIL_MAIL_SERVER_H
#define LBD_MAIL_MAIL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_login.h"
#include "lbd/mail/mail_protocol.h"
#include "lbd/mail/sasl.h"

#define MAIL_SERVER_LINE_MAX  8192U /* with its literals */
#define MAIL_SERVER_LINES_MAX 200U  /* before the login is through: more is BAD_RESPONSE */

enum mail_credentials {
    MAIL_CREDENTIALS_FORWARD, /* what the client showed */
    MAIL_CREDENTIALS_MASTER,  /* a master user, who acts as the user (RFC 4616 authzid) */
    MAIL_CREDENTIALS_NONE,    /* SMTP: none, the name goes by XCLIENT */
};

/* How the servers of a pool are spoken to. Compiled, frozen. */
struct mail_terms {
    enum mail_protocol protocol;
    enum mail_credentials credentials;
    uint8_t mechanism; /* enum mail_mechanism + 1 to insist on; 0: what fits */
    bool starttls;     /* required, and then verified */
    bool tells_client; /* ID or XCLIENT with the client's address, where the server takes it */
    bool is_check;
    struct slice master_user;
    struct slice master_password;
    struct slice host; /* our name in EHLO */
};

/* Who is behind it, for ID and XCLIENT. Texts are literals of addresses. */
struct mail_origin {
    struct slice client_ip;
    struct slice local_ip;
    uint16_t client_port;
    uint16_t local_port;
    struct slice session;   /* our session id */
    struct slice helo;      /* SMTP: the client's EHLO name */
    struct slice transport; /* "TLS", "insecure" */
    uint8_t ttl;            /* hops left: 0 is a loop */
    bool is_esmtp;
};

enum mail_server_event {
    MAIL_SERVER_MORE,        /* `out` may have something to send */
    MAIL_SERVER_STARTTLS,    /* all replies are here: TLS now, then mail_server_secured */
    MAIL_SERVER_CHALLENGE,   /* a token was refused: server->text is the challenge (base64) */
    MAIL_SERVER_READY,       /* logged in (or checked): server->welcome */
    MAIL_SERVER_REFUSED,     /* by the server: server->text, server->refusal */
    MAIL_SERVER_UNAVAILABLE, /* it cannot now: another try may help */
    MAIL_SERVER_FAILED,      /* server->reason, server->text in words */
};

/* How far a login came. The dialects have finer steps in between. */
enum mail_server_at {
    MAIL_AT_BANNER,
    MAIL_AT_CAPABILITY,
    MAIL_AT_STARTTLS,
    MAIL_AT_HANDSHAKE,
    MAIL_AT_XCLIENT,
    MAIL_AT_LOGIN,
    MAIL_AT_END, /* nothing more is read */
};

struct mail_server;

struct mail_server_dialect {
    /* server->line is whole, with its literals as mail_line has them. */
    void (*take_line)(struct mail_server *server, struct buf *out, enum mail_server_event *event);
    /* Is what looks like a literal at the end of this line one? NULL: the protocol has none. */
    bool (*may_have_literal)(struct slice line);
    void (*secured)(struct mail_server *server, struct buf *out);
    /* After READY of a check, or a login that nobody waits for any more. */
    void (*goodbye)(struct mail_server *server, struct buf *out);
};

struct mail_server {
    const struct mail_server_dialect *dialect;
    const struct mail_terms *terms;
    const struct mail_login *login;   /* NULL: a check without one */
    const struct mail_origin *origin; /* NULL: nobody */
    struct slice user;                /* who it is for the server: routing may rename */
    struct slice mail_from;           /* SMTP without a login: the MAIL that it is to take, before
                                         READY; set after init; empty: none */
    bool is_secure;
    uint8_t at;            /* enum mail_server_at */
    uint8_t step;          /* the dialect's, within it */
    uint8_t reason;        /* enum close_reason, with FAILED */
    uint8_t refusal;       /* enum mail_refusal, with REFUSED */
    uint16_t lines;        /* untagged so far */
    uint8_t mechanism;     /* enum mail_mechanism of our login */
    uint32_t flags;        /* the dialect's: what the server can */
    uint16_t reply_code;   /* SMTP: of the reply whose lines are coming, or 0 */
    uint32_t xclient_left; /* SMTP, SIEVE: attributes that are not said yet */
    uint32_t literal_left;
    uint32_t line_from; /* where the line begins that follows the last literal */
    struct buf line;
    struct buf capabilities; /* as the newest list has it, without framing: words of IMAP, else
                                lines with a LF between them */
    struct buf untagged;
    struct buf text;
    struct mail_welcome welcome;
};

/* Texts that are given live as long as it does. */
void mail_server_init(struct mail_server *server, const struct mail_terms *terms,
                      const struct mail_login *login, struct slice user,
                      const struct mail_origin *origin, bool is_secure);
void mail_server_fini(struct mail_server *server);
/* How many bytes were used; fewer than `len` with an event only. After READY the rest is the
 * relay's. */
size_t mail_server_feed(struct mail_server *server, const char *bytes, size_t len, struct buf *out,
                        enum mail_server_event *event);
void mail_server_secured(struct mail_server *server, struct buf *out);
void mail_server_goodbye(struct mail_server *server, struct buf *out);
/* How far it came, for logs: "banner", "capability", "starttls", "handshake", "xclient", "login",
 * "end". */
const char *mail_server_state_word(const struct mail_server *server);

/* -- for the dialects -- */

/* READY, and the end: with `text`, which is kept, and with what is known and was said before. */
void mail_server_welcome(struct mail_server *server, struct slice text,
                         enum mail_server_event *event);
/* FAILED for `reason`; `text` is kept for the log, without what is no text. */
void mail_server_fail(struct mail_server *server, enum close_reason reason, struct slice text,
                      enum mail_server_event *event);
/* REFUSED: `text` with its code, for MAIL_REFUSED_AS_IS and the log. */
void mail_server_refuse(struct mail_server *server, enum mail_refusal refusal, struct slice text,
                        enum mail_server_event *event);
/* UNAVAILABLE. */
void mail_server_put_off(struct mail_server *server, struct slice text,
                         enum mail_server_event *event);
/* What we show: of the client, or the master user. `mechanism` is PLAIN, which stands for every
 * way to show a password, or that of a token. False: nothing that a server could be shown. */
LB_MUST_CHECK bool mail_server_proof(const struct mail_server *server, struct sasl_proof *proof);
/* Chooses proof->mechanism and server->mechanism among `offered` (MAIL_MECHANISM_BITs): what the
 * terms insist on; of tokens the client's form, then the other; of passwords PLAIN, LOGIN_COMMAND,
 * LOGIN, with an authzid PLAIN alone. False: none fits. */
LB_MUST_CHECK bool mail_server_choose(struct mail_server *server, uint32_t offered,
                                      struct sasl_proof *proof);
/* Is it a check that ends before a login? */
static inline bool mail_server_is_bare_check(const struct mail_server *server)
{
    return server->terms->is_check && server->login == NULL;
}

extern const struct mail_server_dialect imap_server;
extern const struct mail_server_dialect pop3_server;
extern const struct mail_server_dialect smtp_server;
extern const struct mail_server_dialect sieve_server;

#endif
