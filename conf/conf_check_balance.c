/* conf_check_balance - how pools choose a server; see conf_check_inside.h. */
#include <stdio.h>
#include <string.h>

#include "conf/conf_address.h"
#include "conf/conf_check_inside.h"
#include "conf/conf_share.h"
#include "lbd/base/map.h"

#define PATH CONF_CHECK_PATH

static bool is_hash(const struct conf_pool *pool)
{
    return pool->algorithm == CONF_ALGORITHM_MAGLEV || pool->algorithm == CONF_ALGORITHM_RING_HASH;
}

const char *conf_check_value_name_problem(bool is_header, struct slice name)
{
    if (is_header) {
        for (size_t i = 0; i < name.len; i++) {
            char c = name.ptr[i];
            bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!is_letter && !(c >= '0' && c <= '9') && c != '-') {
                return "must be a name of a header: letters, digits, '-'";
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c <= ' ' || c >= 0x7f || strchr("=;,&#\"", c) != NULL) {
            return "must be visible ASCII without = ; , & # and quotes";
        }
    }
    return NULL;
}

static void check_hash(struct conf_check *check, const struct conf_pool *pool,
                       const struct conf_path *at)
{
    PATH(hash, at, SLICE("hash"));
    PATH(name, &hash, SLICE("name"));
    bool wants_name =
        pool->hash.key != CONF_HASH_KEY_SOURCE && pool->hash.key != CONF_HASH_KEY_PATH;
    const struct conf_path *field = &name;
    const char *code = "invalid-value";
    const char *problem = NULL;
    if (!is_hash(pool)) {
        field = &hash;
        problem = "must be absent: 'algorithm' is neither maglev nor ring_hash";
    } else if (wants_name && pool->hash.name.len == 0) {
        code = "missing-key";
        problem = "must be set: of which header, cookie or parameter?";
    } else if (!wants_name && pool->hash.name.len != 0) {
        problem = "must be absent: 'key' is source or path";
    } else {
        problem =
            conf_check_value_name_problem(pool->hash.key == CONF_HASH_KEY_HEADER, pool->hash.name);
    }
    if (problem != NULL) {
        conf_errors_add(check->errors, field, code, SLICE_NONE, "%s", problem);
        check->ok = false;
    }
}

/* -- sticky -- */

static void sticky_wrong(struct conf_check *check, const struct conf_path *sticky, const char *key,
                         const char *problem)
{
    PATH(field, sticky, slice_from(key));
    conf_errors_add(check->errors, &field, "invalid-value", SLICE_NONE, "%s", problem);
    check->ok = false;
}

/* A token (RFC 9110 5.6.2), as the name of a cookie is (RFC 6265 4.1.1). */
static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c) != NULL) {
            return false;
        }
    }
    return true;
}

static bool is_of_insert(const struct conf_pool_sticky *sticky)
{
    return !slice_eq(sticky->set.path, SLICE("/")) || sticky->set.domain.len != 0 ||
           sticky->set.http_only == 0 || sticky->set.secure != CONF_COOKIE_SECURE_AUTO ||
           sticky->set.same_site != CONF_SAME_SITE_LAX || sticky->set.max_age_ms != 0 ||
           sticky->set.forward != 0 || sticky->set.key_file.len != 0;
}

/* Browsers refuse a cookie whose name promises what it does not keep (RFC 6265bis 4.1.3). */
static bool keeps_prefix(struct slice name, const struct conf_cookie *set)
{
    bool is_host = slice_starts(name, SLICE("__Host-"));
    bool is_secure = is_host || slice_starts(name, SLICE("__Secure-"));
    return (!is_secure || set->secure != CONF_COOKIE_SECURE_OFF) &&
           (!is_host || (set->domain.len == 0 && slice_eq(set->path, SLICE("/"))));
}

static void check_cookie_name(struct conf_check *check, struct slice name, const char *name_key,
                              const struct conf_path *path)
{
    if (!is_token(name)) {
        sticky_wrong(check, path, name_key,
                     "must be a name of a cookie: visible ASCII without separators");
    }
}

/* Do clients come to it without TLS? */
static bool is_clear(const struct conf_listener *listener)
{
    return listener != NULL && listener->protocol == CONF_PROTOCOL_HTTP && listener->has_tls == 0;
}

static bool is_dropped_in_clear(const struct conf_cookie *set)
{
    return set->same_site == CONF_SAME_SITE_NONE && set->secure == CONF_COOKIE_SECURE_AUTO;
}

static void warn_dropped(struct conf_check *check, const struct conf_path *path)
{
    PATH(field, path, SLICE("same_site"));
    conf_errors_warn(check->errors, &field, "dropped-cookie",
                     "browsers take no cookie with 'none' that is not secure, and clients come "
                     "here without TLS, too: see 'secure'");
}

