#include "lbd/snapshot/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/balance/slow_start.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"

void registry_init(struct registry *registry)
{
    memset(registry, 0, sizeof(*registry));
    map_init(&registry->pools);
    map_init(&registry->listeners);
    map_init(&registry->routes);
    map_init(&registry->policies);
    map_init(&registry->places);
    registry_tls_init(&registry->tls);
    registry_rest_init(&registry->resting_servers, REGISTRY_SERVERS_RESTING_MAX);
    registry_rest_init(&registry->resting_pools, REGISTRY_POOLS_RESTING_MAX);
    registry_rest_init(&registry->resting_listeners, REGISTRY_LISTENERS_RESTING_MAX);
    registry_rest_init(&registry->resting_routes, REGISTRY_ROUTES_RESTING_MAX);
}

/* -- the end of each kind -- */

static void free_server(struct registry_server *server)
{
    if (server != NULL) {
        server_unref(server->server);
        free(server->address_text);
        free(server);
    }
}

#define SERVER_KEY_MAX 160

static struct slice server_key(const struct registry_pool *pool, struct slice name,
                               char out[SERVER_KEY_MAX])
{
    int len = snprintf(out, SERVER_KEY_MAX, "%s/%.*s", pool->name, SLICE_ARG(name));
    assert(len < SERVER_KEY_MAX);
    return slice_of(out, (size_t)len);
}

/* Workers that adopt the next snapshot close its idle connections; those that do not run it yet may
 * still choose it, which is why `usable` stays as it is. */
static void rest_server(struct registry_server *server)
{
    char key[SERVER_KEY_MAX];
    struct registry_pool *pool = server->pool;
    atomic_store_explicit(&server->server->load.ready, 0, memory_order_relaxed);
    if (server->address_text == NULL) { /* it was only proposed */
        free_server(server);
        return;
    }
    server->pool = NULL; /* may be gone before it */
    server->weight = 0;
    server->weight_percent = 0;
    free_server(registry_rest_put(&pool->registry->resting_servers,
                                  server_key(pool, slice_from(server->server->name), key), server));
}

/* It begins again as a new one would, but for its counters and what it may still have in flight. */
static struct registry_server *wake_server(struct registry_pool *pool, struct slice name)
{
    char key[SERVER_KEY_MAX];
    struct registry_server *server =
        registry_rest_take(&pool->registry->resting_servers, server_key(pool, name, key));
    if (server == NULL) {
        return NULL;
    }
    struct server *live = server->server;
    if (live->pool_counters != pool->counters ||
        atomic_load_explicit(&live->reported, memory_order_acquire) != 0 ||
        atomic_load_explicit(&live->failures_told, memory_order_acquire) != 0) {
        /* of another pool of that name, or a worker's message about it is still on its way */
        free_server(server);
        return NULL;
    }
    server->pool = pool;
    server->conditions = (struct conditions){0};
    server->agent = (struct agent_line){0};
    (void)server_set_stopped(live, false);
    live->last_check[0] = '\0';
    atomic_store_explicit(&live->connect_failures, 0, memory_order_relaxed);
    (void)server_set_health(live, SERVER_STARTING, now_wall_us());
    return server;
}

/* Workers count with it until the last snapshot that names it is gone. */
static void leave(struct registry *registry, struct counters_id *counters)
{
    uint32_t count = registry->leaving_count;
    if ((count & (count - 1)) == 0) { /* a power of two: full, perhaps; then twice as long */
        registry->leaving =
            mem_resize(registry->leaving, (count + 1) * 2 * sizeof(*registry->leaving));
    }
    registry->leaving[registry->leaving_count++] =
        (struct registry_leaving){.counters = counters, .generation = registry->generation};
}

void registry_release_ids(struct registry *registry, uint64_t oldest)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < registry->leaving_count; i++) {
        const struct registry_leaving *gone = &registry->leaving[i];
        if (gone->generation < oldest) {
            counters_id_unref(gone->counters);
        } else {
            registry->leaving[kept++] = *gone;
        }
    }
    registry->leaving_count = kept;
}

static void free_pool(struct registry *registry, struct registry_pool *pool)
{
    if (pool != NULL) {
        assert(pool->servers.count == 0);
        map_fini(&pool->servers);
        tls_client_unref(pool->tls);
        queue_unref(pool->queue);
        leave(registry, pool->counters);
        free(pool->name);
        free(pool);
    }
}

