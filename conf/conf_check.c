#include "conf/conf_check.h"

#include <stdlib.h>

#include "conf/conf_suggest.h"
#include "conf/json/json_patch.h"
#include "lbd/base/addr.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"

enum {
    MATCH_BYTES_MAX = 16384,  /* listener, host and path of a route */
    SUGGEST_FROM_MAX = 20000, /* names that are compared for one suggestion */
};

struct check {
    const struct conf *conf;
    struct conf_errors *errors;
    bool ok;
};

/* A chain of path steps from constant words and names. */
#define PATH(name_, parent_, key_)                                                                 \
    const struct conf_path name_ = {.parent = (parent_), .key = (key_)}

static const struct conf_path root;

/* One of the maps that can be referred to: an array of structs that begin with their name. */
struct names {
    const void *array;
    uint32_t count;
    size_t size;
    const char *kind;
};

static struct slice name_at(const struct names *names, uint32_t i)
{
    const struct slice *name = (const void *)((const char *)names->array + i * names->size);
    return *name;
}

static void check_reference(struct check *check, const struct names *names, bool is_known,
                            struct slice name, const struct conf_path *path)
{
    struct conf_suggest suggest;
    if (is_known || name.len == 0) {
        return;
    }
    check->ok = false;
    conf_suggest_init(&suggest, name);
    for (uint32_t i = 0; i < names->count && i < SUGGEST_FROM_MAX; i++) {
        if (!conf_errors_full(check->errors)) {
            conf_suggest_offer(&suggest, name_at(names, i));
        }
    }
    conf_errors_add(check->errors, path, "unknown-reference", suggest.best, "no %s named '%.*s'",
                    names->kind, SLICE_ARG(name));
}

static void check_pool_reference(struct check *check, struct slice name,
                                 const struct conf_path *path)
{
    const struct conf *conf = check->conf;
    const struct names pools = {conf->pools, conf->pool_count, sizeof(*conf->pools), "pool"};
    check_reference(check, &pools, conf_pool_find(conf, name) != NULL, name, path);
}

static void check_references(struct check *check)
{
    const struct conf *conf = check->conf;
    const struct names listeners = {conf->listeners, conf->listener_count, sizeof(*conf->listeners),
                                    "listener"};
    const struct names checks = {conf->health_checks, conf->health_check_count,
                                 sizeof(*conf->health_checks), "health check"};
    PATH(listeners_path, &root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        PATH(at, &listeners_path, conf->listeners[i].name);
        PATH(field, &at, SLICE("default_pool"));
        check_pool_reference(check, conf->listeners[i].default_pool, &field);
    }
    PATH(routes_path, &root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        PATH(at, &routes_path, route->name);
        PATH(listener, &at, SLICE("listener"));
        PATH(action, &at, SLICE("action"));
        PATH(pool, &action, SLICE("pool"));
        check_reference(check, &listeners, conf_listener_find(conf, route->listener) != NULL,
                        route->listener, &listener);
        check_pool_reference(check, route->pool, &pool);
    }
    PATH(pools_path, &root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        PATH(at, &pools_path, pool->name);
        PATH(field, &at, SLICE("health_check"));
        check_reference(check, &checks, conf_health_check_find(conf, pool->health_check) != NULL,
                        pool->health_check, &field);
    }
}

/* One bind of one listener. */
struct bind {
    struct addr addr;
    struct slice text;
    struct slice listener;
    uint32_t index;
};

/* The bytes of an IP address. */
static struct slice ip_bytes(const struct addr *addr)
{
    const void *ip = &addr->u.v6.sin6_addr;
    size_t len = sizeof addr->u.v6.sin6_addr;
    if (addr->u.any.sa_family == AF_INET) {
        ip = &addr->u.v4.sin_addr;
        len = sizeof addr->u.v4.sin_addr;
    }
    return slice_of(ip, len);
}

static bool is_unix(const struct bind *bind)
{
    return bind->addr.u.any.sa_family == AF_UNIX;
}

/* By family and port, then address: equal ones are neighbours and a wildcard comes first on its
 * port. */
static int compare_places(const struct bind *a, const struct bind *b)
{
    if (a->addr.u.any.sa_family != b->addr.u.any.sa_family) {
        return a->addr.u.any.sa_family < b->addr.u.any.sa_family ? -1 : 1;
    }
    return is_unix(a) ? 0 : (int)addr_port(&a->addr) - (int)addr_port(&b->addr);
}

