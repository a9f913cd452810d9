/*
 * sieve_client - ManageSieve (RFC 5804) with a client that is not logged in.
 *
 *     AT_LINE --whole command, with its literals--> answered, or
 *         AUTHENTICATE --> AT_SASL --> AT_LOGIN_SENT --accept, refuse--> AT_LINE
 *
 * A client's literals come unasked ("{5+}"). One that waits for a go-ahead there is none for would
 * have its bytes taken for commands: it is the end.
 */
#include <assert.h>

#include "lbd/base/compiler.h"
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
    CHALLENGED = 1, /* the next string answers a challenge, and nobody wants it */
};

/* A message of SASL comes quoted or as a literal. */
#define COMMAND_MAX (MAIL_SASL_LINE_MAX + 256U)

static void bad(struct mail_client *client, const char *line, struct buf *out,
                enum mail_client_event *event)
{
    mail_line_say(out, line);
    mail_client_note_bad(client, out, event);
}

/* -- capabilities -- */

/* Is it ours to say, or not before a login? */
static bool is_own_key(struct slice key)
{
    return mail_word_in(SLICE("IMPLEMENTATION SASL STARTTLS VERSION OWNER UNAUTHENTICATE XCLIENT"),
                        key);
}

/* What the servers have in common: "KEY", "KEY value". True: SIEVE is among it. */
static bool append_keywords(struct slice keywords, struct buf *out)
{
    struct slice line;
    struct slice key;
    bool has_sieve = false;
    while (keywords.len > 0 && slice_split(&keywords, '\n', &line)) {
        if (!mail_word_next(&line, &key) || is_own_key(key)) {
            continue;
        }
        mail_quoted_append(out, key);
        if (line.len > 0) {
            buf_append_char(out, ' ');
            mail_quoted_append(out, slice_from_at(line, 1));
        }
        buf_append_text(out, "\r\n");
        has_sieve = has_sieve || slice_eq_nocase(key, SLICE("SIEVE"));
    }
    return has_sieve;
}

static void append_capabilities(const struct mail_client *client, struct buf *out)
{
    buf_append_text(out, "\"IMPLEMENTATION\" \"lbd\"\r\n\"SASL\" \"");
    mail_auth_list(client, "", " ", "", out);
    buf_append_text(out, "\"\r\n");
    if (!append_keywords(client->keywords, out)) { /* RFC 5804 1.7 wants one */
        buf_append_text(out, "\"SIEVE\" \"\"\r\n");
    }
    if (client->offer->has_starttls && !client->is_secure) {
        buf_append_text(out, "\"STARTTLS\"\r\n");
    }
    buf_append_text(out, "\"VERSION\" \"1.0\"\r\n");
}

static void greet(struct mail_client *client, struct buf *out)
{
    append_capabilities(client, out);
    buf_append_text(out, "OK \"");
    buf_append_slice(out, client->offer->host);
    if (client->offer->greeting.len > 0) {
        buf_append_char(out, ' ');
        buf_append_slice(out, client->offer->greeting);
    }
    mail_line_say(out, "\"");
}

/* -- logins -- */

/* An AUTH that is over, and no login. */
static const char *words_of(enum mail_auth auth)
{
    switch (auth) {
    case MAIL_AUTH_DONE:
    case MAIL_AUTH_ASK:
        break;
    case MAIL_AUTH_CANCELLED:
        return "NO \"Authentication cancelled.\"";
    case MAIL_AUTH_MALFORMED:
        return "NO \"Malformed authentication message.\"";
    case MAIL_AUTH_UNKNOWN:
        return "NO \"Unsupported authentication mechanism.\"";
    case MAIL_AUTH_SYNTAX:
        return "NO \"AUTHENTICATE takes a mechanism and a message, quoted.\"";
    case MAIL_AUTH_NEEDS_TLS:
        return "NO (ENCRYPT-NEEDED) \"Login is not allowed without TLS.\"";
    case MAIL_AUTH_WRONG:
        return "NO \"Authentication failed.\"";
    case MAIL_AUTH_NO_USER:
        return "NO \"This mechanism needs the name of the user.\"";
    }
    return "";
}

/* Where an AUTHENTICATE has come to. */
static void on_auth(struct mail_client *client, enum mail_auth auth, struct buf *out,
                    enum mail_client_event *event)
{
    client->state = AT_LINE;
    if (auth == MAIL_AUTH_DONE) {
        client->state = AT_LOGIN_SENT;
    } else if (auth == MAIL_AUTH_ASK) {
        client->state = AT_SASL;
        mail_quoted_append(out, sasl_question(&client->login));
        mail_line_say(out, "");
    } else {
        mail_line_say(out, words_of(auth));
    }
    mail_auth_note(client, auth, out, event);
}

