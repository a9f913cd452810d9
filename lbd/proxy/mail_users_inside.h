/*
 * mail_users_inside - what the files of mail_users share: a user, the table.
 *
 *     mail_users.c           logins and ends of sessions; which server
 *     mail_users_by_hand.c   what operators ask and do
 *     mail_users_table.c     names to users, behind striped locks; what is done to one user
 *
 * A name has a user for each place that it is at; a spot is where all of them are. Whoever has
 * locked it may look at them and change them, and nobody holds two.
 *
 * Memory: see mail_users.h. Threads: any.
 */
#ifndef LBD_PROXY_MAIL_USERS_INSIDE_H
#define LBD_PROXY_MAIL_USERS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lbd/net/slab.h"
#include "lbd/proxy/mail_users.h"

enum mail_user_flag {
    MAIL_USER_PROVED = 1, /* it has been let in: it lingers */
    MAIL_USER_PINNED = 2,
};

struct mail_user {
    struct mail_user *next; /* of the bucket */
    struct place *place;    /* referenced */
    struct place *home;     /* referenced: it failed over from there; NULL: it did not */
    uint64_t last_ms;
    uint32_t hold_ms; /* after last_ms; of a kick delay */
    uint32_t linger_ms;
    uint32_t trying;
    uint32_t kicked; /* of sessions and trying: of an older generation */
    _Atomic uint32_t generation;
    uint32_t pools[MAIL_PROTOCOL_COUNT]; /* id + 1 of the pool it came by last; 0: never */
    uint16_t sessions[MAIL_PROTOCOL_COUNT];
    uint16_t parked;  /* connections in the cache */
    uint16_t leaving; /* of those: of an older generation */
    uint16_t name_len;
    uint8_t flags;
    char name[];
};

enum {
    MAIL_USERS_STRIPES = 64, /* a power of two */
    MAIL_USERS_SLABS = 12,   /* names of up to about 80 bytes; longer ones are malloc's */
};

struct mail_users_stripe {
    pthread_mutex_t lock;
    struct mail_user **buckets;
    uint32_t mask;
    uint32_t swept; /* the bucket where sweeping goes on */
    _Atomic uint32_t count;
} LB_ALIGNED;

struct mail_users {
    _Atomic bool has_kicked; /* a login did, and nobody has asked since */
    _Atomic uint32_t swept;  /* the stripe where mail_users_sweep goes on */
    struct mail_users_stripe stripes[MAIL_USERS_STRIPES];
    pthread_mutex_t memory; /* of the slabs; taken last */
    struct slab slabs[MAIL_USERS_SLABS];
};

/* Of one name, while its lock is held. */
struct mail_users_spot {
    struct mail_users_stripe *stripe;
    struct slice name;
    uint32_t hash;
};

static inline struct place *mail_users_place(const struct pool *pool, uint32_t member)
{
    return pool->members[member].place;
}

/* -- mail_users_table.c: a user, its spot locked -- */

static inline struct slice mail_user_name(const struct mail_user *user)
{
    return slice_of(user->name, user->name_len);
}
/* Sessions and logins. */
static inline uint32_t mail_user_active(const struct mail_user *user)
{
    uint32_t sum = user->trying;
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        sum += user->sessions[i];
    }
    return sum;
}
/* Is anything of it at its place? */
static inline bool mail_user_is_there(const struct mail_user *user)
{
    return user->parked != 0 || mail_user_active(user) != 0;
}
static inline uint64_t mail_user_hold_until(const struct mail_user *user)
{
    return user->hold_ms != 0 ? user->last_ms + user->hold_ms : 0;
}
bool mail_user_is_expired(const struct mail_user *user, uint64_t now_ms);
/* Everyone who is there now must go, and what is parked. How many sessions and logins that were not
 * kicked before. */
uint32_t mail_user_kick(struct mail_user *user);
/* To another place: whoever is at the old one is kicked. */
void mail_user_set_place(struct mail_user *user, struct place *place);
void mail_user_set_home(struct mail_user *user, struct place *home);
/* Likewise; where sessions were kicked nobody gets in for a while. */
void mail_user_move(struct mail_user *user, struct place *place, uint32_t delay_ms,
                    uint64_t now_ms);

/* -- mail_users_table.c -- */

void mail_users_spot_lock(struct mail_users_spot *spot, struct mail_users *users,
                          struct slice name);
void mail_users_spot_unlock(struct mail_users_spot *spot);
/* The next of this name after `user` (NULL: the first). */
struct mail_user *mail_users_next(const struct mail_users_spot *spot, struct mail_user *user);
/* Nobody is there, and nothing is known of it. */
struct mail_user *mail_users_add(struct mail_users *users, const struct mail_users_spot *spot,
                                 struct place *place);
void mail_users_take_out(struct mail_users *users, struct mail_users_stripe *stripe,
                         struct mail_user *user);
/* Forgets who has lingered long enough, in the next bucket. */
void mail_users_sweep_bucket(struct mail_users *users, struct mail_users_stripe *stripe,
                             uint64_t now_ms);
/* Calls fn for the users of one bucket, under its lock; *cursor as in mail_users_walk. How many,
 * and one for the bucket. */
typedef void mail_users_visit_fn(struct mail_user *user, void *arg);
size_t mail_users_visit(struct mail_users *users, uint64_t *cursor, mail_users_visit_fn *fn,
                        void *arg);

/* -- mail_users.c -- */

/* The user of this name whose place is in the pool, and which member that is; of two, one with
 * sessions. */
struct mail_user *mail_users_find(const struct mail_users_spot *spot, const struct pool *pool,
                                  uint32_t *member);
/* Is a user of the wish's name one of the machines of its pool? Its place may not be in the pool:
 * it came by it, and the server has left it since; or by another pool of the same machines, which
 * has one more. */
bool mail_users_is_of(const struct mail_user *user, const struct mail_users_wish *wish);

#endif
