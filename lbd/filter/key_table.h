/*
 * key_table - a number for each of many keys, shared by all workers: what rate limits and
 * concurrency limits count with.
 *
 * A set-associative table of fixed size. A key belongs to one set of KEY_TABLE_WAYS slots; the
 * number of a key that is there changes by one compare-and-swap, so that no change is lost. A new
 * key takes over the slot with the smallest number of its set, and the caller's rule says what that
 * becomes: a rule that never makes less of it gives nobody credit for being pushed out.
 *
 *     slot: key | value      0 | 0: never used       a value of UINT64_MAX: changes hands
 *
 * A rule must never give a slot that changes hands a value that it had before: then a value that is
 * unchanged tells that its key is, too.
 *
 * Limits: KEY_TABLE_MIN to KEY_TABLE_MAX keys. Keys are hashes that nobody outside can guess.
 * Memory: 16 bytes per slot, two to four slots per key, touched when used. Threads: any.
 */
#ifndef LBD_FILTER_KEY_TABLE_H
#define LBD_FILTER_KEY_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KEY_TABLE_WAYS 8U
#define KEY_TABLE_MIN  16U
#define KEY_TABLE_MAX  (1U << 24)

struct key_table_slot {
    _Atomic uint64_t key;
    _Atomic uint64_t value;
};

struct key_table {
    uint32_t keys; /* as asked for */
    uint32_t mask; /* sets - 1 */
    struct key_table_slot *slots;
    atomic_bool *taking; /* of each set: a slot changes hands */
};

/* What becomes of a slot. False: nothing, the change is refused. */
struct key_table_rule {
    bool (*own)(void *arg, uint64_t from, uint64_t *to);
    /* Of a slot that was another key's, or nobody's (from 0). False with `joins`: the key counts as
     * that other one this time. */
    bool (*take)(void *arg, uint64_t from, uint64_t *to);
    bool joins;
};

enum key_table_change { KEY_TABLE_SAME, KEY_TABLE_ADDED, KEY_TABLE_REPLACED };

void key_table_init(struct key_table *table, uint32_t keys);
void key_table_fini(struct key_table *table);
/* The slot in which `key` (not 0) counts now; NULL: the rule refused. */
struct key_table_slot *key_table_update(struct key_table *table, uint64_t key,
                                        const struct key_table_rule *rule, void *arg,
                                        enum key_table_change *change);
/* So many keys can be there at once. */
static inline uint32_t key_table_slots(const struct key_table *table)
{
    return (table->mask + 1) * KEY_TABLE_WAYS;
}

/* The number of a key as it is now; 0: it is not there. */
uint64_t key_table_value(const struct key_table *table, uint64_t key);

#endif
