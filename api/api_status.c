#include "api/api_status.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/api_admin.h"
#include "api/api_problem.h"
#include "api/api_scrape.h"
#include "conf/conf_schema.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/now.h"
#include "lbd/control/control_conditions.h"
#include "lbd/stats/counters.h"
#include "lbd_version.h"

/* -- conditions -- */

static void write_conditions(const struct api_request *request, struct json_write *w,
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

struct tally {
    uint32_t servers;
    uint32_t usable;
    uint64_t since_wall_us; /* the newest change of a server */
};

static const struct registry_server *find_live(const struct api_request *request, struct slice pool,
                                               struct slice server)
{
    return registry_find_server(control_registry(request->control), pool, server);
}

/* Its members. */
static void write_server(const struct api_request *request, struct slice pool,
                         const struct conf_server *conf, struct json_write *w)
{
    const struct registry_server *live = find_live(request, pool, conf->name);
    bool is_by_hand = control_override(request->control, pool, conf->name) != NULL;
    if (live == NULL) { /* cannot be: the registry knows what the document names */
        return;
    }

    const struct server *server = live->server;
    bool is_usable = server_is_usable(server);
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
    }
    json_write_member_text(w, "health", server_health_word(server->health));
    json_write_member_text(w, "admin", server_admin_word(server->admin));
    json_write_member_bool(w, "overridden", is_by_hand || live->weight != 0);
    uint32_t weight = live->weight != 0 ? live->weight : conf->weight;
    json_write_member_u64(w, "effective_weight", is_usable ? weight : 0);
    json_write_member_u64(w, "connections",
                          atomic_load_explicit(&server->load.in_flight, memory_order_relaxed));
    if (server->last_check[0] != '\0') {
        json_write_member_text(w, "last_check", server->last_check);
    }
    api_request_write_time(w, "since", server->since_wall_us);
    if (server->admin != SERVER_READY) {
        char key[OVERRIDES_KEY_MAX];
        api_admin_write_drain(request, w, OVERRIDE_ADMIN,
                              overrides_server_key(pool, conf->name, key));
    }
}

static struct tally tally_of(const struct api_request *request, const struct conf_pool *pool)
{
    struct tally tally = {.servers = pool->server_count};
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct registry_server *live = find_live(request, pool->name, pool->servers[i].name);
        if (live == NULL) {
            continue;
        }
        tally.usable += server_is_usable(live->server) ? 1 : 0;
        if (live->server->since_wall_us > tally.since_wall_us) {
            tally.since_wall_us = live->server->since_wall_us;
        }
    }
    if (tally.since_wall_us == 0) {
        tally.since_wall_us = control_facts(request->control)->started_wall_us;
    }
    return tally;
}

