#include "lbd/tls/tls_cert.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lbd/base/arena.h"
#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_ca.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_file.h"
#include "lbd/tls/tls_key.h"
#include "lbd/tls/tls_ocsp.h"
#include "lbd/tls/tls_time.h"

/* NIST SP 800-57: RSA of 2048 bits, curves of 224. */
#define SECURITY_BITS_MIN 112

struct tls_cert {
    _Atomic uint32_t refs;
    X509 *leaf;
    STACK_OF(X509) * rest;
    struct tls_key *key;
    struct tls_cert_facts facts;
    uint8_t digest[DIGEST_SHA256_BYTES]; /* of the whole chain; the key belongs to it */
    struct arena arena;                  /* of the facts' texts */
    struct tls_ocsp *ocsp;               /* what its authority said of it */
};

const char *tls_key_kind_word(enum tls_key_kind kind)
{
    switch (kind) {
    case TLS_KEY_RSA:
        return "rsa";
    case TLS_KEY_EC:
        return "ec";
    case TLS_KEY_ED25519:
        return "ed25519";
    case TLS_KEY_OTHER:
        break;
    }
    return "other";
}

/* -- facts -- */

static struct slice name_text(struct arena *arena, const X509_NAME *name)
{
    struct slice text = SLICE_NONE;
    char *bytes = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(bio, &bytes);
        text = arena_copy(arena, slice_of(bytes, len > 0 ? (size_t)len : 0));
    }
    BIO_free(bio);
    return text;
}

static struct slice serial_text(struct arena *arena, const X509 *leaf)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    struct slice text = hex != NULL ? arena_copy(arena, slice_from(hex)) : SLICE_NONE;
    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Length-exact (R12): a name with a NUL, a second star or anything else is none. */
static void add_name(struct tls_cert *cert, struct slice *names, const ASN1_STRING *value)
{
    size_t len = (size_t)ASN1_STRING_length(value);
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    size_t from = len > 2 && memcmp(text, "*.", 2) == 0 ? 2 : 0;
    if (len == 0 || len > 255 || cert->facts.name_count == TLS_CERT_NAMES_MAX) {
        return;
    }
    char *copy = arena_alloc(&cert->arena, len);
    memcpy(copy, text, from);
    for (size_t i = from; i < len; i++) {
        char c = slice_lower(text[i]);
        if (!is_host_byte(c)) {
            return;
        }
        copy[i] = c;
    }
    names[cert->facts.name_count++] = slice_of(copy, len);
}

static void add_address(struct tls_cert *cert, struct slice *addresses, const ASN1_STRING *value)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(value);
    int family = len == 4 ? AF_INET : len == 16 ? AF_INET6 : AF_UNSPEC;
    if (family != AF_UNSPEC && cert->facts.address_count < TLS_CERT_NAMES_MAX &&
        inet_ntop(family, ASN1_STRING_get0_data(value), text, sizeof(text)) != NULL) {
        addresses[cert->facts.address_count++] = arena_copy(&cert->arena, slice_from(text));
    }
}

static void find_names(struct tls_cert *cert)
{
    GENERAL_NAMES *found = X509_get_ext_d2i(cert->leaf, NID_subject_alt_name, NULL, NULL);
    size_t max = found != NULL ? (size_t)sk_GENERAL_NAME_num(found) : 0;
    struct slice *names = arena_zero(&cert->arena, (max + 1) * sizeof(*names));
    struct slice *addresses = arena_zero(&cert->arena, (max + 1) * sizeof(*addresses));
    bool has_dns = false;
    for (size_t i = 0; i < max; i++) {
        int type = 0;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(found, (int)i), &type);
        if (type == GEN_DNS) {
            has_dns = true;
            add_name(cert, names, value);
        } else if (type == GEN_IPADD) {
            add_address(cert, addresses, value);
        }
    }
    GENERAL_NAMES_free(found);
    /* RFC 6125 6.4.4: the common name speaks only when no alternative name does. */
    const X509_NAME *subject = X509_get_subject_name(cert->leaf);
    int at = !has_dns ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    if (at >= 0) {
        add_name(cert, names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    cert->facts.names = names;
    cert->facts.addresses = addresses;
}

static void find_ocsp(struct tls_cert *cert)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(cert->leaf);
    if (urls != NULL && sk_OPENSSL_STRING_num(urls) > 0) {
        cert->facts.ocsp_url =
            arena_copy(&cert->arena, slice_from(sk_OPENSSL_STRING_value(urls, 0)));
    }
    X509_email_free(urls);
    TLS_FEATURE *features = X509_get_ext_d2i(cert->leaf, NID_tlsfeature, NULL, NULL);
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
        if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request) {
            cert->facts.must_staple = true;
        }
    }
    sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
}

