/*
 * smtp_client - a client of a submission port until it is logged in, or of a relay port until its
 * first MAIL (RFC 5321, 6409, 3207, 4954).
 *
 *     NEW --greeting--> COMMANDS --AUTH--> SASL --> login --> refused: COMMANDS
 *                          |
 *                          +-- MAIL, where nobody logs in --> relay
 *                          '-- MAIL, RCPT, where a callback says whereto --> relay
 *
 * As mail_client.h has it. Lines end in CRLF here: what else ends one is the beginning of smuggled
 * mail, so a bare LF or CR ends the connection, as a NUL does. Who speaks before the greeting is
 * no mail client.
 */
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_command.h"
#include "lbd/mail/mail_xclient.h"
#include "lbd/mail/sasl.h"

enum state { NEW, COMMANDS, SASL };
enum flag {
    SKIPS_LINE = 1, /* the next line answers a challenge that came to nothing */
    RELAYS = 2,     /* it is MAIL that waits for a server */
};

static void bad(struct mail_client *client, struct buf *out, enum mail_client_event *event,
                const char *line)
{
    mail_line_say(out, line);
    mail_client_note_bad(client, out, event);
}

static void greeting(const struct mail_client *client, struct buf *out)
{
    buf_append_text(out, "220 ");
    mail_text_append(out, client->offer->host);
    mail_line_quote(out, " ESMTP ", client->offer->greeting);
}

static void smtp_greet(struct mail_client *client, struct buf *out)
{
    greeting(client, out);
    client->state = COMMANDS;
}

/* -- EHLO -- */

/* A name or an address in brackets; also of those who know neither rule well. */
static bool is_helo(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && (c == '\0' || strchr("-._:[]", c) == NULL)) {
            return false;
        }
    }
    return name.len > 0;
}

static bool keep_helo(struct mail_client *client, struct slice name, bool is_esmtp)
{
    if (name.len > sizeof(client->helo) || !is_helo(name)) {
        return false;
    }
    buf_clear(&client->from); /* RFC 5321 4.1.4 */
    memcpy(client->helo, name.ptr, name.len);
    client->helo_len = (uint16_t)name.len;
    client->is_esmtp = is_esmtp;
    return true;
}

/* What all servers of the pool say of themselves and is true through us. The rest is of the
 * connection (STARTTLS, AUTH, XCLIENT), or nothing that we know. */
static void say_keywords_of_servers(const struct mail_client *client, struct buf *out)
{
    static const struct slice known =
        SLICE_INIT("PIPELINING SIZE 8BITMIME DSN ENHANCEDSTATUSCODES SMTPUTF8 CHUNKING BINARYMIME "
                   "DELIVERBY MT-PRIORITY FUTURERELEASE REQUIRETLS LIMITS");
    struct slice rest = client->keywords;
    struct slice line;
    while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
        struct slice words = line;
        struct slice word;
        if (mail_word_next(&words, &word) && mail_word_in(known, word)) {
            mail_line_quote(out, "250-", line);
        }
    }
}

static void take_ehlo(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (!keep_helo(client, slice_trim(rest), true)) {
        bad(client, out, event, "501 5.5.4 EHLO takes the name of a host");
        return;
    }
    size_t last = out->len;
    mail_line_quote(out, "250-", client->offer->host);
    say_keywords_of_servers(client, out);
    if (client->offer->has_starttls && !client->is_secure) {
        mail_line_say(out, "250-STARTTLS");
    }
    mail_auth_list(client, "250-AUTH ", " ", "\r\n", out);
    if (client->is_trusted) {
        mail_line_say(out, "250-XCLIENT " MAIL_XCLIENT_TAKEN);
    }
    /* The last line has a space behind its code. */
    for (size_t i = last; i + 1 < out->len; i++) {
        last = out->data[i] == '\n' ? i + 1 : last;
    }
    if (last + 3 < out->len) {
        out->data[last + 3] = ' ';
    }
}

