#include "lbd/tls/tls_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lbd/base/buf.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_key.h"

#define SUBJECT_MAX   80 /* of a sentence */
#define NAMES_SHOWN   4
#define REUSE_SECONDS 3600
#define BINDING_BYTES 16 /* identity and name */

struct tls_client {
    _Atomic uint32_t refs;
    uint64_t identity;
    SSL_CTX *handle;
    struct tls_ca *ca;     /* referenced; NULL: nobody needs to be trusted */
    struct tls_cert *cert; /* referenced; NULL: none */
    enum tls_verify verify;
    uint32_t pin_count;
    uint8_t pins[TLS_CLIENT_PINS_MAX][TLS_CERT_SHA256];
};

struct tls_reuse {
    _Atomic(SSL_SESSION *) slots[TLS_REUSE_SESSIONS];
    _Atomic uint32_t next;
};

/* What belongs to one connection; OpenSSL frees it with its own part. */
struct attempt {
    struct tls_client *client; /* referenced */
    struct tls_reuse *reuse;   /* borrowed; may be NULL */
    enum tls_client_failure failure;
    bool was_refused; /* by an alert */
    bool was_asked;   /* for a certificate of ours */
    bool was_taken;   /* a session came after the handshake */
    char name[256];
    char why[TLS_CLIENT_WHY_MAX];
};

static int attempt_index = -1;
static pthread_once_t attempt_once = PTHREAD_ONCE_INIT;

static void on_ssl_free(void *ssl, void *data, CRYPTO_EX_DATA *all, int index, long number,
                        void *pointer)
{
    struct attempt *attempt = data;
    (void)ssl;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    if (attempt != NULL) {
        tls_client_unref(attempt->client);
        free(attempt);
    }
}

static void make_index(void)
{
    attempt_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
    assert(attempt_index >= 0);
}

static struct attempt *attempt_of(const SSL *ssl)
{
    return attempt_index >= 0 ? SSL_get_ex_data(ssl, attempt_index) : NULL;
}

/* -- who is there -- */

static void subject_of(const X509 *certificate, char out[SUBJECT_MAX])
{
    char *bytes = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    long len = 0;
    out[0] = '\0';
    if (bio != NULL && certificate != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_get_mem_data(bio, &bytes);
        (void)snprintf(out, SUBJECT_MAX, "%.*s", (int)len, len > 0 ? bytes : "");
    }
    BIO_free(bio);
}

/* "DNS names: a.example, b.example", as far as they fit. */
static void write_names(struct buf *out, const X509 *certificate)
{
    int shown = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < NAMES_SHOWN; i++) {
        int type = 0;
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
        if (type == GEN_DNS) {
            (void)buf_printf(out, "%s%.*s", shown++ == 0 ? ", but for " : ", ",
                             ASN1_STRING_length(value), (const char *)ASN1_STRING_get0_data(value));
        }
    }
    GENERAL_NAMES_free(names);
}

/* Bytes of a stranger's certificate that go into logs. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F || *text == '"') {
            *text = '?';
        }
    }
}

static void write_date(struct buf *out, const char *before, const ASN1_TIME *when)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(when, &parts) == 1) {
        (void)buf_printf(out, "%s%04d-%02d-%02d", before, parts.tm_year + 1900, parts.tm_mon + 1,
                         parts.tm_mday);
    }
}

/* What a person needs to know beyond OpenSSL's words. */
static void write_more(struct buf *out, const struct attempt *attempt, const X509 *certificate,
                       int error)
{
    char issuer[SUBJECT_MAX];
    char *bytes = NULL;
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        write_date(out, " on ", X509_get0_notAfter(certificate));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        write_date(out, " before ", X509_get0_notBefore(certificate));
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        bytes = X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof(issuer));
        if (bytes != NULL) {
            (void)buf_printf(out,
                             ": its issuer %s is not trusted, or the server does not send the "
                             "certificates between",
                             issuer);
        }
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        (void)buf_printf(out, ": it is not for %s", attempt->name);
        write_names(out, certificate);
        break;
    default:
        break;
    }
}

static void note_failure(struct attempt *attempt, enum tls_client_failure failure,
                         const X509 *certificate, const char *words, int error)
{
    char subject[SUBJECT_MAX];
    struct buf text;
    subject_of(certificate, subject);
    buf_init(&text, TLS_CLIENT_WHY_MAX); /* more than that is left out */
    (void)buf_printf(&text, "the certificate of '%s': %s", subject, words);
    write_more(&text, attempt, certificate, error);
    (void)snprintf(attempt->why, sizeof(attempt->why), "%s", text.data);
    make_plain(attempt->why);
    buf_fini(&text);
    attempt->failure = failure;
}

