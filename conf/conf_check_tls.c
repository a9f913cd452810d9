/* conf_check_tls - certificates, CA sets, TLS: what goes together; see
 * conf_check_inside.h. What is in certificates is known further right (control_certs). */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_check_inside.h"
#include "lbd/base/mem.h"

#define PATH CONF_CHECK_PATH

static void fail(struct conf_check *check, const struct conf_path *object, const char *key,
                 const char *code, const char *detail)
{
    PATH(at, object, slice_from(key));
    conf_errors_add(check->errors, &at, code, SLICE_NONE, "%s", detail);
    check->ok = false;
}

static void warn(struct conf_check *check, const struct conf_path *object, const char *key,
                 const char *code, const char *detail)
{
    PATH(at, object, slice_from(key));
    conf_errors_warn(check->errors, &at, code, "%s", detail);
}

static void refer_to_certificate(struct conf_check *check, struct slice name,
                                 const struct conf_path *path)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names names = {conf->certificates, conf->certificate_count,
                                           sizeof(*conf->certificates), "certificate"};
    conf_check_reference(check, &names, conf_certificate_find(conf, name) != NULL, name, path);
}

static void refer_to_ca_set(struct conf_check *check, struct slice name,
                            const struct conf_path *object)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names names = {conf->ca_sets, conf->ca_set_count,
                                           sizeof(*conf->ca_sets), "CA set"};
    PATH(path, object, SLICE("ca"));
    conf_check_reference(check, &names, conf_ca_set_find(conf, name) != NULL, name, &path);
}

/* -- certificates and CA sets: one way to have them -- */

static void check_certificate(struct conf_check *check, const struct conf_certificate *certificate,
                              const struct conf_path *at)
{
    bool has_files = certificate->chain_file.len != 0 || certificate->key_file.len != 0;
    bool is_stored = certificate->stored.len != 0;
    if (conf_check_is_refused(check, at)) {
        return;
    }
    if (has_files && is_stored) {
        conf_errors_add(check->errors, at, "exclusive-keys", SLICE_NONE,
                        "must have either 'chain_file' and 'key_file' or 'chain' and 'key'");
        check->ok = false;
    } else if (!has_files && !is_stored) {
        conf_errors_add(check->errors, at, "missing-key", SLICE_NONE,
                        "must have 'chain_file' and 'key_file', or 'chain' and 'key'");
        check->ok = false;
    } else if (has_files && certificate->chain_file.len == 0) {
        fail(check, at, "chain_file", "missing-key",
             "'chain_file' must be set together with 'key_file'");
    } else if (has_files && certificate->key_file.len == 0) {
        fail(check, at, "key_file", "missing-key",
             "'key_file' must be set together with 'chain_file'");
    }
}

static void check_certificates(struct conf_check *check)
{
    static const char secret[] = "PRIVATE KEY-----";
    const struct conf *conf = check->conf;
    PATH(certificates, &conf_check_root, SLICE("certificates"));
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        PATH(at, &certificates, conf->certificates[i].name);
        check_certificate(check, &conf->certificates[i], &at);
    }
    PATH(ca_sets, &conf_check_root, SLICE("ca_sets"));
    for (uint32_t i = 0; i < conf->ca_set_count; i++) {
        const struct conf_ca_set *set = &conf->ca_sets[i];
        PATH(at, &ca_sets, set->name);
        bool has_both = set->file.len != 0 && set->pem.len != 0;
        bool has_none = set->file.len == 0 && set->pem.len == 0;
        if (has_both || (has_none && !conf_check_is_refused(check, &at))) {
            conf_errors_add(check->errors, &at, has_none ? "missing-key" : "exclusive-keys",
                            SLICE_NONE, "must have exactly one of 'file', 'pem'");
            check->ok = false;
        }
        if (set->pem.len != 0 && set->crl_file.len != 0) {
            fail(check, &at, "crl_file", "not-applicable",
                 "must not be set beside 'pem': it goes with 'file'");
        }
        if (set->pem.len != 0 &&
            memmem(set->pem.ptr, set->pem.len, secret, sizeof(secret) - 1) != NULL) {
            fail(check, &at, "pem", "invalid-value",
                 "must hold certificates only: it would show the private key in it to everybody");
        }
    }
}

/* -- listeners -- */

static bool names_protocol(const struct slice *list, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(list[i], slice_from(name))) {
            return true;
        }
    }
    return false;
}

