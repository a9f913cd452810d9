#include "api/api_policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_problem.h"
#include "api/api_status_inside.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/snapshot/snapshot_filter.h"
#include "lbd/stats/counters.h"

enum { USERS_SHOWN = 100 }; /* listeners and routes that name it */

/* What there is of a policy. */
struct found {
    const struct conf_policy *conf;
    const struct registry_policy *live; /* NULL: it was never built */
    const struct filter *filter;        /* likewise */
    struct counters_policy sum;
    struct filter_facts facts;
};

static void find(const struct api_request *request, const struct conf_policy *conf,
                 struct found *found)
{
    const struct snapshot *snapshot = control_snapshot(request->control);
    *found = (struct found){
        .conf = conf,
        .live = registry_find_policy(control_registry(request->control), conf),
        .filter = snapshot != NULL ? snapshot_filter_find(snapshot, conf->name) : NULL,
    };
    if (found->filter != NULL && found->filter->ops != filter_ops_of(conf->kind)) {
        found->filter = NULL; /* that of another kind still runs */
    }
    if (found->live != NULL) {
        counters_read(COUNTERS_POLICY, found->live->id, &found->sum);
    }
}

static void find_facts(struct found *found)
{
    if (found->filter != NULL && found->filter->ops->facts != NULL) {
        found->filter->ops->facts(found->filter, now_us(), &found->facts);
    }
}

static bool counts_by_key(enum conf_policy_kind kind)
{
    return kind == CONF_POLICY_RATE_LIMIT || kind == CONF_POLICY_CONCURRENCY ||
           kind == CONF_POLICY_BANDWIDTH;
}

static void write_decisions(const struct found *found, struct json_write *w)
{
    json_write_key(w, "decisions");
    json_write_object_begin(w);
    json_write_member_u64(w, "allow", found->sum.decisions[COUNTERS_DECISION_ALLOW]);
    json_write_member_u64(w, "deny", found->sum.decisions[COUNTERS_DECISION_DENY]);
    json_write_member_u64(w, "shadow", found->sum.decisions[COUNTERS_DECISION_SHADOW]);
    json_write_member_u64(w, "wait", found->sum.decisions[COUNTERS_DECISION_WAIT]);
    json_write_object_end(w);
}

static uint64_t keys_held(const struct found *found)
{
    return found->sum.keys > found->sum.keys_gone ? found->sum.keys - found->sum.keys_gone : 0;
}

/* -- who names it -- */

static void write_user(struct json_write *w, const char *collection, struct slice name,
                       const struct slice *policies, uint32_t count, struct slice policy,
                       uint32_t *total)
{
    char pointer[128];
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(policies[i], policy)) {
            if ((*total)++ < USERS_SHOWN) {
                (void)snprintf(pointer, sizeof(pointer), "#/%s/%.*s", collection, SLICE_ARG(name));
                json_write_text(w, pointer);
            }
            return;
        }
    }
}

static void write_users(const struct conf *conf, struct slice policy, struct json_write *w)
{
    uint32_t total = 0;
    json_write_key(w, "used_by");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        write_user(w, "listeners", listener->name, listener->policies, listener->policy_count,
                   policy, &total);
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        write_user(w, "routes", route->name, route->policies, route->policy_count, policy, &total);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "used_by_total", total);
}

/* -- by kind -- */

