/*
 * pop3_server - how lbd logs in to a POP3 server (RFC 1939, 2449, 2595, 5034, Dovecot's XCLIENT).
 *
 *     banner -> [STLS -> TLS] -> [XCLIENT] -> [CAPA, of a check] -> USER, PASS or AUTH -> READY
 *
 * As mail_server.h has it. The server need not say what it can: passwords go by USER and PASS
 * where they fit into them, else by AUTH PLAIN (RFC 5034), whose message waits to be asked for, so
 * that no line is longer than the 255 bytes of RFC 2449. XCLIENT is said where the greeting has it.
 */
#include "lbd/base/compiler.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_prove.h"
#include "lbd/mail/mail_server.h"
#include "lbd/mail/mail_xclient.h"
#include "lbd/mail/sasl.h"

/* Of MAIL_AT_CAPABILITY. */
enum { STEP_CAPA, STEP_LIST };
/* Of MAIL_AT_LOGIN, beside those of AUTH. */
enum { STEP_USER = MAIL_PROVE_STEPS, STEP_PASS };
enum flag { HAS_XCLIENT = 1, SAID_XCLIENT = 2, SAID_CAPA = 4 };

/* -- the login -- */

/* Can it stand behind USER or PASS, in a line of 255 bytes, as every server reads it? */
static bool fits_line(struct slice text, bool allows_space)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f || (c == ' ' && !allows_space)) {
            return false;
        }
    }
    return text.len > 0 && text.len <= MAIL_POP3_LINE_MAX - 5 && text.ptr[0] != ' ' &&
           text.ptr[text.len - 1] != ' ';
}

static uint32_t possible(const struct sasl_proof *proof)
{
    uint32_t all = MAIL_MECHANISM_BIT(MAIL_XOAUTH2) | MAIL_MECHANISM_BIT(MAIL_OAUTHBEARER);
    bool fits = fits_line(proof->user, false) && fits_line(proof->secret, true);
    return all |
           MAIL_MECHANISM_BIT(fits && proof->authzid.len == 0 ? MAIL_LOGIN_COMMAND : MAIL_PLAIN);
}

static void say_login(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct sasl_proof proof;
    if (!mail_server_proof(server, &proof) ||
        !mail_server_choose(server, possible(&proof), &proof) ||
        (proof.mechanism == MAIL_LOGIN_COMMAND &&
         !(fits_line(proof.user, false) && fits_line(proof.secret, true)))) {
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, SLICE("no login that fits"), event);
        return;
    }
    if (proof.mechanism != MAIL_LOGIN_COMMAND) {
        mail_prove_begin(server, &proof, 0, out); /* some know the AUTH of RFC 1734 only */
        return;
    }
    server->at = MAIL_AT_LOGIN;
    server->step = STEP_USER;
    buf_append_text(out, "USER ");
    buf_append_slice(out, proof.user);
    mail_line_say(out, "");
}

static void ask_capabilities(struct mail_server *server, struct buf *out)
{
    mail_line_say(out, "CAPA");
    server->flags |= SAID_CAPA;
    server->at = MAIL_AT_CAPABILITY;
    server->step = STEP_CAPA;
}

/* Everything that stands between an answered greeting and the end. */
static void go_on(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    if (server->terms->starttls && !server->is_secure) {
        mail_line_say(out, "STLS");
        server->at = MAIL_AT_STARTTLS;
        return;
    }
    if ((server->flags & (HAS_XCLIENT | SAID_XCLIENT)) == HAS_XCLIENT && server->origin != NULL &&
        server->terms->tells_client) {
        uint32_t left = MAIL_XCLIENT_POP3;
        server->flags |= SAID_XCLIENT;
        if (mail_xclient_write(MAIL_POP3, server->origin, SLICE_NONE, &left, out)) {
            server->at = MAIL_AT_XCLIENT;
            return;
        }
    }
    if (server->terms->is_check && (server->flags & SAID_CAPA) == 0) {
        ask_capabilities(server, out);
        return;
    }
    if (server->login == NULL) {
        mail_server_welcome(server, SLICE_NONE, event);
        return;
    }
    say_login(server, out, event);
}

/* -- answers -- */

/* Takes "+OK" or "-ERR" and the space behind it off the front. */
static bool take_status(struct slice *line, struct slice status)
{
    if (!slice_eq_nocase(slice_of(line->ptr, line->len < status.len ? line->len : status.len),
                         status) ||
        (line->len > status.len && line->ptr[status.len] != ' ')) {
        return false;
    }
    *line = slice_from_at(*line, status.len + 1);
    return true;
}

static bool has_code(struct slice text, struct slice code)
{
    return text.len >= code.len && slice_eq_nocase(slice_of(text.ptr, code.len), code);
}

