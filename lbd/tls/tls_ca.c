#include "lbd/tls/tls_ca.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_file.h"
#include "lbd/tls/tls_time.h"

#define NAMES_TOLD_MAX 100 /* a handshake message has its limit */
#define SUBJECT_MAX    256

struct tls_ca {
    _Atomic uint32_t refs;
    X509_STORE *store;
    STACK_OF(X509) * certs;
    char **subjects;
    struct tls_ca_facts facts;
};

static struct tls_ca *new_ca(void)
{
    struct tls_ca *ca = mem_zero(1, sizeof(*ca));
    ca->refs = 1;
    ca->store = X509_STORE_new();
    ca->certs = sk_X509_new_null();
    return ca;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Is what stopped the reading only that there is no more? */
static bool is_end(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static bool read_certs(struct tls_ca *ca, struct slice pem, const char *title, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.len != 0 ? pem.ptr : "", (int)pem.len);
    X509 *found = NULL;
    tls_error_clear();
    while (bio != NULL && ca->facts.count <= TLS_CA_CERTS_MAX &&
           (found = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)sk_X509_push(ca->certs, found);
        (void)X509_STORE_add_cert(ca->store, found); /* twice the same is fine */
        ca->facts.count++;
        ca->facts.not_after_us =
            sooner(ca->facts.not_after_us, tls_time_us(X509_get0_notAfter(found)));
    }
    BIO_free(bio);
    bool is_complete = is_end();
    if (ca->facts.count > TLS_CA_CERTS_MAX) {
        return err_set(err, ERR_INVALID, "%s has more than %u certificates", title,
                       TLS_CA_CERTS_MAX);
    }
    if (ca->facts.count == 0 || !is_complete) {
        return tls_error_set(err, ERR_INVALID, "cannot read %s (PEM certificates)", title);
    }
    return true;
}

static bool read_lists(struct tls_ca *ca, struct slice pem, const char *title, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509_CRL *found = NULL;
    tls_error_clear();
    while (bio != NULL && ca->facts.revocation_lists <= TLS_CA_CERTS_MAX &&
           (found = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_crl(ca->store, found);
        ca->facts.revocation_lists++;
        ca->facts.crl_until_us =
            sooner(ca->facts.crl_until_us, tls_time_us(X509_CRL_get0_nextUpdate(found)));
        X509_CRL_free(found);
    }
    BIO_free(bio);
    if (ca->facts.revocation_lists == 0 || !is_end()) {
        return tls_error_set(err, ERR_INVALID, "cannot read %s (PEM revocation lists)", title);
    }
    (void)X509_STORE_set_flags(ca->store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static void digest(struct tls_ca *ca, struct slice pem, struct slice crl)
{
    uint8_t both[2 * DIGEST_SHA256_BYTES];
    digest_sha256(pem, both);
    digest_sha256(crl, both + DIGEST_SHA256_BYTES);
    digest_sha256(slice_of((const char *)both, sizeof(both)), ca->facts.revision);
    digest_write_hex(ca->facts.revision, TLS_CA_REVISION, ca->facts.revision_hex);
}

static void keep_subjects(struct tls_ca *ca)
{
    ca->subjects = mem_zero(ca->facts.count, sizeof(*ca->subjects));
    for (uint32_t i = 0; i < ca->facts.count; i++) {
        char *bytes = NULL;
        BIO *bio = BIO_new(BIO_s_mem());
        long len = 0;
        if (bio != NULL &&
            X509_NAME_print_ex(bio, X509_get_subject_name(sk_X509_value(ca->certs, (int)i)), 0,
                               XN_FLAG_RFC2253) >= 0) {
            len = BIO_get_mem_data(bio, &bytes);
        }
        ca->subjects[i] = mem_slicedup(
            slice_of(len > 0 ? bytes : "", len < SUBJECT_MAX ? (size_t)len : SUBJECT_MAX));
        BIO_free(bio);
    }
}

/* OpenSSL looks into a certificate when it is first needed and notes what it found in it: here, and
 * not on two workers at once. */
static void make_ready(struct tls_ca *ca)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(ca->store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (certificate != NULL) {
            (void)X509_check_purpose(certificate, -1, 0);
        }
    }
    tls_error_clear();
}

static bool fill(struct tls_ca *ca, struct slice pem, const char *pem_title, struct slice crl,
                 const char *crl_title, const char *const places[2], struct err *err)
{
    if (pem.len > TLS_CA_PEM_MAX || crl.len > TLS_CA_PEM_MAX) {
        bool is_crl = pem.len <= TLS_CA_PEM_MAX;
        (void)err_set(err, ERR_INVALID, "%s is larger than %u bytes",
                      is_crl ? crl_title : pem_title, TLS_CA_PEM_MAX);
        return tls_error_at(err, places[is_crl ? 1 : 0]);
    }
    if (!read_certs(ca, pem, pem_title, err)) {
        return tls_error_at(err, places[0]);
    }
    if (crl.len != 0 && !read_lists(ca, crl, crl_title, err)) {
        return tls_error_at(err, places[1]);
    }
    digest(ca, pem, crl);
    keep_subjects(ca);
    make_ready(ca);
    tls_error_clear();
    return true;
}

struct tls_ca *tls_ca_from_pem(struct slice pem, struct slice crl, struct err *err)
{
    static const char *const places[2] = {"pem", "crl"};
    struct tls_ca *ca = new_ca();
    if (fill(ca, pem, "the set of authorities", crl, "the revocation list", places, err)) {
        return ca;
    }
    tls_ca_unref(ca);
    return NULL;
}

struct tls_ca *tls_ca_from_files(const char *file, const char *crl_file, struct err *err)
{
    static const char *const places[2] = {"file", "crl_file"};
    struct slice pem = SLICE_NONE;
    struct slice crl = SLICE_NONE;
    char pem_title[256];
    char crl_title[256];
    struct tls_ca *ca = new_ca();
    (void)snprintf(pem_title, sizeof(pem_title), "the set of authorities '%s'", file);
    (void)snprintf(crl_title, sizeof(crl_title), "the revocation list '%s'",
                   crl_file != NULL ? crl_file : "");
    bool ok = true;
    if (!tls_file_read(file, "the set of authorities", false, TLS_CA_PEM_MAX, &pem, err)) {
        ok = tls_error_at(err, places[0]);
    } else if (crl_file != NULL &&
               !tls_file_read(crl_file, "the revocation list", false, TLS_CA_PEM_MAX, &crl, err)) {
        ok = tls_error_at(err, places[1]);
    } else if (crl_file != NULL && crl.len == 0) {
        (void)err_set(err, ERR_INVALID, "%s is empty", crl_title);
        ok = tls_error_at(err, places[1]);
    } else {
        ok = fill(ca, pem, pem_title, crl, crl_title, places, err);
    }
    tls_file_forget(pem);
    tls_file_forget(crl);
    if (!ok) {
        tls_ca_unref(ca);
        ca = NULL;
    }
    return ca;
}

/* The bundle alone, where there is one: the folder beside it would be looked into at handshakes,
 * and workers open no files (R18). */
static bool load_system(struct tls_ca *ca)
{
    const char *file = getenv(X509_get_default_cert_file_env());
    if (file == NULL) {
        file = X509_get_default_cert_file();
    }
    return access(file, R_OK) == 0 ? X509_STORE_load_file(ca->store, file) == 1
                                   : X509_STORE_set_default_paths(ca->store) == 1;
}

struct tls_ca *tls_ca_system(struct err *err)
{
    struct tls_ca *ca = new_ca();
    tls_error_clear();
    if (!load_system(ca)) {
        (void)tls_error_set(err, ERR_SYSTEM, "cannot use the system's certificates");
        tls_ca_unref(ca);
        return NULL;
    }
    digest(ca, SLICE("system"), SLICE_NONE);
    make_ready(ca);
    return ca;
}

struct tls_ca *tls_ca_ref(struct tls_ca *ca)
{
    (void)atomic_fetch_add(&ca->refs, 1);
    return ca;
}

void tls_ca_unref(struct tls_ca *ca)
{
    if (ca == NULL || atomic_fetch_sub(&ca->refs, 1) != 1) {
        return;
    }
    for (uint32_t i = 0; ca->subjects != NULL && i < ca->facts.count; i++) {
        free(ca->subjects[i]);
    }
    free(ca->subjects);
    X509_STORE_free(ca->store);
    sk_X509_pop_free(ca->certs, X509_free);
    free(ca);
}

const struct tls_ca_facts *tls_ca_facts(const struct tls_ca *ca)
{
    return &ca->facts;
}

struct slice tls_ca_subject(const struct tls_ca *ca, uint32_t at_index)
{
    return at_index < ca->facts.count ? slice_from(ca->subjects[at_index]) : SLICE_NONE;
}

bool tls_ca_is_same(const struct tls_ca *a, const struct tls_ca *b)
{
    return a == b || memcmp(a->facts.revision, b->facts.revision, TLS_CA_REVISION) == 0;
}

struct x509_store_st *tls_ca_store(const struct tls_ca *ca)
{
    return ca->store;
}

bool tls_ca_trusts_client(const struct tls_ca *ca, struct x509_st *certificate,
                          struct stack_st_X509 *rest, int level)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    bool ok = check != NULL && X509_STORE_CTX_init(check, ca->store, certificate, rest) == 1 &&
              X509_STORE_CTX_set_default(check, "ssl_client") == 1;
    if (ok) {
        X509_STORE_CTX_set_depth(check, TLS_CA_DEPTH);
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check), level);
        ok = X509_verify_cert(check) == 1;
    }
    X509_STORE_CTX_free(check);
    tls_error_clear();
    return ok;
}

struct stack_st_X509_NAME *tls_ca_names(const struct tls_ca *ca)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int count = sk_X509_num(ca->certs);
    for (int i = 0; names != NULL && count <= NAMES_TOLD_MAX && i < count; i++) {
        X509_NAME *copy = X509_NAME_dup(X509_get_subject_name(sk_X509_value(ca->certs, i)));
        if (copy != NULL) {
            (void)sk_X509_NAME_push(names, copy);
        }
    }
    if (names != NULL && sk_X509_NAME_num(names) == 0) {
        sk_X509_NAME_free(names);
        names = NULL;
    }
    return names;
}
