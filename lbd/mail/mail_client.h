/*
 * mail_client - a client of a mail protocol until it is logged in: bytes in, replies and events
 * out. No sockets.
 *
 *     mail_client_greet -> out
 *     mail_client_feed: commands -> out ... MAIL_CLIENT_STARTTLS -> (TLS) mail_client_secured
 *                                       ... MAIL_CLIENT_LOGIN -> (lookup, server)
 *                                            -> mail_client_accept -> out, over to the relay
 *                                            -> mail_client_refuse -> out, on or closed
 *                                       ... MAIL_CLIENT_CLOSE
 *
 * Every dialect (imap_client, pop3_client, smtp_client, sieve_client) is a mail_client_dialect.
 * Feeding stops at an event: what was not used stays the caller's, and goes to the server first
 * once the client is logged in. Split anywhere, the same happens.
 *
 * Rules: MAIL.md 4.3 to 4.5. NUL closes. With STARTTLS everything said before is forgotten. A
 * login without TLS is refused unless the offer allows it, before a password was asked for where
 * the protocol lets us.
 *
 * Limits: mail_protocol.h; the line grows up to the limit of its state. Memory: one object beside
 * the session, freed when the relay begins. Threads: one owner.
 */
#ifndef LBD_MAIL_MAIL_CLIENT_H
#define LBD_MAIL_MAIL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_login.h"
#include "lbd/mail/mail_protocol.h"

/* What a listener says of itself before anybody is logged in. Compiled, frozen. */
struct mail_offer {
    enum mail_protocol protocol;
    struct slice host;     /* our name, in greetings and EHLO */
    struct slice greeting; /* text after the name; "ready" */
    uint32_t mechanisms;   /* MAIL_MECHANISM_BITs */
    bool has_starttls;
    bool allows_cleartext; /* logins without TLS */
    bool needs_no_login;   /* SMTP: a relay port, */
    bool needs_recipient;  /* where a callback is asked with the first RCPT */
    uint32_t bad_commands; /* that end the connection: 5 */
    uint32_t failures;     /* logins that fail and end it: 3 */
};

/* One thing a trusted client said of the one behind it (IMAP ID x-originating-ip, XCLIENT). */
struct mail_behind {
    uint16_t address_len;
    uint16_t port;
    bool has_ttl;
    uint8_t ttl;      /* hops that are left, with has_ttl */
    char address[64]; /* empty: nothing was said */
    char session[40];
};

enum mail_client_event {
    MAIL_CLIENT_MORE,     /* all is used; `out` may have something */
    MAIL_CLIENT_STARTTLS, /* the go-ahead is in `out`: send it, then TLS. Bytes that were not used,
                             or come before the handshake, are an attack */
    MAIL_CLIENT_LOGIN,    /* client->login is whole; nothing is read until accept or refuse */
    MAIL_CLIENT_RELAY,    /* needs_no_login: the transaction begins; client->line is its MAIL, or
                             with needs_recipient its first RCPT, client->from the MAIL before it */
    MAIL_CLIENT_CLOSE,    /* send `out`, then close for client->reason */
};

struct mail_client;

/* Why a login came to nothing; the dialect has the words (MAIL.md 1.4, 4.7). */
enum mail_refusal {
    MAIL_REFUSED,       /* wrong name or password */
    MAIL_REFUSED_AS_IS, /* by the server, with words that may be passed on */
    MAIL_DISABLED,      /* this user may not log in now */
    MAIL_TOO_MANY,      /* sessions of the user, or logins from the address */
    MAIL_UNAVAILABLE,   /* no server: later */
    MAIL_INTERNAL,      /* the callback failed */
};

/* What the server said when it let the user in. Borrowed for the call. */
struct mail_welcome {
    struct slice text;         /* of the last line, after its "OK " with the code: "Logged in" */
    struct slice capabilities; /* IMAP: words; SIEVE: lines as they came; empty: not known */
    struct slice untagged;     /* whole lines that came before; passed on */
};

struct mail_client_dialect {
    void (*greet)(struct mail_client *client, struct buf *out);
    /* Uses at most one line, or the bytes of one literal; 0 only with an event. */
    size_t (*feed)(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                   enum mail_client_event *event);
    void (*secured)(struct mail_client *client, struct buf *out);
    void (*accept)(struct mail_client *client, const struct mail_welcome *welcome, struct buf *out);
    void (*refuse)(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                   struct buf *out);
    void (*challenge)(struct mail_client *client, struct slice text, struct buf *out);
    void (*bye)(struct mail_client *client, enum close_reason reason, struct buf *out);
};

