#include "lbd/proxy/mail_routes.h"

#include "lbd/proxy/mail_users.h"

const struct pool *mail_routes_pool(const struct mail_routes *routes, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = routes->pool_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(routes->pools[middle]->name, name);
        if (order == 0) {
            return routes->pools[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Is there a machine of this name, but behind other doors than the pool's only? */
static bool is_of_others(const struct mail_routes *routes, const struct pool *pool,
                         struct slice server)
{
    bool has_others = false;
    for (uint32_t i = 0; i < routes->pool_count; i++) {
        const struct pool *other = routes->pools[i];
        if (other->mail != NULL && mail_users_member(other, server) != BALANCER_NONE) {
            if (mail_users_share_machines(pool, other)) {
                return false;
            }
            has_others = true;
        }
    }
    return has_others;
}

/* False: it says nothing of where users of this listener go. A server that is named without its
 * pool is one of some machines; submission may be others' work. */
static bool aim(const struct mail_routes *routes, struct slice pool, struct slice server,
                struct mail_route *route)
{
    if (pool.len != 0) {
        route->pool = mail_routes_pool(routes, pool);
    }
    if (server.len == 0 || route->pool == NULL) {
        return true;
    }
    route->member = mail_users_member(route->pool, server);
    if (route->member == BALANCER_NONE && pool.len == 0 &&
        is_of_others(routes, route->pool, server)) {
        return false;
    }
    if (route->member == BALANCER_NONE) {
        route->pool = NULL; /* of the listener's pool no server has that name */
    }
    return true;
}

bool mail_routes_find(const struct mail_routes *routes, const struct mail_name *name,
                      struct mail_route *route)
{
    struct mail_name_parts parts = mail_name_parts(mail_name_slice(name));
    struct slice form = SLICE_NONE;
    struct mail_map_groups groups;
    const struct slice *caught = NULL;
    *route = (struct mail_route){.pool = routes->pool,
                                 .member = BALANCER_NONE,
                                 .sessions = routes->sessions_per_user,
                                 .by = "default"};
    const struct conf_mail_user *user = conf_mail_user_find(routes->conf, parts.user);
    if (user != NULL) {
        route->is_disabled = user->disabled != 0;
        route->sessions = user->sessions != 0 ? user->sessions : route->sessions;
        form = user->login_user;
    }
    if (user != NULL && (user->pool.len != 0 || user->server.len != 0) &&
        aim(routes, user->pool, user->server, route)) {
        route->by = "user";
        route->is_known = true;
    }
    for (uint32_t i = 0; !route->is_known && i < routes->map_count; i++) {
        const struct conf_mail_entry *entry = mail_map_find(routes->maps[i], &parts, &groups);
        if (entry != NULL && aim(routes, entry->pool, entry->server, route)) {
            route->by = "map";
            route->map = routes->maps[i]->conf->name;
            route->is_known = true;
            if (form.len == 0) {
                form = entry->login_user;
                caught = groups.list;
            }
        }
    }
    return form.len == 0 || mail_name_expand(form, &parts, caught, &route->login);
}

bool mail_routes_mailbox(const struct mail_routes *routes, const struct mail_name *name,
                         const struct mail_route *route, struct mail_name *mailbox)
{
    if (route->login.len == 0) {
        *mailbox = *name;
        return true;
    }
    return mail_name_make(&routes->rules, mail_name_slice(&route->login), mailbox);
}
