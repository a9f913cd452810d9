#include "api/api_certificates.h"

#include <stdio.h>

#include "api/api_problem.h"
#include "api/api_status_inside.h"
#include "lbd/base/now.h"
#include "lbd/control/control_certs.h"

#define SOON_DAYS 14 /* then /v1/status says so */

static const struct registry_tls *tls_of(const struct api_request *request)
{
    return &control_registry(request->control)->tls;
}

static const struct registry_certificate *find(const struct api_request *request, struct slice name)
{
    return registry_find_certificate(tls_of(request), name);
}

static void write_texts(struct json_write *w, const char *key, const struct slice *texts,
                        uint32_t count)
{
    json_write_key(w, key);
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        json_write_string(w, texts[i]);
    }
    json_write_array_end(w);
}

static void write_days(struct json_write *w, int64_t days)
{
    json_write_key(w, "days_left");
    json_write_i64(w, days);
}

static void write_key(const struct tls_cert_facts *facts, struct json_write *w)
{
    json_write_member_text(w, "key_type", tls_key_kind_word(facts->key_kind));
    json_write_member_u64(w, "key_bits", facts->key_bits);
}

static void write_failure(struct json_write *w, const char *failure)
{
    if (failure[0] != '\0') {
        json_write_member_text(w, "failure", failure);
    }
}

/* -- certificates -- */

void api_certificates_write_summary(const struct api_request *request,
                                    const struct conf_certificate *conf, struct json_write *w)
{
    const struct registry_certificate *live = find(request, conf->name);
    uint64_t now = now_wall_us();
    json_write_member_text(w, "source", control_certs_source(conf));
    if (live == NULL) {
        return; /* it comes with the next publication */
    }
    const struct tls_cert_facts *facts = tls_cert_facts(live->material.object);
    json_write_member_text(w, "state", control_certs_state(live, now));
    write_texts(w, "names", facts->names, facts->name_count);
    api_request_write_time(w, "not_after", facts->not_after_us);
    write_days(w, control_certs_days_left(live->material.object, now));
    write_key(facts, w);
    json_write_member_text(w, "sha256", facts->sha256);
    json_write_member_text(w, "ocsp", control_certs_ocsp_word(live, conf));
    write_failure(w, live->material.failure);
}

void api_certificates_problem(const struct api_request *request,
                              const struct conf_certificate *conf, char *out, size_t size)
{
    const struct registry_certificate *live = find(request, conf->name);
    uint64_t now = now_wall_us();
    out[0] = '\0';
    if (live == NULL) {
        return;
    }
    const char *state = control_certs_state(live, now);
    int64_t days = control_certs_days_left(live->material.object, now);
    if (strcmp(state, "valid") != 0) {
        (void)snprintf(out, size, "%s", state);
    } else if (live->material.failure[0] != '\0') {
        (void)snprintf(out, size, "the one before is shown: %s", live->material.failure);
    } else if (days < SOON_DAYS) {
        (void)snprintf(out, size, "ends in %lld day%s", (long long)days, days == 1 ? "" : "s");
    }
}

static void write_ocsp(const struct registry_certificate *live, const struct conf_certificate *conf,
                       struct json_write *w)
{
    const struct tls_cert_facts *facts = tls_cert_facts(live->material.object);
    json_write_key(w, "ocsp");
    json_write_object_begin(w);
    json_write_member_text(w, "state", control_certs_ocsp_word(live, conf));
    if (facts->ocsp_url.len != 0) {
        json_write_member_string(w, "url", facts->ocsp_url);
    }
    json_write_member_bool(w, "must_staple", facts->must_staple);
    json_write_member_bool(w, "stapled",
                           tls_cert_ocsp_until_us(live->material.object) > now_wall_us());
    if (live->ocsp.has_answer) {
        api_request_write_time(w, "this_update", live->ocsp.this_update_us);
        if (live->ocsp.next_update_us != 0) {
            api_request_write_time(w, "next_update", live->ocsp.next_update_us);
        }
    }
    write_failure(w, live->ocsp.failure);
    json_write_object_end(w);
}

static const char *chain_word(const struct tls_cert *cert)
{
    switch (tls_cert_chain(cert)) {
    case TLS_CHAIN_WHOLE:
        return "whole";
    case TLS_CHAIN_TORN:
        return "torn";
    case TLS_CHAIN_CUT_SHORT:
        break;
    }
    return "short";
}

