#include "lbd/control/cert_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_vault.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/snapshot/snapshot_mail.h"
#include "lbd/tls/digest.h"

/* Beyond it nobody reads through what every change would have to look up again. */
#define COVERED_MAX 2000U /* certificates */

struct check {
    struct registry_tls *tls;
    const struct conf *conf;
    struct conf_errors *errors;
    bool ok;
};

#define PATH(name_, parent_, key_)                                                                 \
    const struct conf_path name_ = {.parent = (parent_), .key = (key_)}

static const struct conf_path root;

bool cert_check_seal(struct slice chain, struct slice key, char stored[CONF_SEAL_NAME_MAX],
                     struct err *err)
{
    struct buf text;
    char hex[DIGEST_HEX_MAX];
    struct tls_cert *cert = tls_cert_from_pem(chain, key, err);
    if (cert == NULL) {
        return false;
    }
    tls_cert_unref(cert);
    buf_init(&text, CONF_VAULT_FILE_MAX);
    conf_seal_text(chain, key, &text);
    digest_hex(buf_slice(&text), CONF_VAULT_HEX_LEN, hex);
    (void)snprintf(stored, CONF_SEAL_NAME_MAX, CONF_VAULT_PREFIX "%s", hex);
    explicit_bzero(text.data, text.len);
    buf_fini(&text);
    return true;
}

/* -- one by one -- */

static void fail(struct check *check, const struct conf_path *object, const struct err *err)
{
    PATH(at, object, slice_from(err->place));
    conf_errors_add(check->errors, err->place[0] != '\0' ? &at : object,
                    err->kind == ERR_NOT_FOUND ? "not-stored" : "invalid-certificate", SLICE_NONE,
                    "%s", err->text);
    check->ok = false;
}

static enum tls_chain chain_of(struct registry_certificate *live, const struct tls_cert *cert)
{
    if (live == NULL) {
        return tls_cert_chain(cert);
    }
    if (live->chain_of != cert) { /* it costs a signature or two */
        live->chain_of = cert;
        live->chain = tls_cert_chain(cert);
    }
    return live->chain;
}

static void warn_of(struct check *check, const struct conf_certificate *conf,
                    const struct tls_cert *cert, const struct conf_path *at)
{
    const struct tls_cert_facts *facts = tls_cert_facts(cert);
    struct registry_certificate *live = map_get(&check->tls->certificates, conf->name);
    uint64_t now = now_wall_us();
    char date[NOW_LOG_DATE_LEN + 1];
    if (facts->not_after_us <= now) {
        now_log_date(date, facts->not_after_us);
        conf_errors_warn(check->errors, at, "expired-certificate",
                         "expired on %s: clients will not accept it", date);
    } else if (facts->not_before_us > now) {
        now_log_date(date, facts->not_before_us);
        conf_errors_warn(check->errors, at, "early-certificate",
                         "not valid before %s: clients will not accept it", date);
    }
    switch (chain_of(live, cert)) {
    case TLS_CHAIN_WHOLE:
        break;
    case TLS_CHAIN_TORN:
        conf_errors_warn(check->errors, at, "torn-chain",
                         "the chain is not in order: each certificate must be signed by the next");
        break;
    case TLS_CHAIN_CUT_SHORT:
        if (!facts->is_self_signed) {
            conf_errors_warn(check->errors, at, "short-chain",
                             "the chain ends before a CA that the system knows: an intermediate "
                             "certificate is missing, unless the CA is your own");
        }
        break;
    }
    if (facts->must_staple && !conf->ocsp) {
        conf_errors_warn(check->errors, at, "must-staple",
                         "demands OCSP stapling, and 'ocsp' is false: clients will not accept it");
    }
}

static void check_certificates(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(certificates, &root, SLICE("certificates"));
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        struct err err = {0};
        PATH(at, &certificates, conf->certificates[i].name);
        const struct tls_cert *cert =
            registry_certificate_of(check->tls, &conf->certificates[i], &err);
        if (cert != NULL) {
            warn_of(check, &conf->certificates[i], cert, &at);
        } else {
            fail(check, &at, &err);
        }
    }
}

