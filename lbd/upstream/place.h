/*
 * place - where users are at home: a machine with mail, which pools know by a door each.
 *
 * A machine with IMAP, POP3 and submission has a port for each, so three pools name it, each with a
 * server "b1" of its own. In pools of one group (pool.mail.group) these are one place, and a user
 * who is there by IMAP is there by POP3 (lbd/proxy/mail_users). It counts how many users belong
 * there, so that new ones are spread.
 *
 * Memory: counted; the registry holds one for each group and name, each pool that has it and each
 * user's entry another. Threads: any; made on control.
 */
#ifndef LBD_UPSTREAM_PLACE_H
#define LBD_UPSTREAM_PLACE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lbd/base/slice.h"

struct place {
    _Atomic uint32_t refs;
    _Atomic uint32_t users;  /* that belong there, with or without sessions */
    _Atomic uint64_t spills; /* new users that went past it, because it had its share */
    uint64_t seed;           /* of rendezvous: follows from the server's name alone */
    struct slice group;      /* both lie in `text` */
    struct slice name;       /* of the servers */
    char text[];
};

/* refs = 1. */
struct place *place_new(struct slice group, struct slice name);
struct place *place_ref(struct place *place);
/* Frees with the last; NULL is fine. */
void place_unref(struct place *place);

static inline uint64_t place_spills(const struct place *place)
{
    return atomic_load_explicit(&place->spills, memory_order_relaxed);
}
static inline uint32_t place_users(const struct place *place)
{
    return atomic_load_explicit(&place->users, memory_order_relaxed);
}

#endif
