/*
 * imap_server - logs in to a server of IMAP4rev1 or rev2 (RFC 3501, 9051).
 *
 *     banner -> [C CAPABILITY] -> [S STARTTLS -> handshake -> C CAPABILITY]
 *         -> [I ID and] L LOGIN, or L AUTHENTICATE -> "+" ... -> L OK [-> C CAPABILITY], L NO
 *
 * Our tags are single letters: I, C, S, L and Z. ID and the login leave together. Of what comes
 * before the answer to the login, lists of capabilities are kept as such and other lines for the
 * client, whole. A server that lets in without its list is asked for it: clients would hold on to
 * ours, and literals that nobody waits for would become commands.
 */
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_id.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_prove.h"
#include "lbd/mail/mail_server.h"
#include "lbd/mail/sasl.h"

/* server->flags */
enum {
    HAS_CAPABILITIES = 1, /* they are of the present state: in clear, behind TLS, logged in */
    IS_IN = 2,            /* the login has succeeded, and the list is asked for */
};

/* server->step, at MAIL_AT_LOGIN, beside those of mail_prove: LOGIN waits for a "+" */
enum {
    ASKS_USER = MAIL_PROVE_STEPS, /* and then sends the literal */
    ASKS_PASSWORD,
    ASKS_NOTHING,
};

static struct slice capabilities(const struct mail_server *server)
{
    return buf_slice(&server->capabilities);
}

static bool can(const struct mail_server *server, const char *word)
{
    return mail_word_in(capabilities(server), slice_from(word));
}

/* May it stand inside of brackets? */
static bool is_plain_char(char c)
{
    return c > ' ' && c < 0x7f && c != ']' && c != '"' && c != '\\';
}

static bool is_plain(struct slice word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (!is_plain_char(word.ptr[i])) {
            return false;
        }
    }
    return true;
}

/* Plain words with one space between them: as good lists come. */
static bool is_plain_list(struct slice list)
{
    bool is_word = false;
    for (size_t i = 0; i < list.len; i++) {
        if (!is_plain_char(list.ptr[i]) && (list.ptr[i] != ' ' || !is_word)) {
            return false;
        }
        is_word = list.ptr[i] != ' ';
    }
    return is_word;
}

/* A new list counts, and nothing of the one before. It goes to clients inside of brackets: words
 * that could leave them are left out. */
static void learn(struct mail_server *server, struct slice list)
{
    struct slice word;
    buf_clear(&server->capabilities);
    if (list.len > 0 && *list.ptr == ' ') {
        list = slice_from_at(list, 1);
    }
    if (is_plain_list(list)) {
        buf_append_slice(&server->capabilities, list);
        list = SLICE_NONE;
    }
    while (mail_word_next(&list, &word)) {
        if (!is_plain(word)) {
            continue;
        }
        if (server->capabilities.len > 0) {
            buf_append_char(&server->capabilities, ' ');
        }
        buf_append_slice(&server->capabilities, word);
    }
    if (server->capabilities.overflow || server->capabilities.len == 0) {
        buf_clear(&server->capabilities);
        server->flags &= ~(uint32_t)HAS_CAPABILITIES;
    } else {
        server->flags |= HAS_CAPABILITIES;
    }
}

/* Takes "[CODE ...] " off the front of a text. Empty: there is none. */
static struct slice take_code(struct slice *text)
{
    if (text->len == 0 || *text->ptr != '[') {
        return SLICE_NONE;
    }
    size_t end = slice_find(*text, ']');
    if (end == SIZE_MAX) {
        return SLICE_NONE;
    }
    struct slice code = slice_of(text->ptr + 1, end - 1);
    *text = slice_from_at(*text, end + 1);
    if (text->len > 0 && *text->ptr == ' ') {
        *text = slice_from_at(*text, 1);
    }
    return code;
}

/* Is it "[CAPABILITY ...]"? Then it is learnt and taken off. */
static bool learn_from_text(struct mail_server *server, struct slice *text)
{
    struct slice rest = *text;
    struct slice list = take_code(&rest);
    struct slice word;
    if (!mail_word_next(&list, &word) || !slice_eq_nocase(word, SLICE("CAPABILITY"))) {
        return false;
    }
    learn(server, list);
    *text = rest;
    return true;
}

