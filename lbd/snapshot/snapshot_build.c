#include "lbd/snapshot/snapshot_build.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/snapshot/snapshot_retire.h"

/* -- pools -- */

static void fill_member(struct pool *pool, uint32_t i, struct registry_server *live,
                        const struct conf_server *conf)
{
    struct pool_member *member = &pool->members[i];
    bool is_literal = false;
    registry_address_of(live, conf->address, &member->address, &member->address_version,
                        &is_literal);
    member->server = server_ref(live->server);
    member->host = arena_copy(&pool->arena, conf->address);
    pool->targets[i].weight = live->weight != 0 ? live->weight : conf->weight;
    pool->targets[i].max_in_flight = conf->max_connections;
}

static struct pool *build_pool(const struct conf_pool *conf, struct registry_pool *live,
                               struct snapshot_pool_made *made)
{
    struct pool *pool = pool_new(conf->name, live->id, conf->server_count);
    pool->fail_open = conf->when_all_down == CONF_FAIL_OPEN;
    pool->retries = conf->retries;
    pool->connect_ms = conf->timeouts.connect_ms;
    pool->response_ms = conf->timeouts.response_ms;
    pool->idle_ms = conf->timeouts.idle_ms;

    size_t cursor = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        struct registry_server *server =
            registry_make_server_near(live, conf->servers[i].name, &cursor);
        fill_member(pool, i, server, &conf->servers[i]);
    }
    pool_build(pool, conf->algorithm == CONF_ALGORITHM_ROUND_ROBIN ? BALANCER_ROUND_ROBIN
                                                                   : BALANCER_LEAST_REQUEST);
    *made = (struct snapshot_pool_made){.version = conf->version, .epoch = live->epoch};
    return pool;
}

/* Is everything a pool was made from, the document apart, still so? */
static bool pool_is_current(const struct pool *pool, const struct snapshot_pool_made *made,
                            const struct registry_pool *live)
{
    return live != NULL && live->id == pool->id && live->epoch == made->epoch;
}

