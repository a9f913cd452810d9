#include "lbd/snapshot/snapshot_tls.h"

#include <stdlib.h>

#include "conf/conf_document.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/proxy/plan.h"
#include "lbd/snapshot/snapshot.h"
#include "lbd/tls/tls_front.h"

static enum tls_version version_of(enum conf_tls_version version)
{
    return version == CONF_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

static enum tls_client_auth auth_of(enum conf_client_auth mode)
{
    switch (mode) {
    case CONF_CLIENT_AUTH_OFF:
        break;
    case CONF_CLIENT_AUTH_OPTIONAL:
        return TLS_CLIENT_AUTH_OPTIONAL;
    case CONF_CLIENT_AUTH_REQUIRED:
        return TLS_CLIENT_AUTH_REQUIRED;
    }
    return TLS_CLIENT_AUTH_OFF;
}

/* Of the same listener, in the snapshot that runs; NULL: none. */
static struct tls_front *previous_of(const struct snapshot_build *build, const struct plan *plan)
{
    const struct snapshot *newest = build->newest;
    for (uint32_t i = 0; newest != NULL && i < newest->plan_count; i++) {
        if (newest->plans[i]->listener == plan->listener) {
            return newest->plans[i]->tls;
        }
    }
    return NULL;
}

/* What an HTTP listener speaks when it does not say. */
static const struct slice http_protocols[] = {SLICE_INIT("h2"), SLICE_INIT("http/1.1"),
                                              SLICE_INIT("http/1.0")};

/* A listener of mail: who takes it for one of HTTP is refused (ALPACA), who says nothing is not. */
static const struct slice mail_protocols[] = {SLICE_INIT("imap"), SLICE_INIT("pop3"),
                                              SLICE_INIT("smtp"), SLICE_INIT("managesieve")};

static void choose_alpn(const struct conf_listener *conf, struct tls_front_options *options)
{
    options->alpn = conf->tls.alpn;
    options->alpn_count = conf->tls.alpn_count;
    if (conf->tls.alpn_count == 0 && conf->protocol == CONF_PROTOCOL_HTTP) {
        uint32_t from = conf->http2.enabled != 0 ? 0 : 1;
        options->alpn = http_protocols + from;
        options->alpn_count = (uint32_t)ARRAY_LEN(http_protocols) - from;
    }
    if (conf->tls.alpn_count == 0 && conf_protocol_is_mail(conf->protocol)) {
        options->alpn = &mail_protocols[conf->protocol - CONF_PROTOCOL_IMAP];
        options->alpn_count = 1;
    }
}

/* The certificate of a name, or NULL. */
static struct tls_cert *cert_of(const struct snapshot_build *build, struct slice name,
                                struct err *err)
{
    const struct conf_certificate *conf =
        conf_certificate_find(conf_document_conf(build->document), name);
    if (conf == NULL) {
        (void)err_set(err, ERR_INVALID, "there is no certificate named '%.*s'", SLICE_ARG(name));
        return NULL;
    }
    return registry_certificate_of(&build->registry->tls, conf, err);
}

static bool choose_client_ca(const struct snapshot_build *build, const struct conf_listener *conf,
                             struct tls_front_options *options, struct err *err)
{
    options->client_auth = auth_of(conf->tls.client_auth.mode);
    if (options->client_auth == TLS_CLIENT_AUTH_OFF) {
        return true;
    }
    const struct conf_ca_set *set =
        conf_ca_set_find(conf_document_conf(build->document), conf->tls.client_auth.ca);
    if (set == NULL) {
        return err_set(err, ERR_INVALID, "there is no CA set named '%.*s'",
                       SLICE_ARG(conf->tls.client_auth.ca));
    }
    options->client_ca = registry_ca_set_of(&build->registry->tls, set, err);
    return options->client_ca != NULL;
}

static bool choose_tickets(const struct snapshot_build *build, const struct conf_listener *conf,
                           struct tls_front_options *options, struct err *err)
{
    if (conf->tls.session_tickets == 0) {
        return true;
    }
    options->tickets = registry_tickets_of(&build->registry->tls, conf->tls.ticket_keys_file, err);
    return options->tickets != NULL;
}

static bool choose_all(const struct snapshot_build *build, const struct conf_listener *conf,
                       struct tls_front_options *options, struct tls_cert **certs, struct err *err)
{
    for (uint32_t i = 0; i < conf->tls.certificate_count; i++) {
        certs[i] = cert_of(build, conf->tls.certificates[i], err);
        if (certs[i] == NULL) {
            return false;
        }
    }
    options->certs = certs;
    options->cert_count = conf->tls.certificate_count;
    choose_alpn(conf, options);
    return choose_client_ca(build, conf, options, err) && choose_tickets(build, conf, options, err);
}

bool snapshot_tls_add(const struct snapshot_build *build, const struct conf_listener *conf,
                      struct plan *plan, struct err *err)
{
    struct tls_cert **certs = mem_zero(conf->tls.certificate_count + 1, sizeof(struct tls_cert *));
    struct tls_front *previous = previous_of(build, plan);
    struct tls_front_options options = {
        .listener = conf->name,
        .profile =
            conf->tls.profile == CONF_TLS_MODERN ? TLS_PROFILE_MODERN : TLS_PROFILE_INTERMEDIATE,
        .min_version = version_of(conf->tls.min_version),
        .max_version = version_of(conf->tls.max_version),
        .now_us = now_wall_us(),
        .strict_sni = conf->tls.strict_sni != 0,
        .staples = conf->tls.ocsp_stapling != 0,
    };
    if (choose_all(build, conf, &options, certs, err)) {
        plan->tls = previous != NULL && tls_front_is_made_of(previous, &options)
                        ? tls_front_ref(previous)
                        : tls_front_new(&options, previous, err);
    }
    plan->client_forward = options.client_auth != TLS_CLIENT_AUTH_OFF
                               ? conf->tls.client_auth.forward
                               : CONF_CLIENT_FORWARD_OFF;
    free(certs);
    return plan->tls != NULL;
}
