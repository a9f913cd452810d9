/*
 * sasl - the messages of SASL mechanisms as mail clients and servers send them, in base64.
 *
 *     client's line -> sasl_read -> mail_login       mail_login -> sasl_write -> our line
 *
 * PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login: the name, then the password), XOAUTH2
 * (Google's), OAUTHBEARER (RFC 7628), EXTERNAL (RFC 4422 appendix A). A token's message without the
 * name of the user is refused: there is nothing to route by.
 *
 * Limits: mail_protocol.h. Memory: the message is decoded where it lies; the caller wipes it.
 * Threads: any.
 */
#ifndef LBD_MAIL_SASL_H
#define LBD_MAIL_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_login.h"
#include "lbd/mail/mail_protocol.h"

enum sasl_verdict {
    SASL_DONE,       /* the login is whole */
    SASL_NEXT,       /* LOGIN: the name is there, the password comes next */
    SASL_BAD_BASE64, /* IMAP wants BAD for it, SMTP 501 (RFC 9051 6.2.2, RFC 4954 4) */
    SASL_MALFORMED,  /* base64, but not a message of the mechanism */
    SASL_BAD_NAME,   /* a name that cannot be one: treat as a wrong password */
    SASL_TOO_LONG,   /* password or token; likewise */
    SASL_NO_USER,    /* OAUTHBEARER without "a=", EXTERNAL without a certificate */
};

/* By its name in a protocol, whatever the case: "plain". False: none that we know. */
bool sasl_mechanism_find(struct slice word, enum mail_mechanism *mechanism);

/* One message of `login->mechanism`, `len` bytes of base64, which are overwritten. `subject`: of
 * the client's certificate, for EXTERNAL. LOGIN: the name while login->user is empty. */
LB_MUST_CHECK enum sasl_verdict sasl_read(struct mail_login *login, struct slice subject,
                                          char *base64, size_t len);

/* How we prove it to a server. */
struct sasl_proof {
    enum mail_mechanism mechanism;
    struct slice authzid; /* empty: none */
    struct slice user;
    struct slice secret; /* as mail_login has it */
};

/* The first message in base64; of LOGIN the name. Nothing: an empty message. */
void sasl_write(const struct sasl_proof *proof, struct buf *out);
/* LOGIN: the password. */
void sasl_write_second(const struct sasl_proof *proof, struct buf *out);
/* The token in a secret of OAUTHBEARER, "host=a^Aauth=Bearer TOKEN^A^A" (RFC 7628 3.1). Empty: it
 * has none. */
struct slice sasl_token(struct slice pairs);
/* LOGIN's questions, in base64: "Username:", "Password:". */
struct slice sasl_question(const struct mail_login *login);

#endif
