/*
 * registry - the objects that live on while documents come and go, found again by name.
 *
 * A document names listeners, routes, pools and servers; the registry holds what they have at run
 * time: counters (by id), health, admin state, addresses, sockets. Snapshots and connections point
 * to these objects, never the other way.
 *
 *     snapshot_build --make--> objects for new names      (nobody sees them yet)
 *     then either    --registry_commit--> the document is the one that counts: addresses are taken
 *                                         over, what it does not name any more is let go
 *     or             --registry_sweep---> the new names are forgotten again
 *
 * What is let go lives on until the last snapshot or connection has dropped its reference, and it
 * rests for a while: when its name comes back it is the same object again, and its counters go on.
 *
 * Memory: one reference on each server, listener and listener_bind it holds.
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_REGISTRY_H
#define LBD_SNAPSHOT_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/conf_share.h"
#include "lbd/base/addr.h"
#include "lbd/base/map.h"
#include "lbd/base/slice.h"
#include "lbd/filter/filter.h"
#include "lbd/net/listener.h"
#include "lbd/snapshot/condition.h"
#include "lbd/snapshot/registry_rest.h"
#include "lbd/snapshot/registry_tls.h"
#include "lbd/stats/counters.h"
#include "lbd/tls/tls_ca.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/agent_line.h"
#include "lbd/upstream/place.h"
#include "lbd/upstream/queue.h"
#include "lbd/upstream/server.h"

struct inherit;
struct registry;
struct registry_pool;

/* How many of each rest: 1 to 6 KB each. */
#define REGISTRY_SERVERS_RESTING_MAX   4096
#define REGISTRY_POOLS_RESTING_MAX     1024
#define REGISTRY_ROUTES_RESTING_MAX    4096
#define REGISTRY_LISTENERS_RESTING_MAX 256

struct registry_server {
    struct server *server;      /* held */
    struct registry_pool *pool; /* borrowed: it holds us */
    char *address_text;       /* owned: as configured when the document was committed; NULL: new */
    struct addr address;      /* where it is now; len 0: not resolved */
    uint32_t address_version; /* goes up with every change of `address` */
    bool has_literal_address; /* nothing to resolve */
    struct conditions conditions;
    uint32_t weight;         /* set by hand, in place of the configured one; 0: not, or */
    uint32_t weight_percent; /* this of a configured share */
    struct agent_line agent; /* what its agent said so far; what it never said is not set */
};

struct registry_pool {
    struct registry *registry;    /* borrowed: it holds us */
    char *name;                   /* owned */
    struct counters_id *counters; /* held */
    uint32_t id;
    struct map servers; /* name -> struct registry_server */
    uint64_t committed; /* conf_pool.version; 0: none */
    bool was_committed; /* it is more than a proposal */
    uint64_t epoch;     /* goes up when a member's usability or address is different */
    struct conditions conditions;
    uint64_t noted_epoch;   /* at which conditions were noted last, */
    uint64_t noted_commit;  /* and the version of then */
    struct tls_client *tls; /* held; as the newest snapshot has it; NULL: clear */
    struct queue *queue;    /* held; NULL: none was asked for */
};

struct registry_listener {
    struct listener *listener; /* held; its binds are those of the committed document */
    struct conditions conditions;
    uint32_t leads;       /* routes and default pool: where its requests go, */
    uint32_t leads_ready; /* and how many of those can answer */
};

struct registry_route {
    char *name;                   /* owned */
    struct counters_id *counters; /* held */
    uint32_t id;
    struct conditions conditions;
};

/* The keys that a policy fetches (control_keys), as they came. */
struct registry_keys {
    char *url;                /* owned: whose they are; NULL: nobody was asked yet */
    struct slice text;        /* owned; empty: none came yet */
    uint64_t version;         /* of `text`; 0: none came yet */
    uint64_t versions;        /* that there were */
    uint64_t next_us;         /* when they are asked for again; monotonic */
    uint32_t failures;        /* in a row */
    uint64_t fetched_wall_us; /* when they came last, the same or others; 0: never */
    uint64_t error_wall_us;   /* of `error` */
    char *error;              /* owned: why they did not come, the last time; NULL: never */
    const void *question;     /* control_keys: who is being asked; NULL: nobody */
};

/* A policy of one kind. */
struct registry_policy {
    char *key;                    /* owned: "kind/name" */
    struct counters_id *counters; /* held */
    uint32_t id;
    struct filter_state *state; /* held; NULL: the kind has none */
    struct registry_keys keys;  /* of those with a keys_url */
};

/* A counters block that snapshots up to `generation` may still count with. */
struct registry_leaving {
    struct counters_id *counters; /* held */
    uint64_t generation;
};

