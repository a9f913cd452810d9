#include "lbd/snapshot/snapshot_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/balance/slow_start.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/http/media_type.h"
#include "lbd/proxy/mirror.h"
#include "lbd/snapshot/snapshot_cookie.h"
#include "lbd/snapshot/snapshot_filter.h"
#include "lbd/snapshot/snapshot_levels.h"
#include "lbd/snapshot/snapshot_mail.h"
#include "lbd/snapshot/snapshot_mail_routes.h"
#include "lbd/snapshot/snapshot_pool_tls.h"
#include "lbd/snapshot/snapshot_retire.h"
#include "lbd/snapshot/snapshot_sticky.h"
#include "lbd/snapshot/snapshot_subset.h"
#include "lbd/snapshot/snapshot_tls.h"

/* -- pools -- */

/* Heavier than ever by number alone only where numbers of very many stand beside a share. */
static uint32_t weight_of(const struct registry_server *live, const struct conf_share_sums *sums,
                          const struct conf_server *conf)
{
    uint64_t weight = registry_server_weight_scaled(live, sums, conf);
    uint64_t most = conf_share_most(sums, conf);
    if (most > TARGET_WEIGHT_MAX) {
        weight = weight * TARGET_WEIGHT_MAX / most;
        weight = weight != 0 ? weight : 1;
    }
    return weight < TARGET_WEIGHT_MAX ? (uint32_t)weight : TARGET_WEIGHT_MAX;
}

/* A number stays what it is, whatever shares stand beside it. */
static uint32_t own_weight_of(const struct registry_server *live,
                              const struct conf_share_sums *sums, const struct conf_server *conf)
{
    uint64_t scale = conf_share_scale(sums, conf);
    uint64_t own = (registry_server_weight_scaled(live, sums, conf) * 100 + scale / 2) / scale;
    own = own != 0 ? own : 1;
    return own < TARGET_OWN_MAX ? (uint32_t)own : TARGET_OWN_MAX;
}

static void fill_member(struct pool *pool, uint32_t i, struct registry_server *live,
                        const struct conf_pool *of, const struct conf_server *conf,
                        const struct conf_share_sums *sums, bool with_places)
{
    struct pool_member *member = &pool->members[i];
    bool is_literal = false;
    registry_address_of(live, conf->address, &member->address, &member->address_version,
                        &is_literal);
    member->server = server_ref(live->server);
    if (with_places) {
        struct slice group = of->mail.group;
        member->place = place_ref(registry_make_place(live->pool->registry, group, conf->name));
        uint32_t weight = registry_server_weight_set(live, of, conf);
        weight = weight < TARGET_WEIGHT_MAX ? weight : TARGET_WEIGHT_MAX;
        member->user_weight = weight != 0 ? weight : 1;
    }
    member->host = arena_copy(&pool->arena, conf->address);
    pool->targets[i].weight = weight_of(live, sums, conf);
    pool->targets[i].own_weight = own_weight_of(live, sums, conf);
    pool->targets[i].max_in_flight = conf->max_connections;
    if (live->agent.max_connections != 0 &&
        (conf->max_connections == 0 || live->agent.max_connections < conf->max_connections)) {
        pool->targets[i].max_in_flight = live->agent.max_connections;
    }
    if (of->has_tls) {
        member->tls_name =
            of->tls.server_name.len != 0 ? arena_strdup(&pool->arena, of->tls.server_name) : NULL;
        if (live->server->tls_reuse == NULL) {
            live->server->tls_reuse = tls_reuse_new();
        }
    }
}

enum pool_http snapshot_http(const struct conf_pool *conf)
{
    if (conf->has_mail != 0) {
        return POOL_HTTP1; /* without ALPN */
    }
    switch (conf->http_version) {
    case CONF_HTTP_VERSION_1:
        return POOL_HTTP1;
    case CONF_HTTP_VERSION_2:
        return POOL_HTTP2;
    case CONF_HTTP_VERSION_AUTO:
        break;
    }
    return conf->has_tls ? POOL_HTTP_BY_ALPN : POOL_HTTP1; /* in clear nobody is asked */
}

enum proxy_header_version snapshot_send_proxy(enum conf_send_proxy word)
{
    switch (word) {
    case CONF_SEND_PROXY_OFF:
        return PROXY_HEADER_NONE;
    case CONF_SEND_PROXY_V1:
        return PROXY_HEADER_V1;
    case CONF_SEND_PROXY_V2:
        return PROXY_HEADER_V2;
    }
    return PROXY_HEADER_NONE;
}

