/*
 * control_mail - users of mail, from above: who is where, moves, kicks, and those who go by
 * themselves.
 *
 *     move, kick, failover --mail_users--> the user's sessions are marked
 *         --control_mail_kicked--> one walk over all clients ends them (worker/clients)
 *     a server is up again, failback kick: its users come home, some each second
 *     a drain with a mode: users are moved off the place, some at a time
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_MAIL_H
#define LBD_CONTROL_CONTROL_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/control/control.h"
#include "lbd/proxy/mail_answers.h"
#include "lbd/proxy/mail_bans.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/mail_users.h"

struct control_mail;

struct control_mail *control_mail_new(struct control *control);
void control_mail_free(struct control_mail *mail); /* NULL is fine */
/* The workers run: their tables are there. */
void control_mail_start(struct control *control);

/* Of the workers; NULL before they run and after their end. */
struct mail_users *control_mail_users(const struct control *control);
struct mail_bans *control_mail_bans(const struct control *control);
struct mail_answers *control_mail_answers(const struct control *control);

/* Sessions were marked: ends them. Several calls make one walk. */
void control_mail_kicked(struct control *control);
/* A server became usable: users whom its failure sent elsewhere come home, where the pool wants
 * that. */
void control_mail_server_up(struct control *control, struct slice pool, struct slice server);

/* Where the user goes by this listener; false: it speaks no mail, or the name is none for it. The
 * snapshot's; until the loop turns. */
struct control_mail_route {
    struct slice listener;
    struct mail_name name; /* normalised */
    struct mail_route route;
    bool has_callback;
    struct slice hashed; /* the server that the name leads to; empty: no pool */
    struct slice server; /* where it goes when it is nowhere; empty: no pool */
};
LB_MUST_CHECK bool control_mail_route(const struct control *control, uint32_t plan,
                                      struct slice user, struct control_mail_route *out);
/* The user that an operator means: of `user` as it stands, where a listener makes this name, and as
 * the listeners of mail make names of it, the first that is known (sessions, lingering, moved);
 * when none is, what the first listener makes of it, or `user`. It lies in *made or in `user`. */
struct slice control_mail_name(const struct control *control, struct slice user,
                               struct mail_name *made);
/* The mailbox of that user, as the table and the cache know it: another when an entry or a map has
 * a login_user for it, or a callback, whose answer is kept, has renamed it. It lies in *made or in
 * `name`. */
struct slice control_mail_mailbox(const struct control *control, struct slice name,
                                  struct mail_name *made);
/* What listeners make of a name in a list: those whose default_pool this is, or that ask this map;
 * where there are none, all of mail. DIFFERENT: not all make the same, and *made is `user`. NONE:
 * it is a name for none of them. */
enum control_mail_making { CONTROL_MAIL_MADE, CONTROL_MAIL_DIFFERENT, CONTROL_MAIL_NONE };
LB_MUST_CHECK enum control_mail_making control_mail_make(const struct control *control,
                                                         struct slice pool, struct slice map,
                                                         struct slice user, struct mail_name *made);
/* Do all listeners that ask this map, and there are some, keep the case of names? */
bool control_mail_map_keeps_case(const struct control *control, struct slice map);
/* A pool of the newest snapshot; until the loop turns. NULL: none. */
struct pool *control_mail_pool(const struct control *control, struct slice name);
/* How many plans there are to ask. */
uint32_t control_mail_plans(const struct control *control);

/* Puts the user on a server: of `pool`, or (empty) of the pool where its listeners send it. False:
 * *err (ERR_NOT_FOUND: no such pool or server). *kicked: sessions that end now. */
LB_MUST_CHECK bool control_mail_move(struct control *control, struct slice user, struct slice pool,
                                     struct slice server, uint32_t kick_delay_ms, uint32_t *kicked,
                                     struct err *err);
/* How many sessions end now; what control_mail_purge ends goes, too. */
uint32_t control_mail_kick(struct control *control, struct slice user);
/* Forgets what is kept of a user: connections, and answers of callbacks, also those that gave
 * another user the same mailbox. */
struct control_mail_purged {
    uint32_t connections;
    uint32_t answers;
};
struct control_mail_purged control_mail_purge(struct control *control, struct slice user);

/* -- drains that move users off -- */

enum control_mail_mode { CONTROL_MAIL_SLOW, CONTROL_MAIL_FLUSH };

struct control_mail_drain_wish {
    struct slice pool;
    struct slice server;
    enum control_mail_mode mode;
    uint32_t over_ms;      /* all are moved within */
    uint32_t max_parallel; /* users that are kicked and not gone yet */
};

struct control_mail_drain {
    struct slice pool;
    struct slice server; /* the place */
    enum control_mail_mode mode;
    uint64_t started_wall_us;
    uint32_t over_ms;
    uint32_t max_parallel;
    uint32_t users; /* there at the start */
    uint32_t moved;
    uint32_t remaining; /* there when it was looked at last */
    uint32_t stuck;     /* that nobody else can take */
    bool is_done;
};

/* False: *err (ERR_NOT_FOUND; ERR_CONFLICT: it takes new users, drain it first). One that runs
 * there is replaced. */
LB_MUST_CHECK bool control_mail_drain(struct control *control,
                                      const struct control_mail_drain_wish *wish, struct err *err);
/* False: none runs there. */
bool control_mail_drain_cancel(struct control *control, struct slice pool, struct slice server);
/* The one that runs or ran last at this server. False: none. */
LB_MUST_CHECK bool control_mail_drain_look(const struct control *control, struct slice pool,
                                           struct slice server, struct control_mail_drain *out);

#endif