struct registry {
    struct map pools;                /* name -> struct registry_pool */
    struct map listeners;            /* name -> struct registry_listener */
    struct map routes;               /* name -> struct registry_route */
    struct map policies;             /* "kind/name" -> struct registry_policy */
    struct map places;               /* "group/server" -> struct place, held */
    struct registry_tls tls;         /* certificates, CA sets, ticket keys */
    struct listener_bind **retiring; /* held: taken out of a listener, perhaps still in use */
    uint32_t retiring_count;
    struct registry_leaving *leaving;
    uint32_t leaving_count;
    bool is_drained;                      /* the process: no listener takes new connections */
    struct registry_rest resting_servers; /* "pool/server" -> struct registry_server */
    struct registry_rest resting_pools;
    struct registry_rest resting_listeners;
    struct registry_rest resting_routes;
    struct tls_ca *system_ca; /* held; NULL: nobody needed it yet */
    struct inherit *inherit;  /* borrowed: sockets that were passed; NULL: none; set by control */
    uint64_t generation;      /* of the newest snapshot that was published; set by control */
};

void registry_init(struct registry *registry);
/* Drops all references. */
void registry_fini(struct registry *registry);

/* Each finds the object or makes a new one. */
struct registry_pool *registry_make_pool(struct registry *registry, struct slice name);
struct registry_server *registry_make_server(struct registry_pool *pool, struct slice name);
/* For all servers of a pool in turn; *cursor as in map_get_near. */
struct registry_server *registry_make_server_near(struct registry_pool *pool, struct slice name,
                                                  size_t *cursor);
struct registry_listener *registry_make_listener(struct registry *registry, struct slice name);
struct registry_route *registry_make_route(struct registry *registry, struct slice name);
struct registry_policy *registry_make_policy(struct registry *registry,
                                             const struct conf_policy *conf);

/* The registry's: who keeps it takes a reference. */
struct place *registry_make_place(struct registry *registry, struct slice group, struct slice name);

/* NULL: there is none. */
struct registry_pool *registry_find_pool(const struct registry *registry, struct slice name);
struct registry_server *registry_find_server(const struct registry *registry, struct slice pool,
                                             struct slice name);
struct registry_listener *registry_find_listener(const struct registry *registry,
                                                 struct slice name);
struct registry_route *registry_find_route(const struct registry *registry, struct slice name);
struct registry_policy *registry_find_policy(const struct registry *registry,
                                             const struct conf_policy *conf);

/* Whom the system trusts, read when somebody first asks; the registry's. NULL: *err. */
struct tls_ca *registry_system_ca(struct registry *registry, struct err *err);

/* Where a server of a document would be found: what the registry knows when the text is the same,
 * else the literal address in it, else nothing (to be resolved). Changes nothing. */
void registry_address_of(const struct registry_server *server, struct slice text,
                         struct addr *address, uint32_t *version, bool *is_literal);
/* Its weight by hand, or of what is configured the part that its agent asks for, 1 at least: as a
 * number, for people. */
uint32_t registry_server_weight(const struct registry_server *server, const struct conf_pool *pool,
                                const struct conf_server *conf);
/* By hand, or as configured: whatever its agent asks for. Users of mail go by it, for they stay. */
uint32_t registry_server_weight_set(const struct registry_server *server,
                                    const struct conf_pool *pool, const struct conf_server *conf);
/* What counts as it is compared with others of its priority (conf_share.h). */
uint64_t registry_server_weight_scaled(const struct registry_server *server,
                                       const struct conf_share_sums *sums,
                                       const struct conf_server *conf);
/* What of its weight as a number counts at `at_ms`: less during a slow start, 0 while it is not
 * usable. */
uint32_t registry_server_weight_now(const struct registry_server *server,
                                    const struct conf_pool *pool, const struct conf_server *conf,
                                    uint64_t at_ms);
/* A name was resolved (len 0: it cannot be). Returns true when that was a change. */
bool registry_server_set_address(struct registry_server *server, const struct addr *address);

/* Does a listener take no new connections, by itself or with the process? */
bool registry_is_drained(const struct registry *registry, const struct listener *listener);

/* A member of this pool became usable or stopped being so, or has another weight: the next snapshot
 * has the pool made anew. */
void registry_touch(struct registry *registry, struct slice pool);

/* `conf` is what runs from now on. committed() is called for every server whose part of the
 * document may have changed, with `is_moved` when its address is a new one. */
void registry_commit(struct registry *registry, const struct conf *conf,
                     void (*committed)(struct registry_server *server, const struct conf_pool *pool,
                                       const struct conf_server *conf, bool is_moved, void *arg),
                     void *arg);
/* Forgets what `conf` does not name. */
void registry_sweep(struct registry *registry, const struct conf *conf);
/* Keeps `bind` (the caller's reference) until nobody else uses it, so that the same address can be
 * listened on again meanwhile; registry_close_binds closes those that nobody uses. */
void registry_retire_bind(struct registry *registry, struct listener_bind *bind);
void registry_close_binds(struct registry *registry);
/* No snapshot older than generation `oldest` is left: gives back the counters blocks only those
 * used. */
void registry_release_ids(struct registry *registry, uint64_t oldest);

#endif
