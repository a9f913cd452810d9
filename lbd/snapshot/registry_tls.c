#include "lbd/snapshot/registry_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_vault.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/tls/digest.h"

void registry_tls_init(struct registry_tls *tls)
{
    *tls = (struct registry_tls){0};
    map_init(&tls->certificates);
    map_init(&tls->ca_sets);
    map_init(&tls->tickets);
    map_init(&tls->secrets);
    map_init(&tls->bodies);
}

/* -- objects of each kind -- */

static void drop(enum registry_material_kind kind, void *object)
{
    switch (kind) {
    case REGISTRY_CERTIFICATE:
        tls_cert_unref(object);
        break;
    case REGISTRY_CA_SET:
        tls_ca_unref(object);
        break;
    case REGISTRY_TICKETS:
        tls_tickets_unref(object);
        break;
    case REGISTRY_SECRET:
        tls_secret_unref(object);
        break;
    case REGISTRY_BODY:
        body_file_unref(object);
        break;
    }
}

static void *hold(enum registry_material_kind kind, void *object)
{
    switch (kind) {
    case REGISTRY_CERTIFICATE:
        return tls_cert_ref(object);
    case REGISTRY_CA_SET:
        return tls_ca_ref(object);
    case REGISTRY_SECRET:
        return tls_secret_ref(object);
    case REGISTRY_BODY:
        return body_file_ref(object);
    case REGISTRY_TICKETS:
        break;
    }
    return tls_tickets_ref(object);
}

static bool is_same(enum registry_material_kind kind, const void *a, const void *b)
{
    if (a == NULL || b == NULL) {
        return false;
    }
    switch (kind) {
    case REGISTRY_CERTIFICATE:
        return tls_cert_is_same(a, b);
    case REGISTRY_CA_SET:
        return tls_ca_is_same(a, b);
    case REGISTRY_SECRET:
        return tls_secret_is_same(a, b);
    case REGISTRY_BODY:
        return body_file_is_same(a, b);
    case REGISTRY_TICKETS:
        break;
    }
    return false;
}

static void *read_files(enum registry_material_kind kind, const struct registry_source *source,
                        struct err *err)
{
    char *const *paths = source->paths;
    switch (kind) {
    case REGISTRY_CERTIFICATE:
        return tls_cert_from_files(paths[0], paths[1], err);
    case REGISTRY_CA_SET:
        return tls_ca_from_files(paths[0], paths[1], err);
    case REGISTRY_SECRET:
        return tls_secret_from_file(paths[0], source->min_bytes, err);
    case REGISTRY_BODY:
        return body_file_new(paths[0], err);
    case REGISTRY_TICKETS:
        break;
    }
    return paths[0] != NULL ? tls_tickets_from_file(paths[0], now_wall_us(), err)
                            : tls_tickets_new();
}

/* -- sources -- */

static void take_stamps(struct registry_source *source)
{
    for (size_t i = 0; i < REGISTRY_MATERIAL_FILES; i++) {
        source->stamps[i] = file_stamp_of(source->paths[i]);
    }
}

static char *path_of(struct slice path)
{
    return path.len != 0 ? mem_slicedup(path) : NULL;
}

static void free_source(struct registry_source *source)
{
    for (size_t i = 0; i < REGISTRY_MATERIAL_FILES; i++) {
        free(source->paths[i]);
    }
    *source = (struct registry_source){0};
}

/* -- from documents -- */

/* What lies in the vault is what its name says. */
static struct tls_cert *read_stored(const struct registry_tls *tls, struct slice stored,
                                    struct err *err)
{
    struct buf text;
    char hex[DIGEST_HEX_MAX];
    struct tls_cert *cert = NULL;
    if (tls->vault == NULL) {
        (void)err_set_at(err, ERR_NOT_FOUND, "stored", "nothing is stored here");
        return NULL;
    }
    buf_init(&text, CONF_VAULT_FILE_MAX);
    if (conf_vault_read(tls->vault, stored, &text, err)) {
        digest_hex(buf_slice(&text), CONF_VAULT_HEX_LEN, hex);
        if (slice_ends(stored, slice_from(hex))) {
            cert = tls_cert_from_pem(buf_slice(&text), buf_slice(&text), err);
        } else {
            (void)err_set(err, ERR_INVALID, "what is stored as '%.*s' is damaged",
                          SLICE_ARG(stored));
        }
    }
    if (text.data != NULL) {
        explicit_bzero(text.data, text.len);
    }
    buf_fini(&text);
    if (cert == NULL) {
        (void)snprintf(err->place, sizeof(err->place), "stored");
    }
    return cert;
}