static uint32_t send_proxy_tlvs(const struct conf_pool *conf)
{
    static const struct {
        const char *word;
        enum proxy_tlvs_word bit;
    } words[] = {{"alpn", PROXY_TLVS_ALPN},
                 {"authority", PROXY_TLVS_AUTHORITY},
                 {"unique_id", PROXY_TLVS_UNIQUE_ID},
                 {"ssl", PROXY_TLVS_SSL},
                 {"crc32c", PROXY_TLVS_CHECKSUM}};
    uint32_t bits = 0;
    for (uint32_t i = 0; i < conf->send_proxy_tlvs_count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            bits |=
                slice_eq(conf->send_proxy_tlvs[i], slice_from(words[k].word)) ? words[k].bit : 0;
        }
    }
    return bits;
}

static struct dial_sources build_sources(struct pool *pool, const struct conf_pool *conf)
{
    struct addr *list = arena_zero(&pool->arena, (conf->source_address_count + 1) * sizeof(*list));
    for (uint32_t i = 0; i < conf->source_address_count; i++) {
        (void)!addr_from_ip(conf->source_address[i], 0, &list[i]); /* the format has been checked */
    }
    return (struct dial_sources){list, conf->source_address_count};
}

static enum balancer_kind balancer_kind_of(enum conf_algorithm algorithm)
{
    switch (algorithm) {
    case CONF_ALGORITHM_LEAST_REQUEST:
        return BALANCER_LEAST_REQUEST;
    case CONF_ALGORITHM_ROUND_ROBIN:
        return BALANCER_ROUND_ROBIN;
    case CONF_ALGORITHM_RANDOM:
        return BALANCER_RANDOM;
    case CONF_ALGORITHM_PEAK_EWMA:
        return BALANCER_PEAK_EWMA;
    case CONF_ALGORITHM_MAGLEV:
        return BALANCER_MAGLEV;
    case CONF_ALGORITHM_RING_HASH:
        return BALANCER_RING_HASH;
    }
    return BALANCER_LEAST_REQUEST;
}

static enum pool_key pool_key_of(enum conf_hash_key key)
{
    switch (key) {
    case CONF_HASH_KEY_SOURCE:
        return POOL_KEY_SOURCE;
    case CONF_HASH_KEY_HEADER:
        return POOL_KEY_HEADER;
    case CONF_HASH_KEY_COOKIE:
        return POOL_KEY_COOKIE;
    case CONF_HASH_KEY_PATH:
        return POOL_KEY_PATH;
    case CONF_HASH_KEY_QUERY:
        return POOL_KEY_QUERY;
    }
    return POOL_KEY_SOURCE;
}

/* Less weight for who became usable a short while ago. Returns when that is to be done again; 0:
 * not. */
static uint64_t start_slowly(struct pool *pool, uint32_t window_ms)
{
    uint64_t due_ms = 0;
    for (uint32_t i = 0; window_ms != 0 && i < pool->count; i++) {
        const struct server *server = pool->members[i].server;
        if (!server_is_usable(server) || pool->targets[i].weight == 0) {
            continue;
        }
        uint64_t since_ms = server->usable_since_ms;
        uint64_t now = now_ms();
        uint64_t next_ms = slow_start_due_ms(since_ms, window_ms, now);
        pool->targets[i].weight =
            slow_start_weight(pool->targets[i].weight, since_ms, window_ms, now);
        if (next_ms != 0 && (due_ms == 0 || next_ms < due_ms)) {
            due_ms = next_ms;
        }
    }
    return due_ms;
}

/* One of retry.on, of the words that conf_format lets in. */
static void add_retry_on(struct retry_policy *policy, struct slice word)
{
    uint64_t status;
    if (slice_eq(word, SLICE("connect"))) {
        policy->on_connect = true;
    } else if (slice_eq(word, SLICE("reset"))) {
        policy->on_reset = true;
    } else if (slice_eq(word, SLICE("timeout"))) {
        policy->on_timeout = true;
    } else if (num_parse_u64(word, &status)) {
        retry_policy_add_status(policy, (uint32_t)status);
    } else { /* 5xx */
        for (uint32_t code = 500; code < 600; code++) {
            retry_policy_add_status(policy, code);
        }
    }
}