static void rest_servers(struct registry_pool *pool)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        struct registry_server *server = entry->value;
        (void)map_remove(&pool->servers, entry->key);
        rest_server(server);
    }
}

static void rest_pool(struct registry *registry, struct registry_pool *pool)
{
    rest_servers(pool);
    if (!pool->was_committed) {
        free_pool(registry, pool);
        return;
    }
    pool->committed = 0;
    pool->epoch++;
    pool->conditions = (struct conditions){0};
    tls_client_unref(pool->tls);
    pool->tls = NULL;
    free_pool(registry, registry_rest_put(&registry->resting_pools, slice_from(pool->name), pool));
}

static void free_listener(struct registry_listener *live)
{
    if (live != NULL) {
        listener_unref(live->listener);
        free(live);
    }
}

static void rest_listener(struct registry *registry, struct registry_listener *live)
{
    for (uint32_t i = 0; i < live->listener->bind_count; i++) {
        registry_retire_bind(registry, live->listener->binds[i]);
    }
    live->listener->bind_count = 0;
    live->listener->is_drained = false;
    live->conditions = (struct conditions){0};
    free_listener(
        registry_rest_put(&registry->resting_listeners, slice_from(live->listener->name), live));
}

static void free_route(struct registry *registry, struct registry_route *route)
{
    if (route != NULL) {
        leave(registry, route->counters);
        free(route->name);
        free(route);
    }
}

static void rest_route(struct registry *registry, struct registry_route *route)
{
    route->conditions = (struct conditions){0};
    free_route(registry,
               registry_rest_put(&registry->resting_routes, slice_from(route->name), route));
}

static void free_policy(struct registry *registry, struct registry_policy *policy)
{
    leave(registry, policy->counters);
    filter_state_unref(policy->state);
    free(policy->keys.url);
    free(policy->keys.error);
    free((char *)(uintptr_t)policy->keys.text.ptr);
    free(policy->key);
    free(policy);
}

/* -- the end of all -- */

static void forget_resting(struct registry *registry)
{
    void *object = NULL;
    while ((object = registry_rest_pop(&registry->resting_servers)) != NULL) {
        free_server(object);
    }
    while ((object = registry_rest_pop(&registry->resting_pools)) != NULL) {
        free_pool(registry, object);
    }
    while ((object = registry_rest_pop(&registry->resting_listeners)) != NULL) {
        free_listener(object);
    }
    while ((object = registry_rest_pop(&registry->resting_routes)) != NULL) {
        free_route(registry, object);
    }
    registry_rest_fini(&registry->resting_servers);
    registry_rest_fini(&registry->resting_pools);
    registry_rest_fini(&registry->resting_listeners);
    registry_rest_fini(&registry->resting_routes);
}

struct tls_ca *registry_system_ca(struct registry *registry, struct err *err)
{
    if (registry->system_ca == NULL) {
        registry->system_ca = tls_ca_system(err);
    }
    return registry->system_ca;
}

void registry_fini(struct registry *registry)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &registry->pools) {
        rest_pool(registry, entry->value);
    }
    map_for_each (entry, &registry->listeners) {
        rest_listener(registry, entry->value);
    }
    map_for_each (entry, &registry->routes) {
        rest_route(registry, entry->value);
    }
    forget_resting(registry);
    map_fini(&registry->pools);
    map_fini(&registry->listeners);
    map_fini(&registry->routes);
    map_for_each (entry, &registry->policies) {
        free_policy(registry, entry->value);
    }
    map_fini(&registry->policies);
    struct map_entry *place = NULL;
    map_for_each (place, &registry->places) {
        place_unref(place->value);
    }
    map_fini(&registry->places);
    registry_tls_fini(&registry->tls);
    for (uint32_t i = 0; i < registry->retiring_count; i++) {
        listener_bind_unref(registry->retiring[i]);
    }
    free(registry->retiring);
    registry_release_ids(registry, UINT64_MAX);
    free(registry->leaving);
    tls_ca_unref(registry->system_ca);
    memset(registry, 0, sizeof(*registry));
}

/* -- find or make -- */

struct registry_pool *registry_find_pool(const struct registry *registry, struct slice name)
{
    return map_get(&registry->pools, name);
}

struct registry_server *registry_find_server(const struct registry *registry, struct slice pool,
                                             struct slice name)
{
    const struct registry_pool *found = registry_find_pool(registry, pool);
    return found != NULL ? map_get(&found->servers, name) : NULL;
}

