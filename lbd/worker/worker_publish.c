/*
 * worker_publish - posts to each worker and counts the answers.
 *
 * Threads: control; the parts travel to the workers and back.
 */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/worker/worker_inside.h"

struct round;

struct round_part {
    struct mailbox_message message; /* to the worker, then back */
    struct round *round;
};

/* One question to all workers. */
struct round {
    uint32_t waiting;         /* control's */
    struct worker_hold *hold; /* publication */
    uint64_t deadline_ms;     /* drain */
    void (*adopted)(struct snapshot *snapshot, void *arg);
    void (*drained)(void *arg);
    void *arg;
    struct round_part parts[];
};

static void on_answer(struct mailbox_message *message, void *receiver)
{
    struct round *round = container_of(message, struct round_part, message)->round;
    (void)receiver;
    if (--round->waiting > 0) {
        return;
    }
    if (round->adopted != NULL) {
        round->adopted(round->hold->snapshot, round->arg);
    }
    if (round->drained != NULL) {
        round->drained(round->arg);
    }
    free(round);
}

static void publish_at_worker(struct mailbox_message *message, void *receiver)
{
    struct worker *worker = receiver;
    struct round *round = container_of(message, struct round_part, message)->round;
    worker_adopt(worker, round->hold->snapshot, round->hold);
    message->deliver = on_answer;
    mailbox_post(worker->workers->options.control, message);
}

static void drain_at_worker(struct mailbox_message *message, void *receiver)
{
    struct round *round = container_of(message, struct round_part, message)->round;
    message->deliver = on_answer;
    worker_drain_begin(receiver, round->deadline_ms, message);
}

static struct round *round_new(struct workers *workers, void *arg)
{
    struct round *round = mem_zero(1, sizeof(*round) + workers->count * sizeof(struct round_part));
    round->waiting = workers->count;
    round->arg = arg;
    return round;
}

static void round_post(struct workers *workers, struct round *round,
                       void (*at_worker)(struct mailbox_message *message, void *receiver))
{
    for (uint32_t i = 0; i < workers->count; i++) {
        round->parts[i].round = round;
        round->parts[i].message.deliver = at_worker;
        mailbox_post(&workers->list[i].mailbox, &round->parts[i].message);
    }
}

void workers_publish(struct workers *workers, struct snapshot *snapshot,
                     void (*adopted)(struct snapshot *snapshot, void *arg), void *arg)
{
    struct worker_hold *hold =
        mem_zero(1, sizeof(*hold) + workers->count * sizeof(struct worker_hold_part));
    hold->workers = workers;
    hold->snapshot = snapshot;
    hold->remaining = workers->count;
    for (uint32_t i = 0; i < workers->count; i++) {
        hold->parts[i].hold = hold;
    }
    struct round *round = round_new(workers, arg);
    round->hold = hold;
    round->adopted = adopted;
    round_post(workers, round, publish_at_worker);
}

void workers_drain(struct workers *workers, uint64_t deadline_ms, void (*drained)(void *arg),
                   void *arg)
{
    struct round *round = round_new(workers, arg);
    round->deadline_ms = deadline_ms;
    round->drained = drained;
    round_post(workers, round, drain_at_worker);
}
