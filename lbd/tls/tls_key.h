/*
 * tls_key - a private key, and the one door to it.
 *
 * Whoever signs gets the key from here: today it lies in our memory, later it may lie elsewhere.
 *
 * Limits: a text of TLS_KEY_PEM_MAX bytes. Memory: one owner; OpenSSL counts what it uses. Threads:
 * made by one, used by any.
 */
#ifndef LBD_TLS_TLS_KEY_H
#define LBD_TLS_TLS_KEY_H

#include <openssl/ssl.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define TLS_KEY_PEM_MAX (64U * 1024)

struct tls_key;

/* From a PEM file without a passphrase, which not everybody may read. NULL: *err says why. */
LB_MUST_CHECK struct tls_key *tls_key_load(const char *path, struct err *err);
/* From such a text. */
LB_MUST_CHECK struct tls_key *tls_key_from_pem(struct slice pem, struct err *err);
void tls_key_free(struct tls_key *key); /* NULL is fine */
/* Is it that of this certificate? For tls_cert only. */
bool tls_key_is_of(const struct tls_key *key, X509 *certificate);
/* "the key '/etc/lbd/key.pem'", or "the key" of one that came as text. */
const char *tls_key_title(const struct tls_key *key);
/* Lets `context` sign with it, for the certificate that it has. False: they do not belong
 * together. For this room only. */
LB_MUST_CHECK bool tls_key_use(const struct tls_key *key, SSL_CTX *context, struct err *err);

#endif