struct registry_listener *registry_find_listener(const struct registry *registry, struct slice name)
{
    return map_get(&registry->listeners, name);
}

struct registry_route *registry_find_route(const struct registry *registry, struct slice name)
{
    return map_get(&registry->routes, name);
}

#define POLICY_KEY_MAX 96

static struct slice policy_key(const struct conf_policy *conf, char out[POLICY_KEY_MAX])
{
    int len = snprintf(out, POLICY_KEY_MAX, "%s/%.*s", conf_policy_word(conf->kind),
                       SLICE_ARG(conf->name));
    assert(len < POLICY_KEY_MAX); /* names have at most 63 bytes */
    return slice_of(out, (size_t)len);
}

struct registry_policy *registry_find_policy(const struct registry *registry,
                                             const struct conf_policy *conf)
{
    char key[POLICY_KEY_MAX];
    return map_get(&registry->policies, policy_key(conf, key));
}

struct registry_policy *registry_make_policy(struct registry *registry,
                                             const struct conf_policy *conf)
{
    char text[POLICY_KEY_MAX];
    struct slice key = policy_key(conf, text);
    const struct filter_ops *ops = filter_ops_of(conf->kind);
    struct registry_policy *policy = map_get(&registry->policies, key);
    if (policy != NULL && ops->state_fits != NULL && !ops->state_fits(policy->state, conf)) {
        (void)map_remove(&registry->policies, key);
        free_policy(registry, policy);
        policy = NULL;
    }
    if (policy == NULL) {
        policy = mem_zero(1, sizeof(*policy));
        policy->key = mem_slicedup(key);
        policy->counters = counters_id_new(COUNTERS_POLICY);
        policy->id = policy->counters->id;
        policy->state = ops->make_state != NULL ? ops->make_state(conf) : NULL;
        (void)map_put(&registry->policies, key, policy);
    }
    return policy;
}

struct registry_pool *registry_make_pool(struct registry *registry, struct slice name)
{
    struct registry_pool *pool = registry_find_pool(registry, name);
    if (pool != NULL) {
        return pool;
    }
    pool = registry_rest_take(&registry->resting_pools, name);
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->registry = registry;
        pool->name = mem_slicedup(name);
        pool->counters = counters_id_new(COUNTERS_POOL);
        pool->id = pool->counters->id;
        map_init(&pool->servers);
    }
    (void)map_put(&registry->pools, name, pool);
    return pool;
}

struct registry_server *registry_make_server(struct registry_pool *pool, struct slice name)
{
    size_t cursor = 0;
    return registry_make_server_near(pool, name, &cursor);
}

struct registry_server *registry_make_server_near(struct registry_pool *pool, struct slice name,
                                                  size_t *cursor)
{
    struct registry_server *server = map_get_near(&pool->servers, name, cursor);
    if (server != NULL) {
        return server;
    }
    server = wake_server(pool, name);
    if (server == NULL) {
        server = mem_zero(1, sizeof(*server));
        server->server =
            server_new(slice_from(pool->name), name, counters_acquire(COUNTERS_SERVER));
        server->server->pool_counters = counters_id_ref(pool->counters);
        server->pool = pool;
    }
    (void)map_put(&pool->servers, name, server);
    return server;
}

struct place *registry_make_place(struct registry *registry, struct slice group, struct slice name)
{
    char text[2 * 64];
    int len = snprintf(text, sizeof(text), "%.*s/%.*s", SLICE_ARG(group), SLICE_ARG(name));
    assert(len > 0 && (size_t)len < sizeof(text)); /* names have at most 63 bytes */
    struct slice key = slice_of(text, (size_t)len);
    struct place *place = map_get(&registry->places, key);
    if (place == NULL) {
        place = place_new(group, name);
        (void)map_put(&registry->places, key, place);
    }
    return place;
}

/* Those that no pool and no user has any more. */
static void sweep_places(struct registry *registry)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &registry->places) {
        struct place *place = entry->value;
        if (atomic_load_explicit(&place->refs, memory_order_acquire) == 1) {
            (void)map_remove(&registry->places, entry->key);
            place_unref(place);
        }
    }
}

struct registry_listener *registry_make_listener(struct registry *registry, struct slice name)
{
    struct registry_listener *live = registry_find_listener(registry, name);
    if (live != NULL) {
        return live;
    }
    live = registry_rest_take(&registry->resting_listeners, name);
    if (live == NULL) {
        live = mem_zero(1, sizeof(*live));
        live->listener = listener_new(name, counters_acquire(COUNTERS_LISTENER));
    }
    (void)map_put(&registry->listeners, name, live);
    return live;
}