static int compare_addresses(const struct bind *a, const struct bind *b)
{
    int difference = compare_places(a, b);
    if (difference != 0) {
        return difference;
    }
    return is_unix(a) ? slice_compare(a->text, b->text)
                      : slice_compare(ip_bytes(&a->addr), ip_bytes(&b->addr));
}

static int compare_binds(const void *a, const void *b)
{
    const struct bind *left = a;
    const struct bind *right = b;
    int difference = compare_addresses(left, right);
    if (difference == 0) {
        difference = slice_compare(left->listener, right->listener);
    }
    return difference != 0 ? difference : (int)left->index - (int)right->index;
}

static bool is_wildcard(const struct bind *bind)
{
    struct slice ip = ip_bytes(&bind->addr);
    for (size_t i = 0; i < ip.len; i++) {
        if (ip.ptr[i] != '\0') {
            return false;
        }
    }
    return !is_unix(bind);
}

static void report_clash(struct check *check, const struct bind *first, const struct bind *second)
{
    PATH(listeners, &root, SLICE("listeners"));
    PATH(listener, &listeners, second->listener);
    PATH(binds, &listener, SLICE("bind"));
    const struct conf_path at = {.parent = &binds, .index = second->index};
    conf_errors_add(check->errors, &at, "bind-clash", SLICE_NONE,
                    "must not clash with %.*s of listener '%.*s'", SLICE_ARG(first->text),
                    SLICE_ARG(first->listener));
    check->ok = false;
}

static void check_binds(struct check *check)
{
    const struct conf *conf = check->conf;
    size_t capacity = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        capacity += conf->listeners[i].bind_count;
    }
    struct bind *binds = mem_zero(capacity + 1, sizeof(*binds));
    size_t count = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        for (uint32_t j = 0; j < listener->bind_count; j++) {
            struct bind *bind = &binds[count];
            if (addr_parse(listener->bind[j], &bind->addr)) {
                bind->text = listener->bind[j];
                bind->listener = listener->name;
                bind->index = j;
                count++;
            }
        }
    }
    qsort(binds, count, sizeof(*binds), compare_binds);
    /* The same socket twice, or a wildcard and an address on one port: the kernel would refuse one
     * of them, or give it the other's clients. IPv4 and IPv6 are apart (IPV6_V6ONLY). Port 0 never
     * clashes. */
    const struct bind *first = binds; /* on its port */
    for (size_t i = 1; i < count; i++) {
        if (compare_places(first, &binds[i]) != 0) {
            first = &binds[i];
        } else if (is_unix(first) || addr_port(&first->addr) != 0) {
            if (compare_addresses(&binds[i - 1], &binds[i]) == 0) {
                report_clash(check, &binds[i - 1], &binds[i]);
            } else if (is_wildcard(first)) {
                report_clash(check, first, &binds[i]);
            }
        }
    }
    free(binds);
}

/* The order in which routes of one listener are tried where their hosts and paths are the same. */
static int compare_routes(const void *a, const void *b)
{
    const struct conf_route *const *left = a;
    const struct conf_route *const *right = b;
    if ((*left)->priority != (*right)->priority) {
        return (*left)->priority > (*right)->priority ? -1 : 1;
    }
    return slice_compare((*left)->name, (*right)->name);
}

static bool is_catch_all(const struct conf_route *route)
{
    return route->match.host_count == 0 && route->match.path.len == 0 &&
           (route->match.path_prefix.len == 0 || slice_eq(route->match.path_prefix, SLICE("/")));
}

/* What a route matches with one of its hosts, as text: the same text, the same requests. */
static void match_key(const struct conf_route *route, struct slice host, struct buf *out)
{
    struct slice prefix = route->match.path_prefix;
    buf_clear(out);
    (void)buf_printf(out, "%.*s\n%.*s\n", SLICE_ARG(route->listener), SLICE_ARG(host));
    if (route->match.path.len > 0) {
        (void)buf_append_char(out, '=');
        (void)buf_append_slice(out, route->match.path);
    } else {
        (void)buf_append_slice(out, prefix.len > 0 ? prefix : SLICE("/"));
    }
}

/* Takes all of the route's matches for it; returns the route that had all of them before, or NULL.
 */
