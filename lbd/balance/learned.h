/*
 * learned - where sessions live, as answers have shown: keys to ids of targets (sticky), in one
 * table for all workers.
 *
 *     answer: Set-Cookie: SID=x --learned_put(key of x, id)-->  | stripe | stripe | ... |
 *     request:    Cookie: SID=x --learned_find(key of x)-->     newest <-> ... <-> oldest
 *
 * Bounded: a stripe that is full forgets what was not used for longest. What was not used for the
 * time to live is forgotten when it is asked for, or when its place is needed.
 *
 * Keys are hashes with the key of the process, so sessions cannot be read from the table, nor
 * chosen so that they meet.
 *
 * This is one of the two tables of lbd behind locks (ARCHITECTURE.md, Threads): requests of a pool
 * with `sticky.mode` learn take the one of their stripe for a look-up, and nobody holds two.
 *
 * Limits: LEARNED_MIN to LEARNED_MAX entries. Memory: counted; 40 bytes for each entry, all made at
 * the beginning, touched when used. Threads: any; made and freed by control.
 */
#ifndef LBD_BALANCE_LEARNED_H
#define LBD_BALANCE_LEARNED_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define LEARNED_MIN 64U
#define LEARNED_MAX 10000000U

struct learned; /* hidden */

struct learned_row {
    uint64_t key;
    uint64_t id;
    uint32_t idle_s; /* since it was used */
};

/* refs = 1. ttl_s >= 1. */
struct learned *learned_new(uint32_t entries, uint32_t ttl_s);
struct learned *learned_ref(struct learned *learned);
void learned_unref(struct learned *learned); /* the last one frees */
bool learned_is_like(const struct learned *learned, uint32_t entries, uint32_t ttl_s);
/* Puts into `to`, which nobody else has yet, what `from` knows, as far as it has room. */
void learned_copy(struct learned *to, struct learned *from, uint32_t now_s);

uint64_t learned_key(struct slice session);
/* False: it is not known. That it was asked for counts as use. now_s: monotonic. */
bool learned_find(struct learned *learned, uint64_t key, uint32_t now_s, uint64_t *id);
void learned_put(struct learned *learned, uint64_t key, uint64_t id, uint32_t now_s);

uint32_t learned_count(const struct learned *learned);
uint64_t learned_evicted(const struct learned *learned); /* for want of room */
/* At most `max` rows, those of one stripe after the other, in it the last used first; `of` NULL:
 * of all ids. Returns how many. */
uint32_t learned_list(struct learned *learned, const uint64_t *of, uint32_t now_s,
                      struct learned_row *rows, uint32_t max);
/* Each returns how many were forgotten. */
uint32_t learned_forget(struct learned *learned, uint64_t key);
uint32_t learned_forget_all(struct learned *learned, const uint64_t *of); /* likewise */

#endif
