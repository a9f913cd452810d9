/*
 * control_resolve - where the names in servers' addresses are now.
 *
 *     control_commit --apply--> names --net/resolve, every 30 s--> first address --changed()-->
 *
 * Each name is asked once, however many servers use it: at once when it is new, then every 30 s. A
 * name that does not resolve keeps the last known address; without one its servers are unresolved,
 * a state and not a failure. Literal addresses and unix sockets are none of its business.
 *
 * Limits: 64 questions at once. Memory: copies of names. Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_RESOLVE_H
#define LBD_CONTROL_CONTROL_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/net/loop.h"

#define CONTROL_RESOLVE_EVERY_MS 30000
#define CONTROL_RESOLVE_MAX      64 /* questions at once */

struct control_resolve;

struct control_resolve_options {
    struct loop *loop;             /* borrowed: control's */
    const struct slice *resolvers; /* "ip:port"; borrowed for the call of _new */
    uint32_t resolver_count;       /* 0: the system's */
    /* The server is at `address` now. Also called from _apply for names that are known already. */
    void (*changed)(struct slice pool, struct slice server, const struct addr *address, void *arg);
    void *arg;
    uint32_t every_ms; /* 0: CONTROL_RESOLVE_EVERY_MS */
};

/* NULL: *err says why (a resolver's address is wrong). */
LB_MUST_CHECK struct control_resolve *control_resolve_new(
    const struct control_resolve_options *options, struct err *err);
/* NULL is fine. */
void control_resolve_free(struct control_resolve *resolve);
/* `conf` runs from now on. changed() comes for every server of it whose name has a known address,
 * unless it was told that address before. */
void control_resolve_apply(struct control_resolve *resolve, const struct conf *conf);
/* The address of "name:port" as far as it is known now: for a server that is new under a known
 * name. */
bool control_resolve_known(const struct control_resolve *resolve, struct slice address_text,
                           struct addr *address);

/* What is known of one server's name. */
struct control_resolve_facts {
    struct addr address;   /* len 0: none yet */
    uint32_t version;      /* of the name's address; goes up when it changes */
    uint64_t last_wall_us; /* of the last answer, good or bad; 0: none yet */
    const char *failure;   /* why the last question had no answer, "" when it had one; borrowed */
    uint64_t questions;
    uint64_t failures;
};
/* False: no such server, or its address is a literal. */
bool control_resolve_address(const struct control_resolve *resolve, struct slice pool,
                             struct slice server, struct control_resolve_facts *facts);

#endif
