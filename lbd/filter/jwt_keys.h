/*
 * jwt_keys - a set of keys (JWKS, RFC 7517 5).
 *
 * Keys of kinds that are not known, and those for encryption (`use`), are passed over; a set
 * without one that can be used is refused.
 *
 * Limits: JWT_KEYS_MAX. Memory: counted with its owner's arena, keys on the heap. Threads: any.
 */
#ifndef LBD_FILTER_JWT_KEYS_H
#define LBD_FILTER_JWT_KEYS_H

#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/filter/jwt.h"

#define JWT_KEYS_MAX 64U

struct jwt_key {
    struct slice kid;
    struct jwk *key;
};

struct jwt_keys {
    uint32_t count;
    struct jwt_key list[JWT_KEYS_MAX];
};

/* Adds those of the text. False: *err. */
LB_MUST_CHECK bool jwt_keys_read(struct jwt_keys *keys, struct arena *arena, struct slice text,
                                 struct err *err);
void jwt_keys_fini(struct jwt_keys *keys);
/* Has one of them signed it? A token that names its key is asked of that alone. */
bool jwt_keys_verify(const struct jwt_keys *keys, const struct jwt *jwt);

#endif
