#include "lbd/filter/key_table.h"

#include <assert.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>

#include "lbd/base/mem.h"

#define CHANGING UINT64_MAX

#define SPINS 100U /* before somebody else gets the processor: who holds the set may want it */

enum attempt { DONE, REFUSED, LOST };

void key_table_init(struct key_table *table, uint32_t keys)
{
    uint32_t sets = 1;
    assert(keys >= KEY_TABLE_MIN && keys <= KEY_TABLE_MAX);
    while (sets * KEY_TABLE_WAYS < 2 * keys) {
        sets *= 2;
    }
    table->keys = keys;
    table->mask = sets - 1;
    table->slots = mem_zero((size_t)sets * KEY_TABLE_WAYS, sizeof(*table->slots));
    table->taking = mem_zero(sets, sizeof(*table->taking));
}

void key_table_fini(struct key_table *table)
{
    free(table->slots);
    free(table->taking);
}

static struct key_table_slot *find(struct key_table_slot *set, uint64_t key)
{
    for (uint32_t i = 0; i < KEY_TABLE_WAYS; i++) {
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
            return &set[i];
        }
    }
    return NULL;
}

/* LOST: the slot is not the key's any more. */
static enum attempt change_own(struct key_table_slot *slot, uint64_t key,
                               const struct key_table_rule *rule, void *arg)
{
    uint64_t to = 0;
    uint64_t from = atomic_load_explicit(&slot->value, memory_order_acquire);
    do {
        /* after the value: while that stays the same, so does the key */
        if (from == CHANGING || atomic_load_explicit(&slot->key, memory_order_relaxed) != key) {
            return LOST;
        }
        if (!rule->own(arg, from, &to)) {
            return REFUSED;
        }
    } while (!atomic_compare_exchange_weak_explicit(&slot->value, &from, to, memory_order_acq_rel,
                                                    memory_order_acquire));
    return DONE;
}

static struct key_table_slot *smallest(struct key_table_slot *set)
{
    struct key_table_slot *best = &set[0];
    uint64_t least = atomic_load_explicit(&best->value, memory_order_relaxed);
    for (uint32_t i = 1; i < KEY_TABLE_WAYS; i++) {
        uint64_t value = atomic_load_explicit(&set[i].value, memory_order_relaxed);
        if (value < least) {
            least = value;
            best = &set[i];
        }
    }
    return best;
}

/* With the set held: no slot of it changes hands but by us. */
static enum attempt take(struct key_table_slot *slot, uint64_t key,
                         const struct key_table_rule *rule, void *arg,
                         enum key_table_change *change)
{
    uint64_t to = 0;
    uint64_t from = atomic_load_explicit(&slot->value, memory_order_acquire);
    uint64_t old = atomic_load_explicit(&slot->key, memory_order_relaxed);
    if (!rule->take(arg, from, &to)) {
        return rule->joins ? change_own(slot, old, rule, arg) : REFUSED;
    }
    if (!atomic_compare_exchange_strong_explicit(&slot->value, &from, CHANGING,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return LOST;
    }
    atomic_store_explicit(&slot->key, key, memory_order_relaxed);
    atomic_store_explicit(&slot->value, to, memory_order_release);
    *change = old == 0 ? KEY_TABLE_ADDED : KEY_TABLE_REPLACED;
    return DONE;
}

static void hold(atomic_bool *taking)
{
    for (uint32_t i = 1; atomic_exchange_explicit(taking, true, memory_order_acquire); i++) {
        if (i % SPINS == 0) {
            (void)sched_yield();
        }
    }
}

struct key_table_slot *key_table_update(struct key_table *table, uint64_t key,
                                        const struct key_table_rule *rule, void *arg,
                                        enum key_table_change *change)
{
    uint32_t index = (uint32_t)key & table->mask;
    struct key_table_slot *set = &table->slots[(size_t)index * KEY_TABLE_WAYS];
    struct key_table_slot *slot = NULL;
    enum attempt attempt = LOST;
    assert(key != 0);
    *change = KEY_TABLE_SAME;
    while (attempt == LOST) {
        slot = find(set, key);
        if (slot != NULL) {
            attempt = change_own(slot, key, rule, arg);
        }
        if (attempt == LOST) {
            hold(&table->taking[index]);
            slot = find(set, key); /* it may have come meanwhile */
            if (slot == NULL) {
                slot = smallest(set);
                attempt = take(slot, key, rule, arg, change);
            }
            atomic_store_explicit(&table->taking[index], false, memory_order_release);
        }
    }
    return attempt == DONE ? slot : NULL;
}

uint64_t key_table_value(const struct key_table *table, uint64_t key)
{
    uint32_t index = (uint32_t)key & table->mask;
    struct key_table_slot *slot = find(&table->slots[(size_t)index * KEY_TABLE_WAYS], key);
    uint64_t value = slot != NULL ? atomic_load_explicit(&slot->value, memory_order_acquire) : 0;
    bool is_its_own =
        value != CHANGING && slot != NULL &&
        atomic_load_explicit(&slot->key, memory_order_relaxed) == key; /* after the value */
    return is_its_own ? value : 0;
}
