/*
 * tls_key - a private key, and the one door to it.
 *
 * Whoever signs gets the key from here: today it lies in our memory, later it may lie elsewhere.
 *
 * Memory: counted by OpenSSL; tls_key_free gives ours back. Threads: made by one, used by any.
 */
#ifndef LBD_TLS_TLS_KEY_H
#define LBD_TLS_TLS_KEY_H

#include <openssl/ssl.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

struct tls_key;

/* From a PEM file without a passphrase, which not everybody may read. NULL: *err says why. */
LB_MUST_CHECK struct tls_key *tls_key_load(const char *path, struct err *err);
void tls_key_free(struct tls_key *key); /* NULL is fine */
/* Lets `context` sign with it, for the certificate that it has. False: they do not belong
 * together. For tls_context only. */
LB_MUST_CHECK bool tls_key_use(const struct tls_key *key, SSL_CTX *context, struct err *err);

#endif
