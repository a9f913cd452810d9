#include "lbd/proxy/route.h"

#include <string.h>

#include "lbd/base/hash.h"

enum { HOST_MAX = 255 }; /* bytes from its end that a host is looked at with */

enum host_kind { HOST_EXACT, HOST_WILDCARD, HOST_ANY };
enum path_kind { PATH_EXACT, PATH_PREFIX };

/* A host pattern. */
struct host {
    uint64_t hash;
    struct slice text; /* lower case; of a wildcard what follows "*." */
    enum host_kind kind;
    int32_t best_priority;   /* of the routes under it */
    uint32_t longest_prefix; /* bytes */
};

/* A host pattern and a path pattern, and the route that wins there. */
struct rule {
    uint64_t hash;
    uint32_t host;
    enum path_kind kind;
    struct slice path; /* prefix: without '/' at its end; "/": all that begins so; empty: any */
    int32_t priority;
    const struct route *route;
};

/* Open addressing: index + 1 of an entry, 0 is empty. */
struct slots {
    uint32_t *list;
    uint32_t mask;
};

struct route_table {
    uint64_t seed;
    struct host *hosts;
    uint32_t host_count;
    struct slots host_slots;
    uint32_t any_host;         /* index + 1; 0: no route is for any host */
    uint32_t longest_wildcard; /* bytes of its text */
    struct rule *rules;
    uint32_t rule_count;
    struct slots rule_slots;
};

static void slots_init(struct slots *slots, struct arena *arena, uint32_t entries)
{
    uint32_t size = 8;
    while (size < 2 * (uint64_t)entries) {
        size *= 2;
    }
    slots->list = arena_zero(arena, size * sizeof(*slots->list));
    slots->mask = size - 1;
}

static void slots_put(struct slots *slots, uint64_t hash, uint32_t index)
{
    uint32_t at = (uint32_t)hash & slots->mask;
    while (slots->list[at] != 0) {
        at = (at + 1) & slots->mask;
    }
    slots->list[at] = index + 1;
}

static uint64_t host_hash(const struct route_table *table, enum host_kind kind, struct slice text)
{
    return hash_fast(text, table->seed + (uint64_t)kind);
}

/* Index + 1, or 0. */
static uint32_t host_find(const struct route_table *table, enum host_kind kind, struct slice text)
{
    uint64_t hash = host_hash(table, kind, text);
    uint32_t at = (uint32_t)hash & table->host_slots.mask;
    for (uint32_t entry; (entry = table->host_slots.list[at]) != 0;
         at = (at + 1) & table->host_slots.mask) {
        const struct host *host = &table->hosts[entry - 1];
        if (host->hash == hash && host->kind == kind && slice_eq(host->text, text)) {
            return entry;
        }
    }
    return 0;
}

static uint64_t rule_hash(const struct route_table *table, uint32_t host, enum path_kind kind,
                          struct slice path)
{
    return hash_fast(path, hash_mix(table->seed + 2 * (uint64_t)host + (uint64_t)kind));
}

static struct rule *rule_find(const struct route_table *table, uint32_t host, enum path_kind kind,
                              struct slice path)
{
    uint64_t hash = rule_hash(table, host, kind, path);
    uint32_t at = (uint32_t)hash & table->rule_slots.mask;
    for (uint32_t entry; (entry = table->rule_slots.list[at]) != 0;
         at = (at + 1) & table->rule_slots.mask) {
        struct rule *rule = &table->rules[entry - 1];
        if (rule->hash == hash && rule->host == host && rule->kind == kind &&
            slice_eq(rule->path, path)) {
            return rule;
        }
    }
    return NULL;
}

/* --- building --- */

static void lower(char *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
}

static struct slice without_last_dot(struct slice host)
{
    if (host.len > 1 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    return host;
}

/* The index of the pattern, which is made when it is new. */
static uint32_t make_host(struct route_table *table, struct arena *arena, struct slice pattern)
{
    enum host_kind kind = HOST_EXACT;
    struct slice text = without_last_dot(pattern);
    if (text.len == 0 || slice_eq(text, SLICE("*"))) {
        kind = HOST_ANY;
        text = SLICE_NONE;
    } else if (slice_starts(text, SLICE("*."))) {
        kind = HOST_WILDCARD;
        text = slice_from_at(text, 2);
    }
    char *copy = arena_alloc(arena, text.len);
    lower(copy, text);
    text = slice_of(copy, text.len);

    uint32_t found = kind == HOST_ANY ? table->any_host : host_find(table, kind, text);
    if (found != 0) {
        return found - 1;
    }
    uint32_t index = table->host_count++;
    table->hosts[index] = (struct host){
        .hash = host_hash(table, kind, text),
        .text = text,
        .kind = kind,
        .best_priority = INT32_MIN,
    };
    if (kind == HOST_ANY) {
        table->any_host = index + 1;
        return index;
    }
    if (kind == HOST_WILDCARD && text.len > table->longest_wildcard) {
        table->longest_wildcard = (uint32_t)text.len;
    }
    slots_put(&table->host_slots, table->hosts[index].hash, index);
    return index;
}

static bool wins(const struct rule *rule, const struct conf_route *conf, const struct route *route)
{
    if (conf->priority != rule->priority) {
        return conf->priority > rule->priority;
    }
    return slice_compare(route->name, rule->route->name) < 0;
}

static void add_rule(struct route_table *table, uint32_t host_index, const struct conf_route *conf,
                     const struct route *route)
{
    enum path_kind kind = PATH_PREFIX;
    struct slice path = conf->match.path_prefix;
    if (conf->match.path.len != 0) {
        kind = PATH_EXACT;
        path = conf->match.path;
    }
    while (kind == PATH_PREFIX && path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }

    struct host *host = &table->hosts[host_index];
    if (conf->priority > host->best_priority) {
        host->best_priority = conf->priority;
    }
    if (kind == PATH_PREFIX && path.len > host->longest_prefix) {
        host->longest_prefix = (uint32_t)path.len;
    }
    struct rule *rule = rule_find(table, host_index, kind, path);
    if (rule == NULL) {
        uint32_t index = table->rule_count++;
        rule = &table->rules[index];
        *rule = (struct rule){
            .hash = rule_hash(table, host_index, kind, path),
            .host = host_index,
            .kind = kind,
            .path = path,
            .priority = conf->priority,
            .route = route,
        };
        slots_put(&table->rule_slots, rule->hash, index);
    } else if (wins(rule, conf, route)) {
        rule->priority = conf->priority;
        rule->route = route;
    }
}

struct route_table *route_table_build(struct arena *arena, const struct conf_route *const *confs,
                                      struct route *const *routes, uint32_t count)
{
    uint32_t patterns = 0;
    for (uint32_t i = 0; i < count; i++) {
        patterns += confs[i]->match.host_count != 0 ? confs[i]->match.host_count : 1;
    }

