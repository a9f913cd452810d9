/*
 * mail_command - what the clients' dialects share: lines that begin with a verb (POP3, SMTP),
 * commands with literals in them (IMAP, Sieve), and the AUTH dialogue of all (RFC 3501, 4954, 5034,
 * 5804), whose words only differ.
 *
 *     AUTH PLAIN <message>      -> the login
 *     AUTH PLAIN                -> prompt -> <message> -> the login
 *     AUTH LOGIN                -> prompt -> <name> -> prompt -> <password> -> the login
 *     any of them, then "*"     -> cancelled
 *
 * Memory: the client's. Threads: one owner.
 */
#ifndef LBD_MAIL_MAIL_COMMAND_H
#define LBD_MAIL_MAIL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_line.h"

/* Collects client->line. `max`: of an ordinary line; AUTH with its message may be as long as a line
 * of SASL. As mail_line_take. */
size_t mail_command_take(struct mail_client *client, size_t max, const char *bytes, size_t len,
                         enum mail_line_end *end);

struct mail_verb {
    struct slice word;
    /* `rest`: of client->line, behind the verb and one space. */
    void (*take)(struct mail_client *client, struct slice rest, struct buf *out,
                 enum mail_client_event *event);
};
/* Does what client->line says. False: it begins with none of `verbs`. */
bool mail_command_run(struct mail_client *client, const struct mail_verb *verbs, size_t count,
                      struct buf *out, enum mail_client_event *event);

/* client->line ends with a literal, of a length that may be: its bytes come next, and then the rest
 * of the line. */
void mail_command_expect(struct mail_client *client, const struct mail_literal *literal);
/* The command is dealt with, and nothing of it is left in memory. */
void mail_command_end(struct mail_client *client);

/* Only characters of base64? */
bool mail_auth_is_base64(struct slice text);
/* The mechanisms of SASL that this client may use now, with what stands before, between and behind
 * them; nothing where there are none. */
void mail_auth_list(const struct mail_client *client, const char *begin, const char *between,
                    const char *end, struct buf *out);

enum mail_auth {
    MAIL_AUTH_DONE,      /* client->login is whole */
    MAIL_AUTH_ASK,       /* say sasl_question(&client->login), then the next line is for SASL */
    MAIL_AUTH_CANCELLED, /* by "*" */
    MAIL_AUTH_UNKNOWN,   /* no such mechanism here */
    MAIL_AUTH_NEEDS_TLS,
    MAIL_AUTH_SYNTAX,    /* more words than there may be */
    MAIL_AUTH_MALFORMED, /* no base64, or no message of the mechanism */
    MAIL_AUTH_WRONG,     /* no name or password can look like this: as a wrong password */
    MAIL_AUTH_NO_USER,   /* the token or the certificate does not say whose it is */
};

/* The name of a mechanism and its first message, bytes of client->line; NULL: it did not come
 * along. What is wrong wipes the login. */
enum mail_auth mail_auth_start(struct mail_client *client, struct slice name,
                               const struct slice *message);
/* The next one. */
enum mail_auth mail_auth_message(struct mail_client *client, struct slice base64);

/* The same for whole lines. Behind the verb AUTH: "PLAIN <message>", bytes of client->line. What is
 * wrong wipes the login. */
enum mail_auth mail_auth_begin(struct mail_client *client, struct slice words);
/* client->line is one line of the dialogue. */
enum mail_auth mail_auth_continue(struct mail_client *client);
/* What comes of it: DONE is a login, ASK nothing yet. The rest `out` has said; WRONG and NO_USER
 * count as logins that failed, the others as bad commands. */
void mail_auth_note(struct mail_client *client, enum mail_auth auth, struct buf *out,
                    enum mail_client_event *event);

#endif
