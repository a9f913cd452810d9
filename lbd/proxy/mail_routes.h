/*
 * mail_routes - where the users of a mail listener go, as its plan has it: compiled, frozen.
 *
 *     user, normalised --> mail_users of the document --> maps in order --> callback --> default
 * pool
 *
 * Of pools only names stand in maps; mail_routes_pool finds them in the snapshot.
 *
 * Memory: the snapshot's arena; what maps and callbacks hold is dropped by mail_routes_fini.
 * Threads: built on control; read by any.
 */
#ifndef LBD_PROXY_MAIL_ROUTES_H
#define LBD_PROXY_MAIL_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_map.h"
#include "lbd/mail/mail_name.h"
#include "lbd/mail/mail_protocol.h"
#include "lbd/proxy/mail_bans.h"
#include "lbd/upstream/pool.h"

struct mail_callback;

struct mail_routes {
    enum mail_protocol protocol;
    struct mail_name_rules rules;
    const struct pool *pool;   /* default_pool; NULL: none */
    struct pool *const *pools; /* of the snapshot, sorted by name */
    uint32_t pool_count;
    const struct conf *conf; /* for mail_users */
    const struct mail_map **maps;
    uint32_t map_count;
    const struct mail_callback *callback; /* NULL: none */
    bool asks_certificate;                /* of clients: the callback is told */
    uint32_t sessions_per_user;           /* 0: no limit */
    struct mail_bans_limits bans;
};

/* NULL: there is none. */
const struct pool *mail_routes_pool(const struct mail_routes *routes, struct slice name);

/* Where the document sends a user. */
struct mail_route {
    const struct pool *pool; /* NULL: nobody says, or its pool is gone */
    uint32_t member;         /* BALANCER_NONE: what the name leads to */
    struct mail_name login;  /* at the server; len 0: as the client said */
    uint32_t sessions;       /* at once; 0: no limit */
    bool is_disabled;
    bool is_known;    /* an entry of mail_users or of a map speaks for it */
    const char *by;   /* "user", "map", "default": for explain */
    struct slice map; /* its name; empty: none */
};

/* mail_users and maps, else the default pool; the callback is not asked. False: the name at the
 * server would be too long or empty. */
LB_MUST_CHECK bool mail_routes_find(const struct mail_routes *routes, const struct mail_name *name,
                                    struct mail_route *route);
/* Whose mailbox it is, as mail_users knows it: two names that servers are shown as one are one
 * user. False: the name at the server is none. */
LB_MUST_CHECK bool mail_routes_mailbox(const struct mail_routes *routes,
                                       const struct mail_name *name, const struct mail_route *route,
                                       struct mail_name *mailbox);

#endif
