#include "lbd/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_exhausted(size_t size)
{
    (void)fprintf(stderr, "lbd: out of memory (%zu bytes)\n", size);
    abort();
}

void *mem_try(size_t size)
{
    return malloc(size != 0 ? size : 1);
}

void *mem_alloc(size_t size)
{
    void *ptr = mem_try(size);
    if (ptr == NULL) {
        mem_exhausted(size);
    }
    return ptr;
}

void *mem_zero(size_t count, size_t size)
{
    if (count == 0 || size == 0) {
        count = 1;
        size = 1;
    }
    void *ptr = calloc(count, size);
    if (ptr == NULL) {
        mem_exhausted(count > SIZE_MAX / size ? SIZE_MAX : count * size);
    }
    return ptr;
}

void *mem_resize(void *old, size_t size)
{
    void *ptr = realloc(old, size != 0 ? size : 1);
    if (ptr == NULL) {
        mem_exhausted(size);
    }
    return ptr;
}

char *mem_strdup(const char *text)
{
    return mem_slicedup(slice_from(text));
}

char *mem_slicedup(struct slice s)
{
    char *copy = mem_alloc(s.len + 1);
    if (s.len != 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

void *mem_zero_aligned(size_t size)
{
    if (size > SIZE_MAX - LB_CACHE_LINE) {
        mem_exhausted(size);
    }
    /* aligned_alloc wants a multiple of the alignment */
    size_t rounded = (size + LB_CACHE_LINE) / LB_CACHE_LINE * LB_CACHE_LINE;
    void *ptr = aligned_alloc(LB_CACHE_LINE, rounded);
    if (ptr == NULL) {
        mem_exhausted(size);
    }
    memset(ptr, 0, rounded);
    return ptr;
}

void mem_wipe(void *ptr, size_t size)
{
    if (size != 0) {
        explicit_bzero(ptr, size);
    }
}