static void check_set_cookie(struct conf_check *check, struct slice name, const char *name_key,
                             const struct conf_cookie *set, const struct conf_path *path)
{
    if (slice_find(set->path, ';') != SIZE_MAX) {
        sticky_wrong(check, path, "path", "must not contain ';'");
    }
    if (slice_find(set->domain, ':') != SIZE_MAX) {
        sticky_wrong(check, path, "domain", "must be without a port");
    }
    if (set->same_site == CONF_SAME_SITE_NONE && set->secure == CONF_COOKIE_SECURE_OFF) {
        sticky_wrong(check, path, "secure", "must not be off: 'same_site' is none");
    }
    if (!keeps_prefix(name, set)) {
        sticky_wrong(check, path, name_key,
                     "must not begin so: __Secure- and __Host- need 'secure', __Host- also path "
                     "\"/\" and no 'domain'");
    }
}

void conf_check_split_cookie(struct conf_check *check, const struct conf_route *route,
                             const struct conf_path *at)
{
    const struct conf_split *split = &route->split;
    const struct conf_split_cookie *cookie = &split->cookie;
    bool in_clear = is_clear(conf_listener_find(check->conf, route->listener));
    PATH(path, at, SLICE("cookie"));
    PATH(name, &path, SLICE("name"));
    check_cookie_name(check, cookie->name, "name", &path);
    check_set_cookie(check, cookie->name, "name", &cookie->set, &path);
    if (in_clear && is_dropped_in_clear(&cookie->set)) {
        warn_dropped(check, &path);
    }
    if (split->key == CONF_SPLIT_KEY_COOKIE && slice_eq(split->name, cookie->name)) {
        sticky_wrong(check, &path, "name",
                     "must be another cookie than that of 'key': lbd sets this one");
    }
    for (uint32_t i = 0; i < split->pool_count; i++) {
        const struct conf_pool *pool = conf_pool_find(check->conf, split->pools[i].name);
        if (pool != NULL && pool->has_sticky != 0 && slice_eq(pool->sticky.cookie, cookie->name)) {
            conf_errors_add(check->errors, &name, "invalid-value", SLICE_NONE,
                            "must be another cookie than sticky.cookie of pool '%.*s': one would "
                            "overwrite the other",
                            SLICE_ARG(pool->name));
            check->ok = false;
            return;
        }
    }
}

/* What names the session: a cookie, or a header that is learnt. */
static bool check_session_name(struct conf_check *check, const struct conf_pool_sticky *sticky,
                               const struct conf_path *path)
{
    bool learns = sticky->mode == CONF_STICKY_LEARN;
    PATH(cookie, path, SLICE("cookie"));
    if (sticky->header.len != 0 && (!learns || sticky->cookie.len != 0)) {
        sticky_wrong(check, path, "header",
                     learns ? "must be absent: 'cookie' is there"
                            : "must be absent: 'mode' is not learn");
        return false;
    }
    if (sticky->header.len == 0 && sticky->cookie.len == 0) {
        conf_errors_add(check->errors, &cookie, "missing-key", SLICE_NONE, "%s",
                        learns ? "must be set, or 'header'" : "must be set");
        check->ok = false;
        return false;
    }
    const char *problem = conf_check_value_name_problem(true, sticky->header);
    if (problem != NULL) {
        sticky_wrong(check, path, "header", problem);
        return false;
    }
    return true;
}

static void id_wrong(struct conf_check *check, const struct conf_path *servers,
                     const struct conf_server *server, const char *problem)
{
    PATH(at, servers, server->name);
    sticky_wrong(check, &at, "sticky_id", problem);
}

/* Whoever has none is known by its name. */
static void check_ids(struct conf_check *check, const struct conf_pool *pool,
                      const struct conf_path *at)
{
    PATH(servers, at, SLICE("servers"));
    struct map known;
    map_init(&known);
    for (uint32_t i = 0; i < pool->server_count; i++) {
        if (pool->servers[i].sticky_id.len == 0) {
            (void)map_put(&known, pool->servers[i].name, &pool->servers[i]);
        }
    }
    for (uint32_t i = 0; i < pool->server_count; i++) {
        struct conf_server *server = &pool->servers[i];
        if (server->sticky_id.len == 0) {
            continue;
        }
        const struct conf_server *other = map_put(&known, server->sticky_id, server);
        if (conf_address_is_template(server->address)) {
            id_wrong(check, &servers, server,
                     "must be absent: the address stands for servers of which each has its own");
        } else if (other != NULL) {
            char text[256];
            (void)snprintf(text, sizeof(text),
                           "must be another: a cookie with it means server "
                           "'%.*s'",
                           SLICE_ARG(other->name));
            id_wrong(check, &servers, server, text);
        }
    }
    map_fini(&known);
}

