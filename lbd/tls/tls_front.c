#include "lbd/tls/tls_front.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_front_inside.h"
#include "lbd/tls/tls_identity.h"
#include "lbd/tls/tls_session_inside.h"
#include "lbd/tls/tls_sni.h"

struct tls_front {
    _Atomic uint32_t refs;
    bool strict_sni;
    enum tls_client_auth client_auth;
    struct tls_ca *client_ca;            /* referenced; NULL: clients show nothing */
    uint64_t demand;                     /* of the two, a number */
    uint8_t recipe[DIGEST_SHA256_BYTES]; /* of all certificates, in their order */
    struct map identities;               /* by recipe; referenced */
    struct tls_sni sni;                  /* names -> identities */
    struct tls_identity *first;          /* for who names nobody we know; in the map */
};

/* -- who is for a name -- */

static struct tls_identity *find(const struct tls_front *front, struct slice name)
{
    return name.len != 0 ? tls_sni_find(&front->sni, name) : NULL;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_session *session = tls_session_of(ssl);
    const struct tls_front *front = tls_session_front(session);
    const unsigned char *extension = NULL;
    size_t len = 0;
    char room[TLS_SNI_NAME_MAX];
    struct slice name = SLICE_NONE;
    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &len) == 1 &&
        tls_sni_parse(extension, len, room, &name) == TLS_SNI_BAD) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    struct tls_identity *identity = find(front, name);
    tls_session_note_name(session, name, identity != NULL);
    if (identity == NULL && front->strict_sni) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (identity != NULL && identity != front->first &&
        SSL_set_SSL_CTX(ssl, tls_identity_handle(identity)) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

struct ssl_st *tls_front_begin(const struct tls_front *front)
{
    SSL *ssl = SSL_new(tls_identity_handle(front->first));
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return ssl;
}

bool tls_front_is_for(const struct tls_front *front, const struct ssl_st *ssl, struct slice host)
{
    char room[TLS_SNI_NAME_MAX];
    const struct tls_identity *ours = tls_identity_of(ssl);
    struct slice name;
    if (!tls_sni_plain(host, room, &name)) {
        name = host; /* an IPv6 address */
    }
    const struct tls_identity *its = find(front, name);
    if (its == NULL && !front->strict_sni) {
        its = front->first; /* strict: nobody would have got in under that name */
    }
    return its == ours || tls_identity_covers(ours, name);
}

/* -- what clients must show -- */

static uint64_t demand_of(const struct tls_front_options *options)
{
    uint8_t bytes[1 + TLS_CA_REVISION];
    uint8_t digest[DIGEST_SHA256_BYTES];
    uint64_t number = 0;
    if (options->client_auth == TLS_CLIENT_AUTH_OFF) {
        return 0;
    }
    bytes[0] = (uint8_t)options->client_auth;
    memcpy(bytes + 1, tls_ca_facts(options->client_ca)->revision, TLS_CA_REVISION);
    digest_sha256(slice_of((const char *)bytes, sizeof(bytes)), digest);
    memcpy(&number, digest, sizeof(number));
    return number | 1U; /* never 0 */
}

uint64_t tls_front_demand(const struct tls_front *front)
{
    return front->demand;
}

bool tls_front_is_closed(const struct tls_front *front)
{
    return front->client_auth == TLS_CLIENT_AUTH_REQUIRED;
}

bool tls_front_lets_in(const struct tls_front *front, const struct ssl_st *ssl)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    switch (front->client_auth) {
    case TLS_CLIENT_AUTH_OFF:
        return true;
    case TLS_CLIENT_AUTH_OPTIONAL:
        if (certificate == NULL) {
            return true;
        }
        break;
    case TLS_CLIENT_AUTH_REQUIRED:
        if (certificate == NULL) {
            return false;
        }
        break;
    }
    return tls_ca_trusts_client(front->client_ca, certificate, SSL_get_peer_cert_chain(ssl),
                                SSL_get_security_level(ssl));
}

