/*
 * mail_users - which user is at which server, over all workers and protocols.
 *
 * Mail stores break when one user is served by two servers at once. So a user who has a session
 * somewhere gets every further one there too, whatever its protocol, until the last has ended; and
 * for a while after it (linger), because the server may still be writing.
 *
 *     login   --mail_users_enter--> a seat: the user counts as being there from now on
 *               server let it in --mail_users_prove--> a session; too many: it goes again
 *               end              --mail_users_leave--> the last one: lingers, then is forgotten
 *
 *     no seat: WAIT (moved or kicked a moment ago), UNAVAILABLE (its server cannot be used)
 *
 * Where a user is who is nowhere yet: at `wanted` (a map, an entry, a callback said so), else at
 * the first server in rendezvous order of the name.
 *
 *     affinity strict     that server, up or not: mail lies there
 *     affinity failover   not one that has been down for down_for, is drained or has more than its
 *                         share of users (spread); of those that are left, the first in the order
 *
 * Who has a session there stays, whatever the server's state: it may be down by one protocol only.
 * When it has been down for down_for by the pool that all the user's sessions came by, they hang
 * there: with failover its next login by that pool kicks them, and gets in elsewhere when they have
 * ended.
 *
 * A server in drain takes nobody new; who has a session there gets more. A user who failed over
 * goes back when it has no session and its server is up again (failback lazy); kick:
 * mail_users_failback. Who is moved by hand while it has sessions: those are kicked, and until the
 * last one is gone and the kick delay is over it is told to wait.
 *
 * A connection that a session leaves to the cache (mail_cache) keeps its user there as a session
 * does, but for the limit of sessions and for lingering: who goes to another server waits until it
 * is closed.
 *
 *     mail_users_park: a seat of its own --the connection is closed, or a session's again-->
 *         mail_users_leave
 *
 * Pools of one group have the same places (lbd/upstream/place), by the names of their servers. In
 * pools that have no place in common the same name is a user of its own in each. Where pools have
 * some in common and not all (a server was added to one of them first), a user who is at a place
 * that this pool does not have waits until nothing of it is there any more.
 *
 * A name that never got in leaves nothing behind: who guesses names fills no memory.
 *
 * Limits: 65,535 sessions of a user by each protocol. Memory: 83 bytes and the name for each user
 * with a session or lingering, in slabs; forgotten in passing, and by mail_users_sweep. Threads:
 * any; 64 locks by name, each held for a few hundred nanoseconds, at logins and ends only.
 */
#ifndef LBD_PROXY_MAIL_USERS_H
#define LBD_PROXY_MAIL_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"
#include "lbd/upstream/pool.h"

#define MAIL_USERS_KICK_DELAY_MS 2000U  /* moved: so long nobody gets in, sessions or not */
#define MAIL_USERS_MOVED_MS      60000U /* and so long it is known at least, to come again */

struct mail_users;
struct mail_user; /* one user at one place */

struct mail_users *mail_users_new(void);
/* Every seat was left. NULL is fine. */
void mail_users_free(struct mail_users *users);
/* -- a session: its worker -- */

/* That a user is somewhere, as a session holds it. */
struct mail_seat {
    struct mail_user *user; /* NULL: no seat */
    uint32_t generation;    /* of the user's kicks when it came */
    uint8_t protocol;       /* enum mail_protocol */
    bool is_proved;
    bool is_parked;    /* of a kept connection */
    uint8_t mechanism; /* enum mail_mechanism: the holder's to note */
};

struct mail_users_wish {
    struct slice name;       /* normalised */
    const struct pool *pool; /* held by the caller's lease */
    uint32_t wanted;         /* member of the pool; BALANCER_NONE: what the name leads to */
    enum mail_protocol protocol;
    uint64_t now_ms;           /* monotonic */
    struct pool *const *pools; /* all there are: which have machines in common */
    uint32_t pool_count;
};

enum mail_users_answer { MAIL_USERS_IN, MAIL_USERS_WAIT, MAIL_USERS_UNAVAILABLE };

/* IN: *seat, and *member of the pool where to go. WAIT: ask again in *wait_ms; what is parked of
 * the user must be forgotten (mail_cache_forget_user), or it waits until that ends by itself. */
LB_MUST_CHECK enum mail_users_answer mail_users_enter(struct mail_users *users,
                                                      const struct mail_users_wish *wish,
                                                      struct mail_seat *seat, uint32_t *member,
                                                      uint32_t *wait_ms);
/* The server let the user in. False: it has `max` sessions by this protocol already (0: no limit),
 * or was kicked meanwhile; leave. */
LB_MUST_CHECK bool mail_users_prove(struct mail_users *users, struct mail_seat *seat, uint32_t max);
/* A session leaves its connection to the cache: *parked is the connection's seat, beside the
 * session's own. False: none, the user was kicked. A seat of none: true, and *parked is none. */
LB_MUST_CHECK bool mail_users_park(struct mail_users *users, const struct mail_seat *seat,
                                   struct mail_seat *parked);
