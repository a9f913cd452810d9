/*
 * mail_stand - plays the peer of a mail dialect: bytes in, a transcript out, the same however the
 * bytes are cut.
 *
 * A script is what the peer sends; '|' in it is a flush, behind which more comes only when all
 * before was dealt with (a TLS handshake, too). The transcript has what the dialect sends, with LF
 * for CRLF, and its events in angle brackets:
 *
 *     a LOGIN joe secret          <login login-command joe secret>
 *     a LOGIN joe {6}             + OK
 *     secret                      <login login-command joe secret>
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_MAIL_STAND_H
#define TESTS_UNIT_MAIL_STAND_H

#include <stdbool.h>

#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_server.h"

/* Every mechanism, STARTTLS, passwords in clear; mail.example; 5 bad commands, 3 failures. */
extern const struct mail_offer mail_stand_offer;

struct mail_stand_client {
    const struct mail_offer *offer;
    enum mail_protocol protocol; /* that counts instead of the offer's */
    bool is_secure;
    bool is_trusted;
    struct slice keywords;
    struct slice subject;
    /* One letter for each login, or relay, in turn; at the end of them the play ends:
     *   'a' accepted with `welcome`, 'r' wrong password, 's' refused as the server says (`text`),
     *   'd' disabled, 't' too many, 'u' unavailable, 'i' internal, 'c' `text` is a challenge, then
     *   wrong password */
    const char *answers;
    struct mail_welcome welcome;
    struct slice text;
    bool greets;   /* the greeting is in the transcript */
    bool is_early; /* the client does not wait for it */
};

/* Neither has a NUL in it. */
struct mail_stand_play {
    const char *script;
    const char *want; /* the transcript */
};

/* Plays it whole, cut in two at every place, and byte by byte; `want` is the transcript. */
void mail_stand_client(const struct mail_stand_client *client, struct slice script,
                       struct slice want);
/* Each of them. */
void mail_stand_clients(const struct mail_stand_client *client, const struct mail_stand_play *plays,
                        size_t count);
/* One script of `len` bytes and CRLF: `begin`, and then nothing but `fill`. */
void mail_stand_client_line(const struct mail_stand_client *client, const char *begin, size_t len,
                            char fill, struct slice want);

struct mail_stand_server {
    struct mail_terms terms;
    const struct mail_login *login;
    struct slice user;      /* empty: the login's */
    struct slice mail_from; /* mail_server.mail_from */
    const struct mail_origin *origin;
    bool is_secure;
};

/* Likewise. After READY of a check comes its goodbye; "<ready text [capabilities] untagged>". */
void mail_stand_server(const struct mail_stand_server *server, struct slice script,
                       struct slice want);
void mail_stand_servers(const struct mail_stand_server *server, const struct mail_stand_play *plays,
                        size_t count);
/* Of a client that showed this. */
struct mail_login mail_stand_login(enum mail_mechanism mechanism, const char *user,
                                   const char *secret);

#endif