struct mail_client {
    const struct mail_client_dialect *dialect;
    const struct mail_offer *offer;
    struct slice keywords; /* what the pool's servers have in common, as mail_server.capabilities
                              has it; empty: not known */
    struct slice subject;  /* of the client's certificate, for EXTERNAL; empty: none */
    bool is_secure;        /* TLS */
    bool is_trusted;       /* what it says of the one behind it counts */
    uint8_t state;         /* the dialect's */
    uint8_t reason;        /* enum close_reason, with CLOSE */
    uint8_t bad_commands;
    uint8_t failures;
    uint16_t flags; /* the dialect's */
    uint32_t literal_left;
    uint32_t literal_sum;
    uint32_t line_from; /* where the line begins that follows the command's last literal */
    struct mail_login login;
    struct mail_behind behind;
    struct buf line; /* what of a command is here so far */
    struct buf from; /* SMTP, needs_recipient: the MAIL that was taken; empty: none */
    uint16_t tag_len;
    char tag[MAIL_IMAP_TAG_MAX];
    uint16_t helo_len;
    char helo[256]; /* SMTP: the client's name in EHLO; wiped by STARTTLS */
    bool is_esmtp;
};

void mail_client_init(struct mail_client *client, const struct mail_offer *offer, bool is_secure);
/* Wipes and frees what it has. */
void mail_client_fini(struct mail_client *client);
/* The greeting. */
void mail_client_greet(struct mail_client *client, struct buf *out);
/* How many bytes were used; fewer than `len` with an event only. */
size_t mail_client_feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                        enum mail_client_event *event);
/* The handshake is through. Sieve says its capabilities again (RFC 5804 2.2). */
void mail_client_secured(struct mail_client *client, struct buf *out);
/* The user is in: the answer to the login command. */
void mail_client_accept(struct mail_client *client, const struct mail_welcome *welcome,
                        struct buf *out);
/* It came to nothing. True: the client may go on; false: close for client->reason after `out`. The
 * login is wiped. `text`: of the server or the callback (AS_IS), else empty. */
bool mail_client_refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                        struct buf *out);
/* The server answered a token with a challenge (RFC 7628 3.2.3): it goes to the client, whose next
 * line is thrown away. Then mail_client_refuse. */
void mail_client_challenge(struct mail_client *client, struct slice base64, struct buf *out);
/* A last word before an end that the client did not ask for. */
void mail_client_bye(struct mail_client *client, enum close_reason reason, struct buf *out);

/* -- for the dialects -- */

/* May a secret be asked for? */
static inline bool mail_client_may_login(const struct mail_client *client)
{
    return client->is_secure || client->offer->allows_cleartext;
}
/* EXTERNAL only to who showed a certificate. */
static inline bool mail_client_offers(const struct mail_client *client,
                                      enum mail_mechanism mechanism)
{
    return (client->offer->mechanisms & MAIL_MECHANISM_BIT(mechanism)) != 0 &&
           (mechanism != MAIL_EXTERNAL || client->subject.len > 0);
}
/* A last word, then the end for `reason`. */
void mail_client_close(struct mail_client *client, enum close_reason reason, struct buf *out,
                       enum mail_client_event *event);
/* A command was none, and `out` says so. With one too many it is the end. */
void mail_client_note_bad(struct mail_client *client, struct buf *out,
                          enum mail_client_event *event);
/* A login that never left lbd, and `out` says so: as mail_client_refuse with MAIL_REFUSED. */
void mail_client_note_failure(struct mail_client *client, struct buf *out,
                              enum mail_client_event *event);
/* In words, the same for every protocol, without a full stop: "Authentication failed". */
const char *mail_client_refusal_text(enum mail_refusal refusal);
const char *mail_client_bye_text(enum close_reason reason);
/* Is it ours, not the client's, and over when it connects again? */
bool mail_client_is_passing(enum close_reason reason);

extern const struct mail_client_dialect imap_client;
extern const struct mail_client_dialect pop3_client;
extern const struct mail_client_dialect smtp_client;
extern const struct mail_client_dialect sieve_client;

#endif
