/*
 * hash - two hashes: siphash for keys that strangers choose, a fast one for keys that we choose.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_HASH_H
#define LBD_BASE_HASH_H

#include <stdint.h>

#include "lbd/base/slice.h"

/* SipHash-1-3 with a 128-bit key (Aumasson, Bernstein: "SipHash: a fast short-input PRF"). */
uint64_t hash_sip(struct slice s, const uint64_t key[2]);
/* A per-process random key, made once. */
const uint64_t *hash_process_key(void);
/* Fast, good spread, not keyed against adversaries. */
uint64_t hash_fast(struct slice s, uint64_t seed);
/* Spreads the bits of a number (finaliser). */
uint64_t hash_mix(uint64_t value);

#endif
