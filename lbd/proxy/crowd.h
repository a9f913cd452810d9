/*
 * crowd - how many connections of each address are there that have not logged in, over all workers.
 *
 * An address is an IPv4 address or an IPv6 network of 64 bits, which is what one customer has. Unix
 * sockets are nobody's.
 *
 * Memory: 24 bytes for each address that has one, at most half full. Threads: any; 16 locks by
 * address, each held for a few hundred nanoseconds.
 */
#ifndef LBD_PROXY_CROWD_H
#define LBD_PROXY_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"

struct crowd;

struct crowd *crowd_new(void);
/* NULL is fine. */
void crowd_free(struct crowd *crowd);
/* False: there are `max` already (0: no limit), and this one is not counted. */
LB_MUST_CHECK bool crowd_join(struct crowd *crowd, const struct addr_small *address, uint32_t max);
/* One that was counted goes. */
void crowd_leave(struct crowd *crowd, const struct addr_small *address);
/* How many there are of it. */
uint32_t crowd_count(struct crowd *crowd, const struct addr_small *address);

#endif
