/*
 * tls_files - a small authority for tests: certificates and keys as PEM files in a folder.
 *
 * Memory: none kept; the caller removes the folder by tls_files_end. Threads: the main thread.
 */
#ifndef TESTS_UNIT_TLS_FILES_H
#define TESTS_UNIT_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_FILES_PATH_MAX 128

struct tls_files {
    char folder[64];
    char ca[TLS_FILES_PATH_MAX];
    char other_ca[TLS_FILES_PATH_MAX];
    char chain[TLS_FILES_PATH_MAX]; /* of localhost and 127.0.0.1, by ca */
    char key[TLS_FILES_PATH_MAX];
    char client_chain[TLS_FILES_PATH_MAX]; /* see tls_files_begin, by ca */
    char client_key[TLS_FILES_PATH_MAX];
    char stranger_chain[TLS_FILES_PATH_MAX]; /* CN mallory, by other_ca */
    char stranger_key[TLS_FILES_PATH_MAX];
    char late_chain[TLS_FILES_PATH_MAX]; /* CN late, by ca, expired */
    char late_key[TLS_FILES_PATH_MAX];
};

/* The client is "CN:alice" with "DNS:alice.ops.test", "URI:spiffe://test/alice" and
 * "email:alice@test". */
void tls_files_begin(struct tls_files *files);
/* Writes another certificate and key of localhost over those there are. */
void tls_files_renew(const struct tls_files *files);
/* Another text over a file. */
void tls_files_write(const char *path, const char *text, unsigned mode);
/* The CA's list of what it revoked, PEM into `out` (TLS_FILES_CRL_MAX); its length. `chain`: what
 * it revoked; NULL: nothing. */
#define TLS_FILES_CRL_MAX 2048
size_t tls_files_crl(const char *chain, char *out);
struct tls_cert;
/* That of `chain`, with its issuer behind it. */
struct tls_cert *tls_files_cert(const struct tls_files *files);
/* The CA's OCSP answer about a certificate of its own, of these seconds from now; how many bytes
 * (DER). `out`: TLS_FILES_OCSP_MAX. */
#define TLS_FILES_OCSP_MAX 2048
size_t tls_files_ocsp(const char *chain, bool is_good, long from_s, long until_s,
                      unsigned char *out);
void tls_files_end(const struct tls_files *files);

#endif