static void check_sticky(struct conf_check *check, const struct conf_pool *pool,
                         const struct conf_path *at)
{
    const struct conf_pool_sticky *sticky = &pool->sticky;
    PATH(path, at, SLICE("sticky"));
    if (!check_session_name(check, sticky, &path)) {
        return;
    }
    check_cookie_name(check, sticky->cookie, "cookie", &path);
    if (sticky->mode == CONF_STICKY_PASSIVE) {
        check_ids(check, pool, at);
    }
    if (sticky->mode != CONF_STICKY_INSERT) {
        if (is_of_insert(sticky)) {
            conf_errors_warn(check->errors, &path, "no-effect",
                             "what the cookie looks like is up to the application in this mode");
        }
        return;
    }
    check_set_cookie(check, sticky->cookie, "cookie", &sticky->set, &path);
}

static bool is_of_dropped(const struct conf_pool *pool)
{
    return pool->has_sticky != 0 && pool->sticky.mode == CONF_STICKY_INSERT &&
           is_dropped_in_clear(&pool->sticky.set);
}

/* Pools that set such a cookie and have clients without TLS. */
static void warn_dropped_cookies(struct conf_check *check, const struct conf_path *pools)
{
    const struct conf *conf = check->conf;
    struct map wanted;
    map_init(&wanted);
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (is_of_dropped(&conf->pools[i])) {
            (void)map_put(&wanted, conf->pools[i].name, &conf->pools[i]);
        }
    }
    for (uint32_t i = 0; wanted.count != 0 && i < conf->listener_count; i++) {
        struct slice name = conf->listeners[i].default_pool;
        if (is_clear(&conf->listeners[i]) && map_remove(&wanted, name) != NULL) {
            PATH(at, pools, name);
            PATH(path, &at, SLICE("sticky"));
            warn_dropped(check, &path);
        }
    }
    for (uint32_t i = 0; wanted.count != 0 && i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct slice name;
        for (uint32_t k = 0; (name = conf_route_pool(route, k)).len != 0; k++) {
            if (is_clear(conf_listener_find(conf, route->listener)) &&
                map_remove(&wanted, name) != NULL) {
                PATH(at, pools, name);
                PATH(path, &at, SLICE("sticky"));
                warn_dropped(check, &path);
            }
        }
    }
    map_fini(&wanted);
}

/* -- weights -- */

static void weight_wrong(struct conf_check *check, const struct conf_path *servers,
                         const struct conf_server *server, const char *problem)
{
    PATH(at, servers, server->name);
    PATH(field, &at, SLICE("weight"));
    conf_errors_add(check->errors, &field, "invalid-value", SLICE_NONE, "%s", problem);
    check->ok = false;
}

/* Told once, at the last share of a priority. */
static void check_sum(struct conf_check *check, const struct conf_path *servers,
                      const struct conf_server *last, const struct conf_share_sum *sum)
{
    char text[256];
    if (sum->percent > 100) {
        (void)snprintf(text, sizeof(text),
                       "must be less: the shares of priority %u come to %u%%, more than there is",
                       last->priority, sum->percent);
    } else if (sum->percent == 100 && sum->numbers != 0) {
        (void)snprintf(text, sizeof(text),
                       "must be less: the shares of priority %u come to 100%% and leave nothing to "
                       "its %u with a number",
                       last->priority, sum->numbers);
    } else if (sum->percent < 100 && sum->numbers == 0) {
        (void)snprintf(text, sizeof(text),
                       "must be more: the shares of priority %u come to %u%% and nobody has a "
                       "number to get the rest",
                       last->priority, sum->percent);
    } else {
        return;
    }
    weight_wrong(check, servers, last, text);
}

static void check_weights(struct conf_check *check, const struct conf_pool *pool,
                          const struct conf_path *at)
{
    PATH(servers, at, SLICE("servers"));
    const struct conf_server *last[CONF_PRIORITIES] = {NULL};
    bool has_shares = false;
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct conf_server *server = &pool->servers[i];
        if (server->weight_percent == 0) {
            continue;
        }
        if (conf_address_is_template(server->address)) {
            weight_wrong(check, &servers, server,
                         "must be a number: how many servers share what the address stands for is "
                         "up to the DNS");
            continue;
        }
        has_shares = true;
        last[server->priority] = server;
    }
    if (!has_shares) {
        return;
    }
    struct conf_share_sums sums;
    conf_share_add_up(pool, &sums);
    for (uint32_t i = 0; i < CONF_PRIORITIES; i++) {
        if (last[i] != NULL) {
            check_sum(check, &servers, last[i], &sums.of[i]);
        }
    }
}

