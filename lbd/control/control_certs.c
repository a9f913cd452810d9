/*
 * control_certs - certificates come, change and end; declared in control_inside.h and
 * control_certs.h.
 *
 *     every second: files that changed are read again -> a new generation of the snapshot
 *     every minute: who ends soon? ticket keys whose time is up
 */
#include "lbd/control/control_certs.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/now.h"
#include "lbd/control/cert_check.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/policy_check.h"
#include "lbd/snapshot/snapshot_filter.h"

#define LOOK_MS     1000U
#define LOOK_MAX    1024U /* certificates in one go */
#define MINUTE_US   (60U * UINT64_C(1000000))
#define DAY_US      (24U * 3600U * UINT64_C(1000000))
#define NAME_MAX_   128
#define MESSAGE_MAX 256

/* Days before its end at which a certificate is told of. */
static const uint32_t told_at[] = {1, 3, 7, 14, 30};

/* -- words -- */

const char *control_certs_source(const struct conf_certificate *conf)
{
    return conf->stored.len != 0 ? "stored" : "file";
}

int64_t control_certs_days_left(const struct tls_cert *cert, uint64_t wall_us)
{
    uint64_t end = tls_cert_facts(cert)->not_after_us;
    return end >= wall_us ? (int64_t)((end - wall_us) / DAY_US)
                          : -(int64_t)((wall_us - end) / DAY_US) - 1;
}

static bool is_revoked(const struct registry_certificate *certificate)
{
    return certificate->ocsp.has_answer && certificate->ocsp.status == TLS_OCSP_REVOKED;
}

const char *control_certs_state(const struct registry_certificate *certificate, uint64_t wall_us)
{
    const struct tls_cert_facts *facts = tls_cert_facts(certificate->material.object);
    if (facts->not_after_us <= wall_us) {
        return "expired";
    }
    if (facts->not_before_us > wall_us) {
        return "not-yet-valid";
    }
    return is_revoked(certificate) ? "revoked" : "valid";
}

const char *control_certs_ocsp_word(const struct registry_certificate *certificate,
                                    const struct conf_certificate *conf)
{
    static const char *const words[] = {
        [TLS_OCSP_GOOD] = "good", [TLS_OCSP_REVOKED] = "revoked", [TLS_OCSP_UNKNOWN] = "unknown"};
    if (conf->ocsp == 0 || tls_cert_facts(certificate->material.object)->ocsp_url.len == 0) {
        return "off";
    }
    if (certificate->ocsp.has_answer) {
        return words[certificate->ocsp.status];
    }
    return certificate->ocsp.failure[0] != '\0' ? "failed" : "waiting";
}

/* What is known by its file is told in the log only. */
static bool has_events(const struct registry_material *material)
{
    return material->kind == REGISTRY_CERTIFICATE || material->kind == REGISTRY_CA_SET;
}

/* Its word in the log. */
static const char *word_of(const struct registry_material *material)
{
    return material->kind == REGISTRY_TICKETS ? "tickets"
           : material->kind == REGISTRY_BODY  ? "body"
                                              : "secret";
}

/* "certificate/shop", "ca-set/inside" */
static struct slice event_name(const struct registry_material *material, char out[NAME_MAX_])
{
    int len =
        snprintf(out, NAME_MAX_, "%s/%s",
                 material->kind == REGISTRY_CA_SET ? "ca-set" : "certificate", material->name);
    return slice_of(out, (size_t)len < NAME_MAX_ ? (size_t)len : NAME_MAX_ - 1);
}

