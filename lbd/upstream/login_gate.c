/* login_gate - see login_gate.h. */
#include "lbd/upstream/login_gate.h"

#define LOOK_MS 10

static bool take(struct server *server, uint32_t limit)
{
    uint32_t inside = atomic_fetch_add_explicit(&server->logins, 1, memory_order_relaxed);
    if (limit == 0 || inside < limit) {
        return true;
    }
    (void)atomic_fetch_sub_explicit(&server->logins, 1, memory_order_relaxed);
    return false;
}

/* Lets in who may. True: some still wait. */
static bool serve(struct server_worker *queue)
{
    struct list_node *node = NULL;
    while ((node = list_first(&queue->logging_in)) != NULL) {
        struct login_gate_waiter *waiter = list_entry(node, struct login_gate_waiter, link);
        if (!take(queue->login_server, waiter->limit)) {
            return true;
        }
        list_remove(&waiter->link);
        waiter->fn(waiter);
    }
    return false;
}

static void on_look(struct loop_timer *timer);

static void look(struct upstream_worker *upstream)
{
    struct list_node *node = NULL;
    struct list_node *next = NULL;
    list_for_each_safe (node, next, &upstream->with_logins) {
        struct server_worker *queue = list_entry(node, struct server_worker, with_logins);
        if (!serve(queue)) {
            list_remove(&queue->with_logins);
            server_unref(queue->login_server);
            queue->login_server = NULL;
        }
    }
    if (!list_is_empty(&upstream->with_logins)) {
        loop_timer_set(upstream->loop, &upstream->login_look, LOOK_MS, on_look);
    }
}

static void on_look(struct loop_timer *timer)
{
    look(container_of(timer, struct upstream_worker, login_look));
}

static void on_turn(struct loop_ready *ready)
{
    look(container_of(ready, struct upstream_worker, login_turn));
}

bool login_gate_enter(struct upstream_worker *upstream, struct server *server, uint32_t limit,
                      struct login_gate_waiter *waiter)
{
    struct server_worker *queue = upstream_server(upstream, server->id);
    if (list_is_empty(&queue->logging_in) && take(server, limit)) {
        return true;
    }
    waiter->limit = limit;
    list_push_back(&queue->logging_in, &waiter->link);
    if (!list_is_linked(&queue->with_logins)) {
        queue->login_server = server_ref(server);
        list_push_back(&upstream->with_logins, &queue->with_logins);
    }
    if (!loop_timer_is_set(&upstream->login_look)) {
        loop_timer_set(upstream->loop, &upstream->login_look, LOOK_MS, on_look);
    }
    return false;
}

void login_gate_leave(struct upstream_worker *upstream, struct server *server)
{
    (void)atomic_fetch_sub_explicit(&server->logins, 1, memory_order_relaxed);
    struct server_worker *queue = upstream_server(upstream, server->id);
    if (list_is_linked(&queue->with_logins)) {
        loop_ready_put(upstream->loop, &upstream->login_turn, on_turn);
    }
}

void login_gate_cancel(struct login_gate_waiter *waiter)
{
    if (list_is_linked(&waiter->link)) {
        list_remove(&waiter->link);
    }
}
