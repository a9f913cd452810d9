/*
 * loop - one thread's event loop: descriptors, timers, "run soon", the batch clock.
 *
 * Made once per thread (each worker, the control thread) on a libevent base without locks, so
 * nothing but the own thread may touch it; other threads reach it through a mailbox. The outer loop
 * is ours:
 *
 *     wait for events (or poll, when something is ready)
 *         -> callbacks -> ready list -> timers -> graveyard
 *
 * Timers are lazy: moving a deadline later is one store; the wheel entry moves when its slot fires.
 * Slots are 8 ms; deadlines are never early and at most one slot late. An idle loop makes no
 * wake-ups.
 *
 * Memory: watches, timers and ready nodes are embedded in the caller's objects and must be stopped
 * before those are freed; objects that may be on the current batch are buried (loop_bury) and freed
 * after it. Threads: the owner.
 */
#ifndef LBD_NET_LOOP_H
#define LBD_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/list.h"

struct loop;

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_CLOSED = 4, /* the peer shut its sending side */
    LOOP_EDGE = 8,   /* edge-triggered: the caller remembers readiness */
};

/* A watched descriptor. */
struct loop_watch {
    struct event event;
    void (*fn)(struct loop_watch *watch,
               unsigned ready); /* ready: LOOP_READ | LOOP_WRITE | LOOP_CLOSED */
};

/* A deadline. Zeroed is stopped. */
struct loop_timer {
    struct list_node link; /* of its slot */
    uint32_t due_tick;     /* when it wants to fire */
    uint32_t slot_tick;    /* when its slot fires */
    void (*fn)(struct loop_timer *timer);
};

/* Work for later in this pass or in the next one. Zeroed is not queued. */
struct loop_ready {
    struct list_node link;
    void (*fn)(struct loop_ready *ready);
};

/* An object that is freed after the batch. */
struct loop_grave {
    struct loop_grave *next;
    void (*fn)(struct loop_grave *grave);
};

LB_MUST_CHECK struct loop *loop_new(struct err *err);
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* One pass; waits at most max_wait_ms (-1: until something happens). For tests and for draining. */
void loop_run_once(struct loop *loop, int max_wait_ms);
void loop_stop(struct loop *loop);

/* The batch clock, CLOCK_MONOTONIC, read once per at most 16 callbacks. */
uint64_t loop_now_us(struct loop *loop);
/* How long this pass has been working: who can wait holds back when it is long. */
uint64_t loop_pass_us(struct loop *loop);
/* Wall clock in seconds and its HTTP date (29 bytes), refreshed once a second. */
const char *loop_http_date(struct loop *loop);
uint64_t loop_wall_us(struct loop *loop);

/* One epoll_ctl. False when the kernel refuses (descriptor limit, out of memory). */
LB_MUST_CHECK bool loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd,
                                    unsigned events,
                                    void (*fn)(struct loop_watch *watch, unsigned ready));
bool loop_watch_is_started(const struct loop_watch *watch);
/* Before close(fd). Safe when not started. A pending callback of this batch will not come. */
void loop_watch_stop(struct loop_watch *watch);

/* Sets or moves the deadline. Later than before: one store. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                    void (*fn)(struct loop_timer *timer));
void loop_timer_stop(struct loop_timer *timer);
/* Until it is due, to a slot; 0: now, or it is not set. */
uint64_t loop_timer_left_ms(struct loop *loop, const struct loop_timer *timer);
static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
    return timer->link.next != NULL;
}

/* Queues once; a second call while queued does nothing. Runs after the events of this pass; what is
 * queued from a ready callback runs in the next pass, after the kernel was polled again. */
void loop_ready_put(struct loop *loop, struct loop_ready *ready,
                    void (*fn)(struct loop_ready *ready));
void loop_ready_remove(struct loop_ready *ready);
/* Calls fn after the current batch. */
void loop_bury(struct loop *loop, struct loop_grave *grave, void (*fn)(struct loop_grave *grave));

/* Typed slots: what rooms to the right keep per loop. */
enum loop_slot {
    LOOP_SLOT_NET,
    LOOP_SLOT_STATS,
    LOOP_SLOT_HTTP,
    LOOP_SLOT_UPSTREAM,
    LOOP_SLOT_FILTER,
    LOOP_SLOT_PROXY,
    LOOP_SLOT_WORKER,
    LOOP_SLOT_COUNT
};
void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value);
void *loop_slot(const struct loop *loop, enum loop_slot slot);

/* Called at the end of each pass (flush logs, publish counters); one per loop. */
void loop_on_pass(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg);
/* Passes, and nanoseconds spent busy and waiting, for the metrics. Any thread may read. */
struct loop_stats {
    uint64_t passes;
    uint64_t busy_us;
    uint64_t idle_us;
    uint64_t last_pass_us; /* monotonic time of the end of the last pass */
};
struct loop_stats loop_stats(const struct loop *loop);
/* Of libevent, as it is loaded. */
const char *loop_library_version(void);
struct event_base *loop_event_base(struct loop *loop);

#endif