/* -- ours -- */

static bool fits_quotes(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* " text", or as much of it as may be sent before a "+". True: the rest waits for it. */
static bool append_astring(const struct mail_server *server, struct slice text, struct buf *out)
{
    enum { AROUND = 32 };
    (void)buf_reserve(out, 2 * text.len + AROUND); /* memory that is outgrown holds no secret */
    if (fits_quotes(text)) {
        buf_append_char(out, ' ');
        mail_quoted_append(out, text);
        return false;
    }
    bool unasked = can(server, "LITERAL+") || /* RFC 7888 5: up to 4096 bytes */
                   ((can(server, "LITERAL-") || can(server, "IMAP4rev2")) && text.len <= 4096);
    buf_printf(out, unasked ? " {%zu+}\r\n" : " {%zu}\r\n", text.len);
    if (unasked) {
        buf_append_slice(out, text);
    }
    return !unasked;
}

static void ask_capability(struct mail_server *server, struct buf *out)
{
    server->at = MAIL_AT_CAPABILITY;
    buf_append_text(out, "C CAPABILITY\r\n");
}

/* LOGIN from where the last "+" left it. */
static void send_login(struct mail_server *server, const struct sasl_proof *proof, struct buf *out)
{
    switch (server->step) {
    case ASKS_NOTHING:
        buf_append_text(out, "L LOGIN");
        if (append_astring(server, proof->user, out)) {
            server->step = ASKS_USER;
            return;
        }
        break;
    case ASKS_USER:
        buf_append_slice(out, proof->user);
        break;
    case ASKS_PASSWORD:
        buf_append_slice(out, proof->secret);
        buf_append_text(out, "\r\n");
        server->step = ASKS_NOTHING;
        return;
    }
    if (append_astring(server, proof->secret, out)) {
        server->step = ASKS_PASSWORD;
        return;
    }
    buf_append_text(out, "\r\n");
    server->step = ASKS_NOTHING;
}

static void send_authenticate(struct mail_server *server, const struct sasl_proof *proof,
                              struct buf *out)
{
    buf_append_text(out, "L AUTHENTICATE ");
    buf_append_text(out, mail_mechanism_word(proof->mechanism));
    server->step = MAIL_PROVE_MESSAGE;
    if (can(server, "SASL-IR") && proof->mechanism != MAIL_LOGIN) { /* RFC 4959 */
        buf_append_char(out, ' ');
        sasl_write(proof, out);
        server->step = MAIL_PROVE_VERDICT;
    }
    buf_append_text(out, "\r\n");
}

/* What the server takes, of what may be shown to it as the connection is. */
static uint32_t offered(const struct mail_server *server, const struct sasl_proof *proof)
{
    static const struct {
        const char *word;
        enum mail_mechanism mechanism;
    } words[] = {
        {"AUTH=PLAIN", MAIL_PLAIN},
        {"AUTH=LOGIN", MAIL_LOGIN},
        {"AUTH=XOAUTH2", MAIL_XOAUTH2},
        {"AUTH=OAUTHBEARER", MAIL_OAUTHBEARER},
    };
    uint32_t bits = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (can(server, words[i].word)) {
            bits |= MAIL_MECHANISM_BIT(words[i].mechanism);
        }
    }
    if (!can(server, "LOGINDISABLED")) {
        bits |= MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND);
        if (!can(server, "SASL-IR") && proof->authzid.len == 0) { /* one round trip less */
            bits &= ~MAIL_MECHANISM_BIT(MAIL_PLAIN);
        }
    }
    return bits;
}

static void log_in(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct sasl_proof proof;
    if (!mail_server_proof(server, &proof) ||
        (can(server, "LOGINDISABLED") && !server->is_secure) ||
        !mail_server_choose(server, offered(server, &proof), &proof)) {
        mail_server_fail(server, CLOSE_SERVER_NO_LOGIN, capabilities(server), event);
        return;
    }
    if (server->terms->tells_client && server->origin != NULL && can(server, "ID")) {
        buf_append_text(out, "I ");
        imap_id_write(server->origin, out);
    }
    server->at = MAIL_AT_LOGIN;
    server->step = ASKS_NOTHING;
    if (proof.mechanism == MAIL_LOGIN_COMMAND) {
        send_login(server, &proof, out);
    } else {
        send_authenticate(server, &proof, out);
    }
    server->flags &= ~(uint32_t)HAS_CAPABILITIES; /* the next list is that of the user */
}

