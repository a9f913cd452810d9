/*
 * sieve_server - logs in to a server of ManageSieve (RFC 5804).
 *
 *     capabilities, OK -> [STARTTLS -> handshake -> capabilities, OK]
 *         -> [XCLIENT -> OK] -> AUTHENTICATE -> OK, NO
 *
 * The server names its capabilities by itself, at the beginning and behind TLS (RFC 5804 2.2).
 * XCLIENT is Dovecot's.
 */
#include "lbd/base/compiler.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_server.h"
#include "lbd/mail/mail_xclient.h"
#include "lbd/mail/sasl.h"

#define QUOTED_MAX 1024U /* RFC 5804 4: longer strings are literals */

/* server->flags */
enum {
    HAS_STARTTLS = 1,
    /* MAIL_MECHANISM_BITs of what it named stand from bit 8 on */
};
#define MECHANISM_SHIFT 8U

/* server->step, at MAIL_AT_LOGIN: what the next string of the server asks for */
enum {
    ASKS_NOTHING,
    ASKS_MESSAGE,
    ASKS_SECOND,
    ASKS_CHALLENGE,
};

static void append_string(struct slice text, struct buf *out)
{
    enum { AROUND = 32 };
    (void)buf_reserve(out, text.len + AROUND); /* memory that is outgrown holds no secret */
    if (text.len <= QUOTED_MAX) {
        mail_quoted_append(out, text);
        return;
    }
    buf_printf(out, "{%zu+}\r\n", text.len);
    buf_append_slice(out, text);
}

static void append_message(const struct sasl_proof *proof, bool is_second, struct buf *out)
{
    struct buf message;
    buf_init(&message, (size_t)2 * MAIL_SASL_LINE_MAX);
    (void)buf_reserve(&message, message.max);
    if (is_second) {
        sasl_write_second(proof, &message);
    } else {
        sasl_write(proof, &message);
    }
    append_string(buf_slice(&message), out);
    mail_line_fini(&message);
}

/* -- capabilities -- */

static void learn_mechanisms(struct mail_server *server, struct slice list)
{
    struct slice word;
    enum mail_mechanism mechanism;
    while (mail_word_next(&list, &word)) {
        if (sasl_mechanism_find(word, &mechanism)) {
            server->flags |= MAIL_MECHANISM_BIT(mechanism) << MECHANISM_SHIFT;
        }
    }
}

static bool is_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* `"KEY"`, or `"KEY" "value"`. It is kept without its quotes, as the lists of the other protocols
 * are. False: it is neither. */
static bool learn(struct mail_server *server, struct mail_words words)
{
    struct slice key;
    struct slice value = SLICE_NONE;
    if (!mail_words_string(&words, &key)) {
        return false;
    }
    bool has_value = mail_words_char(&words, ' ');
    if ((has_value && !mail_words_string(&words, &value)) || !mail_words_is_end(&words) ||
        !is_text(key) || !is_text(value) || slice_find(key, ' ') != SIZE_MAX) {
        return false;
    }
    if (slice_eq_nocase(key, SLICE("SASL"))) {
        learn_mechanisms(server, value);
    } else if (slice_eq_nocase(key, SLICE("STARTTLS"))) {
        server->flags |= HAS_STARTTLS;
    } else if (slice_eq_nocase(key, SLICE("XCLIENT"))) {
        server->xclient_left =
            mail_xclient_set(value.len > 0 ? value : SLICE("ADDR PORT SESSION TTL"));
    }
    if (server->capabilities.len > 0) {
        buf_append_char(&server->capabilities, '\n');
    }
    buf_append_slice(&server->capabilities, key);
    if (has_value) {
        buf_append_char(&server->capabilities, ' ');
        buf_append_slice(&server->capabilities, value);
    }
    return !server->capabilities.overflow;
}

/* -- ours -- */

static bool proof_of(struct mail_server *server, struct sasl_proof *proof)
{
    if (!mail_server_proof(server, proof)) {
        return false;
    }
    proof->mechanism = (enum mail_mechanism)server->mechanism;
    return true;
}