static void check_ca_sets(struct check *check)
{
    const struct conf *conf = check->conf;
    uint64_t now = now_wall_us();
    PATH(ca_sets, &root, SLICE("ca_sets"));
    for (uint32_t i = 0; i < conf->ca_set_count; i++) {
        struct err err = {0};
        PATH(at, &ca_sets, conf->ca_sets[i].name);
        const struct tls_ca *ca = registry_ca_set_of(check->tls, &conf->ca_sets[i], &err);
        if (ca == NULL) {
            fail(check, &at, &err);
            continue;
        }
        const struct tls_ca_facts *facts = tls_ca_facts(ca);
        if (facts->not_after_us <= now) {
            conf_errors_warn(check->errors, &at, "expired-certificate",
                             "a certificate in it has expired");
        }
        if (facts->crl_until_us != 0 && facts->crl_until_us <= now) {
            conf_errors_warn(check->errors, &at, "old-crl",
                             "its revocation list is out of date: whoever it speaks of is refused");
        }
    }
}

static void check_tickets(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(listeners, &root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        struct err err = {0};
        PATH(at, &listeners, listener->name);
        PATH(tls, &at, SLICE("tls"));
        if (listener->has_tls && listener->tls.session_tickets &&
            registry_tickets_of(check->tls, listener->tls.ticket_keys_file, &err) == NULL) {
            fail(check, &tls, &err);
        }
    }
}

/* Passwords that lbd shows servers. */
static void check_secrets(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(pools, &root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        struct slice password;
        struct err err = {0};
        if (!snapshot_mail_password(check->tls, &conf->pools[i], &password, &err)) {
            err.place[0] = '\0';
            PATH(at, &pools, conf->pools[i].name);
            PATH(mail, &at, SLICE("mail"));
            PATH(file, &mail, SLICE("master_password_file"));
            fail(check, &file, &err);
        }
    }
}

/* Files that routes answer with. */
static void check_bodies(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(routes, &root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct err err = {0};
        if (route->action == CONF_ACTION_RESPOND && route->respond_file.len != 0 &&
            registry_body_of(check->tls, route->respond_file, &err) == NULL) {
            PATH(at, &routes, route->name);
            PATH(action, &at, SLICE("action"));
            PATH(respond, &action, SLICE("respond"));
            PATH(file, &respond, SLICE("body_file"));
            conf_errors_add(check->errors, &file, "unreadable-file", SLICE_NONE, "%s", err.text);
            check->ok = false;
        }
    }
}

/* -- names -- */

/* Which is there and was read; else NULL. */
static const struct tls_cert *cert_of(const struct check *check, struct slice name)
{
    struct err ignored;
    const struct conf_certificate *conf = conf_certificate_find(check->conf, name);
    return conf != NULL ? registry_certificate_of(check->tls, conf, &ignored) : NULL;
}

/* Every name of the certificates that a listener shows. */
static void gather_names(const struct check *check, const struct conf_listener *listener,
                         struct map *names)
{
    for (uint32_t i = 0; i < listener->tls.certificate_count; i++) {
        const struct tls_cert *cert = cert_of(check, listener->tls.certificates[i]);
        const struct tls_cert_facts *facts = cert != NULL ? tls_cert_facts(cert) : NULL;
        for (uint32_t n = 0; facts != NULL && n < facts->name_count; n++) {
            (void)map_put(names, facts->names[n], (void *)(uintptr_t)facts);
        }
        for (uint32_t n = 0; facts != NULL && n < facts->address_count; n++) {
            (void)map_put(names, facts->addresses[n], (void *)(uintptr_t)facts);
        }
    }
}

/* Exact, or one label below a wildcard (RFC 6125 6.4.3). */
static bool is_covered(const struct map *names, struct slice host)
{
    char wildcard[256];
    size_t dot = slice_find(host, '.');
    if (map_get(names, host) != NULL) {
        return true;
    }
    if (dot == SIZE_MAX || dot == 0 || host.len - dot + 1 > sizeof(wildcard)) {
        return false;
    }
    wildcard[0] = '*';
    memcpy(wildcard + 1, host.ptr + dot, host.len - dot);
    return map_get(names, slice_of(wildcard, host.len - dot + 1)) != NULL;
}

