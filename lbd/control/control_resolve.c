#include "lbd/control/control_resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/net/resolve.h"

enum { HOST_MAX = 256, FIRST_RETRY_MS = 1000 };

/* A host name, asked once for all servers that use it. */
struct resolve_name {
    struct control_resolve *resolve;
    char *host;                        /* owned, lower case */
    struct list_node users;            /* struct resolve_user.link */
    struct list_node waiting;          /* in resolve->waiting while it waits for its turn */
    struct loop_timer timer;           /* the next question */
    struct resolve_question *question; /* open */
    struct control_resolve_facts facts;
    uint32_t failures_in_row;
    char failure[128];
};

/* A server whose address has a name. */
struct resolve_user {
    struct list_node link;
    struct resolve_name *name;
    struct resolve_pool *pool;
    char *server; /* owned */
    uint16_t port;
    struct addr told; /* what changed() was called with last */
};

struct resolve_pool {
    char *name;       /* owned */
    uint64_t version; /* of the conf_pool it was made from; 0: look again */
    struct map users; /* server name -> struct resolve_user */
};

struct control_resolve {
    struct control_resolve_options options;
    struct resolve *resolver;
    struct map names; /* host -> struct resolve_name */
    struct map pools; /* pool name -> struct resolve_pool */
    struct list_node waiting;
    uint32_t open; /* questions */
};

/* --- telling --- */

static void with_port(struct addr *address, uint16_t port)
{
    if (address->u.any.sa_family == AF_INET) {
        address->u.v4.sin_port = htons(port);
    } else if (address->u.any.sa_family == AF_INET6) {
        address->u.v6.sin6_port = htons(port);
    }
}

static void tell(struct resolve_user *user)
{
    struct control_resolve *resolve = user->name->resolve;
    struct addr address = user->name->facts.address;
    if (address.len == 0) {
        return;
    }
    with_port(&address, user->port);
    if (!addr_eq(&address, &user->told)) {
        user->told = address;
        resolve->options.changed(slice_from(user->pool->name), slice_from(user->server), &address,
                                 resolve->options.arg);
    }
}

/* --- asking --- */

static void ask_next(struct control_resolve *resolve);

static void on_due(struct loop_timer *timer)
{
    struct resolve_name *name = container_of(timer, struct resolve_name, timer);
    list_push_back(&name->resolve->waiting, &name->waiting);
    ask_next(name->resolve);
}

/* Without any address yet we are impatient: 1 s, 2 s, 4 s ... up to the usual distance. */
static uint32_t next_delay_ms(const struct resolve_name *name)
{
    uint32_t every_ms = name->resolve->options.every_ms;
    if (name->facts.address.len != 0 || name->failures_in_row == 0 || name->failures_in_row > 16) {
        return every_ms;
    }
    uint32_t delay_ms = (uint32_t)FIRST_RETRY_MS << (name->failures_in_row - 1);
    return delay_ms < every_ms ? delay_ms : every_ms;
}

static void note_failure(struct resolve_name *name, const char *why)
{
    name->facts.failures++;
    name->failures_in_row++;
    (void)snprintf(name->failure, sizeof(name->failure), "%s", why);
    if (name->failures_in_row == 1) {
        log_warn("resolve.failed", "name=%s why=\"%s\" keeps=%s", name->host, why,
                 name->facts.address.len != 0 ? "address" : "nothing");
    }
}

static void note_address(struct resolve_name *name, const struct addr *address)
{
    bool is_new = !addr_eq(address, &name->facts.address);
    if (is_new || name->failures_in_row != 0) {
        char text[ADDR_TEXT_MAX];
        (void)addr_write(address, text);
        log_info("resolve.address", "name=%s address=%s changed=%s", name->host, text,
                 is_new ? "yes" : "no");
    }
    name->failures_in_row = 0;
    name->failure[0] = '\0';
    if (is_new) {
        name->facts.address = *address;
        name->facts.version++;
    }
}

static void on_answer(const struct addr *address, const char *why, void *arg)
{
    struct resolve_name *name = arg;
    struct control_resolve *resolve = name->resolve;
    name->question = NULL;
    resolve->open--;
    name->facts.last_wall_us = now_wall_us();
    if (address != NULL) {
        note_address(name, address);
    } else {
        note_failure(name, why);
    }
    loop_timer_set(resolve->options.loop, &name->timer, next_delay_ms(name), on_due);

    struct list_node *node;
    list_for_each (node, &name->users) {
        tell(list_entry(node, struct resolve_user, link));
    }
    ask_next(resolve);
}

static void ask_next(struct control_resolve *resolve)
{
    while (resolve->open < CONTROL_RESOLVE_MAX) {
        struct list_node *node = list_pop_front(&resolve->waiting);
        if (node == NULL) {
            return;
        }
        struct resolve_name *name = list_entry(node, struct resolve_name, waiting);
        resolve->open++;
        name->facts.questions++;
        name->question = resolve_ask(resolve->resolver, slice_from(name->host), on_answer, name);
    }
}

/* --- names and users --- */

static struct slice lower_host(struct slice host, char out[HOST_MAX])
{
    size_t len = host.len < HOST_MAX ? host.len : HOST_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = host.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return slice_of(out, len);
}

/* "name:port" with a name and no literal. */
static bool split_name(struct slice text, char buffer[HOST_MAX], struct slice *host, uint16_t *port)
{
    struct addr literal;
    struct slice part;
    if (addr_is_unix(text) || addr_parse(text, &literal) || !addr_split(text, false, &part, port) ||
        part.len > HOST_MAX) {
        return false;
    }
    *host = lower_host(part, buffer);
    return true;
}

