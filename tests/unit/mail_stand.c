#include "tests/unit/mail_stand.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

enum { OUT_MAX = 1024 * 1024, EVERY_CUT = 1200, SOME_CUTS = 40 };

const struct mail_offer mail_stand_offer = {
    .host = SLICE_INIT("mail.example"),
    .greeting = SLICE_INIT("ready"),
    .mechanisms = (1U << MAIL_MECHANISM_COUNT) - 1,
    .has_starttls = true,
    .allows_cleartext = true,
    .bad_commands = 5,
    .failures = 3,
};

/* How the script is handed over: up to `cut`, then in pieces of `piece`. */
struct cuts {
    size_t cut;
    size_t piece;
};

static size_t piece_of(const struct cuts *cuts, size_t at, size_t len)
{
    size_t piece = at < cuts->cut ? cuts->cut - at : cuts->piece;
    return piece < len ? piece : len;
}

/* What the dialect sent, as lines. */
static void note_out(struct buf *out, struct buf *transcript)
{
    for (size_t i = 0; i < out->len; i++) {
        if (out->data[i] != '\r') {
            buf_append_char(transcript, out->data[i]);
        }
    }
    buf_clear(out);
}

static void note(struct buf *transcript, const char *word, struct slice text)
{
    buf_append_char(transcript, '<');
    buf_append_text(transcript, word);
    if (text.len > 0) {
        buf_append_char(transcript, ' ');
        buf_append_slice(transcript, text);
    }
    buf_append_text(transcript, ">\n");
}

/* -- clients -- */

static void note_login(const struct mail_login *login, struct buf *transcript)
{
    buf_append_text(transcript, "<login ");
    buf_append_text(transcript, mail_mechanism_word((enum mail_mechanism)login->mechanism));
    buf_append_char(transcript, ' ');
    buf_append_slice(transcript, mail_login_user(login));
    if (login->has_authzid) {
        buf_append_text(transcript, " as ");
        buf_append_slice(transcript, mail_login_authzid(login));
    }
    buf_append_char(transcript, ' ');
    buf_append_slice(transcript, mail_login_secret(login));
    buf_append_text(transcript, ">\n");
}

static enum mail_refusal refusal_of(char letter)
{
    switch (letter) {
    case 's':
        return MAIL_REFUSED_AS_IS;
    case 'd':
        return MAIL_DISABLED;
    case 't':
        return MAIL_TOO_MANY;
    case 'u':
        return MAIL_UNAVAILABLE;
    case 'i':
        return MAIL_INTERNAL;
    default:
        return MAIL_REFUSED;
    }
}

/* False: the play is over. */
static bool answer_login(const struct mail_stand_client *stand, struct mail_client *client,
                         const char **answers, struct slice rest, struct buf *out,
                         struct buf *transcript)
{
    char letter = *answers != NULL ? **answers : '\0';
    if (letter == '\0') {
        return false;
    }
    ++*answers;
    if (letter == 'a') {
        mail_client_accept(client, &stand->welcome, out);
        note_out(out, transcript);
        note(transcript, "relay", rest);
        return false;
    }
    if (letter == 'c') {
        mail_client_challenge(client, stand->text, out);
    }
    bool goes_on = mail_client_refuse(client, refusal_of(letter),
                                      letter == 's' ? stand->text : SLICE_NONE, out);
    note_out(out, transcript);
    if (!goes_on) {
        note(transcript, "close", close_reason_word((enum close_reason)client->reason));
    }
    return goes_on;
}

