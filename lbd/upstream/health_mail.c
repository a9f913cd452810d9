#include "lbd/upstream/health_mail.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/mail/mail_server.h"
#include "lbd/tls/tls_file.h"

enum { HOST_MAX = 64 };

struct health_mail {
    struct mail_terms terms;
    struct mail_login login;
    struct mail_server server;
    struct buf capabilities; /* as it said them before a login */
    bool has_login;
    char host[HOST_MAX + 1];
};

static enum mail_protocol protocol_of(enum conf_check_type type)
{
    switch (type) {
    case CONF_CHECK_POP3:
        return MAIL_POP3;
    case CONF_CHECK_SMTP:
        return MAIL_SMTP;
    case CONF_CHECK_SIEVE:
        return MAIL_SIEVE;
    case CONF_CHECK_IMAP:
    case CONF_CHECK_HTTP:
    case CONF_CHECK_TCP:
    case CONF_CHECK_TLS:
    case CONF_CHECK_GRPC:
        break;
    }
    return MAIL_IMAP;
}

/* -- the login -- */

static struct slice without_line_end(struct slice text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r')) {
        text.len--;
    }
    return text;
}

/* False: without; the verdict will say why. */
static bool make_login(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    struct health_mail *mail = probe->mail;
    struct slice text;
    struct err err;
    char *path = mem_slicedup(check->password_file);
    bool is_read = tls_file_read(path, "the password", true, MAIL_PASSWORD_MAX, &text, &err);
    free(path);
    if (!is_read) {
        health_probe_say(probe, "no login tried: %s", err.text);
        return false;
    }
    mail->login.mechanism = MAIL_PLAIN;
    bool is_fine = mail_login_set_user(&mail->login, check->user) &&
                   mail_login_set_secret(&mail->login, without_line_end(text), MAIL_PASSWORD_MAX);
    tls_file_forget(text);
    if (!is_fine) {
        health_probe_say(probe, "no login tried: no name or password can look like this");
    }
    return is_fine;
}

/* -- the conversation -- */

/* For EHLO (RFC 5321 4.1.1.1): the system's name, where it has one that can stand there. */
static void write_host(char out[HOST_MAX + 1])
{
    if (gethostname(out, HOST_MAX) != 0) {
        out[0] = '\0';
    }
    out[HOST_MAX] = '\0';
    size_t len = strlen(out);
    if (len == 0 || !health_probe_is_plain(slice_from(out))) {
        memcpy(out, "localhost", sizeof("localhost"));
    }
}

static enum health_probe_step connected(struct health_probe *probe)
{
    struct health_mail *mail = probe->mail;
    if (mail != NULL) { /* after STARTTLS */
        mail_server_secured(&mail->server, &probe->talk.out);
        return HEALTH_PROBE_WAIT;
    }
    mail = mem_zero(1, sizeof(*mail));
    probe->mail = mail;
    buf_init(&mail->capabilities, MAIL_CAPABILITIES_MAX);
    write_host(mail->host);
    mail->terms = (struct mail_terms){.protocol = protocol_of(probe->plan->check.type),
                                      .credentials = MAIL_CREDENTIALS_FORWARD,
                                      .starttls = probe->starttls,
                                      .is_check = true,
                                      .host = slice_from(mail->host)};
    if (probe->plan->check.user.len != 0) {
        mail->has_login = make_login(probe);
        probe->is_degraded = !mail->has_login;
    }
    mail_server_init(&mail->server, &mail->terms, mail->has_login ? &mail->login : NULL,
                     mail_login_user(&mail->login), NULL, probe->talk.tls != NULL);
    return HEALTH_PROBE_WAIT;
}

static void keep_capabilities(struct health_mail *mail)
{
    const struct mail_server *server = &mail->server;
    if (server->at >= MAIL_AT_LOGIN && server->capabilities.len != 0 &&
        mail->capabilities.len == 0) {
        (void)buf_append_slice(&mail->capabilities, buf_slice(&server->capabilities));
    }
}

/* It is fit, and only wants to be left politely. */
static enum health_probe_step leave(struct health_probe *probe)
{
    probe->is_fit = true;
    mail_server_goodbye(&probe->mail->server, &probe->talk.out);
    buf_clear(&probe->talk.in);
    return HEALTH_PROBE_WAIT;
}

