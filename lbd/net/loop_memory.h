/*
 * loop_memory - where libevent keeps what it knows of each descriptor: 16 bytes, not malloc's 32.
 *
 *     region: | 16 | 16 | 16 | ...   taken from the front; given back: linked, and taken first
 *
 * Larger objects are malloc's, and so are small ones when the region is full.
 *
 * Limits: 2 million small objects. Memory: 32 MiB of address space, of which only what is used is
 * there. Threads: any; a lock, taken when a descriptor is higher than all before it.
 */
#ifndef LBD_NET_LOOP_MEMORY_H
#define LBD_NET_LOOP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define LOOP_MEMORY_SMALL 16U /* bytes of a small object */

/* malloc, realloc and free as libevent calls them. */
void *loop_memory_take(size_t len);
void *loop_memory_resize(void *object, size_t len);
void loop_memory_give(void *object);
/* Before the others; again is fine. */
void loop_memory_init(void);
/* Is it one of the region? */
bool loop_memory_is_small(const void *object);

#endif
