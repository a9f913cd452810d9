/*
 * slab - objects of one size for one thread, without malloc.
 *
 * Chunks come from mmap, aligned to their own size, so an object finds its chunk by masking. Chunks
 * that run empty are kept for the next wave; slab_tidy gives back what stood empty all the time
 * since the call before, so a steady load never maps and a burst is returned. Under
 * AddressSanitizer each object is a malloc of its own, so that use after free is seen.
 *
 *     chunk: | header | object | object | ... |      those with room are in a list, empty ones last
 *
 * Memory: objects must be given back before slab_fini. Threads: one owner.
 */
#ifndef LBD_NET_SLAB_H
#define LBD_NET_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/list.h"

struct slab {
    struct list_node partial; /* chunks with room */
    size_t object_bytes;
    size_t chunk_bytes; /* power of two, at least 64 KiB */
    uint32_t per_chunk;
    uint32_t empty_chunks;
    uint32_t empty_low; /* the least since slab_tidy */
    uint32_t chunks;
    uint32_t objects; /* taken */
};

/* object_bytes is rounded up to 8; chunk_bytes must be a power of two. */
void slab_init(struct slab *slab, size_t object_bytes, size_t chunk_bytes);
void slab_fini(struct slab *slab);
/* Not zeroed. NULL when the kernel has no memory: the caller refuses politely. */
LB_MUST_CHECK void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);
/* Gives back to the kernel what nobody needed since the last call. True: there is still something
 * to look at later. */
bool slab_tidy(struct slab *slab);
static inline bool slab_is_tidy(const struct slab *slab)
{
    return slab->empty_chunks == 0;
}

#endif
