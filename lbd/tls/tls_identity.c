#include "lbd/tls/tls_identity.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "lbd/base/buf.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/tls/tls_cache.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_key.h"
#include "lbd/tls/tls_sni.h"

#define SESSION_SECONDS TLS_CACHE_SECONDS

/* AES-128 first: its handshake derives keys with SHA-256, which the processor knows. */
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS_1_2                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

struct tls_identity {
    SSL_CTX *handle;
    uint8_t recipe[DIGEST_SHA256_BYTES];
    uint8_t policy[DIGEST_SHA256_BYTES];
    struct tls_cert *certs[TLS_FRONT_SHOWN]; /* referenced */
    uint32_t cert_count;
    struct tls_ca *ca;           /* referenced; NULL: clients show nothing */
    struct tls_tickets *tickets; /* referenced; NULL: none are given */
    pthread_mutex_t lock;        /* of the keys; held for a copy */
    uint64_t generation;         /* of the tickets' ring that the keys are of */
    struct tls_ticket_key keys[TLS_TICKETS_KEYS];
    unsigned alpn_len;
    unsigned char alpn[TLS_ALPN_MAX];
};

/* -- once for the process -- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int identity_index = -1; /* of an SSL_CTX's extra data */
static EVP_CIPHER *ticket_cipher;

static void on_context_free(void *context, void *data, CRYPTO_EX_DATA *all, int index, long number,
                            void *pointer)
{
    struct tls_identity *identity = data;
    (void)context;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    if (identity == NULL) {
        return;
    }
    for (uint32_t i = 0; i < identity->cert_count; i++) {
        tls_cert_unref(identity->certs[i]);
    }
    tls_ca_unref(identity->ca);
    tls_tickets_unref(identity->tickets);
    (void)pthread_mutex_destroy(&identity->lock);
    mem_wipe(identity->keys, sizeof(identity->keys));
    free(identity);
}

static void make_once(void)
{
    identity_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
    ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    assert(identity_index >= 0 && ticket_cipher != NULL);
}

static struct tls_identity *identity_of_context(const SSL_CTX *context)
{
    return SSL_CTX_get_ex_data(context, identity_index);
}

struct tls_identity *tls_identity_of(const SSL *ssl)
{
    return identity_of_context(SSL_get_SSL_CTX(ssl));
}

/* -- what tickets are sealed with -- */

static void take_key(struct tls_identity *identity, const uint8_t *name, size_t *which,
                     struct tls_ticket_key *out)
{
    (void)pthread_mutex_lock(&identity->lock);
    if (identity->generation != tls_tickets_generation(identity->tickets)) {
        identity->generation = tls_tickets_keys(
            identity->tickets, slice_of((const char *)identity->policy, sizeof(identity->policy)),
            identity->keys);
    }
    *which = TLS_TICKETS_KEYS;
    for (size_t i = 0; i < TLS_TICKETS_KEYS; i++) {
        if (name == NULL ? i == TLS_TICKETS_CURRENT
                         : memcmp(identity->keys[i].name, name, TLS_TICKETS_NAME) == 0) {
            *out = identity->keys[i];
            *which = i;
        }
    }
    (void)pthread_mutex_unlock(&identity->lock);
}

static bool use_key(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, struct tls_ticket_key *key,
                    const unsigned char *iv, bool seals)
{
    static char sha256[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, ticket_cipher, key->cipher, iv, seals ? 1 : 0, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: done, 2: done and the client shall have a fresh one, 0: not ours, -1: it does not work. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seals)
{
    struct tls_identity *identity = tls_identity_of(ssl);
    struct tls_ticket_key key;
    size_t which = 0;
    if (identity->tickets == NULL) {
        return 0;
    }
    take_key(identity, seals == 1 ? NULL : name, &which, &key);
    if (which == TLS_TICKETS_KEYS) {
        return 0;
    }
    if (seals == 1) {
        memcpy(name, key.name, TLS_TICKETS_NAME);
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(ticket_cipher));
    }
    bool ok = use_key(cipher, mac, &key, iv, seals == 1);
    mem_wipe(&key, sizeof(key));
    if (!ok) {
        return -1;
    }
    if (seals == 1) {
        return 1;
    }
    /* a ticket of TLS 1.3 is used once (RFC 8446 C.4) */
    return which == TLS_TICKETS_PREVIOUS || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

/* -- sessions by id -- */

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    uint8_t bytes[TLS_CACHE_SESSION_MAX];
    uint8_t *at = bytes;
    unsigned id_len = 0;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_len);
    if (SSL_version(ssl) > TLS1_2_VERSION || id_len == 0) {
        return 0; /* its tickets carry all */
    }
    int len = i2d_SSL_SESSION(session, NULL);
    if (len > 0 && len <= (int)sizeof(bytes) && i2d_SSL_SESSION(session, &at) == len) {
        tls_cache_put(slice_of((const char *)id, id_len), tls_identity_of(ssl)->policy,
                      slice_of((const char *)bytes, (size_t)len), now_us());
    }
    mem_wipe(bytes, len > 0 && len <= (int)sizeof(bytes) ? (size_t)len : 0);
    return 0; /* no reference kept */
}