static void write_keys(const struct found *found, struct json_write *w)
{
    const struct filter_facts_keyed *keyed = &found->facts.keyed;
    json_write_key(w, "keys");
    json_write_object_begin(w);
    json_write_member_u64(w, "held", keys_held(found));
    json_write_member_u64(w, "max", keyed->keys_max);
    json_write_member_u64(w, "evictions", found->sum.key_evictions);
    json_write_member_u64(w, "limit", keyed->limit);
    json_write_key(w, "fullest");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < keyed->full_count; i++) {
        const struct filter_facts_full *full = &keyed->full[i];
        char id[16];
        num_write_hex16(id, full->row.key);
        json_write_object_begin(w);
        if (full->row.name_len != 0) {
            json_write_member_string(w, "key", slice_of(full->row.name, full->row.name_len));
        }
        json_write_member_string(w, "id", slice_of(id, sizeof(id)));
        json_write_member_u64(w, "used", full->used);
        json_write_member_bool(w, "full", full->is_full);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_access(const struct filter_facts_access *access, struct json_write *w)
{
    json_write_key(w, "access");
    json_write_object_begin(w);
    json_write_member_u64(w, "allow", access->allow);
    json_write_member_u64(w, "deny", access->deny);
    json_write_key(w, "sets");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < access->set_count; i++) {
        json_write_object_begin(w);
        json_write_member_string(w, "name", access->sets[i].name);
        json_write_member_text(w, "list", access->sets[i].is_deny ? "deny" : "allow");
        json_write_member_u64(w, "networks", access->sets[i].networks);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

/* The monotonic moment as one of the clock on the wall. */
static uint64_t wall_of(uint64_t at_us)
{
    uint64_t now = now_us();
    uint64_t wall = now_wall_us();
    return at_us > now ? wall + (at_us - now) : wall - (now - at_us);
}

static void write_fetch(const struct registry_keys *keys, struct json_write *w)
{
    if (keys->fetched_wall_us != 0) {
        api_request_write_time(w, "fetched_at", keys->fetched_wall_us);
    }
    if (keys->next_us != 0) {
        api_request_write_time(w, "next_fetch_at", wall_of(keys->next_us));
    }
    json_write_member_u64(w, "failures", keys->failures);
    if (keys->error != NULL) {
        json_write_member_text(w, "last_error", keys->error);
        api_request_write_time(w, "last_error_at", keys->error_wall_us);
    }
}

static void write_tokens(const struct found *found, struct json_write *w)
{
    const struct jwt_keys *keys = found->facts.tokens;
    bool is_fetched = found->conf->jwt.keys_url.len != 0;
    json_write_key(w, "jwt");
    json_write_object_begin(w);
    json_write_member_text(w, "source", is_fetched ? "url" : "file");
    json_write_member_string(w, is_fetched ? "url" : "file",
                             is_fetched ? found->conf->jwt.keys_url : found->conf->jwt.keys_file);
    json_write_key(w, "keys");
    json_write_array_begin(w);
    for (uint32_t i = 0; keys != NULL && i < keys->count; i++) {
        json_write_object_begin(w);
        if (keys->list[i].kid.len != 0) {
            json_write_member_string(w, "kid", keys->list[i].kid);
        }
        json_write_member_text(w, "algorithm", jwk_alg_word(jwk_alg(keys->list[i].key)));
        json_write_object_end(w);
    }
    json_write_array_end(w);
    if (is_fetched && found->live != NULL) {
        write_fetch(&found->live->keys, w);
    }
    json_write_object_end(w);
}

static void write_endpoint(const struct found *found, struct json_write *w)
{
    const struct filter_facts_endpoint *endpoint = &found->facts.endpoint;
    json_write_key(w, "external_auth");
    json_write_object_begin(w);
    json_write_member_string(w, "url", found->conf->external_auth.url);
    json_write_member_text(w, "state",
                           endpoint->failures != 0           ? "failing"
                           : endpoint->answered_wall_us != 0 ? "answering"
                                                             : "unknown");
    json_write_member_u64(w, "failures", endpoint->failures);
    if (endpoint->answered_wall_us != 0) {
        api_request_write_time(w, "last_answer_at", endpoint->answered_wall_us);
    }
    if (endpoint->failed_wall_us != 0) {
        json_write_member_string(w, "last_error", slice_of(endpoint->why, endpoint->why_len));
        api_request_write_time(w, "last_error_at", endpoint->failed_wall_us);
    }
    json_write_object_end(w);
}

/* A file that changed and is no good: what it was before goes on. */
static const char *refused_file(const struct found *found)
{
    return found->filter != NULL ? found->filter->refused_why : NULL;
}

static void write_of_kind(const struct found *found, struct json_write *w)
{
    const struct filter_facts *facts = &found->facts;
    if (facts->is_keyed) {
        write_keys(found, w);
    }
    if (facts->is_access) {
        write_access(&facts->access, w);
    }
    if (facts->has_users) {
        json_write_member_u64(w, "users", facts->users);
    }
    if (facts->has_tokens) {
        write_tokens(found, w);
    }
    if (facts->has_endpoint) {
        write_endpoint(found, w);
    }
    if (facts->remembers) {
        json_write_key(w, "cache");
        json_write_object_begin(w);
        json_write_member_u64(w, "hits", found->sum.memo[COUNTERS_MEMO_HIT]);
        json_write_member_u64(w, "misses", found->sum.memo[COUNTERS_MEMO_MISS]);
        json_write_object_end(w);
    }
    if (refused_file(found) != NULL) {
        json_write_member_text(w, "file_refused", refused_file(found));
    }
}

/* -- the answers -- */

static void write_head(const struct found *found, struct json_write *w)
{
    json_write_member_text(w, "kind", conf_policy_word(found->conf->kind));
    json_write_member_text(w, "mode",
                           found->conf->mode == CONF_POLICY_SHADOW ? "shadow" : "enforce");
    write_decisions(found, w);
}

void api_policies_write_summary(const struct api_request *request, const struct conf_policy *conf,
                                struct json_write *w)
{
    struct found *found = mem_zero(1, sizeof(*found));
    find(request, conf, found);
    write_head(found, w);
    if (counts_by_key(conf->kind)) {
        json_write_member_u64(w, "keys", keys_held(found));
    }
    free(found);
}

void api_policies_problem(const struct api_request *request, const struct conf_policy *conf,
                          char *out, size_t size)
{
    struct found *found = mem_zero(1, sizeof(*found));
    const struct filter_facts *facts = &found->facts;
    find(request, conf, found);
    if (!counts_by_key(conf->kind)) { /* those have no problems, and much to tell */
        find_facts(found);
    }
    out[0] = '\0';
    if (refused_file(found) != NULL) {
        (void)snprintf(out, size, "its file cannot be used, the one before goes on: %s",
                       refused_file(found));
    } else if (facts->has_tokens && found->live != NULL && found->live->keys.failures != 0) {
        (void)snprintf(out, size, "keys cannot be fetched: %s; %s", found->live->keys.error,
                       facts->tokens != NULL ? "those that are there stay"
                                             : "tokens are answered 503");
    } else if (facts->has_endpoint && facts->endpoint.failures != 0) {
        (void)snprintf(out, size, "its service does not answer as it should: %.*s",
                       (int)facts->endpoint.why_len, facts->endpoint.why);
    }
    free(found);
}

void api_policies_status(struct api_request *request)
{
    const struct conf *conf = conf_document_conf(control_running(request->control));
    const struct conf_policy *policy = conf_policy_find(conf, request->names[0]);
    struct json_write w;
    if (policy == NULL) {
        api_problem(request, "not-found", "there is no policy '%.*s'",
                    SLICE_ARG(request->names[0]));
        api_request_done(request);
        return;
    }
    struct found *found = mem_zero(1, sizeof(*found));
    find(request, policy, found);
    find_facts(found);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "observed_revision",
                          control_facts(request->control)->adopted_revision);
    write_head(found, &w);
    write_users(conf, policy->name, &w);
    write_of_kind(found, &w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    free(found);
    api_request_done(request);
}
