#include "lbd/control/control_resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_address.h"
#include "conf/json/json_write.h"
#include "lbd/base/buf.h"
#include "lbd/base/hash.h"
#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"

enum { HOST_MAX = RESOLVE_NAME_MAX, KEY_MAX = HOST_MAX + 64, HURRY_MS = 1000, SHOWN_MAX = 8 };

/* A name, asked once for all servers that use it under the same settings. */
struct resolve_name {
    struct control_resolve *resolve;
    char *key;  /* owned: of resolve->names */
    char *host; /* owned, lower case */
    enum resolve_kind kind;
    struct conf_pool_dns rules;
    struct list_node users;            /* struct resolve_user.link */
    struct list_node waiting;          /* in resolve->waiting while it waits for its turn */
    struct loop_timer timer;           /* the next question */
    struct loop_timer stale;           /* the end of what stands against the last good answer */
    struct resolve_question *question; /* open */
    struct addr *addresses;            /* owned: what counts now; or */
    struct resolve_service *services;  /* these */
    uint32_t count;
    uint32_t version;
    uint64_t asked_ms;      /* monotonic, as the following: when it was asked last */
    uint64_t fresh_ms;      /* until then */
    uint64_t last_wall_us;  /* of the last answer */
    uint64_t found_wall_us; /* of the last good one */
    uint64_t questions;
    uint64_t failures;
    uint32_t failures_in_row;
    char failure[128];
};

/* A server whose address has a name, or a template. */
struct resolve_user {
    struct list_node link;
    struct resolve_name *name;
    struct resolve_pool *pool;
    char *server; /* owned */
    enum conf_address kind;
    uint16_t port;
    bool is_pinned;                         /* a member of "dns:": its address is its own */
    struct addr told;                       /* what changed() was called with last */
    struct control_resolve_member *members; /* owned: of a template, sorted by name */
    uint32_t member_count;
};

struct resolve_pool {
    char *name; /* owned */
    bool is_seen;
    uint64_t templates_version; /* of the conf_pool they were made from; 0: look again */
    uint64_t users_version;     /* likewise */
    struct map users;           /* server name -> struct resolve_user */
    struct map templates;       /* likewise */
};

struct control_resolve {
    struct control_resolve_options options;
    struct resolve *resolver;
    struct map names; /* key -> struct resolve_name */
    struct map pools; /* pool name -> struct resolve_pool */
    struct list_node waiting;
    uint32_t open; /* questions */
    struct control_resolve_stats stats;
};

static uint64_t clock_ms(const struct control_resolve *resolve)
{
    return loop_now_us(resolve->options.loop) / 1000;
}

/* --- members --- */

static void with_port(struct addr *address, uint16_t port)
{
    if (address->u.any.sa_family == AF_INET) {
        address->u.v4.sin_port = htons(port);
    } else if (address->u.any.sa_family == AF_INET6) {
        address->u.v6.sin6_port = htons(port);
    }
}

/* "app-10-0-0-1": what is no letter or digit becomes '-'. A long one ends in a hash instead. */
static void name_member(struct control_resolve_member *member, const char *template,
                        const char *rest)
{
    char text[KEY_MAX + 64];
    int len = snprintf(text, sizeof(text), "%s-%s", template, rest);
    for (char *at = text; *at != '\0'; at++) {
        bool is_kept = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-';
        bool is_of_template = at < text + strlen(template);
        *at = is_kept || is_of_template ? *at : '-';
    }
    uint64_t hash = hash_fast(slice_of(text, (size_t)len), 0);
    if ((size_t)len < sizeof(member->name) && text[len - 1] != '-') {
        memcpy(member->name, text, (size_t)len + 1);
        return;
    }
    (void)snprintf(member->name, sizeof(member->name), "%.40s-%016llx", text,
                   (unsigned long long)hash);
}

static int compare_members(const void *a, const void *b)
{
    const struct control_resolve_member *left = a;
    const struct control_resolve_member *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->group > right->group) - (left->group < right->group);
}

