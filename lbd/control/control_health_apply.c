/* control_health_apply - which servers there are and which checks; see control_health_inside.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/control/control_health_inside.h"
#include "lbd/snapshot/snapshot_build.h"

/* --- what the document says --- */

/* Probes (or the lack of a check) decide anew; until then the state is what it was, but for a
 * server that had none. `no_address`: why it has none, if it has none. */
static void begin(struct health_server *live, const char *no_address)
{
    const struct health_probe_plan *plan = live->pool->plan;
    enum server_health before = live->server->health;
    control_health_stop_probing(live);
    control_health_forget_interview(live);
    control_health_unlearn(live);
    live->is_first = true;
    live->server->has_check = plan != NULL;
    if (live->address.len == 0) {
        health_init(&live->health, 1, 1);
        control_health_remember(live, "");
        control_health_set_state(live, SERVER_UNRESOLVED, no_address);
        return;
    }
    if (plan == NULL) {
        health_init(&live->health, 1, 1);
        control_health_remember(live, "");
        control_health_set_state(live, SERVER_UP, "no health check");
        return;
    }
    health_init(&live->health, plan->check.rise, plan->check.fall);
    if (before == SERVER_UNRESOLVED) {
        control_health_set_state(live, SERVER_STARTING, "its name has an address");
    }
    control_health_probe_now(live);
}

/* Maintenance: nobody looks, so nobody knows; afterwards a probe decides before traffic comes. */
static void heed_admin(struct health_server *live)
{
    bool is_out = live->server->admin == SERVER_MAINT;
    if (is_out == live->is_out) {
        return;
    }
    live->is_out = is_out;
    if (live->pool->plan == NULL || live->address.len == 0) {
        return;
    }
    if (is_out) {
        control_health_stop_probing(live);
        control_health_remember(live, "");
        control_health_set_state(live, SERVER_STARTING, "maintenance: not checked");
    } else {
        begin(live, "");
    }
}

static void free_server(struct health_server *live)
{
    control_health_stop_probing(live);
    control_health_forget_interview(live);
    if (loop_timer_is_set(&live->calm)) {
        loop_timer_stop(&live->calm);
        control_health_listen_again(live->server);
    }
    server_unref(live->server);
    health_history_fini(&live->history);
    free(live->authority);
    free(live);
}

void control_health_free_pool(struct health_pool *pool)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        free_server(entry->value);
    }
    map_fini(&pool->servers);
    health_probe_plan_unref(pool->plan);
    counters_id_unref(pool->counters);
    free((void *)(uintptr_t)pool->sources.list);
    free(pool->fallback);
    free(pool->tls_name);
    free(pool->name);
    free(pool);
}

static void set_authority(struct health_server *live, struct slice text)
{
    if (live->authority == NULL || !slice_eq(slice_from(live->authority), text)) {
        free(live->authority);
        live->authority = mem_slicedup(text);
    }
}

/* Do requests of HTTP go to it, and nothing else? Pools that nobody names yet are not known. */
static bool is_of_http(const struct conf *conf, struct slice pool)
{
    bool is_named = false;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (slice_eq(conf->listeners[i].default_pool, pool)) {
            if (conf->listeners[i].protocol != CONF_PROTOCOL_HTTP) {
                return false;
            }
            is_named = true;
        }
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        bool is_here = slice_eq(route->pool, pool) || slice_eq(route->mirror.pool, pool);
        for (uint32_t k = 0; k < route->split.pool_count; k++) {
            is_here = is_here || slice_eq(route->split.pools[k].name, pool);
        }
        if (is_here) {
            const struct conf_listener *listener = conf_listener_find(conf, route->listener);
            if (listener == NULL || listener->protocol != CONF_PROTOCOL_HTTP) {
                return false;
            }
            is_named = true;
        }
    }
    return is_named;
}

/* Returns one that is new or has moved. */
static struct health_server *apply_server(struct health_pool *pool, const struct conf_server *conf,
                                          const struct registry_server *known, bool is_check_new,
                                          size_t *cursor)
{
    struct health_server *live = map_get_near(&pool->servers, conf->name, cursor);
    if (live != NULL && live->server != known->server) {
        (void)map_remove(&pool->servers, conf->name); /* the name lives on, the server does not */
        free_server(live);
        live = NULL;
    }
    bool is_new = live == NULL;
    if (is_new) {
        live = mem_zero(1, sizeof(*live));
        live->pool = pool;
        live->server = server_ref(known->server);
        (void)map_put(&pool->servers, conf->name, live);
    }
    set_authority(live, conf->address);
    if (is_check_new) {
        health_history_fini(&live->history); /* of another check */
    }
    bool is_moved = !addr_eq(&live->address, &known->address);
    live->address = known->address;
    if (is_new || is_moved || is_check_new) {
        live->is_out = live->server->admin == SERVER_MAINT;
        begin(live, "its name is not looked up yet");
    } else {
        heed_admin(live);
    }
    return is_new || is_moved ? live : NULL;
}

static void sweep_servers(struct health_pool *pool, const struct conf_pool *conf)
{
    if (pool->servers.count == conf->server_count) {
        return; /* all that the document names were put: none is too many */
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        struct health_server *live = entry->value;
        if (conf_server_find(conf, entry->key) == NULL) {
            (void)map_remove(&pool->servers, entry->key);
            free_server(live);
        }
    }
}

