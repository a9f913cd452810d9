/*
 * sticky - who is meant by an id that a client brings back: ids to targets.
 *
 *     pool, server --sticky_id, keyed--> 64 bits --sticky_build--> table --sticky_find--> target
 *
 * An id follows from the names of pool and server and a key alone. So it survives restarts and
 * every change of the configuration, a server that comes back finds its clients again, and several
 * lbd with one key agree.
 *
 * Limits: those of a pool. Memory: the caller's arena. Threads: built on control; read on any.
 */
#ifndef LBD_BALANCE_STICKY_H
#define LBD_BALANCE_STICKY_H

#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/slice.h"

#define STICKY_NAMES_MAX 160U /* bytes of both names together */

struct sticky_slot {
    uint64_t id;
    uint32_t target; /* 1 + its index; 0: free */
};

struct sticky {
    const uint64_t *ids; /* per target */
    struct sticky_slot *slots;
    uint32_t mask;
};

uint64_t sticky_id(struct slice pool, struct slice server, const uint64_t key[2]);
/* ids[]: one per target, kept. Of equal ones the first counts. */
void sticky_build(struct sticky *sticky, const uint64_t *ids, uint32_t count, struct arena *arena);
/* Index of the target, or BALANCER_NONE. */
uint32_t sticky_find(const struct sticky *sticky, uint64_t id);

#endif
