#include "lbd/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

#define SLOT_EMPTY   0U
#define SLOT_REMOVED UINT32_MAX

void map_init(struct map *map)
{
    *map = (struct map){0};
}

static void free_key(struct map_entry *entry)
{
    free((void *)(uintptr_t)entry->key.ptr);
    entry->key = SLICE_NONE;
}

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->entry_count; i++) {
        free_key(&map->entries[i]);
    }
    free(map->entries);
    free(map->slots);
    map_init(map);
}

static uint64_t hash_key(struct slice key)
{
    return hash_sip(key, hash_process_key());
}

/* The slot that holds `key`, or NULL. */
static uint32_t *find_slot(const struct map *map, struct slice key, uint64_t hash)
{
    if (map->slot_count == 0) {
        return NULL;
    }
    size_t mask = map->slot_count - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        uint32_t slot = map->slots[at];
        if (slot == SLOT_EMPTY) {
            return NULL;
        }
        if (slot != SLOT_REMOVED && map->entries[slot - 1].hash == hash &&
            slice_eq(map->entries[slot - 1].key, key)) {
            return &map->slots[at];
        }
    }
}

void *map_get(const struct map *map, struct slice key)
{
    const uint32_t *slot = find_slot(map, key, hash_key(key));
    return slot != NULL ? map->entries[*slot - 1].value : NULL;
}

void *map_get_near(const struct map *map, struct slice key, size_t *cursor)
{
    if (*cursor < map->entry_count && map->entries[*cursor].key.ptr != NULL &&
        slice_eq(map->entries[*cursor].key, key)) {
        return map->entries[(*cursor)++].value;
    }
    const uint32_t *slot = find_slot(map, key, hash_key(key));
    if (slot == NULL) {
        return NULL;
    }
    *cursor = *slot;
    return map->entries[*slot - 1].value;
}

static void put_slot(struct map *map, uint64_t hash, size_t entry)
{
    size_t mask = map->slot_count - 1;
    size_t at = (size_t)hash & mask;
    while (map->slots[at] != SLOT_EMPTY) {
        at = (at + 1) & mask;
    }
    map->slots[at] = (uint32_t)(entry + 1);
}

/* Makes room for one more: closes the holes and, when that is not enough, doubles. */
static void grow(struct map *map)
{
    size_t capacity = map->entry_capacity != 0 ? map->entry_capacity : 8;
    while (map->count >= capacity - capacity / 4) {
        capacity *= 2;
    }
    assert(capacity < UINT32_MAX / 4);

    struct map_entry *entries = mem_zero(capacity, sizeof(*entries));
    size_t used = 0;
    for (size_t i = 0; i < map->entry_count; i++) {
        if (map->entries[i].key.ptr != NULL) {
            entries[used++] = map->entries[i];
        }
    }
    free(map->entries);
    free(map->slots);
    map->entries = entries;
    map->entry_count = used;
    map->entry_capacity = capacity;
    /* twice the entries: a chain of used slots stays short, and an empty slot always exists */
    map->slot_count = capacity * 2;
    map->slots = mem_zero(map->slot_count, sizeof(*map->slots));
    for (size_t i = 0; i < used; i++) {
        put_slot(map, entries[i].hash, i);
    }
}

void *map_put(struct map *map, struct slice key, void *value)
{
    uint64_t hash = hash_key(key);
    const uint32_t *slot = find_slot(map, key, hash);
    if (slot != NULL) {
        void *before = map->entries[*slot - 1].value;
        map->entries[*slot - 1].value = value;
        return before;
    }
    if (map->entry_count == map->entry_capacity) {
        grow(map);
    }
    map->entries[map->entry_count] = (struct map_entry){
        .key = slice_of(mem_slicedup(key), key.len),
        .value = value,
        .hash = hash,
    };
    put_slot(map, hash, map->entry_count);
    map->entry_count++;
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct slice key)
{
    uint32_t *slot = find_slot(map, key, hash_key(key));
    if (slot == NULL) {
        return NULL;
    }
    struct map_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;
    *slot = SLOT_REMOVED;
    free_key(entry);
    entry->value = NULL;
    map->count--;
    return value;
}

struct map_entry *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->entry_count) {
        struct map_entry *entry = &map->entries[(*cursor)++];
        if (entry->key.ptr != NULL) {
            return entry;
        }
    }
    return NULL;
}