static void play_client(const struct mail_stand_client *stand, struct slice script,
                        const struct cuts *cuts, struct buf *transcript)
{
    struct mail_offer offer = stand->offer != NULL ? *stand->offer : mail_stand_offer;
    struct mail_client client;
    struct buf out;
    const char *answers = stand->answers;
    offer.protocol = stand->protocol;
    buf_init(&out, OUT_MAX);
    mail_client_init(&client, &offer, stand->is_secure);
    client.is_trusted = stand->is_trusted;
    client.keywords = stand->keywords;
    client.subject = stand->subject;
    if (!stand->is_early) {
        mail_client_greet(&client, &out);
    }
    if (stand->greets) {
        note_out(&out, transcript);
    }
    buf_clear(&out);
    bool goes_on = true;
    for (size_t at = 0; goes_on && at < script.len;) {
        if (script.ptr[at] == '|') {
            at++;
            continue;
        }
        struct slice rest = slice_from_at(script, at);
        size_t flush = slice_find(rest, '|');
        size_t until_flush = flush < rest.len ? flush : rest.len;
        size_t len = piece_of(cuts, at, until_flush);
        enum mail_client_event event;
        size_t used = mail_client_feed(&client, rest.ptr, len, &out, &event);
        ck_assert(used <= len && (used == len || event != MAIL_CLIENT_MORE));
        at += used;
        note_out(&out, transcript);
        struct slice left = slice_of(rest.ptr + used, until_flush - used);
        switch (event) {
        case MAIL_CLIENT_MORE:
            break;
        case MAIL_CLIENT_STARTTLS:
            goes_on = left.len == 0;
            note(transcript, goes_on ? "starttls" : "injection", SLICE_NONE);
            if (goes_on) {
                mail_client_secured(&client, &out);
            }
            break;
        case MAIL_CLIENT_LOGIN:
            note_login(&client.login, transcript);
            goes_on = answer_login(stand, &client, &answers, left, &out, transcript);
            break;
        case MAIL_CLIENT_RELAY:
            note(transcript, "relay", buf_slice(&client.line));
            goes_on = answer_login(stand, &client, &answers, left, &out, transcript);
            break;
        case MAIL_CLIENT_CLOSE:
            note(transcript, "close", close_reason_word((enum close_reason)client.reason));
            goes_on = false;
            break;
        }
        note_out(&out, transcript);
    }
    if (client.behind.address_len > 0) {
        note(transcript, "behind", slice_of(client.behind.address, client.behind.address_len));
    }
    mail_client_fini(&client);
    buf_fini(&out);
}

/* -- servers -- */

static void note_ready(const struct mail_welcome *welcome, struct buf *transcript)
{
    buf_append_text(transcript, "<ready ");
    buf_append_slice(transcript, welcome->text);
    buf_append_text(transcript, " [");
    buf_append_slice(transcript, welcome->capabilities);
    buf_append_text(transcript, "]");
    if (welcome->untagged.len > 0) {
        buf_append_text(transcript, "\n");
        for (size_t i = 0; i < welcome->untagged.len; i++) {
            if (welcome->untagged.ptr[i] != '\r') {
                buf_append_char(transcript, welcome->untagged.ptr[i]);
            }
        }
    }
    buf_append_text(transcript, ">\n");
}

static void note_failed(const struct mail_server *server, struct buf *transcript)
{
    buf_append_text(transcript, "<failed ");
    buf_append_slice(transcript, close_reason_word((enum close_reason)server->reason));
    buf_append_text(transcript, " at ");
    buf_append_text(transcript, mail_server_state_word(server));
    buf_append_text(transcript, ">\n");
}

static const char *refused_word(enum mail_refusal refusal)
{
    switch (refusal) {
    case MAIL_REFUSED:
        return "refused";
    case MAIL_REFUSED_AS_IS:
        return "refused as is:";
    case MAIL_DISABLED:
        return "disabled";
    case MAIL_TOO_MANY:
        return "too many";
    case MAIL_UNAVAILABLE:
        return "refused: unavailable";
    case MAIL_INTERNAL:
        break;
    }
    return "internal";
}

/* False: the play is over. */
static bool note_event(const struct mail_stand_server *stand, struct mail_server *server,
                       enum mail_server_event event, struct slice left, struct buf *out,
                       struct buf *transcript)
{
    switch (event) {
    case MAIL_SERVER_MORE:
        return true;
    case MAIL_SERVER_STARTTLS:
        if (left.len > 0) { /* as mail_server_feed has it, for a piece that ended here */
            server->reason = CLOSE_SERVER_STARTTLS_INJECTION;
            note_failed(server, transcript);
            return false;
        }
        note(transcript, "starttls", SLICE_NONE);
        mail_server_secured(server, out);
        return true;
    case MAIL_SERVER_CHALLENGE:
        note(transcript, "challenge", buf_slice(&server->text));
        return true;
    case MAIL_SERVER_READY:
        note_ready(&server->welcome, transcript);
        if (stand->terms.is_check) {
            mail_server_goodbye(server, out);
        } else if (left.len > 0) {
            note(transcript, "relay", left);
        }
        return false;
    case MAIL_SERVER_REFUSED:
        note(transcript, refused_word((enum mail_refusal)server->refusal),
             buf_slice(&server->text));
        return false;
    case MAIL_SERVER_UNAVAILABLE:
        note(transcript, "unavailable", buf_slice(&server->text));
        return false;
    case MAIL_SERVER_FAILED:
        note_failed(server, transcript);
        return false;
    }
    return false;
}

