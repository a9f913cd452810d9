#include "lbd/proxy/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/base/path_template.h"

enum {
    HOST_MAX = 255, /* bytes from its end that a host is looked at with */
    KEY_MAX = 4096, /* of a template; conf has none longer */
};

enum host_kind { HOST_EXACT, HOST_WILDCARD, HOST_REGEX, HOST_ANY };
/* PATH_SHAPES + i: templates of shape i. */
enum path_kind { PATH_EXACT, PATH_PREFIX, PATH_REGEX, PATH_SHAPES };

/* A host pattern. */
struct host {
    uint64_t hash;
    struct slice text; /* lower case; of a wildcard what follows "*." */
    enum host_kind kind;
    int32_t best_priority;   /* of the routes under it */
    uint32_t longest_prefix; /* bytes */
    uint32_t shapes;         /* index + 1 of its first one; 0: it has no templates */
    bool has_exact;          /* of paths or protocols */
    bool has_regex;          /* of paths */
};

/* A shape of templates under a host. */
struct shape {
    struct path_template_shape shape;
    uint32_t host;
    uint32_t next; /* index + 1 of the next of that host, in their order; 0: none */
};

/* A route that may win where its rule fits. */
struct candidate {
    const struct route *route;
    const struct route_conditions *conditions; /* NULL: none */
    int32_t priority;
    struct candidate *next;
};

/* A host pattern and a path pattern, and the routes there, in order. */
struct rule {
    uint64_t hash;
    uint32_t host;
    uint32_t kind;     /* enum path_kind */
    struct slice path; /* prefix: without '/' at its end; "/": all that begins so; empty: any;
                          template: its key; regex: empty */
    struct candidate first;
    struct candidate *last;
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
    bool has_names;      /* there are hosts besides the next two */
    uint32_t any_host;   /* index + 1; 0: no route is for any host */
    uint32_t regex_host; /* likewise; where all with host_regex stand */
    struct slots host_slots;
    uint32_t longest_wildcard; /* bytes of its text */
    struct rule *rules;
    uint32_t rule_count;
    struct slots rule_slots;
    struct shape *shapes;
    uint32_t shape_count;
    uint32_t longest_template; /* bytes of its key */
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

static uint64_t rule_hash(const struct route_table *table, uint32_t host, uint32_t kind,
                          struct slice path)
{
    return hash_fast(path, hash_mix(table->seed + ((uint64_t)host << 32) + kind));
}

static struct rule *rule_find(const struct route_table *table, uint32_t host, uint32_t kind,
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
        out[i] = slice_lower(text.ptr[i]);
    }
}

