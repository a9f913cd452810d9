#include "api/api_status.h"

#include <stdio.h>

#include "api/api_admin.h"
#include "api/api_problem.h"
#include "api/api_status_inside.h"
#include "conf/conf_schema.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/now.h"
#include "lbd/stats/counters.h"
#include "lbd_version.h"

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

static void write_pool(const struct api_request *request, const struct conf_pool *pool,
                       struct json_write *w)
{
    struct api_status_tally tally = api_status_tally(request, pool);
    json_write_member_text(w, "health", tally.usable != 0 ? "up" : "down");
    json_write_member_u64(w, "usable", tally.usable);
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
    api_status_write_conditions(request, &w, conditions, count);
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
        api_status_write_conditions(
            request, &w, conditions,
            control_conditions_server(request->control, pool->name, server->name, conditions));
        api_status_write_server(request, pool->name, server, &w);
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
