#include "lbd/snapshot/snapshot_subset.h"

#include <stdlib.h>

#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "lbd/upstream/pool_subset.h"

/* Has the server all of them? */
static bool has_labels(const struct conf_server *server, const struct json *wanted)
{
    if (server->labels.len == 0) {
        return false;
    }
    struct json *labels = json_parse_trusted(server->labels);
    const struct json *item = NULL;
    bool ok = labels != NULL;
    json_for_each(item, wanted)
    {
        const struct json *found = ok ? json_get(labels, json_key(item)) : NULL;
        ok = found != NULL && slice_eq(json_string(found), json_string(item));
    }
    json_free(labels);
    return ok;
}

static uint32_t collect(const struct conf_pool *conf, struct slice text, uint32_t *members)
{
    struct json *wanted = json_parse_trusted(text);
    uint32_t count = 0;
    for (uint32_t i = 0; wanted != NULL && i < conf->server_count; i++) {
        if (has_labels(&conf->servers[i], wanted)) {
            members[count++] = i;
        }
    }
    json_free(wanted);
    return count;
}

struct pool *snapshot_subset(struct snapshot *snapshot, const struct conf_route *route,
                             struct pool *pool, struct err *err)
{
    bool or_any = route->subset_fallback == CONF_SUBSET_ANY;
    if (route->subset.len == 0) {
        return pool;
    }
    for (uint32_t i = 0; i < snapshot->subset_count; i++) {
        const struct snapshot_subset *known = &snapshot->subsets[i];
        if (known->pool->whole == pool && known->or_any == or_any &&
            slice_eq(known->labels, route->subset)) {
            return known->pool;
        }
    }
    if (snapshot->subset_count == POOL_SUBSETS_MAX) {
        (void)err_set_at(err, ERR_INVALID, "/routes", "more than %u different subsets",
                         (unsigned)POOL_SUBSETS_MAX);
        return NULL;
    }
    const struct conf_pool *conf =
        conf_pool_find(conf_document_conf(snapshot->document), pool->name);
    uint32_t *members = mem_zero((size_t)pool->count + 1, sizeof(*members));
    uint32_t count = collect(conf, route->subset, members);
    uint32_t i = snapshot->subset_count++;
    snapshot->subsets = mem_resize(snapshot->subsets, (i + 1) * sizeof(*snapshot->subsets));
    snapshot->subsets[i] = (struct snapshot_subset){
        .pool = pool_subset(pool, members, count, or_any, POOL_SUBSET_STATE + i),
        .labels = route->subset,
        .or_any = or_any,
    };
    free(members);
    return snapshot->subsets[i].pool;
}

void snapshot_subset_fini(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->subset_count; i++) {
        pool_unref(snapshot->subsets[i].pool);
    }
    free(snapshot->subsets);
}
