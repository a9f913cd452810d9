/*
 * sweep - a walk over all clients of a worker, a slice per pass of its loop.
 *
 * For what concerns many connections at once: listing them, ending those of a server or a listener
 * at the deadline of its drain. No request waits longer than for one slice. Clients that come after
 * the beginning are not visited.
 *
 *     sweep_start -> visit(session) ... visit(session) -> done
 *                    64 per pass      '- may end that session, and no other
 *
 * Memory: embedded in the caller's object, which stays until done() or sweep_stop. Threads: worker.
 */
#ifndef LBD_PROXY_SWEEP_H
#define LBD_PROXY_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/net/loop.h"

struct front;
struct proxy_worker;
struct session;

#define SWEEP_SLICE 64

struct sweep {
    struct list_node link; /* proxy_worker.sweeps */
    struct proxy_worker *proxy;
    struct list_node *front; /* whose clients are next; the head of the list: none */
    struct list_node *at;    /* the next client; NULL: the front's first */
    uint64_t last;           /* the newest client's number at the beginning */
    uint32_t cost; /* of a visit, of the SWEEP_SLICE of a pass: 1, unless visit says more */
    struct loop_ready ready;
    /* False: nothing more to look for. */
    bool (*visit)(struct sweep *sweep, struct session *session);
    void (*done)(struct sweep *sweep);
};

/* visit and done are set; done() comes from a later pass. */
void sweep_start(struct sweep *sweep, struct proxy_worker *proxy);
/* Ends it with done(), at once. */
void sweep_stop(struct sweep *sweep);

/* -- for session and front: what is about to go -- */

void sweep_leave_session(struct proxy_worker *proxy, const struct session *session);
void sweep_leave_front(struct proxy_worker *proxy, const struct front *front);

#endif