/* RFC 2449 8, RFC 3206. Without a code it may mean that there is no such user: not for others. */
static void take_refusal(struct mail_server *server, struct slice text,
                         enum mail_server_event *event)
{
    static const struct slice passed_on[] = {SLICE_INIT("[SYS/PERM]"), SLICE_INIT("[IN-USE]"),
                                             SLICE_INIT("[LOGIN-DELAY]")};
    if (has_code(text, SLICE("[SYS/TEMP]"))) {
        mail_server_put_off(server, text, event);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
        if (has_code(text, passed_on[i])) {
            mail_server_refuse(server, MAIL_REFUSED_AS_IS, text, event);
            return;
        }
    }
    mail_server_refuse(server, MAIL_REFUSED, text, event);
}

static void take_login_answer(struct mail_server *server, bool is_ok, struct slice text,
                              struct buf *out, enum mail_server_event *event)
{
    struct sasl_proof proof;
    if (!is_ok) {
        take_refusal(server, text, event);
        return;
    }
    switch (server->step) {
    case STEP_USER:
        if (mail_server_proof(server, &proof)) {
            buf_append_text(out, "PASS ");
            buf_append_slice(out, proof.secret);
            mail_line_say(out, "");
        }
        server->step = STEP_PASS;
        return;
    case STEP_PASS:
    case MAIL_PROVE_VERDICT:
        mail_server_welcome(server, text, event);
        return;
    default:
        break;
    }
    mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("a login that is not over"), event);
}

static void take_answer(struct mail_server *server, bool is_ok, struct slice text, struct buf *out,
                        enum mail_server_event *event)
{
    switch ((enum mail_server_at)server->at) {
    case MAIL_AT_BANNER:
        if (!is_ok) {
            mail_server_put_off(server, text, event);
            return;
        }
        server->flags |= has_code(text, SLICE("[XCLIENT]")) ? HAS_XCLIENT : 0;
        go_on(server, out, event);
        return;
    case MAIL_AT_STARTTLS:
        if (!is_ok) {
            mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, text, event);
            return;
        }
        server->at = MAIL_AT_HANDSHAKE;
        server->step = (uint8_t)(server->flags & HAS_XCLIENT);
        *event = MAIL_SERVER_STARTTLS;
        return;
    case MAIL_AT_XCLIENT: /* refused: then it sees our address */
        go_on(server, out, event);
        return;
    case MAIL_AT_CAPABILITY:
        if (is_ok) {
            server->step = STEP_LIST;
        } else { /* RFC 2449 is optional */
            go_on(server, out, event);
        }
        return;
    case MAIL_AT_LOGIN:
        take_login_answer(server, is_ok, text, out, event);
        return;
    case MAIL_AT_HANDSHAKE:
    case MAIL_AT_END:
        break;
    }
    mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("an answer to nothing"), event);
}

static void take_capability(struct mail_server *server, struct slice line, struct buf *out,
                            enum mail_server_event *event)
{
    if (slice_eq(line, SLICE("."))) {
        go_on(server, out, event);
    } else if (++server->lines > MAIL_SERVER_LINES_MAX) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("too many lines"), event);
    } else {
        if (server->capabilities.len > 0) {
            buf_append_char(&server->capabilities, '\n');
        }
        buf_append_slice(&server->capabilities, line);
    }
}

static void take_line(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct slice line = buf_slice(&server->line);
    if (server->at == MAIL_AT_CAPABILITY && server->step == STEP_LIST) {
        take_capability(server, line, out, event);
    } else if (take_status(&line, SLICE("+OK"))) {
        take_answer(server, true, line, out, event);
    } else if (take_status(&line, SLICE("-ERR"))) {
        take_answer(server, false, line, out, event);
    } else if (take_status(&line, SLICE("+"))) {
        mail_prove_continue(server, line, out, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
    }
}

/* -- the dialect -- */

/* There is no second greeting (RFC 2595 4): that it takes XCLIENT was said in clear, which costs an
 * answer of "no" at worst. */
static void pop3_secured(struct mail_server *server, struct buf *out)
{
    enum mail_server_event event = MAIL_SERVER_MORE;
    server->flags |= server->step;
    go_on(server, out, &event);
    if (event != MAIL_SERVER_MORE) { /* it comes with the next answer, whatever that is */
        ask_capabilities(server, out);
    }
}

static void pop3_goodbye(struct mail_server *server, struct buf *out)
{
    (void)server;
    mail_line_say(out, "QUIT");
}

const struct mail_server_dialect pop3_server = {
    .take_line = take_line,
    .secured = pop3_secured,
    .goodbye = pop3_goodbye,
};
