/* snapshot_mail - see snapshot_mail.h. */
#include "lbd/snapshot/snapshot_mail.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MINUTE_MS 60000U
#define HOST_MAX  256U

static enum mail_protocol protocol_of(enum conf_protocol protocol)
{
    switch (protocol) {
    case CONF_PROTOCOL_POP3:
        return MAIL_POP3;
    case CONF_PROTOCOL_SMTP:
        return MAIL_SMTP;
    case CONF_PROTOCOL_SIEVE:
        return MAIL_SIEVE;
    case CONF_PROTOCOL_HTTP:
    case CONF_PROTOCOL_TCP:
    case CONF_PROTOCOL_TLS_PASSTHROUGH:
    case CONF_PROTOCOL_IMAP:
        break;
    }
    return MAIL_IMAP;
}

/* Behind the servers' own limits, which are to end a session (MAIL.md 4.4). */
static uint32_t idle_ms_of(enum mail_protocol protocol)
{
    switch (protocol) {
    case MAIL_POP3:
        return 12 * MINUTE_MS;
    case MAIL_SMTP:
        return 10 * MINUTE_MS;
    case MAIL_IMAP:
    case MAIL_SIEVE:
        break;
    }
    return 35 * MINUTE_MS;
}

static struct slice our_host(struct arena *arena, struct slice wanted)
{
    char name[HOST_MAX];
    if (wanted.len != 0) {
        return wanted;
    }
    if (gethostname(name, sizeof(name)) != 0) {
        return SLICE("localhost");
    }
    name[sizeof(name) - 1] = '\0';
    return arena_copy(arena, slice_from(name));
}

static uint32_t mechanisms_of(const struct conf_listener_mail *conf)
{
    static const struct {
        const char *word;
        uint32_t bits;
    } words[] = {
        {"plain", MAIL_MECHANISM_BIT(MAIL_PLAIN) | MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND)},
        {"login", MAIL_MECHANISM_BIT(MAIL_LOGIN)},
        {"xoauth2", MAIL_MECHANISM_BIT(MAIL_XOAUTH2)},
        {"oauthbearer", MAIL_MECHANISM_BIT(MAIL_OAUTHBEARER)},
        {"external", MAIL_MECHANISM_BIT(MAIL_EXTERNAL)},
    };
    if (conf->login == CONF_MAIL_LOGIN_NONE) {
        return 0;
    }
    uint32_t bits = conf->mechanism_count == 0 ? words[0].bits | words[1].bits : 0;
    for (uint32_t i = 0; i < conf->mechanism_count; i++) {
        for (size_t w = 0; w < ARRAY_LEN(words); w++) {
            bits |= slice_eq(conf->mechanisms[i], slice_from(words[w].word)) ? words[w].bits : 0;
        }
    }
    return bits;
}

struct mail_plan *snapshot_mail_plan(struct arena *arena, const struct conf_listener *conf)
{
    struct mail_plan *plan = arena_zero(arena, sizeof(*plan));
    const struct conf_listener_mail *mail = &conf->mail;
    enum mail_protocol protocol = protocol_of(conf->protocol);
    plan->offer = (struct mail_offer){
        .protocol = protocol,
        .host = our_host(arena, mail->host),
        .greeting = mail->greeting,
        .mechanisms = mechanisms_of(mail),
        .has_starttls = mail->starttls != 0,
        .allows_cleartext = mail->allow_cleartext != 0,
        .needs_no_login = mail->login == CONF_MAIL_LOGIN_NONE,
        .needs_recipient = mail->login == CONF_MAIL_LOGIN_NONE && mail->callback.len != 0,
        .bad_commands = mail->limits.bad_commands,
        .failures = mail->limits.failures,
    };
    plan->conf = mail;
    plan->starttls = mail->starttls != 0;
    plan->tracks =
        protocol == MAIL_IMAP && (mail->relay == CONF_MAIL_RELAY_TRACK || mail->has_cache != 0);
    plan->idle_ms = mail->timeouts.idle_ms != 0 ? mail->timeouts.idle_ms : idle_ms_of(protocol);
    (void)cidr_set_build(&plan->trusted, arena, mail->trusted_from, mail->trusted_from_count);
    if (mail->has_cache != 0) { /* conf_check has read them all */
        (void)cidr_set_build(&plan->cache_clients, arena, mail->cache.clients,
                             mail->cache.client_count);
    }
    return plan;
}

/* -- pools -- */

