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
 *     usable   up && ready && has an address && not ejected && not stopped
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
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mailbox.h"
#include "lbd/base/slice.h"
#include "lbd/stats/counters_id.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/keep_alive.h"
#include "lbd/upstream/queue.h"

/* What went wrong at a server, on its way to control, which frees it. */
struct server;
struct server_trouble {
    struct mailbox_message message;
    struct server *server; /* referenced */
    enum close_reason reason;
    char text[256];
};

enum server_health { SERVER_STARTING, SERVER_UP, SERVER_DOWN, SERVER_UNRESOLVED };
enum server_admin { SERVER_READY, SERVER_DRAIN, SERVER_MAINT };

struct server {
    struct target_load load; /* shared with workers, own cache line */
    _Atomic uint32_t
        connect_failures; /* in a row, over all workers: passive marking; any success sets 0 */
    _Atomic uint32_t failures_in_row; /* over all workers, for who counts them: outlier */
    _Atomic uint32_t failures_told;   /* 1: the hook was called and control has not acted yet */
    _Atomic uint32_t refs;
    _Atomic uint32_t logins;   /* of mail, under way: upstream/login_gate */
    _Atomic uint32_t reported; /* 1: the hook was called and control has not acted yet */
    struct mailbox_message passive_message;  /* for the hook's way to control */
    struct mailbox_message failures_message; /* likewise */
    _Atomic uint32_t trouble_told_s;         /* when a trouble was told last, monotonic */
    struct tls_reuse *tls_reuse;             /* owned; made by control before a pool needs it */
    _Atomic uint64_t not_up_since_ms;        /* monotonic: health is not UP since then; 0: it is */
    _Atomic uint32_t admin_told;             /* enum server_admin, for workers */
    struct keep_alive keep_alive;            /* when it closes idle connections */
    _Atomic(struct queue *) queue;           /* referenced; of its pool; NULL: it never had one */
    uint32_t id; /* dense; index of per-worker state and counters block (stats/counters) */
    struct counters_id *pool_counters; /* referenced; NULL: none (tests) */
    char *pool_name;                   /* owned */
    char *name;                        /* owned */
    /* control only */
    enum server_health health;
    enum server_admin admin;
    bool has_check;
    bool is_ejected;          /* rests: control_outlier */
    bool is_stopped;          /* its agent says that it is down: control_agent */
    uint64_t usable_since_ms; /* monotonic: when it became usable last; 0: it never was */
    uint64_t since_wall_us;   /* of the last change of health or admin */
    uint64_t transitions;     /* of health */
    bool is_degraded;         /* the last probe passed, but not all was well */
    char last_check[160];     /* the last probe's result in words */
    char *capabilities; /* owned: what a mail server said it can, as mail_server has it; NULL: not
                           known */
    char *interview;    /* owned: what it speaks in place of what is configured; NULL: not known */
    char *last_error;   /* owned: the last trouble that was told; NULL: none was */
    uint64_t last_error_wall_us;
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
/* A worker tells how a request went. At `limit` failures in a row the hook is called, likewise;
 * control calls server_forgive when it has acted. */
void server_tell_failures(struct server *server);
static inline void server_note_answer(struct server *server, bool failed, uint32_t limit)
{
    if (!failed) {
        /* read first: the usual case writes nothing that other workers read */
        if (atomic_load_explicit(&server->failures_in_row, memory_order_relaxed) != 0) {
            atomic_store_explicit(&server->failures_in_row, 0, memory_order_relaxed);
        }
    } else if (atomic_fetch_add_explicit(&server->failures_in_row, 1, memory_order_relaxed) + 1 >=
               limit) {
        server_tell_failures(server);
    }
}
void server_on_failures(void (*fn)(struct server *server));
void server_forgive(struct server *server);
/* A connection failed for a reason that a person must read. Told to control at most once a second
 * for each server; the hook gets a message that its receiver frees by server_trouble_free. Any
 * thread. */
void server_note_trouble(struct server *server, enum close_reason reason, const char *text);
void server_on_trouble(void (*fn)(struct server_trouble *trouble));
void server_trouble_free(struct server_trouble *trouble);
/* Keeps it as last_error. Control thread. */
void server_set_error(struct server *server, const char *text, uint64_t now_wall_us);
/* Each recomputes `usable`; true when it changed. Control thread. */
bool server_set_health(struct server *server, enum server_health health, uint64_t now_wall_us);
bool server_set_admin(struct server *server, enum server_admin admin, uint64_t now_wall_us);
bool server_set_ejected(struct server *server, bool is_ejected);
bool server_set_stopped(struct server *server, bool is_stopped);
/* For workers that ask more than `usable`: of users who belong there already. */
static inline enum server_admin server_admin_now(const struct server *server)
{
    return (enum server_admin)atomic_load_explicit(&server->admin_told, memory_order_relaxed);
}
/* Monotonic; 0: its health is UP. */
static inline uint64_t server_not_up_since_ms(const struct server *server)
{
    return atomic_load_explicit(&server->not_up_since_ms, memory_order_relaxed);
}
/* Whoever gives a place back looks there. Once there is one it stays. Control thread. */
void server_set_queue(struct server *server, struct queue *queue);
static inline struct queue *server_queue(const struct server *server)
{
    return atomic_load_explicit(&server->queue, memory_order_acquire);
}
static inline bool server_is_usable(const struct server *server)
{
    return atomic_load_explicit(&server->load.usable, memory_order_relaxed) != 0;
}
/* Whatever its health: may what is open to it be used again? */
static inline bool server_is_ready(const struct server *server)
{
    return atomic_load_explicit(&server->load.ready, memory_order_relaxed) != 0;
}
const char *server_health_word(enum server_health health);
const char *server_admin_word(enum server_admin admin);

#endif
