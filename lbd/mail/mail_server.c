/* mail_server - see mail_server.h. */
#include "lbd/mail/mail_server.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/mail/mail_line.h"

#define UNTAGGED_MAX 16384U

#define PASSWORD_MECHANISMS                                                                        \
    (MAIL_MECHANISM_BIT(MAIL_PLAIN) | MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND) |                     \
     MAIL_MECHANISM_BIT(MAIL_LOGIN))

static const struct mail_server_dialect *const dialects[MAIL_PROTOCOL_COUNT] = {
    [MAIL_IMAP] = &imap_server,
    [MAIL_POP3] = &pop3_server,
    [MAIL_SMTP] = &smtp_server,
    [MAIL_SIEVE] = &sieve_server,
};

void mail_server_init(struct mail_server *server, const struct mail_terms *terms,
                      const struct mail_login *login, struct slice user,
                      const struct mail_origin *origin, bool is_secure)
{
    memset(server, 0, sizeof(*server));
    server->dialect = dialects[terms->protocol];
    server->terms = terms;
    server->login = login;
    server->user = user;
    server->origin = origin;
    server->is_secure = is_secure;
    server->at = MAIL_AT_BANNER;
    buf_init(&server->line, SIZE_MAX); /* mail_line has the limits */
    buf_init(&server->capabilities, MAIL_CAPABILITIES_MAX);
    buf_init(&server->untagged, UNTAGGED_MAX);
    buf_init(&server->text, MAIL_SASL_LINE_MAX); /* a challenge, too */
}

void mail_server_fini(struct mail_server *server)
{
    mail_line_fini(&server->line);
    buf_fini(&server->capabilities);
    buf_fini(&server->untagged);
    buf_fini(&server->text);
}

/* The line ends with a literal, which comes next. */
static void begin_literal(struct mail_server *server, const struct mail_literal *literal,
                          enum mail_server_event *event)
{
    if (literal->bytes > MAIL_SERVER_LINE_MAX - server->line.len) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("a literal is too long"), event);
        return;
    }
    mail_line_join(&server->line);
    server->literal_left = (uint32_t)literal->bytes;
    server->line_from = (uint32_t)server->line.len + server->literal_left;
}

static void end_line(struct mail_server *server, struct buf *out, enum mail_server_event *event)
{
    struct slice line = buf_slice(&server->line);
    struct mail_literal literal;
    if (server->dialect->may_have_literal != NULL && server->dialect->may_have_literal(line) &&
        mail_literal_read(slice_from_at(line, server->line_from), &literal)) {
        begin_literal(server, &literal, event);
        return;
    }
    server->dialect->take_line(server, out, event);
    server->line_from = 0;
    buf_clear(&server->line);
}

/* Uses at most one line, or the bytes of one literal; 0 only with an event. */
static size_t take(struct mail_server *server, const char *bytes, size_t len, struct buf *out,
                   enum mail_server_event *event)
{
    if (server->literal_left > 0) {
        return mail_line_take_literal(&server->line, bytes, len, &server->literal_left);
    }
    enum mail_line_end end;
    size_t used = mail_line_take(&server->line, MAIL_SERVER_LINE_MAX, bytes, len, &end);
    switch (end) {
    case MAIL_LINE_MORE:
        break;
    case MAIL_LINE_WHOLE:
    case MAIL_LINE_BARE_LF:
        end_line(server, out, event);
        break;
    case MAIL_LINE_TOO_LONG:
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("a line is too long"), event);
        break;
    case MAIL_LINE_NUL:
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("a NUL"), event);
        break;
    }
    return used;
}

size_t mail_server_feed(struct mail_server *server, const char *bytes, size_t len, struct buf *out,
                        enum mail_server_event *event)
{
    size_t used = 0;
    *event = MAIL_SERVER_MORE;
    while (used < len && *event == MAIL_SERVER_MORE) {
        size_t step = take(server, bytes + used, len - used, out, event);
        assert(step > 0 || *event != MAIL_SERVER_MORE);
        used += step;
        if (out->overflow && *event == MAIL_SERVER_MORE) {
            mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("it asks too much"), event);
        }
    }
    /* CVE-2021-38371: who sits in between must not speak for the server behind TLS. */
    if (*event == MAIL_SERVER_STARTTLS && used < len) {
        mail_server_fail(server, CLOSE_SERVER_STARTTLS_INJECTION,
                         SLICE("bytes follow the answer to STARTTLS"), event);
    }
    return used;
}

void mail_server_secured(struct mail_server *server, struct buf *out)
{
    server->is_secure = true;
    server->flags = 0;
    server->lines = 0;
    server->literal_left = 0;
    server->line_from = 0;
    server->xclient_left = 0;
    buf_clear(&server->line);
    buf_clear(&server->capabilities);
    buf_clear(&server->untagged);
    buf_clear(&server->text);
    server->dialect->secured(server, out);
}

