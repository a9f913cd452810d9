#include "lbd/upstream/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"

/* Set once at start-up, before a second thread runs. */
static void (*on_free)(uint32_t id);
static void (*on_passive_down)(struct server *server);
static void (*on_failures)(struct server *server);
static void (*on_trouble)(struct server_trouble *trouble);

/* `usable`, `ready` and `unresolved` follow from health and admin state, nothing else writes them.
 */
static bool publish(struct server *server)
{
    bool is_ready = server->admin == SERVER_READY;
    bool has_address = server->health != SERVER_UNRESOLVED;
    bool is_up = server->health == SERVER_UP;
    uint32_t usable = is_ready && is_up && !server->is_ejected && !server->is_stopped ? 1 : 0;
    uint64_t since = is_up ? 0 : server_not_up_since_ms(server);
    if (!is_up && since == 0) {
        since = now_ms() + 1; /* never 0 */
    }
    atomic_store_explicit(&server->not_up_since_ms, since, memory_order_relaxed);
    atomic_store_explicit(&server->admin_told, server->admin, memory_order_relaxed);
    atomic_store_explicit(&server->load.ready, is_ready && has_address ? 1 : 0,
                          memory_order_relaxed);
    atomic_store_explicit(&server->load.unresolved, is_ready && !has_address ? 1 : 0,
                          memory_order_relaxed);
    bool is_other =
        atomic_exchange_explicit(&server->load.usable, usable, memory_order_relaxed) != usable;
    if (is_other && usable != 0) {
        server->usable_since_ms = now_ms();
    }
    return is_other;
}

struct server *server_new(struct slice pool_name, struct slice name, uint32_t id)
{
    struct server *server = mem_zero_aligned(sizeof(*server));
    atomic_init(&server->refs, 1);
    server->id = id;
    server->pool_name = mem_slicedup(pool_name);
    server->name = mem_slicedup(name);
    server->health = SERVER_STARTING;
    server->admin = SERVER_READY;
    server->since_wall_us = now_wall_us();
    (void)publish(server);
    return server;
}

struct server *server_ref(struct server *server)
{
    (void)atomic_fetch_add_explicit(&server->refs, 1, memory_order_relaxed);
    return server;
}

void server_unref(struct server *server)
{
    if (server == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&server->refs, 1, memory_order_acq_rel);
    assert(before != 0);
    if (before != 1) {
        return;
    }
    if (on_free != NULL) {
        on_free(server->id);
    }
    counters_id_unref(server->pool_counters);
    queue_unref(server_queue(server));
    tls_reuse_free(server->tls_reuse);
    free(server->last_error);
    free(server->interview);
    free(server->capabilities);
    free(server->pool_name);
    free(server->name);
    free(server);
}

void server_on_free(void (*fn)(uint32_t id))
{
    on_free = fn;
}

void server_on_passive_down(void (*fn)(struct server *server))
{
    on_passive_down = fn;
}

void server_note_connect(struct server *server, bool connected)
{
    if (connected) {
        /* read first: the usual case writes nothing that other workers read */
        if (LB_UNLIKELY(atomic_load_explicit(&server->connect_failures, memory_order_relaxed) !=
                        0)) {
            atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
        }
        return;
    }

    uint32_t failures =
        atomic_fetch_add_explicit(&server->connect_failures, 1, memory_order_relaxed) + 1;
    if (failures >= SERVER_PASSIVE_FALL && on_passive_down != NULL &&
        atomic_exchange_explicit(&server->reported, 1, memory_order_acq_rel) == 0) {
        on_passive_down(server_ref(server));
    }
}

void server_on_failures(void (*fn)(struct server *server))
{
    on_failures = fn;
}

void server_tell_failures(struct server *server)
{
    if (on_failures != NULL &&
        atomic_exchange_explicit(&server->failures_told, 1, memory_order_acq_rel) == 0) {
        on_failures(server_ref(server));
    }
}

void server_forgive(struct server *server)
{
    atomic_store_explicit(&server->failures_in_row, 0, memory_order_relaxed);
    atomic_store_explicit(&server->failures_told, 0, memory_order_release);
}

void server_on_trouble(void (*fn)(struct server_trouble *trouble))
{
    on_trouble = fn;
}

void server_note_trouble(struct server *server, enum close_reason reason, const char *text)
{
    uint32_t now_s = (uint32_t)(now_us() / 1000000) + 1; /* 0: never */
    uint32_t told_s = atomic_load_explicit(&server->trouble_told_s, memory_order_relaxed);
    if (on_trouble == NULL || told_s == now_s ||
        !atomic_compare_exchange_strong(&server->trouble_told_s, &told_s, now_s)) {
        return;
    }
    struct server_trouble *trouble = mem_zero(1, sizeof(*trouble));
    trouble->server = server_ref(server);
    trouble->reason = reason;
    (void)snprintf(trouble->text, sizeof(trouble->text), "%s", text);
    on_trouble(trouble);
}

void server_trouble_free(struct server_trouble *trouble)
{
    server_unref(trouble->server);
    free(trouble);
}

void server_set_error(struct server *server, const char *text, uint64_t now_wall_us)
{
    free(server->last_error);
    server->last_error = mem_strdup(text);
    server->last_error_wall_us = now_wall_us;
}

bool server_set_health(struct server *server, enum server_health health, uint64_t now_wall_us)
{
    if (server->health != health) {
        server->health = health;
        server->since_wall_us = now_wall_us;
        server->transitions++;
        /* what failed before a change of mind says nothing about the time after it */
        atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
    }
    return publish(server);
}

bool server_set_admin(struct server *server, enum server_admin admin, uint64_t now_wall_us)
{
    if (server->admin != admin) {
        server->admin = admin;
        server->since_wall_us = now_wall_us;
    }
    return publish(server);
}

bool server_set_ejected(struct server *server, bool is_ejected)
{
    server->is_ejected = is_ejected;
    return publish(server);
}

void server_set_queue(struct server *server, struct queue *queue)
{
    if (server_queue(server) == NULL) {
        atomic_store_explicit(&server->queue, queue_ref(queue), memory_order_release);
    }
}

bool server_set_stopped(struct server *server, bool is_stopped)
{
    server->is_stopped = is_stopped;
    return publish(server);
}

const char *server_health_word(enum server_health health)
{
    switch (health) {
    case SERVER_STARTING:
        return "starting";
    case SERVER_UP:
        return "up";
    case SERVER_DOWN:
        return "down";
    case SERVER_UNRESOLVED:
        return "unresolved";
    }
    return "";
}

const char *server_admin_word(enum server_admin admin)
{
    switch (admin) {
    case SERVER_READY:
        return "ready";
    case SERVER_DRAIN:
        return "drain";
    case SERVER_MAINT:
        return "maint";
    }
    return "";
}