static enum mail_credentials credentials_of(enum conf_mail_credentials credentials)
{
    switch (credentials) {
    case CONF_MAIL_CREDENTIALS_MASTER:
        return MAIL_CREDENTIALS_MASTER;
    case CONF_MAIL_CREDENTIALS_NONE:
        return MAIL_CREDENTIALS_NONE;
    case CONF_MAIL_CREDENTIALS_FORWARD:
        break;
    }
    return MAIL_CREDENTIALS_FORWARD;
}

/* As mail_terms has it: 0 is what fits. */
static uint8_t mechanism_of(enum conf_mail_mechanism mechanism)
{
    switch (mechanism) {
    case CONF_MAIL_MECHANISM_PLAIN:
        return MAIL_PLAIN + 1;
    case CONF_MAIL_MECHANISM_LOGIN:
        return MAIL_LOGIN + 1;
    case CONF_MAIL_MECHANISM_LOGIN_COMMAND:
        return MAIL_LOGIN_COMMAND + 1;
    case CONF_MAIL_MECHANISM_AUTO:
        break;
    }
    return 0;
}

bool snapshot_mail_password(struct registry_tls *tls, const struct conf_pool *conf,
                            struct slice *password, struct err *err)
{
    *password = SLICE_NONE;
    if (!conf->has_mail || conf->mail.master_password_file.len == 0) {
        return true;
    }
    const struct tls_secret *secret =
        registry_secret_of(tls, conf->mail.master_password_file, 1, err);
    if (secret == NULL) {
        (void)snprintf(err->place, sizeof(err->place), "/pools/%.*s/mail/master_password_file",
                       SLICE_ARG(conf->name));
        return false;
    }
    *password = tls_secret_text(secret);
    return true;
}

void snapshot_mail_terms(struct pool *pool, const struct conf_pool *conf, struct slice password)
{
    const struct conf_pool_mail *mail = &conf->mail;
    pool->mail = arena_zero(&pool->arena, sizeof(*pool->mail));
    pool->mail->terms = (struct mail_terms){
        .credentials = credentials_of(mail->credentials),
        .mechanism = mechanism_of(mail->mechanism),
        .starttls = mail->starttls != 0,
        .tells_client = mail->tell_client != 0,
        .master_user = arena_copy(&pool->arena, mail->master_user),
        .master_password = arena_copy(&pool->arena, password),
    };
    pool->mail->logins = mail->logins;
    pool->mail->login_wait_ms = mail->login_wait_ms;
    pool->mail->close_over_ms = mail->close_over_ms;
    pool->tls_later = mail->starttls != 0;
}

bool snapshot_mail_form(enum conf_check_type type, enum mail_keywords_form *form)
{
    switch (type) {
    case CONF_CHECK_IMAP:
        *form = MAIL_KEYWORDS_WORDS;
        return true;
    case CONF_CHECK_POP3:
    case CONF_CHECK_SMTP:
    case CONF_CHECK_SIEVE:
        *form = MAIL_KEYWORDS_LINES;
        return true;
    case CONF_CHECK_HTTP:
    case CONF_CHECK_TCP:
    case CONF_CHECK_TLS:
    case CONF_CHECK_GRPC:
        break;
    }
    return false;
}

void snapshot_mail_keywords(struct pool *pool, const struct conf *document,
                            const struct conf_pool *conf)
{
    const struct conf_health_check *check = conf_health_check_find(document, conf->health_check);
    enum mail_keywords_form form;
    struct buf common;
    struct buf both;
    bool is_any_known = false;
    if (check == NULL || !snapshot_mail_form(check->type, &form)) {
        return;
    }
    buf_init(&common, MAIL_CAPABILITIES_MAX);
    buf_init(&both, MAIL_CAPABILITIES_MAX);
    for (uint32_t i = 0; i < pool->count; i++) {
        const char *list = pool->members[i].server->capabilities;
        if (list == NULL) {
            continue; /* nobody has asked it yet, and it gets no clients before */
        }
        if (!is_any_known) {
            (void)buf_append_text(&common, list);
            is_any_known = true;
            continue;
        }
        buf_clear(&both);
        mail_keywords_common(buf_slice(&common), slice_from(list), form, &both);
        buf_clear(&common);
        (void)buf_append_slice(&common, buf_slice(&both));
    }
    pool->keywords = arena_copy(&pool->arena, buf_slice(&common));
    buf_fini(&common);
    buf_fini(&both);
}
