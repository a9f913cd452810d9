/*
 * mail_cache_inside - what the files of mail_cache share: entries, claims, the index.
 *
 *     mail_cache.c         logins and ends of sessions; what any thread may ask
 *     mail_cache_index.c   who is parked where, behind striped locks
 *     mail_cache_park.c    the connections' events; from worker to worker
 *
 * An entry is in the index from its login to its end. `is_available` says that it is parked and
 * nobody has claimed it: who takes that away, under the lock, decides what becomes of it. Until the
 * claim has reached the worker that has the connection, that worker may find the connection dead;
 * then the entry stays, as a DEAD one, for the claim.
 *
 * Threads: as noted.
 */
#ifndef LBD_PROXY_MAIL_CACHE_INSIDE_H
#define LBD_PROXY_MAIL_CACHE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lbd/base/list.h"
#include "lbd/mail/imap_park.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/mail_cache_key.h"

enum mail_cache_state {
    MAIL_CACHE_IN_SESSION,
    MAIL_CACHE_CHECKS_IN, /* UNSELECT and NOOP are under way */
    MAIL_CACHE_PARKED,
    MAIL_CACHE_ASKED,      /* parked; a NOOP is under way so that the server does not end it */
    MAIL_CACHE_CHECKS_OUT, /* a NOOP is under way for entry->claim */
    MAIL_CACHE_MOVES,      /* the connection is in a parcel */
    MAIL_CACHE_DEAD,
};

/* How many are parked of one pool. */
struct mail_cache_pool {
    struct mail_cache_pool *next;
    uint32_t id;
    _Atomic uint32_t parked;
};

struct mail_cache_claim;

struct mail_cache_entry {
    struct mail_cache *cache;
    struct mail_cache_key key;
    struct mail_cache_pool *pool;
    struct slice listener;    /* owned */
    struct addr_small client; /* whose login it was */
    uint32_t idle_ttl_ms;     /* this and max_age_ms change under the lock of the index */
    uint32_t max_age_ms;
    uint32_t per_user;
    uint32_t per_pool;
    bool announces;
    bool keeps_mailbox;
    uint64_t expires_us;       /* of the token; 0: it does not say */
    uint64_t logged_in_us;     /* the server saw the secret; 0: not yet */
    uint64_t cost_us;          /* connecting and logging in */
    uint64_t select_us;        /* a SELECT is under way since; 0: none */
    struct slice capabilities; /* owned */

    /* under the lock of the index */
    struct list_node of_user; /* a bucket */
    bool is_available;
    bool is_forgotten;                /* will not be parked */
    struct mail_cache_worker *worker; /* that has the connection */
    struct server *server;            /* of `conn`, referenced; NULL while a session has it */
    uint64_t parked_us;

    /* of that worker */
    enum mail_cache_state state;
    bool has_mailbox;      /* it was parked with one */
    struct mail_seat seat; /* the user is there as long as the connection is */
    struct upstream_conn *conn;
    struct imap_park park;
    struct list_node of_worker; /* in the order of their parking */
    struct mail_cache_claim *claim;
};

/* Who asks for a connection. */
struct mail_cache_wish {
    struct mail_cache_waiter *waiter; /* NULL: nobody waits any more */
    struct mail_cache_entry *into;    /* the session's; with waiter */
    const struct server *server;      /* that it must be to */
    uint64_t asked_us;
};

/* What becomes of an entry that was taken out of the index. */
struct mail_cache_claim {
    struct mailbox_message message;
    struct list_node link; /* mail_cache.claims */
    struct mail_cache_entry *entry;
    struct mail_cache_worker *worker; /* whose session it is for; NULL: it is to be destroyed */
    struct mail_cache_wish wish;      /* of that worker; its alone */
    enum mail_cache_end end;          /* to be destroyed: why */
    bool has_moved;
    struct upstream_parcel parcel;
};

struct mail_cache_worker {
    struct mail_cache *cache;
    struct mailbox *mailbox;
    struct upstream_worker *upstream;
    struct list_node entries; /* that have a connection here */
    uint32_t number;
    bool has_ended;
    mail_cache_settings_fn *settings; /* NULL: what entries began with stays */
    const void *settings_arg;
    struct mail_cache_stats stats; /* slots with one writer */
};

#define MAIL_CACHE_STRIPES 64U
#define MAIL_CACHE_BUCKETS 64U /* of each */

struct mail_cache_stripe {
    pthread_mutex_t lock;
    struct list_node buckets[MAIL_CACHE_BUCKETS];
} LB_ALIGNED;

struct mail_cache {
    struct mail_cache_secret *secret;
    struct mail_users *users; /* borrowed; NULL: nobody has a seat (tests) */
    uint32_t worker_count;
    pthread_mutex_t lock; /* of what follows */
    struct list_node claims;
    struct mail_cache_pool *pools; /* made at the first login of one, kept */
    struct mail_cache_worker **workers;
    struct mail_cache_stripe stripes[MAIL_CACHE_STRIPES];
};

