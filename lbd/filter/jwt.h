/*
 * jwt - a signed token taken apart: header.claims.signature (RFC 7519, RFC 7515 7.1).
 *
 * Sans-I/O; nothing is believed before jwk_verify has said so. A token that must be understood in
 * ways that are not ours (`crit`) is none, nor is one that is not signed (`alg` none).
 *
 * Limits: JWT_BYTES_MAX, claims of depth 8. Memory: claims on the heap until jwt_fini, the rest in
 * the arena. Threads: any.
 */
#ifndef LBD_FILTER_JWT_H
#define LBD_FILTER_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json.h"
#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/tls/jwk.h"

#define JWT_BYTES_MAX 8192U

struct jwt {
    enum jwk_alg alg;
    struct slice kid;  /* empty: it does not say */
    struct slice data; /* what is signed; borrowed from the token */
    struct slice signature;
    struct json *claims; /* an object */
};

/* False: it is none, and nothing is kept. */
LB_MUST_CHECK bool jwt_read(struct slice token, struct arena *arena, struct jwt *jwt);
void jwt_fini(struct jwt *jwt);
/* Seconds since 1970 (RFC 7519 2, NumericDate). False: the claim is not there, or no date. */
LB_MUST_CHECK bool jwt_date(const struct jwt *jwt, struct slice claim, int64_t *seconds);
/* Is the claim this text, or a list with it? */
bool jwt_has(const struct jwt *jwt, struct slice claim, struct slice value);

#endif