static void find_key_facts(struct tls_cert_facts *facts, X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    uint8_t digest[DIGEST_SHA256_BYTES];
    unsigned len = 0;
    unsigned char *der = NULL;
    facts->key_kind = TLS_KEY_OTHER;
    if (key != NULL) {
        int kind = EVP_PKEY_get_base_id(key);
        facts->key_kind = kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS ? TLS_KEY_RSA
                          : kind == EVP_PKEY_EC                            ? TLS_KEY_EC
                          : kind == EVP_PKEY_ED25519                       ? TLS_KEY_ED25519
                                                                           : TLS_KEY_OTHER;
        facts->key_bits = (uint32_t)EVP_PKEY_get_bits(key);
    }
    if (X509_digest(leaf, EVP_sha256(), digest, &len) == 1) {
        digest_write_hex(digest, sizeof(digest), facts->sha256);
    }
    int der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    if (der_len > 0) {
        digest_sha256(slice_of((const char *)der, (size_t)der_len), digest);
        digest_write_hex(digest, sizeof(digest), facts->key_sha256);
    }
    OPENSSL_free(der);
}

static void digest_chain(struct tls_cert *cert)
{
    uint8_t all[TLS_CERT_CHAIN_MAX][DIGEST_SHA256_BYTES];
    unsigned len = 0;
    memset(all, 0, sizeof(all));
    (void)X509_digest(cert->leaf, EVP_sha256(), all[0], &len);
    for (int i = 0; i < sk_X509_num(cert->rest); i++) {
        (void)X509_digest(sk_X509_value(cert->rest, i), EVP_sha256(), all[i + 1], &len);
    }
    digest_sha256(slice_of((const char *)all, sizeof(all)), cert->digest);
}

static void find_facts(struct tls_cert *cert)
{
    struct tls_cert_facts *facts = &cert->facts;
    facts->subject = name_text(&cert->arena, X509_get_subject_name(cert->leaf));
    facts->issuer = name_text(&cert->arena, X509_get_issuer_name(cert->leaf));
    facts->serial = serial_text(&cert->arena, cert->leaf);
    facts->not_before_us = tls_time_us(X509_get0_notBefore(cert->leaf));
    facts->not_after_us = tls_time_us(X509_get0_notAfter(cert->leaf));
    facts->chain_count = 1 + (uint32_t)sk_X509_num(cert->rest);
    facts->is_self_signed = X509_check_issued(cert->leaf, cert->leaf) == X509_V_OK;
    find_names(cert);
    find_ocsp(cert);
    find_key_facts(facts, cert->leaf);
    digest_chain(cert);
    tls_error_clear();
}

/* -- making one -- */

static bool read_chain(struct tls_cert *cert, struct slice pem, const char *title, struct err *err)
{
    if (pem.len > TLS_CERT_PEM_MAX) {
        return err_set(err, ERR_INVALID, "%s is larger than %u bytes", title, TLS_CERT_PEM_MAX);
    }
    BIO *bio = BIO_new_mem_buf(pem.len != 0 ? pem.ptr : "", (int)pem.len);
    X509 *found = NULL;
    tls_error_clear();
    cert->rest = sk_X509_new_null();
    while (bio != NULL && sk_X509_num(cert->rest) < (int)TLS_CERT_CHAIN_MAX &&
           (found = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (cert->leaf == NULL) {
            cert->leaf = found;
        } else {
            (void)sk_X509_push(cert->rest, found);
        }
    }
    BIO_free(bio);
    if (sk_X509_num(cert->rest) == (int)TLS_CERT_CHAIN_MAX) {
        tls_error_clear();
        return err_set(err, ERR_INVALID, "%s has more than %u certificates", title,
                       TLS_CERT_CHAIN_MAX);
    }
    if (cert->leaf != NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
        tls_error_clear();
        return true;
    }
    return tls_error_set(err, ERR_INVALID, "cannot read %s (PEM)", title);
}

static bool check_strength(const struct tls_cert *cert, const char *title, struct err *err)
{
    EVP_PKEY *key = X509_get0_pubkey(cert->leaf);
    if (key == NULL) {
        return tls_error_set(err, ERR_INVALID, "%s has a key that cannot be used", title);
    }
    if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN) {
        return err_set(err, ERR_INVALID,
                       "%s has a key of %d bits, which is too short: RSA needs 2048, curves 224",
                       title, EVP_PKEY_get_bits(key));
    }
    return true;
}