static void check_client_auth(struct conf_check *check,
                              const struct conf_listener_client_auth *auth,
                              const struct conf_path *tls)
{
    PATH(at, tls, SLICE("client_auth"));
    refer_to_ca_set(check, auth->ca, &at);
    if (auth->mode != CONF_CLIENT_AUTH_OFF && auth->ca.len == 0) {
        fail(check, &at, "ca", "missing-key", "'ca' must be set: who may have signed them?");
    } else if (auth->mode == CONF_CLIENT_AUTH_OFF && auth->ca.len != 0) {
        warn(check, &at, "ca", "no-effect", "without effect: 'mode' is off, nobody is asked");
    }
}

static void check_alpn(struct conf_check *check, const struct conf_listener *listener,
                       const struct conf_path *tls)
{
    PATH(at, tls, SLICE("alpn"));
    for (uint32_t i = 0; i < listener->tls.alpn_count; i++) {
        struct slice name = listener->tls.alpn[i];
        const struct conf_path item = {.parent = &at, .index = i};
        bool is_h2 = slice_eq(name, SLICE("h2"));
        if (listener->protocol != CONF_PROTOCOL_HTTP || name.len == 0) {
            continue;
        }
        if (is_h2 && !listener->http2.enabled) {
            conf_errors_add(check->errors, &item, "not-applicable", SLICE_NONE,
                            "must not be offered: 'http2.enabled' is false");
            check->ok = false;
        } else if (!is_h2 && !slice_eq(name, SLICE("http/1.1"))) {
            conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE,
                            "must be \"h2\" or \"http/1.1\": others are not spoken here");
            check->ok = false;
        }
    }
    if (listener->protocol == CONF_PROTOCOL_HTTP && listener->tls.alpn_count != 0 &&
        names_protocol(listener->tls.alpn, listener->tls.alpn_count, "h2") &&
        !names_protocol(listener->tls.alpn, listener->tls.alpn_count, "http/1.1")) {
        conf_errors_warn(check->errors, &at, "only-http2",
                         "clients that do not speak HTTP/2 are turned away");
    }
}

static void check_listener_tls(struct conf_check *check, const struct conf_listener *listener,
                               const struct conf_path *at)
{
    const struct conf_listener_tls *tls = &listener->tls;
    PATH(object, at, SLICE("tls"));
    PATH(certificates, &object, SLICE("certificates"));
    for (uint32_t i = 0; i < tls->certificate_count; i++) {
        const struct conf_path item = {.parent = &certificates, .index = i};
        refer_to_certificate(check, tls->certificates[i], &item);
    }
    if (tls->min_version > tls->max_version) {
        fail(check, &object, "max_version", "out-of-range", "must not be below 'min_version'");
    } else if (tls->profile == CONF_TLS_MODERN && tls->max_version < CONF_TLS_1_3) {
        fail(check, &object, "max_version", "out-of-range",
             "must be 1.3: 'profile' is modern, which is TLS 1.3");
    }
    if (!tls->session_tickets && tls->ticket_keys_file.len != 0) {
        warn(check, &object, "ticket_keys_file", "no-effect",
             "without effect: 'session_tickets' is false");
    }
    check_alpn(check, listener, &object);
    check_client_auth(check, &tls->client_auth, &object);
}

static void check_listeners(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        if (listener->has_tls && listener->protocol != CONF_PROTOCOL_TLS_PASSTHROUGH) {
            PATH(at, &listeners, listener->name);
            check_listener_tls(check, listener, &at);
        }
    }
}

/* -- pools -- */

static void check_pool_tls(struct conf_check *check, const struct conf_pool *pool,
                           const struct conf_path *at)
{
    const struct conf_pool_tls *tls = &pool->tls;
    PATH(object, at, SLICE("tls"));
    PATH(certificate, &object, SLICE("certificate"));
    refer_to_ca_set(check, tls->ca, &object);
    refer_to_certificate(check, tls->certificate, &certificate);
    if (tls->server_name.len != 0 && slice_find(tls->server_name, ':') != SIZE_MAX) {
        fail(check, &object, "server_name", "invalid-value", "must be a host without a port");
    }
    if (tls->verify == CONF_TLS_VERIFY_OFF && tls->pin_sha256_count == 0) {
        warn(check, &object, "verify", "unverified",
             "off, and no 'pin_sha256': anybody can pass for a server");
    }
    if (tls->verify == CONF_TLS_VERIFY_OFF && tls->ca.len != 0) {
        warn(check, &object, "ca", "no-effect", "without effect: 'verify' is off");
    }
}

static void check_pools(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (conf->pools[i].has_tls) {
            PATH(at, &pools, conf->pools[i].name);
            check_pool_tls(check, &conf->pools[i], &at);
        }
    }
}

void conf_check_tls(struct conf_check *check)
{
    check_certificates(check);
    check_listeners(check);
    check_pools(check);
}

/* -- who uses what -- */

