/*
 * drains - what is being emptied: a server, a listener, or the whole process.
 *
 *     waiting --nothing is left---------------> done
 *        |----deadline, keep-----------------> kept      what is open goes on
 *        |----deadline, close --all were told-> closed    what was open was ended
 *        '----enabled again, or gone---------> cancelled
 *
 * Taking something out of use is an override (overrides.h) or configured; this is how far it has
 * come. Whoever starts a drain says how many are open, this looks at that number again and again
 * (the owner counts) and tells of it by events: drain.started, drain.progress at most once a second
 * and only when the number is another one, drain.done with the phase. The same again extends it:
 * deadline, reason and who are the new ones, the start stays.
 *
 * Limits: the last 64 that ended are remembered. Memory: drains_new to drains_free. Threads:
 * control.
 */
#ifndef LBD_CONTROL_DRAINS_H
#define LBD_CONTROL_DRAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/base/slice.h"
#include "lbd/control/events.h"
#include "lbd/control/overrides.h"
#include "lbd/net/loop.h"

#define DRAINS_ENDED_MAX 64

enum drain_phase {
    DRAIN_WAITING,
    DRAIN_DONE,
    DRAIN_CLOSED,
    DRAIN_KEPT,
    DRAIN_CANCELLED,
    DRAIN_PHASES
};

struct drain {
    struct list_node link;
    uint64_t number;         /* unique */
    enum override_kind kind; /* ADMIN: a server */
    char *key;               /* owned: "web/a", "web", "process" */
    char *target;            /* owned: "web/a", "listener/web", "process" */
    enum drain_phase phase;
    bool is_closing; /* the deadline has passed and workers are being told */
    enum override_end on_deadline;
    uint64_t started_wall_us;
    uint64_t deadline_wall_us; /* 0: none */
    uint64_t ended_wall_us;    /* 0: not yet */
    uint32_t initial;          /* open at the start */
    uint32_t remaining;        /* open when it was looked at last */
    char *reason;              /* owned */
    char *who;                 /* owned */
    uint64_t generation;       /* nothing left counts when all workers run this */
    uint64_t told_us;          /* when an event told of it last; 0: never */
    uint32_t told_remaining;
};

struct drains;

struct drains_options {
    struct loop *loop;     /* borrowed */
    struct events *events; /* borrowed */
    /* How many are open there now? False: there is no such thing any more. *is_settled: nothing new
     * can come. */
    bool (*count)(const struct drain *drain, uint32_t *open, bool *is_settled, void *arg);
    /* The deadline has passed: end what is left, then call drains_closed(number). False: not now,
     * ask again. */
    bool (*close)(const struct drain *drain, void *arg);
    void *arg;
};

struct drains *drains_new(const struct drains_options *options);
void drains_free(struct drains *drains); /* NULL is fine */

/* What a drain is to be. */
struct drains_wish {
    enum override_kind kind;
    struct slice key;
    enum override_end on_deadline;
    uint64_t deadline_wall_us; /* 0: none */
    uint64_t generation;       /* of the publication that takes it out of use */
    struct slice reason;
    struct slice who;
};

/* Starts it, or extends the one that runs. */
void drains_start(struct drains *drains, const struct drains_wish *wish);
/* It is in use again, or is gone (why: a phrase). Nothing happens when none runs. */
void drains_cancel(struct drains *drains, enum override_kind kind, struct slice key,
                   const char *why);
/* Workers have ended what was left. */
void drains_closed(struct drains *drains, uint64_t number);
/* Looks at all of them now. */
void drains_look(struct drains *drains);

/* The one that runs, else the last one that ended and is remembered, else NULL. */
const struct drain *drains_find(const struct drains *drains, enum override_kind kind,
                                struct slice key);
/* Running ones, oldest first, and ended ones, newest first: struct drain.link. */
const struct list_node *drains_running(const struct drains *drains);
const struct list_node *drains_ended(const struct drains *drains);
const char *drain_phase_word(enum drain_phase phase);
/* How many ended so; for the metrics. */
uint64_t drains_total(const struct drains *drains, enum drain_phase phase);

#endif
