/* mail_client - see mail_client.h. */
#include "lbd/mail/mail_client.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/mail/mail_command.h"
#include "lbd/mail/mail_line.h"

static const struct mail_client_dialect *const dialects[MAIL_PROTOCOL_COUNT] = {
    [MAIL_IMAP] = &imap_client,
    [MAIL_POP3] = &pop3_client,
    [MAIL_SMTP] = &smtp_client,
    [MAIL_SIEVE] = &sieve_client,
};

void mail_client_init(struct mail_client *client, const struct mail_offer *offer, bool is_secure)
{
    memset(client, 0, sizeof(*client));
    client->dialect = dialects[offer->protocol];
    client->offer = offer;
    client->is_secure = is_secure;
    buf_init(&client->line, SIZE_MAX); /* mail_line has the limits */
    buf_init(&client->from, MAIL_SMTP_LINE_MAX);
}

void mail_client_fini(struct mail_client *client)
{
    mail_login_wipe(&client->login);
    mail_line_fini(&client->line);
    buf_fini(&client->from);
}

void mail_client_greet(struct mail_client *client, struct buf *out)
{
    client->dialect->greet(client, out);
}

size_t mail_client_feed(struct mail_client *client, const char *bytes, size_t len, struct buf *out,
                        enum mail_client_event *event)
{
    size_t used = 0;
    *event = MAIL_CLIENT_MORE;
    while (used < len && *event == MAIL_CLIENT_MORE) {
        size_t step = client->dialect->feed(client, bytes + used, len - used, out, event);
        assert(step > 0 || *event != MAIL_CLIENT_MORE);
        used += step;
        if (out->overflow && *event == MAIL_CLIENT_MORE) { /* it asks and does not listen */
            client->reason = CLOSE_FLOOD;
            *event = MAIL_CLIENT_CLOSE;
        }
    }
    return used;
}

/* What was said in clear is forgotten: RFC 9051 6.2.1, RFC 3207 4.2. */
void mail_client_secured(struct mail_client *client, struct buf *out)
{
    client->is_secure = true;
    client->flags = 0;
    client->tag_len = 0;
    client->helo_len = 0;
    buf_clear(&client->from);
    client->is_esmtp = false;
    client->behind = (struct mail_behind){0};
    mail_login_wipe(&client->login);
    mail_command_end(client);
    if (client->dialect->secured != NULL) {
        client->dialect->secured(client, out);
    }
}

void mail_client_accept(struct mail_client *client, const struct mail_welcome *welcome,
                        struct buf *out)
{
    client->dialect->accept(client, welcome, out);
}

/* False: that was one too many. */
static bool count_failure(struct mail_client *client)
{
    return ++client->failures < client->offer->failures;
}

bool mail_client_refuse(struct mail_client *client, enum mail_refusal refusal, struct slice text,
                        struct buf *out)
{
    mail_login_wipe(&client->login);
    client->dialect->refuse(client, refusal, text, out);
    if ((refusal == MAIL_REFUSED || refusal == MAIL_REFUSED_AS_IS) && !count_failure(client)) {
        client->reason = CLOSE_LOGIN_FAILURES;
        client->dialect->bye(client, CLOSE_LOGIN_FAILURES, out);
        return false;
    }
    return client->reason == CLOSE_OK; /* the dialect may have said that it is the end */
}

void mail_client_challenge(struct mail_client *client, struct slice base64, struct buf *out)
{
    /* What is none could end a line of the client's protocol. */
    client->dialect->challenge(client, mail_auth_is_base64(base64) ? base64 : SLICE_NONE, out);
}

void mail_client_bye(struct mail_client *client, enum close_reason reason, struct buf *out)
{
    client->dialect->bye(client, reason, out);
}

void mail_client_close(struct mail_client *client, enum close_reason reason, struct buf *out,
                       enum mail_client_event *event)
{
    mail_login_wipe(&client->login);
    mail_line_wipe(&client->line);
    client->dialect->bye(client, reason, out);
    client->reason = (uint8_t)reason;
    *event = MAIL_CLIENT_CLOSE;
}

void mail_client_note_bad(struct mail_client *client, struct buf *out,
                          enum mail_client_event *event)
{
    if (++client->bad_commands >= client->offer->bad_commands) {
        mail_client_close(client, CLOSE_BAD_COMMANDS, out, event);
    }
}

void mail_client_note_failure(struct mail_client *client, struct buf *out,
                              enum mail_client_event *event)
{
    mail_login_wipe(&client->login);
    if (!count_failure(client)) {
        mail_client_close(client, CLOSE_LOGIN_FAILURES, out, event);
    }
}

const char *mail_client_refusal_text(enum mail_refusal refusal)
{
    switch (refusal) {
    case MAIL_REFUSED:
    case MAIL_REFUSED_AS_IS: /* and the server had no words */
        break;
    case MAIL_DISABLED:
        return "Login is disabled for this account";
    case MAIL_TOO_MANY:
        return "Too many sessions";
    case MAIL_UNAVAILABLE:
        return "Account is temporarily unavailable";
    case MAIL_INTERNAL:
        return "Internal error";
    }
    return "Authentication failed";
}

const char *mail_client_bye_text(enum close_reason reason)
{
    switch ((unsigned)reason) {
    case CLOSE_BAD_COMMANDS:
        return "Too many bad commands";
    case CLOSE_LOGIN_FAILURES:
    case CLOSE_ADDRESS_BANNED:
        return "Too many failed logins";
    case CLOSE_COMMAND_TOO_LONG:
        return "Command too long";
    case CLOSE_BAD_COMMAND_BYTES:
        return "Bad bytes in a command";
    case CLOSE_LOGIN_TIMEOUT:
    case CLOSE_FIRST_BYTE_TIMEOUT:
    case CLOSE_TUNNEL_TIMEOUT:
        return "Disconnected for inactivity";
    case CLOSE_OVERLOAD:
    case CLOSE_TOO_MANY_CONNECTIONS:
    case CLOSE_ADDRESS_LIMIT:
    case CLOSE_USER_LIMIT:
        return "Too many connections";
    case CLOSE_DRAINING:
    case CLOSE_SHUTDOWN:
    case CLOSE_DRAIN_DEADLINE:
    case CLOSE_LISTENER_REMOVED:
    case CLOSE_SERVER_REMOVED:
        return "Server shutting down, please connect again";
    case CLOSE_KILLED:
        return "Disconnected by the administrator";
    case CLOSE_USER_KICKED:
        return "Please connect again";
    case CLOSE_OK:
        return "Logging out";
    default:
        return "Disconnected";
    }
}

bool mail_client_is_passing(enum close_reason reason)
{
    switch ((unsigned)reason) {
    case CLOSE_OVERLOAD:
    case CLOSE_TOO_MANY_CONNECTIONS:
    case CLOSE_DRAINING:
    case CLOSE_SHUTDOWN:
    case CLOSE_DRAIN_DEADLINE:
    case CLOSE_LISTENER_REMOVED:
    case CLOSE_SERVER_REMOVED:
    case CLOSE_KILLED:
    case CLOSE_USER_KICKED:
    case CLOSE_OUT_OF_MEMORY:
    case CLOSE_INTERNAL:
        return true;
    default:
        return false;
    }
}
