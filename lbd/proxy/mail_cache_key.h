/*
 * mail_cache_key - what logins are compared by: short keys under a secret of this process.
 *
 * The secret is 32 random bytes, made at the start, on a page that is neither swapped nor dumped.
 * Nothing that is kept can be checked against a guessed password without it.
 *
 * Threads: made and freed by control; used by any.
 */
#ifndef LBD_PROXY_MAIL_CACHE_KEY_H
#define LBD_PROXY_MAIL_CACHE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/proxy/mail_cache.h"

#define MAIL_CACHE_NAME_BYTES     16U
#define MAIL_CACHE_VERIFIER_BYTES 32U

struct mail_cache_secret;

struct mail_cache_key {
    uint8_t user[MAIL_CACHE_NAME_BYTES]; /* of the normalised name alone */
    uint8_t name[MAIL_CACHE_NAME_BYTES]; /* of all but the secret */
    uint8_t verifier[MAIL_CACHE_VERIFIER_BYTES];
};

LB_MUST_CHECK struct mail_cache_secret *mail_cache_secret_new(struct err *err);
void mail_cache_secret_free(struct mail_cache_secret *secret);
void mail_cache_key_make(const struct mail_cache_secret *secret,
                         const struct mail_cache_login *login, struct mail_cache_key *key);
void mail_cache_key_user(const struct mail_cache_secret *secret, struct slice user,
                         uint8_t out[MAIL_CACHE_NAME_BYTES]);
/* Both take as long whatever differs. */
bool mail_cache_key_same_name(const struct mail_cache_key *a, const struct mail_cache_key *b);
bool mail_cache_key_same_secret(const struct mail_cache_key *a, const struct mail_cache_key *b);

#endif
