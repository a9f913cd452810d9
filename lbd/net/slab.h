/*
 * slab - objects of one size for one thread, without malloc.
 *
 * Chunks come from mmap, aligned to their own size, so an object finds its chunk by masking. A
 * chunk that is empty goes back to the kernel; one is kept, so that a steady load never maps. Under
 * AddressSanitizer each object is a malloc of its own, so that use after free is seen.
 *
 *     chunk: | header | object | object | ... |      chunks with room are in a list, the newest in
 * front
 *
 * Memory: objects must be given back before slab_fini. Threads: one owner.
 */
#ifndef LBD_NET_SLAB_H
#define LBD_NET_SLAB_H

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
    uint32_t chunks;
    uint32_t objects; /* taken */
};

/* object_bytes is rounded up to 8; chunk_bytes must be a power of two. */
void slab_init(struct slab *slab, size_t object_bytes, size_t chunk_bytes);
void slab_fini(struct slab *slab);
/* Not zeroed. NULL when the kernel has no memory: the caller refuses politely. */
LB_MUST_CHECK void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);

#endif
