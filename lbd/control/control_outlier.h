/*
 * control_outlier - servers that do worse than the others of their pool rest for a while.
 *
 *     workers count --every interval--> outlier_judge --'
 *     a worker saw the last of so many failures in a row --mailbox--> out --ejection time--> back
 *                                                                     '-- server_set_ejected
 *
 * Works on pools whose document has `outlier`. What it finds is over `health`: a server that rests
 * is up, and gets no requests. With mode shadow it is only counted and logged. Never the last
 * usable server, nor more than max_ejected; who fails again soon rests longer. When all others of a
 * pool have gone meanwhile (down, drained, removed), one that rests is back at once.
 *
 * Memory: a reference on each server of such a pool. Threads: control; one instance per process
 * (the hook of server.h has no argument).
 */
#ifndef LBD_CONTROL_CONTROL_OUTLIER_H
#define LBD_CONTROL_CONTROL_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/mailbox.h"
#include "lbd/control/events.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry.h"

#define CONTROL_OUTLIER_TEXT_MAX 120

struct control_outlier;

struct control_outlier_options {
    struct loop *loop;       /* borrowed: control's */
    struct mailbox *mailbox; /* borrowed: control's */
    /* A server's usability is different: the pool should be published again. */
    void (*changed)(struct server *server, void *arg);
    void *arg;
    struct events *events; /* borrowed; NULL: nobody is told */
};

/* Registers the hook. Before the first worker starts. */
struct control_outlier *control_outlier_new(const struct control_outlier_options *options);
/* After the last worker has ended. NULL is fine. */
void control_outlier_free(struct control_outlier *outlier);
/* `conf` runs from now on, and `registry` knows its servers. Where `outlier` is another one than
 * before, everybody returns. */
void control_outlier_apply(struct control_outlier *outlier, const struct conf *conf,
                           const struct registry *registry);

/* The usability of a server is different: where nobody is usable any more, one that rests is needed
 * and comes back. NULL is fine. */
void control_outlier_recall(struct control_outlier *outlier);
/* Likewise in the pool of `server`, which is about to go: it does not count. */
void control_outlier_recall_beside(struct control_outlier *outlier, const struct server *server);

struct control_outlier_facts {
    bool is_shadow;         /* it goes on getting requests */
    const char *reason;     /* "consecutive_failures" */
    const char *text;       /* "5 failures in a row"; borrowed until the loop goes on */
    uint64_t until_wall_us; /* when it returns */
    uint32_t times;         /* the how manieth time in a row */
};
/* False: it does not rest. */
bool control_outlier_facts(const struct control_outlier *outlier, struct slice pool,
                           struct slice server, struct control_outlier_facts *facts);

#endif
