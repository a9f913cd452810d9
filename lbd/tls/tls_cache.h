/*
 * tls_cache - sessions of TLS 1.2 by their id, for clients that take no tickets.
 *
 * OpenSSL's own cache has one lock; this one has TLS_CACHE_SHARDS, each with its own list from the
 * newest to the oldest. A session lies here as bytes, under its id and the policy it was made for
 * (R12): another listener's, or one before the set of authorities changed, is not found.
 *
 * Limits: TLS_CACHE_ENTRIES sessions of at most TLS_CACHE_SESSION_MAX bytes, the oldest go first;
 * one that is older than TLS_CACHE_SECONDS is not given out. Memory: one for the process. Threads:
 * any; a lock for the length of a copy, once for each handshake of TLS 1.2.
 */
#ifndef LBD_TLS_TLS_CACHE_H
#define LBD_TLS_TLS_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define TLS_CACHE_SHARDS      64U
#define TLS_CACHE_ENTRIES     32768U
#define TLS_CACHE_SESSION_MAX 4096U
#define TLS_CACHE_ID_MAX      32U
#define TLS_CACHE_SECONDS     7200U

/* `id`: at most TLS_CACHE_ID_MAX bytes; a longer one or a larger session is not kept. */
void tls_cache_put(struct slice id, const uint8_t policy[32], struct slice session,
                   uint64_t now_us);
/* Copies it; 0: there is none. */
size_t tls_cache_get(struct slice id, const uint8_t policy[32], uint64_t now_us,
                     uint8_t out[TLS_CACHE_SESSION_MAX]);
/* Forgets all (for tests). */
void tls_cache_clear(void);

#endif
