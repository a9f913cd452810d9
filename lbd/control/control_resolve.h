/*
 * control_resolve - where the names in servers' addresses are now, and which servers the DNS names.
 *
 *     control_commit --apply_templates, then apply_servers--> names
 *     names --net/resolve, by their time to live--> answer
 *         a server with a name    keeps its address while the answer has it, else takes the first
 *                                 one: changed()
 *         "dns:", "srv:"          one member for each address or record: members_changed()
 *
 * A name is asked once, however many servers of pools with the same `dns` settings use it: at once
 * when it is new, then whenever its time to live is over. Other settings are a new name, which
 * begins with what was known under the old ones. When the DNS says that there is nothing
 * (EMPTY), on_empty decides; when nobody answers (FAILED), or on_empty is keep, what is known
 * stays, for stale_for beyond its time to live, whenever it is asked next. Then its servers are
 * unresolved, and its members gone. After a failure it is asked again in `retry`, twice that, ...
 * up to 30 s. Literal addresses and unix sockets are none of its business.
 *
 * Members have names that follow from what they are, so that a change of one is no change of
 * another: "app-10-0-0-1", "app-web1-internal-8080". The priorities of SRV records are numbered
 * anew, from 0 and in their order, so that 10 and 20 are groups of the pool (RFC 2782: those of the
 * lowest number while they can be reached).
 *
 * Limits: 64 questions at once, RESOLVE_ANSWERS_MAX members. Memory: copies of names. Threads:
 * control.
 */
#ifndef LBD_CONTROL_CONTROL_RESOLVE_H
#define LBD_CONTROL_CONTROL_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/control/events.h"
#include "lbd/net/loop.h"
#include "lbd/net/resolve.h"

#define CONTROL_RESOLVE_RETRY_MAX_MS 30000
#define CONTROL_RESOLVE_MAX          64 /* questions at once */

struct control_resolve;

struct control_resolve_options {
    struct loop *loop;             /* borrowed: control's */
    const struct slice *resolvers; /* "ip:port"; borrowed for the call of _new */
    uint32_t resolver_count;       /* 0: the system's */
    /* The server is at `address` now; len 0: nowhere. Also called from _apply_servers for
     * names that are known already. */
    void (*changed)(struct slice pool, struct slice server, const struct addr *address, void *arg);
    /* The members of some template are others: what runs must be made anew, soon. Not from
     * _apply_templates. */
    void (*members_changed)(void *arg);
    void *arg;
    struct events *events; /* NULL: none */
    uint32_t every_ms;     /* for tests: instead of times to live; 0: those */
};

/* A server that the DNS names. */
struct control_resolve_member {
    char name[64];
    char address[RESOLVE_NAME_MAX + 8]; /* "host:port" */
    struct addr pinned;                 /* where it is, of "dns:"; len 0: where its name is */
    uint32_t weight;                    /* 0: that of the template */
    uint32_t group; /* of SRV: 0 is that of the lowest priority number; else 0 */
};

/* NULL: *err says why (a resolver's address is wrong). */
LB_MUST_CHECK struct control_resolve *control_resolve_new(
    const struct control_resolve_options *options, struct err *err);
/* NULL is fine. */
void control_resolve_free(struct control_resolve *resolve);
/* The templates of `conf` count from now on. Those whose names are known have their members at the
 * end of it: what runs is made after this. */
void control_resolve_apply_templates(struct control_resolve *resolve, const struct conf *conf);
/* The servers of `running` count from now on: the same with members in place of templates.
 * changed() comes for every server of it whose name has a known address, unless it was told that
 * address before. */
void control_resolve_apply_servers(struct control_resolve *resolve, const struct conf *running);
/* The address of a server with a name, as far as it is known now: for one that is new. */
bool control_resolve_known(const struct control_resolve *resolve, const struct conf_pool *pool,
                           const struct conf_server *server, struct addr *address);
/* What a template stands for now, sorted by name; borrowed until the loop turns or templates are
 * applied. NULL: nothing, or one that was not applied. */
const struct control_resolve_member *control_resolve_members(const struct control_resolve *resolve,
                                                             const struct conf_pool *pool,
                                                             const struct conf_server *server,
                                                             uint32_t *count);
/* Connecting to it failed: perhaps it moved. Asks now, at most once a second. */
void control_resolve_hurry(struct control_resolve *resolve, struct slice pool, struct slice server);

/* What is known of the name of one server or template. */
struct control_resolve_facts {
    enum resolve_kind kind;
    const char *host;                       /* borrowed, as all that follows */
    struct addr address;                    /* the server's; len 0: none, or a template */
    const struct addr *addresses;           /* of the last good answer; or */
    const struct resolve_service *services; /* these */
    uint32_t count;
    uint32_t version;       /* goes up when the answer changes */
    uint32_t ttl_left_ms;   /* 0: it is over */
    bool is_stale;          /* kept beyond its time, or against an answer that has nothing */
    uint64_t last_wall_us;  /* of the last answer, good or bad; 0: none yet */
    uint64_t found_wall_us; /* of the last good one */
    const char *failure;    /* why the last question had no answer, "" when it had one */
    uint64_t questions;
    uint64_t failures;
};
/* False: no such server, or its address is a literal. */
bool control_resolve_look(const struct control_resolve *resolve, struct slice pool,
                          struct slice server, struct control_resolve_facts *facts);

struct control_resolve_stats {
    uint64_t found; /* questions by their end */
    uint64_t empty;
    uint64_t failed;
    uint32_t names;
    uint32_t stale; /* of them */
};
struct control_resolve_stats control_resolve_stats(const struct control_resolve *resolve);

#endif
