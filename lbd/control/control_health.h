/*
 * control_health - keeps the health of every server true: probes, passive marks, addresses.
 *
 *     control_commit --apply----------> which servers, which checks
 *     control_resolve -set_address----> probe again there
 *     workers --server_on_passive_down--> mailbox --> mark down, probe at once
 *             --server_on_trouble-------> mailbox --> last_error, log, event
 *                                            |
 *                 health_probe <- schedule   v
 *                      '--result--> health --> server_set_health --changed()--> publish
 *
 * A server with a check starts as `starting` and is probed at once, then every interval +- 10 %
 * (fast_interval while results speak against the state, down_interval while it is down);
 * without a check it is up as soon as it has an address. Checks of mail also learn what servers can
 * (server->capabilities): a pool whose servers differ in that is told of. State, streak and
 * counters are found again by (pool, server) whatever the document does; a changed check or address
 * is probed at once and its first answer decides, until then the old state stays. Three connection
 * failures in a row take a server out, unless it is the last usable one of its pool and of those
 * that stand in for it; with a check its next passes bring it back, without one 10 s.
 *
 * The first check that connects and is not understood is followed by an interview. Where no check
 * would notice, servers of HTTP that are added or moved are interviewed at once, and others when a
 * request finds something else there; that is looked at again every half a minute, until it is not
 * true any more.
 *
 * Limits: 256 probes at once, the rest waits in line; a sixteenth of that in interviews beside
 * them. Memory: a reference on each server, 1 KiB for the last results of each that is checked;
 * copies of the checks. Threads: control; one instance per process (the hook of server.h has no
 * argument).
 */
#ifndef LBD_CONTROL_CONTROL_HEALTH_H
#define LBD_CONTROL_CONTROL_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/mailbox.h"
#include "lbd/control/events.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry.h"
#include "lbd/stats/histogram.h"
#include "lbd/upstream/health_history.h"
#include "lbd/upstream/health_probe.h"
#include "lbd/upstream/server.h"

#define CONTROL_HEALTH_DIFFERING_MAX 120
#define CONTROL_HEALTH_PROBES_MAX    256
/* Without a check: up again after this. */
#define CONTROL_HEALTH_PASSIVE_MS 10000
/* Pools of this size spread their probes over the interval. */
#define CONTROL_HEALTH_SPREAD_FROM 16

struct control_health;

struct control_health_options {
    struct loop *loop;       /* borrowed: control's */
    struct mailbox *mailbox; /* borrowed: control's; passive marks come through it */
    /* A server's usability, or what it can, is different: the pool should be published again. */
    void (*changed)(struct server *server, void *arg);
    /* Workers cannot connect to it; before anything is made of that. NULL: nobody asks. */
    void (*refused)(struct server *server, void *arg);
    void *arg;
    struct events *events; /* borrowed; NULL: nobody is told of changes of health */
    uint32_t probes_max;   /* 0: CONTROL_HEALTH_PROBES_MAX */
};

/* Registers the passive hook. Before the first worker starts. */
struct control_health *control_health_new(const struct control_health_options *options);
/* After the last worker has ended; what still lies in the mailbox does no harm. NULL is fine. */
void control_health_free(struct control_health *health);
/* `conf` runs from now on; `registry` (committed to it) knows its servers and where they are. Pools
 * whose part of the document, and whose check, are as before cost nothing. Calls changed() for
 * servers whose usability it changes; starts no probe before it returns. */
void control_health_apply(struct control_health *health, const struct conf *conf,
                          const struct registry *registry);
/* The server has moved without a change of the document (len 0: it has no address any more). */
void control_health_set_address(struct control_health *health, struct slice pool,
                                struct slice server, const struct addr *address);

/* The server's admin state was set by hand: in maintenance it is not checked, and it comes back as
 * `starting`. */
void control_health_heed_admin(struct control_health *health, struct slice pool,
                               struct slice server);

/* What is known of one server's checks. */
struct control_health_facts {
    bool has_check;
    bool is_probing;       /* a probe is under way or waits in line */
    uint64_t checks;       /* that ran, since the server is known */
    uint64_t last_wall_us; /* end of the last one; 0: none yet. Its text: server->last_check */
    uint64_t last_duration_us;
    bool last_passed;
    bool is_kept;                         /* connecting fails, but it is the last usable one */
    uint32_t streak;                      /* results in a row that speak against the state */
    const struct health_history *history; /* borrowed until the loop goes on */
};
/* False: there is no such server. */
bool control_health_facts(const struct control_health *health, struct slice pool,
                          struct slice server, struct control_health_facts *facts);

/* How a server is probed, for one that is not in line. */
struct control_health_target {
    struct server *server; /* borrowed, as all of this */
    struct health_probe_server how;
    struct addr address;            /* what how.address points to */
    char tls_name[TALK_NAME_MAX];   /* what how.tls_name points to */
    struct health_probe_plan *plan; /* NULL: the pool has no check */
};
/* False: there is no such server. */
bool control_health_target(const struct control_health *health, struct slice pool,
                           struct slice server, struct control_health_target *target);
struct health_probe_result;
/* Such a probe of `server` has ended: it counts like any other, unless the server has no check, is
 * in maintenance or another one by now. */
void control_health_note(struct control_health *health, struct slice pool,
                         const struct server *server, const struct health_probe_result *result);

/* What some mail servers of a pool can and others not, separated by a space; "": they are alike.
 * NULL: no such pool, or none whose checks learn that. */
const char *control_health_differing(const struct control_health *health, struct slice pool);

/* Sums over the servers of a pool, since the pool is known. */
struct control_health_stats {
    uint64_t passed;
    uint64_t failed;
    uint64_t not_run; /* lbd itself had no descriptor, port or memory: no verdict */
    uint64_t late;    /* began more than an interval after their time */
    struct histogram_duration duration; /* of passed and failed ones */
};
/* NULL: there is no such pool. */
const struct control_health_stats *control_health_stats(const struct control_health *health,
                                                        struct slice pool);

#endif