static void take_helo(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (!keep_helo(client, slice_trim(rest), false)) {
        bad(client, out, event, "501 5.5.4 HELO takes the name of a host");
        return;
    }
    mail_line_quote(out, "250 ", client->offer->host);
}

/* -- the other commands -- */

static void take_starttls(struct mail_client *client, struct slice rest, struct buf *out,
                          enum mail_client_event *event)
{
    if (client->is_secure) {
        bad(client, out, event, "503 5.5.1 TLS is active already");
    } else if (!client->offer->has_starttls) {
        bad(client, out, event, "502 5.5.1 STARTTLS is not offered");
    } else if (rest.len > 0) {
        bad(client, out, event, "501 5.5.4 STARTTLS takes no parameters");
    } else {
        mail_line_say(out, "220 2.0.0 Ready to start TLS");
        *event = MAIL_CLIENT_STARTTLS;
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
        return "501 5.7.0 Authentication cancelled";
    case MAIL_AUTH_UNKNOWN:
        return "504 5.5.4 This mechanism is not offered";
    case MAIL_AUTH_NEEDS_TLS:
        return "538 5.7.11 Encryption is required for authentication";
    case MAIL_AUTH_SYNTAX:
        return "501 5.5.4 AUTH takes a mechanism and at most one message";
    case MAIL_AUTH_MALFORMED:
        return "501 5.5.2 This is no message of the mechanism";
    case MAIL_AUTH_WRONG:
        return "535 5.7.8 Authentication failed";
    case MAIL_AUTH_NO_USER:
        return "535 5.7.8 It does not say who the user is";
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
        mail_line_quote(out, "334 ", sasl_question(&client->login));
    } else if (auth != MAIL_AUTH_DONE) {
        mail_line_say(out, words_of(auth));
    }
    mail_auth_note(client, auth, out, event);
}

static void take_auth(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (client->helo_len == 0) {
        bad(client, out, event, "503 5.5.1 EHLO comes first");
        return;
    }
    judge(client, mail_auth_begin(client, rest), out, event);
}

/* The callback is asked with both lines: this one is taken as it is, and what the server says of it
 * comes as the answer to RCPT. */
static void keep_mail(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (client->from.len != 0) {
        bad(client, out, event, "503 5.5.1 There is a MAIL already");
    } else if (rest.len == 0) {
        bad(client, out, event, "501 5.5.4 MAIL takes an address");
    } else {
        buf_append_slice(&client->from, buf_slice(&client->line));
        mail_line_say(out, "250 2.0.0 OK");
    }
}

/* Nobody has been asked yet who takes it: the whole line goes to the server. */
static void take_mail(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (client->helo_len == 0) {
        bad(client, out, event, "503 5.5.1 EHLO comes first");
    } else if (client->offer->needs_recipient) {
        keep_mail(client, rest, out, event);
    } else if (client->offer->needs_no_login) {
        client->flags |= RELAYS;
        *event = MAIL_CLIENT_RELAY;
    } else if (!mail_client_may_login(client)) {
        bad(client, out, event, "530 5.7.0 Issue a STARTTLS command first");
    } else {
        bad(client, out, event, "530 5.7.0 Authentication required");
    }
}

static void take_transaction(struct mail_client *client, struct slice rest, struct buf *out,
                             enum mail_client_event *event)
{
    if (client->offer->needs_no_login || client->helo_len == 0) {
        bad(client, out, event,
            client->from.len != 0 ? "503 5.5.1 RCPT comes first" : "503 5.5.1 MAIL comes first");
        return;
    }
    take_mail(client, rest, out, event);
}

static void take_rcpt(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    if (client->from.len == 0) {
        take_transaction(client, rest, out, event);
    } else if (rest.len == 0) {
        bad(client, out, event, "501 5.5.4 RCPT takes an address");
    } else {
        client->flags |= RELAYS;
        *event = MAIL_CLIENT_RELAY;
    }
}

static void take_rset(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)rest;
    (void)event;
    buf_clear(&client->from);
    mail_line_say(out, "250 2.0.0 OK");
}

