#include "lbd/filter/filter_access.h"

#include <stdlib.h>

#include "lbd/base/cidr.h"
#include "lbd/base/mem.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/tls/tls_file.h"

struct filter_access {
    struct filter filter;
    bool is_for_some; /* only for those of `allow`, and if there are none, for nobody */
    struct cidr_set allow;
    struct cidr_set deny;
    struct filter_facts_set *sets; /* those that it names, for who asks */
    uint32_t set_count;
};

static const struct filter_access *access_of(const struct filter *self)
{
    return (const struct filter_access *)self; /* its first member */
}

#define FILE_MAX (16U * 1024 * 1024)

/* Networks as they are found. */
struct collection {
    struct slice *list;
    uint32_t count;
    uint32_t room;
};

static void collect(struct collection *to, const struct slice *texts, uint32_t count)
{
    if (to->count + count > to->room) {
        to->room = 2 * (to->count + count);
        to->list = mem_resize(to->list, to->room * sizeof(*to->list));
    }
    for (uint32_t i = 0; i < count; i++) {
        to->list[to->count++] = texts[i];
    }
}

/* The lines of a set's file, copied into `arena`. */
static bool collect_file(struct collection *to, struct arena *arena,
                         const struct conf_address_set *set, struct err *err)
{
    struct slice text;
    struct slice line;
    struct cidr cidr;
    bool ok = true;
    char *path = mem_slicedup(set->file);
    if (!tls_file_read(path, "the file of the address set", false, FILE_MAX, &text, err)) {
        free(path);
        return false;
    }
    struct slice rest = arena_copy(arena, text);
    for (uint32_t number = 1; ok && slice_split(&rest, '\n', &line); number++) {
        size_t remark = slice_find(line, '#');
        line = slice_trim(remark < line.len ? slice_of(line.ptr, remark) : line);
        if (slice_ends(line, SLICE("\r"))) {
            line.len--;
        }
        if (line.len != 0 && !cidr_parse(line, &cidr) && !slice_eq(line, SLICE("unix"))) {
            ok = err_set(err, ERR_INVALID, "'%s', line %u: is no network: '%.*s'", path, number,
                         (int)(line.len < 64 ? line.len : 64), line.ptr);
        } else if (line.len != 0) {
            collect(to, &line, 1);
        }
    }
    tls_file_forget(text);
    free(path);
    return ok;
}

/* The networks of a list and of sets, as one. */
static bool build_set(struct filter *self, struct cidr_set *set, const struct slice *texts,
                      uint32_t count, const struct slice *sets, uint32_t set_count,
                      struct filter_facts_set *told, struct err *err)
{
    struct collection all = {0};
    struct arena files;
    bool ok = true;
    arena_init(&files, NULL, 0);
    collect(&all, texts, count);
    for (uint32_t i = 0; ok && i < set_count; i++) {
        const struct conf_address_set *from = conf_address_set_find(self->document, sets[i]);
        uint32_t before = all.count;
        collect(&all, from->addresses, from->address_count);
        ok = from->file.len == 0 || collect_file(&all, &files, from, err);
        told[i].name = arena_copy(&self->arena, sets[i]);
        told[i].networks = all.count - before;
    }
    (void)cidr_set_build(set, &self->arena, all.list, all.count); /* they were all looked at */
    free(all.list);
    arena_fini(&files);
    return ok;
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    struct filter_access *access = container_of(self, struct filter_access, filter);
    const struct conf_policy_access *from = &conf->access;
    access->is_for_some = from->allow_count + from->allow_set_count != 0;
    access->set_count = from->allow_set_count + from->deny_set_count;
    access->sets = arena_zero(&self->arena, access->set_count * sizeof(*access->sets));
    for (uint32_t i = from->allow_set_count; i < access->set_count; i++) {
        access->sets[i].is_deny = true;
    }
    return build_set(self, &access->allow, from->allow, from->allow_count, from->allow_sets,
                     from->allow_set_count, access->sets, err) &&
           build_set(self, &access->deny, from->deny, from->deny_count, from->deny_sets,
                     from->deny_set_count, access->sets + from->allow_set_count, err);
}

static bool admits(const struct filter *self, const struct addr_small *client)
{
    const struct filter_access *access = access_of(self);
    return !cidr_set_has(&access->deny, client) &&
           (!access->is_for_some || cidr_set_has(&access->allow, client));
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    (void)kept;
    return admits(self, run->client) ? FILTER_GO_ON : filter_refuse(run, CLOSE_ACCESS_DENIED);
}

static uint32_t size_of(const struct cidr_set *set)
{
    return set->count + (set->has_unix ? 1 : 0);
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    const struct filter_access *access = access_of(self);
    (void)now_us;
    facts->is_access = true;
    facts->access = (struct filter_facts_access){.allow = size_of(&access->allow),
                                                 .deny = size_of(&access->deny),
                                                 .sets = access->sets,
                                                 .set_count = access->set_count};
}

const struct filter_ops filter_access_ops = {
    .size = sizeof(struct filter_access),
    .build = build,
    .admits = admits,
    .request = request,
    .facts = facts,
};