/* The key of its own certificate, for that signs the handshake: what else it sends proves nothing
 * where the chain was not verified. */
static bool is_pinned(const struct tls_client *client, const X509 *certificate)
{
    uint8_t sum[DIGEST_SHA256_BYTES];
    unsigned char *key = NULL;
    bool pinned = false;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    if (len > 0) {
        digest_sha256(slice_of((const char *)key, (size_t)len), sum);
        for (uint32_t i = 0; i < client->pin_count && !pinned; i++) {
            pinned = memcmp(client->pins[i], sum, sizeof(sum)) == 0;
        }
    }
    OPENSSL_free(key);
    return pinned;
}

/* 1: the server is who it should be. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
    const struct tls_client *client = arg;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct attempt *attempt = attempt_of(ssl);
    if (client->verify != TLS_VERIFY_OFF && X509_verify_cert(store) != 1) {
        int error = X509_STORE_CTX_get_error(store);
        const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
        if (certificate == NULL) {
            certificate = X509_STORE_CTX_get0_cert(store);
        }
        note_failure(attempt, TLS_CLIENT_VERIFY, certificate, X509_verify_cert_error_string(error),
                     error);
        return 0;
    }
    if (client->pin_count != 0 && !is_pinned(client, X509_STORE_CTX_get0_cert(store))) {
        note_failure(attempt, TLS_CLIENT_PIN, X509_STORE_CTX_get0_cert(store),
                     "its key is none of pin_sha256", X509_V_OK);
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    if (client->verify == TLS_VERIFY_OFF) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
    }
    return 1;
}

/* -- sessions that are used again -- */

struct tls_reuse *tls_reuse_new(void)
{
    return mem_zero(1, sizeof(struct tls_reuse));
}

void tls_reuse_forget(struct tls_reuse *reuse)
{
    for (size_t i = 0; i < TLS_REUSE_SESSIONS; i++) {
        SSL_SESSION_free(atomic_exchange(&reuse->slots[i], NULL));
    }
}

void tls_reuse_free(struct tls_reuse *reuse)
{
    if (reuse != NULL) {
        tls_reuse_forget(reuse);
        free(reuse);
    }
}

/* A copy: OpenSSL marks that of a connection as bad when its peer leaves without close_notify, as
 * many do. */
static void keep(struct tls_reuse *reuse, const SSL_SESSION *original)
{
    SSL_SESSION *session = SSL_SESSION_dup(original);
    if (session == NULL) {
        return;
    }
    uint32_t at = atomic_fetch_add_explicit(&reuse->next, 1, memory_order_relaxed);
    SSL_SESSION_free(atomic_exchange(&reuse->slots[at % TLS_REUSE_SESSIONS], session));
}

static bool is_offered(const SSL_SESSION *session, const uint8_t binding[BINDING_BYTES])
{
    unsigned len = 0;
    const unsigned char *bound = SSL_SESSION_get0_id_context(session, &len);
    time_t age = time(NULL) - (time_t)SSL_SESSION_get_time(session);
    return SSL_SESSION_is_resumable(session) == 1 && len == BINDING_BYTES &&
           memcmp(bound, binding, BINDING_BYTES) == 0 && age >= 0 && age < REUSE_SECONDS;
}

/* A session that may be offered, now the caller's; each is offered once (RFC 8446 C.4). */
static SSL_SESSION *take(struct tls_reuse *reuse, const uint8_t binding[BINDING_BYTES])
{
    for (size_t i = 0; i < TLS_REUSE_SESSIONS; i++) {
        SSL_SESSION *session = atomic_exchange(&reuse->slots[i], NULL);
        if (session != NULL && is_offered(session, binding)) {
            return session;
        }
        SSL_SESSION_free(session);
    }
    return NULL;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct attempt *attempt = attempt_of(ssl);
    if (attempt == NULL) {
        return 0;
    }
    attempt->was_taken = true;
    if (attempt->reuse == NULL) {
        return 0;
    }
    keep(attempt->reuse, session);
    return 0; /* its reference is not ours */
}

/* OpenSSL calls it when the server asks for a certificate. What is shown is settled already. */
static int on_asked(SSL *ssl, void *arg)
{
    struct attempt *attempt = attempt_of(ssl);
    (void)arg;
    if (attempt != NULL) {
        attempt->was_asked = true;
    }
    return 1;
}

/* -- a connection -- */

static bool is_ip(const char *text)
{
    unsigned char out[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, out) == 1 || inet_pton(AF_INET6, text, out) == 1;
}

