/*
 * mem - memory that is there or the process is not.
 *
 * Allocation never returns NULL: running out of memory ends the process with a message, so no
 * caller has branches that no test can reach. What must be able to refuse politely (a new
 * connection, exchange or configuration) asks mem_try.
 *
 * Threads: any. Not on the path of a request.
 */
#ifndef LBD_BASE_MEM_H
#define LBD_BASE_MEM_H

#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

LB_MUST_CHECK void *mem_alloc(size_t size);
/* count * size zeroed bytes; an overflow of the product ends the process. */
LB_MUST_CHECK void *mem_zero(size_t count, size_t size);
LB_MUST_CHECK void *mem_resize(void *old, size_t size);
LB_MUST_CHECK char *mem_strdup(const char *text);
/* A terminated copy of the slice. */
LB_MUST_CHECK char *mem_slicedup(struct slice s);
/* Like mem_alloc, but NULL when there is none. */
LB_MUST_CHECK void *mem_try(size_t size);
/* Zeroed and aligned to a cache line; freed with free(). */
LB_MUST_CHECK void *mem_zero_aligned(size_t size);
/* For other allocators: there is none of this size. */
LB_COLD _Noreturn void mem_exhausted(size_t size);
/* Overwrites secrets in a way the compiler keeps. */
void mem_wipe(void *ptr, size_t size);

#endif
