#include "api/api_status.h"

#include <stdio.h>

#include "api/api_admin.h"
#include "api/api_problem.h"
#include "api/api_status_inside.h"
#include "conf/conf_schema.h"
#include "lbd/base/close_advice.h"
#include "lbd/base/now.h"
#include "lbd/control/control_health.h"
#include "lbd/control/control_outlier.h"
#include "lbd/snapshot/snapshot_build.h"
#include "lbd/stats/counters.h"
#include "lbd_version.h"

enum { ADVICE_MAX = 1024 };

/* -- conditions -- */

void api_status_write_conditions(const struct api_request *request, struct json_write *w,
                                 const struct control_condition *conditions, uint32_t count)
{
    uint64_t revision = control_facts(request->control)->adopted_revision;
    json_write_member_u64(w, "observed_revision", revision);
    json_write_key(w, "conditions");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        json_write_object_begin(w);
        json_write_member_text(w, "type", conditions[i].type);
        json_write_member_bool(w, "status", conditions[i].status);
        json_write_member_text(w, "reason", conditions[i].reason);
        json_write_member_text(w, "message", conditions[i].message);
        api_request_write_time(w, "since", conditions[i].since_wall_us);
        json_write_member_u64(w, "observed_revision", revision);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

/* -- servers and pools -- */

const struct registry_server *api_status_find(const struct api_request *request, struct slice pool,
                                              struct slice server)
{
    return registry_find_server(control_registry(request->control), pool, server);
}

/* Why it rests, if it does. */
static void write_ejection(const struct api_request *request, struct slice pool,
                           struct slice server, struct json_write *w)
{
    struct control_outlier_facts facts;
    if (!control_outlier_facts(control_outliers(request->control), pool, server, &facts)) {
        return;
    }
    json_write_key(w, "outlier");
    json_write_object_begin(w);
    json_write_member_text(w, "mode", facts.is_shadow ? "shadow" : "enforce");
    json_write_member_text(w, "reason", facts.reason);
    json_write_member_text(w, "detail", facts.text);
    api_request_write_time(w, "until", facts.until_wall_us);
    json_write_member_u64(w, "times", facts.times);
    json_write_object_end(w);
}

/* Does it get no requests because other groups of the pool take them? */
static bool stands_by(const struct api_request *request, const struct conf_pool *of,
                      const struct conf_server *conf, const struct server *server)
{
    const struct pool *pool =
        of != NULL ? snapshot_pool(control_snapshot(request->control), of->name) : NULL;
    if (pool == NULL || pool->level_count == 0) {
        return false;
    }
    size_t i = (size_t)(conf - of->servers);
    return i < pool->count && pool->members[i].server == server && pool->targets[i].weight == 0;
}

/* Its members. */
void api_status_write_server(const struct api_request *request, struct slice pool,
                             const struct conf_server *conf, struct json_write *w)
{
    const struct registry_server *live = api_status_find(request, pool, conf->name);
    bool is_by_hand = control_override(request->control, pool, conf->name) != NULL;
    if (live == NULL) { /* cannot be: the registry knows what the document names */
        return;
    }

    const struct server *server = live->server;
    json_write_member_string(w, "address", conf->address);
    if (!live->has_literal_address) {
        char text[ADDR_TEXT_MAX];
        json_write_key(w, "resolved");
        if (live->address.len != 0) {
            (void)addr_write(&live->address, text);
            json_write_text(w, text);
        } else {
            json_write_null(w);
        }
        api_status_write_dns(request, pool, conf->name, w);
    }
    json_write_member_text(w, "health", server_health_word(server->health));
    json_write_member_text(w, "admin", server_admin_word(server->admin));
    json_write_member_bool(w, "overridden", is_by_hand || live->weight != 0);
    const struct conf_pool *of =
        conf_pool_find(conf_document_conf(control_running(request->control)), pool);
    uint32_t weight = registry_server_weight_now(live, of, conf, now_ms());
    bool is_idle = stands_by(request, of, conf, server);
    json_write_member_u64(w, "effective_weight", is_idle ? 0 : weight);
    if (conf->priority != 0) {
        json_write_member_u64(w, "priority", conf->priority);
    }
    json_write_member_u64(w, "connections",
                          atomic_load_explicit(&server->load.in_flight, memory_order_relaxed));
    if (server->last_check[0] != '\0') {
        json_write_member_text(w, "last_check", server->last_check);
    }
    if (server->interview != NULL) {
        json_write_member_text(w, "interview", server->interview);
    }
    if (server->last_error != NULL) {
        json_write_member_text(w, "last_error", server->last_error);
        api_request_write_time(w, "last_error_at", server->last_error_wall_us);
    }
    uint32_t closes_ms = keep_alive_closes_ms(&server->keep_alive, now_us());
    if (closes_ms != 0) {
        json_write_member_u64(w, "closes_idle_after_ms", closes_ms);
    }
    api_request_write_time(w, "since", server->since_wall_us);
    write_ejection(request, pool, conf->name, w);
    if (server->admin != SERVER_READY) {
        char key[OVERRIDES_KEY_MAX];
        api_admin_write_drain(request, w, OVERRIDE_ADMIN,
                              overrides_server_key(pool, conf->name, key));
    }
}

struct api_status_tally api_status_tally(const struct api_request *request,
                                         const struct conf_pool *pool)
{
    struct api_status_tally tally = {.servers = pool->server_count};
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct registry_server *live =
            api_status_find(request, pool->name, pool->servers[i].name);
        tally.usable += live != NULL && server_is_usable(live->server) ? 1 : 0;
    }
    return tally;
}