static void write_pool(const struct api_request *request, const struct conf_pool *pool,
                       struct json_write *w)
{
    struct tally tally = tally_of(request, pool);
    json_write_member_text(w, "health", tally.usable != 0 ? "up" : "down");
    json_write_member_u64(w, "usable", tally.usable);
    json_write_key(w, "servers");
    json_write_object_begin(w);
    for (uint32_t i = 0; i < pool->server_count; i++) {
        json_write_key_slice(w, pool->servers[i].name);
        json_write_object_begin(w);
        write_server(request, pool->name, &pool->servers[i], w);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static const struct conf *conf_of(const struct api_request *request)
{
    return conf_document_conf(control_document(request->control));
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
    write_conditions(request, &w, conditions, count);
    write_pool(request, pool, &w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
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
        write_conditions(
            request, &w, conditions,
            control_conditions_server(request->control, pool->name, server->name, conditions));
        write_server(request, pool->name, server, &w);
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

static void write_listener(const struct api_request *request, const struct conf_listener *conf,
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
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
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
    write_conditions(request, &w, conditions, count);
    write_listener(request, listener, &w);
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
        write_conditions(request, &w, conditions, count);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- the process -- */

static void write_problem(struct json_write *w, const char *message, const char *fmt, ...)
    LB_PRINTF(3, 4);

static void write_problem(struct json_write *w, const char *message, const char *fmt, ...)
{
    char pointer[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(pointer, sizeof(pointer), fmt, args);
    va_end(args);
    json_write_object_begin(w);
    json_write_member_text(w, "pointer", pointer);
    json_write_member_text(w, "message", message);
    json_write_object_end(w);
}

static void write_pool_problems(const struct api_request *request, const struct conf_pool *pool,
                                struct json_write *w)
{
    char message[256];
    struct tally tally = tally_of(request, pool);
    if (tally.usable == 0) {
        write_problem(w, tally.servers != 0 ? "no server is usable" : "has no servers",
                      "#/pools/%.*s", SLICE_ARG(pool->name));
    }
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct registry_server *live = find_live(request, pool->name, pool->servers[i].name);
        if (live == NULL ||
            (live->server->health != SERVER_DOWN && live->server->health != SERVER_UNRESOLVED)) {
            continue;
        }
        (void)snprintf(message, sizeof(message), "%s%s%s", server_health_word(live->server->health),
                       live->server->last_check[0] != '\0' ? ": " : "", live->server->last_check);
        write_problem(w, message, "#/pools/%.*s/servers/%.*s", SLICE_ARG(pool->name),
                      SLICE_ARG(pool->servers[i].name));
    }
}

static void write_problems(struct api_request *request, struct json_write *w)
{
    const struct control_facts *facts = control_facts(request->control);
    const struct conf *conf = conf_of(request);
    const char *why = NULL;

    json_write_key(w, "problems");
    json_write_array_begin(w);
    if (!control_is_ready(request->control, &why)) {
        write_problem(w, why, "%s", "");
    }
    if (facts->is_degraded) {
        write_problem(w, "saved state was damaged; see the log", "%s", "");
    }
    if (!facts->last_apply_succeeded) {
        write_problem(w, "the last change was refused; the configuration before it runs", "%s", "");
    }
    if (facts->is_seed_different) {
        write_problem(w,
                      "the file differs from the saved configuration, which is the one that runs",
                      "%s", "");
    }
    if (!api_scrape_size(request->control).fits) {
        write_problem(w, "metrics leave servers out: more than max_series", "%s",
                      "#/observability/metrics/max_series");
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        write_pool_problems(request, &conf->pools[i], w);
    }
    json_write_array_end(w);
}

static const char *state_word(struct api_request *request)
{
    const char *why = NULL;
    if (control_is_drained(request->control)) {
        return "draining";
    }
    return control_is_ready(request->control, &why) ? "ready" : "starting";
}

/* The size of a scrape is known here, the rest in control. */
static uint32_t find_conditions(const struct api_request *request,
                                struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    struct api_scrape_size size = api_scrape_size(request->control);
    uint32_t count = control_conditions_process(request->control, out);
    struct control_condition *metrics = &out[count++];
    metrics->type = "MetricsComplete";
    metrics->status = size.fits;
    metrics->reason = size.fits ? "WithinBudget" : "ServersOmitted";
    (void)snprintf(metrics->message, sizeof(metrics->message),
                   "%llu series, observability.metrics.max_series is %llu%s",
                   (unsigned long long)size.series, (unsigned long long)size.max,
                   size.fits ? "" : ": servers are left out");
    control_conditions_metrics(request->control, metrics);
    return count;
}

void api_status_overview(struct api_request *request)
{
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    const struct control_facts *facts = control_facts(request->control);
    const struct conf *conf = conf_of(request);
    uint64_t now = now_wall_us();
    struct json_write w;

    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "version", LBD_VERSION);
    json_write_member_text(&w, "state", state_word(request));
    json_write_member_u64(&w, "revision", facts->revision);
    write_conditions(request, &w, conditions, find_conditions(request, conditions));
    json_write_member_text(&w, "source", control_source_word(facts->source));
    api_request_write_time(&w, "started", facts->started_wall_us);
    json_write_member_u64(&w, "uptime_seconds",
                          now > facts->started_wall_us ? (now - facts->started_wall_us) / 1000000
                                                       : 0);
    json_write_member_u64(&w, "workers", facts->workers);
    json_write_key(&w, "listeners");
    json_write_object_begin(&w);
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        json_write_key_slice(&w, conf->listeners[i].name);
        json_write_object_begin(&w);
        write_listener(request, &conf->listeners[i], &w);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    json_write_key(&w, "pools");
    json_write_object_begin(&w);
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        json_write_key_slice(&w, conf->pools[i].name);
        json_write_object_begin(&w);
        write_pool(request, &conf->pools[i], &w);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    write_problems(request, &w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

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
        } else if (tally_of(request, pool).usable == 0) {
            reasons[count++] = "the pool has no usable server";
        }
    }
    reply_probe(request, "ready", reasons, count);
}
