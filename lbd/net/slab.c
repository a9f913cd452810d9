/* slab - see slab.h. */
#include "lbd/net/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

struct chunk {
    struct list_node link; /* in slab->partial while it has room */
    void *free;            /* given-back objects, linked through their first word */
    uint32_t fresh;        /* objects never taken start here */
    uint32_t taken;
};

#define CHUNK_HEADER LB_CACHE_LINE

_Static_assert(sizeof(struct chunk) <= CHUNK_HEADER, "the chunk header fits its cache line");

void slab_init(struct slab *slab, size_t object_bytes, size_t chunk_bytes)
{
    assert((chunk_bytes & (chunk_bytes - 1)) == 0);
    *slab = (struct slab){0};
    list_init(&slab->partial);
    slab->object_bytes = (object_bytes + 7) & ~(size_t)7;
    slab->chunk_bytes = chunk_bytes;
    slab->per_chunk = (uint32_t)((chunk_bytes - CHUNK_HEADER) / slab->object_bytes);
    assert(slab->per_chunk > 0);
}

#ifdef __SANITIZE_ADDRESS__

void slab_fini(struct slab *slab)
{
    assert(slab->objects == 0);
}

void *slab_take(struct slab *slab)
{
    void *object = malloc(slab->object_bytes);
    if (object != NULL) {
        slab->objects++;
    }
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    slab->objects--;
    free(object);
}

bool slab_tidy(struct slab *slab)
{
    (void)slab;
    return false;
}

#else

/* Maps twice the size and cuts off what is not aligned. */
static void *map_aligned(size_t size)
{
    char *map = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    size_t before = (size - ((uintptr_t)map & (size - 1))) & (size - 1);
    if (before > 0) {
        (void)munmap(map, before);
    }
    (void)munmap(map + before + size, size - before);
    return map + before;
}

static struct chunk *chunk_of(const struct slab *slab, void *object)
{
    uintptr_t offset = (uintptr_t)object & (slab->chunk_bytes - 1);
    return (struct chunk *)(void *)((char *)object - offset);
}

void slab_fini(struct slab *slab)
{
    assert(slab->objects == 0);
    struct list_node *node;
    while ((node = list_pop_front(&slab->partial)) != NULL) {
        (void)munmap(list_entry(node, struct chunk, link), slab->chunk_bytes);
    }
}

void *slab_take(struct slab *slab)
{
    struct list_node *node = list_first(&slab->partial);
    struct chunk *chunk;
    if (LB_LIKELY(node != NULL)) {
        chunk = list_entry(node, struct chunk, link);
    } else {
        chunk = map_aligned(slab->chunk_bytes);
        if (chunk == NULL) {
            return NULL;
        }
        list_push_front(&slab->partial, &chunk->link);
        slab->chunks++;
        slab->empty_chunks++;
    }
    if (chunk->taken == 0 && --slab->empty_chunks < slab->empty_low) {
        slab->empty_low = slab->empty_chunks;
    }
    void *object = chunk->free;
    if (object != NULL) {
        chunk->free = *(void **)object;
    } else {
        object = (char *)chunk + CHUNK_HEADER + (size_t)chunk->fresh * slab->object_bytes;
        chunk->fresh++;
    }
    if (++chunk->taken == slab->per_chunk) {
        list_remove(&chunk->link);
    }
    slab->objects++;
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    struct chunk *chunk = chunk_of(slab, object);
    *(void **)object = chunk->free;
    chunk->free = object;
    slab->objects--;
    if (chunk->taken-- == slab->per_chunk) {
        list_push_front(&slab->partial, &chunk->link);
    }
    if (chunk->taken == 0) {
        slab->empty_chunks++;
        list_remove(&chunk->link);
        list_push_back(&slab->partial, &chunk->link);
    }
}

bool slab_tidy(struct slab *slab)
{
    for (; slab->empty_low > 0; slab->empty_low--) {
        struct chunk *chunk = list_entry(slab->partial.prev, struct chunk, link);
        list_remove(&chunk->link);
        (void)munmap(chunk, slab->chunk_bytes);
        slab->chunks--;
        slab->empty_chunks--;
    }
    slab->empty_low = slab->empty_chunks;
    return slab->empty_chunks > 0;
}

#endif
