#include "lbd/mail/mail_map.h"

#include <regex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

struct pattern {
    uint32_t index; /* of the entry */
    regex_t compiled;
};

struct mail_patterns {
    _Atomic uint32_t refs;
    uint64_t version; /* of the map */
    uint32_t count;
    struct pattern list[]; /* in the order in which they are tried */
};

/* -- sorted entries -- */

/* The index of the first entry that is greater than `name`. */
static uint32_t after(const struct conf_mail_map *map, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = map->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(map->entries[middle].name, name) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const struct conf_mail_entry *find_exact(const struct conf_mail_map *map, struct slice name)
{
    uint32_t at = after(map, name);
    return at > 0 && slice_eq(map->entries[at - 1].name, name) ? &map->entries[at - 1] : NULL;
}

static size_t common(struct slice a, struct slice b)
{
    size_t len = 0;
    while (len < a.len && len < b.len && a.ptr[len] == b.ptr[len]) {
        len++;
    }
    return len;
}

/* Whatever lies between a prefix of the name and the name begins with that prefix: so every prefix
 * that is an entry is one of the greatest entry that is not greater, too. */
static const struct conf_mail_entry *find_prefix(const struct conf_mail_map *map, struct slice name)
{
    for (;;) {
        uint32_t at = after(map, name);
        if (at == 0) {
            return NULL;
        }
        const struct conf_mail_entry *entry = &map->entries[at - 1];
        size_t len = common(entry->name, name);
        if (len == entry->name.len) {
            return entry;
        }
        name.len = len;
    }
}

/* -- patterns -- */

static int by_priority(const void *a, const void *b, void *arg)
{
    const struct conf_mail_entry *entries = arg;
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    if (entries[left].priority != entries[right].priority) {
        return entries[left].priority > entries[right].priority ? -1 : 1;
    }
    return left < right ? -1 : 1;
}

static struct mail_patterns *compile(const struct conf_mail_map *conf)
{
    struct mail_patterns *patterns =
        mem_zero(1, sizeof(*patterns) + conf->entry_count * sizeof(*patterns->list));
    uint32_t *order = mem_zero(conf->entry_count + 1, sizeof(*order));
    for (uint32_t i = 0; i < conf->entry_count; i++) {
        order[i] = i;
    }
    qsort_r(order, conf->entry_count, sizeof(*order), by_priority, conf->entries);
    atomic_init(&patterns->refs, 1);
    patterns->version = conf->version;
    for (uint32_t i = 0; i < conf->entry_count; i++) {
        struct pattern *pattern = &patterns->list[patterns->count];
        char *text = mem_slicedup(conf->entries[order[i]].name);
        pattern->index = order[i];
        if (regcomp(&pattern->compiled, text, REG_EXTENDED) == 0) { /* conf_check has tried it */
            patterns->count++;
        }
        free(text);
    }
    free(order);
    return patterns;
}

static void release(struct mail_patterns *patterns)
{
    if (patterns == NULL ||
        atomic_fetch_sub_explicit(&patterns->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < patterns->count; i++) {
        regfree(&patterns->list[i].compiled);
    }
    free(patterns);
}

static const struct conf_mail_entry *find_pattern(const struct mail_map *map, struct slice name,
                                                  struct mail_map_groups *groups)
{
    char text[MAIL_USER_MAX + 1];
    if (name.len > MAIL_USER_MAX || memchr(name.ptr, '\0', name.len) != NULL) {
        return NULL;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    for (uint32_t i = 0; i < map->patterns->count; i++) {
        const struct pattern *pattern = &map->patterns->list[i];
        regmatch_t found[MAIL_MAP_GROUPS + 1];
        if (regexec(&pattern->compiled, text, MAIL_MAP_GROUPS + 1, found, 0) != 0) {
            continue;
        }
        for (size_t g = 0; g < MAIL_MAP_GROUPS; g++) {
            if (found[g + 1].rm_so >= 0) {
                groups->list[g] = slice_of(name.ptr + found[g + 1].rm_so,
                                           (size_t)(found[g + 1].rm_eo - found[g + 1].rm_so));
            }
        }
        return &map->conf->entries[pattern->index];
    }
    return NULL;
}

/* -- the map -- */

void mail_map_init(struct mail_map *map, const struct conf_mail_map *conf,
                   const struct mail_map *same)
{
    *map = (struct mail_map){.conf = conf};
    if (conf->type != CONF_MAIL_MAP_REGEX) {
        return;
    }
    if (same != NULL && same->patterns != NULL && conf->version != 0 &&
        same->patterns->version == conf->version) {
        (void)atomic_fetch_add_explicit(&same->patterns->refs, 1, memory_order_relaxed);
        map->patterns = same->patterns;
        return;
    }
    map->patterns = compile(conf);
}

void mail_map_fini(struct mail_map *map)
{
    release(map->patterns);
    map->patterns = NULL;
}

const struct conf_mail_entry *mail_map_find(const struct mail_map *map,
                                            const struct mail_name_parts *name,
                                            struct mail_map_groups *groups)
{
    memset(groups, 0, sizeof(*groups));
    switch (map->conf->type) {
    case CONF_MAIL_MAP_EXACT:
        return find_exact(map->conf, name->user);
    case CONF_MAIL_MAP_DOMAIN:
        return name->domain.len != 0 ? find_exact(map->conf, name->domain) : NULL;
    case CONF_MAIL_MAP_PREFIX:
        return find_prefix(map->conf, name->user);
    case CONF_MAIL_MAP_REGEX:
        return find_pattern(map, name->user, groups);
    }
    return NULL;
}
