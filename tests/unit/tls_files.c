#include "tests/unit/tls_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lbd/tls/tls_cert.h"
#include "lbd/tls/tls_file.h"

#define DAY_S 86400L

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
};

static FILE *create(const char *path, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    return fdopen(fd, "w");
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* `names`: of the subject's alternatives, as openssl.cnf has them; NULL: an authority. */
static struct issuer make(const char *common_name, const char *names, const struct issuer *by,
                          long ends_s)
{
    static long serial = 1;
    struct issuer made = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(made.certificate);
    const struct issuer *issuer = by != NULL ? by : &made;
    ck_assert(made.certificate != NULL && made.key != NULL);
    (void)X509_set_version(made.certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(made.certificate), -30 * DAY_S);
    (void)X509_gmtime_adj(X509_getm_notAfter(made.certificate), ends_s);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     (const unsigned char *)common_name, -1, -1, 0);
    (void)X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer->certificate));
    (void)X509_set_pubkey(made.certificate, made.key);
    extend(made.certificate, issuer->certificate, NID_basic_constraints,
           names == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (names != NULL && names[0] != '\0') {
        extend(made.certificate, issuer->certificate, NID_subject_alt_name, names);
    }
    ck_assert_int_ne(X509_sign(made.certificate, issuer->key, EVP_sha256()), 0);
    return made;
}

static void save(const struct issuer *made, const char *chain, const char *key)
{
    FILE *file = create(chain, 0644);
    ck_assert_int_eq(PEM_write_X509(file, made->certificate), 1);
    (void)fclose(file);
    if (key != NULL) {
        file = create(key, 0600);
        ck_assert_int_eq(PEM_write_PKCS8PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL), 1);
        (void)fclose(file);
    }
}

static void drop(struct issuer *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
}

static struct issuer ca;

void tls_files_renew(const struct tls_files *files)
{
    struct issuer server = make("localhost", "DNS:localhost,IP:127.0.0.1", &ca, DAY_S);
    save(&server, files->chain, files->key);
    drop(&server);
}

void tls_files_begin(struct tls_files *files)
{
    (void)strcpy(files->folder, "/tmp/test-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(files->folder));
    const struct {
        char *path;
        const char *name;
    } paths[] = {
        {files->ca, "ca.pem"},
        {files->other_ca, "other-ca.pem"},
        {files->chain, "chain.pem"},
        {files->key, "key.pem"},
        {files->client_chain, "client.pem"},
        {files->client_key, "client-key.pem"},
        {files->stranger_chain, "stranger.pem"},
        {files->stranger_key, "stranger-key.pem"},
        {files->late_chain, "late.pem"},
        {files->late_key, "late-key.pem"},
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        (void)snprintf(paths[i].path, TLS_FILES_PATH_MAX, "%s/%s", files->folder, paths[i].name);
    }
    ca = make("test CA", NULL, NULL, DAY_S);
    struct issuer other = make("other CA", NULL, NULL, DAY_S);
    struct issuer client =
        make("alice", "DNS:alice.ops.test,URI:spiffe://test/alice,email:alice@test", &ca, DAY_S);
    struct issuer stranger = make("mallory", "", &other, DAY_S);
    struct issuer late = make("late", "", &ca, -DAY_S);
    save(&ca, files->ca, NULL);
    save(&other, files->other_ca, NULL);
    save(&client, files->client_chain, files->client_key);
    save(&stranger, files->stranger_chain, files->stranger_key);
    save(&late, files->late_chain, files->late_key);
    tls_files_renew(files);
    drop(&other);
    drop(&client);
    drop(&stranger);
    drop(&late);
}

void tls_files_write(const char *path, const char *text, unsigned mode)
{
    FILE *file = create(path, 0600);
    (void)fputs(text, file);
    (void)fchmod(fileno(file), mode);
    (void)fclose(file);
}

static X509 *read_one(const char *chain)
{
    FILE *file = fopen(chain, "re");
    ck_assert_ptr_nonnull(file);
    X509 *found = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    ck_assert_ptr_nonnull(found);
    return found;
}

size_t tls_files_crl(const char *chain, char *out)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -60);
    ASN1_TIME *until = X509_gmtime_adj(NULL, DAY_S);
    (void)X509_CRL_set_version(list, 1);
    (void)X509_CRL_set_issuer_name(list, X509_get_subject_name(ca.certificate));
    (void)X509_CRL_set1_lastUpdate(list, from);
    (void)X509_CRL_set1_nextUpdate(list, until);
    if (chain != NULL) {
        X509 *about = read_one(chain);
        X509_REVOKED *entry = X509_REVOKED_new();
        (void)X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(about));
        (void)X509_REVOKED_set_revocationDate(entry, from);
        ck_assert_int_eq(X509_CRL_add0_revoked(list, entry), 1);
        X509_free(about);
    }
    ck_assert_int_ne(X509_CRL_sign(list, ca.key, EVP_sha256()), 0);
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    ck_assert_int_eq(PEM_write_bio_X509_CRL(bio, list), 1);
    long len = BIO_get_mem_data(bio, &bytes);
    ck_assert(len > 0 && len <= TLS_FILES_CRL_MAX);
    memcpy(out, bytes, (size_t)len);
    BIO_free(bio);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(list);
    return (size_t)len;
}

struct tls_cert *tls_files_cert(const struct tls_files *files)
{
    struct slice texts[3];
    const char *const paths[3] = {files->chain, files->ca, files->key};
    struct err err = {0};
    char chain[16384];
    for (size_t i = 0; i < 3; i++) {
        ck_assert_msg(tls_file_read(paths[i], "the file", false, 8192, &texts[i], &err), "%s",
                      err.text);
    }
    int len = snprintf(chain, sizeof(chain), "%.*s%.*s", SLICE_ARG(texts[0]), SLICE_ARG(texts[1]));
    struct tls_cert *cert = tls_cert_from_pem(slice_of(chain, (size_t)len), texts[2], &err);
    ck_assert_msg(cert != NULL, "%s", err.text);
    for (size_t i = 0; i < 3; i++) {
        tls_file_forget(texts[i]);
    }
    return cert;
}

size_t tls_files_ocsp(const char *chain, bool is_good, long from_s, long until_s,
                      unsigned char *out)
{
    X509 *about = read_one(chain);
    ASN1_TIME *from = X509_gmtime_adj(NULL, from_s);
    ASN1_TIME *until = X509_gmtime_adj(NULL, until_s);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, about, ca.certificate);
    ck_assert_ptr_nonnull(OCSP_basic_add1_status(
        basic, id, is_good ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED, 0,
        is_good ? NULL : from, from, until));
    ck_assert_int_eq(OCSP_basic_sign(basic, ca.certificate, ca.key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int len = i2d_OCSP_RESPONSE(response, NULL);
    ck_assert(len > 0 && len <= TLS_FILES_OCSP_MAX);
    ck_assert_int_eq(i2d_OCSP_RESPONSE(response, &out), len);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_free(about);
    return (size_t)len;
}

void tls_files_end(const struct tls_files *files)
{
    const char *const paths[] = {
        files->ca,           files->other_ca,   files->chain,          files->key,
        files->client_chain, files->client_key, files->stranger_chain, files->stranger_key,
        files->late_chain,   files->late_key};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        (void)unlink(paths[i]);
    }
    ck_assert_int_eq(rmdir(files->folder), 0);
    drop(&ca);
}