static struct slice *claim_matches(struct map *taken, struct conf_route *route, struct buf *key)
{
    struct slice *owner = NULL;
    bool all_taken = true;
    uint32_t hosts = route->match.host_count;
    for (uint32_t i = 0; i < (hosts > 0 ? hosts : 1); i++) {
        if (hosts > 0 && route->match.host[i].len == 0) {
            return NULL; /* it was refused: nobody knows what it would match */
        }
        match_key(route, hosts > 0 ? route->match.host[i] : SLICE("*"), key);
        struct slice *before = map_get(taken, buf_slice(key));
        if (before == NULL) {
            (void)map_put(taken, buf_slice(key), &route->name);
            all_taken = false;
        } else if (before != &route->name) { /* its own host, named twice, is no shadow */
            owner = before;
        }
    }
    return all_taken ? owner : NULL;
}

static void warn_shadowed(struct check *check, const struct conf_route *route, struct slice by)
{
    PATH(routes, &root, SLICE("routes"));
    PATH(at, &routes, route->name);
    conf_errors_warn(check->errors, &at, "shadowed-route",
                     "never used: route '%.*s' takes its requests first", SLICE_ARG(by));
}

/* Sure cases only: all of what a route matches belongs to routes that are tried before, word for
 * word or because one of a higher priority takes everything. */
static void check_shadows(struct check *check)
{
    const struct conf *conf = check->conf;
    if (conf->route_count < 2) {
        return;
    }
    struct conf_route **order = mem_alloc(conf->route_count * sizeof(*order));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        order[i] = &conf->routes[i];
    }
    qsort(order, conf->route_count, sizeof(*order), compare_routes);

    struct map taken;     /* match -> name of the route that has it */
    struct map catch_all; /* listener -> the first route there that takes everything */
    struct buf key;
    map_init(&taken);
    map_init(&catch_all);
    buf_init(&key, MATCH_BYTES_MAX);
    for (uint32_t i = 0; i < conf->route_count; i++) {
        struct conf_route *route = order[i];
        const struct slice *by = claim_matches(&taken, route, &key);
        const struct conf_route *all = map_get(&catch_all, route->listener);
        if (by != NULL) {
            warn_shadowed(check, route, *by);
        } else if (all != NULL && all->priority > route->priority) {
            warn_shadowed(check, route, all->name);
        } else if (all == NULL && is_catch_all(route)) {
            (void)map_put(&catch_all, route->listener, route);
        }
    }
    buf_fini(&key);
    map_fini(&catch_all);
    map_fini(&taken);
    free(order);
}

static void check_routes(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(routes, &root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        uint32_t status = route->respond_status;
        bool has_no_body = status == 204 || status == 205 || status == 304; /* RFC 9110 6.4.1 */
        if (route->action == CONF_ACTION_RESPOND && has_no_body && route->respond_body.len > 0) {
            PATH(at, &routes, route->name);
            PATH(action, &at, SLICE("action"));
            PATH(respond, &action, SLICE("respond"));
            PATH(body, &respond, SLICE("body"));
            conf_errors_add(check->errors, &body, "invalid-value", SLICE_NONE,
                            "must be empty: an answer with status %u has no body", status);
            check->ok = false;
        }
    }
}

static bool has_ready_server(const struct conf_pool *pool)
{
    for (uint32_t i = 0; i < pool->server_count; i++) {
        if (pool->servers[i].admin_state == CONF_READY) {
            return true;
        }
    }
    return false;
}

static void check_pools(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(pools, &root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        PATH(at, &pools, pool->name);
        if (pool->server_count == 0) {
            conf_errors_warn(check->errors, &at, "empty-pool",
                             "no servers: its requests are answered 503");
        } else if (!has_ready_server(pool)) {
            conf_errors_warn(check->errors, &at, "no-ready-server",
                             "no server has the admin_state ready: its requests are answered 503");
        } else if (pool->server_count == 1) {
            conf_errors_warn(check->errors, &at, "single-server", "one server: no redundancy");
        }
    }
}

static void note_pool(const struct conf *conf, struct slice name, bool *used)
{
    const struct conf_pool *pool = name.len != 0 ? conf_pool_find(conf, name) : NULL;
    if (pool != NULL) {
        used[pool - conf->pools] = true;
    }
}