static struct slice without_last_dot(struct slice host)
{
    if (host.len > 1 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    return host;
}

static uint32_t *single_host(struct route_table *table, enum host_kind kind)
{
    return kind == HOST_ANY ? &table->any_host : &table->regex_host;
}

/* The index of the one for any host, or of the one for all regular expressions. */
static uint32_t make_single_host(struct route_table *table, enum host_kind kind)
{
    uint32_t *place = single_host(table, kind);
    if (*place == 0) {
        table->hosts[table->host_count] = (struct host){.kind = kind, .best_priority = INT32_MIN};
        *place = ++table->host_count;
    }
    return *place - 1;
}

/* The index of the pattern, which is made when it is new. */
static uint32_t make_host(struct route_table *table, struct arena *arena, struct slice pattern)
{
    enum host_kind kind = HOST_EXACT;
    struct slice text = without_last_dot(pattern);
    if (text.len == 0 || slice_eq(text, SLICE("*"))) {
        return make_single_host(table, HOST_ANY);
    }
    if (slice_starts(text, SLICE("*."))) {
        kind = HOST_WILDCARD;
        text = slice_from_at(text, 2);
    }
    char *copy = arena_alloc(arena, text.len);
    lower(copy, text);
    text = slice_of(copy, text.len);

    uint32_t found = host_find(table, kind, text);
    if (found != 0) {
        return found - 1;
    }
    uint32_t index = table->host_count++;
    table->has_names = true;
    table->hosts[index] = (struct host){
        .hash = host_hash(table, kind, text),
        .text = text,
        .kind = kind,
        .best_priority = INT32_MIN,
    };
    if (kind == HOST_WILDCARD && text.len > table->longest_wildcard) {
        table->longest_wildcard = (uint32_t)text.len;
    }
    slots_put(&table->host_slots, table->hosts[index].hash, index);
    return index;
}

/* A route on its way into the table. */
struct entry {
    const struct conf_route *conf;
    const struct route *route;
    const struct route_conditions *conditions;
    uint32_t condition_count;
};

/* In this order they become candidates. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    if (left->conf->priority != right->conf->priority) {
        return left->conf->priority > right->conf->priority ? -1 : 1;
    }
    if (left->condition_count != right->condition_count) {
        return left->condition_count > right->condition_count ? -1 : 1;
    }
    return slice_compare(left->route->name, right->route->name);
}

static void add_candidate(struct arena *arena, struct rule *rule, const struct entry *entry)
{
    struct candidate *last = rule->last;
    if (last != NULL && last->conditions == NULL) {
        return; /* nobody comes behind it */
    }
    struct candidate *candidate = last == NULL ? &rule->first : arena_alloc(arena, sizeof(*last));
    *candidate = (struct candidate){
        .route = entry->route,
        .conditions = entry->conditions,
        .priority = entry->conf->priority,
    };
    if (last != NULL) {
        last->next = candidate;
    }
    rule->last = candidate;
}

static void add_rule(struct route_table *table, struct arena *arena, uint32_t host_index,
                     const struct entry *entry, uint32_t kind, struct slice path)
{
    while (kind == PATH_PREFIX && path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }

    struct host *host = &table->hosts[host_index];
    if (entry->conf->priority > host->best_priority) {
        host->best_priority = entry->conf->priority;
    }
    if (kind == PATH_PREFIX && path.len > host->longest_prefix) {
        host->longest_prefix = (uint32_t)path.len;
    }
    host->has_exact = host->has_exact || kind == PATH_EXACT;
    host->has_regex = host->has_regex || kind == PATH_REGEX;
    struct rule *rule = rule_find(table, host_index, kind, path);
    if (rule == NULL) {
        uint32_t index = table->rule_count++;
        rule = &table->rules[index];
        *rule = (struct rule){
            .hash = rule_hash(table, host_index, kind, path),
            .host = host_index,
            .kind = kind,
            .path = path,
        };
        slots_put(&table->rule_slots, rule->hash, index);
    }
    add_candidate(arena, rule, entry);
}

/* The index of a shape among all, which is put into the list of its host when it is new there. */
static uint32_t make_shape(struct route_table *table, struct host *host,
                           const struct path_template_shape *shape)
{
    uint32_t *link = &host->shapes;
    int order = 1;
    while (*link != 0 &&
           (order = path_template_compare(shape, &table->shapes[*link - 1].shape)) > 0) {
        link = &table->shapes[*link - 1].next;
    }
    if (*link == 0 || order != 0) {
        table->shapes[table->shape_count] = (struct shape){.shape = *shape, .next = *link};
        *link = ++table->shape_count;
    }
    return *link - 1;
}

static void add_template(struct route_table *table, struct arena *arena, uint32_t host_index,
                         const struct entry *entry)
{
    struct path_template template;
    const char *problem = NULL;
    struct slice text = entry->conf->match.path_template;
    bool ok = path_template_read(text, &template, &problem);
    char *key = arena_alloc(arena, text.len);
    size_t len = ok ? path_template_key(&template.shape, text, key, text.len) : SIZE_MAX;
    assert(len != SIZE_MAX); /* conf_format has read it */
    if (len > table->longest_template) {
        table->longest_template = (uint32_t)len;
    }
    uint32_t shape = make_shape(table, &table->hosts[host_index], &template.shape);
    add_rule(table, arena, host_index, entry, PATH_SHAPES + shape, slice_of(key, len));
}