struct registry_route *registry_make_route(struct registry *registry, struct slice name)
{
    struct registry_route *route = registry_find_route(registry, name);
    if (route != NULL) {
        return route;
    }
    route = registry_rest_take(&registry->resting_routes, name);
    if (route == NULL) {
        route = mem_zero(1, sizeof(*route));
        route->name = mem_slicedup(name);
        route->counters = counters_id_new(COUNTERS_ROUTE);
        route->id = route->counters->id;
    }
    (void)map_put(&registry->routes, name, route);
    return route;
}

/* -- addresses -- */

void registry_address_of(const struct registry_server *server, struct slice text,
                         struct addr *address, uint32_t *version, bool *is_literal)
{
    if (server->address_text != NULL && slice_eq(slice_from(server->address_text), text)) {
        *address = server->address;
        *version = server->address_version;
        *is_literal = server->has_literal_address;
        return;
    }

    *is_literal = addr_parse(text, address);
    if (!*is_literal) {
        memset(address, 0, sizeof(*address)); /* a name: control_resolve finds it */
    }
    *version = server->address_version + 1;
}

static bool same_address(const struct addr *a, const struct addr *b)
{
    return a->len == 0 || b->len == 0 ? a->len == b->len : addr_eq(a, b);
}

bool registry_server_set_address(struct registry_server *server, const struct addr *address)
{
    if (same_address(&server->address, address)) {
        return false;
    }
    server->address = *address;
    server->address_version++;
    server->pool->epoch++;
    return true;
}

bool registry_is_drained(const struct registry *registry, const struct listener *listener)
{
    return registry->is_drained || listener->is_drained;
}

/* By hand, else configured and (`with_agent`) of that what its agent asks for; all on one scale. */
static uint64_t weight_on_scale(const struct registry_server *server, uint64_t configured,
                                uint64_t scale, bool with_agent)
{
    uint64_t weight = configured;
    if (server->weight != 0) {
        weight = server->weight * scale;
    } else if (server->weight_percent != 0) {
        weight = (configured * server->weight_percent + 50) / 100;
    } else if (with_agent && server->agent.has_percent && configured != 0) {
        weight = (configured * server->agent.percent + 99) / 100;
    } else {
        return configured;
    }
    return weight != 0 ? weight : 1;
}

static uint32_t weight_as_number(const struct registry_server *server, const struct conf_pool *pool,
                                 const struct conf_server *conf, bool with_agent)
{
    if (server->weight != 0) {
        return server->weight;
    }
    uint64_t weight = weight_on_scale(server, conf_share_number(pool, conf), 1, with_agent);
    return weight < UINT32_MAX ? (uint32_t)weight : UINT32_MAX;
}

uint32_t registry_server_weight(const struct registry_server *server, const struct conf_pool *pool,
                                const struct conf_server *conf)
{
    return weight_as_number(server, pool, conf, true);
}

uint32_t registry_server_weight_set(const struct registry_server *server,
                                    const struct conf_pool *pool, const struct conf_server *conf)
{
    return weight_as_number(server, pool, conf, false);
}

uint64_t registry_server_weight_scaled(const struct registry_server *server,
                                       const struct conf_share_sums *sums,
                                       const struct conf_server *conf)
{
    return weight_on_scale(server, conf_share_scaled(sums, conf), conf_share_scale(sums, conf),
                           true);
}

uint32_t registry_server_weight_now(const struct registry_server *server,
                                    const struct conf_pool *pool, const struct conf_server *conf,
                                    uint64_t at_ms)
{
    bool is_hash =
        pool->algorithm == CONF_ALGORITHM_MAGLEV || pool->algorithm == CONF_ALGORITHM_RING_HASH;
    if (!server_is_usable(server->server)) {
        return 0;
    }
    uint32_t weight = registry_server_weight(server, pool, conf);
    if (is_hash || pool->slow_start_ms == 0) {
        return weight;
    }
    return slow_start_weight(weight, server->server->usable_since_ms, pool->slow_start_ms, at_ms);
}

void registry_touch(struct registry *registry, struct slice pool)
{
    struct registry_pool *live = registry_find_pool(registry, pool);
    if (live != NULL) {
        live->epoch++;
    }
}

