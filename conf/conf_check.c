#include <stdlib.h>

#include "conf/conf_address.h"
#include "conf/conf_check_inside.h"
#include "conf/conf_suggest.h"
#include "conf/json/json_patch.h"
#include "lbd/base/addr.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"

enum { SUGGEST_FROM_MAX = 20000 }; /* names that are compared for one suggestion */

#define PATH CONF_CHECK_PATH

const struct conf_path conf_check_root;

static struct slice name_at(const struct conf_check_names *names, uint32_t i)
{
    const struct slice *name = (const void *)((const char *)names->array + i * names->size);
    return *name;
}

bool conf_check_is_refused(const struct conf_check *check, const struct conf_path *at)
{
    struct buf pointer;
    bool found = false;
    if (check->errors->error_count == 0) {
        return false;
    }
    buf_init(&pointer, 1024);
    conf_errors_pointer(at, &pointer);
    for (uint32_t i = 0; i < check->errors->error_count && !found; i++) {
        struct slice of = check->errors->errors[i].pointer;
        found = slice_starts(of, buf_slice(&pointer)) &&
                (of.len == pointer.len || of.ptr[pointer.len] == '/');
    }
    buf_fini(&pointer);
    return found;
}

void conf_check_reference(struct conf_check *check, const struct conf_check_names *names,
                          bool is_known, struct slice name, const struct conf_path *path)
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

static void check_pool_reference(struct conf_check *check, struct slice name,
                                 const struct conf_path *path)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names pools = {conf->pools, conf->pool_count, sizeof(*conf->pools),
                                           "pool"};
    conf_check_reference(check, &pools, conf_pool_find(conf, name) != NULL, name, path);
}