/* One host pattern with what the route asks of paths, or of protocols. */
static void add_rules(struct route_table *table, struct arena *arena, uint32_t host_index,
                      const struct entry *entry)
{
    const struct conf_match *match = &entry->conf->match;
    for (uint32_t i = 0; i < match->alpn_count; i++) {
        add_rule(table, arena, host_index, entry, PATH_EXACT, match->alpn[i]);
    }
    if (match->alpn_count != 0) {
        return;
    }
    if (match->path.len != 0) {
        add_rule(table, arena, host_index, entry, PATH_EXACT, match->path);
    } else if (match->path_template.len != 0) {
        add_template(table, arena, host_index, entry);
    } else if (match->path_regex.len != 0) {
        add_rule(table, arena, host_index, entry, PATH_REGEX, SLICE_NONE);
    } else {
        add_rule(table, arena, host_index, entry, PATH_PREFIX, match->path_prefix);
    }
}

static uint32_t rules_per_host(const struct conf_match *match)
{
    return match->alpn_count != 0 ? match->alpn_count : 1;
}

static void add_entry(struct route_table *table, struct arena *arena, const struct entry *entry)
{
    const struct conf_match *match = &entry->conf->match;
    if (match->host_regex.len != 0) {
        add_rules(table, arena, make_single_host(table, HOST_REGEX), entry);
    } else if (match->host_count == 0) {
        add_rules(table, arena, make_single_host(table, HOST_ANY), entry);
    }
    for (uint32_t i = 0; i < match->host_count; i++) {
        add_rules(table, arena, make_host(table, arena, match->host[i]), entry);
    }
}

struct route_table *route_table_build(struct arena *arena, const struct conf_route *const *confs,
                                      struct route *const *routes, uint32_t count)
{
    uint32_t patterns = 0;
    uint32_t rules = 0;
    uint32_t shapes = 0;
    struct entry *entries = mem_alloc((count + 1) * sizeof(*entries));
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_match *match = &confs[i]->match;
        uint32_t hosts = match->host_count != 0 ? match->host_count : 1;
        patterns += hosts;
        rules += hosts * rules_per_host(match);
        shapes += match->path_template.len != 0 ? hosts : 0;
        entries[i] = (struct entry){
            .conf = confs[i],
            .route = routes[i],
            .conditions = route_condition_build(arena, match),
            .condition_count = route_condition_count(match),
        };
    }
    qsort(entries, count, sizeof(*entries), compare_entries);

    struct route_table *table = arena_zero(arena, sizeof(*table));
    table->seed = hash_process_key()[0];
    table->hosts = arena_alloc(arena, patterns * sizeof(*table->hosts));
    table->rules = arena_alloc(arena, rules * sizeof(*table->rules));
    table->shapes = arena_alloc(arena, shapes * sizeof(*table->shapes));
    slots_init(&table->host_slots, arena, patterns);
    slots_init(&table->rule_slots, arena, rules);
    for (uint32_t i = 0; i < count; i++) {
        add_entry(table, arena, &entries[i]);
    }
    free(entries);
    return table;
}

/* --- matching --- */

/* Looks patterns up in the order of their rank, so a later one must have a higher priority. */
struct search {
    const struct route_table *table;
    const struct route_question *question;
    const struct candidate *best; /* NULL: none yet */
    uint32_t cost;
};

static inline bool holds(struct search *search, const struct candidate *candidate)
{
    if (LB_LIKELY(candidate->conditions == NULL)) {
        return true;
    }
    search->cost++;
    return route_condition_hold(candidate->conditions, search->question);
}