static void after_message(struct mail_server *server)
{
    server->step = mail_mechanism_is_token(server->mechanism) ? ASKS_CHALLENGE : ASKS_NOTHING;
}

static void log_in(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct sasl_proof proof;
    uint32_t offered = server->flags >> MECHANISM_SHIFT;
    if (!mail_server_proof(server, &proof) || !mail_server_choose(server, offered, &proof) ||
        proof.mechanism == MAIL_LOGIN_COMMAND) {
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, buf_slice(&server->capabilities), event);
        return;
    }
    server->at = MAIL_AT_LOGIN;
    buf_append_text(out, "AUTHENTICATE ");
    mail_quoted_append(out, slice_from(mail_mechanism_word(proof.mechanism)));
    if (proof.mechanism == MAIL_LOGIN) {
        server->step = ASKS_MESSAGE;
    } else {
        buf_append_char(out, ' ');
        append_message(&proof, false, out);
        after_message(server);
    }
    buf_append_text(out, "\r\n");
}

/* False: there is nothing to tell, or it was told. */
static bool tell_client(struct mail_server *server, struct buf *out)
{
    if (!server->terms->tells_client || server->origin == NULL || server->xclient_left == 0 ||
        !mail_xclient_write(MAIL_SIEVE, server->origin, server->user, &server->xclient_left, out)) {
        return false;
    }
    server->at = MAIL_AT_XCLIENT;
    return true;
}

/* The list of capabilities is whole. */
static void go_on(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    if (server->capabilities.len == 0) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("no capabilities"), event);
    } else if (server->terms->starttls && !server->is_secure) {
        if ((server->flags & HAS_STARTTLS) == 0) {
            mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, buf_slice(&server->capabilities),
                             event);
            return;
        }
        server->at = MAIL_AT_STARTTLS;
        buf_append_text(out, "STARTTLS\r\n");
    } else if (mail_server_is_bare_check(server)) {
        mail_server_welcome(server, SLICE_NONE, event);
    } else if (!tell_client(server, out)) {
        log_in(server, out, event);
    }
}

/* -- the server's lines -- */

/* `(CODE "argument") "text"`, each optional. */
struct reply {
    struct slice code; /* its first word */
    struct slice text;
};

static bool read_reply(struct mail_words words, struct reply *reply)
{
    struct slice argument;
    *reply = (struct reply){0};
    if (mail_words_is_end(&words)) {
        return true;
    }
    if (!mail_words_char(&words, ' ')) {
        return false;
    }
    if (mail_words_char(&words, '(')) {
        if (!mail_words_atom(&words, &reply->code)) {
            return false;
        }
        while (mail_words_char(&words, ' ')) {
            if (!mail_words_astring(&words, &argument)) {
                return false;
            }
        }
        if (!mail_words_char(&words, ')')) {
            return false;
        }
        if (mail_words_is_end(&words)) {
            return true;
        }
        if (!mail_words_char(&words, ' ')) {
            return false;
        }
    }
    return mail_words_string(&words, &reply->text) && mail_words_is_end(&words);
}

static void on_ok(struct mail_server *server, struct slice text, struct buf *out,
                  enum mail_server_event *event)
{
    switch ((enum mail_server_at)server->at) {
    case MAIL_AT_BANNER:
    case MAIL_AT_CAPABILITY:
    case MAIL_AT_XCLIENT:
        go_on(server, out, event);
        break;
    case MAIL_AT_STARTTLS:
        server->at = MAIL_AT_HANDSHAKE;
        *event = MAIL_SERVER_STARTTLS;
        break;
    case MAIL_AT_LOGIN:
        mail_server_welcome(server, text, event);
        break;
    case MAIL_AT_HANDSHAKE:
    case MAIL_AT_END:
        mail_server_fail(server, CLOSE_BAD_RESPONSE, text, event);
        break;
    }
}