static struct resolve_name *make_name(struct control_resolve *resolve, struct slice host)
{
    struct resolve_name *name = map_get(&resolve->names, host);
    if (name == NULL) {
        name = mem_zero(1, sizeof(*name));
        name->resolve = resolve;
        name->host = mem_slicedup(host);
        list_init(&name->users);
        (void)map_put(&resolve->names, host, name);
        list_push_back(&resolve->waiting, &name->waiting);
    }
    return name;
}

static void free_name(struct resolve_name *name)
{
    if (name->question != NULL) {
        resolve_cancel(name->question);
        name->resolve->open--;
    }
    loop_timer_stop(&name->timer);
    list_remove(&name->waiting);
    free(name->host);
    free(name);
}

static void free_user(struct resolve_user *user)
{
    struct resolve_name *name = user->name;
    list_remove(&user->link);
    if (list_is_empty(&name->users)) {
        (void)map_remove(&name->resolve->names, slice_from(name->host));
        free_name(name);
    }
    free(user->server);
    free(user);
}

static void free_users(struct map *users)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, users) {
        free_user(entry->value);
    }
    map_fini(users);
}

/* A user as before when nothing changed for it, else a new one. */
static struct resolve_user *make_user(struct control_resolve *resolve, struct resolve_pool *pool,
                                      struct map *before, struct slice server, struct slice host,
                                      uint16_t port)
{
    struct resolve_user *user = map_get(before, server);
    if (user != NULL && user->port == port && slice_eq(slice_from(user->name->host), host)) {
        (void)map_remove(before, server);
        return user;
    }
    user = mem_zero(1, sizeof(*user));
    user->name = make_name(resolve, host);
    user->pool = pool;
    user->server = mem_slicedup(server);
    user->port = port;
    list_push_back(&user->name->users, &user->link);
    return user;
}

static void apply_pool(struct control_resolve *resolve, const struct conf_pool *conf)
{
    struct resolve_pool *pool = map_get(&resolve->pools, conf->name);
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->name = mem_slicedup(conf->name);
        map_init(&pool->users);
        (void)map_put(&resolve->pools, conf->name, pool);
    } else if (conf->version != 0 && conf->version == pool->version) {
        return;
    }
    pool->version = conf->version;

    struct map before = pool->users;
    map_init(&pool->users);
    for (uint32_t i = 0; i < conf->server_count; i++) {
        char buffer[HOST_MAX];
        struct slice host;
        uint16_t port;
        if (split_name(conf->servers[i].address, buffer, &host, &port)) {
            struct slice server = conf->servers[i].name;
            (void)map_put(&pool->users, server,
                          make_user(resolve, pool, &before, server, host, port));
        }
    }
    free_users(&before); /* after the new ones, so that a name that stays keeps what it knows */

    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->users) {
        tell(entry->value);
    }
}

void control_resolve_apply(struct control_resolve *resolve, const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        apply_pool(resolve, &conf->pools[i]);
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &resolve->pools) {
        struct resolve_pool *pool = entry->value;
        if (conf_pool_find(conf, entry->key) == NULL) {
            (void)map_remove(&resolve->pools, entry->key);
            free_users(&pool->users);
            free(pool->name);
            free(pool);
        }
    }
    ask_next(resolve);
}

/* --- asking us --- */

bool control_resolve_known(const struct control_resolve *resolve, struct slice address_text,
                           struct addr *address)
{
    char buffer[HOST_MAX];
    struct slice host;
    uint16_t port;
    if (!split_name(address_text, buffer, &host, &port)) {
        return false;
    }
    const struct resolve_name *name = map_get(&resolve->names, host);
    if (name == NULL || name->facts.address.len == 0) {
        return false;
    }
    *address = name->facts.address;
    with_port(address, port);
    return true;
}

bool control_resolve_address(const struct control_resolve *resolve, struct slice pool,
                             struct slice server, struct control_resolve_facts *facts)
{
    const struct resolve_pool *found = map_get(&resolve->pools, pool);
    const struct resolve_user *user = found != NULL ? map_get(&found->users, server) : NULL;
    if (user == NULL) {
        return false;
    }
    *facts = user->name->facts;
    facts->failure = user->name->failure;
    if (facts->address.len != 0) {
        with_port(&facts->address, user->port);
    }
    return true;
}

/* --- life --- */

struct control_resolve *control_resolve_new(const struct control_resolve_options *options,
                                            struct err *err)
{
    struct resolve *resolver =
        resolve_new(options->loop, options->resolvers, options->resolver_count, err);
    if (resolver == NULL) {
        return NULL;
    }
    struct control_resolve *resolve = mem_zero(1, sizeof(*resolve));
    resolve->options = *options;
    resolve->options.resolvers = NULL; /* borrowed for this call only */
    if (resolve->options.every_ms == 0) {
        resolve->options.every_ms = CONTROL_RESOLVE_EVERY_MS;
    }
    resolve->resolver = resolver;
    map_init(&resolve->names);
    map_init(&resolve->pools);
    list_init(&resolve->waiting);
    return resolve;
}

void control_resolve_free(struct control_resolve *resolve)
{
    if (resolve == NULL) {
        return;
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &resolve->pools) {
        struct resolve_pool *pool = entry->value;
        free_users(&pool->users);
        free(pool->name);
        free(pool);
    }
    map_fini(&resolve->pools);
    map_fini(&resolve->names); /* every name went with its last user */
    resolve_free(resolve->resolver);
    free(resolve);
}