/* Returns true when nothing better can stand under this host. */
static bool try_path(struct search *search, uint32_t host, uint32_t kind, struct slice path)
{
    const struct rule *rule = rule_find(search->table, host, kind, path);
    search->cost++;
    if (rule == NULL) {
        return false;
    }
    for (const struct candidate *at = &rule->first; at != NULL; at = at->next) {
        if (search->best != NULL && at->priority <= search->best->priority) {
            return false;
        }
        if (holds(search, at)) {
            search->best = at;
            return at->priority == search->table->hosts[host].best_priority;
        }
    }
    return false;
}

/* The same of each shape of templates, in their order. */
static bool try_templates(struct search *search, uint32_t host)
{
    const struct route_table *table = search->table;
    char key[KEY_MAX];
    for (uint32_t at = table->hosts[host].shapes; at != 0; at = table->shapes[at - 1].next) {
        size_t len = path_template_key(&table->shapes[at - 1].shape, search->question->path, key,
                                       table->longest_template);
        if (len != SIZE_MAX && try_path(search, host, PATH_SHAPES + at - 1, slice_of(key, len))) {
            return true;
        }
    }
    return false;
}

static void try_protocols(struct search *search, uint32_t host)
{
    struct slice rest = search->question->alpn;
    while (rest.len > 0) {
        size_t len = (unsigned char)rest.ptr[0];
        if (len >= rest.len) {
            break;
        }
        if (try_path(search, host, PATH_EXACT, slice_of(rest.ptr + 1, len))) {
            return;
        }
        rest = slice_from_at(rest, len + 1);
    }
    (void)try_path(search, host, PATH_PREFIX, SLICE_NONE);
}

static void try_host(struct search *search, uint32_t index)
{
    const struct host *host = &search->table->hosts[index];
    struct slice path = search->question->path;
    if (search->best != NULL && host->best_priority <= search->best->priority) {
        return;
    }
    if (search->question->by_name) {
        try_protocols(search, index);
        return;
    }
    if ((host->has_exact && try_path(search, index, PATH_EXACT, path)) ||
        (host->shapes != 0 && try_templates(search, index)) ||
        (host->has_regex && try_path(search, index, PATH_REGEX, SLICE_NONE))) {
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
static void try_wildcards(struct search *search, struct slice host)
{
    const struct route_table *table = search->table;
    for (size_t i = 1; i + 1 < host.len; i++) {
        if (host.ptr[i] != '.' || host.len - i - 1 > table->longest_wildcard) {
            continue;
        }
        uint32_t found = host_find(table, HOST_WILDCARD, slice_from_at(host, i + 1));
        search->cost++;
        if (found != 0) {
            try_host(search, found - 1);
        }
    }
}

static void search_all(struct search *search)
{
    const struct route_table *table = search->table;
    struct slice host = without_last_dot(search->question->host);
    char buffer[HOST_MAX + 1];
    if (host.len != 0 && table->has_names) {
        /* of an overlong host, which no exact pattern equals, the end is enough for wildcards */
        struct slice tail = host.len > HOST_MAX ? slice_from_at(host, host.len - HOST_MAX) : host;
        lower(buffer, tail);
        tail.ptr = buffer;
        uint32_t found = tail.len == host.len ? host_find(table, HOST_EXACT, tail) : 0;
        search->cost++;
        if (found != 0) {
            try_host(search, found - 1);
        }
        if (table->longest_wildcard != 0) {
            try_wildcards(search, tail);
        }
    }
    if (LB_UNLIKELY(table->regex_host != 0)) {
        try_host(search, table->regex_host - 1);
    }
    if (table->any_host != 0) {
        try_host(search, table->any_host - 1);
    }
}

const struct route *route_match(const struct route_table *table,
                                const struct route_question *question)
{
    if (table == NULL) {
        return NULL;
    }
    struct search search = {.table = table, .question = question};
    search_all(&search);
    return search.best != NULL ? search.best->route : NULL;
}

uint32_t route_match_cost(const struct route_table *table, const struct route_question *question)
{
    struct search search = {.table = table, .question = question};
    search_all(&search);
    return search.cost;
}
