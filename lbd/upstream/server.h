/*
 * server - a server as it lives: health, admin state, load, counters. Survives every change of
 * configuration.
 *
 * Found again by (pool, name). What the document says of it (address, weight, limits) stands in the
 * frozen pool of a snapshot (pool.h); this object is what connections and health checks point to.
 *
 *     health   starting --first probe passes, or no check--> up <--rise, fall--> down
 *              unresolved: no address yet
 *     admin    ready | drain | maint
 *     usable   up && ready && has an address
 *
 * Memory: counted; the registry in control holds one reference, each pool of a snapshot one per
 * member. Threads: health and admin are set by control; workers touch load and counters only.
 */
#ifndef LBD_UPSTREAM_SERVER_H
#define LBD_UPSTREAM_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/balance/target.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mailbox.h"
#include "lbd/base/slice.h"
#include "lbd/stats/counters_id.h"

enum server_health { SERVER_STARTING, SERVER_UP, SERVER_DOWN, SERVER_UNRESOLVED };
enum server_admin { SERVER_READY, SERVER_DRAIN, SERVER_MAINT };

struct server {
    struct target_load load; /* shared with workers, own cache line */
    _Atomic uint32_t
        connect_failures; /* in a row, over all workers: passive marking; any success sets 0 */
    _Atomic uint32_t refs;
    _Atomic uint32_t reported; /* 1: the hook was called and control has not acted yet */
    struct mailbox_message passive_message; /* for the hook's way to control */
    uint32_t id; /* dense; index of per-worker state and counters block (stats/counters) */
    struct counters_id *pool_counters; /* referenced; NULL: none (tests) */
    char *pool_name;                   /* owned */
    char *name;                        /* owned */
    /* control only */
    enum server_health health;
    enum server_admin admin;
    bool has_check;
    uint64_t since_wall_us; /* of the last change of health or admin */
    uint64_t transitions;   /* of health */
    char last_check[160];   /* the last probe's result in words */
};

/* id: from stats/counters. Starts as SERVER_STARTING, SERVER_READY, not usable. refs = 1. */
struct server *server_new(struct slice pool_name, struct slice name, uint32_t id);
struct server *server_ref(struct server *server);
/* The last one calls on_free (set once at start-up by control; may run on any thread) and frees. */
void server_unref(struct server *server);
void server_on_free(void (*fn)(uint32_t id));
/* A worker tells how connecting went. At SERVER_PASSIVE_FALL failures in a row the hook is called
 * once, on the worker's thread, with a reference that the hook's receiver drops; control resets
 * `reported` when it has acted. */
#define SERVER_PASSIVE_FALL 3
void server_note_connect(struct server *server, bool connected);
void server_on_passive_down(void (*fn)(struct server *server));
/* Each recomputes `usable`; true when it changed. Control thread. */
bool server_set_health(struct server *server, enum server_health health, uint64_t now_wall_us);
bool server_set_admin(struct server *server, enum server_admin admin, uint64_t now_wall_us);
static inline bool server_is_usable(const struct server *server)
{
    return atomic_load_explicit(&server->load.usable, memory_order_relaxed) != 0;
}
const char *server_health_word(enum server_health health);
const char *server_admin_word(enum server_admin admin);

#endif
