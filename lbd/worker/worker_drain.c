/*
 * worker_drain - finishes what is open, until a deadline.
 *
 * Threads: worker.
 */
#include "lbd/proxy/front.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/sweep.h"
#include "lbd/upstream/idle.h"
#include "lbd/worker/worker_inside.h"

static void on_quiet(struct proxy_worker *proxy)
{
    struct worker *worker = container_of(proxy, struct worker, proxy);
    struct mailbox_message *drained = worker->drained;
    if (drained != NULL) {
        worker->drained = NULL;
        mailbox_post(worker->workers->options.control, drained);
    }
}

void worker_drain_begin(struct worker *worker, uint64_t deadline_ms,
                        struct mailbox_message *drained)
{
    struct proxy_worker *proxy = &worker->proxy;
    worker->drained = drained;
    proxy->draining = true;
    if (list_is_empty(&proxy->fronts)) {
        on_quiet(proxy);
        return;
    }
    proxy->on_quiet = on_quiet;
    struct list_node *node;
    struct list_node *next;
    list_for_each_safe (node, next, &proxy->fronts) {
        front_drain(list_entry(node, struct front, link), proxy->lease, deadline_ms);
    }
}

void worker_end_all(struct worker *worker)
{
    struct proxy_worker *proxy = &worker->proxy;
    proxy->draining = true;
    struct list_node *node;
    while ((node = list_first(&proxy->sweeps)) != NULL) {
        sweep_stop(list_entry(node, struct sweep, link));
    }
    while ((node = list_first(&proxy->fronts)) != NULL) {
        front_end(list_entry(node, struct front, link), CLOSE_SHUTDOWN);
    }
    mail_cache_worker_end(proxy->mail_cache);
    idle_close_all(&worker->upstream);
    upstream_conn_end_lingering(&worker->upstream);
    if (proxy->lease != NULL) {
        struct lease *lease = proxy->lease;
        proxy->lease = NULL;
        lease_retire(lease);
    }
}