/* What comes next, with what is known? */
static void go_on(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    if ((server->flags & HAS_CAPABILITIES) == 0) {
        if (server->at == MAIL_AT_CAPABILITY) {
            mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("no capabilities"), event);
        } else {
            ask_capability(server, out);
        }
    } else if (server->terms->starttls && !server->is_secure) {
        if (!can(server, "STARTTLS")) {
            mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, capabilities(server), event);
            return;
        }
        server->at = MAIL_AT_STARTTLS;
        buf_append_text(out, "S STARTTLS\r\n");
    } else if (mail_server_is_bare_check(server)) {
        mail_server_welcome(server, SLICE_NONE, event);
    } else {
        log_in(server, out, event);
    }
}

/* -- the server's lines -- */

static void on_banner(struct mail_server *server, struct slice word, struct slice text,
                      struct buf *out, enum mail_server_event *event)
{
    if (slice_eq_nocase(word, SLICE("OK"))) {
        (void)learn_from_text(server, &text);
        go_on(server, out, event);
    } else if (slice_eq_nocase(word, SLICE("PREAUTH"))) {
        mail_server_fail(server, CLOSE_SERVER_PREAUTH, text, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
    }
}

static bool is_in(const struct mail_server *server)
{
    return (server->flags & IS_IN) != 0;
}

/* To be passed on, if the login succeeds. */
static void keep_line(struct mail_server *server)
{
    if (server->line_from == 0 && /* it has no literal */
        buf_reserve(&server->untagged, server->line.len + 2)) {
        buf_append_slice(&server->untagged, buf_slice(&server->line));
        buf_append_text(&server->untagged, "\r\n");
    }
}

static void on_untagged(struct mail_server *server, struct slice text, struct buf *out,
                        enum mail_server_event *event)
{
    struct slice word;
    (void)mail_word_next(&text, &word);
    struct slice rest = slice_trim(text);
    if (slice_eq_nocase(word, SLICE("BYE"))) {
        mail_server_put_off(server, rest, event);
    } else if (server->at == MAIL_AT_BANNER) {
        on_banner(server, word, rest, out, event);
    } else if (server->at == MAIL_AT_STARTTLS) {
        mail_server_fail(server, CLOSE_SERVER_STARTTLS_INJECTION, buf_slice(&server->line), event);
    } else if (++server->lines > MAIL_SERVER_LINES_MAX) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("too many untagged lines"), event);
    } else if (slice_eq_nocase(word, SLICE("CAPABILITY"))) {
        learn(server, rest);
    } else if (slice_eq_nocase(word, SLICE("OK")) && learn_from_text(server, &rest)) {
        return;
    } else if ((server->at == MAIL_AT_LOGIN || is_in(server)) &&
               !slice_eq_nocase(word, SLICE("ID"))) {
        keep_line(server);
    }
}

static void on_go_ahead(struct mail_server *server, struct slice text, struct buf *out,
                        enum mail_server_event *event)
{
    struct sasl_proof proof;
    if (server->at != MAIL_AT_LOGIN || server->step < MAIL_PROVE_STEPS) {
        mail_prove_continue(server, text, out, event);
    } else if (server->step == ASKS_NOTHING || !mail_server_proof(server, &proof)) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("+ unasked"), event);
    } else {
        send_login(server, &proof, out);
    }
}

static void on_refusal(struct mail_server *server, struct slice text, enum mail_server_event *event)
{
    struct slice rest = text;
    struct slice code = take_code(&rest);
    struct slice word;
    (void)mail_word_next(&code, &word);
    if (slice_eq_nocase(word, SLICE("UNAVAILABLE"))) {
        mail_server_put_off(server, text, event);
    } else if (mail_word_in(SLICE("SERVERBUG PRIVACYREQUIRED REFERRAL"), word)) {
        /* It is set up in a way that we are not; and a referral (RFC 2221) is for us, not for
         * clients, who do not know our servers. */
        mail_server_refuse(server, MAIL_INTERNAL, text, event);
    } else if (word.len == 0 || slice_eq_nocase(word, SLICE("AUTHENTICATIONFAILED")) ||
               slice_eq_nocase(word, SLICE("CAPABILITY"))) {
        /* Its own words could tell who exists. */
        mail_server_refuse(server, MAIL_REFUSED, text, event);
    } else {
        mail_server_refuse(server, MAIL_REFUSED_AS_IS, text, event);
    }
}

