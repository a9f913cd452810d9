#include "lbd/snapshot/snapshot_filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/snapshot/body_file.h"
#include "lbd/snapshot/snapshot_call_tls.h"
#include "lbd/tls/tls_file.h"

#define FILE_MAX (16U * 1024 * 1024)

static struct filter *find(const struct snapshot *snapshot, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = snapshot != NULL ? snapshot->filter_count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(snapshot->filters[middle]->name, name);
        if (order == 0) {
            return snapshot->filters[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct filter *snapshot_filter_find(const struct snapshot *snapshot, struct slice name)
{
    return find(snapshot, name);
}

/* What the policy's file holds; nothing when it has none. The caller forgets it. */
static bool read_file(const struct conf_policy *policy, struct slice *text, struct err *err)
{
    struct slice path = conf_policy_file(policy);
    *text = SLICE_NONE;
    if (path.len == 0) {
        return true;
    }
    char *name = mem_slicedup(path);
    bool ok = policy->kind == CONF_POLICY_MAINTENANCE /* whose page is for everybody */
                  ? body_file_read(name, text, err)
                  : tls_file_read(name, "the file of the policy", true, FILE_MAX, text, err);
    free(name);
    return ok;
}

static struct file_stamp stamp_of_path(struct slice path)
{
    char *name = path.len != 0 ? mem_slicedup(path) : NULL;
    struct file_stamp stamp = file_stamp_of(name);
    free(name);
    return stamp;
}

static void add_sets(struct file_stamp *stamp, const struct conf *conf, const struct slice *names,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slice path = conf_address_set_find(conf, names[i])->file;
        if (path.len != 0) {
            struct file_stamp one = stamp_of_path(path);
            file_stamp_add(stamp, &one);
        }
    }
}

/* Of all files that the policy depends on. */
static struct file_stamp stamp_of(const struct conf *conf, const struct conf_policy *policy)
{
    struct file_stamp stamp = stamp_of_path(conf_policy_file(policy));
    if (policy->kind == CONF_POLICY_ACCESS) {
        add_sets(&stamp, conf, policy->access.allow_sets, policy->access.allow_set_count);
        add_sets(&stamp, conf, policy->access.deny_sets, policy->access.deny_set_count);
    }
    return stamp;
}

/* Of the keys that were fetched for it; 0: there are none, or it asks elsewhere. */
static uint64_t keys_version(const struct conf_policy *policy, const struct registry_policy *live)
{
    const struct registry_keys *keys = live != NULL ? &live->keys : NULL;
    return keys != NULL && keys->url != NULL &&
                   slice_eq(slice_from(keys->url), conf_policy_url(policy))
               ? keys->version
               : 0;
}

static struct filter *make(const struct conf *conf, const struct conf_policy *policy,
                           const struct registry_policy *live, struct tls_client *tls,
                           struct err *err)
{
    struct slice text;
    struct filter *filter = NULL;
    struct file_stamp stamp = stamp_of(conf, policy);
    if (read_file(policy, &text, err)) {
        uint64_t version = keys_version(policy, live);
        filter = filter_new(conf, policy, live->id, live->state, tls,
                            version != 0 ? live->keys.text : text, err);
        tls_file_forget(text);
    }
    if (filter != NULL) {
        filter->stamp = filter->refused = stamp;
        filter->keys_version = keys_version(policy, live);
    } else {
        (void)snprintf(err->place, sizeof(err->place), "/policies/%.*s/%s", SLICE_ARG(policy->name),
                       conf_policy_word(policy->kind));
    }
    return filter;
}

static bool is_stamped(const struct filter *filter, const struct conf *conf,
                       const struct conf_policy *policy)
{
    struct file_stamp now = stamp_of(conf, policy);
    return file_stamp_is_same(&now, &filter->stamp) || file_stamp_is_same(&now, &filter->refused);
}

/* Was it made of the same part of a document? */
static bool is_of(const struct filter *filter, const struct conf *conf,
                  const struct conf_policy *policy)
{
    return policy->version != 0 && filter->version == policy->version &&
           filter->sets_version != 0 && filter->sets_version == filter_sets_version(conf, policy);
}

bool snapshot_filter_check(const struct snapshot *newest, const struct conf *conf,
                           const struct conf_policy *policy, struct err *err)
{
    const struct filter *old = find(newest, policy->name);
    struct slice text;
    assert(filter_ops_of(policy->kind)->make_state == NULL);
    if (old != NULL && is_of(old, conf, policy)) {
        return true;
    }
    if (!read_file(policy, &text, err)) {
        return false;
    }
    struct filter *filter = filter_new(conf, policy, 0, NULL, NULL, text, err);
    tls_file_forget(text);
    filter_unref(filter);
    return filter != NULL;
}

/* The filter of an unchanged policy; when its file changed and is no good, as it was before. */
static struct filter *again(const struct conf *conf, struct filter *old,
                            const struct conf_policy *policy, const struct registry_policy *live,
                            struct tls_client *tls)
{
    struct err err;
    if (old->tls == tls && is_stamped(old, conf, policy) &&
        old->keys_version == keys_version(policy, live)) {
        return filter_ref(old);
    }
    struct filter *fresh = make(conf, policy, live, tls, &err);
    if (fresh == NULL) {
        old->refused = stamp_of(conf, policy);
        free(old->refused_why);
        old->refused_why = mem_slicedup(slice_from(err.text));
        log_warn("policy.file_refused", "policy=%.*s why=\"%s\" now=\"as before\"",
                 SLICE_ARG(policy->name), err.text);
        return filter_ref(old);
    }
    if (fresh->stamp.exists) {
        log_info("policy.file_read", "policy=%.*s", SLICE_ARG(policy->name));
    }
    return fresh;
}

bool snapshot_filter_build(struct snapshot *snapshot, const struct snapshot_build *build,
                           struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    snapshot->filters =
        arena_zero(&snapshot->arena, conf->policy_count * sizeof(*snapshot->filters));
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        const struct conf_policy *policy = &conf->policies[i];
        const struct registry_policy *live = registry_make_policy(build->registry, policy);
        struct filter *old = find(build->newest, policy->name);
        struct slice url = conf_policy_url(policy);
        struct tls_client *tls = NULL;
        if (!snapshot_call_tls(build, &url, 1, conf_policy_ca(policy),
                               old != NULL ? old->tls : NULL, &tls, err)) {
            (void)snprintf(err->place, sizeof(err->place), "/policies/%.*s/%s",
                           SLICE_ARG(policy->name), conf_policy_word(policy->kind));
            return false;
        }
        snapshot->filters[i] = old != NULL && is_of(old, conf, policy) && old->id == live->id
                                   ? again(conf, old, policy, live, tls)
                                   : make(conf, policy, live, tls, err);
        tls_client_unref(tls);
        if (snapshot->filters[i] == NULL) {
            return false;
        }
        snapshot->filter_count++;
    }
    return true;
}

bool snapshot_filter_is_current(const struct snapshot *snapshot, const struct registry *registry)
{
    const struct conf *conf = conf_document_conf(snapshot->document);
    for (uint32_t i = 0; i < snapshot->filter_count; i++) {
        const struct filter *filter = snapshot->filters[i];
        const struct conf_policy *policy = &conf->policies[i];
        if (!is_stamped(filter, conf, policy) ||
            filter->keys_version != keys_version(policy, registry_find_policy(registry, policy))) {
            return false;
        }
    }
    return true;
}

static bool has(const struct filter_chain *chain, const struct filter *filter)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        if (chain->list[i] == filter) {
            return true;
        }
    }
    return false;
}

/* One that the listener names and the route, too, is asked once, in the listener's place. */
static void add(const struct snapshot *snapshot, struct filter_chain *chain,
                const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct filter *filter = find(snapshot, names[i]);
        assert(filter != NULL && chain->count < FILTER_CHAIN_MAX); /* conf_check, the schema */
        if (!has(chain, filter)) {
            chain->list[chain->count++] = filter;
        }
    }
}

const struct filter_chain *snapshot_filter_chain(struct snapshot *snapshot,
                                                 const struct conf_listener *listener,
                                                 const struct conf_route *route)
{
    uint32_t count = listener->policy_count + (route != NULL ? route->policy_count : 0);
    if (count == 0) {
        return NULL;
    }
    struct filter_chain *chain =
        arena_zero(&snapshot->arena, sizeof(*chain) + count * sizeof(struct filter *));
    add(snapshot, chain, listener->policies, listener->policy_count);
    if (route != NULL) {
        add(snapshot, chain, route->policies, route->policy_count);
    }
    return chain;
}

void snapshot_filter_fini(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->filter_count; i++) {
        filter_unref(snapshot->filters[i]);
    }
    snapshot->filter_count = 0;
}
