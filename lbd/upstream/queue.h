/*
 * queue - requests that wait for a place, when every server of a pool has all it may.
 *
 *     enter --> waits --fn: got a place--> leave
 *                 '--deadline, client gone (the caller's business)--> leave
 *
 * A pool has one queue over all workers. Each worker keeps those that wait on it in a list per
 * class, the longest waiting first, and tells the others since when its first ones wait. Whoever
 * gives a place back looks who waits longest in the best class, anywhere, and rings that worker; it
 * lets its first one try. While somebody waits nobody new takes a place past it.
 *
 *     pool_release --> queue_ring --> the bell of a worker --its mailbox--> fn of its first waiter
 *
 * What the ring does not tell of (a server that came up, a place that another worker could not use)
 * is found by a look at every adoption of a snapshot, and every QUEUE_LOOK_MS.
 *
 * Limits: `max` waiting over all workers. Memory: counted, held by pools and servers; waiters are
 * embedded in the callers' objects. Threads: made on control; ring any; the rest worker.
 */
#ifndef LBD_UPSTREAM_QUEUE_H
#define LBD_UPSTREAM_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/list.h"
#include "lbd/base/mailbox.h"
#include "lbd/net/loop.h"

#define QUEUE_CLASSES 3U /* 0 first */
#define QUEUE_LOOK_MS 100

struct lease;
struct pool;
struct queue;

enum queue_try {
    QUEUE_LET_IN,   /* it has left the queue */
    QUEUE_NOT_YET,  /* there is no place */
    QUEUE_NOT_THIS, /* there is none that it can use, perhaps one for others */
};

/* Zeroed: waits for nothing. */
struct queue_waiter {
    struct list_node link;
    struct queue *queue; /* while it waits; borrowed: the caller holds its pool */
    uint64_t since_us;
    uint8_t class;
    enum queue_try (*fn)(struct queue_waiter *waiter); /* there may be a place */
};

/* Of one worker: how it is woken, and where somebody waits. */
struct queue_bell {
    struct mailbox_message message;
    struct mailbox *mailbox; /* NULL: nobody else rings (tests) */
    _Atomic uint32_t rung;   /* the message is on its way */
    uint32_t worker;
    struct loop *loop;
    struct list_node queues; /* struct queue_worker.link */
    struct loop_ready turn;
    bool looks; /* `turn` is more than a try of who came last */
    struct loop_timer look;
};

struct queue *queue_new(uint32_t workers);
struct queue *queue_ref(struct queue *queue);
void queue_unref(struct queue *queue); /* NULL is fine */

void queue_bell_init(struct queue_bell *bell, struct loop *loop, uint32_t worker);
/* Nobody waits any more. */
void queue_bell_fini(struct queue_bell *bell);

/* How many wait, on all workers. */
uint32_t queue_len(const struct queue *queue);
/* Waits from `waiter->since_us` on, in its class. False: `max` wait already. Its fn comes in this
 * pass for the first time. */
LB_MUST_CHECK bool queue_enter(struct queue *queue, struct queue_bell *bell,
                               struct queue_waiter *waiter, uint32_t max);
/* Nothing happens when it did not wait. */
void queue_leave(struct queue_waiter *waiter, const struct queue_bell *bell);
/* A place was given back: wakes the worker whose turn it is. Any thread. */
void queue_ring(struct queue *queue);
/* On this worker `pool` is the newest one of this queue, as long as `lease` is the newest. */
void queue_set_newest(struct queue *queue, const struct queue_bell *bell, const struct pool *pool,
                      const struct lease *lease);
/* NULL: what `lease` keeps has no pool with this queue. */
const struct pool *queue_newest(const struct queue *queue, const struct queue_bell *bell,
                                const struct lease *lease);
/* Lets all who wait on this worker try: things have changed. */
void queue_look(struct queue_bell *bell);

#endif
