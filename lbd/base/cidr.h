/*
 * cidr - networks, and sets of them: is this address in one of mine?
 *
 * "10.0.0.0/8", "2001:db8::/32"; an address alone is a network of one; the word "unix" stands for
 * every local peer. What lies behind the prefix must be zero: "10.0.0.1/8" is more likely a mistake
 * than a network. IPv4 in IPv6's clothes (::ffff:10.0.0.0/104) is IPv4; an IPv6 network never
 * contains an IPv4 address, not even ::/0.
 *
 * A set is sorted and holds no network inside another, so a look-up is one binary search.
 *
 * Memory: a set lives in the arena it was built in, frozen. Threads: any.
 */
#ifndef LBD_BASE_CIDR_H
#define LBD_BASE_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

struct cidr {
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;   /* of `ip`: 96 more than written for IPv4 */
    bool is_v6;
};

struct cidr_set {
    const struct cidr *list; /* sorted, disjoint */
    uint32_t count;
    bool has_unix;
};

/* A network without "unix". */
LB_MUST_CHECK bool cidr_parse(struct slice text, struct cidr *out);
bool cidr_has(const struct cidr *cidr, const struct addr_small *address);
/* Of texts that cidr_parse takes, or "unix"; others are left out and make it false. */
bool cidr_set_build(struct cidr_set *set, struct arena *arena, const struct slice *texts,
                    uint32_t count);
bool cidr_set_has(const struct cidr_set *set, const struct addr_small *address);
static inline bool cidr_set_is_empty(const struct cidr_set *set)
{
    return set->count == 0 && !set->has_unix;
}

#endif