static void post(struct control *control, const struct registry_material *material,
                 const char *type, const char *message)
{
    char name[NAME_MAX_];
    char date[NOW_LOG_DATE_LEN + 1];
    struct buf data;
    struct json_write w;
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    if (material->kind == REGISTRY_CERTIFICATE) {
        const struct tls_cert_facts *facts = tls_cert_facts(material->object);
        now_log_date(date, facts->not_after_us);
        json_write_member_text(&w, "sha256", facts->sha256);
        json_write_member_text(&w, "not_after", date);
    } else {
        json_write_member_text(&w, "sha256", tls_ca_facts(material->object)->revision_hex);
    }
    json_write_object_end(&w);
    events_post(control->events, type, event_name(material, name), data.data, "%s", message);
    buf_fini(&data);
}

/* -- another object -- */

static void remember_answer(struct control *control, struct registry_certificate *certificate)
{
    const struct conf_certificate *conf = conf_certificate_find(
        conf_document_conf(control->document), slice_from(certificate->material.name));
    if (conf != NULL && conf->ocsp != 0) {
        control_ocsp_remember(control->certs.ocsp, certificate);
    }
}

static void on_changed(struct registry_material *material, void *arg)
{
    struct control *control = arg;
    char message[MESSAGE_MAX];
    char date[NOW_LOG_DATE_LEN + 1];
    char name[NAME_MAX_];
    if (!has_events(material)) {
        (void)snprintf(name, sizeof(name), "%s.loaded", word_of(material));
        log_info(name, "file=\"%s\"", material->name);
        return;
    }
    if (material->kind == REGISTRY_CERTIFICATE) {
        const struct tls_cert_facts *facts = tls_cert_facts(material->object);
        remember_answer(control, (struct registry_certificate *)material);
        now_log_date(date, facts->not_after_us);
        (void)snprintf(message, sizeof(message), "valid until %s, for %.*s%s", date,
                       SLICE_ARG(facts->name_count != 0 ? facts->names[0] : facts->subject),
                       facts->name_count > 1 ? " and others" : "");
    } else {
        uint32_t count = tls_ca_facts(material->object)->count;
        (void)snprintf(message, sizeof(message), "%u certificate%s", count, count == 1 ? "" : "s");
    }
    log_info("cert.loaded", "name=%.*s %s", SLICE_ARG(event_name(material, name)), message);
    post(control, material, "cert.loaded", message);
}

static void on_failed(struct registry_material *material, void *arg)
{
    struct control *control = arg;
    char name[NAME_MAX_];
    if (!has_events(material)) {
        (void)snprintf(name, sizeof(name), "%s.failed", word_of(material));
        log_error(name, "file=\"%s\" why=\"%s\" running=the_one_before", material->name,
                  material->failure);
        return;
    }
    log_error("cert.failed", "name=%.*s why=\"%s\" running=the_one_before",
              SLICE_ARG(event_name(material, name)), material->failure);
    post(control, material, "cert.failed", material->failure);
}

static void on_ocsp_changed(struct registry_certificate *certificate, void *arg)
{
    struct control *control = arg;
    const char *name = certificate->material.name;
    if (is_revoked(certificate)) {
        log_error("cert.revoked", "name=%s", name);
        post(control, &certificate->material, "cert.failed", "its CA has revoked it");
    } else {
        log_info("ocsp.answered", "certificate=%s status=%s", name,
                 certificate->ocsp.status == TLS_OCSP_GOOD ? "good" : "unknown");
    }
}

/* -- the end of a certificate -- */

static void tell_end(struct control *control, struct registry_certificate *certificate,
                     uint64_t now)
{
    const struct tls_cert_facts *facts = tls_cert_facts(certificate->material.object);
    char message[MESSAGE_MAX];
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, facts->not_after_us);
    if (facts->not_after_us <= now) {
        if (!certificate->told_expired) {
            certificate->told_expired = true;
            (void)snprintf(message, sizeof(message), "expired on %s", date);
            log_error("cert.expired", "name=%s at=%s", certificate->material.name, date);
            post(control, &certificate->material, "cert.expired", message);
        }
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(told_at); i++) {
        uint32_t days = told_at[i];
        if (facts->not_after_us - now > days * DAY_US) {
            continue;
        }
        if (certificate->told_days == 0 || days < certificate->told_days) {
            certificate->told_days = days;
            (void)snprintf(message, sizeof(message), "ends on %s, within %u day%s", date, days,
                           days == 1 ? "" : "s");
            log_warn("cert.expiring", "name=%s at=%s days=%u", certificate->material.name, date,
                     days);
            post(control, &certificate->material, "cert.expiring", message);
        }
        return;
    }
}

