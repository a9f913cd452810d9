/*
 * arena - memory that dies together.
 *
 * Bump allocation out of a first block that the caller lends (inline in its own object, so the
 * usual case never calls malloc) and then out of chunks from malloc. Nothing is freed one by one.
 *
 * Limits: chunks of 4 KB; a piece above 1 KB that does not fit gets a chunk of its own size.
 * Memory: the arena owns its chunks, not the first block. Threads: one owner.
 */
#ifndef LBD_BASE_ARENA_H
#define LBD_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

struct arena_chunk;

struct arena {
    char *at;  /* never NULL, aligned to 8 like end, so what is left is a multiple of 8 */
    char *end; /* of the block that `at` points into */
    struct arena_chunk *chunks; /* newest first */
    char *first;                /* the lent block, may be NULL */
    size_t first_size;
};

/* `first` may be NULL with size 0; it must outlive the arena. */
void arena_init(struct arena *arena, void *first, size_t first_size);
/* Frees every chunk and forgets everything; the arena is then as after arena_init. */
void arena_reset(struct arena *arena);
/* Same as reset; the name for the end of an object's life. */
void arena_fini(struct arena *arena);
/* What arena_alloc does when the current block is full. */
void *arena_alloc_chunk(struct arena *arena, size_t size);
/* Aligned to 8 bytes. Never NULL. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    if (LB_LIKELY(size <= (size_t)(arena->end - arena->at))) {
        void *ptr = arena->at;
        arena->at += (size + 7U) & ~(size_t)7U;
        return ptr;
    }
    return arena_alloc_chunk(arena, size);
}

/* Zeroed. */
static inline void *arena_zero(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

/* A copy of the bytes, not terminated. */
static inline struct slice arena_copy(struct arena *arena, struct slice s)
{
    char *copy = (char *)arena_alloc(arena, s.len);
    if (s.len != 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return slice_of(copy, s.len);
}

/* One after the other, not terminated. */
struct slice arena_join(struct arena *arena, const struct slice *parts, size_t count);
/* A terminated copy. */
char *arena_strdup(struct arena *arena, struct slice s);
/* The text, followed by a NUL that is not counted. */
struct slice arena_printf(struct arena *arena, const char *fmt, ...) LB_PRINTF(2, 3);
/* Bytes held in chunks from malloc. */
size_t arena_chunk_bytes(const struct arena *arena);

#endif
