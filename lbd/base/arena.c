#include "lbd/base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/mem.h"

#define ARENA_CHUNK_BYTES 4096U
#define ARENA_LARGE_BYTES 1024U /* a larger piece does not end the current block */

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes of data[] */
    char data[];
};

static_assert(sizeof(struct arena_chunk) % 8 == 0, "data[] of a chunk must be aligned to 8");

/* Stands for "no block": `at` is never NULL, nothing is ever written here. */
static _Alignas(8) char nothing[8];

static void use_first(struct arena *arena)
{
    arena->at = nothing;
    arena->end = nothing;
    if (arena->first_size >= 16) {
        size_t skip = (size_t)(-(uintptr_t)arena->first & 7U);
        arena->at = arena->first + skip;
        arena->end = arena->at + ((arena->first_size - skip) & ~(size_t)7U);
    }
}

void arena_init(struct arena *arena, void *first, size_t first_size)
{
    *arena = (struct arena){.first = first, .first_size = first != NULL ? first_size : 0};
    use_first(arena);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    use_first(arena);
}

void arena_fini(struct arena *arena)
{
    arena_reset(arena);
}

void *arena_alloc_chunk(struct arena *arena, size_t size)
{
    bool is_large = size > ARENA_LARGE_BYTES;
    size_t room = ARENA_CHUNK_BYTES - sizeof(struct arena_chunk);
    if (is_large) {
        /* an absurd size must not wrap: mem_alloc then says how much was asked */
        room = size <= SIZE_MAX - 64 ? (size + 7U) & ~(size_t)7U : SIZE_MAX - 64;
    }
    struct arena_chunk *chunk = mem_alloc(sizeof(*chunk) + room);
    chunk->size = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    if (!is_large) {
        arena->at = chunk->data + ((size + 7U) & ~(size_t)7U);
        arena->end = chunk->data + room;
    }
    return chunk->data;
}

struct slice arena_join(struct arena *arena, const struct slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *out = arena_alloc(arena, len);
    char *to = out;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(to, parts[i].ptr, parts[i].len);
            to += parts[i].len;
        }
    }
    return slice_of(out, len);
}

char *arena_strdup(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len != 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

struct slice arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t len = need > 0 ? (size_t)need : 0;
    char *text = arena_alloc(arena, len + 1);
    text[0] = '\0';
    va_start(args, fmt);
    (void)vsnprintf(text, len + 1, fmt, args);
    va_end(args);
    return slice_of(text, len);
}

size_t arena_chunk_bytes(const struct arena *arena)
{
    size_t total = 0;
    for (const struct arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next) {
        total += chunk->size;
    }
    return total;
}