static uint32_t add_addresses(const struct resolve_user *user, struct control_resolve_member *out)
{
    for (uint32_t i = 0; i < user->name->count; i++) {
        struct addr_small address;
        char ip[ADDR_TEXT_MAX];
        addr_small_from(&address, &user->name->addresses[i].u.any);
        (void)addr_small_write_ip(&address, ip);
        name_member(&out[i], user->server, ip);
        /* the name, which TLS and checks want; where it is, is pinned */
        (void)snprintf(out[i].address, sizeof(out[i].address), "%s:%u", user->name->host,
                       user->port);
        out[i].pinned = user->name->addresses[i];
        with_port(&out[i].pinned, user->port);
    }
    return user->name->count;
}

/* The priorities there are, each once, in their order; returns how many. */
static uint32_t list_priorities(const struct resolve_name *name, uint16_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < name->count; i++) {
        uint16_t priority = name->services[i].priority;
        uint32_t at = 0;
        while (at < count && out[at] < priority) {
            at++;
        }
        if (at < count && out[at] == priority) {
            continue;
        }
        memmove(out + at + 1, out + at, (count - at) * sizeof(*out));
        out[at] = priority;
        count++;
    }
    return count;
}

/* lbd's weights end at 1000, so those of a priority are scaled where one is greater. */
static uint32_t weight_of(const struct resolve_name *name, const struct resolve_service *service)
{
    uint32_t heaviest = 0;
    for (uint32_t i = 0; i < name->count; i++) {
        const struct resolve_service *other = &name->services[i];
        if (other->priority == service->priority && other->weight > heaviest) {
            heaviest = other->weight;
        }
    }
    uint32_t weight = heaviest > 1000 ? service->weight * 1000U / heaviest : service->weight;
    return heaviest == 0 ? 0 : weight == 0 ? 1 : weight;
}

static uint32_t add_services(const struct resolve_user *user, struct control_resolve_member *out)
{
    const struct resolve_name *name = user->name;
    uint16_t priorities[RESOLVE_ANSWERS_MAX];
    uint32_t groups = list_priorities(name, priorities);
    for (uint32_t i = 0; i < name->count; i++) {
        const struct resolve_service *service = &name->services[i];
        struct control_resolve_member *member = &out[i];
        char rest[KEY_MAX];
        (void)snprintf(rest, sizeof(rest), "%s-%u", service->host, service->port);
        name_member(member, user->server, rest);
        (void)snprintf(member->address, sizeof(member->address), "%s:%u", service->host,
                       service->port);
        member->weight = weight_of(name, service);
        while (member->group + 1 < groups && priorities[member->group] != service->priority) {
            member->group++;
        }
    }
    return name->count;
}

/* True when they are others than before. */
static bool make_members(struct resolve_user *user)
{
    struct control_resolve_member *made = mem_zero(RESOLVE_ANSWERS_MAX, sizeof(*made));
    uint32_t found =
        user->kind == CONF_ADDRESS_SRV ? add_services(user, made) : add_addresses(user, made);
    uint32_t count = 0;
    qsort(made, found, sizeof(*made), compare_members);
    for (uint32_t i = 0; i < found; i++) { /* each once, in the first of its groups */
        if (count == 0 || strcmp(made[count - 1].name, made[i].name) != 0) {
            made[count++] = made[i];
        }
    }
    bool is_same = count == user->member_count &&
                   (count == 0 || memcmp(made, user->members, count * sizeof(*made)) == 0);
    free(user->members);
    user->members = made;
    user->member_count = count;
    return !is_same;
}

/* Where a member of "dns:" is. */
static bool find_pinned(const struct resolve_pool *pool, struct slice server, struct addr *address)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->templates) {
        const struct resolve_user *user = entry->value;
        for (uint32_t i = 0; i < user->member_count; i++) {
            if (slice_eq(slice_from(user->members[i].name), server)) {
                *address = user->members[i].pinned;
                return address->len != 0;
            }
        }
    }
    return false;
}

/* --- telling --- */