static void note_certificate(const struct conf *conf, struct slice name, bool *used)
{
    const struct conf_certificate *found = name.len != 0 ? conf_certificate_find(conf, name) : NULL;
    if (found != NULL) {
        used[found - conf->certificates] = true;
    }
}

static void note_ca_set(const struct conf *conf, struct slice name, bool *used)
{
    const struct conf_ca_set *found = name.len != 0 ? conf_ca_set_find(conf, name) : NULL;
    if (found != NULL) {
        used[found - conf->ca_sets] = true;
    }
}

void conf_check_tls_unused(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    if (conf->certificate_count == 0 && conf->ca_set_count == 0) {
        return;
    }
    bool *certificates = mem_zero(conf->certificate_count + 1, sizeof(*certificates));
    bool *ca_sets = mem_zero(conf->ca_set_count + 1, sizeof(*ca_sets));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener_tls *tls = &conf->listeners[i].tls;
        for (uint32_t c = 0; c < tls->certificate_count; c++) {
            note_certificate(conf, tls->certificates[c], certificates);
        }
        note_ca_set(conf, tls->client_auth.ca, ca_sets);
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        note_certificate(conf, conf->pools[i].tls.certificate, certificates);
        note_ca_set(conf, conf->pools[i].tls.ca, ca_sets);
    }
    for (uint32_t i = 0; i < conf->mail_callback_count; i++) {
        note_ca_set(conf, conf->mail_callbacks[i].ca, ca_sets);
    }
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        note_ca_set(conf, conf_policy_ca(&conf->policies[i]), ca_sets);
    }
    PATH(certificates_path, &conf_check_root, SLICE("certificates"));
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        if (!certificates[i]) {
            PATH(at, &certificates_path, conf->certificates[i].name);
            conf_errors_warn(check->errors, &at, "unused-certificate",
                             "no listener shows it and no pool needs it");
        }
    }
    PATH(ca_sets_path, &conf_check_root, SLICE("ca_sets"));
    for (uint32_t i = 0; i < conf->ca_set_count; i++) {
        if (!ca_sets[i]) {
            PATH(at, &ca_sets_path, conf->ca_sets[i].name);
            conf_errors_warn(check->errors, &at, "unused-ca-set",
                             "no listener and no pool trusts it");
        }
    }
    free(ca_sets);
    free(certificates);
}

bool conf_check_certificate_unused(const struct conf *conf, struct slice name,
                                   struct conf_errors *errors)
{
    bool unused = true;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener_tls *tls = &conf->listeners[i].tls;
        for (uint32_t c = 0; c < tls->certificate_count; c++) {
            if (slice_eq(tls->certificates[c], name)) {
                PATH(at, &listeners, conf->listeners[i].name);
                PATH(object, &at, SLICE("tls"));
                PATH(list, &object, SLICE("certificates"));
                const struct conf_path item = {.parent = &list, .index = c};
                unused = conf_check_report_user(errors, &item, SLICE("certificates"), name);
            }
        }
    }
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (slice_eq(conf->pools[i].tls.certificate, name)) {
            PATH(at, &pools, conf->pools[i].name);
            PATH(object, &at, SLICE("tls"));
            PATH(field, &object, SLICE("certificate"));
            unused = conf_check_report_user(errors, &field, SLICE("certificates"), name);
        }
    }
    return unused;
}

bool conf_check_ca_set_unused(const struct conf *conf, struct slice name,
                              struct conf_errors *errors)
{
    bool unused = true;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (slice_eq(conf->listeners[i].tls.client_auth.ca, name)) {
            PATH(at, &listeners, conf->listeners[i].name);
            PATH(object, &at, SLICE("tls"));
            PATH(auth, &object, SLICE("client_auth"));
            PATH(field, &auth, SLICE("ca"));
            unused = conf_check_report_user(errors, &field, SLICE("ca_sets"), name);
        }
    }
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (slice_eq(conf->pools[i].tls.ca, name)) {
            PATH(at, &pools, conf->pools[i].name);
            PATH(object, &at, SLICE("tls"));
            PATH(field, &object, SLICE("ca"));
            unused = conf_check_report_user(errors, &field, SLICE("ca_sets"), name);
        }
    }
    PATH(policies, &conf_check_root, SLICE("policies"));
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        const struct conf_policy *policy = &conf->policies[i];
        if (slice_eq(conf_policy_ca(policy), name)) {
            PATH(at, &policies, policy->name);
            PATH(object, &at, slice_from(conf_policy_word(policy->kind)));
            PATH(field, &object, SLICE("ca"));
            unused = conf_check_report_user(errors, &field, SLICE("ca_sets"), name);
        }
    }
    return unused;
}
