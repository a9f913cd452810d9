/*
 * filter_memo - what a worker has found out about a login or a token, until it must look again.
 *
 * The key is an HMAC under a secret of this process, so what it is made of is nowhere. A full set
 * forgets what would have ended first.
 *
 * Limits: FILTER_MEMO_ENTRIES. Memory: owns the values. Threads: one worker.
 */
#ifndef LBD_FILTER_FILTER_MEMO_H
#define LBD_FILTER_FILTER_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/tls/digest.h"

#define FILTER_MEMO_ENTRIES 2048U

struct filter_memo_key {
    uint8_t bytes[DIGEST_SHA256_BYTES];
};

struct filter_memo; /* hidden */

struct filter_memo *filter_memo_new(void);
void filter_memo_free(struct filter_memo *memo); /* NULL is fine */
/* HMAC over the parts, each with its length. */
void filter_memo_key(const struct filter_memo *memo, const struct slice *parts, size_t count,
                     struct filter_memo_key *key);
/* False: nothing is known (any more). The value (may be NULL) is valid until the next put. */
bool filter_memo_find(struct filter_memo *memo, const struct filter_memo_key *key, uint64_t now_us,
                      void **value);
/* `value` from malloc, or NULL; taken over. */
void filter_memo_put(struct filter_memo *memo, const struct filter_memo_key *key, uint64_t now_us,
                     uint64_t until_us, void *value);

#endif