/* The address it has while that is among those of its name, else the first of them. */
static struct addr address_of(const struct resolve_user *user)
{
    const struct resolve_name *name = user->name;
    struct addr first = {.len = 0};
    for (uint32_t i = 0; i < name->count; i++) {
        struct addr address = name->addresses[i];
        with_port(&address, user->port);
        if (addr_eq(&address, &user->told)) {
            return address;
        }
        first = i == 0 ? address : first;
    }
    return first;
}

static void tell_server(struct resolve_user *user, struct addr address)
{
    struct control_resolve *resolve = user->name->resolve;
    if (!addr_eq(&address, &user->told)) {
        user->told = address;
        resolve->options.changed(slice_from(user->pool->name), slice_from(user->server), &address,
                                 resolve->options.arg);
    }
}

static void tell(struct resolve_user *user)
{
    const struct control_resolve *resolve = user->name->resolve;
    if (user->kind != CONF_ADDRESS_NAME) {
        if (make_members(user)) {
            resolve->options.members_changed(resolve->options.arg);
        }
    } else if (!user->is_pinned) {
        tell_server(user, address_of(user));
    }
}

/* --- events --- */

static void list_answer(const struct resolve_name *name, struct buf *out)
{
    for (uint32_t i = 0; i < name->count && i < SHOWN_MAX; i++) {
        (void)buf_append_text(out, i == 0 ? "" : ", ");
        if (name->kind == RESOLVE_SERVICES) {
            (void)buf_printf(out, "%s:%u", name->services[i].host, name->services[i].port);
        } else {
            struct addr_small address;
            char ip[ADDR_TEXT_MAX];
            addr_small_from(&address, &name->addresses[i].u.any);
            (void)addr_small_write_ip(&address, ip);
            (void)buf_append_text(out, ip);
        }
    }
    if (name->count > SHOWN_MAX) {
        (void)buf_printf(out, " and %u more", name->count - SHOWN_MAX);
    }
    if (name->count == 0) {
        (void)buf_append_text(out, "nothing");
    }
}

static void post_changed(const struct resolve_name *name)
{
    struct buf text;
    buf_init(&text, 4096);
    list_answer(name, &text);
    log_info("resolve.address", "name=%s address=\"%.*s\"", name->host,
             SLICE_ARG(buf_slice(&text)));
    events_post(name->resolve->options.events, "dns.changed", slice_from(name->host), NULL,
                "is at %.*s", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
}

static void note_failure(struct resolve_name *name, const char *why)
{
    name->failures++;
    name->failures_in_row++;
    (void)snprintf(name->failure, sizeof(name->failure), "%s", why);
    if (name->failures_in_row == 1) {
        const char *keeps = name->count != 0 ? "address" : "nothing";
        log_warn("resolve.failed", "name=%s why=\"%s\" keeps=%s", name->host, why, keeps);
        events_post(name->resolve->options.events, "dns.failed", slice_from(name->host), NULL,
                    "%s; %s", why,
                    name->count != 0 ? "what was known is kept" : "nothing is known of it");
    }
}

/* --- asking --- */

static void ask_next(struct control_resolve *resolve);

static void on_due(struct loop_timer *timer)
{
    struct resolve_name *name = container_of(timer, struct resolve_name, timer);
    if (name->question == NULL && !list_is_linked(&name->waiting)) {
        list_push_back(&name->resolve->waiting, &name->waiting);
        ask_next(name->resolve);
    }
}

/* retry, twice that, four times ... */
static uint64_t next_delay_ms(const struct resolve_name *name, uint32_t ttl_s)
{
    uint64_t every_ms = name->resolve->options.every_ms;
    if (name->failures_in_row == 0) {
        return every_ms != 0 ? every_ms : ttl_s * UINT64_C(1000);
    }
    uint64_t most_ms = every_ms != 0 ? every_ms : CONTROL_RESOLVE_RETRY_MAX_MS;
    uint32_t doubled = name->failures_in_row < 16 ? name->failures_in_row - 1 : 15;
    uint64_t delay_ms = (uint64_t)name->rules.retry_ms << doubled;
    most_ms = name->rules.retry_ms > most_ms ? name->rules.retry_ms : most_ms;
    return delay_ms < most_ms ? delay_ms : most_ms;
}

static int compare_addresses(const void *a, const void *b)
{
    struct addr_small left;
    struct addr_small right;
    addr_small_from(&left, &((const struct addr *)a)->u.any);
    addr_small_from(&right, &((const struct addr *)b)->u.any);
    return memcmp(left.ip, right.ip, sizeof(left.ip));
}

static int compare_services(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct resolve_service));
}

