/*
 * smtp_server - how lbd logs in to a submission server, or says who is there to a relay (RFC 5321,
 * 3207, 4954, Postfix's XCLIENT).
 *
 *     banner -> EHLO -> [STARTTLS -> TLS -> EHLO] -> [XCLIENT ... -> EHLO] -> [AUTH ... or MAIL] ->
 * READY
 *
 * As mail_server.h has it. XCLIENT says what the server advertised and no more. Without a login
 * (a relay, or credentials "none" with the name in XCLIENT) the last EHLO is the end. A reply has
 * the same code on all its lines, or it is none.
 */
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_prove.h"
#include "lbd/mail/mail_server.h"
#include "lbd/mail/mail_xclient.h"
#include "lbd/mail/sasl.h"

/* Of MAIL_AT_CAPABILITY. */
enum { STEP_EHLO, STEP_HELO };

/* server->flags: MAIL_MECHANISM_BITs, what else EHLO said, and the attributes of XCLIENT. */
enum flag {
    HAS_STARTTLS = 1 << 8,
    HAS_AUTH = 1 << 9,
    SAID_XCLIENT = 1 << 10,
};
enum { XCLIENT_SHIFT = 16 };

enum { COMMAND_MAX = 512 };

static void say_helo(struct mail_server *server, const char *verb, struct buf *out)
{
    bool has_name = server->origin != NULL && server->origin->helo.len > 0;
    buf_append_text(out, verb);
    mail_text_append(out, has_name ? server->origin->helo : server->terms->host);
    mail_line_say(out, "");
    server->at = MAIL_AT_CAPABILITY;
    buf_clear(&server->capabilities);
    server->flags &= SAID_XCLIENT;
}

static void say_ehlo(struct mail_server *server, struct buf *out)
{
    say_helo(server, "EHLO ", out);
    server->step = STEP_EHLO;
}

/* -- what it said -- */

static void note_mechanisms(struct mail_server *server, struct slice words)
{
    struct slice word;
    while (mail_word_next(&words, &word)) {
        enum mail_mechanism mechanism;
        if (sasl_mechanism_find(word, &mechanism)) {
            server->flags |= MAIL_MECHANISM_BIT(mechanism);
        }
    }
    server->flags |= HAS_AUTH;
}

static void note_keyword(struct mail_server *server, struct slice line)
{
    struct slice words = line;
    struct slice keyword;
    if (!mail_word_next(&words, &keyword)) {
        return;
    }
    if (server->capabilities.len > 0) {
        buf_append_char(&server->capabilities, '\n');
    }
    buf_append_slice(&server->capabilities, line);
    if (slice_eq_nocase(keyword, SLICE("AUTH"))) {
        note_mechanisms(server, words);
    } else if (slice_eq_nocase(keyword, SLICE("STARTTLS"))) {
        server->flags |= HAS_STARTTLS;
    } else if (slice_eq_nocase(keyword, SLICE("XCLIENT"))) {
        server->flags |= mail_xclient_set(words) << XCLIENT_SHIFT;
    }
}

/* -- what we say next -- */

/* Which attributes of XCLIENT we would say here. */
static uint32_t xclient_wanted(const struct mail_server *server)
{
    uint32_t wanted = 0;
    if (server->origin != NULL && server->terms->tells_client) {
        wanted = ~MAIL_XCLIENT_LOGIN;
    }
    if (server->login != NULL && server->terms->credentials == MAIL_CREDENTIALS_NONE) {
        wanted |= MAIL_XCLIENT_LOGIN;
    }
    return wanted & server->flags >> XCLIENT_SHIFT;
}

static bool say_xclient(struct mail_server *server, struct buf *out)
{
    static const struct mail_origin nobody;
    uint32_t left = server->xclient_left;
    bool is_said = mail_xclient_write(MAIL_SMTP, server->origin != NULL ? server->origin : &nobody,
                                      server->user, &left, out);
    server->xclient_left = left;
    server->at = MAIL_AT_XCLIENT;
    return is_said;
}

static void say_auth(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct sasl_proof proof;
    uint32_t offered = server->flags & (HAS_STARTTLS - 1);
    if (!mail_server_proof(server, &proof) ||
        ((server->flags & HAS_AUTH) == 0 && server->terms->mechanism == 0) ||
        !mail_server_choose(server, offered & ~MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND), &proof)) {
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, SLICE("no AUTH that fits"), event);
        return;
    }
    mail_prove_begin(server, &proof, COMMAND_MAX, out); /* RFC 4954 4 */
}

/* Everything that stands between an answered EHLO and the end. */
static void go_on(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    if (server->terms->starttls && !server->is_secure) {
        if ((server->flags & HAS_STARTTLS) == 0) {
            mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, SLICE("no STARTTLS"), event);
            return;
        }
        mail_line_say(out, "STARTTLS");
        server->at = MAIL_AT_STARTTLS;
        return;
    }
    if ((server->flags & SAID_XCLIENT) == 0) {
        server->xclient_left = xclient_wanted(server);
        bool names_user = (server->xclient_left & MAIL_XCLIENT_LOGIN) != 0;
        if (server->login != NULL && server->terms->credentials == MAIL_CREDENTIALS_NONE &&
            !names_user) {
            mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, SLICE("no XCLIENT LOGIN"), event);
            return;
        }
        if (server->xclient_left != 0 && say_xclient(server, out)) {
            server->flags |= SAID_XCLIENT;
            return;
        }
    }
    if (server->mail_from.len != 0) {
        buf_append_slice(out, server->mail_from);
        mail_line_say(out, "");
        server->at = MAIL_AT_LOGIN;
        return;
    }
    if (server->login == NULL || server->terms->credentials == MAIL_CREDENTIALS_NONE) {
        mail_server_welcome(server, SLICE_NONE, event);
        return;
    }
    say_auth(server, out, event);
}