static void take_noop(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)client;
    (void)rest;
    (void)event;
    mail_line_say(out, "250 2.0.0 OK");
}

static void take_refused(struct mail_client *client, struct slice rest, struct buf *out,
                         enum mail_client_event *event)
{
    (void)rest;
    bad(client, out, event, "502 5.5.1 Not here");
}

/* Answered as a greeting (Postfix's XCLIENT): EHLO begins anew. */
static void take_xclient(struct mail_client *client, struct slice rest, struct buf *out,
                         enum mail_client_event *event)
{
    if (!client->is_trusted) {
        bad(client, out, event, "550 5.7.0 XCLIENT is for trusted clients");
    } else if (!mail_xclient_read(MAIL_SMTP, rest, &client->behind)) {
        bad(client, out, event, "501 5.5.4 Bad attributes");
    } else {
        client->helo_len = 0;
        buf_clear(&client->from);
        greeting(client, out);
    }
}

static void take_quit(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)rest;
    mail_client_close(client, CLOSE_OK, out, event);
}

static const struct mail_verb commands[] = {
    {SLICE_INIT("EHLO"), take_ehlo},         {SLICE_INIT("HELO"), take_helo},
    {SLICE_INIT("STARTTLS"), take_starttls}, {SLICE_INIT("AUTH"), take_auth},
    {SLICE_INIT("MAIL"), take_mail},         {SLICE_INIT("RCPT"), take_rcpt},
    {SLICE_INIT("DATA"), take_transaction},  {SLICE_INIT("BDAT"), take_transaction},
    {SLICE_INIT("RSET"), take_rset},         {SLICE_INIT("NOOP"), take_noop},
    {SLICE_INIT("QUIT"), take_quit},         {SLICE_INIT("XCLIENT"), take_xclient},
    {SLICE_INIT("VRFY"), take_refused},      {SLICE_INIT("EXPN"), take_refused},
    {SLICE_INIT("ETRN"), take_refused},      {SLICE_INIT("HELP"), take_refused},
    {SLICE_INIT("BURL"), take_transaction},
};

static void take_line(struct mail_client *client, struct buf *out, enum mail_client_event *event)
{
    if (slice_find(buf_slice(&client->line), '\r') != SIZE_MAX) {
        mail_client_close(client, CLOSE_BAD_COMMAND_BYTES, out, event);
        return;
    }
    if ((client->flags & SKIPS_LINE) != 0) {
        client->flags &= (uint16_t)~SKIPS_LINE;
    } else if (client->state == SASL) {
        judge(client, mail_auth_continue(client), out, event);
    } else if (!mail_command_run(client, commands, ARRAY_LEN(commands), out, event)) {
        bad(client, out, event, "500 5.5.2 Unknown command");
    }
    if (*event != MAIL_CLIENT_RELAY) {
        mail_line_wipe(&client->line);
    }
}

/* -- the dialect -- */

static size_t smtp_feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                        enum mail_client_event *event)
{
    if (client->state == NEW) {
        mail_client_close(client, CLOSE_EARLY_TALKER, out, event);
        return 0;
    }
    bool is_sasl = client->state == SASL || (client->flags & SKIPS_LINE) != 0;
    enum mail_line_end end;
    size_t used = mail_command_take(client, is_sasl ? MAIL_SASL_LINE_MAX : MAIL_SMTP_LINE_MAX,
                                    bytes, len, &end);
    switch (end) {
    case MAIL_LINE_MORE:
        break;
    case MAIL_LINE_WHOLE:
        take_line(client, out, event);
        break;
    case MAIL_LINE_TOO_LONG:
        mail_client_close(client, CLOSE_COMMAND_TOO_LONG, out, event);
        break;
    case MAIL_LINE_BARE_LF:
    case MAIL_LINE_NUL:
        mail_client_close(client, CLOSE_BAD_COMMAND_BYTES, out, event);
        break;
    }
    return used;
}

static void smtp_secured(struct mail_client *client, struct buf *out)
{
    (void)out;
    client->state = COMMANDS; /* and no second greeting: RFC 3207 4.2 */
}