static struct tls_cert *new_cert(void)
{
    struct tls_cert *cert = mem_zero(1, sizeof(*cert));
    cert->refs = 1;
    arena_init(&cert->arena, NULL, 0);
    cert->ocsp = tls_ocsp_new();
    return cert;
}

/* Keeps the key. */
static bool finish(struct tls_cert *cert, struct tls_key *key, const char *title, struct err *err)
{
    cert->key = key;
    if (!tls_key_is_of(key, cert->leaf)) {
        struct slice subject = name_text(&cert->arena, X509_get_subject_name(cert->leaf));
        return err_set(err, ERR_INVALID, "%s is not that of %s (subject '%.*s')",
                       tls_key_title(key), title, SLICE_ARG(subject));
    }
    find_facts(cert);
    return true;
}

struct tls_cert *tls_cert_from_pem(struct slice chain, struct slice key, struct err *err)
{
    static const char title[] = "the certificate";
    struct tls_cert *cert = new_cert();
    if (!read_chain(cert, chain, title, err) || !check_strength(cert, title, err)) {
        (void)tls_error_at(err, "chain");
    } else {
        struct tls_key *found = tls_key_from_pem(key, err);
        if (found != NULL && finish(cert, found, title, err)) {
            return cert;
        }
        (void)tls_error_at(err, "key");
    }
    tls_cert_unref(cert);
    return NULL;
}

struct tls_cert *tls_cert_from_files(const char *chain_file, const char *key_file, struct err *err)
{
    struct slice chain = SLICE_NONE;
    struct tls_cert *cert = new_cert();
    char title[256];
    (void)snprintf(title, sizeof(title), "the certificate '%s'", chain_file);
    if (!tls_file_read(chain_file, "the certificate", false, TLS_CERT_PEM_MAX, &chain, err) ||
        !read_chain(cert, chain, title, err) || !check_strength(cert, title, err)) {
        (void)tls_error_at(err, "chain_file");
    } else {
        struct tls_key *key = tls_key_load(key_file, err);
        if (key != NULL && finish(cert, key, title, err)) {
            tls_file_forget(chain);
            return cert;
        }
        (void)tls_error_at(err, "key_file");
    }
    tls_file_forget(chain);
    tls_cert_unref(cert);
    return NULL;
}

struct tls_cert *tls_cert_ref(struct tls_cert *cert)
{
    (void)atomic_fetch_add(&cert->refs, 1);
    return cert;
}

void tls_cert_unref(struct tls_cert *cert)
{
    if (cert == NULL || atomic_fetch_sub(&cert->refs, 1) != 1) {
        return;
    }
    X509_free(cert->leaf);
    sk_X509_pop_free(cert->rest, X509_free);
    tls_key_free(cert->key);
    arena_fini(&cert->arena);
    tls_ocsp_free(cert->ocsp);
    free(cert);
}

/* -- questions -- */

const struct tls_cert_facts *tls_cert_facts(const struct tls_cert *cert)
{
    return &cert->facts;
}

bool tls_cert_is_valid(const struct tls_cert *cert, uint64_t now_us)
{
    return cert->facts.not_before_us <= now_us && now_us < cert->facts.not_after_us;
}

bool tls_cert_is_same(const struct tls_cert *a, const struct tls_cert *b)
{
    return a == b || memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

bool tls_cert_is_for(const struct tls_cert *cert, struct slice host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (host.len == 0) {
        return false;
    }
    if (host.len < sizeof(text)) {
        memcpy(text, host.ptr, host.len);
        text[host.len] = '\0';
        if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1) {
            return X509_check_ip_asc(cert->leaf, text, 0) == 1;
        }
    }
    return X509_check_host(cert->leaf, host.ptr, host.len, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           NULL) == 1;
}