static enum health_probe_step ready(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    char elapsed[32];
    health_probe_elapsed(probe, elapsed);
    if (probe->mail->has_login) {
        health_probe_say(probe, "logged in as %.*s in %s", SLICE_ARG(check->user), elapsed);
    } else if (!probe->is_degraded) { /* else the text says it */
        health_probe_say(probe, "%s in %s", mail_protocol_word(probe->mail->terms.protocol),
                         elapsed);
    }
    return leave(probe);
}

/* What was wrong, in the server's words or ours. */
static enum health_probe_step failed(struct health_probe *probe, const char *what)
{
    const struct mail_server *server = &probe->mail->server;
    struct slice text = buf_slice(&server->text);
    bool is_login = server->at == MAIL_AT_LOGIN ||
                    (server->reason == CLOSE_SERVER_NO_LOGIN && probe->mail->has_login);
    if (is_login) {
        health_probe_say(probe, "login as %.*s: %s%s%.*s", SLICE_ARG(probe->plan->check.user), what,
                         text.len != 0 ? ": " : "", (int)(text.len < 80 ? text.len : 80), text.ptr);
        probe->is_degraded = true;
        return leave(probe);
    }
    health_probe_say(probe, "%s: %s%s%.*s", mail_server_state_word(server), what,
                     text.len != 0 ? ": " : "", (int)(text.len < 80 ? text.len : 80), text.ptr);
    return HEALTH_PROBE_FAIL;
}

/* Who has gone already needs no farewell. */
static enum health_probe_step leave_or_end(enum health_probe_step step, bool ended)
{
    return step == HEALTH_PROBE_WAIT && ended ? HEALTH_PROBE_PASS : step;
}

static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    struct health_mail *mail = probe->mail;
    struct talk *talk = &probe->talk;
    enum mail_server_event event = MAIL_SERVER_MORE;
    if (probe->is_fit) {
        buf_clear(&talk->in);
        return ended ? HEALTH_PROBE_PASS : HEALTH_PROBE_WAIT;
    }
    size_t used = mail_server_feed(&mail->server, talk->in.data, talk->in.len, &talk->out, &event);
    buf_consume(&talk->in, used);
    keep_capabilities(mail);
    switch (event) {
    case MAIL_SERVER_MORE:
        break;
    case MAIL_SERVER_STARTTLS:
        buf_clear(&mail->capabilities); /* what was said in clear does not count */
        if (probe->tls == NULL || !health_probe_secure(probe)) {
            health_probe_say(probe, "no TLS to begin");
            return HEALTH_PROBE_FAIL;
        }
        return HEALTH_PROBE_WAIT;
    case MAIL_SERVER_READY:
        return leave_or_end(ready(probe), ended);
    case MAIL_SERVER_CHALLENGE:
    case MAIL_SERVER_REFUSED:
        return leave_or_end(failed(probe, "refused"), ended);
    case MAIL_SERVER_UNAVAILABLE:
        return leave_or_end(failed(probe, "not now"), ended);
    case MAIL_SERVER_FAILED:
        return leave_or_end(
            failed(probe, close_reason_sentence((enum close_reason)mail->server.reason)), ended);
    }
    if (ended) {
        health_probe_say(probe, "%s: connection closed", mail_server_state_word(&mail->server));
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

static void ended(struct health_probe *probe)
{
    struct health_mail *mail = probe->mail;
    if (mail == NULL) {
        return;
    }
    mail_server_fini(&mail->server);
    mail_login_wipe(&mail->login);
    buf_fini(&mail->capabilities);
    free(mail);
    probe->mail = NULL;
}

size_t health_mail_capabilities(const struct health_probe *probe, char out[MAIL_CAPABILITIES_MAX])
{
    if (probe->mail == NULL || !probe->is_fit) {
        return 0;
    }
    struct slice list = buf_slice(&probe->mail->capabilities);
    if (list.len != 0) {
        memcpy(out, list.ptr, list.len);
    }
    return list.len;
}

const struct health_probe_kind health_mail = {
    .connected = connected, .received = received, .ended = ended};
