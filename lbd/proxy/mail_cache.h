/*
 * mail_cache - logged-in IMAP connections that wait for the next login of the same user.
 *
 * A webmail logs in for every click. What it leaves behind clean (imap_track, imap_park) is kept,
 * and the next login with the same name, password and way is given it: no connecting, no TLS, no
 * authentication (MAIL.md 4.8).
 *
 *     login --mail_cache_entry_new--> entry
 *         --mail_cache_take--> HIT: a connection; or MISS: log in, then mail_cache_logged_in
 *     session: imap_track, mail_cache_note
 *     its end --mail_cache_offer--> UNSELECT + NOOP --> parked on this worker, watched
 *                                       '--> destroyed: anything but two OKs
 *
 *     key       listener, pool, login, authzid, kind of credential, what the server was told of the
 *               client's address
 *     verifier  HMAC-SHA256 under a key of this process over those and the secret; the secret
 *               itself is nowhere. Of another secret: a miss, and the parked ones stay what they
 *               are, until the server lets that secret in: then they are destroyed.
 *
 * Whoever throttles logins asks before it takes: a hit says that a password is right.
 *
 * A parked connection is one worker's, and so are its events; the index over all workers, behind
 * striped locks (taken at logins and ends only), says whose. A login on another worker takes the
 * entry out of the index, asks its worker for it, and gets descriptor and TLS session by message:
 * whoever takes an entry out of the index, and nobody else, may say what becomes of it.
 *
 * A parked connection has a seat of its own in the users' table until it is closed for good, so
 * that nobody is let in at another server meanwhile (mail_users). A server that is told LOGOUT has
 * a few seconds to close; then we do.
 *
 * A hit is no proof that the password still holds: max_age bounds the time since a
 * server saw it, tokens go with their `exp`, and mail_cache_forget_user forgets.
 * Settings that change reach what is parked already: what the listener of a connection no longer
 * allows is destroyed with the snapshot, and of max_age and idle_ttl the shorter counts, of who
 * left it or who asks.
 *
 * Limits: per_user (the least recently used goes), per_pool over all workers. Memory:
 * about 500 bytes each beside the connection, from the heap. Threads: as noted.
 */
#ifndef LBD_PROXY_MAIL_CACHE_H
#define LBD_PROXY_MAIL_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/mailbox.h"
#include "lbd/base/slice.h"
#include "lbd/mail/imap_track.h"
#include "lbd/mail/mail_protocol.h"
#include "lbd/proxy/mail_users.h"
#include "lbd/stats/histogram.h"
#include "lbd/upstream/upstream_conn.h"

struct mail_cache;        /* of the process */
struct mail_cache_worker; /* what a worker keeps of it */
struct mail_cache_entry;  /* one login, and the connection that it left */

/* -- the process: control thread; workers not yet, or no longer running -- */

/* NULL: *err. `users`, whose seats sessions have, outlives it. */
LB_MUST_CHECK struct mail_cache *mail_cache_new(uint32_t workers, struct mail_users *users,
                                                struct err *err);
/* After mail_cache_worker_end of each worker and the end of its thread. */
void mail_cache_free(struct mail_cache *cache);
/* The part of worker `number`; `mailbox`: that worker's. */
struct mail_cache_worker *mail_cache_worker_new(struct mail_cache *cache, uint32_t number,
                                                struct mailbox *mailbox,
                                                struct upstream_worker *upstream);
struct mail_cache *mail_cache_of(const struct mail_cache_worker *worker);

/* -- a session: its worker -- */

/* Who logs in. Borrowed for the call. */
struct mail_cache_login {
    const struct conf_mail_cache *conf;
    struct slice group; /* the listener's name */
    const struct pool *pool;
    struct slice user;    /* normalised: whom the users table and mail_cache_forget_user name */
    struct slice login;   /* as it goes to the server */
    struct slice authzid; /* likewise; empty: none */
    struct slice secret;  /* password or token, as struct mail_login has it */
    struct slice origin;  /* the address that the server is told for the client (ID, PROXY header);
                             empty: none. Of another one: a miss */
    const struct addr_small
        *client; /* whom `clients` must have as long as something is kept; NULL: none
                  */
    enum mail_mechanism mechanism;
};

/* Made when the login is known and throttling has let it pass. */
struct mail_cache_entry *mail_cache_entry_new(struct mail_cache_worker *worker,
                                              const struct mail_cache_login *login);
/* NULL is fine. The session ends and offers nothing. */
void mail_cache_entry_free(struct mail_cache_entry *entry);

enum mail_cache_answer { MAIL_CACHE_HIT, MAIL_CACHE_PENDING, MAIL_CACHE_MISS };

/* The connection that a hit gives; its events are the caller's, nothing of the server waits unread
 * that the client should see. */
struct mail_cache_hit {
    struct upstream_conn *conn;
    struct slice capabilities; /* of the server after its login; until the entry's end */
    bool has_mailbox;          /* selected by the session that left it: mail_tracked_inherit */
    struct slice untagged;     /* whole lines for the client, before the answer to its login */
};

/* The caller's until fn was called or mail_cache_cancel. */
struct mail_cache_waiter {
    /* hit NULL: a miss. The waiter is nobody's any more. */
    void (*fn)(struct mail_cache_waiter *waiter, const struct mail_cache_hit *hit);
    void *claim; /* mail_cache's */
};