/* True when the pool's check is another one than before. */
static bool apply_check(struct health_pool *pool, const struct conf_health_check *check)
{
    if (check == NULL || pool->plan == NULL) {
        if (check == NULL && pool->plan == NULL) {
            return false;
        }
    } else if (health_probe_plan_is(pool->plan, check)) {
        return false;
    }
    /* probes under way hold the old plan until begin() stops them */
    health_probe_plan_unref(pool->plan);
    pool->plan = check != NULL ? health_probe_plan_new(check) : NULL;
    return true;
}

static bool has_sources(const struct health_pool *pool, const struct conf_pool *named)
{
    bool is_same = pool->sources.count == named->source_address_count;
    for (uint32_t i = 0; is_same && i < pool->sources.count; i++) {
        struct addr address;
        is_same = addr_from_ip(named->source_address[i], 0, &address) &&
                  addr_eq(&address, &pool->sources.list[i]);
    }
    return is_same;
}

static void set_sources(struct health_pool *pool, const struct conf_pool *named)
{
    struct addr *list = mem_zero(named->source_address_count + 1, sizeof(*list));
    for (uint32_t i = 0; i < named->source_address_count; i++) {
        (void)!addr_from_ip(named->source_address[i], 0,
                            &list[i]); /* the format has been checked */
    }
    free((void *)(uintptr_t)pool->sources.list);
    pool->sources = (struct dial_sources){list, named->source_address_count};
}

/* True when its servers are reached otherwise than before. */
static bool apply_way(struct health_pool *pool, const struct conf_pool *named)
{
    enum proxy_header_version proxy = snapshot_send_proxy(named->send_proxy);
    enum pool_http http = snapshot_http(named);
    pool->is_mail = named->has_mail != 0;
    bool starttls = named->has_mail != 0 && named->mail.starttls != 0;
    bool is_same = pool->tls_name != NULL && pool->proxy == proxy && pool->http == http &&
                   pool->starttls == starttls && pool->has_tls == (named->has_tls != 0) &&
                   slice_eq(slice_from(pool->tls_name), named->tls.server_name) &&
                   has_sources(pool, named);
    if (!is_same) {
        free(pool->tls_name);
        set_sources(pool, named);
        pool->tls_name = mem_slicedup(named->tls.server_name);
        pool->proxy = proxy;
        pool->http = http;
        pool->starttls = starttls;
        pool->has_tls = named->has_tls != 0;
    }
    return !is_same;
}

static void apply_pool(struct control_health *health, const struct conf *conf,
                       const struct conf_pool *named, const struct registry *registry)
{
    const struct conf_health_check *check =
        named->health_check.len != 0 ? conf_health_check_find(conf, named->health_check) : NULL;
    uint64_t check_version = check != NULL ? check->version : 0;
    struct health_pool *pool = map_get(&health->pools, named->name);
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->health = health;
        pool->name = mem_slicedup(named->name);
        map_init(&pool->servers);
        (void)map_put(&health->pools, named->name, pool);
    } else if (named->version != 0 && named->version == pool->version &&
               (check == NULL || (check_version != 0 && check_version == pool->check_version))) {
        return;
    }
    pool->version = named->version;
    pool->check_version = check_version;
    free(pool->fallback);
    pool->fallback = mem_slicedup(named->fallback_pool);

    bool is_check_new = apply_check(pool, check);
    is_check_new = apply_way(pool, named) || is_check_new;
    const struct registry_pool *known = registry_find_pool(registry, named->name);
    size_t known_cursor = 0;
    size_t cursor = 0;
    enum { UNASKED, NOT_OF_HTTP, OF_HTTP } of_http = UNASKED;
    assert(known != NULL); /* the document was committed */
    if (pool->counters != known->counters) {
        counters_id_unref(pool->counters);
        pool->counters = counters_id_ref(known->counters);
    }
    for (uint32_t i = 0; i < named->server_count; i++) {
        const struct conf_server *server = &named->servers[i];
        struct health_server *fresh =
            apply_server(pool, server, map_get_near(&known->servers, server->name, &known_cursor),
                         is_check_new, &cursor);
        if (fresh != NULL && health->is_started) {
            if (of_http == UNASKED) {
                of_http = is_of_http(conf, named->name) ? OF_HTTP : NOT_OF_HTTP;
            }
            if (of_http == OF_HTTP) {
                control_health_admit(fresh);
            }
        }
    }
    sweep_servers(pool, named);
}

void control_health_apply(struct control_health *health, const struct conf *conf,
                          const struct registry *registry)
{
    struct map_entry *entry = NULL;
    health->registry = registry;
    map_for_each (entry, &health->pools) {
        struct health_pool *pool = entry->value;
        if (conf_pool_find(conf, entry->key) == NULL) {
            (void)map_remove(&health->pools, entry->key);
            control_health_free_pool(pool);
        }
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        apply_pool(health, conf, &conf->pools[i], registry);
    }
    health->is_started = true;
}

void control_health_set_address(struct control_health *health, struct slice pool,
                                struct slice server, const struct addr *address)
{
    struct health_server *live = control_health_find(health, pool, server);
    if (live != NULL && !addr_eq(&live->address, address)) {
        live->address = *address;
        begin(live, "its name has no address");
    }
}

void control_health_heed_admin(struct control_health *health, struct slice pool,
                               struct slice server)
{
    struct health_server *live = control_health_find(health, pool, server);
    if (live != NULL) {
        heed_admin(live);
    }
}