/* Takes over what the document says; true when the address is a new one. */
static bool commit_address(struct registry_server *server, struct slice text)
{
    if (server->address_text != NULL && slice_eq(slice_from(server->address_text), text)) {
        return false;
    }
    registry_address_of(server, text, &server->address, &server->address_version,
                        &server->has_literal_address);
    free(server->address_text);
    server->address_text = mem_slicedup(text);
    return true;
}

/* -- commit and sweep -- */

static void sweep_servers(struct registry_pool *pool, const struct conf_pool *conf)
{
    if (pool->servers.count == conf->server_count) {
        return; /* every server of the document has been made: none is too many */
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        if (conf_server_find(conf, entry->key) == NULL) {
            struct registry_server *server = entry->value;
            (void)map_remove(&pool->servers, entry->key);
            rest_server(server);
        }
    }
}

void registry_sweep(struct registry *registry, const struct conf *conf)
{
    struct map_entry *entry = NULL;
    registry_tls_sweep(&registry->tls);
    map_for_each (entry, &registry->pools) {
        struct registry_pool *pool = entry->value;
        const struct conf_pool *named = conf_pool_find(conf, entry->key);
        if (named != NULL) {
            sweep_servers(pool, named);
            continue;
        }
        (void)map_remove(&registry->pools, entry->key);
        rest_pool(registry, pool);
    }
    map_for_each (entry, &registry->listeners) {
        if (conf_listener_find(conf, entry->key) == NULL) {
            struct registry_listener *live = entry->value;
            (void)map_remove(&registry->listeners, entry->key);
            rest_listener(registry, live);
        }
    }
    map_for_each (entry, &registry->routes) {
        if (conf_route_find(conf, entry->key) == NULL) {
            struct registry_route *route = entry->value;
            (void)map_remove(&registry->routes, entry->key);
            rest_route(registry, route);
        }
    }
    map_for_each (entry, &registry->policies) {
        struct registry_policy *policy = entry->value;
        size_t kind_len = slice_find(entry->key, '/');
        const struct conf_policy *named =
            conf_policy_find(conf, slice_from_at(entry->key, kind_len + 1));
        if (named == NULL || registry_find_policy(registry, named) != policy) {
            (void)map_remove(&registry->policies, entry->key);
            free_policy(registry, policy);
        }
    }
    sweep_places(registry);
}

void registry_commit(struct registry *registry, const struct conf *conf,
                     void (*committed)(struct registry_server *server, const struct conf_pool *pool,
                                       const struct conf_server *conf, bool is_moved, void *arg),
                     void *arg)
{
    for (uint32_t p = 0; p < conf->pool_count; p++) {
        const struct conf_pool *named = &conf->pools[p];
        struct registry_pool *pool = registry_make_pool(registry, named->name);
        if (named->version != 0 && named->version == pool->committed) {
            continue;
        }
        pool->committed = named->version;
        pool->was_committed = true;
        size_t cursor = 0;
        for (uint32_t s = 0; s < named->server_count; s++) {
            struct registry_server *server =
                registry_make_server_near(pool, named->servers[s].name, &cursor);
            bool is_moved = commit_address(server, named->servers[s].address);
            if (committed != NULL) {
                committed(server, named, &named->servers[s], is_moved, arg);
            }
        }
    }
    registry_tls_commit(&registry->tls, conf);
    registry_sweep(registry, conf);
}

/* -- listening sockets on their way out -- */

void registry_retire_bind(struct registry *registry, struct listener_bind *bind)
{
    if (atomic_load_explicit(&bind->refs, memory_order_acquire) == 1) {
        listener_bind_unref(bind); /* nobody else: closes now */
        return;
    }
    for (uint32_t i = 0; i < registry->retiring_count; i++) {
        if (registry->retiring[i] == bind) { /* it moved on once before: one reference is enough */
            listener_bind_unref(bind);
            return;
        }
    }
    registry->retiring = mem_resize(registry->retiring, (registry->retiring_count + 1) *
                                                            sizeof(struct listener_bind *));
    registry->retiring[registry->retiring_count++] = bind;
}

void registry_close_binds(struct registry *registry)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < registry->retiring_count; i++) {
        struct listener_bind *bind = registry->retiring[i];
        if (atomic_load_explicit(&bind->refs, memory_order_acquire) == 1) {
            listener_bind_unref(bind);
        } else {
            registry->retiring[kept++] = bind;
        }
    }
    registry->retiring_count = kept;
}
