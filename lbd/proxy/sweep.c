/* sweep - see sweep.h. */
#include "lbd/proxy/sweep.h"

#include "lbd/proxy/front.h"
#include "lbd/proxy/session.h"

void sweep_stop(struct sweep *sweep)
{
    loop_ready_remove(&sweep->ready);
    list_remove(&sweep->link);
    sweep->done(sweep);
}

static void next_front(struct sweep *sweep)
{
    sweep->front = sweep->front->next;
    sweep->at = NULL;
}

/* The next client, which is then no more the sweep's business; NULL: that was the last. */
static struct session *next_session(struct sweep *sweep)
{
    while (sweep->front != &sweep->proxy->fronts) {
        struct front *front = list_entry(sweep->front, struct front, link);
        struct list_node *node = sweep->at != NULL ? sweep->at : front->sessions.next;
        if (node != &front->sessions) {
            struct session *session = list_entry(node, struct session, link);
            if ((session->id & SESSION_NUMBER_MASK) <= sweep->last) {
                sweep->at = node->next;
                return session;
            }
        }
        next_front(sweep); /* the rest of this one came later */
    }
    return NULL;
}

static void on_ready(struct loop_ready *ready)
{
    struct sweep *sweep = container_of(ready, struct sweep, ready);
    for (uint32_t used = 0; used < SWEEP_SLICE; used += sweep->cost) {
        sweep->cost = 1;
        struct session *session = next_session(sweep);
        if (session == NULL || !sweep->visit(sweep, session)) {
            sweep_stop(sweep);
            return;
        }
    }
    loop_ready_put(sweep->proxy->loop, &sweep->ready, on_ready);
}

void sweep_start(struct sweep *sweep, struct proxy_worker *proxy)
{
    sweep->proxy = proxy;
    sweep->front = proxy->fronts.next;
    sweep->at = NULL;
    sweep->last = proxy->accepted;
    list_push_back(&proxy->sweeps, &sweep->link);
    loop_ready_put(proxy->loop, &sweep->ready, on_ready);
}

void sweep_leave_session(struct proxy_worker *proxy, const struct session *session)
{
    struct list_node *node = NULL;
    list_for_each (node, &proxy->sweeps) {
        struct sweep *sweep = list_entry(node, struct sweep, link);
        if (sweep->at == &session->link) {
            sweep->at = session->link.next;
        }
    }
}

void sweep_leave_front(struct proxy_worker *proxy, const struct front *front)
{
    struct list_node *node = NULL;
    list_for_each (node, &proxy->sweeps) {
        struct sweep *sweep = list_entry(node, struct sweep, link);
        if (sweep->front == &front->link) {
            next_front(sweep);
        }
    }
}