static void *read_certificate(const struct registry_tls *tls, const struct conf_certificate *conf,
                              struct registry_source *source, struct err *err)
{
    if (conf->sent_key.len != 0) {
        return tls_cert_from_pem(conf->sent_chain, conf->sent_key, err);
    }
    if (conf->stored.len != 0) {
        return read_stored(tls, conf->stored, err);
    }
    source->paths[0] = path_of(conf->chain_file);
    source->paths[1] = path_of(conf->key_file);
    take_stamps(source); /* before reading: what changes meanwhile is seen later */
    return read_files(REGISTRY_CERTIFICATE, source, err);
}

static void *read_ca_set(const struct conf_ca_set *conf, struct registry_source *source,
                         struct err *err)
{
    if (conf->file.len != 0) {
        source->paths[0] = path_of(conf->file);
        source->paths[1] = path_of(conf->crl_file);
        take_stamps(source);
        return read_files(REGISTRY_CA_SET, source, err);
    }
    return tls_ca_from_pem(conf->pem, SLICE_NONE, err);
}

/* What was read for the part with this version. Keeps `fresh`. */
static void *propose(struct registry_material *material, uint64_t version, void *fresh,
                     struct registry_source *source)
{
    if (is_same(material->kind, material->object, fresh)) {
        drop(material->kind, fresh);
        fresh = hold(material->kind, material->object);
    }
    drop(material->kind, material->proposed);
    free_source(&material->proposed_source);
    material->proposed = fresh;
    material->proposed_version = version;
    material->proposed_source = *source;
    return fresh;
}

/* NULL: this version was not read yet. */
static void *known(const struct registry_material *material, uint64_t version)
{
    if (material == NULL || version == 0) {
        return NULL;
    }
    if (material->object != NULL && material->version == version) {
        return material->object;
    }
    return material->proposed_version == version ? material->proposed : NULL;
}

static struct registry_material *make(struct map *map, enum registry_material_kind kind,
                                      struct slice name)
{
    struct registry_material *material = map_get(map, name);
    if (material == NULL) {
        material = kind == REGISTRY_CERTIFICATE ? mem_zero(1, sizeof(struct registry_certificate))
                                                : mem_zero(1, sizeof(*material));
        material->name = mem_slicedup(name);
        material->kind = kind;
        (void)map_put(map, name, material);
    }
    return material;
}

struct tls_cert *registry_certificate_of(struct registry_tls *tls,
                                         const struct conf_certificate *conf, struct err *err)
{
    struct registry_source source = {0};
    void *object = known(map_get(&tls->certificates, conf->name), conf->version);
    if (object != NULL) {
        return object;
    }
    object = read_certificate(tls, conf, &source, err);
    if (object == NULL) {
        free_source(&source);
        return NULL;
    }
    return propose(make(&tls->certificates, REGISTRY_CERTIFICATE, conf->name), conf->version,
                   object, &source);
}

struct tls_ca *registry_ca_set_of(struct registry_tls *tls, const struct conf_ca_set *conf,
                                  struct err *err)
{
    struct registry_source source = {0};
    void *object = known(map_get(&tls->ca_sets, conf->name), conf->version);
    if (object != NULL) {
        return object;
    }
    object = read_ca_set(conf, &source, err);
    if (object == NULL) {
        free_source(&source);
        return NULL;
    }
    return propose(make(&tls->ca_sets, REGISTRY_CA_SET, conf->name), conf->version, object,
                   &source);
}

/* What is known by the path of its file alone. NULL: *err. */
static void *of_file(struct map *map, enum registry_material_kind kind, struct slice file,
                     size_t min_bytes, struct err *err)
{
    struct registry_source source = {.min_bytes = min_bytes};
    void *object = known(map_get(map, file), 1);
    if (object != NULL) {
        return object;
    }
    source.paths[0] = path_of(file);
    take_stamps(&source);
    object = read_files(kind, &source, err);
    if (object == NULL) {
        free_source(&source);
        return NULL;
    }
    return propose(make(map, kind, file), 1, object, &source);
}

struct tls_tickets *registry_tickets_of(struct registry_tls *tls, struct slice file,
                                        struct err *err)
{
    struct tls_tickets *tickets = of_file(&tls->tickets, REGISTRY_TICKETS, file, 0, err);
    if (tickets == NULL) {
        (void)snprintf(err->place, sizeof(err->place), "ticket_keys_file");
    }
    return tickets;
}

static void raise_to(struct registry_source *source, size_t min_bytes)
{
    source->min_bytes = source->min_bytes < min_bytes ? min_bytes : source->min_bytes;
}