/* One for as long as the pool lives, once it was asked for: who waits is found again. */
static void set_queue(struct pool *pool, const struct conf_pool *conf, struct registry_pool *live,
                      uint32_t workers)
{
    if (conf->queue.max == 0) {
        return;
    }
    if (live->queue == NULL) {
        live->queue = queue_new(workers);
    }
    pool->queue = queue_ref(live->queue);
    pool->queue_max = conf->queue.max;
    pool->queue_ms = conf->queue.timeout_ms;
    for (uint32_t i = 0; i < pool->count; i++) {
        server_set_queue(pool->members[i].server, pool->queue);
    }
}

static void set_retry(struct retry_policy *policy, const struct conf_pool *conf)
{
    const struct conf_pool_retry *retry = &conf->retry;
    retry_policy_init(policy, conf->retries);
    policy->on_connect = policy->on_reset = retry->on_count == 0;
    for (uint32_t i = 0; i < retry->on_count; i++) {
        add_retry_on(policy, retry->on[i]);
    }
    policy->non_idempotent = retry->non_idempotent != 0;
    policy->per_try_ms = retry->per_try_ms;
    policy->backoff_ms = retry->backoff_ms;
    policy->budget_percent = retry->budget_percent;
    policy->budget_per_s = retry->budget_min;
}

/* Takes the reference `tls`. `password`: of the master user, in mail. */
static struct pool *build_pool(const struct conf_pool *conf, struct registry_pool *live,
                               const struct pool *old, struct slice zone, struct tls_client *tls,
                               struct slice password, struct pool *fallback, bool with_places,
                               const uint64_t sticky_key[2], struct snapshot_pool_made *made)
{
    struct pool *pool = pool_new(conf->name, live->id, conf->server_count);
    pool->fallback = fallback != NULL ? pool_ref(fallback) : NULL;
    pool->fail_open = conf->when_all_down == CONF_FAIL_OPEN;
    pool->circuit = (struct circuit){.max = {[CIRCUIT_REQUESTS] = conf->limits.requests,
                                             [CIRCUIT_CONNECTIONS] = conf->limits.connections,
                                             [CIRCUIT_PENDING] = conf->limits.pending,
                                             [CIRCUIT_RETRIES] = conf->limits.retries}};
    pool->failures_in_row = conf->has_outlier != 0 ? conf->outlier.consecutive_failures : 0;
    pool->failures_are_gateways = conf->outlier.failures == CONF_OUTLIER_GATEWAY;
    set_retry(&pool->retry, conf);
    pool->connect_ms = conf->timeouts.connect_ms;
    pool->response_ms = conf->timeouts.response_ms;
    pool->idle_ms = conf->timeouts.idle_ms;
    pool->max_age_ms = conf->timeouts.max_age_ms;
    pool->http = snapshot_http(conf);
    pool->tls = tls;
    pool->send_proxy = snapshot_send_proxy(conf->send_proxy);
    pool->send_proxy_tlvs = send_proxy_tlvs(conf);
    pool->sources = build_sources(pool, conf);
    if (conf->has_mail != 0) {
        snapshot_mail_terms(pool, conf, password);
    }
    pool->needs_proof = conf->mail.credentials != CONF_MAIL_CREDENTIALS_FORWARD;
    pool->affinity = (struct pool_affinity){
        .fails_over = conf->mail.affinity == CONF_MAIL_AFFINITY_FAILOVER,
        .kicks_back = conf->mail.failback == CONF_MAIL_FAILBACK_KICK,
        .down_for_ms = conf->mail.down_for_ms,
        .linger_ms = conf->mail.linger_ms,
        .spread = conf->mail.spread,
    };

    size_t cursor = 0;
    struct conf_share_sums sums;
    conf_share_add_up(conf, &sums);
    for (uint32_t i = 0; i < pool->count; i++) {
        struct registry_server *server =
            registry_make_server_near(live, conf->servers[i].name, &cursor);
        fill_member(pool, i, server, conf, &conf->servers[i], &sums, with_places);
    }
    snapshot_levels(pool, conf, zone);
    uint64_t due_ms = balancer_is_hash(balancer_kind_of(conf->algorithm))
                          ? 0
                          : start_slowly(pool, conf->slow_start_ms);
    pool->hash_bound = CONF_HASH_BOUND;
    if (conf->has_hash != 0) {
        pool->key = pool_key_of(conf->hash.key);
        pool->key_name = arena_copy(&pool->arena, conf->hash.name);
        pool->hash_bound = conf->hash.bound;
    }
    snapshot_sticky(pool, conf, old, sticky_key);
    pool_build(pool, balancer_kind_of(conf->algorithm));
    *made = (struct snapshot_pool_made){
        .version = conf->version,
        .epoch = live->epoch,
        .with_places = with_places,
        .due_ms = due_ms,
        .sticky_key = {sticky_key[0], sticky_key[1]},
    };
    return pool;
}