static void play_server(const struct mail_stand_server *stand, struct slice script,
                        const struct cuts *cuts, struct buf *transcript)
{
    struct mail_server server;
    struct buf out;
    struct slice user = stand->user;
    if (user.len == 0 && stand->login != NULL) {
        user = mail_login_user(stand->login);
    }
    buf_init(&out, OUT_MAX);
    mail_server_init(&server, &stand->terms, stand->login, user, stand->origin, stand->is_secure);
    server.mail_from = stand->mail_from;
    bool goes_on = true;
    for (size_t at = 0; goes_on && at < script.len;) {
        if (script.ptr[at] == '|') {
            at++;
            continue;
        }
        struct slice rest = slice_from_at(script, at);
        size_t flush = slice_find(rest, '|');
        size_t until_flush = flush < rest.len ? flush : rest.len;
        size_t len = piece_of(cuts, at, until_flush);
        enum mail_server_event event;
        size_t used = mail_server_feed(&server, rest.ptr, len, &out, &event);
        ck_assert(used <= len && (used == len || event != MAIL_SERVER_MORE));
        at += used;
        note_out(&out, transcript);
        goes_on = note_event(stand, &server, event, slice_of(rest.ptr + used, until_flush - used),
                             &out, transcript);
        note_out(&out, transcript);
    }
    mail_server_fini(&server);
    buf_fini(&out);
}

/* -- both -- */

static void play(const struct mail_stand_client *client, const struct mail_stand_server *server,
                 struct slice script, struct cuts cuts, struct slice want)
{
    struct buf transcript;
    buf_init(&transcript, OUT_MAX);
    if (client != NULL) {
        play_client(client, script, &cuts, &transcript);
    } else {
        play_server(server, script, &cuts, &transcript);
    }
    unit_expect(slice_eq(buf_slice(&transcript), want),
                "cut at %zu, pieces of %zu\n--- script\n%.*s\n--- got\n%.*s--- wanted\n%.*s",
                cuts.cut, cuts.piece, SLICE_ARG(script), SLICE_ARG(buf_slice(&transcript)),
                SLICE_ARG(want));
    buf_fini(&transcript);
}

static void play_all(const struct mail_stand_client *client, const struct mail_stand_server *server,
                     struct slice script, struct slice want)
{
    play(client, server, script, (struct cuts){0, SIZE_MAX}, want);
    play(client, server, script, (struct cuts){0, 1}, want);
    play(client, server, script, (struct cuts){0, 7}, want);
    size_t step = script.len <= EVERY_CUT ? 1 : script.len / SOME_CUTS;
    for (size_t cut = 1; cut < script.len; cut += step) {
        play(client, server, script, (struct cuts){cut, SIZE_MAX}, want);
    }
}

void mail_stand_client(const struct mail_stand_client *client, struct slice script,
                       struct slice want)
{
    play_all(client, NULL, script, want);
}

void mail_stand_server(const struct mail_stand_server *server, struct slice script,
                       struct slice want)
{
    play_all(NULL, server, script, want);
}

void mail_stand_clients(const struct mail_stand_client *client, const struct mail_stand_play *plays,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mail_stand_client(client, slice_from(plays[i].script), slice_from(plays[i].want));
    }
}

void mail_stand_servers(const struct mail_stand_server *server, const struct mail_stand_play *plays,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mail_stand_server(server, slice_from(plays[i].script), slice_from(plays[i].want));
    }
}

void mail_stand_client_line(const struct mail_stand_client *client, const char *begin, size_t len,
                            char fill, struct slice want)
{
    char *line = mem_alloc(len + 2);
    memset(line, fill, len);
    memcpy(line, begin, strlen(begin));
    memcpy(line + len, "\r\n", 2);
    mail_stand_client(client, slice_of(line, len + 2), want);
    free(line);
}

struct mail_login mail_stand_login(enum mail_mechanism mechanism, const char *user,
                                   const char *secret)
{
    struct mail_login login = {.mechanism = (uint8_t)mechanism};
    ck_assert(mail_login_set_user(&login, slice_from(user)));
    ck_assert(mail_login_set_secret(&login, slice_from(secret), MAIL_TOKEN_MAX));
    return login;
}
