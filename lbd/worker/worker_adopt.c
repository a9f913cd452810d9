/*
 * worker_adopt - swaps a worker's plans, starts and stops its listeners.
 *
 * Nothing here is proportional to the number of servers or connections.
 *
 * Threads: worker.
 */
#include <stdlib.h>

#include "lbd/base/now.h"
#include "lbd/proxy/front.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/upstream/idle.h"
#include "lbd/worker/worker_inside.h"

static struct front *front_of(struct proxy_worker *proxy, const struct listener *listener)
{
    struct list_node *node;
    list_for_each (node, &proxy->fronts) {
        struct front *front = list_entry(node, struct front, link);
        if (front->listener == listener && !front->draining) {
            return front;
        }
    }
    return NULL;
}

static void adopt_fronts(struct worker *worker, const struct snapshot *snapshot, struct lease *old)
{
    struct proxy_worker *proxy = &worker->proxy;
    struct list_node *node;
    struct list_node *next;
    list_for_each (node, &proxy->fronts) {
        list_entry(node, struct front, link)->seen = false;
    }
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        struct front *front = front_of(proxy, snapshot->plans[i]->listener);
        if (front != NULL) {
            front_adopt(front, snapshot->plans[i], worker->workers->options.drain_timeout_ms);
        } else {
            front = front_new(proxy, snapshot->plans[i]);
        }
        front->seen = true;
    }
    list_for_each_safe (node, next, &proxy->fronts) {
        struct front *front = list_entry(node, struct front, link);
        if (!front->seen && !front->draining) {
            front_drain(front, old, worker->workers->options.drain_timeout_ms);
        }
    }
}

/* Plans are sorted by the names of their listeners. */
static int compare_plan(const void *listener, const void *plan)
{
    return slice_compare(*(const struct slice *)listener,
                         slice_from((*(struct plan *const *)plan)->listener->name));
}

static const struct conf_mail_cache *cache_settings(const void *arg, struct slice listener,
                                                    const struct addr_small *client)
{
    const struct snapshot *snapshot = arg;
    struct plan *const *found = snapshot->plan_count != 0
                                    ? bsearch(&listener, snapshot->plans, snapshot->plan_count,
                                              sizeof(struct plan *), compare_plan)
                                    : NULL;
    const struct mail_plan *mail = found != NULL ? (*found)->mail : NULL;
    return mail != NULL && mail->conf->has_cache != 0 && cidr_set_has(&mail->cache_clients, client)
               ? &mail->conf->cache
               : NULL;
}

/* Who waits gets a place of the newest pool. */
static void adopt_queues(struct worker *worker, const struct snapshot *snapshot,
                         const struct lease *lease)
{
    struct queue_bell *bell = &worker->upstream.bell;
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = snapshot->pools[i];
        if (pool->queue != NULL) {
            queue_set_newest(pool->queue, bell, pool, lease);
        }
    }
    queue_look(bell);
}

static void on_released_at_control(struct mailbox_message *message, void *receiver)
{
    struct worker_hold_part *part = container_of(message, struct worker_hold_part, message);
    struct worker_hold *hold = part->hold;
    (void)receiver;
    if (--hold->remaining == 0) {
        const struct workers_options *options = &hold->workers->options;
        options->released(hold->snapshot, options->arg);
        free(hold);
    }
}

static void on_released(struct lease *lease)
{
    struct worker_hold_part *part = lease->arg;
    part->message.deliver = on_released_at_control;
    mailbox_post(part->hold->workers->options.control, &part->message);
}

void worker_adopt(struct worker *worker, struct snapshot *snapshot, struct worker_hold *hold)
{
    struct proxy_worker *proxy = &worker->proxy;
    struct counters_loop *counters = &proxy->counters->loop;
    uint64_t began_us = now_us();
    uint64_t cpu_us = now_thread_cpu_us();
    struct lease *old = proxy->lease;
    struct lease *lease = &snapshot->leases[worker->number];
    lease_init(lease, on_released, &hold->parts[worker->number]);
    proxy->lease = lease;
    proxy->revision = snapshot->revision;
    /* that passes are long is nobody's business where nothing is to be shed */
    proxy->relief.limits.shed_lag_ms = snapshot->has_low ? worker->workers->options.shed_lag_ms : 0;
    if (!proxy->draining) {
        adopt_fronts(worker, snapshot, old);
    }
    if (old != NULL) {
        lease_retire(old);
    }
    idle_sweep(&worker->upstream);
    adopt_queues(worker, snapshot, lease);
    mail_cache_set_settings(proxy->mail_cache, cache_settings, snapshot);
    mail_cache_sweep(proxy->mail_cache);
    counters_sweep(proxy->counters);
    counter_set(&counters->revision, snapshot->revision);
    histogram_note_us(&counters->adoption_cpu, now_thread_cpu_us() - cpu_us);
    histogram_note_us(&counters->adoption, now_us() - began_us);
    atomic_store_explicit(&worker->generation, snapshot->generation, memory_order_release);
}