static void check_hosts(const struct check *check, const struct conf_listener *listener)
{
    const struct conf *conf = check->conf;
    struct map names;
    map_init(&names);
    gather_names(check, listener, &names);
    PATH(routes, &root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        if (!slice_eq(route->listener, listener->name)) {
            continue;
        }
        PATH(at, &routes, route->name);
        PATH(match, &at, SLICE("match"));
        PATH(hosts, &match, SLICE("host"));
        for (uint32_t h = 0; h < route->match.host_count; h++) {
            const struct conf_path item = {.parent = &hosts, .index = h};
            if (!is_covered(&names, route->match.host[h])) {
                conf_errors_warn(check->errors, &item, "uncovered-host",
                                 "no certificate of listener '%.*s' is for it: clients will not "
                                 "accept what they are shown",
                                 SLICE_ARG(listener->name));
            }
        }
    }
    map_fini(&names);
}

/* -- who is shown -- */

/* By kind of key: name -> the certificate of the listener that is shown for it (tls_front), its
 * index + 1. */
struct shown {
    const struct tls_cert **certs; /* of the listener */
    struct map by_name[TLS_KEY_OTHER + 1];
    uint64_t now_us;
};

static uint32_t shown_for(const struct shown *shown, uint32_t cert, uint32_t name)
{
    const struct tls_cert_facts *facts = tls_cert_facts(shown->certs[cert]);
    return (uint32_t)(uintptr_t)map_get(&shown->by_name[facts->key_kind], facts->names[name]);
}

static void note_shown(struct shown *shown, uint32_t at)
{
    const struct tls_cert_facts *facts = tls_cert_facts(shown->certs[at]);
    for (uint32_t n = 0; n < facts->name_count; n++) {
        uint32_t before = shown_for(shown, at, n);
        if (before == 0 || (!tls_cert_is_valid(shown->certs[before - 1], shown->now_us) &&
                            tls_cert_is_valid(shown->certs[at], shown->now_us))) {
            (void)map_put(&shown->by_name[facts->key_kind], facts->names[n],
                          (void *)(uintptr_t)(at + 1));
        }
    }
}

/* The one that is shown for its first name instead; `at`: it is shown itself. */
static uint32_t shown_instead(const struct shown *shown, uint32_t at)
{
    const struct tls_cert_facts *facts = tls_cert_facts(shown->certs[at]);
    for (uint32_t n = 0; n < facts->name_count; n++) {
        if (shown_for(shown, at, n) == at + 1) {
            return at;
        }
    }
    return facts->name_count != 0 ? shown_for(shown, at, 0) - 1 : at;
}

static void check_shown(const struct check *check, const struct conf_listener *listener)
{
    struct shown shown = {.now_us = now_wall_us()};
    uint32_t count = listener->tls.certificate_count;
    shown.certs = mem_zero(count + 1, sizeof(*shown.certs));
    for (size_t i = 0; i < ARRAY_LEN(shown.by_name); i++) {
        map_init(&shown.by_name[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        shown.certs[i] = cert_of(check, listener->tls.certificates[i]);
        if (shown.certs[i] != NULL) {
            note_shown(&shown, i);
        }
    }
    PATH(listeners, &root, SLICE("listeners"));
    PATH(at, &listeners, listener->name);
    PATH(tls, &at, SLICE("tls"));
    PATH(certificates, &tls, SLICE("certificates"));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = shown.certs[i] != NULL ? shown_instead(&shown, i) : i;
        if (other != i) {
            const struct conf_path item = {.parent = &certificates, .index = i};
            conf_errors_warn(check->errors, &item, "shadowed-certificate",
                             "never shown: '%.*s' has the same name and kind of key",
                             SLICE_ARG(listener->tls.certificates[other]));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(shown.by_name); i++) {
        map_fini(&shown.by_name[i]);
    }
    free(shown.certs);
}

bool cert_check(struct registry_tls *tls, const struct conf *conf, struct conf_errors *errors)
{
    struct check check = {.tls = tls, .conf = conf, .errors = errors, .ok = true};
    check_certificates(&check);
    check_ca_sets(&check);
    check_tickets(&check);
    check_secrets(&check);
    check_bodies(&check);
    for (uint32_t i = 0; check.ok && i < conf->listener_count; i++) {
        if (conf->listeners[i].has_tls && conf->certificate_count <= COVERED_MAX) {
            check_hosts(&check, &conf->listeners[i]);
            check_shown(&check, &conf->listeners[i]);
        }
    }
    return check.ok;
}