static void write_groups(const struct api_request *request, struct slice name, struct json_write *w)
{
    const struct pool *pool = snapshot_pool(control_snapshot(request->control), name);
    if (pool == NULL || pool->level_count == 0) {
        return;
    }
    json_write_key(w, "groups");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < pool->level_count; i++) {
        const struct level *level = &pool->levels[i];
        json_write_object_begin(w);
        json_write_member_u64(w, "priority", level->rank / 2);
        json_write_member_bool(w, "near", level->rank % 2 == 0);
        json_write_member_u64(w, "servers", level->targets);
        json_write_member_u64(w, "usable", level->usable);
        json_write_member_double(w, "share", level->share * 100.0 / LEVELS_WHOLE);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_sticky(const struct api_request *request, const struct conf_pool *pool,
                         struct json_write *w)
{
    static const char *const words[] = {"insert", "passive", "learn"};
    const struct conf_pool_sticky *sticky = &pool->sticky;
    const struct pool *live = snapshot_pool(control_snapshot(request->control), pool->name);
    const struct learned *learned =
        live != NULL && live->sticky != NULL ? live->sticky->learned : NULL;
    json_write_key(w, "sticky");
    json_write_object_begin(w);
    json_write_member_text(w, "mode", words[sticky->mode]);
    if (sticky->cookie.len != 0) {
        json_write_member_string(w, "cookie", sticky->cookie);
    } else {
        json_write_member_string(w, "header", sticky->header);
    }
    if (learned != NULL) {
        json_write_member_u64(w, "sessions", learned_count(learned));
        json_write_member_u64(w, "sessions_max", sticky->learn.entries);
        json_write_member_u64(w, "evicted", learned_evicted(learned));
    }
    json_write_object_end(w);
}

void api_status_write_queue(const struct api_request *request, const struct conf_pool *pool,
                            struct json_write *w)
{
    const struct registry_pool *live =
        registry_find_pool(control_registry(request->control), pool->name);
    struct counters_pool sum = {0};
    if (pool->queue.max == 0 || live == NULL) {
        return;
    }
    counters_read(COUNTERS_POOL, live->id, &sum);
    /* workers count one after the other: who left may be read before who came */
    json_write_member_u64(
        w, "queued", sum.queue_entered > sum.queue_left ? sum.queue_entered - sum.queue_left : 0);
}

static void write_pool(const struct api_request *request, const struct conf_pool *pool,
                       struct json_write *w)
{
    struct api_status_tally tally = api_status_tally(request, pool);
    json_write_member_text(w, "health", tally.usable != 0 ? "up" : "down");
    json_write_member_u64(w, "usable", tally.usable);
    api_status_write_queue(request, pool, w);
    write_groups(request, pool->name, w);
    if (pool->has_sticky != 0) {
        write_sticky(request, pool, w);
    }
    api_status_write_templates(request, pool->name, w);
    json_write_key(w, "servers");
    json_write_object_begin(w);
    for (uint32_t i = 0; i < pool->server_count; i++) {
        json_write_key_slice(w, pool->servers[i].name);
        json_write_object_begin(w);
        api_status_write_server(request, pool->name, &pool->servers[i], w);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static const struct conf *conf_of(const struct api_request *request)
{
    return conf_document_conf(control_running(request->control));
}

void api_status_pool(struct api_request *request)
{
    const struct conf_pool *pool = conf_pool_find(conf_of(request), request->names[0]);
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;

    if (pool == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(request->names[0]));
        api_request_done(request);
        return;
    }
    uint32_t count = control_conditions_pool(request->control, pool->name, conditions);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    api_status_write_conditions(request, &w, conditions, count);
    write_pool(request, pool, &w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

/* Its last checks, the newest first. */
static void write_checks(const struct api_request *request, struct slice pool, struct slice server,
                         struct json_write *w)
{
    static const char *const results[] = {
        [HEALTH_PROBE_PASSED] = "passed",
        [HEALTH_PROBE_FAILED] = "failed",
        [HEALTH_PROBE_NOT_RUN] = "not_run",
    };
    struct control_health_facts facts;
    if (!control_health_facts(control_checks(request->control), pool, server, &facts) ||
        !facts.has_check) {
        return;
    }
    json_write_key(w, "checks");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < facts.history->count; i++) {
        const struct health_history_entry *entry = health_history_at(facts.history, i);
        json_write_object_begin(w);
        api_request_write_time(w, "time", entry->wall_us);
        json_write_member_text(w, "result", results[entry->result]);
        json_write_member_double(w, "duration_ms", (double)entry->duration_us / 1000.0);
        json_write_member_text(w, "detail", entry->text);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void api_status_server(struct api_request *request)
{
    const struct conf_pool *pool = conf_pool_find(conf_of(request), request->names[0]);
    const struct conf_server *server =
        pool != NULL ? conf_server_find(pool, request->names[1]) : NULL;
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;
    if (server == NULL) {
        api_problem(request, "not-found", "there is no server '%.*s/%.*s'",
                    SLICE_ARG(request->names[0]), SLICE_ARG(request->names[1]));
    } else {
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        api_status_write_conditions(
            request, &w, conditions,
            control_conditions_server(request->control, pool->name, server->name, conditions));
        api_status_write_server(request, pool->name, server, &w);
        write_checks(request, pool->name, server->name, &w);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- listeners -- */

/* Does it take no new connections: by hand, with the process, or because that stops? */
static bool is_drained(const struct api_request *request, struct slice name)
{
    const struct registry_listener *live =
        registry_find_listener(control_registry(request->control), name);
    return live != NULL && control_listener_is_drained(request->control, live);
}

void api_status_write_listener(const struct api_request *request, const struct conf_listener *conf,
                               struct json_write *w)
{
    const struct registry_listener *live =
        registry_find_listener(control_registry(request->control), conf->name);
    json_write_member_text(w, "state", is_drained(request, conf->name) ? "draining" : "up");
    json_write_key(w, "addresses");
    json_write_array_begin(w);
    for (uint32_t i = 0; live != NULL && i < live->listener->bind_count; i++) {
        char text[ADDR_TEXT_MAX];
        (void)addr_write(&live->listener->binds[i]->bound, text);
        json_write_text(w, text);
    }
    json_write_array_end(w);
    json_write_member_u64(
        w, "connections",
        live != NULL ? atomic_load_explicit(&live->listener->connections, memory_order_relaxed)
                     : 0);
}

/* How requests and connections of the listener ended so far; what never happened is left out. */
static void write_endings(const struct api_request *request, const struct conf_listener *conf,
                          struct json_write *w)
{
    const struct registry_listener *live =
        registry_find_listener(control_registry(request->control), conf->name);
    struct counters_listener sum = {0};
    if (live != NULL) {
        counters_read(COUNTERS_LISTENER, live->listener->id, &sum);
    }
    json_write_key(w, "endings");
    json_write_object_begin(w);
    for (size_t i = 0; i < CLOSE_REASON_COUNT; i++) {
        if (sum.endings[i] > 0) {
            json_write_key_slice(w, close_reason_word((enum close_reason)i));
            json_write_u64(w, sum.endings[i]);
        }
    }
    json_write_object_end(w);
}

void api_status_reasons(struct api_request *request)
{
    struct json_write w;
    struct buf advice;
    buf_init(&advice, ADVICE_MAX);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    for (size_t i = 0; i < CLOSE_REASON_COUNT; i++) {
        enum close_reason reason = (enum close_reason)i;
        uint16_t status = close_reason_status(reason);
        json_write_key_slice(&w, close_reason_word(reason));
        json_write_object_begin(&w);
        if (status != 0) {
            json_write_member_u64(&w, "status", status);
        }
        json_write_member_text(&w, "detail", close_reason_sentence(reason));
        json_write_member_text(&w, "ended_by", close_advice_by_word(close_advice_by(reason)));
        buf_clear(&advice);
        close_advice_write(&advice, reason, SLICE_NONE, SLICE_NONE);
        json_write_member_string(&w, "advice", buf_slice(&advice));
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    buf_fini(&advice);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_status_listener(struct api_request *request)
{
    const struct conf_listener *listener = conf_listener_find(conf_of(request), request->names[0]);
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;

    if (listener == NULL) {
        api_problem(request, "not-found", "there is no listener '%.*s'",
                    SLICE_ARG(request->names[0]));
        api_request_done(request);
        return;
    }
    uint32_t count = control_conditions_listener(request->control, listener->name, conditions);
    bool is_out = is_drained(request, listener->name);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    api_status_write_conditions(request, &w, conditions, count);
    api_status_write_listener(request, listener, &w);
    write_endings(request, listener, &w);
    if (is_out) {
        api_admin_write_drain(request, &w, OVERRIDE_LISTENER, listener->name);
    }
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

/* -- routes -- */

void api_status_route(struct api_request *request)
{
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct json_write w;
    uint32_t count = control_conditions_route(request->control, request->names[0], conditions);
    if (count == 0) {
        api_problem(request, "not-found", "there is no route '%.*s'", SLICE_ARG(request->names[0]));
    } else {
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        api_status_write_conditions(request, &w, conditions, count);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- the configuration -- */

void api_status_config(struct api_request *request)
{
    const struct control_facts *facts = control_facts(request->control);
    char hash[CONTROL_ETAG_MAX] = "";
    struct json_write w;

    (void)control_etag(control_document(request->control), SLICE_NONE, hash);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "source", control_source_word(facts->source));
    json_write_member_text(&w, "file", facts->file);
    json_write_member_u64(&w, "revision", facts->revision);
    json_write_member_text(&w, "hash", hash);
    json_write_member_u64(&w, "observed_revision", facts->adopted_revision);
    json_write_member_bool(&w, "seed_differs", facts->is_seed_different);
    json_write_member_bool(&w, "degraded", facts->is_degraded);
    json_write_member_bool(&w, "last_apply_succeeded", facts->last_apply_succeeded);
    api_request_write_time(&w, "last_apply", facts->last_apply_wall_us);
    json_write_member_u64(&w, "overrides", control_override_count(request->control));
    if (facts->unconfirmed_revision != 0) {
        json_write_key(&w, "unconfirmed");
        json_write_object_begin(&w);
        json_write_member_u64(&w, "revision", facts->unconfirmed_revision);
        api_request_write_time(&w, "deadline", facts->confirm_deadline_wall_us);
        json_write_member_u64(&w, "base_revision", facts->unconfirmed_base);
        json_write_object_end(&w);
    }
    json_write_key(&w, "workers");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < facts->workers; i++) {
        struct control_worker worker = control_worker(request->control, i);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "revision", worker.revision);
        json_write_member_u64(&w, "generation", worker.generation);
        json_write_member_u64(&w, "connections", worker.connections);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_status_version(struct api_request *request)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "version", LBD_VERSION);
    json_write_member_text(&w, "api", "v1");
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_status_schema(struct api_request *request)
{
    conf_schema_write_json(&request->reply.body);
    request->reply.status = 200;
    request->reply.content_type = "application/schema+json";
    api_request_done(request);
}

/* -- probes of lbd itself -- */

static void reply_probe(struct api_request *request, const char *key, const char *const *reasons,
                        size_t count)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_bool(&w, key, count == 0);
    if (count != 0) {
        json_write_key(&w, "reasons");
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++) {
            json_write_text(&w, reasons[i]);
        }
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
    api_request_json_end(request, count == 0 ? 200 : 503);
    api_request_done(request);
}

void api_status_healthz(struct api_request *request)
{
    const char *why = "a worker does not turn";
    reply_probe(request, "healthy", &why, control_is_alive(request->control) ? 0 : 1);
}

void api_status_readyz(struct api_request *request)
{
    const char *reasons[3];
    size_t count = 0;
    struct slice name = api_request_query(request, "pool");
    if (!control_is_ready(request->control, &reasons[count])) {
        count++;
    }
    if (name.ptr != NULL) {
        const struct conf_pool *pool = conf_pool_find(conf_of(request), name);
        if (pool == NULL) {
            reasons[count++] = "there is no such pool";
        } else if (api_status_tally(request, pool).usable == 0) {
            reasons[count++] = "the pool has no usable server";
        }
    }
    reply_probe(request, "ready", reasons, count);
}
