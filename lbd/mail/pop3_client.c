/*
 * pop3_client - a client of POP3 until it is logged in (RFC 1939, 2449, 2595, 5034).
 *
 *     COMMANDS --AUTH--> SASL --> login --> refused: COMMANDS
 *         |                        ^
 *         +---- USER, PASS --------+
 *
 * As mail_client.h has it. A NUL and a line that is too long end the connection; a bare LF ends a
 * line. APOP, UTF8 and LANG are not offered: they bind the login, or what follows it, to a server
 * that nobody has chosen yet.
 */
#include "lbd/base/compiler.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_command.h"
#include "lbd/mail/mail_xclient.h"
#include "lbd/mail/sasl.h"

enum state { COMMANDS, SASL };
enum flag { SKIPS_LINE = 1 }; /* the next line answers a challenge that came to nothing */

static void bad(struct mail_client *client, struct buf *out, enum mail_client_event *event,
                const char *line)
{
    mail_line_say(out, line);
    mail_client_note_bad(client, out, event);
}

static bool takes_password(const struct mail_client *client)
{
    return mail_client_may_login(client) && mail_client_offers(client, MAIL_LOGIN_COMMAND);
}

static const char wants_tls[] = "-ERR Log in over TLS only.";

static const char *no_password(const struct mail_client *client)
{
    return mail_client_may_login(client) ? "-ERR Passwords come by AUTH only." : wants_tls;
}

static void pop3_greet(struct mail_client *client, struct buf *out)
{
    /* Dovecot's way to spare a trusted proxy the question for capabilities. */
    mail_line_quote(out, client->is_trusted ? "+OK [XCLIENT] " : "+OK ", client->offer->greeting);
}

/* -- commands -- */

/* What the servers say of themselves and is true through us. */
static void say_capabilities_of_servers(const struct mail_client *client, struct buf *out)
{
    static const struct slice known = SLICE_INIT("TOP UIDL PIPELINING EXPIRE LOGIN-DELAY");
    struct slice rest = client->keywords;
    struct slice line;
    if (rest.len == 0) {
        mail_line_say(out, "TOP\r\nUIDL");
        return;
    }
    while (slice_split(&rest, '\n', &line)) {
        struct slice words = line;
        struct slice word;
        if (mail_word_next(&words, &word) && mail_word_in(known, word)) {
            mail_line_quote(out, "", line);
        }
    }
}

static void take_capa(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)rest;
    (void)event;
    mail_line_say(out, "+OK Capability list follows");
    say_capabilities_of_servers(client, out);
    mail_line_say(out, "RESP-CODES\r\nAUTH-RESP-CODE");
    if (client->offer->has_starttls && !client->is_secure) {
        mail_line_say(out, "STLS");
    }
    if (takes_password(client)) {
        mail_line_say(out, "USER");
    }
    mail_auth_list(client, "SASL ", " ", "\r\n", out);
    mail_line_say(out, ".");
}

static void take_user(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    mail_login_wipe(&client->login);
    if (!takes_password(client)) {
        bad(client, out, event, no_password(client));
    } else if (!mail_login_set_user(&client->login, rest)) {
        bad(client, out, event, "-ERR This is no name.");
    } else {
        mail_line_say(out, "+OK");
    }
}

/* An AUTH that is over, and no login. */
static const char *words_of(enum mail_auth auth)
{
    switch (auth) {
    case MAIL_AUTH_DONE:
    case MAIL_AUTH_ASK:
        break;
    case MAIL_AUTH_CANCELLED:
        return "-ERR Authentication cancelled.";
    case MAIL_AUTH_UNKNOWN:
        return "-ERR This mechanism is not offered.";
    case MAIL_AUTH_NEEDS_TLS:
        return wants_tls;
    case MAIL_AUTH_SYNTAX:
        return "-ERR AUTH takes a mechanism and at most one message.";
    case MAIL_AUTH_MALFORMED:
        return "-ERR This is no message of the mechanism.";
    case MAIL_AUTH_WRONG:
        return "-ERR [AUTH] Authentication failed.";
    case MAIL_AUTH_NO_USER:
        return "-ERR [AUTH] It does not say who the user is.";
    }
    return "";
}

/* Where an AUTH has come to. */
static void judge(struct mail_client *client, enum mail_auth auth, struct buf *out,
                  enum mail_client_event *event)
{
    client->state = COMMANDS;
    if (auth == MAIL_AUTH_ASK) {
        client->state = SASL;
        mail_line_quote(out, "+ ", sasl_question(&client->login));
    } else if (auth != MAIL_AUTH_DONE) {
        mail_line_say(out, words_of(auth));
    }
    mail_auth_note(client, auth, out, event);
}

/* The rest of the line is the password, with its spaces (RFC 1939 7). */
static void take_pass(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (!takes_password(client)) {
        bad(client, out, event, no_password(client));
    } else if (client->login.user_len == 0) {
        bad(client, out, event, "-ERR USER comes first.");
    } else if (!mail_login_set_secret(&client->login, rest, MAIL_PASSWORD_MAX)) {
        judge(client, MAIL_AUTH_WRONG, out, event);
    } else {
        client->login.mechanism = MAIL_LOGIN_COMMAND;
        *event = MAIL_CLIENT_LOGIN;
    }
}