/* -- replies -- */

static bool is_temporary(unsigned code)
{
    return code / 100 == 4;
}

/* `line` is the last of a reply, with its code: "535 5.7.8 Go away". */
static void take_login_reply(struct mail_server *server, unsigned code, struct slice line,
                             enum mail_server_event *event)
{
    switch (code) {
    case 235:
        mail_server_welcome(server, slice_from_at(line, 4), event);
        break;
    case 535:
        mail_server_refuse(server, MAIL_REFUSED, line, event);
        break;
    case 500: /* what it does not know, or wants otherwise: no fault of the user */
    case 501:
    case 502:
    case 503:
    case 504:
    case 530:
    case 538:
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, line, event);
        break;
    default:
        if (is_temporary(code)) {
            mail_server_put_off(server, line, event);
        } else if (code / 100 == 5) {
            mail_server_refuse(server, MAIL_REFUSED_AS_IS, line, event);
        } else {
            mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
        }
        break;
    }
}

/* What it says of the sender is the client's to hear. */
static void take_mail_reply(struct mail_server *server, unsigned code, struct slice line,
                            enum mail_server_event *event)
{
    if (code == 250) {
        mail_server_welcome(server, SLICE_NONE, event);
    } else if (code == 421) {
        mail_server_put_off(server, line, event);
    } else if (code >= 400) {
        mail_server_refuse(server, MAIL_REFUSED_AS_IS, line, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
    }
}

static void take_ehlo_reply(struct mail_server *server, unsigned code, struct slice line,
                            struct buf *out, enum mail_server_event *event)
{
    if (code == 250) {
        go_on(server, out, event);
    } else if (is_temporary(code)) {
        mail_server_put_off(server, line, event);
    } else if (server->step == STEP_EHLO && code / 100 == 5) {
        say_helo(server, "HELO ", out); /* RFC 5321 3.2: an old server */
        server->step = STEP_HELO;
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
    }
}

static void take_xclient_reply(struct mail_server *server, unsigned code, struct slice line,
                               struct buf *out, enum mail_server_event *event)
{
    if (is_temporary(code)) {
        mail_server_put_off(server, line, event);
    } else if (code == 220) {
        if (server->xclient_left == 0 || !say_xclient(server, out)) {
            say_ehlo(server, out);
        }
    } else if (server->login != NULL && server->terms->credentials == MAIL_CREDENTIALS_NONE) {
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, line, event);
    } else {
        go_on(server, out, event); /* it does not trust us: then it sees our address */
    }
}

/* The last line of a reply. */
static void take_reply(struct mail_server *server, unsigned code, struct slice line,
                       struct buf *out, enum mail_server_event *event)
{
    switch ((enum mail_server_at)server->at) {
    case MAIL_AT_BANNER:
        if (code == 220) {
            say_ehlo(server, out);
        } else {
            mail_server_put_off(server, line, event);
        }
        break;
    case MAIL_AT_CAPABILITY:
        take_ehlo_reply(server, code, line, out, event);
        break;
    case MAIL_AT_STARTTLS:
        if (code == 220) {
            server->at = MAIL_AT_HANDSHAKE;
            *event = MAIL_SERVER_STARTTLS;
        } else if (is_temporary(code)) {
            mail_server_put_off(server, line, event);
        } else {
            mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, line, event);
        }
        break;
    case MAIL_AT_XCLIENT:
        take_xclient_reply(server, code, line, out, event);
        break;
    case MAIL_AT_LOGIN:
        if (server->mail_from.len != 0) {
            take_mail_reply(server, code, line, event);
        } else if (code == 334) {
            mail_prove_continue(server, slice_from_at(line, 4), out, event);
        } else {
            take_login_reply(server, code, line, event);
        }
        break;
    case MAIL_AT_HANDSHAKE:
    case MAIL_AT_END:
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
        break;
    }
}

/* "250-SIZE 100", "250 OK", also "250" alone. 0: none of them. */
static unsigned code_of(struct slice line, bool *is_last)
{
    unsigned code = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i >= line.len || line.ptr[i] < '0' || line.ptr[i] > '9') {
            return 0;
        }
        code = code * 10 + (unsigned)(line.ptr[i] - '0');
    }
    *is_last = line.len == 3 || line.ptr[3] == ' ';
    return (*is_last || line.ptr[3] == '-') && code >= 200 && code <= 559 ? code : 0;
}

static void take_line(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct slice line = buf_slice(&server->line);
    bool is_last = false;
    unsigned code = code_of(line, &is_last);
    bool is_first = server->reply_code == 0;
    if (code == 0 || (!is_first && code != server->reply_code)) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
        return;
    }
    server->reply_code = (uint16_t)code;
    if (++server->lines > MAIL_SERVER_LINES_MAX) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("too many lines"), event);
        return;
    }
    if (server->at == MAIL_AT_CAPABILITY && code == 250 && !is_first) {
        note_keyword(server, slice_from_at(line, 4));
    }
    if (is_last) {
        server->reply_code = 0;
        take_reply(server, code, line, out, event);
    }
}

/* -- the dialect -- */

static void smtp_secured(struct mail_server *server, struct buf *out)
{
    say_ehlo(server, out);
}

static void smtp_goodbye(struct mail_server *server, struct buf *out)
{
    (void)server;
    mail_line_say(out, "QUIT");
}

const struct mail_server_dialect smtp_server = {
    .take_line = take_line,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
};