static void on_login_answer(struct mail_server *server, struct slice word, struct slice text,
                            struct buf *out, enum mail_server_event *event)
{
    if (slice_eq_nocase(word, SLICE("OK"))) {
        (void)learn_from_text(server, &text);
        mail_server_welcome(server, text, event);
        if ((server->flags & HAS_CAPABILITIES) == 0) {
            buf_clear(&server->capabilities); /* they were those of before */
            if (!server->terms->is_check) {
                server->flags |= IS_IN;
                ask_capability(server, out);
                *event = MAIL_SERVER_MORE;
            }
        }
    } else if (slice_eq_nocase(word, SLICE("NO"))) {
        on_refusal(server, text, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
    }
}

/* With the text of the answer to the login, and with or without a list: it was asked. */
static void let_in(struct mail_server *server, enum mail_server_event *event)
{
    server->at = MAIL_AT_END;
    server->welcome.capabilities = capabilities(server);
    server->welcome.untagged = buf_slice(&server->untagged);
    *event = MAIL_SERVER_READY;
}

static void on_tagged(struct mail_server *server, char tag, struct slice text, struct buf *out,
                      enum mail_server_event *event)
{
    struct slice word;
    (void)mail_word_next(&text, &word);
    bool is_ok = slice_eq_nocase(word, SLICE("OK"));
    text = slice_trim(text);
    if (tag == 'I' && server->at == MAIL_AT_LOGIN) {
        return; /* it was a courtesy */
    }
    if (tag == 'L' && server->at == MAIL_AT_LOGIN) {
        on_login_answer(server, word, text, out, event);
    } else if (tag == 'C' && server->at == MAIL_AT_CAPABILITY) {
        (void)(is_ok && learn_from_text(server, &text));
        if (is_in(server)) {
            let_in(server, event);
        } else {
            go_on(server, out, event);
        }
    } else if (tag == 'S' && server->at == MAIL_AT_STARTTLS && is_ok) {
        server->at = MAIL_AT_HANDSHAKE;
        *event = MAIL_SERVER_STARTTLS;
    } else if (tag == 'S' && server->at == MAIL_AT_STARTTLS) {
        mail_server_fail(server, CLOSE_SERVER_NO_STARTTLS, text, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, buf_slice(&server->line), event);
    }
}

static void take_line(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct slice line = buf_slice(&server->line);
    if (line.len > 0 && *line.ptr == '+' && server->at != MAIL_AT_BANNER) {
        /* Exchange sends no space. */
        on_go_ahead(server, slice_trim(slice_from_at(line, 1)), out, event);
    } else if (slice_starts(line, SLICE("* "))) {
        on_untagged(server, slice_from_at(line, 2), out, event);
    } else if (line.len > 2 && line.ptr[1] == ' ' && server->at != MAIL_AT_BANNER) {
        on_tagged(server, *line.ptr, slice_from_at(line, 2), out, event);
    } else {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, line, event);
    }
}

/* Lines of text may end in what looks like a literal, and have none. */
static bool may_have_literal(struct slice line)
{
    struct slice word;
    return slice_starts(line, SLICE("* ")) && mail_word_next(&line, &word) &&
           mail_word_next(&line, &word) && !mail_word_in(SLICE("OK NO BAD BYE PREAUTH"), word);
}

static void secured(struct mail_server *server, struct buf *out)
{
    ask_capability(server, out);
}

static void goodbye(struct mail_server *server, struct buf *out)
{
    server->at = MAIL_AT_END;
    buf_append_text(out, "Z LOGOUT\r\n");
}

const struct mail_server_dialect imap_server = {
    .take_line = take_line,
    .may_have_literal = may_have_literal,
    .secured = secured,
    .goodbye = goodbye,
};