/* Pools to which nothing leads, health checks that no pool has. */
static void check_unused(struct check *check)
{
    const struct conf *conf = check->conf;
    bool *pools = mem_zero(conf->pool_count + 1, sizeof(*pools));
    bool *checks = mem_zero(conf->health_check_count + 1, sizeof(*checks));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        note_pool(conf, conf->listeners[i].default_pool, pools);
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        note_pool(conf, conf->routes[i].pool, pools);
    }
    PATH(pools_path, &root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_health_check *health =
            conf_health_check_find(conf, conf->pools[i].health_check);
        if (health != NULL) {
            checks[health - conf->health_checks] = true;
        }
        if (!pools[i]) {
            PATH(at, &pools_path, conf->pools[i].name);
            conf_errors_warn(check->errors, &at, "unused-pool",
                             "no listener and no route sends requests here");
        }
    }
    PATH(checks_path, &root, SLICE("health_checks"));
    for (uint32_t i = 0; i < conf->health_check_count; i++) {
        if (!checks[i]) {
            PATH(at, &checks_path, conf->health_checks[i].name);
            conf_errors_warn(check->errors, &at, "unused-health-check", "no pool is checked by it");
        }
    }
    free(checks);
    free(pools);
}

static void check_health_checks(struct check *check)
{
    const struct conf *conf = check->conf;
    PATH(checks, &root, SLICE("health_checks"));
    for (uint32_t i = 0; i < conf->health_check_count; i++) {
        const struct conf_health_check *health = &conf->health_checks[i];
        if (health->timeout_ms > health->interval_ms) {
            PATH(at, &checks, health->name);
            PATH(timeout, &at, SLICE("timeout"));
            conf_errors_warn(check->errors, &timeout, "long-timeout",
                             "longer than 'interval': checks of a silent server come late");
        }
    }
}

bool conf_check(const struct conf *conf, struct conf_errors *errors)
{
    struct check check = {.conf = conf, .errors = errors, .ok = true};
    check_references(&check);
    check_binds(&check);
    check_routes(&check);
    check_shadows(&check);
    check_pools(&check);
    check_health_checks(&check);
    if (errors->error_count == 0) { /* what is misspelt elsewhere only seems unused */
        check_unused(&check);
    }
    return check.ok;
}

static bool report_user(struct conf_errors *errors, const struct conf_path *path,
                        struct slice collection, struct slice name)
{
    conf_errors_add(errors, path, "in-use", SLICE_NONE, "refers to %.*s/%.*s",
                    SLICE_ARG(collection), SLICE_ARG(name));
    return false;
}

static bool check_pool_unused(const struct conf *conf, struct slice name,
                              struct conf_errors *errors)
{
    bool unused = true;
    PATH(listeners, &root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (slice_eq(conf->listeners[i].default_pool, name)) {
            PATH(at, &listeners, conf->listeners[i].name);
            PATH(field, &at, SLICE("default_pool"));
            unused = report_user(errors, &field, SLICE("pools"), name);
        }
    }
    PATH(routes, &root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        if (slice_eq(conf->routes[i].pool, name)) {
            PATH(at, &routes, conf->routes[i].name);
            PATH(action, &at, SLICE("action"));
            PATH(field, &action, SLICE("pool"));
            unused = report_user(errors, &field, SLICE("pools"), name);
        }
    }
    return unused;
}

bool conf_check_unused(const struct conf *conf, struct slice collection, struct slice name,
                       struct conf_errors *errors)
{
    bool unused = true;
    if (slice_eq(collection, SLICE("pools"))) {
        return check_pool_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("listeners"))) {
        PATH(routes, &root, SLICE("routes"));
        for (uint32_t i = 0; i < conf->route_count; i++) {
            if (slice_eq(conf->routes[i].listener, name)) {
                PATH(at, &routes, conf->routes[i].name);
                PATH(field, &at, SLICE("listener"));
                unused = report_user(errors, &field, collection, name);
            }
        }
    } else if (slice_eq(collection, SLICE("health_checks"))) {
        PATH(pools, &root, SLICE("pools"));
        for (uint32_t i = 0; i < conf->pool_count; i++) {
            if (slice_eq(conf->pools[i].health_check, name)) {
                PATH(at, &pools, conf->pools[i].name);
                PATH(field, &at, SLICE("health_check"));
                unused = report_user(errors, &field, collection, name);
            }
        }
    }
    return unused;
}
