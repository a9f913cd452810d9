/*
 * tls_ca - a set of authorities that are trusted to sign the certificates of peers, with what they
 * revoked.
 *
 *     file | PEM text --> tls_ca --> tls_front (clients' certificates), tls_client (servers')
 *
 * Limits: TLS_CA_PEM_MAX bytes of each text, TLS_CA_CERTS_MAX certificates. Memory: counted; never
 * changed once made. Threads: made by one, used by any.
 */
#ifndef LBD_TLS_TLS_CA_H
#define LBD_TLS_TLS_CA_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define TLS_CA_PEM_MAX   (4U * 1024 * 1024)
#define TLS_CA_CERTS_MAX 1000U
#define TLS_CA_REVISION  32U

struct tls_ca_facts {
    uint32_t count;                    /* certificates */
    uint32_t revocation_lists;         /* CRLs */
    uint64_t not_after_us;             /* the first of them that ends, wall clock */
    uint64_t crl_until_us;             /* the first next update of a list; 0: there is none */
    uint8_t revision[TLS_CA_REVISION]; /* SHA-256 of all of it: another set, another number */
    char revision_hex[2 * TLS_CA_REVISION + 1];
};

struct tls_ca;

/* `crl`: PEM, empty: nothing is revoked; with one, a certificate whose issuer has no list there is
 * refused. NULL: *err says why; its place is "pem" or "crl". */
LB_MUST_CHECK struct tls_ca *tls_ca_from_pem(struct slice pem, struct slice crl, struct err *err);
/* `crl_file` may be NULL. err->place is "file" or "crl_file". */
LB_MUST_CHECK struct tls_ca *tls_ca_from_files(const char *file, const char *crl_file,
                                               struct err *err);
/* Those that the system trusts. */
LB_MUST_CHECK struct tls_ca *tls_ca_system(struct err *err);
struct tls_ca *tls_ca_ref(struct tls_ca *ca);
void tls_ca_unref(struct tls_ca *ca); /* NULL is fine */

const struct tls_ca_facts *tls_ca_facts(const struct tls_ca *ca);
/* The subject (RFC 2253) of certificate `at`, below `count`; 0 of the system's. */
struct slice tls_ca_subject(const struct tls_ca *ca, uint32_t at);
bool tls_ca_is_same(const struct tls_ca *a, const struct tls_ca *b);

/* For this room only. */
struct x509_store_st;
struct x509_st;
struct stack_st_X509;
struct stack_st_X509_NAME;
#define TLS_CA_DEPTH 9 /* certificates between a client's and its authority, at most */
/* Is a client's certificate good now, with what came along (NULL: nothing)? `level`: OpenSSL's
 * security level. */
bool tls_ca_trusts_client(const struct tls_ca *ca, struct x509_st *certificate,
                          struct stack_st_X509 *rest, int level);
struct x509_store_st *tls_ca_store(const struct tls_ca *ca);
/* Their names, which a server tells its clients; a copy, the caller's. NULL: too many to tell. */
struct stack_st_X509_NAME *tls_ca_names(const struct tls_ca *ca);

#endif
