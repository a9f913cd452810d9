/*
 * mail_protocol - the words that all mail code shares: protocols, mechanisms, limits.
 *
 * Threads: any.
 */
#ifndef LBD_MAIL_MAIL_PROTOCOL_H
#define LBD_MAIL_MAIL_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

/* SMTP is submission (RFC 6409), or a relay port where nobody logs in. */
enum mail_protocol {
    MAIL_IMAP,
    MAIL_POP3,
    MAIL_SMTP,
    MAIL_SIEVE,
};
#define MAIL_PROTOCOL_COUNT 4

const char *mail_protocol_word(enum mail_protocol protocol); /* "imap" */

/* How a client proves who it is. LOGIN_COMMAND is IMAP's LOGIN and POP3's USER and PASS. */
enum mail_mechanism {
    MAIL_LOGIN_COMMAND,
    MAIL_PLAIN, /* RFC 4616 */
    MAIL_LOGIN, /* AUTH LOGIN */
    MAIL_XOAUTH2,
    MAIL_OAUTHBEARER, /* RFC 7628 */
    MAIL_EXTERNAL,    /* RFC 4422 appendix A: the certificate of the client */
};
#define MAIL_MECHANISM_COUNT          6
#define MAIL_MECHANISM_BIT(mechanism) (1U << (mechanism))

const char *mail_mechanism_word(enum mail_mechanism mechanism); /* as SASL has it: "XOAUTH2" */
/* Does it show a token (OAuth 2.0), not a password? */
static inline bool mail_mechanism_is_token(unsigned mechanism)
{
    return mechanism == MAIL_XOAUTH2 || mechanism == MAIL_OAUTHBEARER;
}

/* Limits before login (MAIL.md 4.4). */
#define MAIL_USER_MAX         320U /* bytes of a name */
#define MAIL_PASSWORD_MAX     1024U
#define MAIL_TOKEN_MAX        12288U
#define MAIL_SASL_LINE_MAX    16384U /* one line of an AUTH exchange, in base64 */
#define MAIL_IMAP_LINE_MAX    8192U
#define MAIL_IMAP_LITERAL_MAX 4096U
#define MAIL_IMAP_COMMAND_MAX 8192U /* all literals of one command */
#define MAIL_IMAP_TAG_MAX     128U
#define MAIL_POP3_LINE_MAX    255U
#define MAIL_SMTP_LINE_MAX    2048U
#define MAIL_TEXT_MAX         512U  /* of a line of a server that is passed on or logged */
#define MAIL_CAPABILITIES_MAX 4096U /* of a server, as one text */

#endif
