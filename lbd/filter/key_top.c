#include "lbd/filter/key_top.h"

#include <string.h>

#include "lbd/base/hash.h"

static uint64_t key_of(const struct key_top_slot *slot)
{
    return atomic_load_explicit(&slot->key, memory_order_relaxed);
}

static uint32_t set_of(uint64_t key)
{
    return (uint32_t)hash_mix(key) % (KEY_TOP_SLOTS / KEY_TOP_WAYS) * KEY_TOP_WAYS;
}

bool key_top_has(const struct key_top *top, uint64_t key)
{
    const struct key_top_slot *set = &top->slots[set_of(key)];
    for (uint32_t i = 0; i < KEY_TOP_WAYS; i++) {
        if (key_of(&set[i]) == key) {
            return true;
        }
    }
    return false;
}

/* The slot whose key is the least full; NULL: all are as full as `value`. */
static struct key_top_slot *least_full(struct key_top *top, const struct key_table *table,
                                       uint64_t key, uint64_t value)
{
    struct key_top_slot *set = &top->slots[set_of(key)];
    struct key_top_slot *best = NULL;
    uint64_t least = value;
    for (uint32_t i = 0; i < KEY_TOP_WAYS; i++) {
        uint64_t old = key_of(&set[i]);
        uint64_t fill = old != 0 ? key_table_value(table, old) : 0;
        if (old == 0 || fill < least) {
            least = fill;
            best = &set[i];
        }
        if (old == 0) {
            break;
        }
    }
    return best;
}

void key_top_note(struct key_top *top, const struct key_table *table, uint64_t key, uint64_t value,
                  struct slice name)
{
    char text[SHARED_TEXT_MAX];
    if (key_top_has(top, key)) {
        return;
    }
    struct key_top_slot *slot = least_full(top, table, key, value);
    if (slot == NULL) {
        return;
    }
    size_t len = name.len < KEY_TOP_NAME_MAX ? name.len : KEY_TOP_NAME_MAX;
    memcpy(text, &key, sizeof(key));
    if (len != 0) {
        memcpy(text + sizeof(key), name.ptr, len);
    }
    if (shared_text_write(&slot->text, slice_of(text, sizeof(key) + len))) {
        atomic_store_explicit(&slot->key, key, memory_order_relaxed);
    }
}

static bool read_row(const struct key_top_slot *slot, const struct key_table *table,
                     struct key_top_row *row)
{
    char text[SHARED_TEXT_MAX];
    size_t len = key_of(slot) != 0 ? shared_text_read(&slot->text, text) : 0;
    if (len < sizeof(row->key)) {
        return false;
    }
    memcpy(&row->key, text, sizeof(row->key));
    row->name_len = (uint32_t)(len - sizeof(row->key));
    memcpy(row->name, text + sizeof(row->key), row->name_len);
    row->value = key_table_value(table, row->key);
    return true;
}

static bool is_there(const struct key_top_row *rows, uint32_t count, uint64_t key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].key == key) {
            return true; /* two workers noted it at once */
        }
    }
    return false;
}

uint32_t key_top_list(const struct key_top *top, const struct key_table *table, uint64_t least,
                      struct key_top_row *rows, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEY_TOP_SLOTS; i++) {
        struct key_top_row row;
        if (!read_row(&top->slots[i], table, &row) || row.value < least ||
            is_there(rows, count, row.key)) {
            continue;
        }
        uint32_t at = count < most ? count++ : most;
        while (at > 0 && rows[at - 1].value < row.value) {
            if (at < most) {
                rows[at] = rows[at - 1];
            }
            at--;
        }
        if (at < most) {
            rows[at] = row;
        }
    }
    return count;
}