uint32_t tls_front_certs_for(const struct tls_front *front, struct slice name,
                             const struct tls_cert *certs[TLS_FRONT_SHOWN])
{
    char room[TLS_SNI_NAME_MAX];
    struct slice plain = SLICE_NONE;
    const struct tls_identity *identity =
        tls_sni_plain(name, room, &plain) ? find(front, plain) : NULL;
    if (identity == NULL && front->strict_sni) {
        return 0;
    }
    return tls_identity_certs(identity != NULL ? identity : front->first, certs);
}

/* -- making one -- */

/* What is being made. */
struct making {
    const struct tls_front_options *options;
    const struct tls_front *previous;
    struct tls_front *front;
    struct err *err;
};

/* One certificate for each kind of key, the first of each that is valid, or the first. */
struct choice {
    uint64_t now_us;
    struct tls_cert *certs[TLS_FRONT_SHOWN];
    uint32_t count;
};

static void choose(struct choice *choice, struct tls_cert *cert)
{
    for (uint32_t i = 0; i < choice->count; i++) {
        if (tls_cert_facts(choice->certs[i])->key_kind == tls_cert_facts(cert)->key_kind) {
            if (!tls_cert_is_valid(choice->certs[i], choice->now_us) &&
                tls_cert_is_valid(cert, choice->now_us)) {
                choice->certs[i] = cert;
            }
            return;
        }
    }
    assert(choice->count < TLS_FRONT_SHOWN); /* there are so many kinds */
    choice->certs[choice->count++] = cert;
}

static struct tls_identity *make_identity(const struct making *making, const struct choice *choice)
{
    uint8_t recipe[DIGEST_SHA256_BYTES];
    tls_identity_recipe(making->options, choice->certs, choice->count, recipe);
    struct slice key = slice_of((const char *)recipe, sizeof(recipe));
    struct tls_identity *identity = map_get(&making->front->identities, key);
    if (identity != NULL) {
        return identity;
    }
    identity = making->previous != NULL ? map_get(&making->previous->identities, key) : NULL;
    if (identity != NULL) {
        identity = tls_identity_ref(identity);
    } else {
        identity = tls_identity_new(making->options, choice->certs, choice->count, making->err);
        if (identity == NULL) {
            return NULL;
        }
        tls_identity_on_hello(identity, on_hello);
    }
    (void)map_put(&making->front->identities, key, identity);
    return identity;
}

/* Chains of certificates by name: the index + 1 of the last one that has it, and before each the
 * one before. */
struct by_name {
    struct map last;
    uint32_t *before; /* one for each name of each certificate */
    uint32_t *cert;
    uint32_t count;
};

static void by_name_init(struct by_name *names, const struct tls_front_options *options)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < options->cert_count; i++) {
        total += tls_cert_facts(options->certs[i])->name_count;
    }
    map_init(&names->last);
    names->before = mem_zero(total + 1, sizeof(*names->before));
    names->cert = mem_zero(total + 1, sizeof(*names->cert));
    names->count = 0;
    for (uint32_t i = options->cert_count; i-- > 0;) { /* so that the first comes first */
        const struct tls_cert_facts *facts = tls_cert_facts(options->certs[i]);
        for (uint32_t j = 0; j < facts->name_count; j++) {
            uint32_t at = ++names->count;
            names->cert[at] = i;
            names->before[at] =
                (uint32_t)(uintptr_t)map_put(&names->last, facts->names[j], (void *)(uintptr_t)at);
        }
    }
}

static void by_name_fini(struct by_name *names)
{
    map_fini(&names->last);
    free(names->before);
    free(names->cert);
}

static void choose_for(const struct by_name *names, const struct tls_front_options *options,
                       struct slice pattern, struct choice *choice)
{
    uint32_t at = (uint32_t)(uintptr_t)map_get(&names->last, pattern);
    for (; at != 0; at = names->before[at]) {
        choose(choice, options->certs[names->cert[at]]);
    }
}

/* Of several kinds that a client can use OpenSSL takes the one of the lowest rank. */
static int rank_of(const struct tls_cert *cert)
{
    switch (tls_cert_facts(cert)->key_kind) {
    case TLS_KEY_EC:
        return 0;
    case TLS_KEY_ED25519:
    case TLS_KEY_OTHER:
        return 1;
    case TLS_KEY_RSA:
        break;
    }
    return 2;
}