static SSL_SESSION *on_get_session(SSL *ssl, const unsigned char *id, int id_len, int *copies)
{
    uint8_t bytes[TLS_CACHE_SESSION_MAX];
    const uint8_t *at = bytes;
    *copies = 0; /* it is OpenSSL's */
    size_t len = tls_cache_get(slice_of((const char *)id, (size_t)id_len),
                               tls_identity_of(ssl)->policy, now_us(), bytes);
    SSL_SESSION *session = len != 0 ? d2i_SSL_SESSION(NULL, &at, (long)len) : NULL;
    mem_wipe(bytes, len);
    return session;
}

/* -- other callbacks -- */

/* A client's list has one of ours, or it speaks to the wrong place (RFC 7301 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_identity *identity = tls_identity_of(ssl);
    unsigned char *found = NULL;
    (void)arg;
    if (SSL_select_next_proto(&found, out_len, identity->alpn, identity->alpn_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

/* The name was judged at the ClientHello; here it is only acknowledged. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL ? SSL_TLSEXT_ERR_OK
                                                                      : SSL_TLSEXT_ERR_NOACK;
}

static int on_status(SSL *ssl, void *arg)
{
    const struct tls_identity *identity = tls_identity_of(ssl);
    const X509 *shown = SSL_get_certificate(ssl);
    (void)arg;
    for (uint32_t i = 0; i < identity->cert_count; i++) {
        if (tls_cert_leaf(identity->certs[i]) != shown ||
            tls_cert_ocsp_until_us(identity->certs[i]) <= now_wall_us()) {
            continue;
        }
        uint8_t answer[TLS_CERT_OCSP_MAX];
        size_t len = tls_cert_ocsp_copy(identity->certs[i], answer);
        unsigned char *copy = len != 0 ? OPENSSL_memdup(answer, len) : NULL;
        if (copy != NULL && SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)len) == 1) {
            return SSL_TLSEXT_ERR_OK; /* it is OpenSSL's now */
        }
        OPENSSL_free(copy);
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* -- making one -- */

static void add_text(struct buf *out, struct slice text)
{
    uint32_t len = (uint32_t)text.len;
    (void)buf_append(out, &len, sizeof(len));
    (void)buf_append_slice(out, text);
}

static void add_number(struct buf *out, uint64_t number)
{
    (void)buf_append(out, &number, sizeof(number));
}

static void add_options(struct buf *out, const struct tls_front_options *options)
{
    add_text(out, options->listener);
    add_number(out, options->strict_sni);
    add_number(out, options->client_auth);
    if (options->client_auth != TLS_CLIENT_AUTH_OFF) {
        add_text(out, slice_of((const char *)tls_ca_facts(options->client_ca)->revision,
                               TLS_CA_REVISION));
    }
}

/* R12: a ticket or session is good where all of this is the same. A certificate that was renewed
 * for the same names changes nothing. */
static void make_policy(const struct tls_front_options *options, struct tls_cert *const *certs,
                        uint32_t count, uint8_t out[DIGEST_SHA256_BYTES])
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    add_options(&text, options);
    for (uint32_t i = 0; i < count; i++) {
        const struct tls_cert_facts *facts = tls_cert_facts(certs[i]);
        add_number(&text, facts->name_count);
        for (uint32_t j = 0; j < facts->name_count; j++) {
            add_text(&text, facts->names[j]);
        }
        if (facts->name_count == 0) {
            add_text(&text, facts->subject);
        }
    }
    digest_sha256(buf_slice(&text), out);
    buf_fini(&text);
}

