/*
 * mail_ask - the question to a callback where a user goes, and its answer: as bytes, without
 * sockets.
 *
 *     nginx   header lines, byte for byte those of nginx's auth_http (ngx_mail_auth_http_module);
 *             the answer is in headers, too, its status line does not count
 *     json    an object by POST, an object back
 *
 * Every byte that came from the client is escaped, or it was checked where it came in: no line of
 * a client's can be another header.
 *
 * JSON, question (what is not known is left out):
 *     {"protocol": "imap", "method": "plain", "user": "joe@example.com", "login": "Joe",
 *      "authzid": "ann", "password": "...", "attempt": 1, "session": "...",
 *      "client": {"ip": "192.0.2.1", "port": 1234}, "server": {"ip": "192.0.2.9", "port": 143},
 *      "tls": {"version": "TLSv1.3", "cipher": "...", "subject": "...", "fingerprint": "..."},
 *      "smtp": {"helo": "...", "from": "MAIL FROM:<a@b>", "to": "RCPT TO:<c@d>"}}
 *   "user" is the name by which lbd knows it, "login" what the client wrote. A password that is not
 *   UTF-8 is "password_base64"; a token of XOAUTH2 or OAUTHBEARER stands in "password".
 * JSON, answer (other members are not looked at):
 *     {"status": "ok", "pool": "mail", "server": "b1"}    both may be missing: the listener's pool,
 *                                                          the server of the user's name
 *     {"status": "ok", "address": "10.0.0.1:143"}          a server by its address instead
 *         and, with either: "login_user": "...", "password": "..." for the server
 *     {"status": "refused", "text": "...", "code": "535 5.7.8", "wait": 3}
 *     {"status": "wait", "wait": 3}                        asked again after 3 s
 *
 * Limits: MAIL_ASK_BYTES_MAX of a question, texts of MAIL_TEXT_MAX, names and secrets as of a
 * client; waits of MAIL_ASK_WAIT_MAX_S. Memory: an answer holds a secret: mail_ask_answer_wipe.
 * Threads: any.
 */
#ifndef LBD_MAIL_MAIL_ASK_H
#define LBD_MAIL_MAIL_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/http/headers.h"
#include "lbd/mail/mail_protocol.h"

#define MAIL_ASK_BYTES_MAX  65536U
#define MAIL_ASK_WAIT_MAX_S 3600U
#define MAIL_ASK_CODE_MAX   32U
#define MAIL_ASK_NAME_MAX   63U /* of a pool or server */

struct mail_ask {
    enum mail_protocol protocol;
    bool has_login;     /* false: a relay port */
    uint8_t mechanism;  /* enum mail_mechanism, with a login */
    struct slice login; /* as the client wrote it */
    struct slice user;  /* normalised */
    struct slice authzid;
    struct slice secret;
    uint32_t attempt;
    const struct addr_small *client;
    const struct addr_small *local;
    bool has_proxy_header; /* nginx: they came with one */
    bool is_secure;
    struct slice tls_version;
    struct slice tls_cipher;
    bool asks_certificate; /* nginx: Auth-SSL-Verify and Auth-SSL-Subject */
    struct slice tls_subject;
    struct slice tls_fingerprint;
    struct slice helo;
    struct slice mail_from;
    struct slice rcpt_to;
    struct slice session;
};

/* Header lines with their CRLFs, without the static ones. False: too long. */
LB_MUST_CHECK bool mail_ask_write_nginx(const struct mail_ask *ask, struct buf *out);
LB_MUST_CHECK bool mail_ask_write_json(const struct mail_ask *ask, struct buf *out);

enum mail_ask_verdict {
    MAIL_ASK_OK,
    MAIL_ASK_REFUSED, /* `text` for the client */
    MAIL_ASK_WAIT,    /* asked again after wait_s */
    MAIL_ASK_BAD,     /* `problem` says why it is no answer */
};

struct mail_ask_answer {
    enum mail_ask_verdict verdict;
    bool is_kept;  /* of an earlier question (mail_answers) */
    bool has_wait; /* REFUSED: the client may go on after wait_s; else it goes */
    uint32_t wait_s;
    const char *problem;
    struct addr address; /* OK: len 0: by names */
    char pool[MAIL_ASK_NAME_MAX + 1];
    char server[MAIL_ASK_NAME_MAX + 1];
    uint16_t user_len; /* 0: none */
    uint16_t text_len;
    uint32_t secret_len; /* 0: none */
    char user[MAIL_USER_MAX];
    char text[MAIL_TEXT_MAX];
    char code[MAIL_ASK_CODE_MAX + 1]; /* SMTP; empty: none */
    char secret[MAIL_PASSWORD_MAX];
};

/* `ask` is what was asked: which answer is whole depends on it. */
void mail_ask_read_nginx(struct mail_ask_answer *answer, const struct headers *headers,
                         const struct mail_ask *ask);
void mail_ask_read_json(struct mail_ask_answer *answer, struct slice body,
                        const struct mail_ask *ask);
void mail_ask_answer_wipe(struct mail_ask_answer *answer);

#endif