static void tell_ends(struct control *control)
{
    const struct map_entry *entry = NULL;
    uint64_t now = now_wall_us();
    map_for_each (entry, &control->registry.tls.certificates) {
        struct registry_certificate *certificate = entry->value;
        if (certificate->material.object != NULL) {
            tell_end(control, certificate, now);
        }
    }
}

static void turn_tickets(struct control *control)
{
    const struct map_entry *entry = NULL;
    map_for_each (entry, &control->registry.tls.tickets) {
        const struct registry_material *material = entry->value;
        if (material->object != NULL && tls_tickets_tick(material->object, now_wall_us())) {
            log_info("tickets.rotated", "file=\"%s\"", material->name);
        }
    }
}

/* -- the clock -- */

void control_certs_look(struct control *control)
{
    struct control_certs *certs = &control->certs;
    struct registry_tls *tls = &control->registry.tls;
    const struct registry_tls_look look = {
        .changed = on_changed, .failed = on_failed, .arg = control};
    uint64_t epoch = tls->epoch;
    registry_tls_look(tls, &certs->cursor, LOOK_MAX, &look);
    bool has_changed = tls->epoch != epoch;
    if (has_changed || (control->newest != NULL &&
                        !snapshot_filter_is_current(control->newest, &control->registry))) {
        control_republish(control);
    }
    if (has_changed) {
        control_conditions_refresh(control);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct control *control = container_of(timer, struct control, certs.timer);
    uint64_t now = now_us();
    loop_timer_set(control->options.loop, timer, LOOK_MS, on_timer);
    if (control->facts.is_draining || control->document == NULL) {
        return;
    }
    control_certs_look(control);
    control_ocsp_turn(control->certs.ocsp, conf_document_conf(control->document));
    if (control->newest != NULL) {
        control_keys_turn(control->certs.keys, control->newest);
    }
    if (now - control->certs.minute_us >= MINUTE_US) {
        control->certs.minute_us = now;
        tell_ends(control);
        turn_tickets(control);
    }
}

static void on_keys_changed(void *arg)
{
    control_republish(arg);
}

static struct tls_ca *system_ca(void *arg, struct err *err)
{
    struct control *control = arg;
    return registry_system_ca(&control->registry, err);
}

void control_certs_init(struct control *control)
{
    control->registry.tls.vault = conf_store_vault(control->store);
    control->registry.tls.changed = on_changed;
    control->registry.tls.arg = control;
    const struct control_ocsp_options ocsp = {
        .loop = control->options.loop,
        .registry = &control->registry.tls,
        .vault = conf_store_vault(control->store),
        .resolvers = control->options.daemon->resolvers,
        .resolver_count = control->options.daemon->resolver_count,
        .system_ca = system_ca,
        .changed = on_ocsp_changed,
        .arg = control,
    };
    control->certs.ocsp = control_ocsp_new(&ocsp);
    const struct control_keys_options keys = {
        .loop = control->options.loop,
        .registry = &control->registry,
        .events = control->events,
        .resolvers = control->options.daemon->resolvers,
        .resolver_count = control->options.daemon->resolver_count,
        .changed = on_keys_changed,
        .arg = control,
    };
    control->certs.keys = control_keys_new(&keys);
    loop_timer_set(control->options.loop, &control->certs.timer, LOOK_MS, on_timer);
}

void control_certs_fini(struct control *control)
{
    control_ocsp_free(control->certs.ocsp);
    control->certs.ocsp = NULL;
    control_keys_free(control->certs.keys);
    control->certs.keys = NULL;
    loop_timer_stop(&control->certs.timer);
}

/* -- documents -- */

bool control_certs_prepare(struct control *control, const struct conf_document *document,
                           struct conf_errors *errors)
{
    const struct conf *conf = conf_document_conf(document);
    bool ok = cert_check(&control->registry.tls, conf, errors);
    return policy_check(control->newest, conf, errors) && ok;
}

void control_certs_committed(struct control *control)
{
    tell_ends(control);
}

/* -- conditions -- */

static void say(struct control_condition *out, const char *type, struct condition *noted,
                bool status, const char *reason, const char *message)
{
    (void)condition_note(noted, status, now_wall_us());
    *out = (struct control_condition){
        .type = type, .status = status, .reason = reason, .since_wall_us = noted->since_wall_us};
    (void)snprintf(out->message, sizeof(out->message), "%.*s", (int)sizeof(out->message) - 1,
                   message); /* cut when it is longer */
}

static uint32_t say_all(const struct control *control, struct registry_material *material,
                        const char *ready_reason, const char *ready_message, bool is_ready,
                        struct control_condition *out)
{
    struct conditions *noted = &material->conditions;
    bool is_adopted = control->facts.adopted_generation == control->facts.generation;
    bool is_known = is_adopted || noted->programmed.status;
    bool is_read = material->failure[0] == '\0';
    say(&out[0], "Accepted", &noted->accepted, true, "Valid", "stands in a valid document");
    say(&out[1], "Programmed", &noted->programmed, is_known, is_known ? "Adopted" : "Pending",
        is_known ? "every worker runs it" : "not every worker runs it yet");
    say(&out[2], "ResolvedRefs", &noted->resolved, is_read, is_read ? "Read" : "NotReadable",
        is_read ? "its content could be read" : material->failure);
    say(&out[3], "Ready", &noted->ready, is_ready, ready_reason, ready_message);
    return 4;
}

uint32_t control_conditions_certificate(struct control *control, struct slice name,
                                        struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    struct registry_certificate *live = registry_find_certificate(&control->registry.tls, name);
    char message[MESSAGE_MAX];
    char date[NOW_LOG_DATE_LEN + 1];
    if (live == NULL) {
        return 0;
    }
    const struct tls_cert_facts *facts = tls_cert_facts(live->material.object);
    const char *state = control_certs_state(live, now_wall_us());
    bool is_valid = strcmp(state, "valid") == 0;
    const char *reason = is_valid                              ? "Valid"
                         : strcmp(state, "expired") == 0       ? "Expired"
                         : strcmp(state, "not-yet-valid") == 0 ? "NotYetValid"
                                                               : "Revoked";
    bool is_early = facts->not_before_us > now_wall_us();
    now_log_date(date, is_early ? facts->not_before_us : facts->not_after_us);
    (void)snprintf(message, sizeof(message), "%s%s", is_early ? "valid from " : "valid until ",
                   date);
    return say_all(control, &live->material, reason,
                   strcmp(reason, "Revoked") == 0 ? "its CA has revoked it" : message, is_valid,
                   out);
}

uint32_t control_conditions_ca_set(struct control *control, struct slice name,
                                   struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    struct registry_material *live = registry_find_ca_set(&control->registry.tls, name);
    if (live == NULL) {
        return 0;
    }
    const struct tls_ca_facts *facts = tls_ca_facts(live->object);
    uint64_t now = now_wall_us();
    bool is_old = facts->crl_until_us != 0 && facts->crl_until_us <= now;
    bool is_expired = facts->not_after_us <= now;
    return say_all(control, live,
                   is_old       ? "RevocationListOutdated"
                   : is_expired ? "SomeExpired"
                                : "Valid",
                   is_old       ? "its revocation list is out of date"
                   : is_expired ? "a certificate in it has expired"
                                : "every certificate in it is valid",
                   !is_old && !is_expired, out);
}
