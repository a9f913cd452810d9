/*
 * lease - a worker's counted handle on a shared frozen thing; the last one out releases.
 *
 * One lease per worker lives in the shared thing. On the path of a request holding and dropping are
 * plain additions: no atomics. The owner retires it (on the worker's own thread, by message) and
 * `released` is called there as soon as the count is 0.
 *
 *     worker adopts A: lease_take   exchange starts: lease_hold   exchange ends: lease_drop
 *     worker adopts B: lease_retire(A) -> released(A) now or at the last drop
 *
 * Threads: the worker it belongs to.
 */
#ifndef LBD_BASE_LEASE_H
#define LBD_BASE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

struct lease {
    uint32_t count;
    bool retired;
    void (*released)(struct lease *lease);
    void *arg; /* for `released` */
} LB_ALIGNED;

static inline void lease_init(struct lease *lease, void (*released)(struct lease *lease), void *arg)
{
    lease->arg = arg;
    lease->count = 0;
    lease->retired = false;
    lease->released = released;
}

static inline void lease_hold(struct lease *lease)
{
    lease->count++;
}

static inline void lease_drop(struct lease *lease)
{
    assert(lease->count > 0);
    if (--lease->count == 0 && LB_UNLIKELY(lease->retired)) {
        lease->released(lease);
    }
}

static inline void lease_retire(struct lease *lease)
{
    lease->retired = true;
    if (lease->count == 0) {
        lease->released(lease);
    }
}

#endif
