#include "conf/conf.h"

#include <stdlib.h>

#include "lbd/base/mem.h"

/* The index of `name` among `count` elements of `size` bytes that begin with their name, sorted; or
 * NULL. */
static const void *find(const void *array, uint32_t count, size_t size, struct slice name)
{
    const char *base = array;
    size_t from = 0;
    size_t to = count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct slice *here = (const void *)(base + middle * size);
        int order = slice_compare(name, *here);
        if (order == 0) {
            return here;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return NULL;
}

static_assert(offsetof(struct conf_listener, name) == 0 && offsetof(struct conf_route, name) == 0 &&
                  offsetof(struct conf_pool, name) == 0 &&
                  offsetof(struct conf_server, name) == 0 &&
                  offsetof(struct conf_health_check, name) == 0,
              "find() looks for the name at the front");

const struct conf_listener *conf_listener_find(const struct conf *conf, struct slice name)
{
    return find(conf->listeners, conf->listener_count, sizeof(*conf->listeners), name);
}

const struct conf_route *conf_route_find(const struct conf *conf, struct slice name)
{
    return find(conf->routes, conf->route_count, sizeof(*conf->routes), name);
}

const struct conf_pool *conf_pool_find(const struct conf *conf, struct slice name)
{
    return find(conf->pools, conf->pool_count, sizeof(*conf->pools), name);
}

const struct conf_server *conf_server_find(const struct conf_pool *pool, struct slice name)
{
    return find(pool->servers, pool->server_count, sizeof(*pool->servers), name);
}

const struct conf_health_check *conf_health_check_find(const struct conf *conf, struct slice name)
{
    return find(conf->health_checks, conf->health_check_count, sizeof(*conf->health_checks), name);
}

struct conf *conf_new(void)
{
    struct conf *conf = mem_zero(1, sizeof(*conf));
    arena_init(&conf->arena, NULL, 0);
    conf->schema = 1;
    return conf;
}

void conf_free(struct conf *conf)
{
    if (conf != NULL) {
        arena_fini(&conf->arena);
        free(conf);
    }
}

void conf_daemon_free(struct conf_daemon *daemon)
{
    if (daemon != NULL) {
        arena_fini(&daemon->arena);
        free(daemon);
    }
}

static const char *const admin_state_words[] = {
    [CONF_READY] = "ready", [CONF_DRAIN] = "drain", [CONF_MAINT] = "maint"};

const char *conf_admin_state_word(enum conf_admin_state state)
{
    return admin_state_words[state];
}

bool conf_admin_state_parse(struct slice word, enum conf_admin_state *out)
{
    for (size_t i = 0; i < ARRAY_LEN(admin_state_words); i++) {
        if (slice_eq(word, slice_from(admin_state_words[i]))) {
            *out = (enum conf_admin_state)i;
            return true;
        }
    }
    return false;
}