static bool ranks_below(const struct tls_cert *cert, const struct choice *choice)
{
    for (uint32_t i = 0; i < choice->count; i++) {
        if (rank_of(cert) <= rank_of(choice->certs[i])) {
            return false;
        }
    }
    return true;
}

/* Those for the name itself, then those for "*.rest" of kinds that only clients get who cannot use
 * any of them: nobody is shown a wildcard who could be shown the name. */
static void choose_all(const struct by_name *names, const struct tls_front_options *options,
                       struct slice pattern, struct choice *choice)
{
    char room[TLS_SNI_NAME_MAX + 1];
    choose_for(names, options, pattern, choice);
    size_t dot = slice_find(pattern, '.');
    if (!slice_starts(pattern, SLICE("*.")) && dot != SIZE_MAX && dot > 0) {
        struct slice rest = slice_from_at(pattern, dot);
        room[0] = '*';
        memcpy(room + 1, rest.ptr, rest.len);
        const struct choice exact = *choice;
        struct choice wild = {.now_us = options->now_us};
        choose_for(names, options, slice_of(room, rest.len + 1), &wild);
        for (uint32_t i = 0; i < wild.count; i++) {
            if (ranks_below(wild.certs[i], &exact)) {
                choose(choice, wild.certs[i]);
            }
        }
    }
}

static bool add_names(const struct making *making, const struct by_name *names)
{
    const struct map_entry *entry;
    map_for_each (entry, &names->last) {
        struct choice choice = {.now_us = making->options->now_us};
        choose_all(names, making->options, entry->key, &choice);
        struct tls_identity *identity = make_identity(making, &choice);
        if (identity == NULL) {
            return false;
        }
        tls_sni_put(&making->front->sni, entry->key, identity);
    }
    return true;
}

/* The first certificate, and those of other kinds of keys for its first name. */
static bool add_first(const struct making *making, const struct by_name *names)
{
    struct tls_cert *cert = making->options->certs[0];
    struct choice choice = {.now_us = making->options->now_us};
    choose(&choice, cert);
    if (tls_cert_facts(cert)->name_count > 0) {
        choose_all(names, making->options, tls_cert_facts(cert)->names[0], &choice);
    }
    making->front->first = make_identity(making, &choice);
    return making->front->first != NULL;
}

struct tls_front *tls_front_new(const struct tls_front_options *options,
                                const struct tls_front *previous, struct err *err)
{
    struct tls_front *front = mem_zero(1, sizeof(*front));
    const struct making making = {
        .options = options, .previous = previous, .front = front, .err = err};
    struct by_name names;
    assert(options->cert_count > 0);
    front->refs = 1;
    front->strict_sni = options->strict_sni;
    front->client_auth = options->client_auth;
    front->client_ca =
        options->client_auth != TLS_CLIENT_AUTH_OFF ? tls_ca_ref(options->client_ca) : NULL;
    front->demand = demand_of(options);
    tls_identity_recipe(options, options->certs, options->cert_count, front->recipe);
    map_init(&front->identities);
    tls_sni_init(&front->sni);
    by_name_init(&names, options);
    bool ok = add_first(&making, &names) && add_names(&making, &names);
    by_name_fini(&names);
    if (!ok) {
        tls_front_unref(front);
        return NULL;
    }
    return front;
}

struct tls_front *tls_front_ref(struct tls_front *front)
{
    (void)atomic_fetch_add_explicit(&front->refs, 1, memory_order_relaxed);
    return front;
}

void tls_front_unref(struct tls_front *front)
{
    if (front == NULL || atomic_fetch_sub(&front->refs, 1) != 1) {
        return;
    }
    const struct map_entry *entry;
    map_for_each (entry, &front->identities) {
        tls_identity_unref(entry->value);
    }
    map_fini(&front->identities);
    tls_sni_fini(&front->sni);
    tls_ca_unref(front->client_ca);
    free(front);
}

bool tls_front_is_made_of(const struct tls_front *front, const struct tls_front_options *options)
{
    uint8_t recipe[DIGEST_SHA256_BYTES];
    tls_identity_recipe(options, options->certs, options->cert_count, recipe);
    return memcmp(recipe, front->recipe, sizeof(recipe)) == 0;
}