static enum mail_auth begin_auth(struct mail_client *client, struct mail_words words)
{
    struct slice name;
    struct slice message;
    if (!mail_words_spaces(&words) || !mail_words_string(&words, &name)) {
        return MAIL_AUTH_SYNTAX;
    }
    bool has_message = mail_words_spaces(&words) && mail_words_string(&words, &message);
    (void)mail_words_spaces(&words);
    if (!mail_words_is_end(&words)) {
        return MAIL_AUTH_SYNTAX;
    }
    return mail_auth_start(client, name, has_message ? &message : NULL);
}

/* What is no string at all cancels as "*" does. */
static enum mail_auth continue_auth(struct mail_client *client)
{
    struct mail_words words = mail_words_of(&client->line);
    struct slice text;
    if (!mail_words_string(&words, &text) || !mail_words_is_end(&words) ||
        slice_eq(text, SLICE("*"))) {
        mail_login_wipe(&client->login);
        return MAIL_AUTH_CANCELLED;
    }
    return mail_auth_message(client, text);
}

/* -- commands -- */

static void do_starttls(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    if (client->is_secure) {
        bad(client, "NO \"TLS is already active.\"", out, event);
    } else if (!client->offer->has_starttls) {
        bad(client, "NO \"TLS is not available.\"", out, event);
    } else {
        mail_line_say(out, "OK \"Begin TLS negotiation now.\"");
        *event = MAIL_CLIENT_STARTTLS;
    }
}

/* NOOP says its argument back (RFC 5804 2.13). */
static void do_noop(struct mail_client *client, struct mail_words words, struct buf *out,
                    enum mail_client_event *event)
{
    enum { TAG_MAX = 128 };
    struct slice tag = SLICE_NONE;
    (void)(mail_words_spaces(&words) && mail_words_string(&words, &tag));
    (void)mail_words_spaces(&words);
    if (!mail_words_is_end(&words) || tag.len > TAG_MAX || slice_find(tag, '\n') != SIZE_MAX ||
        slice_find(tag, '\r') != SIZE_MAX || slice_find(tag, '\0') != SIZE_MAX) {
        bad(client, "NO \"NOOP takes a short string.\"", out, event);
        return;
    }
    buf_append_text(out, "OK ");
    if (tag.len > 0) {
        buf_append_text(out, "(TAG ");
        mail_quoted_append(out, tag);
        buf_append_text(out, ") ");
    }
    mail_line_say(out, "\"NOOP completed.\"");
}

static void run(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    struct mail_words words = mail_words_of(&client->line);
    struct slice verb = mail_words_until_space(&words);
    struct mail_words rest = words;
    (void)mail_words_spaces(&rest);
    bool is_bare = mail_words_is_end(&rest);
    if (slice_eq_nocase(verb, SLICE("AUTHENTICATE"))) {
        on_auth(client, begin_auth(client, words), out, event);
    } else if (slice_eq_nocase(verb, SLICE("NOOP"))) {
        do_noop(client, words, out, event);
    } else if (is_bare && slice_eq_nocase(verb, SLICE("STARTTLS"))) {
        do_starttls(client, out, event);
    } else if (is_bare && slice_eq_nocase(verb, SLICE("CAPABILITY"))) {
        append_capabilities(client, out);
        mail_line_say(out, "OK \"CAPABILITY completed.\"");
    } else if (is_bare && slice_eq_nocase(verb, SLICE("LOGOUT"))) {
        mail_line_say(out, "OK \"Logout completed.\"");
        client->reason = CLOSE_OK;
        *event = MAIL_CLIENT_CLOSE;
    } else {
        bad(client, "NO \"Unknown command, or not before login.\"", out, event);
    }
}

/* -- bytes -- */

static void begin_literal(struct mail_client *client, const struct mail_literal *literal,
                          struct buf *out, enum mail_client_event *event)
{
    if (literal->is_waiting) {
        mail_line_say(out, "NO \"Literals come as {n+}.\"");
        mail_client_close(client, CLOSE_BAD_COMMANDS, out, event);
        return;
    }
    if (literal->bytes > MAIL_SASL_LINE_MAX - client->literal_sum) {
        mail_line_say(out, "NO \"Literal too long.\"");
        mail_client_close(client, CLOSE_COMMAND_TOO_LONG, out, event);
        return;
    }
    mail_command_expect(client, literal);
}