/* True when it is another one, whatever its order. Keeps it as it came: the first is the first. */
static bool take_answer(struct resolve_name *name, const struct resolve_answer *answer)
{
    bool of_services = name->kind == RESOLVE_SERVICES;
    size_t size = of_services ? sizeof(struct resolve_service) : sizeof(struct addr);
    const void *from =
        of_services ? (const void *)answer->services : (const void *)answer->addresses;
    void *old = of_services ? (void *)name->services : (void *)name->addresses;
    bool is_same = answer->count == name->count;
    void *taken = mem_zero(answer->count + 1, size);
    if (answer->count != 0) {
        memcpy(taken, from, answer->count * size);
    }
    if (is_same && answer->count != 0) {
        void *sorted = mem_zero(answer->count, size);
        memcpy(sorted, taken, answer->count * size);
        qsort(sorted, answer->count, size, of_services ? compare_services : compare_addresses);
        qsort(old, answer->count, size, of_services ? compare_services : compare_addresses);
        is_same = memcmp(sorted, old, answer->count * size) == 0;
        free(sorted);
    }
    free(old);
    name->addresses = of_services ? NULL : taken;
    name->services = of_services ? taken : NULL;
    name->count = answer->count;
    name->version += is_same ? 0 : 1;
    return !is_same;
}

/* What stands against the last good answer has lasted too long. */
static bool is_given_up(const struct resolve_name *name)
{
    return name->rules.stale_for_ms != 0 && name->failures_in_row != 0 &&
           clock_ms(name->resolve) >= name->fresh_ms + name->rules.stale_for_ms;
}

static void tell_all(const struct resolve_name *name)
{
    struct list_node *node;
    list_for_each (node, &name->users) {
        tell(list_entry(node, struct resolve_user, link));
    }
}

static bool give_up(struct resolve_name *name)
{
    static const struct resolve_answer nothing = {.verdict = RESOLVE_EMPTY};
    return is_given_up(name) && take_answer(name, &nothing);
}

static void on_stale(struct loop_timer *timer)
{
    struct resolve_name *name = container_of(timer, struct resolve_name, stale);
    if (give_up(name)) {
        post_changed(name);
        tell_all(name);
    }
}

/* The next question may come much later than that. */
static void await_staleness(struct resolve_name *name)
{
    loop_timer_stop(&name->stale);
    if (name->rules.stale_for_ms != 0 && name->failures_in_row != 0 && name->count != 0) {
        uint64_t now = clock_ms(name->resolve);
        uint64_t end_ms = name->fresh_ms + name->rules.stale_for_ms;
        loop_timer_set(name->resolve->options.loop, &name->stale, end_ms > now ? end_ms - now : 0,
                       on_stale);
    }
}

static void on_answer(const struct resolve_answer *answer, void *arg)
{
    struct resolve_name *name = arg;
    struct control_resolve *resolve = name->resolve;
    static const struct resolve_answer nothing = {.verdict = RESOLVE_EMPTY};
    bool is_changed = false;
    name->question = NULL;
    resolve->open--;
    name->last_wall_us = now_wall_us();
    switch (answer->verdict) {
    case RESOLVE_FOUND:
        resolve->stats.found++;
        name->failures_in_row = 0;
        name->failure[0] = '\0';
        name->found_wall_us = name->last_wall_us;
        name->fresh_ms = clock_ms(resolve) + answer->ttl_s * UINT64_C(1000);
        is_changed = take_answer(name, answer);
        break;
    case RESOLVE_EMPTY:
        resolve->stats.empty++;
        if (name->rules.on_empty == CONF_DNS_EMPTY_DOWN) {
            is_changed = take_answer(name, &nothing);
        }
        note_failure(name, answer->why);
        break;
    case RESOLVE_FAILED:
        resolve->stats.failed++;
        note_failure(name, answer->why);
        break;
    }
    is_changed = give_up(name) || is_changed;
    if (is_changed) {
        post_changed(name);
    }
    await_staleness(name);
    uint64_t delay_ms = next_delay_ms(name, answer->ttl_s);
    loop_timer_set(resolve->options.loop, &name->timer, delay_ms, on_due);
    tell_all(name);
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
        name->questions++;
        name->asked_ms = clock_ms(resolve);
        name->question =
            resolve_ask_all(resolve->resolver, slice_from(name->host), name->kind, on_answer, name);
    }
}