void tls_identity_recipe(const struct tls_front_options *options, struct tls_cert *const *certs,
                         uint32_t count, uint8_t out[DIGEST_SHA256_BYTES])
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    add_options(&text, options);
    add_number(&text, options->profile);
    add_number(&text, options->min_version);
    add_number(&text, options->max_version);
    add_number(&text, (uintptr_t)options->tickets);
    add_number(&text, options->staples);
    add_number(&text, options->is_strict);
    for (uint32_t i = 0; i < options->alpn_count; i++) {
        add_text(&text, options->alpn[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        add_number(&text, (uintptr_t)certs[i]); /* itself: its OCSP answer lies in it */
    }
    digest_sha256(buf_slice(&text), out);
    buf_fini(&text);
}

static bool set_rules(struct tls_identity *identity, const struct tls_front_options *options,
                      struct err *err)
{
    SSL_CTX *handle = identity->handle;
    int least = tls_version_number(options->min_version, TLS1_2_VERSION);
    int most = tls_version_number(options->max_version, 0);
    uint64_t wishes = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
    if (options->profile == TLS_PROFILE_MODERN) {
        least = TLS1_3_VERSION;
    }
    if (options->tickets == NULL) {
        wishes |= SSL_OP_NO_TICKET;
    }
    if (!options->is_strict) {
        wishes |= SSL_OP_IGNORE_UNEXPECTED_EOF;
    }
    (void)SSL_CTX_set_options(handle, wishes);
    (void)SSL_CTX_set_mode(handle, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(handle, 1);
    (void)SSL_CTX_set_num_tickets(handle, options->tickets != NULL ? 1 : 0);
    (void)SSL_CTX_set_timeout(handle, SESSION_SECONDS);
    if (SSL_CTX_set_min_proto_version(handle, least) != 1 ||
        SSL_CTX_set_max_proto_version(handle, most) != 1 ||
        SSL_CTX_set_cipher_list(handle, CIPHERS_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(handle, CIPHERS_1_3) != 1 ||
        SSL_CTX_set1_groups_list(handle, GROUPS) != 1 ||
        SSL_CTX_set_session_id_context(handle, identity->policy, sizeof(identity->policy)) != 1) {
        return tls_error_set(err, ERR_SYSTEM, "OpenSSL does not take our rules");
    }
    return true;
}

static void set_callbacks(struct tls_identity *identity, const struct tls_front_options *options)
{
    SSL_CTX *handle = identity->handle;
    if (options->is_strict) {
        (void)SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
    } else {
        (void)SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_SERVER |
                                                         SSL_SESS_CACHE_NO_INTERNAL |
                                                         SSL_SESS_CACHE_NO_AUTO_CLEAR);
        SSL_CTX_sess_set_new_cb(handle, on_new_session);
        SSL_CTX_sess_set_get_cb(handle, on_get_session);
    }
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(handle, on_ticket);
    (void)SSL_CTX_set_tlsext_servername_callback(handle, on_server_name);
    if (options->staples) {
        (void)SSL_CTX_set_tlsext_status_cb(handle, on_status);
    }
    size_t alpn_len = tls_alpn_write(options->alpn, options->alpn_count, identity->alpn);
    identity->alpn_len = alpn_len != SIZE_MAX ? (unsigned)alpn_len : 0; /* conf_check saw to that */
    if (identity->alpn_len != 0) {
        SSL_CTX_set_alpn_select_cb(handle, on_alpn, NULL);
    }
}

static bool add_cert(struct tls_identity *identity, struct tls_cert *cert, struct err *err)
{
    SSL_CTX *handle = identity->handle;
    if (SSL_CTX_use_certificate(handle, tls_cert_leaf(cert)) != 1) {
        return tls_error_set(err, ERR_INVALID, "cannot use the certificate '%.*s'",
                             SLICE_ARG(tls_cert_facts(cert)->subject));
    }
    if (!tls_key_use(tls_cert_key(cert), handle, err)) {
        return false;
    }
    if (SSL_CTX_set1_chain(handle, tls_cert_rest(cert)) != 1) {
        return tls_error_set(err, ERR_INVALID, "cannot use the chain of the certificate '%.*s'",
                             SLICE_ARG(tls_cert_facts(cert)->subject));
    }
    identity->certs[identity->cert_count++] = tls_cert_ref(cert);
    return true;
}

static bool set_clients(struct tls_identity *identity, const struct tls_front_options *options,
                        struct err *err)
{
    if (options->client_auth == TLS_CLIENT_AUTH_OFF) {
        return true;
    }
    int must =
        options->client_auth == TLS_CLIENT_AUTH_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    identity->ca = tls_ca_ref(options->client_ca);
    SSL_CTX_set_verify(identity->handle, SSL_VERIFY_PEER | must, NULL);
    SSL_CTX_set_verify_depth(identity->handle, TLS_CA_DEPTH);
    SSL_CTX_set_client_CA_list(identity->handle, tls_ca_names(options->client_ca));
    if (SSL_CTX_set1_verify_cert_store(identity->handle, tls_ca_store(options->client_ca)) != 1) {
        return tls_error_set(err, ERR_SYSTEM, "cannot use the set of authorities");
    }
    return true;
}

struct tls_identity *tls_identity_new(const struct tls_front_options *options,
                                      struct tls_cert *const *certs, uint32_t count,
                                      struct err *err)
{
    (void)pthread_once(&once, make_once);
    tls_error_clear();
    SSL_CTX *handle = SSL_CTX_new(TLS_server_method());
    struct tls_identity *identity = mem_zero(1, sizeof(*identity));
    (void)pthread_mutex_init(&identity->lock, NULL);
    if (handle == NULL || SSL_CTX_set_ex_data(handle, identity_index, identity) != 1) {
        (void)tls_error_set(err, ERR_SYSTEM, "OpenSSL does not start");
        SSL_CTX_free(handle);
        (void)pthread_mutex_destroy(&identity->lock);
        free(identity);
        return NULL;
    }
    identity->handle = handle; /* whose end is that of the identity, from here on */
    identity->tickets = options->tickets != NULL ? tls_tickets_ref(options->tickets) : NULL;
    make_policy(options, certs, count, identity->policy);
    tls_identity_recipe(options, certs, count, identity->recipe);
    bool ok = set_rules(identity, options, err) && set_clients(identity, options, err);
    set_callbacks(identity, options);
    for (uint32_t i = 0; ok && i < count; i++) {
        ok = add_cert(identity, certs[i], err);
    }
    if (!ok) {
        tls_identity_unref(identity);
        return NULL;
    }
    return identity;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity)
{
    (void)SSL_CTX_up_ref(identity->handle);
    return identity;
}

void tls_identity_unref(struct tls_identity *identity)
{
    if (identity != NULL) {
        SSL_CTX_free(identity->handle);
    }
}

/* -- questions -- */

const uint8_t *tls_identity_recipe_of(const struct tls_identity *identity)
{
    return identity->recipe;
}

SSL_CTX *tls_identity_handle(const struct tls_identity *identity)
{
    return identity->handle;
}

uint32_t tls_identity_certs(const struct tls_identity *identity,
                            const struct tls_cert *certs[TLS_FRONT_SHOWN])
{
    for (uint32_t i = 0; i < identity->cert_count; i++) {
        certs[i] = identity->certs[i];
    }
    return identity->cert_count;
}

bool tls_identity_covers(const struct tls_identity *identity, struct slice host)
{
    for (uint32_t i = 0; i < identity->cert_count; i++) {
        const struct tls_cert_facts *facts = tls_cert_facts(identity->certs[i]);
        for (uint32_t j = 0; j < facts->name_count; j++) {
            if (tls_sni_covers(facts->names[j], host)) {
                return true;
            }
        }
        for (uint32_t j = 0; j < facts->address_count; j++) {
            if (slice_eq(facts->addresses[j], host)) {
                return true;
            }
        }
    }
    return false;
}

void tls_identity_on_hello(struct tls_identity *identity, tls_identity_choose_fn *choose)
{
    SSL_CTX_set_client_hello_cb(identity->handle, choose, NULL);
}