/* An IP address is no name for SNI (RFC 6066 3). */
static bool expect(SSL *ssl, const struct attempt *attempt, enum tls_verify verify)
{
    bool checks = verify == TLS_VERIFY_FULL;
    if (is_ip(attempt->name)) {
        return !checks || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), attempt->name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* what SSL_set_tlsext_host_name stands for, const kept */
    return (!checks || SSL_set1_host(ssl, attempt->name) == 1) &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)attempt->name) == 1;
}

static void bind_to(const struct tls_client *client, const char *name,
                    uint8_t binding[BINDING_BYTES])
{
    uint64_t parts[2] = {client->identity, hash_fast(slice_from(name), client->identity)};
    static_assert(sizeof(parts) == BINDING_BYTES, "both");
    memcpy(binding, parts, sizeof(parts));
}

struct ssl_st *tls_client_begin(struct tls_client *client, const char *name,
                                struct tls_reuse *reuse)
{
    SSL *ssl = SSL_new(client->handle);
    if (ssl == NULL) {
        return NULL;
    }
    struct attempt *attempt = mem_zero(1, sizeof(*attempt));
    attempt->client = tls_client_ref(client);
    attempt->reuse = reuse;
    (void)snprintf(attempt->name, sizeof(attempt->name), "%s", name);
    if (SSL_set_ex_data(ssl, attempt_index, attempt) != 1) {
        on_ssl_free(ssl, attempt, NULL, 0, 0, NULL);
        SSL_free(ssl);
        return NULL;
    }
    uint8_t binding[BINDING_BYTES];
    bind_to(client, name, binding);
    SSL_set_connect_state(ssl);
    if (!expect(ssl, attempt, client->verify) ||
        SSL_set_session_id_context(ssl, binding, sizeof(binding)) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_SESSION *session = reuse != NULL ? take(reuse, binding) : NULL;
    if (session != NULL) {
        (void)SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
    }
    return ssl;
}

void tls_client_settle(struct ssl_st *ssl)
{
    const struct attempt *attempt = attempt_of(ssl);
    /* TLS 1.2 gives no new ticket for one that was used: it may serve again */
    if (attempt != NULL && attempt->reuse != NULL && SSL_session_reused(ssl) == 1 &&
        SSL_version(ssl) < TLS1_3_VERSION) {
        const SSL_SESSION *session = SSL_get0_session(ssl);
        if (session != NULL) {
            keep(attempt->reuse, session);
        }
    }
}

enum tls_client_failure tls_client_failure(const struct ssl_st *ssl)
{
    const struct attempt *attempt = attempt_of(ssl);
    return attempt != NULL ? attempt->failure : TLS_CLIENT_HANDSHAKE;
}

bool tls_client_was_refused(const struct ssl_st *ssl)
{
    const struct attempt *attempt = attempt_of(ssl);
    return attempt != NULL && attempt->was_refused;
}

bool tls_client_waits_for_verdict(const struct ssl_st *ssl)
{
    const struct attempt *attempt = attempt_of(ssl);
    return attempt != NULL && attempt->was_asked && !attempt->was_taken &&
           SSL_version(ssl) == TLS1_3_VERSION;
}

/* OpenSSL's number for an alert of the peer is this and the alert's. */
#define ALERT_REASON SSL_AD_REASON_OFFSET

void tls_client_explain(const struct ssl_st *ssl, unsigned long code, const char *words,
                        char out[TLS_CLIENT_WHY_MAX])
{
    struct attempt *attempt = attempt_of(ssl);
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const char *before = "";
    const char *behind = "";
    if (attempt != NULL && attempt->why[0] != '\0') {
        words = attempt->why;
    } else if (attempt != NULL && reason > ALERT_REASON && reason < ALERT_REASON + 256) {
        before = "the server refuses: ";
        attempt->was_refused = true;
    } else if (attempt != NULL && reason == SSL_R_WRONG_VERSION_NUMBER) {
        behind = ": the server does not seem to speak TLS here";
    } else if (attempt != NULL && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        before = "the server closed the connection: ";
    }
    /* what is longer is cut */
    if (snprintf(out, TLS_CLIENT_WHY_MAX, "%s%s%s", before, words, behind) < 0) {
        out[0] = '\0';
    }
}

/* -- life -- */

static bool set_rules(struct tls_client *client, const struct tls_client_options *options)
{
    SSL_CTX *handle = client->handle;
    unsigned char alpn[TLS_ALPN_MAX];
    size_t alpn_len = tls_alpn_write(options->alpn, options->alpn_count, alpn);
    (void)SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(handle, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(handle,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(handle, on_new_session);
    SSL_CTX_set_cert_cb(handle, on_asked, NULL);
    int min = tls_version_number(options->min_version, TLS1_2_VERSION);
    bool verifies = client->verify != TLS_VERIFY_OFF || client->pin_count != 0;
    SSL_CTX_set_verify(handle, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(handle, on_verify, client);
    /* SHA-256 for the key schedule costs less than SHA-384 (PERFORMANCE.md 2.13) */
    return SSL_CTX_set_min_proto_version(handle, min) == 1 &&
           SSL_CTX_set_max_proto_version(handle, tls_version_number(options->max_version, 0)) ==
               1 &&
           SSL_CTX_set_ciphersuites(handle, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                            "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           alpn_len != SIZE_MAX &&
           (alpn_len == 0 || SSL_CTX_set_alpn_protos(handle, alpn, (unsigned)alpn_len) == 0);
}

static bool set_own(struct tls_client *client, struct err *err)
{
    if (client->cert == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate(client->handle, tls_cert_leaf(client->cert)) != 1 ||
        SSL_CTX_set1_chain(client->handle, tls_cert_rest(client->cert)) != 1) {
        return tls_error_set(err, ERR_INVALID, "cannot use the certificate for servers");
    }
    return tls_key_use(tls_cert_key(client->cert), client->handle, err);
}

static bool set_trusted(struct tls_client *client, struct err *err)
{
    if (client->verify == TLS_VERIFY_OFF) {
        return true;
    }
    if (client->ca == NULL) {
        client->ca = tls_ca_system(err);
    }
    if (client->ca != NULL) {
        SSL_CTX_set1_cert_store(client->handle, tls_ca_store(client->ca));
    }
    return client->ca != NULL;
}

uint64_t tls_client_identity_of(const struct tls_client_options *options)
{
    struct buf text;
    uint8_t sum[DIGEST_SHA256_BYTES];
    uint64_t identity = 0;
    buf_init(&text, SIZE_MAX);
    (void)buf_printf(&text, "%d %d %d %u %u ", (int)options->verify, (int)options->min_version,
                     (int)options->max_version, options->alpn_count, options->pin_count);
    for (uint32_t i = 0; i < options->alpn_count; i++) {
        (void)buf_printf(&text, "%zu:%.*s", options->alpn[i].len, SLICE_ARG(options->alpn[i]));
    }
    for (uint32_t i = 0; i < options->pin_count; i++) {
        (void)buf_append(&text, options->pins[i], TLS_CERT_SHA256);
    }
    if (options->verify != TLS_VERIFY_OFF) {
        (void)buf_printf(&text, "ca %s ",
                         options->ca != NULL ? tls_ca_facts(options->ca)->revision_hex : "system");
    }
    if (options->cert != NULL) {
        (void)buf_append_text(&text, tls_cert_facts(options->cert)->sha256);
    }
    digest_sha256(buf_slice(&text), sum);
    memcpy(&identity, sum, sizeof(identity));
    buf_fini(&text);
    return identity;
}

struct tls_client *tls_client_new(const struct tls_client_options *options, struct err *err)
{
    (void)pthread_once(&attempt_once, make_index);
    struct tls_client *client = mem_zero(1, sizeof(*client));
    assert(options->pin_count <= TLS_CLIENT_PINS_MAX);
    tls_error_clear();
    client->refs = 1;
    client->identity = tls_client_identity_of(options);
    client->verify = options->verify;
    client->ca = options->ca != NULL ? tls_ca_ref(options->ca) : NULL;
    client->cert = options->cert != NULL ? tls_cert_ref(options->cert) : NULL;
    client->pin_count = options->pin_count;
    if (options->pin_count != 0) {
        memcpy(client->pins, options->pins, options->pin_count * sizeof(client->pins[0]));
    }
    client->handle = SSL_CTX_new(TLS_client_method());
    bool ok = client->handle != NULL && set_rules(client, options);
    if (!ok) {
        (void)tls_error_set(err, ERR_SYSTEM, "OpenSSL does not take our rules");
    }
    if (ok && set_own(client, err) && set_trusted(client, err)) {
        return client;
    }
    tls_client_unref(client);
    return NULL;
}

struct tls_client *tls_client_ref(struct tls_client *client)
{
    (void)atomic_fetch_add(&client->refs, 1);
    return client;
}

void tls_client_unref(struct tls_client *client)
{
    if (client == NULL || atomic_fetch_sub(&client->refs, 1) != 1) {
        return;
    }
    SSL_CTX_free(client->handle);
    tls_ca_unref(client->ca);
    tls_cert_unref(client->cert);
    free(client);
}

uint64_t tls_client_identity(const struct tls_client *client)
{
    return client->identity;
}
