/* loop_memory - see loop_memory.h. */
#include "lbd/net/loop_memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)32 * 1024 * 1024)

static struct {
    pthread_mutex_t lock;
    char *base; /* NULL: the kernel gave none */
    size_t used;
    void *given; /* back, linked through their first word */
} region = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *take_small(void)
{
    (void)pthread_mutex_lock(&region.lock);
    void *object = region.given;
    if (object != NULL) {
        region.given = *(void **)object;
    } else if (region.base != NULL && region.used < REGION_BYTES) {
        object = region.base + region.used;
        region.used += LOOP_MEMORY_SMALL;
    }
    (void)pthread_mutex_unlock(&region.lock);
    return object;
}

bool loop_memory_is_small(const void *object)
{
    uintptr_t offset = (uintptr_t)object - (uintptr_t)region.base;
    return region.base != NULL && offset < REGION_BYTES;
}

void *loop_memory_take(size_t len)
{
    void *object = len <= LOOP_MEMORY_SMALL ? take_small() : NULL;
    return object != NULL ? object : malloc(len);
}

void *loop_memory_resize(void *object, size_t len)
{
    if (!loop_memory_is_small(object)) {
        return realloc(object, len);
    }
    if (len <= LOOP_MEMORY_SMALL) {
        return object;
    }
    void *larger = malloc(len);
    if (larger != NULL) {
        memcpy(larger, object, LOOP_MEMORY_SMALL);
        loop_memory_give(object);
    }
    return larger;
}

void loop_memory_give(void *object)
{
    if (!loop_memory_is_small(object)) {
        free(object);
        return;
    }
    (void)pthread_mutex_lock(&region.lock);
    *(void **)object = region.given;
    region.given = object;
    (void)pthread_mutex_unlock(&region.lock);
}

static void map_region(void)
{
    void *map = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED) {
        (void)madvise(map, REGION_BYTES, MADV_NOHUGEPAGE); /* little by little */
        region.base = map;
    }
}

void loop_memory_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, map_region);
}
