/*
 * shared_text - a short text that any thread may write and any may read, without a lock and without
 * a wait: what a worker has to say to whoever looks later.
 *
 * Two who write at once write one of the two; one who reads meanwhile gets the whole of one text,
 * or nothing.
 *
 * Limits: SHARED_TEXT_MAX bytes, the rest is cut off. Memory: in place; zeroed: there is none.
 * Threads: any.
 */
#ifndef LBD_BASE_SHARED_TEXT_H
#define LBD_BASE_SHARED_TEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define SHARED_TEXT_WORDS 15U
#define SHARED_TEXT_MAX   (SHARED_TEXT_WORDS * 8U)

struct shared_text {
    _Atomic uint32_t turn; /* odd: it is being written */
    _Atomic uint32_t len;
    _Atomic uint64_t words[SHARED_TEXT_WORDS];
};

/* False: somebody else is writing one, which stands. */
bool shared_text_write(struct shared_text *shared, struct slice text);
/* Returns its length; 0: there is none, or it was changed each time. */
LB_MUST_CHECK size_t shared_text_read(const struct shared_text *shared, char out[SHARED_TEXT_MAX]);

#endif
