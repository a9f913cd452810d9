/*
 * map - hash map from bytes to a pointer, seeded per process, iterated in order of insertion.
 *
 * Keys are copied. Values are not owned. For the control side and for frozen tables that workers
 * read.
 *
 * Threads: one writer; any number of readers once it is frozen.
 */
#ifndef LBD_BASE_MAP_H
#define LBD_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

struct map_entry {
    struct slice key; /* owned by the map; ptr NULL: removed */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries; /* in order of insertion, with holes */
    uint32_t *slots;           /* entry index + 1; 0 empty, UINT32_MAX removed */
    size_t entry_count;        /* used entries with holes */
    size_t entry_capacity;
    size_t slot_count; /* power of two */
    size_t count;      /* live entries */
};

void map_init(struct map *map);
void map_fini(struct map *map); /* values are the caller's */
/* NULL: not there. */
void *map_get(const struct map *map, struct slice key);
/* The same for who walks many keys in about the order in which they were put: *cursor (0 at first)
 * remembers the place behind the last one found, and most keys are there. */
void *map_get_near(const struct map *map, struct slice key, size_t *cursor);
/* Puts or replaces; returns the value that was there before, or NULL. */
void *map_put(struct map *map, struct slice key, void *value);
/* Returns the removed value, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* *cursor starts at 0; NULL at the end. The current entry may be removed in its turn. */
struct map_entry *map_next(const struct map *map, size_t *cursor);

#define map_for_each(entry, map)                                                                   \
    for (size_t map_cursor_ = 0; ((entry) = map_next((map), &map_cursor_)) != NULL;)

#endif