/* The session, the login or the kept connection has ended. A seat of none is fine; it is one
 * afterwards. */
void mail_users_leave(struct mail_users *users, struct mail_seat *seat, uint64_t now_ms);
/* Was it kicked? Then it ends (CLOSE_USER_KICKED). No lock: for a walk over all sessions. */
bool mail_users_is_kicked(const struct mail_seat *seat);
/* Of a seat; lives as long as it does. */
struct slice mail_users_name(const struct mail_seat *seat);

/* -- control: any thread; `pool` of a snapshot that the caller holds -- */

/* A user at a place. Texts are borrowed for the call. */
struct mail_users_row {
    struct slice name;
    struct slice group;
    struct slice place;                     /* the server's name */
    uint32_t sessions[MAIL_PROTOCOL_COUNT]; /* logged in */
    uint32_t trying;                        /* logging in */
    uint32_t kicked;                        /* of both: kicked and not gone yet */
    uint32_t parked;                        /* connections that wait in the cache */
    uint32_t leaving;                       /* of those: kicked and not closed yet */
    bool is_pinned;                         /* moved by hand */
    bool is_failed_over;                    /* away from `home` because that is down */
    struct slice home;                      /* empty: not failed over */
    uint64_t last_ms;                       /* monotonic: it last came or went */
    uint64_t expires_ms;   /* forgotten then, when nothing happens; 0: has sessions, or
                              connections in the cache */
    uint64_t hold_ms;      /* nobody gets in until then; 0: no hold */
    const uint32_t *pools; /* for mail_users_row_came_by */
};

/* Did the user come by the pool of this id, whatever group that was of then? */
bool mail_users_row_came_by(const struct mail_users_row *row, uint32_t pool_id);

/* Some rows from *cursor on (0 at first), at most about `max`; *cursor is 0 at the end. fn runs
 * under a lock: it copies what it wants and calls nothing here. Users that come or go meanwhile may
 * be missing; none is twice, unless the table grew: who cannot bear that looks at names. */
void mail_users_walk(struct mail_users *users, uint64_t *cursor, size_t max,
                     void (*fn)(const struct mail_users_row *row, void *arg), void *arg);
/* Every place of one user. How many. fn NULL: that only. */
size_t mail_users_look(struct mail_users *users, struct slice name,
                       void (*fn)(const struct mail_users_row *row, void *arg), void *arg);

/* Where the name leads by itself, whatever the state of servers and users. BALANCER_NONE: the pool
 * is empty. */
uint32_t mail_users_hashed(const struct pool *pool, struct slice name);
/* Where it leads when it must not be at this place, among the servers that are usable.
 * BALANCER_NONE: there is no other. */
uint32_t mail_users_elsewhere(const struct pool *pool, struct slice name, struct slice place);
/* The member that is this place. BALANCER_NONE: none. */
uint32_t mail_users_member(const struct pool *pool, struct slice place);
/* Are the pools doors to the same machines, be it one of them? */
bool mail_users_share_machines(const struct pool *a, const struct pool *b);

/* Pins the user to the member that is wanted and kicks the sessions it has elsewhere (*kicked: how
 * many, with logins; NULL is fine); nobody gets in for kick_delay_ms when there were some. The pin
 * lasts as long as the user is known: with sessions, and lingering after them (without any: a
 * minute at least). `if_idle`: only one without sessions. False: not done because of that. Of the
 * wish the protocol counts for nothing. Post a walk over all sessions afterwards
 * (mail_users_is_kicked). */
bool mail_users_move(struct mail_users *users, const struct mail_users_wish *wish,
                     uint32_t kick_delay_ms, bool if_idle, uint32_t *kicked);
/* How many sessions and logins were kicked. The user stays where it is. */
uint32_t mail_users_kick(struct mail_users *users, struct slice name);
/* Undoes a pin; the user stays until its sessions have ended. */
bool mail_users_unpin(struct mail_users *users, struct slice name);
/* Puts a user who is not known here at a member, as after its last session. For imports. False: it
 * is known. */
bool mail_users_put(struct mail_users *users, const struct pool *pool, struct slice name,
                    uint32_t member, uint64_t now_ms);
/* Kicks users whom a failure of this server sent elsewhere, at most `max` of them; they return
 * there with their next login. *cursor as in mail_users_walk. How many. */
uint32_t mail_users_failback(struct mail_users *users, const struct pool *pool, uint32_t member,
                             uint64_t *cursor, uint32_t max, uint64_t now_ms);
/* Forgets who has lingered long enough. Looks at about `max` users, goes on where it was. */
void mail_users_sweep(struct mail_users *users, uint32_t max, uint64_t now_ms);

/* Has a login kicked sessions since the last time somebody asked? Then a walk over all sessions is
 * due (mail_users_is_kicked). */
bool mail_users_take_kicked(struct mail_users *users);

/* Users known now; sums over all locks' parts, read without them. */
size_t mail_users_count(const struct mail_users *users);

#endif