/* Is everything a pool was made from, the document apart, still so? */
static bool pool_is_current(const struct pool *pool, const struct snapshot_pool_made *made,
                            const struct registry_pool *live)
{
    return live != NULL && live->id == pool->id && live->epoch == made->epoch &&
           (made->due_ms == 0 || now_ms() < made->due_ms);
}

/* Another one may lie in its file. */
static bool has_password(const struct pool *pool, struct slice password)
{
    return pool->mail == NULL || slice_eq(pool->mail->terms.master_password, password);
}

static struct pool *find_pool(const struct snapshot *snapshot, struct slice name, uint32_t *index)
{
    uint32_t low = 0;
    uint32_t high = snapshot != NULL ? snapshot->pool_count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(snapshot->pools[middle]->name, name);
        if (order == 0) {
            *index = middle;
            return snapshot->pools[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

struct pool *snapshot_pool(const struct snapshot *snapshot, struct slice name)
{
    uint32_t index = 0;
    return find_pool(snapshot, name, &index);
}

/* The pool at this place of the document, unless it is there already: another pool falls back to
 * it, and conf_check has seen that they do not go round. `with_places`: some listener speaks mail,
 * and any pool may be its. */
static bool add_pool(struct snapshot *snapshot, const struct snapshot_build *build, uint32_t i,
                     bool with_places, struct err *err)
{
    const struct conf *document = conf_document_conf(build->document);
    const struct conf_pool *conf = &document->pools[i];
    const struct conf_pool *next =
        conf->fallback_pool.len != 0 ? conf_pool_find(document, conf->fallback_pool) : NULL;
    struct pool *fallback = NULL;
    if (snapshot->pools[i] != NULL) {
        return true;
    }
    if (next != NULL) {
        if (!add_pool(snapshot, build, (uint32_t)(next - document->pools), with_places, err)) {
            return false;
        }
        fallback = snapshot->pools[next - document->pools];
    }
    if (conf->server_count > BALANCER_TARGETS_MAX) {
        return err_set_at(err, ERR_INVALID, "/pools", "pool '%.*s' has more than %u servers",
                          SLICE_ARG(conf->name), (unsigned)BALANCER_TARGETS_MAX);
    }

    struct registry_pool *live = registry_make_pool(build->registry, conf->name);
    uint32_t at = 0;
    struct pool *old = find_pool(build->newest, conf->name, &at);
    struct tls_client *tls = NULL;
    struct slice password;
    uint64_t sticky_key[2];
    if (!snapshot_mail_password(&build->registry->tls, conf, &password, err) ||
        !snapshot_sticky_key(&build->registry->tls, conf, sticky_key, err) ||
        !snapshot_pool_tls(document, conf, build->registry, old, &tls, err)) {
        return false;
    }
    if (old != NULL && old->tls == tls && old->fallback == fallback && conf->version != 0 &&
        build->newest->made[at].version == conf->version &&
        (!with_places || build->newest->made[at].with_places) &&
        pool_is_current(old, &build->newest->made[at], live) && has_password(old, password) &&
        memcmp(build->newest->made[at].sticky_key, sticky_key, sizeof(sticky_key)) == 0) {
        tls_client_unref(tls); /* it has one of its own */
        snapshot->pools[i] = pool_ref(old);
        snapshot->made[i] = build->newest->made[at];
    } else {
        snapshot->pools[i] = build_pool(conf, live, old, build->zone, tls, password, fallback,
                                        with_places, sticky_key, &snapshot->made[i]);
        set_queue(snapshot->pools[i], conf, live, build->workers);
        snapshot_mail_keywords(snapshot->pools[i], document, conf);
    }
    return true;
}

/* -- routes and plans -- */

static struct route *new_route(struct snapshot *snapshot, struct slice name, uint32_t id)
{
    struct route *route = arena_zero(&snapshot->arena, sizeof(*route));
    route->name = name;
    route->id = id;
    route->queue_class = CONF_PRIORITY_NORMAL;
    return route;
}

static bool route_to_pool(const struct snapshot *snapshot, struct route *route, struct slice pool,
                          struct err *err)
{
    uint32_t at = 0;
    route->action = CONF_ACTION_POOL;
    route->pool = find_pool(snapshot, pool, &at);
    if (route->pool == NULL) {
        return err_set(err, ERR_INVALID, "there is no pool named '%.*s'", SLICE_ARG(pool));
    }
    return true;
}

/* ... of which it may ask for some servers only. */
static bool route_to_some(struct snapshot *snapshot, struct route *route,
                          const struct conf_route *conf, struct slice pool, struct err *err)
{
    if (!route_to_pool(snapshot, route, pool, err)) {
        return false;
    }
    route->pool = snapshot_subset(snapshot, conf, route->pool, err);
    return route->pool != NULL;
}

static bool add_split_cookie(struct snapshot *snapshot, struct route_split *split,
                             const struct conf_route *conf, struct registry_tls *tls,
                             struct err *err)
{
    const struct conf_cookie *set = &conf->split.cookie.set;
    uint64_t key[2];
    if (!snapshot_cookie_key(tls, set, key, err)) {
        (void)snprintf(err->place, sizeof(err->place), "/routes/%.*s/action/split/cookie/key_file",
                       SLICE_ARG(conf->name));
        return false;
    }
    route_split_build_cookie(split, &snapshot->arena, &conf->split, key);
    split->cookie->attributes = snapshot_cookie_attributes(&snapshot->arena, set, false);
    split->cookie->attributes_secure = snapshot_cookie_attributes(&snapshot->arena, set, true);
    return true;
}

static bool route_to_split(struct snapshot *snapshot, struct route *route,
                           const struct conf_route *conf, struct registry_tls *tls, struct err *err)
{
    struct route_split *split = route_split_build(&snapshot->arena, &conf->split);
    for (uint32_t i = 0; i < split->count; i++) {
        if (!route_to_some(snapshot, route, conf, conf->split.pools[i].name, err)) {
            return false;
        }
        split->arms[i].pool = route->pool;
    }
    route->split = split;
    return conf->split.has_cookie == 0 || add_split_cookie(snapshot, split, conf, tls, err);
}

static const struct route_path *build_rewrite(struct arena *arena, const struct conf_route *conf)
{
    const struct conf_rewrite *rewrite = &conf->rewrite;
    if (rewrite->path.len != 0) {
        return route_path_build(arena, &conf->match, rewrite->path);
    }
    return rewrite->prefix.len != 0 || rewrite->strip_prefix != 0
               ? route_path_build_prefix(arena, &conf->match, rewrite->prefix)
               : NULL;
}

/* What a route answers with. False: *err. */
static bool add_answer(struct snapshot *snapshot, const struct snapshot_build *build,
                       const struct conf_route *conf, struct route *route, struct err *err)
{
    struct slice type = media_type_of_path(conf->respond_file);
    route->status = (uint16_t)conf->respond_status;
    route->body = conf->respond_body;
    route->content_type = conf->respond_type.len != 0 ? conf->respond_type : type;
    route->headers = conf->respond_headers;
    route->header_count = conf->respond_header_count;
    if (conf->respond_file.len == 0) {
        return true;
    }
    struct body_file *body = registry_body_of(&build->registry->tls, conf->respond_file, err);
    if (body == NULL) {
        (void)snprintf(err->place, sizeof(err->place), "/routes/%.*s/action/respond/body_file",
                       SLICE_ARG(conf->name));
        return false;
    }
    snapshot->bodies[snapshot->body_count++] = body_file_ref(body);
    route->body = body_file_text(body);
    return true;
}

static struct route *build_route(struct snapshot *snapshot, const struct snapshot_build *build,
                                 const struct conf_route *conf, struct err *err)
{
    struct route *route =
        new_route(snapshot, conf->name, registry_make_route(build->registry, conf->name)->id);
    route->buffer_request = conf->buffering.request_bytes;
    route->buffer_response = conf->buffering.response_bytes;
    route->queue_class = conf->priority_class;
    snapshot->has_low = snapshot->has_low || conf->priority_class == CONF_PRIORITY_LOW;
    route->forward_trailers = conf->trailers == CONF_TRAILERS_FORWARD;
    route->is_unlogged = conf->access_log == 0;
    route->server_timing = conf->server_timing != 0;
    route->action = conf->action;
    route->path = build_rewrite(&snapshot->arena, conf);
    route->host = conf->rewrite.host;
    route->response_ms = conf->timeouts.response_ms;
    route->idle_ms = conf->timeouts.idle_ms;
    switch (conf->action) {
    case CONF_ACTION_SPLIT:
        return route_to_split(snapshot, route, conf, &build->registry->tls, err) ? route : NULL;
    case CONF_ACTION_POOL:
        return route_to_some(snapshot, route, conf, conf->pool, err) ? route : NULL;
    case CONF_ACTION_RESPOND:
        return add_answer(snapshot, build, conf, route, err) ? route : NULL;
    case CONF_ACTION_REDIRECT:
        route->status = (uint16_t)conf->redirect_status;
        route->location = conf->redirect_location;
        route->redirect = &conf->redirect;
        route->headers = conf->redirect_headers;
        route->header_count = conf->redirect_header_count;
        if (conf->redirect.path.len != 0) {
            route->path = route_path_build(&snapshot->arena, &conf->match, conf->redirect.path);
        }
        break;
    }
    return route;
}

static bool add_mirror(struct snapshot *snapshot, const struct conf_route *conf,
                       struct route *route, struct err *err)
{
    uint32_t at = 0;
    if (conf->mirror.pool.len == 0) {
        return true;
    }
    struct mirror *mirror = arena_zero(&snapshot->arena, sizeof(*mirror));
    mirror->pool = find_pool(snapshot, conf->mirror.pool, &at);
    mirror->percent = conf->mirror.percent;
    route->mirror = mirror;
    return mirror->pool != NULL ||
           err_set(err, ERR_INVALID, "there is no pool named '%.*s'", SLICE_ARG(conf->mirror.pool));
}

static bool add_routes(struct snapshot *snapshot, const struct snapshot_build *build,
                       const struct conf_listener *listener, struct plan *plan, struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    const struct conf_route **confs =
        arena_alloc(&snapshot->arena, (conf->route_count + 1) * sizeof(const struct conf_route *));
    struct route **routes =
        arena_alloc(&snapshot->arena, (conf->route_count + 1) * sizeof(struct route *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        if (!slice_eq(conf->routes[i].listener, listener->name)) {
            continue;
        }
        confs[count] = &conf->routes[i];
        routes[count] = build_route(snapshot, build, confs[count], err);
        if (routes[count] == NULL || !add_mirror(snapshot, confs[count], routes[count], err)) {
            return false;
        }
        routes[count]->server_timing |= listener->server_timing != 0;
        routes[count]->filters = snapshot_filter_chain(snapshot, listener, confs[count]);
        count++;
    }
    if (count != 0) {
        plan->routes = route_table_build(&snapshot->arena, confs, routes, count);
    }
    return true;
}

static const struct forwarded_rules *build_forwarded(struct arena *arena,
                                                     const struct conf_listener_forwarded *conf)
{
    struct forwarded_rules *rules = arena_zero(arena, sizeof(*rules));
    (void)cidr_set_build(&rules->trusted, arena, conf->trusted, conf->trusted_count);
    rules->reads_forwarded = conf->header == CONF_FORWARDED_HEADER_FORWARDED;
    rules->sends_forwarded = conf->send != CONF_FORWARDED_SEND_X;
    rules->sends_x = conf->send != CONF_FORWARDED_SEND_FORWARDED;
    rules->depth = conf->depth;
    return rules;
}

static struct plan_seeing seeing_of(const struct conf *conf, const struct conf_listener *listener)
{
    return (struct plan_seeing){
        .slow_us = (uint64_t)conf->recent.slow_ms * 1000,
        .sample = conf->recent.sample,
        .trace_sample = listener->tracing.sample != 0 ? listener->tracing.sample : 1,
        .traces = listener->has_tracing != 0,
        .starts_traces = listener->tracing.start != 0,
        .server_timing = listener->server_timing != 0,
        .request_id = (uint8_t)listener->request_id,
        .is_unlogged = listener->access_log == 0,
        .reason_detail = listener->reason_detail != 0,
    };
}

static bool add_plan(struct snapshot *snapshot, const struct snapshot_build *build,
                     const struct conf_listener *conf, struct err *err)
{
    struct plan *plan = arena_zero(&snapshot->arena, sizeof(*plan));
    plan->listener = listener_ref(registry_make_listener(build->registry, conf->name)->listener);
    plan->snapshot = snapshot;
    plan->timeouts = conf->timeouts;
    plan->limits = conf->limits;
    plan->protocol = conf->protocol;
    plan->http2 = conf->http2;
    plan->seeing = seeing_of(conf_document_conf(build->document), conf);
    if (conf_protocol_is_mail(conf->protocol)) {
        plan->mail = snapshot_mail_plan(&snapshot->arena, conf);
    }
    plan->is_drained = registry_is_drained(build->registry, plan->listener);
    snapshot->plans[snapshot->plan_count++] = plan; /* from here on snapshot_free knows it */

    plan->filters = snapshot_filter_chain(snapshot, conf, NULL);
    if (conf->default_pool.len != 0) {
        struct route *route = new_route(snapshot, SLICE("default"), 0);
        if (!route_to_pool(snapshot, route, conf->default_pool, err)) {
            return false;
        }
        route->server_timing = plan->seeing.server_timing;
        route->filters = plan->filters;
        plan->default_route = route;
    }
    snapshot_mail_routes_add(snapshot, conf, plan);
    (void)cidr_set_build(&plan->proxies, &snapshot->arena, conf->proxy_protocol_from,
                         conf->proxy_protocol_from_count); /* conf_check has read them */
    if (conf->has_forwarded != 0) {
        plan->forwarded = build_forwarded(&snapshot->arena, &conf->forwarded);
    }
    return (conf->has_tls == 0 || snapshot_tls_add(build, conf, plan, err)) &&
           add_routes(snapshot, build, conf, plan, err);
}

static void make_leases(struct snapshot *snapshot, uint32_t workers)
{
    snapshot->worker_count = workers;
    snapshot->leases = mem_zero_aligned(workers * sizeof(*snapshot->leases));
    for (uint32_t i = 0; i < workers; i++) {
        lease_init(&snapshot->leases[i], NULL, NULL);
    }
}

struct snapshot *snapshot_build(const struct snapshot_build *build, struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    struct snapshot *snapshot = mem_zero(1, sizeof(*snapshot));

    arena_init(&snapshot->arena, NULL, 0);
    snapshot->document = conf_document_ref(build->document);
    snapshot->revision = build->revision;
    snapshot->generation = build->generation;
    snapshot->tls_epoch = build->registry->tls.epoch;
    snapshot->pools = arena_zero(&snapshot->arena, conf->pool_count * sizeof(struct pool *));
    snapshot->pool_count = conf->pool_count; /* those not made yet are NULL */
    snapshot->made = arena_zero(&snapshot->arena, conf->pool_count * sizeof(*snapshot->made));
    snapshot->plans = arena_zero(&snapshot->arena, conf->listener_count * sizeof(struct plan *));
    snapshot->bodies = arena_zero(&snapshot->arena, conf->route_count * sizeof(*snapshot->bodies));
    make_leases(snapshot, build->workers);

    bool with_places = false;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        with_places = with_places || conf_protocol_is_mail(conf->listeners[i].protocol);
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (!add_pool(snapshot, build, i, with_places, err)) {
            goto fail;
        }
    }
    if (!snapshot_filter_build(snapshot, build, err) ||
        !snapshot_mail_routes_build(snapshot, build, err)) {
        goto fail;
    }
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (!add_plan(snapshot, build, &conf->listeners[i], err)) {
            goto fail;
        }
    }
    return snapshot;
fail:
    snapshot_free(snapshot);
    return NULL;
}

uint64_t snapshot_due_ms(const struct snapshot *snapshot)
{
    uint64_t due_ms = 0;
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        uint64_t pool_due_ms = snapshot->made[i].due_ms;
        if (pool_due_ms != 0 && (due_ms == 0 || pool_due_ms < due_ms)) {
            due_ms = pool_due_ms;
        }
    }
    return due_ms;
}

bool snapshot_is_current(const struct snapshot *snapshot, const struct registry *registry)
{
    if (snapshot->tls_epoch != registry->tls.epoch ||
        !snapshot_filter_is_current(snapshot, registry)) {
        return false;
    }
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = snapshot->pools[i];
        if (!pool_is_current(pool, &snapshot->made[i], registry_find_pool(registry, pool->name))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        const struct plan *plan = snapshot->plans[i];
        if (plan->is_drained != registry_is_drained(registry, plan->listener)) {
            return false;
        }
    }
    return true;
}
