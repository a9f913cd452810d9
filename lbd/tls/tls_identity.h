/*
 * tls_identity - one face of a tls_front: the certificates that belong to some names, one for each
 * kind of key, and what its tickets and sessions are bound to (R12). An SSL_CTX and what its
 * callbacks need.
 *
 * Lives as long as its SSL_CTX, which connections and fronts hold. For this room only.
 *
 * Memory: counted (the SSL_CTX is). Threads: made on control; handshakes of any thread use it.
 */
#ifndef LBD_TLS_TLS_IDENTITY_H
#define LBD_TLS_TLS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_front.h"

struct tls_identity;

/* What it is made of, as a number: the same for identities that may stand for each other. */
void tls_identity_recipe(const struct tls_front_options *options, struct tls_cert *const *certs,
                         uint32_t count, uint8_t out[DIGEST_SHA256_BYTES]);
LB_MUST_CHECK struct tls_identity *tls_identity_new(const struct tls_front_options *options,
                                                    struct tls_cert *const *certs, uint32_t count,
                                                    struct err *err);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity); /* NULL is fine */

const uint8_t *tls_identity_recipe_of(const struct tls_identity *identity);
SSL_CTX *tls_identity_handle(const struct tls_identity *identity);
/* That which `ssl` uses. */
struct tls_identity *tls_identity_of(const SSL *ssl);
uint32_t tls_identity_certs(const struct tls_identity *identity,
                            const struct tls_cert *certs[TLS_FRONT_SHOWN]);
/* Is one of its certificates for this host, in lower case? */
bool tls_identity_covers(const struct tls_identity *identity, struct slice host);

/* tls_front sets it: who chooses the identity of a connection that begins. */
typedef int tls_identity_choose_fn(SSL *ssl, int *alert, void *arg);
void tls_identity_on_hello(struct tls_identity *identity, tls_identity_choose_fn *choose);

#endif