static inline uint64_t mail_cache_now(const struct mail_cache_worker *worker)
{
    return loop_now_us(worker->upstream->loop);
}
/* When it may no longer be used: by its age, and (of a parked one) because nobody came. */
static inline uint64_t mail_cache_old_at(const struct mail_cache_entry *entry)
{
    uint64_t old_us = entry->logged_in_us + entry->max_age_ms * UINT64_C(1000);
    return entry->expires_us != 0 && entry->expires_us < old_us ? entry->expires_us : old_us;
}
static inline uint64_t mail_cache_idle_at(const struct mail_cache_entry *entry)
{
    return entry->parked_us + entry->idle_ttl_ms * UINT64_C(1000);
}
static inline void mail_cache_count_end(struct mail_cache_worker *worker, enum mail_cache_end end)
{
    counter_add(&worker->stats.ends[end], 1);
}

/* -- mail_cache_index.c: any thread -- */

void mail_cache_index_init(struct mail_cache *cache);
void mail_cache_index_fini(struct mail_cache *cache);
/* As one that is with a session. */
void mail_cache_index_add(struct mail_cache_entry *entry);
void mail_cache_index_remove(struct mail_cache_entry *entry);
struct mail_cache_pool *mail_cache_index_pool(struct mail_cache *cache, uint32_t id);
/* Whose it is from here on, and to which server (its reference becomes the entry's). */
void mail_cache_index_own(struct mail_cache_entry *entry, struct mail_cache_worker *worker,
                          struct server *server);
/* The best one for this login to this server, which is the caller's to decide about now; NULL:
 * *miss. */
struct mail_cache_entry *mail_cache_index_claim(struct mail_cache_worker *worker,
                                                const struct mail_cache_entry *login,
                                                const struct server *server,
                                                enum mail_cache_miss *miss);
/* What ends it, of the settings that hold now. */
void mail_cache_index_limit(struct mail_cache_entry *entry, uint32_t idle_ttl_ms,
                            uint32_t max_age_ms);
/* Takes this one, if nobody else has. */
bool mail_cache_index_claim_this(struct mail_cache_entry *entry);
/* It is parked. False: it may not be (*end). *evicted: another one that has to go for it, claimed;
 * NULL: none. */
bool mail_cache_index_park(struct mail_cache_entry *entry, uint64_t now_us,
                           struct mail_cache_entry **evicted, enum mail_cache_end *end);
bool mail_cache_index_is_forgotten(struct mail_cache_entry *entry);
/* Those of the same key and another secret, but for itself. How many connections go. */
uint32_t mail_cache_index_forget_others(struct mail_cache_entry *entry);

/* -- mail_cache_park.c -- */

/* Any thread: its worker destroys it; the caller has claimed it. */
void mail_cache_park_send_away(struct mail_cache_entry *entry, enum mail_cache_end end);
/* The rest: the worker of the entry. A session's connection goes the way in. */
void mail_cache_park_begin(struct mail_cache_entry *entry, bool unselect);
/* Can a claimed one be used as it is? ASK: a NOOP will tell; DEAD: destroy it. */
enum mail_cache_look { MAIL_CACHE_LOOK_READY, MAIL_CACHE_LOOK_ASK, MAIL_CACHE_LOOK_DEAD };
enum mail_cache_look mail_cache_park_look(struct mail_cache_entry *entry);
/* mail_cache_claim_done tells. */
void mail_cache_park_ask(struct mail_cache_entry *entry, struct mail_cache_claim *claim);
/* Asks the worker that has it; mail_cache_claim_arrived tells. */
void mail_cache_park_fetch(struct mail_cache_claim *claim);
/* A claimed one that nobody wants any more. */
void mail_cache_park_put_back(struct mail_cache_entry *entry);
/* Its limits changed. */
void mail_cache_park_look_at_limits(struct mail_cache_entry *entry);
/* A claimed one, or one that is on its way in. */
void mail_cache_park_destroy(struct mail_cache_entry *entry, enum mail_cache_end end);
/* Whether it is claimed or not. */
void mail_cache_park_end(struct mail_cache_entry *entry, enum mail_cache_end end);
/* The connection of a claimed one; the entry is gone. */
struct upstream_conn *mail_cache_park_release(struct mail_cache_entry *entry);

/* -- mail_cache.c -- */

struct mail_cache_claim *mail_cache_claim_new(struct mail_cache *cache,
                                              struct mail_cache_entry *entry);
void mail_cache_claim_free(struct mail_cache *cache, struct mail_cache_claim *claim);
/* The answer to the NOOP: is it alive? */
void mail_cache_claim_done(struct mail_cache_claim *claim, bool is_alive);
/* What mail_cache_park_fetch asked for is here (or DEAD). */
void mail_cache_claim_arrived(struct mail_cache_claim *claim);
/* It gets the settings that its listener has now. False: none, it must not be kept. */
bool mail_cache_entry_renew(struct mail_cache_entry *entry);
/* Frees what is of the entry, and takes it out of the index. */
void mail_cache_entry_drop(struct mail_cache_entry *entry);

#endif
