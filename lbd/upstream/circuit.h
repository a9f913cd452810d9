/*
 * circuit - limits of a whole pool, over all workers: what is above is refused at once.
 *
 *     requests      at servers (one that is tried again is one request)
 *     connections   in use or being opened; idle ones do not count
 *     pending       being opened
 *     retries       second and later tries under way
 *
 * Nothing is counted for this: every worker counts for itself what it begins and ends in the pool's
 * block (stats/counters), and who asks for one more adds those up. So a limit can come and go
 * without anything being lost, and it may be passed by one for each further worker that asks at the
 * same moment.
 *
 * Memory: none. Threads: workers; costs a branch where there is no limit.
 */
#ifndef LBD_UPSTREAM_CIRCUIT_H
#define LBD_UPSTREAM_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/stats/counters.h"

enum circuit_kind {
    CIRCUIT_REQUESTS,
    CIRCUIT_CONNECTIONS,
    CIRCUIT_PENDING,
    CIRCUIT_RETRIES,
    CIRCUIT_KINDS
};

struct circuit {
    uint32_t max[CIRCUIT_KINDS]; /* 0: no limit */
};

/* How many there are now. */
uint64_t circuit_used(uint32_t pool_id, enum circuit_kind kind);
/* Is that, `ending` less, below the limit? Counts a refusal in the worker's own block, unless that
 * is NULL. */
LB_MUST_CHECK bool circuit_has_room(const struct circuit *circuit, struct counters_worker *own,
                                    uint32_t pool_id, enum circuit_kind kind, uint32_t ending);
/* May there be one more, while `ending` of its own are about to end? */
LB_MUST_CHECK static inline bool circuit_admits_beside(const struct circuit *circuit,
                                                       struct counters_worker *own,
                                                       uint32_t pool_id, enum circuit_kind kind,
                                                       uint32_t ending)
{
    return LB_LIKELY(circuit->max[kind] == 0) ||
           circuit_has_room(circuit, own, pool_id, kind, ending);
}

LB_MUST_CHECK static inline bool circuit_admits(const struct circuit *circuit,
                                                struct counters_worker *own, uint32_t pool_id,
                                                enum circuit_kind kind)
{
    return circuit_admits_beside(circuit, own, pool_id, kind, 0);
}

#endif
