/* snapshot_bind - the listening sockets of a snapshot; declared in snapshot_build.h. */
#include <stdio.h>
#include <string.h>

#include "lbd/net/inherit.h"
#include "lbd/snapshot/snapshot_build.h"

/* "*:80" listens on every IPv4 address; conf has checked the rest. */
static bool parse_bind(struct slice text, struct addr *out)
{
    if (text.len > 2 && text.ptr[0] == '*' && text.ptr[1] == ':') {
        char any[32] = "0.0.0.0";
        if (text.len - 1 + strlen(any) >= sizeof(any)) {
            return false;
        }
        memcpy(any + strlen("0.0.0.0"), text.ptr + 1, text.len - 1);
        return addr_parse(slice_of(any, strlen("0.0.0.0") + text.len - 1), out);
    }
    return addr_parse(text, out);
}

static bool plan_has(const struct plan *plan, const struct listener_bind *bind)
{
    for (uint32_t i = 0; i < plan->bind_count; i++) {
        if (plan->binds[i] == bind) {
            return true;
        }
    }
    return false;
}

/* Asked for in these words, or at the port that "any" became. */
static bool is_at(const struct listener_bind *bind, const struct addr *address)
{
    return addr_eq(&bind->asked, address) || addr_eq(&bind->bound, address);
}

/* The listener's own socket for this address. With port 0 each mention of it is a socket of its
 * own. */
static struct listener_bind *find_own(const struct plan *plan, const struct addr *address)
{
    const struct listener *listener = plan->listener;
    for (uint32_t i = 0; i < listener->bind_count; i++) {
        struct listener_bind *bind = listener->binds[i];
        if (is_at(bind, address) && !plan_has(plan, bind)) {
            return bind;
        }
    }
    return NULL;
}

/* A socket of another listener that this document takes it away from (conf_check has seen to it
 * that two listeners never ask for the same), or one on its way out: the kernel would refuse a
 * second one. */
static struct listener_bind *find_foreign(const struct registry *registry,
                                          const struct addr *address)
{
    if (address->u.any.sa_family != AF_UNIX && addr_port(address) == 0) {
        return NULL;
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &registry->listeners) {
        const struct registry_listener *live = entry->value;
        for (uint32_t i = 0; i < live->listener->bind_count; i++) {
            if (is_at(live->listener->binds[i], address)) {
                return live->listener->binds[i];
            }
        }
    }
    for (uint32_t i = 0; i < registry->retiring_count; i++) {
        if (is_at(registry->retiring[i], address)) {
            return registry->retiring[i];
        }
    }
    return NULL;
}

/* Does this process listen on the port already, at another address? */
static bool holds_port(const struct registry *registry, const struct addr *address)
{
    uint16_t port = addr_port(address);
    struct map_entry *entry = NULL;
    if (port == 0) {
        return false;
    }
    map_for_each (entry, &registry->listeners) {
        const struct registry_listener *live = entry->value;
        for (uint32_t i = 0; i < live->listener->bind_count; i++) {
            if (addr_port(&live->listener->binds[i]->bound) == port) {
                return true;
            }
        }
    }
    return false;
}

static bool bind_one(struct plan *plan, const struct registry *registry, uint32_t workers,
                     struct slice text, struct err *err)
{
    struct addr address;
    if (!parse_bind(text, &address)) {
        return err_set(err, ERR_INVALID, "'%.*s' is not an address to listen on", SLICE_ARG(text));
    }

    struct listener_bind *bind = find_own(plan, &address);
    if (bind == NULL) {
        bind = find_foreign(registry, &address);
    }
    bool is_new = bind == NULL;
    int fd = bind == NULL
                 ? inherit_take(registry->inherit, slice_from(plan->listener->name), &address)
                 : -1;
    if (bind != NULL) {
        bind = listener_bind_ref(bind);
    } else if (fd >= 0) {
        bind = listener_bind_adopt(&address, fd, workers);
    } else if (holds_port(registry, &address)) {
        bind = listener_bind_open_beside(&address, workers, err);
    } else {
        bind = listener_bind_open(&address, workers, err);
    }
    if (bind == NULL) {
        return false;
    }
    if (is_new) {
        listener_bind_server_first(bind, plan_is_server_first(plan));
    }
    plan->binds[plan->bind_count++] = bind;
    return true;
}

bool snapshot_bind(struct snapshot *snapshot, struct registry *registry, struct err *err)
{
    const struct conf *conf = conf_document_conf(snapshot->document);
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        struct plan *plan = snapshot->plans[i];
        if (listener->bind_count > LISTENER_BINDS_MAX) {
            return err_set(err, ERR_INVALID, "listener '%.*s' has more than %u addresses",
                           SLICE_ARG(listener->name), (unsigned)LISTENER_BINDS_MAX);
        }
        plan->binds =
            arena_zero(&snapshot->arena, listener->bind_count * sizeof(struct listener_bind *));
        for (uint32_t b = 0; b < listener->bind_count; b++) {
            struct err why;
            if (!bind_one(plan, registry, snapshot->worker_count, listener->bind[b], &why)) {
                char place[128];
                (void)snprintf(place, sizeof(place), "/listeners/%.*s/bind/%u",
                               SLICE_ARG(listener->name), b);
                return err_set_at(err, why.kind, place, "cannot listen on '%.*s': %s",
                                  SLICE_ARG(listener->bind[b]), why.text);
            }
        }
    }
    return true;
}

/* The sockets of `plan` become those of its listener; what it had besides is let go. */
static void take_over(struct registry *registry, const struct plan *plan)
{
    struct listener *listener = plan->listener;
    uint32_t count = listener->bind_count;
    struct listener_bind *old[LISTENER_BINDS_MAX];
    memcpy(old, listener->binds, count * sizeof(struct listener_bind *));

    listener->bind_count = 0;
    for (uint32_t i = 0; i < plan->bind_count; i++) {
        listener->binds[listener->bind_count++] = listener_bind_ref(plan->binds[i]);
        listener_bind_server_first(plan->binds[i], plan_is_server_first(plan));
    }
    for (uint32_t i = 0; i < count; i++) {
        if (plan_has(plan, old[i])) {
            listener_bind_unref(old[i]);
        } else {
            registry_retire_bind(registry, old[i]);
        }
    }
}

void snapshot_bind_commit(struct snapshot *snapshot, struct registry *registry)
{
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        take_over(registry, snapshot->plans[i]);
    }
    registry_close_binds(registry);
}