static void smtp_accept(struct mail_client *client, const struct mail_welcome *welcome,
                        struct buf *out)
{
    if ((client->flags & RELAYS) != 0) {
        return; /* the server answers MAIL */
    }
    mail_line_quote(out, "235 ",
                    welcome->text.len > 0 ? welcome->text
                                          : SLICE("2.7.0 Authentication successful"));
}

/* Does it begin with a code of its own, "454 4.7.0 Later"? */
static bool has_code(struct slice text)
{
    return text.len >= 4 && (text.ptr[0] == '4' || text.ptr[0] == '5') && text.ptr[1] >= '0' &&
           text.ptr[1] <= '5' && text.ptr[2] >= '0' && text.ptr[2] <= '9' && text.ptr[3] == ' ';
}

static void smtp_refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                        struct buf *out)
{
    static const struct {
        const char *login;
        const char *relay;
    } codes[] = {
        [MAIL_REFUSED] = {"535 5.7.8 ", "550 5.7.1 "},
        [MAIL_REFUSED_AS_IS] = {"535 5.7.0 ", "550 5.7.0 "},
        [MAIL_DISABLED] = {"525 5.7.13 ", "550 5.7.1 "},
        [MAIL_TOO_MANY] = {"421 4.7.0 ", "421 4.7.0 "},
        [MAIL_UNAVAILABLE] = {"454 4.7.0 ", "451 4.3.0 "},
        [MAIL_INTERNAL] = {"451 4.3.2 ", "451 4.3.2 "},
    };
    bool relays = (client->flags & RELAYS) != 0;
    client->flags &= (uint16_t)~RELAYS;
    client->state = COMMANDS;
    mail_line_wipe(&client->line);
    bool has_text = refusal == MAIL_REFUSED_AS_IS && text.len > 0;
    if (!has_text || !has_code(text)) {
        buf_append_text(out, relays ? codes[refusal].relay : codes[refusal].login);
    }
    mail_line_quote(out, "", has_text ? text : slice_from(mail_client_refusal_text(refusal)));
    if (refusal == MAIL_TOO_MANY) {
        client->reason = CLOSE_TOO_MANY_CONNECTIONS; /* that is what 421 means */
    }
}

static void smtp_challenge(struct mail_client *client, struct slice text, struct buf *out)
{
    buf_append_text(out, "334 ");
    buf_append_slice(out, text);
    mail_line_say(out, "");
    client->flags |= SKIPS_LINE;
}

static void smtp_bye(struct mail_client *client, enum close_reason reason, struct buf *out)
{
    switch ((unsigned)reason) {
    case CLOSE_OK:
        mail_line_say(out, "221 2.0.0 Bye");
        return;
    case CLOSE_COMMAND_TOO_LONG:
        mail_line_say(out, "500 5.5.6 Line too long");
        return;
    case CLOSE_BAD_COMMAND_BYTES:
        mail_line_say(out, "521 5.5.2 Lines end in CRLF, and nothing else does");
        return;
    case CLOSE_EARLY_TALKER:
        mail_line_say(out, "554 5.5.1 The server speaks first");
        return;
    case CLOSE_LOGIN_TIMEOUT:
    case CLOSE_FIRST_BYTE_TIMEOUT:
        buf_append_text(out, "421 4.4.2 ");
        break;
    case CLOSE_DRAINING:
    case CLOSE_SHUTDOWN:
    case CLOSE_LISTENER_REMOVED:
        buf_append_text(out, "421 4.3.2 ");
        break;
    default:
        buf_append_text(out, "421 4.7.0 ");
        break;
    }
    mail_text_append(out, client->offer->host);
    buf_append_char(out, ' ');
    mail_line_say(out, mail_client_bye_text(reason));
}

const struct mail_client_dialect smtp_client = {
    .greet = smtp_greet,
    .feed = smtp_feed,
    .secured = smtp_secured,
    .accept = smtp_accept,
    .refuse = smtp_refuse,
    .challenge = smtp_challenge,
    .bye = smtp_bye,
};