/* A connection that this login may use, to this very server (where the user belongs now). HIT:
 * *hit. PENDING: waiter->fn comes, within a second or two. */
LB_MUST_CHECK enum mail_cache_answer mail_cache_take(struct mail_cache_worker *worker,
                                                     struct mail_cache_entry *entry,
                                                     const struct server *server,
                                                     struct mail_cache_waiter *waiter,
                                                     struct mail_cache_hit *hit);
/* Nobody waits any more. Nothing happens when nobody did. */
void mail_cache_cancel(struct mail_cache_waiter *waiter);

/* After a miss, when the server let the user in. `capabilities`: its newest list, as words.
 * Connections of the same key with another secret are destroyed. */
void mail_cache_logged_in(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                          struct slice capabilities, uint64_t connect_us, uint64_t login_us);

/* Counts what SELECTs cost. After bytes of either side were fed, when track->news is not 0. */
void mail_cache_note(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                     struct imap_track *track);

/* The session, which has `seat`, ended. True: connection and entry are the cache's, whatever
 * becomes of them; false: both are still the caller's. `conn`: nothing of it waits to be sent, and
 * what the server sent was fed to `track`. Of a client that vanished as well as after LOGOUT. */
LB_MUST_CHECK bool mail_cache_offer(struct mail_cache_worker *worker,
                                    struct mail_cache_entry *entry, struct upstream_conn *conn,
                                    const struct imap_track *track, const struct mail_seat *seat);

/* What logins of this client by this listener may do now; NULL: no cache. */
typedef const struct conf_mail_cache *mail_cache_settings_fn(const void *arg, struct slice listener,
                                                             const struct addr_small *client);
/* Where settings are from here on; until the next call, `arg` must last. */
void mail_cache_set_settings(struct mail_cache_worker *worker, mail_cache_settings_fn *fn,
                             const void *arg);
/* Destroys what is parked here with servers that are not to be used any more, or by settings that
 * do not allow it any more. After a snapshot was adopted. */
void mail_cache_sweep(struct mail_cache_worker *worker);
/* Destroys everything, at the worker's end; takes and offers nothing any more. */
void mail_cache_worker_end(struct mail_cache_worker *worker);

/* -- any thread -- */

/* How many were taken out of the index; each is destroyed by its worker soon after, and is given to
 * nobody from here on. */
uint32_t mail_cache_forget_user(struct mail_cache *cache, struct slice user);
uint32_t mail_cache_forget_server(struct mail_cache *cache, const struct server *server);
uint32_t mail_cache_forget_all(struct mail_cache *cache);

enum mail_cache_miss {
    MAIL_CACHE_MISS_NONE,   /* nothing of this key is parked */
    MAIL_CACHE_MISS_SECRET, /* but of another secret */
    MAIL_CACHE_MISS_AGE,    /* too old */
    MAIL_CACHE_MISS_SERVER, /* the user's server is another now */
    MAIL_CACHE_MISS_DEAD,   /* it did not answer any more */
    MAIL_CACHE_MISS_COUNT
};
const char *mail_cache_miss_word(enum mail_cache_miss miss);

/* Why a connection was not parked, or is no longer. */
enum mail_cache_end {
    MAIL_CACHE_END_OUTSTANDING, /* commands without an answer */
    MAIL_CACHE_END_STICKY,      /* a state that cannot be undone */
    MAIL_CACHE_END_OPAQUE,      /* nobody can tell what state it is in */
    MAIL_CACHE_END_BYE,         /* the server ended it */
    MAIL_CACHE_END_MAILBOX,     /* selected, and the server has no UNSELECT */
    MAIL_CACHE_END_BARRIER,     /* UNSELECT and NOOP were not answered as they should */
    MAIL_CACHE_END_SPOKE,       /* while parked: what was not to be discarded, or too much */
    MAIL_CACHE_END_IDLE,        /* nobody came back */
    MAIL_CACHE_END_AGE,         /* max_age, or the token's end */
    MAIL_CACHE_END_LIMIT,       /* per_user, per_pool */
    MAIL_CACHE_END_SERVER,      /* its server is not to be used any more */
    MAIL_CACHE_END_FORGOTTEN,   /* by mail_cache_forget_*, or another secret was let in */
    MAIL_CACHE_END_COUNT
};
const char *mail_cache_end_word(enum mail_cache_end end);

struct mail_cache_stats {
    uint64_t hits;
    uint64_t moved; /* of them: from another worker */
    uint64_t misses[MAIL_CACHE_MISS_COUNT];
    uint64_t ends[MAIL_CACHE_END_COUNT];
    uint64_t offered;
    uint64_t parked;
    uint64_t parked_now;
    uint64_t saved_us;                 /* connecting and logging in, that hits made needless */
    struct histogram_duration connect; /* of real logins: the way to the server */
    struct histogram_duration login;   /* likewise: from there until the user was in */
    struct histogram_duration select;  /* from SELECT or EXAMINE to its answer */
    struct histogram_duration hit;     /* from asking the cache to having a connection */
};
/* The sum over all workers. */
void mail_cache_stats(struct mail_cache *cache, struct mail_cache_stats *out);

#endif