static void check_references(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names listeners = {conf->listeners, conf->listener_count,
                                               sizeof(*conf->listeners), "listener"};
    const struct conf_check_names checks = {conf->health_checks, conf->health_check_count,
                                            sizeof(*conf->health_checks), "health check"};
    PATH(listeners_path, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        PATH(at, &listeners_path, conf->listeners[i].name);
        PATH(field, &at, SLICE("default_pool"));
        check_pool_reference(check, conf->listeners[i].default_pool, &field);
    }
    PATH(routes_path, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        PATH(at, &routes_path, route->name);
        PATH(listener, &at, SLICE("listener"));
        PATH(action, &at, SLICE("action"));
        PATH(pool, &action, SLICE("pool"));
        conf_check_reference(check, &listeners, conf_listener_find(conf, route->listener) != NULL,
                             route->listener, &listener);
        check_pool_reference(check, route->pool, &pool);
        PATH(mirror, &action, SLICE("mirror"));
        PATH(mirror_pool, &mirror, SLICE("pool"));
        check_pool_reference(check, route->mirror.pool, &mirror_pool);
        PATH(split, &action, SLICE("split"));
        PATH(split_pools, &split, SLICE("pools"));
        for (uint32_t j = 0; j < route->split.pool_count; j++) {
            PATH(arm, &split_pools, route->split.pools[j].name);
            check_pool_reference(check, route->split.pools[j].name, &arm);
        }
    }
    PATH(pools_path, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        PATH(at, &pools_path, pool->name);
        PATH(field, &at, SLICE("health_check"));
        conf_check_reference(check, &checks,
                             conf_health_check_find(conf, pool->health_check) != NULL,
                             pool->health_check, &field);
        PATH(fallback, &at, SLICE("fallback_pool"));
        check_pool_reference(check, pool->fallback_pool, &fallback);
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

static void report_clash(struct conf_check *check, const struct bind *first,
                         const struct bind *second)
{
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    PATH(listener, &listeners, second->listener);
    PATH(binds, &listener, SLICE("bind"));
    const struct conf_path at = {.parent = &binds, .index = second->index};
    conf_errors_add(check->errors, &at, "bind-clash", SLICE_NONE,
                    "must not clash with %.*s of listener '%.*s'", SLICE_ARG(first->text),
                    SLICE_ARG(first->listener));
    check->ok = false;
}

static void check_binds(struct conf_check *check)
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

static bool has_ready_server(const struct conf_pool *pool)
{
    for (uint32_t i = 0; i < pool->server_count; i++) {
        if (pool->servers[i].admin_state == CONF_READY) {
            return true;
        }
    }
    return false;
}

static void check_pools(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        PATH(at, &pools, pool->name);
        if (pool->server_count == 0) {
            conf_errors_warn(check->errors, &at, "empty-pool",
                             "no servers: its requests are answered 503");
        } else if (!has_ready_server(pool)) {
            conf_errors_warn(check->errors, &at, "no-ready-server",
                             "no server has the admin_state ready: its requests are answered 503");
        } else if (pool->server_count == 1 && !conf_address_is_template(pool->servers[0].address)) {
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

struct noting {
    const struct conf *conf;
    bool *used;
};

static void note_mail_pool(struct slice pool, void *arg)
{
    const struct noting *noting = arg;
    note_pool(noting->conf, pool, noting->used);
}

/* Pools to which nothing leads, health checks that no pool has. */
static void check_unused(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    bool *pools = mem_zero(conf->pool_count + 1, sizeof(*pools));
    bool *checks = mem_zero(conf->health_check_count + 1, sizeof(*checks));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        note_pool(conf, conf->listeners[i].default_pool, pools);
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        struct slice pool;
        note_pool(conf, conf->routes[i].mirror.pool, pools);
        for (uint32_t j = 0; (pool = conf_route_pool(&conf->routes[i], j)).len != 0; j++) {
            note_pool(conf, pool, pools);
        }
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        note_pool(conf, conf->pools[i].fallback_pool, pools);
    }
    struct noting noting = {conf, pools};
    conf_check_mail_pools(conf, note_mail_pool, &noting);
    PATH(pools_path, &conf_check_root, SLICE("pools"));
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
    PATH(checks_path, &conf_check_root, SLICE("health_checks"));
    for (uint32_t i = 0; i < conf->health_check_count; i++) {
        if (!checks[i]) {
            PATH(at, &checks_path, conf->health_checks[i].name);
            conf_errors_warn(check->errors, &at, "unused-health-check", "no pool is checked by it");
        }
    }
    free(checks);
    free(pools);
}

bool conf_check(const struct conf *conf, struct conf_errors *errors)
{
    struct conf_check check = {.conf = conf, .errors = errors, .ok = true};
    check_references(&check);
    check_binds(&check);
    conf_check_routes(&check);
    conf_check_tcp(&check);
    conf_check_shadows(&check);
    check_pools(&check);
    conf_check_balance(&check);
    conf_check_health(&check);
    conf_check_addresses(&check);
    conf_check_tls(&check);
    conf_check_mail(&check);
    conf_check_policy(&check);
    conf_check_policy_routes(&check);
    conf_check_policy_lines(&check);
    if (errors->error_count == 0) { /* what is misspelt elsewhere only seems unused */
        check_unused(&check);
        conf_check_tls_unused(&check);
        conf_check_policy_unused(&check);
        conf_check_address_sets_unused(&check);
    }
    return check.ok;
}

bool conf_check_report_user(struct conf_errors *errors, const struct conf_path *path,
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
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (slice_eq(conf->listeners[i].default_pool, name)) {
            PATH(at, &listeners, conf->listeners[i].name);
            PATH(field, &at, SLICE("default_pool"));
            unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
        }
    }
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct slice pool;
        if (slice_eq(route->mirror.pool, name)) {
            PATH(at, &routes, route->name);
            PATH(action, &at, SLICE("action"));
            PATH(field, &action, SLICE("mirror"));
            unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
        }
        for (uint32_t j = 0; (pool = conf_route_pool(route, j)).len != 0; j++) {
            if (slice_eq(pool, name)) {
                PATH(at, &routes, route->name);
                PATH(action, &at, SLICE("action"));
                PATH(field, &action,
                     route->action == CONF_ACTION_POOL ? SLICE("pool") : SLICE("split"));
                unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
            }
        }
    }
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (slice_eq(conf->pools[i].fallback_pool, name)) {
            PATH(at, &pools, conf->pools[i].name);
            PATH(field, &at, SLICE("fallback_pool"));
            unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
        }
    }
    return unused;
}

static bool is_unused(const struct conf *conf, struct slice collection, struct slice name,
                      struct conf_errors *errors)
{
    bool unused = true;
    if (slice_eq(collection, SLICE("pools"))) {
        return check_pool_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("certificates"))) {
        return conf_check_certificate_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("policies"))) {
        return conf_check_policy_is_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("address_sets"))) {
        return conf_check_address_set_is_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("ca_sets"))) {
        return conf_check_ca_set_unused(conf, name, errors);
    }
    if (slice_eq(collection, SLICE("listeners"))) {
        PATH(routes, &conf_check_root, SLICE("routes"));
        for (uint32_t i = 0; i < conf->route_count; i++) {
            if (slice_eq(conf->routes[i].listener, name)) {
                PATH(at, &routes, conf->routes[i].name);
                PATH(field, &at, SLICE("listener"));
                unused = conf_check_report_user(errors, &field, collection, name);
            }
        }
    } else if (slice_eq(collection, SLICE("health_checks"))) {
        PATH(pools, &conf_check_root, SLICE("pools"));
        for (uint32_t i = 0; i < conf->pool_count; i++) {
            if (slice_eq(conf->pools[i].health_check, name)) {
                PATH(at, &pools, conf->pools[i].name);
                PATH(field, &at, SLICE("health_check"));
                unused = conf_check_report_user(errors, &field, collection, name);
            }
        }
    }
    return unused;
}

bool conf_check_unused(const struct conf *conf, struct slice collection, struct slice name,
                       struct conf_errors *errors)
{
    bool unused = is_unused(conf, collection, name, errors);
    return conf_check_mail_unused(conf, collection, name, errors) && unused;
}