struct x509_st *tls_cert_leaf(const struct tls_cert *cert)
{
    return cert->leaf;
}

struct stack_st_X509 *tls_cert_rest(const struct tls_cert *cert)
{
    return cert->rest;
}

const struct tls_key *tls_cert_key(const struct tls_cert *cert)
{
    return cert->key;
}

/* Read once; kept for the life of the process. */
static X509_STORE *system_store;
static pthread_once_t system_once = PTHREAD_ONCE_INIT;

static void read_system(void)
{
    struct tls_ca *ca = tls_ca_system(NULL);
    if (ca != NULL) {
        system_store = tls_ca_store(ca);
        (void)X509_STORE_up_ref(system_store);
        tls_ca_unref(ca);
    }
}

/* The caller's; NULL: nobody known signed it. */
static X509 *system_issuer(X509 *certificate)
{
    X509 *issuer = NULL;
    (void)pthread_once(&system_once, read_system);
    X509_STORE_CTX *search = system_store != NULL ? X509_STORE_CTX_new() : NULL;
    if (search == NULL || X509_STORE_CTX_init(search, system_store, certificate, NULL) != 1 ||
        X509_STORE_CTX_get1_issuer(&issuer, search, certificate) != 1) {
        issuer = NULL;
    }
    X509_STORE_CTX_free(search);
    tls_error_clear();
    return issuer;
}

enum tls_chain tls_cert_chain(const struct tls_cert *cert)
{
    X509 *last = cert->leaf;
    for (int i = 0; i < sk_X509_num(cert->rest); i++) {
        X509 *next = sk_X509_value(cert->rest, i);
        if (X509_check_issued(next, last) != X509_V_OK) {
            tls_error_clear();
            return TLS_CHAIN_TORN;
        }
        last = next;
    }
    if (X509_check_issued(last, last) == X509_V_OK) {
        return TLS_CHAIN_WHOLE;
    }
    X509 *issuer = system_issuer(last);
    X509_free(issuer);
    return issuer != NULL ? TLS_CHAIN_WHOLE : TLS_CHAIN_CUT_SHORT;
}

/* -- OCSP -- */

/* The caller's. False: *err says that nobody knows it. */
static X509 *issuer_of(const struct tls_cert *cert, struct err *err)
{
    X509 *next = sk_X509_num(cert->rest) > 0 ? sk_X509_value(cert->rest, 0) : NULL;
    if (next != NULL && X509_check_issued(next, cert->leaf) == X509_V_OK) {
        (void)X509_up_ref(next);
        return next;
    }
    next = system_issuer(cert->leaf);
    if (next == NULL) {
        (void)err_set(err, ERR_INVALID,
                      "the chain of '%.*s' does not have the certificate that signed it",
                      SLICE_ARG(cert->facts.subject));
    }
    return next;
}

bool tls_cert_ocsp_request(const struct tls_cert *cert, uint8_t **out, size_t *len, struct err *err)
{
    X509 *issuer = issuer_of(cert, err);
    bool ok = issuer != NULL && tls_ocsp_request(cert->leaf, issuer, out, len, err);
    X509_free(issuer);
    return ok;
}

bool tls_cert_ocsp_set(struct tls_cert *cert, struct slice answer, uint64_t now_us,
                       struct tls_ocsp_facts *facts, struct err *err)
{
    X509 *issuer = issuer_of(cert, err);
    *facts = (struct tls_ocsp_facts){.status = TLS_OCSP_UNKNOWN};
    bool ok = issuer != NULL && tls_ocsp_judge(answer, cert->leaf, issuer, now_us, facts, err);
    X509_free(issuer);
    if (ok && facts->status == TLS_OCSP_GOOD) {
        tls_ocsp_show(cert->ocsp, answer,
                      facts->next_update_us != 0 ? facts->next_update_us : UINT64_MAX);
    }
    return ok;
}

void tls_cert_ocsp_clear(struct tls_cert *cert)
{
    tls_ocsp_show(cert->ocsp, SLICE_NONE, 0);
}

size_t tls_cert_ocsp_copy(const struct tls_cert *cert, uint8_t out[TLS_CERT_OCSP_MAX])
{
    return tls_ocsp_copy(cert->ocsp, out);
}

uint64_t tls_cert_ocsp_until_us(const struct tls_cert *cert)
{
    return tls_ocsp_until_us(cert->ocsp);
}