static void write_certificate(const struct registry_certificate *live,
                              const struct conf_certificate *conf, struct json_write *w)
{
    const struct tls_cert *cert = live->material.object;
    const struct tls_cert_facts *facts = tls_cert_facts(cert);
    uint64_t now = now_wall_us();
    json_write_member_text(w, "source", control_certs_source(conf));
    json_write_member_text(w, "state", control_certs_state(live, now));
    json_write_member_string(w, "subject", facts->subject);
    json_write_member_string(w, "issuer", facts->issuer);
    json_write_member_string(w, "serial", facts->serial);
    write_texts(w, "names", facts->names, facts->name_count);
    write_texts(w, "addresses", facts->addresses, facts->address_count);
    api_request_write_time(w, "not_before", facts->not_before_us);
    api_request_write_time(w, "not_after", facts->not_after_us);
    write_days(w, control_certs_days_left(cert, now));
    write_key(facts, w);
    json_write_member_text(w, "sha256", facts->sha256);
    json_write_member_text(w, "key_sha256", facts->key_sha256);
    json_write_member_u64(w, "chain_length", facts->chain_count);
    json_write_member_text(w, "chain", chain_word(cert));
    json_write_member_bool(w, "self_signed", facts->is_self_signed);
    api_request_write_time(w, "since", live->material.since_wall_us);
    write_failure(w, live->material.failure);
    write_ocsp(live, conf, w);
}

static const struct conf *conf_of(const struct api_request *request)
{
    return conf_document_conf(control_document(request->control));
}

void api_certificates_status(struct api_request *request)
{
    struct slice name = request->names[0];
    const struct conf_certificate *conf = conf_certificate_find(conf_of(request), name);
    const struct registry_certificate *live = find(request, name);
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;
    if (conf == NULL || live == NULL) {
        api_problem(request, "not-found", "there is no certificate '%.*s'", SLICE_ARG(name));
    } else {
        uint32_t count = control_conditions_certificate(request->control, name, conditions);
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        api_status_write_conditions(request, &w, conditions, count);
        write_certificate(live, conf, &w);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- CA sets -- */

static const char *ca_set_state(const struct tls_ca_facts *facts, uint64_t now)
{
    if (facts->not_after_us <= now) {
        return "expired";
    }
    return facts->crl_until_us != 0 && facts->crl_until_us <= now ? "crl-outdated" : "valid";
}

static const char *ca_set_source(const struct conf_ca_set *conf)
{
    return conf->file.len != 0 ? "file" : "document";
}

void api_certificates_write_ca_set_summary(const struct api_request *request,
                                           const struct conf_ca_set *conf, struct json_write *w)
{
    const struct registry_material *live = registry_find_ca_set(tls_of(request), conf->name);
    json_write_member_text(w, "source", ca_set_source(conf));
    if (live == NULL) {
        return;
    }
    const struct tls_ca_facts *facts = tls_ca_facts(live->object);
    json_write_member_text(w, "state", ca_set_state(facts, now_wall_us()));
    json_write_member_u64(w, "count", facts->count);
    api_request_write_time(w, "not_after", facts->not_after_us);
    write_failure(w, live->failure);
}

void api_certificates_ca_set_problem(const struct api_request *request,
                                     const struct conf_ca_set *conf, char *out, size_t size)
{
    const struct registry_material *live = registry_find_ca_set(tls_of(request), conf->name);
    out[0] = '\0';
    if (live == NULL) {
        return;
    }
    const char *state = ca_set_state(tls_ca_facts(live->object), now_wall_us());
    if (live->failure[0] != '\0') {
        (void)snprintf(out, size, "the one before is used: %s", live->failure);
    } else if (strcmp(state, "valid") != 0) {
        (void)snprintf(out, size, "%s",
                       strcmp(state, "expired") == 0 ? "a certificate in it has expired"
                                                     : "its revocation list is out of date");
    }
}

void api_certificates_ca_set_status(struct api_request *request)
{
    struct slice name = request->names[0];
    const struct conf_ca_set *conf = conf_ca_set_find(conf_of(request), name);
    const struct registry_material *live = registry_find_ca_set(tls_of(request), name);
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;
    if (conf == NULL || live == NULL) {
        api_problem(request, "not-found", "there is no CA set '%.*s'", SLICE_ARG(name));
        api_request_done(request);
        return;
    }
    const struct tls_ca_facts *facts = tls_ca_facts(live->object);
    uint32_t count = control_conditions_ca_set(request->control, name, conditions);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    api_status_write_conditions(request, &w, conditions, count);
    api_certificates_write_ca_set_summary(request, conf, &w);
    json_write_member_text(&w, "sha256", facts->revision_hex);
    json_write_key(&w, "subjects");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < facts->count; i++) {
        json_write_string(&w, tls_ca_subject(live->object, i));
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "revocation_lists", facts->revocation_lists);
    if (facts->crl_until_us != 0) {
        api_request_write_time(&w, "crl_next_update", facts->crl_until_us);
    }
    api_request_write_time(&w, "since", live->since_wall_us);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}