/* -- who uses a pool -- */

/* TCP and mail show no request. */
static void check_shown(struct conf_check *check, const struct conf_listener *listener,
                        const struct conf_pool *pool)
{
    PATH(pools, &conf_check_root, SLICE("pools"));
    PATH(at, &pools, pool->name);
    if (is_hash(pool) && pool->has_hash != 0 && pool->hash.key != CONF_HASH_KEY_SOURCE) {
        PATH(hash, &at, SLICE("hash"));
        PATH(key, &hash, SLICE("key"));
        conf_errors_add(check->errors, &key, "invalid-value", SLICE_NONE,
                        "must be source: listener '%.*s' speaks %s, which shows no requests",
                        SLICE_ARG(listener->name), conf_protocol_word(listener->protocol));
        check->ok = false;
    }
    if (pool->has_sticky != 0) {
        PATH(sticky, &at, SLICE("sticky"));
        conf_errors_add(check->errors, &sticky, "invalid-value", SLICE_NONE,
                        "must be absent: listener '%.*s' speaks %s, which shows no requests",
                        SLICE_ARG(listener->name), conf_protocol_word(listener->protocol));
        check->ok = false;
    }
}

/* Of the pool, and of those that stand in for it; that they may go round is told elsewhere. */
static void check_user(struct conf_check *check, const struct conf_listener *listener,
                       struct slice name)
{
    if (listener->protocol == CONF_PROTOCOL_HTTP) {
        return;
    }
    for (uint32_t i = 0; i <= CONF_CHECK_FALLBACKS_MAX && name.len != 0; i++) {
        const struct conf_pool *pool = conf_pool_find(check->conf, name);
        if (pool == NULL) {
            return;
        }
        check_shown(check, listener, pool);
        name = pool->fallback_pool;
    }
}

/* Users of mail stay with their server, whatever group it is in. */
static void check_mail_pool(struct slice name, void *arg)
{
    struct conf_check *check = arg;
    const struct conf_pool *pool = conf_pool_find(check->conf, name);
    PATH(pools, &conf_check_root, SLICE("pools"));
    PATH(at, &pools, name);
    PATH(servers, &at, SLICE("servers"));
    for (uint32_t i = 0; pool != NULL && i < pool->server_count; i++) {
        const struct conf_server *server = &pool->servers[i];
        if (server->weight_percent != 0) {
            weight_wrong(check, &servers, server,
                         "must be a number: a user of mail stays with its server, and what others "
                         "stand beside that is not to move users");
            return;
        }
        if (server->priority != 0 || server->zone.len != 0) {
            PATH(server_at, &servers, server->name);
            PATH(field, &server_at, server->priority != 0 ? SLICE("priority") : SLICE("zone"));
            conf_errors_add(check->errors, &field, "invalid-value", SLICE_NONE,
                            "must be absent: a user of mail stays with its server");
            check->ok = false;
            return;
        }
    }
}

void conf_check_balance(struct conf_check *check)
{
    conf_check_mail_pools(check->conf, check_mail_pool, check);
    const struct conf *conf = check->conf;
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        PATH(at, &pools, conf->pools[i].name);
        if (is_hash(&conf->pools[i]) && conf->pools[i].slow_start_ms != 0) {
            PATH(slow_start, &at, SLICE("slow_start"));
            conf_errors_warn(check->errors, &slow_start, "no-effect",
                             "with maglev and ring_hash keys come back at once");
        }
        check_weights(check, &conf->pools[i], &at);
        if (conf->pools[i].has_hash != 0) {
            check_hash(check, &conf->pools[i], &at);
        }
        if (conf->pools[i].has_sticky != 0) {
            check_sticky(check, &conf->pools[i], &at);
        }
    }
    warn_dropped_cookies(check, &pools);
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        check_user(check, &conf->listeners[i], conf->listeners[i].default_pool);
        if (conf_protocol_is_mail(conf->listeners[i].protocol)) {
            check_mail_pool(conf->listeners[i].default_pool, check);
        }
    }
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        if (route->subset.len != 0 && route->action != CONF_ACTION_POOL &&
            route->action != CONF_ACTION_SPLIT) {
            PATH(at, &routes, route->name);
            PATH(action, &at, SLICE("action"));
            PATH(subset, &action, SLICE("subset"));
            conf_errors_add(check->errors, &subset, "invalid-value", SLICE_NONE,
                            "must be absent: the action sends to no pool");
            check->ok = false;
        }
        const struct conf_listener *listener = conf_listener_find(conf, conf->routes[i].listener);
        if (listener != NULL) {
            check_user(check, listener, conf->routes[i].pool);
        }
    }
}
