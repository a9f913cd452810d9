/* queue - see queue.h. */
#include "lbd/upstream/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "lbd/base/mem.h"

/* Who cannot use the place, because of what it has tried, lets so many others behind it try. */
#define SKIPS_MAX 4U

/* The part of one worker. */
struct queue_worker {
    /* when the first one of each class came; 0: nobody waits */
    _Atomic uint64_t first_us[QUEUE_CLASSES];
    _Atomic(struct queue_bell *) bell; /* of the worker, once somebody waited there */
    _Atomic uint32_t rings;            /* places it was told of and has not looked for */
    struct queue *queue;
    /* the worker's alone */
    struct list_node waiting[QUEUE_CLASSES];
    struct list_node link; /* bell->queues, while somebody waits */
    uint32_t count;
    const struct pool *newest;
    const struct lease *newest_of;
} LB_ALIGNED;

struct queue {
    _Atomic uint32_t refs;
    _Atomic uint32_t len;
    uint32_t worker_count;
    struct queue_worker workers[];
};

struct queue *queue_new(uint32_t workers)
{
    struct queue *queue = mem_zero_aligned(sizeof(*queue) + workers * sizeof(*queue->workers));
    atomic_init(&queue->refs, 1);
    queue->worker_count = workers;
    for (uint32_t i = 0; i < workers; i++) {
        queue->workers[i].queue = queue;
        for (uint32_t class = 0; class < QUEUE_CLASSES; class ++) {
            list_init(&queue->workers[i].waiting[class]);
        }
    }
    return queue;
}

struct queue *queue_ref(struct queue *queue)
{
    (void)atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
    return queue;
}

void queue_unref(struct queue *queue)
{
    if (queue != NULL && atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) == 1) {
        assert(queue_len(queue) == 0);
        free(queue);
    }
}

uint32_t queue_len(const struct queue *queue)
{
    /* after a place was given back or asked for in vain: one of the two sees the other */
    return atomic_load_explicit(&queue->len, memory_order_seq_cst);
}

/* -- whose turn it is -- */

struct turn {
    uint32_t worker;
    uint32_t class;
    uint64_t since_us; /* 0: nobody's */
};

static struct turn next_turn(const struct queue *queue)
{
    struct turn turn = {.since_us = 0};
    for (uint32_t class = 0; class < QUEUE_CLASSES && turn.since_us == 0; class ++) {
        for (uint32_t i = 0; i < queue->worker_count; i++) {
            uint64_t since_us =
                atomic_load_explicit(&queue->workers[i].first_us[class], memory_order_seq_cst);
            if (since_us != 0 && (turn.since_us == 0 || since_us < turn.since_us)) {
                turn = (struct turn){.worker = i, .class = class, .since_us = since_us};
            }
        }
    }
    return turn;
}

void queue_ring(struct queue *queue)
{
    struct turn turn = next_turn(queue);
    struct queue_worker *to = &queue->workers[turn.worker];
    struct queue_bell *bell =
        turn.since_us != 0 ? atomic_load_explicit(&to->bell, memory_order_acquire) : NULL;
    if (bell == NULL || bell->mailbox == NULL) {
        return;
    }
    (void)atomic_fetch_add_explicit(&to->rings, 1, memory_order_relaxed);
    if (atomic_exchange_explicit(&bell->rung, 1, memory_order_acq_rel) == 0) {
        mailbox_post(bell->mailbox, &bell->message);
    }
}

/* Places that nobody here can use: the next in turn may. */
static void pass_on(struct queue *queue, uint32_t rings)
{
    while (rings-- > 0) {
        queue_ring(queue);
    }
}

/* -- letting in -- */

static void publish(struct queue_worker *self, uint32_t class)
{
    struct list_node *node = list_first(&self->waiting[class]);
    uint64_t since_us = node != NULL ? list_entry(node, struct queue_waiter, link)->since_us : 0;
    atomic_store_explicit(&self->first_us[class], since_us, memory_order_seq_cst);
}

/* The one behind `skips` others, by class and time; NULL: nobody. */
static struct queue_waiter *waiter_at(const struct queue_worker *self, uint32_t skips)
{
    for (uint32_t class = 0; class < QUEUE_CLASSES; class ++) {
        const struct list_node *head = &self->waiting[class];
        for (struct list_node *node = head->next; node != head; node = node->next) {
            if (skips-- == 0) {
                return list_entry(node, struct queue_waiter, link);
            }
        }
    }
    return NULL;
}

enum serve_why {
    BY_RING,  /* a try for each place that was told of */
    BY_ENTRY, /* as many as there are places */
    BY_LOOK,  /* likewise, whosever turn it is: that one may not be able to use them */
};