struct tls_secret *registry_secret_of(struct registry_tls *tls, struct slice file, size_t min_bytes,
                                      struct err *err)
{
    struct tls_secret *secret = of_file(&tls->secrets, REGISTRY_SECRET, file, min_bytes, err);
    if (secret == NULL) {
        return NULL;
    }
    if (tls_secret_text(secret).len < min_bytes) { /* read for somebody who wants less */
        (void)err_set(err, ERR_INVALID, "'%.*s' is shorter than %zu bytes", SLICE_ARG(file),
                      min_bytes);
        return NULL;
    }
    struct registry_material *material = map_get(&tls->secrets, file);
    raise_to(&material->source, min_bytes);
    raise_to(&material->proposed_source, min_bytes);
    return secret;
}

struct body_file *registry_body_of(struct registry_tls *tls, struct slice file, struct err *err)
{
    return of_file(&tls->bodies, REGISTRY_BODY, file, 0, err);
}

/* -- looking -- */

struct registry_certificate *registry_find_certificate(const struct registry_tls *tls,
                                                       struct slice name)
{
    struct registry_certificate *found = map_get(&tls->certificates, name);
    return found != NULL && found->material.object != NULL ? found : NULL;
}

struct registry_material *registry_find_ca_set(const struct registry_tls *tls, struct slice name)
{
    struct registry_material *found = map_get(&tls->ca_sets, name);
    return found != NULL && found->object != NULL ? found : NULL;
}

struct registry_material *registry_find_body(const struct registry_tls *tls, struct slice file)
{
    struct registry_material *found = map_get(&tls->bodies, file);
    return found != NULL && found->object != NULL ? found : NULL;
}

/* -- commit and sweep -- */

static void forget_proposal(struct registry_material *material)
{
    drop(material->kind, material->proposed);
    free_source(&material->proposed_source);
    material->proposed = NULL;
    material->proposed_version = 0;
}

static void free_material(struct registry_material *material)
{
    if (material != NULL) {
        forget_proposal(material);
        drop(material->kind, material->object);
        free_source(&material->source);
        free(material->name);
        free(material);
    }
}

static void free_all(struct map *map)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, map) {
        free_material(entry->value);
    }
    map_fini(map);
}

void registry_tls_fini(struct registry_tls *tls)
{
    free_all(&tls->certificates);
    free_all(&tls->ca_sets);
    free_all(&tls->tickets);
    free_all(&tls->secrets);
    free_all(&tls->bodies);
}

/* Another object stands for the name from here on. Keeps `object`. */
static void use(struct registry_material *material, void *object)
{
    void *before = material->object;
    material->object = object;
    material->since_wall_us = now_wall_us();
    if (material->kind == REGISTRY_CERTIFICATE && before != object) {
        struct registry_certificate *certificate = (struct registry_certificate *)material;
        certificate->told_days = 0;
        certificate->told_expired = false;
        certificate->ocsp.next_us = 0;
        certificate->ocsp.failures = 0;
        certificate->ocsp.has_answer = false;
        certificate->ocsp.failure[0] = '\0';
    }
    drop(material->kind, before);
}

static void commit(const struct registry_tls *tls, struct registry_material *material,
                   uint64_t version)
{
    if (material == NULL || material->proposed == NULL || material->proposed_version != version) {
        return; /* it is what it was */
    }
    bool is_other = material->object != material->proposed;
    free_source(&material->source);
    material->source = material->proposed_source;
    material->proposed_source = (struct registry_source){0};
    material->version = version;
    material->is_doubtful = false;
    material->failure[0] = '\0';
    use(material, material->proposed);
    material->proposed = NULL;
    material->proposed_version = 0;
    if (is_other && tls->changed != NULL) {
        tls->changed(material, tls->arg);
    }
}

/* Removes those for which is_named() says no, and all proposals. */
static void sweep(struct map *map, const struct conf *conf,
                  bool (*is_named)(const struct conf *conf, struct slice name))
{
    struct map_entry *entry = NULL;
    map_for_each (entry, map) {
        struct registry_material *material = entry->value;
        forget_proposal(material);
        if (material->object == NULL || (conf != NULL && !is_named(conf, entry->key))) {
            (void)map_remove(map, entry->key);
            free_material(material);
        }
    }
}

static bool has_certificate(const struct conf *conf, struct slice name)
{
    return conf_certificate_find(conf, name) != NULL;
}

static bool has_ca_set(const struct conf *conf, struct slice name)
{
    return conf_ca_set_find(conf, name) != NULL;
}

