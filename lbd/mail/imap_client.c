/*
 * imap_client - IMAP4rev1 and rev2 (RFC 3501, 9051) with a client that is not logged in.
 *
 *     AT_LINE --whole command, with its literals--> answered, or
 *         AUTHENTICATE --> AT_SASL --> AT_LOGIN_SENT
 *         LOGIN ---------------------> AT_LOGIN_SENT --accept, refuse--> AT_LINE
 *
 * A command is collected with its literals, then taken apart; so what a literal holds is never a
 * command, whoever sent it.
 */
#include <assert.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_id.h"
#include "lbd/mail/imap_lines.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_command.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/sasl.h"

enum {
    AT_LINE,
    AT_SASL,
    AT_LOGIN_SENT,
};

/* client->flags */
enum {
    ASKED_CAPABILITY = 1,
    CHALLENGED = 2, /* the next line answers a challenge, and nobody wants it */
};

/* AUTHENTICATE may bring the first message with it (RFC 4959). */
#define AUTHENTICATE_MAX (MAIL_SASL_LINE_MAX + 256U)

static struct slice tag_of(const struct mail_client *client)
{
    return client->tag_len > 0 ? slice_of(client->tag, client->tag_len) : SLICE("*");
}

static void answer(struct mail_client *client, const char *text, struct buf *out)
{
    buf_append_slice(out, tag_of(client));
    buf_append_char(out, ' ');
    buf_append_text(out, text);
    buf_append_text(out, "\r\n");
}

static void bad(struct mail_client *client, const char *text, struct buf *out,
                enum mail_client_event *event)
{
    answer(client, text, out);
    mail_client_note_bad(client, out, event);
}

static const char wants_tls[] = "NO [PRIVACYREQUIRED] Login is not allowed without TLS.";

/* Why LOGIN need not ask for a password; NULL: it may. */
static const char *why_no_login(const struct mail_client *client)
{
    if (!mail_client_may_login(client)) {
        return wants_tls;
    }
    return mail_client_offers(client, MAIL_LOGIN_COMMAND) ? NULL : "NO [CANNOT] Use AUTHENTICATE.";
}

/* -- capabilities -- */

/* Words that are ours to say. */
static bool is_own_word(struct slice word)
{
    return mail_word_in(SLICE("IMAP4rev1 LITERAL+ LITERAL- SASL-IR ID STARTTLS LOGINDISABLED "
                              "LOGIN-REFERRALS UNAUTHENTICATE"),
                        word) ||
           (word.len >= 5 && slice_eq_nocase(slice_of(word.ptr, 5), SLICE("AUTH=")));
}

