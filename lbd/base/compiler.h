/*
 * compiler - the few words we add to C.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_COMPILER_H
#define LBD_BASE_COMPILER_H

#include <assert.h>
#include <stddef.h>

#define LB_MUST_CHECK          __attribute__((warn_unused_result))
#define LB_PRINTF(fmt, args)   __attribute__((format(printf, fmt, args)))
#define LB_COLD                __attribute__((cold))
#define LB_INLINE              inline __attribute__((always_inline)) /* though it has two callers */
#define LB_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define LB_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* One cache line: what one thread writes often keeps this distance from what others read. */
#define LB_CACHE_LINE 64
#define LB_ALIGNED    __attribute__((aligned(LB_CACHE_LINE)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The object that holds `member` at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
