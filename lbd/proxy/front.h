/*
 * front - a worker's face of one listener: its sockets' events, its current plan, its clients.
 *
 *     adopt(plan): sockets that are new are watched, those that went are emptied and left
 *     adopt(plan that is drained): the same sockets refuse for a while, answers say close; a plan
 *         that is not drained brings it all back
 *     adopt(plan that asks clients for another certificate): who has not shown it is served nothing
 *         new; tunnels end at once, requests at the latest after drain_ms
 *     drain: no more accepting, ever; answers say close; what is open at the deadline is ended
 *
 * Memory: references on the listener and its binds; a front that drains pins the snapshot its plan
 * belongs to. Threads: worker.
 */
#ifndef LBD_PROXY_FRONT_H
#define LBD_PROXY_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/lease.h"
#include "lbd/base/list.h"
#include "lbd/http/stream.h"
#include "lbd/proxy/plan.h"
#include "lbd/proxy/proxy_worker.h"

struct front;

struct front_bind {
    struct loop_watch watch;
    struct front *front;
    struct listener_bind *bind; /* referenced; NULL: free place */
};

struct front {
    struct list_node link; /* proxy_worker.fronts */
    struct proxy_worker *proxy;
    struct listener *listener; /* referenced */
    const struct plan *plan;
    struct counters_listener *counters;
    struct stream_rates rates; /* its plan's; connections that are open follow */
    struct lease *pinned;      /* while draining: keeps `plan` */
    struct list_node sessions;
    struct loop_timer deadline;
    struct loop_timer last_call; /* then who is not let in any more is ended */
    struct front_bind binds[LISTENER_BINDS_MAX];
    bool draining;   /* it goes */
    bool is_drained; /* its plan says so; it may come back */
    bool closes;     /* either: answers say close */
    bool is_asking;  /* its plan asks of clients for something else than an earlier one */
    bool is_late;    /* last_call has come */
    bool seen;       /* worker_adopt: the new snapshot has it */
};

/* Starts to accept for this plan. */
struct front *front_new(struct proxy_worker *proxy, const struct plan *plan);
/* `drain_ms`: how long what is open may go on of clients who have not shown what the new plan asks
 * for (R12). */
void front_adopt(struct front *front, const struct plan *plan, uint64_t drain_ms);
/* The listener is gone, or the process stops. `pin`: the lease of the snapshot of its plan, held
 * until the front is free; NULL: the caller sees to that. The front frees itself when its last
 * client is gone. */
void front_drain(struct front *front, struct lease *pin, uint64_t deadline_ms);
/* Ends every client now and frees the front. */
void front_end(struct front *front, enum close_reason reason);
/* A client ended: frees a front that drains and is empty. */
void front_session_ended(struct front *front);
/* Stops and starts accepting on all fronts of a worker. */
void front_pause_all(struct proxy_worker *proxy, uint64_t again_ms);

#endif