static bool has_tickets(const struct conf *conf, struct slice file)
{
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        if (listener->has_tls && listener->tls.session_tickets &&
            slice_eq(listener->tls.ticket_keys_file, file)) {
            return true;
        }
    }
    return file.len == 0; /* those of the process: a listener may come back with them */
}

static bool has_secret(const struct conf *conf, struct slice file)
{
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        if ((pool->has_mail && slice_eq(pool->mail.master_password_file, file)) ||
            (pool->has_sticky && slice_eq(pool->sticky.set.key_file, file))) {
            return true;
        }
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_split *split = &conf->routes[i].split;
        if (split->has_cookie != 0 && slice_eq(split->cookie.set.key_file, file)) {
            return true;
        }
    }
    return false;
}

static bool has_body(const struct conf *conf, struct slice file)
{
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        if (route->action == CONF_ACTION_RESPOND && slice_eq(route->respond_file, file)) {
            return true;
        }
    }
    return false;
}

void registry_tls_commit(struct registry_tls *tls, const struct conf *conf)
{
    struct map_entry *entry = NULL;
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        commit(tls, map_get(&tls->certificates, conf->certificates[i].name),
               conf->certificates[i].version);
    }
    for (uint32_t i = 0; i < conf->ca_set_count; i++) {
        commit(tls, map_get(&tls->ca_sets, conf->ca_sets[i].name), conf->ca_sets[i].version);
    }
    map_for_each (entry, &tls->tickets) {
        commit(tls, entry->value, 1);
    }
    map_for_each (entry, &tls->secrets) {
        commit(tls, entry->value, 1);
    }
    map_for_each (entry, &tls->bodies) {
        commit(tls, entry->value, 1);
    }
    sweep(&tls->certificates, conf, has_certificate);
    sweep(&tls->ca_sets, conf, has_ca_set);
    sweep(&tls->tickets, conf, has_tickets);
    sweep(&tls->secrets, conf, has_secret);
    sweep(&tls->bodies, conf, has_body);
}

void registry_tls_sweep(struct registry_tls *tls)
{
    sweep(&tls->certificates, NULL, NULL);
    sweep(&tls->ca_sets, NULL, NULL);
    sweep(&tls->tickets, NULL, NULL);
    sweep(&tls->secrets, NULL, NULL);
    sweep(&tls->bodies, NULL, NULL);
}

/* -- files -- */

/* Two files are not replaced in one moment: what is bad and still being written is looked at once
 * more before it is called bad. */
static void look_at(struct registry_tls *tls, struct registry_material *material,
                    const struct registry_tls_look *look)
{
    struct registry_source now = material->source;
    struct err err = {0};
    bool is_as_before = true;
    if (material->object == NULL || material->source.paths[0] == NULL) {
        return;
    }
    take_stamps(&now);
    for (size_t i = 0; i < REGISTRY_MATERIAL_FILES; i++) {
        is_as_before =
            is_as_before && file_stamp_is_same(&now.stamps[i], &material->source.stamps[i]);
    }
    if (is_as_before && !material->is_doubtful) {
        return;
    }
    memcpy(material->source.stamps, now.stamps, sizeof(now.stamps));
    void *fresh = read_files(material->kind, &material->source, &err);
    if (fresh == NULL) {
        bool is_settled = material->is_doubtful && is_as_before;
        material->is_doubtful = !is_settled;
        if (is_settled) {
            (void)snprintf(material->failure, sizeof(material->failure), "%s", err.text);
            look->failed(material, look->arg);
        }
        return;
    }
    material->is_doubtful = false;
    material->failure[0] = '\0';
    if (is_same(material->kind, material->object, fresh)) {
        drop(material->kind, fresh);
        return;
    }
    use(material, fresh);
    tls->epoch++;
    look->changed(material, look->arg);
}

void registry_tls_look(struct registry_tls *tls, size_t *cursor, uint32_t limit,
                       const struct registry_tls_look *look)
{
    struct map_entry *entry = NULL;
    for (uint32_t i = 0; i < limit; i++) {
        entry = map_next(&tls->certificates, cursor);
        if (entry == NULL) {
            *cursor = 0;
            break;
        }
        look_at(tls, entry->value, look);
    }
    map_for_each (entry, &tls->ca_sets) {
        look_at(tls, entry->value, look);
    }
    map_for_each (entry, &tls->tickets) {
        look_at(tls, entry->value, look);
    }
    map_for_each (entry, &tls->secrets) {
        look_at(tls, entry->value, look);
    }
    map_for_each (entry, &tls->bodies) {
        look_at(tls, entry->value, look);
    }
}
