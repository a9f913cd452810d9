/*
 * jwk - keys that verify signatures of tokens (RFC 7517, RFC 7518, RFC 8037), for the rooms that
 * may not name OpenSSL.
 *
 *     RS256   RSA of 2,048 to 8,192 bits, PKCS #1 v1.5      ES256   P-256, a signature of 64 bytes
 *     EdDSA   Ed25519                                       HS256   a secret of 32 to 512 bytes
 *
 * A key is of one algorithm, so that nobody can have a public key taken for a secret.
 *
 * Memory: owned by the caller. Threads: made on one; verifying by any.
 */
#ifndef LBD_TLS_JWK_H
#define LBD_TLS_JWK_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

enum jwk_alg { JWK_RS256, JWK_ES256, JWK_EDDSA, JWK_HS256, JWK_ALG_COUNT };

struct jwk; /* hidden */

const char *jwk_alg_word(enum jwk_alg alg); /* "RS256" */
LB_MUST_CHECK bool jwk_alg_find(struct slice word, enum jwk_alg *alg);
/* Each from the bytes that a JWK has in base64. NULL: it is no key that is taken. */
LB_MUST_CHECK struct jwk *jwk_new_rsa(struct slice n, struct slice e);
LB_MUST_CHECK struct jwk *jwk_new_p256(struct slice x, struct slice y);
LB_MUST_CHECK struct jwk *jwk_new_ed25519(struct slice x);
LB_MUST_CHECK struct jwk *jwk_new_secret(struct slice k);
void jwk_free(struct jwk *key); /* NULL is fine */
enum jwk_alg jwk_alg(const struct jwk *key);
bool jwk_verify(const struct jwk *key, struct slice data, struct slice signature);

#endif