static void line_done(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    struct mail_literal literal;
    struct slice line = buf_slice(&client->line);
    if (mail_literal_read(slice_from_at(line, client->line_from), &literal)) {
        begin_literal(client, &literal, out, event);
        return;
    }
    bool is_string = line.len > 0 && (*line.ptr == '"' || *line.ptr == '{');
    if (client->state == AT_SASL) {
        on_auth(client, continue_auth(client), out, event);
    } else if ((client->flags & CHALLENGED) == 0 || !is_string) {
        run(client, out, event);
    }
    client->flags &= (uint16_t)~CHALLENGED;
    mail_command_end(client);
}

static size_t feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                   enum mail_client_event *event)
{
    assert(client->state != AT_LOGIN_SENT);
    if (client->literal_left > 0) {
        return mail_line_take_literal(&client->line, bytes, len, &client->literal_left);
    }
    enum mail_line_end end;
    size_t used =
        mail_line_take(&client->line, COMMAND_MAX + client->literal_sum, bytes, len, &end);
    switch (end) {
    case MAIL_LINE_MORE:
        break;
    case MAIL_LINE_WHOLE:
    case MAIL_LINE_BARE_LF:
        line_done(client, out, event);
        break;
    case MAIL_LINE_TOO_LONG:
        mail_client_close(client, CLOSE_COMMAND_TOO_LONG, out, event);
        break;
    case MAIL_LINE_NUL:
        mail_client_close(client, CLOSE_BAD_COMMAND_BYTES, out, event);
        break;
    }
    return used;
}

/* The capabilities come unasked (RFC 5804 2.2). */
static void secured(struct mail_client *client, struct buf *out)
{
    client->state = AT_LINE;
    append_capabilities(client, out);
    mail_line_say(out, "OK \"TLS negotiation successful.\"");
}

/* -- answers to a login -- */

/* What a server said, as one quoted string. */
static void append_text(struct slice text, struct buf *out)
{
    struct buf clean;
    buf_init(&clean, MAIL_TEXT_MAX);
    mail_text_append(&clean, text);
    mail_quoted_append(out, buf_slice(&clean));
    buf_fini(&clean);
}

static void admit(struct mail_client *client, const struct mail_welcome *welcome, struct buf *out)
{
    (void)client;
    buf_append_text(out, "OK ");
    append_text(welcome->text.len > 0 ? welcome->text : SLICE("Logged in."), out);
    buf_append_text(out, "\r\n");
}

/* Takes "(CODE) " off the front of a server's words, if it is one that can be said again. */
static struct slice take_code(struct slice *text)
{
    size_t end = slice_find(*text, ')');
    if (text->len == 0 || *text->ptr != '(' || end == SIZE_MAX) {
        return SLICE_NONE;
    }
    struct slice code = slice_of(text->ptr, end + 1);
    for (size_t i = 1; i < end; i++) {
        char c = code.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '/')) {
            return SLICE_NONE;
        }
    }
    *text = slice_trim(slice_from_at(*text, end + 1));
    return code;
}

static void refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                   struct buf *out)
{
    client->state = AT_LINE;
    buf_append_text(out, "NO ");
    if (refusal == MAIL_REFUSED_AS_IS && text.len > 0) {
        struct slice code = take_code(&text);
        buf_append_slice(out, code);
        buf_append_text(out, code.len > 0 ? " " : "");
        append_text(text, out);
        buf_append_text(out, "\r\n");
        return;
    }
    if (refusal == MAIL_UNAVAILABLE || refusal == MAIL_TOO_MANY || refusal == MAIL_INTERNAL) {
        buf_append_text(out, "(TRYLATER) ");
    }
    buf_append_char(out, '"');
    buf_append_text(out, mail_client_refusal_text(refusal));
    buf_append_text(out, ".\"\r\n");
}

static void challenge(struct mail_client *client, struct slice text, struct buf *out)
{
    client->flags |= CHALLENGED;
    mail_quoted_append(out, text);
    buf_append_text(out, "\r\n");
}

static void bye(struct mail_client *client, enum close_reason reason, struct buf *out)
{
    (void)client;
    buf_append_text(out, mail_client_is_passing(reason) ? "BYE (TRYLATER) \"" : "BYE \"");
    buf_append_text(out, mail_client_bye_text(reason));
    buf_append_text(out, ".\"\r\n");
}

const struct mail_client_dialect sieve_client = {
    .greet = greet,
    .feed = feed,
    .secured = secured,
    .accept = admit,
    .refuse = refuse,
    .challenge = challenge,
    .bye = bye,
};