/* Lets them try as long as it is this worker's turn. */
static void serve(struct queue_worker *self, uint32_t worker, enum serve_why why)
{
    uint32_t rings = atomic_exchange_explicit(&self->rings, 0, memory_order_relaxed);
    uint32_t skips = 0;
    struct queue_waiter *waiter = NULL;
    while ((rings > 0 || why != BY_RING) && skips <= SKIPS_MAX &&
           (waiter = waiter_at(self, skips)) != NULL &&
           (skips > 0 || why == BY_LOOK || next_turn(self->queue).worker == worker)) {
        switch (waiter->fn(waiter)) {
        case QUEUE_LET_IN:
            rings -= rings > 0 ? 1 : 0;
            break;
        case QUEUE_NOT_YET:
            return;
        case QUEUE_NOT_THIS:
            skips++;
            break;
        }
    }
    if (skips == 0) {
        pass_on(self->queue, rings);
    }
}

static void serve_all(struct queue_bell *bell, enum serve_why why)
{
    struct list_node marker;
    list_push_back(&bell->queues, &marker);
    for (;;) {
        struct list_node *node = list_pop_front(&bell->queues);
        if (node == &marker) {
            return;
        }
        struct queue_worker *self = list_entry(node, struct queue_worker, link);
        list_push_back(&bell->queues, node); /* it may leave while it is served */
        struct queue *queue = queue_ref(self->queue);
        serve(self, bell->worker, why);
        queue_unref(queue);
    }
}

static void on_turn(struct loop_ready *ready)
{
    struct queue_bell *bell = container_of(ready, struct queue_bell, turn);
    enum serve_why why = bell->looks ? BY_LOOK : BY_ENTRY;
    bell->looks = false;
    serve_all(bell, why);
}

static void on_look(struct loop_timer *timer)
{
    queue_look(container_of(timer, struct queue_bell, look));
}

static void on_rung(struct mailbox_message *message, void *receiver)
{
    struct queue_bell *bell = container_of(message, struct queue_bell, message);
    (void)receiver;
    atomic_store_explicit(&bell->rung, 0, memory_order_seq_cst);
    serve_all(bell, BY_RING);
}

void queue_look(struct queue_bell *bell)
{
    if (list_is_empty(&bell->queues)) {
        return;
    }
    bell->looks = true;
    loop_ready_put(bell->loop, &bell->turn, on_turn);
    loop_timer_set(bell->loop, &bell->look, QUEUE_LOOK_MS, on_look);
}

void queue_bell_init(struct queue_bell *bell, struct loop *loop, uint32_t worker)
{
    *bell = (struct queue_bell){.loop = loop, .worker = worker};
    bell->message.deliver = on_rung;
    list_init(&bell->queues);
}

void queue_bell_fini(struct queue_bell *bell)
{
    assert(list_is_empty(&bell->queues));
    loop_timer_stop(&bell->look);
    loop_ready_remove(&bell->turn);
}

/* -- in and out -- */

/* Nearly always the last place: who comes back after a try is older than some. */
static void insert(struct queue_worker *self, struct queue_waiter *waiter)
{
    struct list_node *head = &self->waiting[waiter->class];
    struct list_node *before = head->prev;
    while (before != head &&
           list_entry(before, struct queue_waiter, link)->since_us > waiter->since_us) {
        before = before->prev;
    }
    list_insert_after(before, &waiter->link);
    publish(self, waiter->class);
}

bool queue_enter(struct queue *queue, struct queue_bell *bell, struct queue_waiter *waiter,
                 uint32_t max)
{
    struct queue_worker *self = &queue->workers[bell->worker];
    assert(waiter->queue == NULL && waiter->since_us != 0 && waiter->class < QUEUE_CLASSES);
    if (atomic_fetch_add_explicit(&queue->len, 1, memory_order_seq_cst) >= max) {
        (void)atomic_fetch_sub_explicit(&queue->len, 1, memory_order_relaxed);
        return false;
    }
    waiter->queue = queue;
    atomic_store_explicit(&self->bell, bell, memory_order_release);
    insert(self, waiter);
    if (self->count++ == 0) {
        list_push_back(&bell->queues, &self->link);
    }
    /* once more: a place may have been given back before anybody could see that we wait */
    loop_ready_put(bell->loop, &bell->turn, on_turn);
    if (!loop_timer_is_set(&bell->look)) {
        loop_timer_set(bell->loop, &bell->look, QUEUE_LOOK_MS, on_look);
    }
    return true;
}

void queue_leave(struct queue_waiter *waiter, const struct queue_bell *bell)
{
    struct queue *queue = waiter->queue;
    if (queue == NULL) {
        return;
    }
    struct queue_worker *self = &queue->workers[bell->worker];
    waiter->queue = NULL;
    list_remove(&waiter->link);
    publish(self, waiter->class);
    (void)atomic_fetch_sub_explicit(&queue->len, 1, memory_order_relaxed);
    if (--self->count == 0) {
        list_remove(&self->link);
        pass_on(queue, atomic_exchange_explicit(&self->rings, 0, memory_order_relaxed));
    }
}

void queue_set_newest(struct queue *queue, const struct queue_bell *bell, const struct pool *pool,
                      const struct lease *lease)
{
    queue->workers[bell->worker].newest = pool;
    queue->workers[bell->worker].newest_of = lease;
}

const struct pool *queue_newest(const struct queue *queue, const struct queue_bell *bell,
                                const struct lease *lease)
{
    const struct queue_worker *self = &queue->workers[bell->worker];
    return self->newest_of == lease ? self->newest : NULL;
}