/* --- names and users --- */

static struct slice lower_host(struct slice host, char out[HOST_MAX])
{
    size_t len = host.len < HOST_MAX ? host.len : HOST_MAX;
    for (size_t i = 0; i < len; i++) {
        out[i] = slice_lower(host.ptr[i]);
    }
    return slice_of(out, len);
}

/* The kind of a server's address; with a name that is asked for, its key among names. */
static enum conf_address look_at(const struct conf_pool *pool, struct slice text, char key[KEY_MAX],
                                 struct slice *host, uint16_t *port)
{
    char lower[HOST_MAX];
    enum conf_address kind = conf_address_of(text, host, port);
    if (kind == CONF_ADDRESS_LITERAL || kind == CONF_ADDRESS_BAD || host->len >= HOST_MAX) {
        return CONF_ADDRESS_LITERAL;
    }
    struct slice name = lower_host(*host, lower);
    (void)snprintf(key, KEY_MAX, "%.*s %c %u %u %u", SLICE_ARG(name),
                   kind == CONF_ADDRESS_SRV ? 's' : 'a', (unsigned)pool->dns.on_empty,
                   pool->dns.stale_for_ms, pool->dns.retry_ms);
    return kind;
}

static struct resolve_name *make_name(struct control_resolve *resolve, const char *key,
                                      struct slice host, enum conf_address kind,
                                      const struct conf_pool_dns *rules)
{
    struct resolve_name *name = map_get(&resolve->names, slice_from(key));
    if (name == NULL) {
        char lower[HOST_MAX];
        name = mem_zero(1, sizeof(*name));
        name->resolve = resolve;
        name->key = mem_slicedup(slice_from(key));
        name->host = mem_slicedup(lower_host(host, lower));
        name->kind = kind == CONF_ADDRESS_SRV ? RESOLVE_SERVICES : RESOLVE_ADDRESSES;
        name->rules = *rules;
        list_init(&name->users);
        (void)map_put(&resolve->names, slice_from(key), name);
        list_push_back(&resolve->waiting, &name->waiting);
    }
    return name;
}

/* Under other rules: what is known of it is known still. */
static void take_over(struct resolve_name *name, const struct resolve_name *before)
{
    const struct resolve_answer known = {
        .addresses = before->addresses, .services = before->services, .count = before->count};
    (void)take_answer(name, &known);
    name->version = before->version;
    name->fresh_ms = before->fresh_ms;
    name->last_wall_us = before->last_wall_us;
    name->found_wall_us = before->found_wall_us;
    name->questions += before->questions;
    name->failures = before->failures;
    name->failures_in_row = before->failures_in_row;
    memcpy(name->failure, before->failure, sizeof(name->failure));
    await_staleness(name);
}

static bool is_same_name(const struct resolve_user *user, enum conf_address kind, struct slice host)
{
    char lower[HOST_MAX];
    return user->kind == kind && slice_eq(slice_from(user->name->host), lower_host(host, lower));
}

static void free_name(struct resolve_name *name)
{
    if (name->question != NULL) {
        resolve_cancel(name->question);
        name->resolve->open--;
    }
    loop_timer_stop(&name->timer);
    loop_timer_stop(&name->stale);
    list_remove(&name->waiting);
    free(name->addresses);
    free(name->services);
    free(name->key);
    free(name->host);
    free(name);
}