    struct route_table *table = arena_zero(arena, sizeof(*table));
    table->seed = hash_process_key()[0];
    table->hosts = arena_alloc(arena, patterns * sizeof(*table->hosts));
    table->rules = arena_alloc(arena, patterns * sizeof(*table->rules));
    slots_init(&table->host_slots, arena, patterns);
    slots_init(&table->rule_slots, arena, patterns);
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_match *match = &confs[i]->match;
        if (match->host_count == 0) {
            add_rule(table, make_host(table, arena, SLICE_NONE), confs[i], routes[i]);
        }
        for (uint32_t h = 0; h < match->host_count; h++) {
            add_rule(table, make_host(table, arena, match->host[h]), confs[i], routes[i]);
        }
    }
    return table;
}

/* --- matching --- */

/* Looks patterns up in the order of their rank, so a later one must have a higher priority. */
struct search {
    const struct route_table *table;
    const struct rule *best; /* NULL: none yet */
};

/* Returns true when nothing better can stand under this host. */
static bool try_path(struct search *search, uint32_t host, enum path_kind kind, struct slice path)
{
    const struct rule *rule = rule_find(search->table, host, kind, path);
    if (rule == NULL || (search->best != NULL && rule->priority <= search->best->priority)) {
        return false;
    }
    search->best = rule;
    return rule->priority == search->table->hosts[host].best_priority;
}

static void try_host(struct search *search, uint32_t index, struct slice path)
{
    const struct host *host = &search->table->hosts[index];
    if (search->best != NULL && host->best_priority <= search->best->priority) {
        return;
    }
    if (try_path(search, index, PATH_EXACT, path)) {
        return;
    }
    size_t len = path.len < host->longest_prefix ? path.len : host->longest_prefix;
    for (; len > 0; len--) {
        if ((len == path.len || path.ptr[len] == '/') &&
            try_path(search, index, PATH_PREFIX, slice_of(path.ptr, len))) {
            return;
        }
    }
    if (host->longest_prefix != 0 && path.len > 1 && path.ptr[0] == '/' &&
        try_path(search, index, PATH_PREFIX, slice_of(path.ptr, 1))) {
        return;
    }
    (void)try_path(search, index, PATH_PREFIX, SLICE_NONE);
}

/* From the longest wildcard to the shortest: what follows each dot but a leading one. */
static void try_wildcards(struct search *search, struct slice host, struct slice path)
{
    const struct route_table *table = search->table;
    for (size_t i = 1; i + 1 < host.len; i++) {
        if (host.ptr[i] != '.' || host.len - i - 1 > table->longest_wildcard) {
            continue;
        }
        uint32_t found = host_find(table, HOST_WILDCARD, slice_from_at(host, i + 1));
        if (found != 0) {
            try_host(search, found - 1, path);
        }
    }
}

const struct route *route_match(const struct route_table *table, struct slice host,
                                struct slice path)
{
    struct search search = {.table = table};
    char buffer[HOST_MAX + 1];
    host = without_last_dot(host);
    if (host.len != 0 && table->host_count > (table->any_host != 0 ? 1U : 0U)) {
        /* of an overlong host, which no exact pattern equals, the end is enough for wildcards */
        struct slice tail = host.len > HOST_MAX ? slice_from_at(host, host.len - HOST_MAX) : host;
        lower(buffer, tail);
        tail.ptr = buffer;
        uint32_t found = tail.len == host.len ? host_find(table, HOST_EXACT, tail) : 0;
        if (found != 0) {
            try_host(&search, found - 1, path);
        }
        if (table->longest_wildcard != 0) {
            try_wildcards(&search, tail, path);
        }
    }
    if (table->any_host != 0) {
        try_host(&search, table->any_host - 1, path);
    }
    return search.best != NULL ? search.best->route : NULL;
}
