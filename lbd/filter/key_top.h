/*
 * key_top - which keys of a key_table are full or nearly so, and whose they are, for whoever asks.
 *
 * A table knows hashes only and may be large, so nobody walks over it. Instead, workers note a key
 * when it is refused or nearly full; the note has the key's name when it has one that may be shown,
 * and how full it is now says the table. A note makes room for one of a key that is fuller.
 *
 *     request --refused, nearly full--> key_top_note        one load when the key stands there
 *     control --somebody asks---------> key_top_list --> key_table_value, the fullest first
 *
 * Limits: KEY_TOP_SLOTS notes, names of KEY_TOP_NAME_MAX bytes. Memory: in place, zeroed: none.
 * Threads: any.
 */
#ifndef LBD_FILTER_KEY_TOP_H
#define LBD_FILTER_KEY_TOP_H

#include <stdatomic.h>
#include <stdint.h>

#include "lbd/base/shared_text.h"
#include "lbd/base/slice.h"
#include "lbd/filter/key_table.h"

#define KEY_TOP_WAYS     4U
#define KEY_TOP_SLOTS    128U
#define KEY_TOP_NAME_MAX (SHARED_TEXT_MAX - 8U)

struct key_top_slot {
    _Atomic uint64_t key;    /* of `text`, so that it need not be read; 0: none */
    struct shared_text text; /* the key, and behind it the name */
};

struct key_top {
    struct key_top_slot slots[KEY_TOP_SLOTS];
};

struct key_top_row {
    uint64_t key;
    uint64_t value;    /* in the table */
    uint32_t name_len; /* 0: it has none */
    char name[KEY_TOP_NAME_MAX];
};

/* Is there a note of it? */
bool key_top_has(const struct key_top *top, uint64_t key);
/* `value` is the key's in the table. */
void key_top_note(struct key_top *top, const struct key_table *table, uint64_t key, uint64_t value,
                  struct slice name);
/* Up to `most` keys with a value of at least `least`, the largest first. Returns how many. */
uint32_t key_top_list(const struct key_top *top, const struct key_table *table, uint64_t least,
                      struct key_top_row *rows, uint32_t most);

#endif