static void on_no(struct mail_server *server, const struct reply *reply, struct buf *out,
                  enum mail_server_event *event)
{
    struct buf words; /* "(CODE) text" */
    buf_init(&words, MAIL_SERVER_LINE_MAX + 8);
    if (reply->code.len > 0) {
        buf_append_char(&words, '(');
        buf_append_slice(&words, reply->code);
        buf_append_text(&words, ") ");
    }
    buf_append_slice(&words, reply->text);
    struct slice text = buf_slice(&words);
    if (server->at == MAIL_AT_XCLIENT) {
        server->xclient_left = 0; /* it was a courtesy */
        log_in(server, out, event);
    } else if (server->at == MAIL_AT_STARTTLS) {
        mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, text, event);
    } else if (slice_eq_nocase(reply->code, SLICE("TRYLATER"))) {
        mail_server_put_off(server, text, event);
    } else if (server->at != MAIL_AT_LOGIN) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, text, event);
    } else if (mail_word_in(SLICE("ENCRYPT-NEEDED AUTH-TOO-WEAK"), reply->code)) {
        mail_server_refuse(server, MAIL_INTERNAL, text, event);
    } else if (reply->code.len == 0 || slice_eq_nocase(reply->code, SLICE("REFERRAL"))) {
        mail_server_refuse(server, MAIL_REFUSED, text, event);
    } else {
        mail_server_refuse(server, MAIL_REFUSED_AS_IS, text, event);
    }
    buf_fini(&words);
}

/* A question of the mechanism. */
static void on_string(struct mail_server *server, struct mail_words words, struct buf *out,
                      enum mail_server_event *event)
{
    struct sasl_proof proof;
    struct slice text;
    if (server->step == ASKS_NOTHING || !mail_words_string(&words, &text) ||
        !mail_words_is_end(&words) || !proof_of(server, &proof)) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
        return;
    }
    switch (server->step) {
    case ASKS_MESSAGE:
        append_message(&proof, false, out);
        server->step = ASKS_SECOND;
        break;
    case ASKS_SECOND:
        append_message(&proof, true, out);
        server->step = ASKS_NOTHING;
        break;
    case ASKS_CHALLENGE: /* RFC 7628 3.2.3 */
        buf_clear(&server->text);
        buf_append_slice(&server->text, is_text(text) ? text : SLICE_NONE);
        buf_append_text(out, proof.mechanism == MAIL_OAUTHBEARER ? "\"AQ==\"" : "\"\"");
        server->step = ASKS_NOTHING;
        *event = MAIL_SERVER_CHALLENGE;
        break;
    }
    buf_append_text(out, "\r\n");
}

static void take_line(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct mail_words words = mail_words_of(&server->line);
    struct reply reply;
    struct slice word;
    bool lists = server->at == MAIL_AT_BANNER || server->at == MAIL_AT_CAPABILITY;
    if (server->line.len > 0 && (*words.at == '"' || *words.at == '{')) {
        if (server->at == MAIL_AT_LOGIN) {
            on_string(server, words, out, event);
        } else if (server->at == MAIL_AT_STARTTLS) {
            mail_server_fail(server, CLOSE_SERVER_STARTTLS_INJECTION, buf_slice(&server->line),
                             event);
        } else if (++server->lines > MAIL_SERVER_LINES_MAX || !lists || !learn(server, words)) {
            mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
        }
        return;
    }
    bool is_reply = mail_words_atom(&words, &word) && read_reply(words, &reply);
    if (is_reply && slice_eq_nocase(word, SLICE("OK"))) {
        on_ok(server, reply.text, out, event);
    } else if (is_reply && slice_eq_nocase(word, SLICE("NO"))) {
        on_no(server, &reply, out, event);
    } else if (is_reply && slice_eq_nocase(word, SLICE("BYE"))) {
        mail_server_put_off(server, reply.text, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
    }
}

/* Text comes in quotes: what ends as a literal does is one. */
static bool may_have_literal(struct slice line)
{
    (void)line;
    return true;
}

static void secured(struct mail_server *server, struct buf *out)
{
    (void)out;
    server->at = MAIL_AT_CAPABILITY;
}

static void goodbye(struct mail_server *server, struct buf *out)
{
    server->at = MAIL_AT_END;
    buf_append_text(out, "LOGOUT\r\n");
}

const struct mail_server_dialect sieve_server = {
    .take_line = take_line,
    .may_have_literal = may_have_literal,
    .secured = secured,
    .goodbye = goodbye,
};
