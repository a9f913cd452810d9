#include "lbd/tls/tls_peer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_error.h"

/* Of the DER's length: four characters for three bytes, a colon at each end, a NUL. */
#define FIELD_MAX(len) (((len) + 2) / 3 * 4 + 3)

/* Writes at most `max` bytes; none when it is longer. */
static size_t write_subject(const X509 *certificate, char *out, size_t max)
{
    char *bytes = NULL;
    size_t len = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long found = BIO_get_mem_data(bio, &bytes);
        len = found > 0 && (size_t)found <= max ? (size_t)found : 0;
        if (len != 0) {
            memcpy(out, bytes, len);
        }
    }
    BIO_free(bio);
    for (size_t i = 0; i < len; i++) { /* what RFC 2253's escapes leave is a value of a field */
        if (out[i] < 0x20 || out[i] > 0x7E) {
            return 0;
        }
    }
    return len;
}

struct tls_peer *tls_peer_new(struct x509_st *certificate, bool with_certificate)
{
    unsigned char *der = NULL;
    int der_len = certificate != NULL ? i2d_X509(certificate, &der) : -1;
    if (der_len <= 0) {
        return NULL;
    }
    char subject[TLS_PEER_SUBJECT_MAX];
    uint8_t digest[DIGEST_SHA256_BYTES];
    size_t subject_len = write_subject(certificate, subject, sizeof(subject));
    bool with_field = with_certificate && (unsigned)der_len <= TLS_PEER_CERT_MAX;
    struct tls_peer *peer =
        mem_zero(1, sizeof(*peer) + subject_len + (with_field ? FIELD_MAX((size_t)der_len) : 0));
    memcpy(peer->text, subject, subject_len);
    peer->subject = slice_of(peer->text, subject_len);
    digest_sha256(slice_of((const char *)der, (size_t)der_len), digest);
    digest_write_hex(digest, sizeof(digest), peer->sha256);
    if (with_field) {
        char *field = peer->text + subject_len;
        field[0] = ':';
        int len = EVP_EncodeBlock((unsigned char *)field + 1, der, der_len);
        field[1 + len] = ':';
        peer->field = slice_of(field, (size_t)len + 2);
    }
    OPENSSL_free(der);
    tls_error_clear();
    return peer;
}

void tls_peer_free(struct tls_peer *peer)
{
    free(peer);
}