void mail_server_goodbye(struct mail_server *server, struct buf *out)
{
    server->dialect->goodbye(server, out);
}

const char *mail_server_state_word(const struct mail_server *server)
{
    switch ((enum mail_server_at)server->at) {
    case MAIL_AT_BANNER:
        return "banner";
    case MAIL_AT_CAPABILITY:
        return "capability";
    case MAIL_AT_STARTTLS:
        return "starttls";
    case MAIL_AT_HANDSHAKE:
        return "handshake";
    case MAIL_AT_XCLIENT:
        return "xclient";
    case MAIL_AT_LOGIN:
        return "login";
    case MAIL_AT_END:
        break;
    }
    return "end";
}

static void keep_text(struct mail_server *server, struct slice text)
{
    buf_clear(&server->text);
    mail_text_append(&server->text, text);
}

void mail_server_welcome(struct mail_server *server, struct slice text,
                         enum mail_server_event *event)
{
    keep_text(server, text);
    server->at = MAIL_AT_END;
    server->welcome = (struct mail_welcome){.text = buf_slice(&server->text),
                                            .capabilities = buf_slice(&server->capabilities),
                                            .untagged = buf_slice(&server->untagged)};
    *event = MAIL_SERVER_READY;
}

void mail_server_fail(struct mail_server *server, enum close_reason reason, struct slice text,
                      enum mail_server_event *event)
{
    keep_text(server, text);
    server->reason = (uint8_t)reason;
    *event = MAIL_SERVER_FAILED;
}

void mail_server_refuse(struct mail_server *server, enum mail_refusal refusal, struct slice text,
                        enum mail_server_event *event)
{
    keep_text(server, text);
    server->refusal = (uint8_t)refusal;
    *event = MAIL_SERVER_REFUSED;
}

void mail_server_put_off(struct mail_server *server, struct slice text,
                         enum mail_server_event *event)
{
    keep_text(server, text);
    server->reason = CLOSE_SERVER_GOODBYE;
    *event = MAIL_SERVER_UNAVAILABLE;
}

bool mail_server_proof(const struct mail_server *server, struct sasl_proof *proof)
{
    switch (server->terms->credentials) {
    case MAIL_CREDENTIALS_NONE:
        return false;
    case MAIL_CREDENTIALS_MASTER:
        *proof = (struct sasl_proof){.mechanism = MAIL_PLAIN,
                                     .authzid = server->user,
                                     .user = server->terms->master_user,
                                     .secret = server->terms->master_password};
        return true;
    case MAIL_CREDENTIALS_FORWARD:
        break;
    }
    const struct mail_login *login = server->login;
    if (login == NULL || login->mechanism == MAIL_EXTERNAL) {
        return false; /* there is no secret in it */
    }
    *proof = (struct sasl_proof){
        .mechanism = mail_mechanism_is_token(login->mechanism) ? login->mechanism : MAIL_PLAIN,
        .authzid = login->has_authzid ? mail_login_authzid(login) : SLICE_NONE,
        .user = server->user,
        .secret = mail_login_secret(login)};
    return true;
}

bool mail_server_choose(struct mail_server *server, uint32_t offered, struct sasl_proof *proof)
{
    static const uint8_t tokens[] = {MAIL_XOAUTH2, MAIL_OAUTHBEARER};
    static const uint8_t passwords[] = {MAIL_PLAIN, MAIL_LOGIN_COMMAND, MAIL_LOGIN};
    bool is_token = mail_mechanism_is_token(proof->mechanism);
    uint32_t fitting = is_token ? ~PASSWORD_MECHANISMS : PASSWORD_MECHANISMS;
    if (proof->authzid.len > 0) {
        fitting = is_token ? fitting : MAIL_MECHANISM_BIT(MAIL_PLAIN);
    }
    if (server->terms->mechanism != 0) {
        /* Who insists knows better than what the server says of itself (Exchange). */
        offered = MAIL_MECHANISM_BIT(server->terms->mechanism - 1U);
    }
    fitting &= offered;
    if (is_token && (fitting & MAIL_MECHANISM_BIT(proof->mechanism)) != 0) {
        server->mechanism = (uint8_t)proof->mechanism;
        return true;
    }
    const uint8_t *order = is_token ? tokens : passwords;
    size_t count = is_token ? sizeof(tokens) : sizeof(passwords);
    for (size_t i = 0; i < count; i++) {
        if ((fitting & MAIL_MECHANISM_BIT(order[i])) != 0) {
            server->mechanism = order[i];
            proof->mechanism = (enum mail_mechanism)order[i];
            return true;
        }
    }
    return false;
}
