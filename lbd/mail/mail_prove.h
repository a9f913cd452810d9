/*
 * mail_prove - the AUTH dialogue with a server of POP3, SMTP or IMAP (RFC 5034, 4954, 9051; IMAP
 * begins it in its own words).
 *
 *     AUTH PLAIN <message>      -> verdict
 *     AUTH PLAIN                -> prompt -> <message> -> verdict
 *     AUTH LOGIN                -> prompt -> <name> -> prompt -> <password> -> verdict
 *     AUTH XOAUTH2 <message>    -> prompt with the reason for a refusal -> <noted> -> refusal
 *
 * The dialect reads the server's answers and has the verdict.
 *
 * Memory: the server's. Threads: one owner.
 */
#ifndef LBD_MAIL_MAIL_PROVE_H
#define LBD_MAIL_MAIL_PROVE_H

#include <stddef.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_server.h"

/* server->step at MAIL_AT_LOGIN; the dialect's own begin at MAIL_PROVE_STEPS. */
enum mail_prove {
    MAIL_PROVE_MESSAGE,    /* AUTH is sent, and no message with it */
    MAIL_PROVE_PASSWORD,   /* LOGIN: the name is sent */
    MAIL_PROVE_VERDICT,    /* all is sent */
    MAIL_PROVE_CHALLENGED, /* the token was refused, and we have taken note */
    MAIL_PROVE_STEPS,
};

/* Says AUTH with the mechanism of `proof`, and the message behind it where the line has at most
 * `max` bytes then; 0: it always waits for the prompt. */
void mail_prove_begin(struct mail_server *server, const struct sasl_proof *proof, size_t max,
                      struct buf *out);
/* The server asks: `text` is what came with it. */
void mail_prove_continue(struct mail_server *server, struct slice text, struct buf *out,
                         enum mail_server_event *event);

#endif