static void append_capabilities(const struct mail_client *client, struct buf *out)
{
    buf_append_text(out, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID");
    struct slice rest = client->keywords;
    struct slice word;
    while (mail_word_next(&rest, &word)) {
        if (!is_own_word(word)) {
            buf_append_char(out, ' ');
            buf_append_slice(out, word);
        }
    }
    if (client->offer->has_starttls && !client->is_secure) {
        buf_append_text(out, " STARTTLS");
    }
    if (why_no_login(client) != NULL) {
        buf_append_text(out, " LOGINDISABLED");
    }
    mail_auth_list(client, " AUTH=", " AUTH=", "", out);
}

static void greet(struct mail_client *client, struct buf *out)
{
    buf_append_text(out, "* OK [");
    append_capabilities(client, out);
    buf_append_text(out, "] ");
    buf_append_slice(out, client->offer->host);
    if (client->offer->greeting.len > 0) {
        buf_append_char(out, ' ');
        buf_append_slice(out, client->offer->greeting);
    }
    buf_append_text(out, "\r\n");
}

/* -- logins -- */

/* An AUTH that is over, and no login. */
static const char *words_of(enum mail_auth auth)
{
    switch (auth) {
    case MAIL_AUTH_DONE:
    case MAIL_AUTH_ASK:
        break;
    case MAIL_AUTH_CANCELLED: /* RFC 9051 6.2.2 wants BAD for these two */
        return "BAD Authentication cancelled.";
    case MAIL_AUTH_MALFORMED:
        return "BAD Malformed authentication message.";
    case MAIL_AUTH_UNKNOWN:
        return "NO [CANNOT] Unsupported authentication mechanism.";
    case MAIL_AUTH_SYNTAX:
        return "BAD AUTHENTICATE takes a mechanism and at most one message.";
    case MAIL_AUTH_NEEDS_TLS:
        return wants_tls;
    case MAIL_AUTH_WRONG:
        return "NO [AUTHENTICATIONFAILED] Authentication failed.";
    case MAIL_AUTH_NO_USER:
        return "NO [CANNOT] This mechanism needs the name of the user.";
    }
    return "";
}

/* Where a login has come to. */
static void on_auth(struct mail_client *client, enum mail_auth auth, struct buf *out,
                    enum mail_client_event *event)
{
    client->state = AT_LINE;
    if (auth == MAIL_AUTH_DONE) {
        client->state = AT_LOGIN_SENT;
    } else if (auth == MAIL_AUTH_ASK) {
        client->state = AT_SASL;
        mail_line_quote(out, "+ ", sasl_question(&client->login));
    } else {
        answer(client, words_of(auth), out);
    }
    mail_auth_note(client, auth, out, event);
}

static void do_login(struct mail_client *client, struct mail_words words, struct buf *out,
                     enum mail_client_event *event)
{
    struct slice user;
    struct slice password;
    const char *why = why_no_login(client);
    if (why != NULL) {
        bad(client, why, out, event);
        return;
    }
    bool has_both = mail_words_spaces(&words) && mail_words_astring(&words, &user) &&
                    mail_words_spaces(&words) && mail_words_astring(&words, &password);
    (void)mail_words_spaces(&words);
    if (!has_both || !mail_words_is_end(&words) || password.len > MAIL_PASSWORD_MAX) {
        bad(client, "BAD LOGIN takes a user name and a password.", out, event);
        return;
    }
    mail_login_wipe(&client->login);
    client->login.mechanism = MAIL_LOGIN_COMMAND;
    bool is_possible = mail_login_set_user(&client->login, user) &&
                       slice_find(password, '\0') == SIZE_MAX &&
                       mail_login_set_secret(&client->login, password, MAIL_PASSWORD_MAX);
    on_auth(client, is_possible ? MAIL_AUTH_DONE : MAIL_AUTH_WRONG, out, event);
}

/* -- commands -- */

static void do_starttls(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    if (client->is_secure) {
        bad(client, "BAD TLS is already active.", out, event);
    } else if (!client->offer->has_starttls) {
        bad(client, "BAD TLS is not available.", out, event);
    } else {
        answer(client, "OK Begin TLS negotiation now.", out);
        *event = MAIL_CLIENT_STARTTLS;
    }
}

static void do_capability(struct mail_client *client, struct buf *out)
{
    buf_append_text(out, "* ");
    append_capabilities(client, out);
    buf_append_text(out, "\r\n");
    answer(client, "OK CAPABILITY completed.", out);
    client->flags |= ASKED_CAPABILITY;
}

/* RFC 2971. What it says of others counts if it is trusted, what it says of itself does not. */
static void do_id(struct mail_client *client, struct mail_words words, struct buf *out,
                  enum mail_client_event *event)
{
    struct mail_behind behind = client->behind;
    bool has_arguments = mail_words_spaces(&words) && !mail_words_is_end(&words);
    if (has_arguments && !imap_id_read(words, &behind)) {
        bad(client, "BAD Malformed ID.", out, event);
        return;
    }
    if (client->is_trusted) {
        client->behind = behind;
    }
    buf_append_text(out, "* ID (\"name\" \"lbd\")\r\n");
    answer(client, "OK ID completed.", out);
}

static void do_logout(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    buf_append_text(out, "* BYE Logging out\r\n");
    answer(client, "OK Logout completed.", out);
    client->reason = CLOSE_OK;
    *event = MAIL_CLIENT_CLOSE;
}

enum verb {
    VERB_NONE,
    VERB_CAPABILITY,
    VERB_NOOP,
    VERB_LOGOUT,
    VERB_ID,
    VERB_STARTTLS,
    VERB_LOGIN,
    VERB_AUTHENTICATE,
};

static enum verb verb_of(struct slice word)
{
    static const struct {
        struct slice word;
        enum verb verb;
    } verbs[] = {
        {SLICE_INIT("CAPABILITY"), VERB_CAPABILITY},
        {SLICE_INIT("NOOP"), VERB_NOOP},
        {SLICE_INIT("LOGOUT"), VERB_LOGOUT},
        {SLICE_INIT("ID"), VERB_ID},
        {SLICE_INIT("STARTTLS"), VERB_STARTTLS},
        {SLICE_INIT("LOGIN"), VERB_LOGIN},
        {SLICE_INIT("AUTHENTICATE"), VERB_AUTHENTICATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (slice_eq_nocase(word, verbs[i].word)) {
            return verbs[i].verb;
        }
    }
    return VERB_NONE;
}

/* Takes "tag verb" off the front; the tag becomes the client's. False: it has no tag. */
static bool read_begin(struct mail_client *client, struct mail_words *words, enum verb *verb)
{
    struct slice tag = mail_words_until_space(words);
    client->tag_len = 0;
    if (tag.len == 0 || tag.len > MAIL_IMAP_TAG_MAX) {
        return false;
    }
    for (size_t i = 0; i < tag.len; i++) {
        if (!imap_lines_is_tag_char(tag.ptr[i])) {
            return false;
        }
    }
    memcpy(client->tag, tag.ptr, tag.len);
    client->tag_len = (uint16_t)tag.len;
    *verb = mail_words_char(words, ' ') ? verb_of(mail_words_until_space(words)) : VERB_NONE;
    return true;
}

/* The whole command lies in client->line. */
static void run(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    struct mail_words words = mail_words_of(&client->line);
    enum verb verb;
    if (!read_begin(client, &words, &verb)) {
        bad(client, "BAD Invalid tag.", out, event);
        return;
    }
    struct mail_words rest = words;
    (void)mail_words_spaces(&rest);
    bool has_more = !mail_words_is_end(&rest);
    bool wants_more = verb == VERB_ID || verb == VERB_LOGIN || verb == VERB_AUTHENTICATE;
    if (has_more && !wants_more && verb != VERB_NONE) {
        bad(client, "BAD Too many arguments.", out, event);
        return;
    }
    switch (verb) {
    case VERB_NONE:
        bad(client, "BAD Unknown command, or not before login.", out, event);
        break;
    case VERB_CAPABILITY:
        do_capability(client, out);
        break;
    case VERB_NOOP:
        answer(client, "OK NOOP completed.", out);
        break;
    case VERB_LOGOUT:
        do_logout(client, out, event);
        break;
    case VERB_ID:
        do_id(client, words, out, event);
        break;
    case VERB_STARTTLS:
        do_starttls(client, out, event);
        break;
    case VERB_LOGIN:
        do_login(client, words, out, event);
        break;
    case VERB_AUTHENTICATE:
        on_auth(client, mail_auth_begin(client, slice_of(words.at, (size_t)(words.end - words.at))),
                out, event);
        break;
    }
}

/* -- bytes -- */

/* A line ends with a literal. What must not come is refused before it was sent; what comes
 * unasked is taken, or it is the end. */
static void begin_literal(struct mail_client *client, const struct mail_literal *literal,
                          struct buf *out, enum mail_client_event *event)
{
    struct mail_words words = mail_words_of(&client->line);
    enum verb verb = VERB_NONE;
    bool has_tag = read_begin(client, &words, &verb);
    bool is_too_big = literal->bytes > MAIL_IMAP_LITERAL_MAX ||
                      literal->bytes > MAIL_IMAP_COMMAND_MAX - client->literal_sum;
    if (is_too_big && !literal->is_waiting) {
        answer(client, "BAD [TOOBIG] Literal too long.", out);
        mail_client_close(client, CLOSE_COMMAND_TOO_LONG, out, event);
        return;
    }
    if (literal->is_waiting) {
        const char *why = NULL;
        if (!has_tag) {
            why = "BAD Invalid tag.";
        } else if (verb != VERB_LOGIN && verb != VERB_ID) {
            why = "BAD Unknown command, or not before login.";
        } else if (is_too_big) {
            why = "BAD [TOOBIG] Literal too long.";
        } else if (verb == VERB_LOGIN) {
            why = why_no_login(client);
        }
        if (why != NULL) {
            bad(client, why, out, event);
            mail_command_end(client);
            return;
        }
        buf_append_text(out, "+ OK\r\n");
    }
    mail_command_expect(client, literal);
}

/* Does the line begin "tag AUTHENTICATE "? Only then it may be long. */
static bool is_authenticate(const struct mail_client *client)
{
    struct slice rest = buf_slice(&client->line);
    struct slice word;
    return mail_word_next(&rest, &word) && mail_word_next(&rest, &word) &&
           verb_of(word) == VERB_AUTHENTICATE;
}

static size_t line_max(const struct mail_client *client)
{
    if (client->state == AT_SASL) {
        return MAIL_SASL_LINE_MAX;
    }
    if (client->line_from == 0 && client->line.len >= MAIL_IMAP_LINE_MAX &&
        is_authenticate(client)) {
        return AUTHENTICATE_MAX;
    }
    return MAIL_IMAP_LINE_MAX + client->literal_sum;
}

static void line_done(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    struct mail_literal literal;
    struct slice line = slice_from_at(buf_slice(&client->line), client->line_from);
    if (client->state == AT_SASL) {
        on_auth(client, mail_auth_continue(client), out, event);
    } else if ((client->flags & CHALLENGED) != 0 && slice_find(line, ' ') == SIZE_MAX) {
        client->flags &= (uint16_t)~CHALLENGED;
    } else if (mail_literal_read(line, &literal)) {
        begin_literal(client, &literal, out, event);
        return;
    } else {
        client->flags &= (uint16_t)~CHALLENGED;
        run(client, out, event);
    }
    mail_command_end(client);
}

static size_t feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                   enum mail_client_event *event)
{
    assert(client->state != AT_LOGIN_SENT);
    if (client->literal_left > 0) {
        return mail_line_take_literal(&client->line, bytes, len, &client->literal_left);
    }
    /* At this length the command's name decides how long it may become. */
    size_t max = line_max(client);
    if (client->line.len < MAIL_IMAP_LINE_MAX && len > MAIL_IMAP_LINE_MAX - client->line.len) {
        len = MAIL_IMAP_LINE_MAX - client->line.len;
    }
    enum mail_line_end end;
    size_t used = mail_line_take(&client->line, max, bytes, len, &end);
    switch (end) {
    case MAIL_LINE_MORE:
        break;
    case MAIL_LINE_WHOLE:
    case MAIL_LINE_BARE_LF:
        line_done(client, out, event);
        break;
    case MAIL_LINE_TOO_LONG:
        buf_append_text(out, "* BAD [TOOBIG] Line too long.\r\n");
        mail_client_close(client, CLOSE_COMMAND_TOO_LONG, out, event);
        break;
    case MAIL_LINE_NUL:
        mail_client_close(client, CLOSE_BAD_COMMAND_BYTES, out, event);
        break;
    }
    return used;
}

static void secured(struct mail_client *client, struct buf *out)
{
    (void)out; /* the client asks by itself (RFC 9051 6.2.1) */
    client->state = AT_LINE;
}

/* -- answers to a login -- */

/* Pre-login capabilities were ours, now the server's count. Who asked by command did not read the
 * code of the greeting, and is told as untagged. */
static void admit(struct mail_client *client, const struct mail_welcome *welcome, struct buf *out)
{
    bool by_command = (client->flags & ASKED_CAPABILITY) != 0;
    buf_append_slice(out, welcome->untagged);
    if (welcome->capabilities.len > 0 && by_command) {
        buf_append_text(out, "* CAPABILITY ");
        buf_append_slice(out, welcome->capabilities);
        buf_append_text(out, "\r\n");
    }
    buf_append_slice(out, tag_of(client));
    buf_append_text(out, " OK ");
    if (welcome->capabilities.len > 0 && !by_command) {
        buf_append_text(out, "[CAPABILITY ");
        buf_append_slice(out, welcome->capabilities);
        buf_append_text(out, "] ");
    }
    mail_text_append(out, welcome->text.len > 0 ? welcome->text : SLICE("Logged in"));
    buf_append_text(out, "\r\n");
}

static const char *code_of(enum mail_refusal refusal)
{
    switch (refusal) { /* RFC 5530 3 */
    case MAIL_REFUSED:
    case MAIL_REFUSED_AS_IS:
        break;
    case MAIL_DISABLED:
        return "CONTACTADMIN";
    case MAIL_TOO_MANY:
        return "LIMIT";
    case MAIL_UNAVAILABLE:
        return "UNAVAILABLE";
    case MAIL_INTERNAL:
        return "SERVERBUG";
    }
    return "AUTHENTICATIONFAILED";
}

static void refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                   struct buf *out)
{
    client->state = AT_LINE;
    buf_append_slice(out, tag_of(client));
    buf_append_text(out, " NO ");
    if (refusal == MAIL_REFUSED_AS_IS && text.len > 0) {
        mail_text_append(out, text);
        buf_append_text(out, "\r\n");
        return;
    }
    buf_append_char(out, '[');
    buf_append_text(out, code_of(refusal));
    buf_append_text(out, "] ");
    buf_append_text(out, mail_client_refusal_text(refusal));
    buf_append_text(out, ".\r\n");
}

static void challenge(struct mail_client *client, struct slice text, struct buf *out)
{
    client->flags |= CHALLENGED;
    buf_append_text(out, "+ ");
    buf_append_slice(out, text);
    buf_append_text(out, "\r\n");
}

static void bye(struct mail_client *client, enum close_reason reason, struct buf *out)
{
    (void)client;
    buf_append_text(out, mail_client_is_passing(reason) ? "* BYE [UNAVAILABLE] " : "* BYE ");
    buf_append_text(out, mail_client_bye_text(reason));
    buf_append_text(out, ".\r\n");
}

const struct mail_client_dialect imap_client = {
    .greet = greet,
    .feed = feed,
    .secured = secured,
    .accept = admit,
    .refuse = refuse,
    .challenge = challenge,
    .bye = bye,
};
