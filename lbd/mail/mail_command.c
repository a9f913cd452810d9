/* mail_command - see mail_command.h. */
#include "lbd/mail/mail_command.h"

#include "lbd/mail/sasl.h"

/* Does the line so far, with the bytes behind it, begin with AUTH and a space? */
static bool is_auth(const struct buf *line, const char *bytes, size_t len)
{
    static const struct slice verb = SLICE_INIT("AUTH ");
    char begin[5];
    if (line->len + len < sizeof(begin)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(begin); i++) {
        begin[i] = i < line->len ? line->data[i] : bytes[i - line->len];
    }
    return slice_eq_nocase(slice_of(begin, sizeof(begin)), verb);
}

size_t mail_command_take(struct mail_client *client, size_t max, const char *bytes, size_t len,
                         enum mail_line_end *end)
{
    if (is_auth(&client->line, bytes, len)) {
        max = MAIL_SASL_LINE_MAX;
    }
    return mail_line_take(&client->line, max, bytes, len, end);
}

bool mail_command_run(struct mail_client *client, const struct mail_verb *verbs, size_t count,
                      struct buf *out, enum mail_client_event *event)
{
    struct slice line = buf_slice(&client->line);
    size_t space = slice_find(line, ' ');
    struct slice word = slice_of(line.ptr, space < line.len ? space : line.len);
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(verbs[i].word, word)) {
            verbs[i].take(client, slice_from_at(line, word.len + 1), out, event);
            return true;
        }
    }
    return false;
}

void mail_command_expect(struct mail_client *client, const struct mail_literal *literal)
{
    mail_line_join(&client->line);
    client->literal_left = (uint32_t)literal->bytes;
    client->literal_sum += client->literal_left;
    client->line_from = (uint32_t)client->line.len + client->literal_left;
}

void mail_command_end(struct mail_client *client)
{
    mail_line_wipe(&client->line);
    client->literal_left = 0;
    client->literal_sum = 0;
    client->line_from = 0;
}

bool mail_auth_is_base64(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '+' && c != '/' && c != '=') {
            return false;
        }
    }
    return true;
}

void mail_auth_list(const struct mail_client *client, const char *begin, const char *between,
                    const char *end, struct buf *out)
{
    bool is_begun = false;
    for (unsigned i = MAIL_PLAIN; mail_client_may_login(client) && i < MAIL_MECHANISM_COUNT; i++) {
        if (mail_client_offers(client, (enum mail_mechanism)i)) {
            buf_append_text(out, is_begun ? between : begin);
            buf_append_text(out, mail_mechanism_word((enum mail_mechanism)i));
            is_begun = true;
        }
    }
    buf_append_text(out, is_begun ? end : "");
}

static enum mail_auth judge(struct mail_client *client, enum sasl_verdict verdict)
{
    enum mail_auth auth = MAIL_AUTH_MALFORMED;
    switch (verdict) {
    case SASL_DONE:
        return MAIL_AUTH_DONE;
    case SASL_NEXT:
        return MAIL_AUTH_ASK;
    case SASL_BAD_BASE64:
    case SASL_MALFORMED:
        break;
    case SASL_BAD_NAME:
    case SASL_TOO_LONG:
        auth = MAIL_AUTH_WRONG;
        break;
    case SASL_NO_USER:
        auth = MAIL_AUTH_NO_USER;
        break;
    }
    mail_login_wipe(&client->login);
    return auth;
}

enum mail_auth mail_auth_message(struct mail_client *client, struct slice base64)
{
    char *from = client->line.data;
    if (base64.len > 0) {
        from += base64.ptr - client->line.data;
    }
    return judge(client, sasl_read(&client->login, client->subject, from, base64.len));
}

enum mail_auth mail_auth_start(struct mail_client *client, struct slice name,
                               const struct slice *message)
{
    enum mail_mechanism mechanism;
    mail_login_wipe(&client->login);
    if (!mail_client_may_login(client)) {
        return MAIL_AUTH_NEEDS_TLS;
    }
    if (!sasl_mechanism_find(name, &mechanism) || !mail_client_offers(client, mechanism)) {
        return MAIL_AUTH_UNKNOWN;
    }
    client->login.mechanism = (uint8_t)mechanism;
    return message != NULL ? mail_auth_message(client, *message) : MAIL_AUTH_ASK;
}

enum mail_auth mail_auth_begin(struct mail_client *client, struct slice words)
{
    struct slice name;
    struct slice message;
    struct slice more;
    mail_login_wipe(&client->login);
    if (!mail_word_next(&words, &name)) {
        return MAIL_AUTH_SYNTAX;
    }
    bool has_message = mail_word_next(&words, &message);
    if (mail_word_next(&words, &more)) {
        return MAIL_AUTH_SYNTAX;
    }
    if (has_message && slice_eq(message, SLICE("="))) {
        message.len = 0; /* RFC 4954 4, RFC 4959 3, RFC 5034 4: an empty message */
    }
    return mail_auth_start(client, name, has_message ? &message : NULL);
}

enum mail_auth mail_auth_continue(struct mail_client *client)
{
    if (slice_eq(buf_slice(&client->line), SLICE("*"))) {
        mail_login_wipe(&client->login);
        return MAIL_AUTH_CANCELLED;
    }
    return mail_auth_message(client, buf_slice(&client->line));
}

void mail_auth_note(struct mail_client *client, enum mail_auth auth, struct buf *out,
                    enum mail_client_event *event)
{
    switch (auth) {
    case MAIL_AUTH_DONE:
        *event = MAIL_CLIENT_LOGIN;
        break;
    case MAIL_AUTH_ASK:
        break;
    case MAIL_AUTH_WRONG:
    case MAIL_AUTH_NO_USER:
        mail_client_note_failure(client, out, event);
        break;
    case MAIL_AUTH_CANCELLED:
    case MAIL_AUTH_UNKNOWN:
    case MAIL_AUTH_NEEDS_TLS:
    case MAIL_AUTH_SYNTAX:
    case MAIL_AUTH_MALFORMED:
        mail_client_note_bad(client, out, event);
        break;
    }
}