static void take_auth(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (rest.len > 0) {
        judge(client, mail_auth_begin(client, rest), out, event);
        return;
    }
    /* Older than RFC 5034: what some clients ask instead of CAPA. */
    mail_line_say(out, "+OK");
    mail_auth_list(client, "", "\r\n", "\r\n", out);
    mail_line_say(out, ".");
}

static void take_stls(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (client->is_secure) {
        bad(client, out, event, "-ERR TLS is active already.");
    } else if (!client->offer->has_starttls || rest.len > 0) {
        bad(client, out, event, "-ERR STLS is not offered.");
    } else {
        mail_line_say(out, "+OK Begin TLS negotiation now.");
        *event = MAIL_CLIENT_STARTTLS;
    }
}

static void take_xclient(struct mail_client *client, struct slice rest, struct buf *out,
                         enum mail_client_event *event)
{
    if (!client->is_trusted) {
        bad(client, out, event, "-ERR XCLIENT is for trusted clients.");
    } else if (!mail_xclient_read(MAIL_POP3, rest, &client->behind)) {
        bad(client, out, event, "-ERR Invalid parameters.");
    } else {
        mail_line_say(out, "+OK Updated");
    }
}

static void take_quit(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)rest;
    mail_client_close(client, CLOSE_OK, out, event);
}

static const struct mail_verb commands[] = {
    {SLICE_INIT("CAPA"), take_capa}, {SLICE_INIT("USER"), take_user},
    {SLICE_INIT("PASS"), take_pass}, {SLICE_INIT("AUTH"), take_auth},
    {SLICE_INIT("STLS"), take_stls}, {SLICE_INIT("XCLIENT"), take_xclient},
    {SLICE_INIT("QUIT"), take_quit},
};

static void take_line(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    if ((client->flags & SKIPS_LINE) != 0) {
        client->flags &= (uint16_t)~SKIPS_LINE;
    } else if (client->state == SASL) {
        judge(client, mail_auth_continue(client), out, event);
    } else if (!mail_command_run(client, commands, ARRAY_LEN(commands), out, event)) {
        bad(client, out, event, "-ERR Unknown command, or not before the login.");
    }
    mail_line_wipe(&client->line);
}

/* -- the dialect -- */

static size_t line_max(const struct mail_client *client)
{
    if (client->state == SASL || (client->flags & SKIPS_LINE) != 0) {
        return MAIL_SASL_LINE_MAX;
    }
    return client->is_trusted ? MAIL_XCLIENT_LINE_MAX : MAIL_POP3_LINE_MAX;
}

static size_t pop3_feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                        enum mail_client_event *event)
{
    enum mail_line_end end;
    size_t used = mail_command_take(client, line_max(client), bytes, len, &end);
    switch (end) {
    case MAIL_LINE_MORE:
        break;
    case MAIL_LINE_WHOLE:
    case MAIL_LINE_BARE_LF: /* real clients send it */
        take_line(client, out, event);
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

static void pop3_secured(struct mail_client *client, struct buf *out)
{
    (void)out;
    client->state = COMMANDS;
}

static void pop3_accept(struct mail_client *client, const struct mail_welcome *welcome,
                        struct buf *out)
{
    (void)client;
    mail_line_quote(out, "+OK ", welcome->text.len > 0 ? welcome->text : SLICE("Logged in."));
}

/* RFC 2449 8, RFC 3206: what the login shows a person, and what only waits. */
static void pop3_refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                        struct buf *out)
{
    static const char *const codes[] = {
        [MAIL_REFUSED] = "-ERR [AUTH] ",         [MAIL_REFUSED_AS_IS] = "-ERR [AUTH] ",
        [MAIL_DISABLED] = "-ERR [SYS/PERM] ",    [MAIL_TOO_MANY] = "-ERR [IN-USE] ",
        [MAIL_UNAVAILABLE] = "-ERR [SYS/TEMP] ", [MAIL_INTERNAL] = "-ERR [SYS/TEMP] ",
    };
    client->state = COMMANDS;
    if (refusal == MAIL_REFUSED_AS_IS && text.len > 0) {
        mail_line_quote(out, "-ERR ", text);
        return;
    }
    buf_append_text(out, codes[refusal]);
    buf_append_text(out, mail_client_refusal_text(refusal));
    mail_line_say(out, ".");
}

static void pop3_challenge(struct mail_client *client, struct slice text, struct buf *out)
{
    buf_append_text(out, "+ ");
    buf_append_slice(out, text);
    mail_line_say(out, "");
    client->flags |= SKIPS_LINE;
}

static void pop3_bye(struct mail_client *client, enum close_reason reason, struct buf *out)
{
    (void)client;
    if (reason == CLOSE_BAD_COMMANDS || reason == CLOSE_LOGIN_FAILURES) {
        return; /* one answer to one command: it is there already */
    }
    buf_append_text(out, reason == CLOSE_OK ? "+OK " : "-ERR ");
    buf_append_text(out, mail_client_bye_text(reason));
    mail_line_say(out, ".");
}

const struct mail_client_dialect pop3_client = {
    .greet = pop3_greet,
    .feed = pop3_feed,
    .secured = pop3_secured,
    .accept = pop3_accept,
    .refuse = pop3_refuse,
    .challenge = pop3_challenge,
    .bye = pop3_bye,
};