static void free_user(struct resolve_user *user)
{
    struct resolve_name *name = user->name;
    list_remove(&user->link);
    if (list_is_empty(&name->users)) {
        (void)map_remove(&name->resolve->names, slice_from(name->key));
        free_name(name);
    }
    free(user->members);
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
                                      struct map *before, const struct conf_pool *conf,
                                      const struct conf_server *server)
{
    char key[KEY_MAX];
    struct slice host;
    uint16_t port = 0;
    enum conf_address kind = look_at(conf, server->address, key, &host, &port);
    if (kind == CONF_ADDRESS_LITERAL) {
        return NULL;
    }
    struct resolve_user *old = map_get(before, server->name);
    if (old != NULL && old->kind == kind && old->port == port && strcmp(old->name->key, key) == 0) {
        (void)map_remove(before, server->name);
        return old;
    }
    struct resolve_user *user = mem_zero(1, sizeof(*user));
    user->name = make_name(resolve, key, host, kind, &conf->dns);
    if (old != NULL && is_same_name(old, kind, host)) {
        if (user->name->last_wall_us == 0) {
            take_over(user->name, old->name);
        }
        if (old->port == port) {
            user->told = old->told; /* it is there still, and may have to leave */
        }
    }
    user->pool = pool;
    user->server = mem_slicedup(server->name);
    user->kind = kind;
    user->port = port;
    list_push_back(&user->name->users, &user->link);
    return user;
}

static struct resolve_pool *make_pool(struct control_resolve *resolve, struct slice name)
{
    struct resolve_pool *pool = map_get(&resolve->pools, name);
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->name = mem_slicedup(name);
        map_init(&pool->users);
        map_init(&pool->templates);
        (void)map_put(&resolve->pools, name, pool);
    }
    pool->is_seen = true;
    return pool;
}

static void apply_templates(struct control_resolve *resolve, const struct conf_pool *conf)
{
    struct resolve_pool *pool = make_pool(resolve, conf->name);
    if (conf->version != 0 && conf->version == pool->templates_version) {
        return;
    }
    pool->templates_version = conf->version;
    struct map before = pool->templates;
    map_init(&pool->templates);
    for (uint32_t i = 0; i < conf->server_count; i++) {
        if (conf_address_is_template(conf->servers[i].address)) {
            struct resolve_user *user = make_user(resolve, pool, &before, conf, &conf->servers[i]);
            if (user != NULL) {
                (void)map_put(&pool->templates, conf->servers[i].name, user);
                (void)make_members(user); /* of a name that is known already: at once */
            }
        }
    }
    free_users(&before);
}

static void apply_servers(struct control_resolve *resolve, const struct conf_pool *conf)
{
    struct resolve_pool *pool = make_pool(resolve, conf->name);
    if (conf->version != 0 && conf->version == pool->users_version) {
        return;
    }
    pool->users_version = conf->version;
    struct map before = pool->users;
    map_init(&pool->users);
    for (uint32_t i = 0; i < conf->server_count; i++) {
        struct resolve_user *user =
            conf_address_is_template(conf->servers[i].address)
                ? NULL /* which has no member now */
                : make_user(resolve, pool, &before, conf, &conf->servers[i]);
        if (user == NULL) {
            continue;
        }
        struct addr pinned;
        (void)map_put(&pool->users, conf->servers[i].name, user);
        user->is_pinned = find_pinned(pool, conf->servers[i].name, &pinned);
        if (user->is_pinned) {
            tell_server(user, pinned);
        } else {
            tell(user);
        }
    }
    free_users(&before); /* after the new ones, so that a name that stays keeps what it knows */
}

void control_resolve_apply_templates(struct control_resolve *resolve, const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        apply_templates(resolve, &conf->pools[i]);
    }
}

void control_resolve_apply_servers(struct control_resolve *resolve, const struct conf *running)
{
    struct map_entry *entry = NULL;
    for (uint32_t i = 0; i < running->pool_count; i++) {
        apply_servers(resolve, &running->pools[i]);
    }
    map_for_each (entry, &resolve->pools) {
        struct resolve_pool *pool = entry->value;
        if (!pool->is_seen) {
            (void)map_remove(&resolve->pools, entry->key);
            free_users(&pool->users);
            free_users(&pool->templates);
            free(pool->name);
            free(pool);
        } else {
            pool->is_seen = false;
        }
    }
    ask_next(resolve);
}