static struct pool *find_pool(const struct snapshot *snapshot, struct slice name, uint32_t *index)
{
    uint32_t low = 0;
    uint32_t high = snapshot != NULL ? snapshot->pool_count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(snapshot->pools[middle]->name, name);
        if (order == 0) {
            *index = middle;
            return snapshot->pools[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool add_pool(struct snapshot *snapshot, const struct snapshot_build *build,
                     const struct conf_pool *conf, struct err *err)
{
    if (conf->server_count > BALANCER_TARGETS_MAX) {
        return err_set_at(err, ERR_INVALID, "/pools", "pool '%.*s' has more than %u servers",
                          SLICE_ARG(conf->name), (unsigned)BALANCER_TARGETS_MAX);
    }

    struct registry_pool *live = registry_make_pool(build->registry, conf->name);
    uint32_t at = 0;
    struct pool *old = find_pool(build->newest, conf->name, &at);
    uint32_t i = snapshot->pool_count;
    if (old != NULL && conf->version != 0 && build->newest->made[at].version == conf->version &&
        pool_is_current(old, &build->newest->made[at], live)) {
        snapshot->pools[i] = pool_ref(old);
        snapshot->made[i] = build->newest->made[at];
    } else {
        snapshot->pools[i] = build_pool(conf, live, &snapshot->made[i]);
    }
    snapshot->pool_count++;
    return true;
}

/* -- routes and plans -- */

static struct route *new_route(struct snapshot *snapshot, struct slice name, uint32_t id)
{
    struct route *route = arena_zero(&snapshot->arena, sizeof(*route));
    route->name = name;
    route->id = id;
    return route;
}

static bool route_to_pool(const struct snapshot *snapshot, struct route *route, struct slice pool,
                          struct err *err)
{
    uint32_t at = 0;
    route->action = CONF_ACTION_POOL;
    route->pool = find_pool(snapshot, pool, &at);
    if (route->pool == NULL) {
        return err_set(err, ERR_INVALID, "there is no pool named '%.*s'", SLICE_ARG(pool));
    }
    return true;
}

static struct route *build_route(struct snapshot *snapshot, const struct snapshot_build *build,
                                 const struct conf_route *conf, struct err *err)
{
    struct route *route =
        new_route(snapshot, conf->name, registry_make_route(build->registry, conf->name)->id);
    route->forward_trailers = conf->trailers == CONF_TRAILERS_FORWARD;
    route->action = conf->action;
    switch (conf->action) {
    case CONF_ACTION_POOL:
        return route_to_pool(snapshot, route, conf->pool, err) ? route : NULL;
    case CONF_ACTION_RESPOND:
        route->status = (uint16_t)conf->respond_status;
        route->body = conf->respond_body;
        route->content_type = conf->respond_type;
        break;
    case CONF_ACTION_REDIRECT:
        route->status = (uint16_t)conf->redirect_status;
        route->location = conf->redirect_location;
        break;
    }
    return route;
}

static bool add_routes(struct snapshot *snapshot, const struct snapshot_build *build,
                       const struct conf_listener *listener, struct plan *plan, struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    const struct conf_route **confs =
        arena_alloc(&snapshot->arena, (conf->route_count + 1) * sizeof(const struct conf_route *));
    struct route **routes =
        arena_alloc(&snapshot->arena, (conf->route_count + 1) * sizeof(struct route *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        if (!slice_eq(conf->routes[i].listener, listener->name)) {
            continue;
        }
        confs[count] = &conf->routes[i];
        routes[count] = build_route(snapshot, build, confs[count], err);
        if (routes[count] == NULL) {
            return false;
        }
        count++;
    }
    plan->routes = route_table_build(&snapshot->arena, confs, routes, count);
    return true;
}

static bool add_plan(struct snapshot *snapshot, const struct snapshot_build *build,
                     const struct conf_listener *conf, struct err *err)
{
    struct plan *plan = arena_zero(&snapshot->arena, sizeof(*plan));
    plan->listener = listener_ref(registry_make_listener(build->registry, conf->name)->listener);
    plan->snapshot = snapshot;
    plan->timeouts = conf->timeouts;
    plan->limits = conf->limits;
    plan->is_drained = registry_is_drained(build->registry, plan->listener);
    snapshot->plans[snapshot->plan_count++] = plan; /* from here on snapshot_free knows it */

    if (conf->default_pool.len != 0) {
        struct route *route = new_route(snapshot, SLICE("default"), 0);
        if (!route_to_pool(snapshot, route, conf->default_pool, err)) {
            return false;
        }
        plan->default_route = route;
    }
    return add_routes(snapshot, build, conf, plan, err);
}

static void make_leases(struct snapshot *snapshot, uint32_t workers)
{
    snapshot->worker_count = workers;
    snapshot->leases = mem_zero_aligned(workers * sizeof(*snapshot->leases));
    for (uint32_t i = 0; i < workers; i++) {
        lease_init(&snapshot->leases[i], NULL, NULL);
    }
}

struct snapshot *snapshot_build(const struct snapshot_build *build, struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    struct snapshot *snapshot = mem_zero(1, sizeof(*snapshot));

    arena_init(&snapshot->arena, NULL, 0);
    snapshot->document = conf_document_ref(build->document);
    snapshot->revision = build->revision;
    snapshot->generation = build->generation;
    snapshot->pools = arena_zero(&snapshot->arena, conf->pool_count * sizeof(struct pool *));
    snapshot->made = arena_zero(&snapshot->arena, conf->pool_count * sizeof(*snapshot->made));
    snapshot->plans = arena_zero(&snapshot->arena, conf->listener_count * sizeof(struct plan *));
    make_leases(snapshot, build->workers);

    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (!add_pool(snapshot, build, &conf->pools[i], err)) {
            goto fail;
        }
    }
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (!add_plan(snapshot, build, &conf->listeners[i], err)) {
            goto fail;
        }
    }
    return snapshot;
fail:
    snapshot_free(snapshot);
    return NULL;
}

bool snapshot_is_current(const struct snapshot *snapshot, const struct registry *registry)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = snapshot->pools[i];
        if (!pool_is_current(pool, &snapshot->made[i], registry_find_pool(registry, pool->name))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        const struct plan *plan = snapshot->plans[i];
        if (plan->is_drained != registry_is_drained(registry, plan->listener)) {
            return false;
        }
    }
    return true;
}