/* --- asking us --- */

bool control_resolve_known(const struct control_resolve *resolve, const struct conf_pool *pool,
                           const struct conf_server *server, struct addr *address)
{
    char key[KEY_MAX];
    struct slice host;
    uint16_t port;
    const struct resolve_pool *known = map_get(&resolve->pools, pool->name);
    if (look_at(pool, server->address, key, &host, &port) != CONF_ADDRESS_NAME) {
        return false;
    }
    const struct resolve_name *name = map_get(&resolve->names, slice_from(key));
    if (known == NULL || !find_pinned(known, server->name, address)) {
        if (name == NULL || name->count == 0) {
            return false;
        }
        *address = name->addresses[0];
        with_port(address, port);
    }
    return true;
}

const struct control_resolve_member *control_resolve_members(const struct control_resolve *resolve,
                                                             const struct conf_pool *pool,
                                                             const struct conf_server *server,
                                                             uint32_t *count)
{
    char key[KEY_MAX];
    struct slice host;
    uint16_t port = 0;
    enum conf_address kind = look_at(pool, server->address, key, &host, &port);
    const struct resolve_pool *known = map_get(&resolve->pools, pool->name);
    const struct resolve_user *user =
        known != NULL ? map_get(&known->templates, server->name) : NULL;
    *count = 0;
    if (user == NULL || kind == CONF_ADDRESS_LITERAL || port != user->port ||
        !is_same_name(user, kind, host)) {
        return NULL;
    }
    *count = user->member_count;
    return user->members;
}

void control_resolve_hurry(struct control_resolve *resolve, struct slice pool, struct slice server)
{
    const struct resolve_pool *known = map_get(&resolve->pools, pool);
    const struct resolve_user *user = known != NULL ? map_get(&known->users, server) : NULL;
    if (user != NULL && user->name->question == NULL &&
        clock_ms(resolve) - user->name->asked_ms >= HURRY_MS) {
        loop_timer_stop(&user->name->timer);
        on_due(&user->name->timer);
    }
}

bool control_resolve_look(const struct control_resolve *resolve, struct slice pool,
                          struct slice server, struct control_resolve_facts *facts)
{
    const struct resolve_pool *found = map_get(&resolve->pools, pool);
    const struct resolve_user *user = found != NULL ? map_get(&found->users, server) : NULL;
    if (user == NULL && found != NULL) {
        user = map_get(&found->templates, server);
    }
    if (user == NULL) {
        return false;
    }
    const struct resolve_name *name = user->name;
    uint64_t now = clock_ms(resolve);
    *facts = (struct control_resolve_facts){
        .kind = name->kind,
        .host = name->host,
        .address = user->told,
        .addresses = name->addresses,
        .services = name->services,
        .count = name->count,
        .version = name->version,
        .ttl_left_ms = name->fresh_ms > now ? (uint32_t)(name->fresh_ms - now) : 0,
        .is_stale = name->count != 0 && name->failures_in_row != 0,
        .last_wall_us = name->last_wall_us,
        .found_wall_us = name->found_wall_us,
        .failure = name->failure,
        .questions = name->questions,
        .failures = name->failures,
    };
    return true;
}

struct control_resolve_stats control_resolve_stats(const struct control_resolve *resolve)
{
    struct control_resolve_stats stats = resolve->stats;
    struct map_entry *entry = NULL;
    map_for_each (entry, &resolve->names) {
        const struct resolve_name *name = entry->value;
        stats.names++;
        stats.stale += name->count != 0 && name->failures_in_row != 0 ? 1 : 0;
    }
    return stats;
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
        free_users(&pool->templates);
        free(pool->name);
        free(pool);
    }
    map_fini(&resolve->pools);
    map_fini(&resolve->names); /* every name went with its last user */
    resolve_free(resolve->resolver);
    free(resolve);
}
