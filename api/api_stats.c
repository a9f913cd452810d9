#include "api/api_stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_blocks.h"
#include "api/api_problem.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_pressure.h"
#include "lbd/stats/counters.h"

/* In the order in which they are written; the bit of a scope is 1 << section. */
enum section { PROCESS, LISTENERS, ROUTES, POOLS, SERVERS, SECTIONS };

static const char *const words[SECTIONS] = {
    [PROCESS] = "process", [LISTENERS] = "listeners", [ROUTES] = "routes",
    [POOLS] = "pools",     [SERVERS] = "servers",
};

/* One answer on its way. */
struct stats {
    struct api_blocks blocks;
    struct control *control;        /* borrowed */
    struct conf_document *document; /* held */
    const struct conf *conf;
    unsigned scopes;
    struct json_write w;
    bool is_begun;
    /* the cursor */
    unsigned section;
    bool is_open;    /* the section's object was begun */
    uint32_t index;  /* of the object; of servers: of the pool */
    uint32_t server; /* in that pool */
    size_t near;     /* see map_get_near */
};

/* -- pieces -- */

static void write_duration(struct json_write *w, const char *key,
                           const struct histogram_duration *duration)
{
    json_write_key(w, key);
    json_write_object_begin(w);
    json_write_member_u64(w, "count",
                          histogram_count(duration->buckets, HISTOGRAM_DURATION_BOUNDS + 1));
    json_write_member_double(w, "sum_ms", (double)duration->sum_us / 1000.0);
    json_write_member_double(w, "p50_ms", (double)histogram_quantile_us(duration, 500) / 1000.0);
    json_write_member_double(w, "p95_ms", (double)histogram_quantile_us(duration, 950) / 1000.0);
    json_write_member_double(w, "p99_ms", (double)histogram_quantile_us(duration, 990) / 1000.0);
    json_write_key(w, "buckets");
    json_write_array_begin(w);
    for (size_t i = 0; i < HISTOGRAM_DURATION_BOUNDS + 1; i++) {
        json_write_u64(w, duration->buckets[i]);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

/* "requests" and "responses" by the class of their answer. */
static void write_classes(struct json_write *w, const uint64_t *classes)
{
    uint64_t all = 0;
    for (size_t i = 0; i < COUNTERS_CODE_COUNT; i++) {
        all += classes[i];
    }
    json_write_member_u64(w, "requests", all);
    json_write_key(w, "responses");
    json_write_object_begin(w);
    for (size_t i = 0; i < COUNTERS_CODE_COUNT; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "%zuxx", i + 1);
        json_write_member_u64(w, key, classes[i]);
    }
    json_write_object_end(w);
}

static uint64_t sum_of(const uint64_t *numbers, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += numbers[i];
    }
    return sum;
}

/* Two numbers of a sum over workers, the smaller one read later perhaps. */
static uint64_t difference(uint64_t more, uint64_t less)
{
    return more > less ? more - less : 0;
}

/* What a listener has done; the process's is the sum of them. */
static void write_traffic(struct json_write *w, const struct counters_listener *sum)
{
    uint64_t classes[COUNTERS_CODE_COUNT];
    for (size_t i = 0; i < COUNTERS_CODE_COUNT; i++) {
        classes[i] = sum->requests[i] + sum->requests[COUNTERS_CODE_COUNT + i];
    }
    write_classes(w, classes);
    json_write_member_u64(w, "in_flight",
                          difference(sum->requests_started, sum->requests_finished));
    json_write_member_u64(w, "connections_total", sum->connections_opened);
    json_write_member_u64(w, "rejected", sum_of(sum->rejected, COUNTERS_REJECT_COUNT));
    json_write_member_u64(w, "client_aborts", sum->client_aborts);
    json_write_member_u64(w, "received_bytes", sum->received_bytes);
    json_write_member_u64(w, "sent_bytes", sum->sent_bytes);
    write_duration(w, "request_duration", &sum->request_duration);
}

static void read_listener(const struct stats *self, uint32_t index, struct counters_listener *sum)
{
    const struct registry_listener *live =
        registry_find_listener(control_registry(self->control), self->conf->listeners[index].name);
    if (live != NULL) {
        counters_read(COUNTERS_LISTENER, live->listener->id, sum);
    } else {
        *sum = (struct counters_listener){0};
    }
}

/* Of all protocols of mail together, where a listener speaks one. */
static void write_mail(struct json_write *w, const struct conf *conf)
{
    bool has_mail = false;
    uint64_t waiting = 0;
    uint64_t sessions = 0;
    uint64_t logins = 0;
    uint64_t let_in = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        has_mail = has_mail || conf_protocol_is_mail(conf->listeners[i].protocol);
    }
    if (!has_mail) {
        return;
    }
    for (uint32_t i = 0; i < COUNTERS_MAIL_PROTOCOLS; i++) {
        struct counters_mail sum;
        counters_read(COUNTERS_MAIL, i, &sum);
        waiting += difference(sum.clients, sum.clients_gone);
        sessions += difference(sum.sessions, sum.sessions_ended);
        logins += sum_of(sum.logins, ARRAY_LEN(sum.logins));
        for (size_t m = 0; m < COUNTERS_MAIL_MECHANISMS; m++) {
            let_in += sum.logins[m * COUNTERS_LOGIN_COUNT + COUNTERS_LOGIN_OK];
        }
    }
    json_write_key(w, "mail");
    json_write_object_begin(w);
    json_write_member_u64(w, "clients", waiting);
    json_write_member_u64(w, "sessions", sessions);
    json_write_member_u64(w, "logins", logins);
    json_write_member_u64(w, "failed_logins", difference(logins, let_in));
    json_write_object_end(w);
}

/* What connections and requests have, and how near the limits are. */
static void write_pressure(struct json_write *w, const struct control *control,
                           const struct control_facts *facts)
{
    uint64_t memory = 0;
    for (uint32_t i = 0; i < facts->workers; i++) {
        struct counters_loop sum;
        counters_read(COUNTERS_LOOP, i, &sum);
        memory += sum.memory_bytes;
    }
    json_write_member_u64(w, "memory_bytes", memory);
    json_write_member_u64(w, "memory_limit_bytes", facts->max_memory_bytes);
    json_write_key(w, "overload");
    json_write_object_begin(w);
    for (unsigned i = 0; i < PRESSURE_KINDS; i++) {
        enum pressure_kind kind = (enum pressure_kind)i;
        json_write_member_text(w, pressure_kind_word(kind),
                               pressure_stage_word(kind, control_pressure(control, kind)));
    }
    json_write_object_end(w);
}

/* -- sections: each writes one object and steps on -- */

static bool write_process(struct stats *self)
{
    struct json_write *w = &self->w;
    const struct control_facts *facts = control_facts(self->control);
    uint64_t now = now_wall_us();
    uint64_t connections = 0;
    struct counters_listener all = {0};
    if (self->index++ != 0) {
        return false;
    }
    for (uint32_t i = 0; i < self->conf->listener_count; i++) {
        struct counters_listener one;
        read_listener(self, i, &one);
        for (size_t slot = 0; slot < sizeof(all) / sizeof(uint64_t); slot++) {
            ((uint64_t *)&all)[slot] += ((const uint64_t *)&one)[slot];
        }
    }
    for (uint32_t i = 0; i < facts->workers; i++) {
        connections += control_worker(self->control, i).connections;
    }
    json_write_member_u64(w, "uptime_seconds",
                          now > facts->started_wall_us ? (now - facts->started_wall_us) / 1000000U
                                                       : 0);
    json_write_member_u64(w, "workers", facts->workers);
    json_write_member_u64(w, "connections", connections);
    json_write_member_u64(w, "connections_limit", facts->max_connections);
    write_pressure(w, self->control, facts);
    write_traffic(w, &all);
    write_mail(w, self->conf);
    return true;
}

static bool write_listener(struct stats *self)
{
    struct counters_listener sum;
    if (self->index == self->conf->listener_count) {
        return false;
    }
    read_listener(self, self->index, &sum);
    json_write_key_slice(&self->w, self->conf->listeners[self->index].name);
    json_write_object_begin(&self->w);
    json_write_member_u64(&self->w, "connections",
                          difference(sum.connections_opened, sum.connections_closed));
    write_traffic(&self->w, &sum);
    json_write_object_end(&self->w);
    self->index++;
    return true;
}

static bool write_route(struct stats *self)
{
    if (self->index == self->conf->route_count) {
        return false;
    }
    struct slice name = self->conf->routes[self->index++].name;
    const struct registry_route *live = registry_find_route(control_registry(self->control), name);
    struct counters_route sum = {0};
    if (live != NULL) {
        counters_read(COUNTERS_ROUTE, live->id, &sum);
    }
    json_write_key_slice(&self->w, name);
    json_write_object_begin(&self->w);
    write_classes(&self->w, sum.requests);
    json_write_object_end(&self->w);
    return true;
}

static uint32_t count_usable(const struct registry_pool *live)
{
    uint32_t usable = 0;
    const struct map_entry *entry = NULL;
    map_for_each (entry, &live->servers) {
        usable += server_is_usable(((const struct registry_server *)entry->value)->server) ? 1 : 0;
    }
    return usable;
}

static bool write_pool(struct stats *self)
{
    struct json_write *w = &self->w;
    if (self->index == self->conf->pool_count) {
        return false;
    }
    const struct conf_pool *conf = &self->conf->pools[self->index++];
    const struct registry_pool *live =
        registry_find_pool(control_registry(self->control), conf->name);
    struct counters_pool sum = {0};
    if (live != NULL) {
        counters_read(COUNTERS_POOL, live->id, &sum);
    }
    json_write_key_slice(w, conf->name);
    json_write_object_begin(w);
    json_write_member_u64(w, "servers", conf->server_count);
    json_write_member_u64(w, "usable", live != NULL ? count_usable(live) : 0);
    write_classes(w, sum.responses);
    json_write_member_u64(w, "in_flight", difference(sum.requests_started, sum.requests_finished));
    json_write_member_u64(w, "queued", difference(sum.queue_entered, sum.queue_left));
    json_write_member_u64(w, "connections",
                          difference(sum.connections_opened, sum.connections_closed));
    json_write_member_u64(w, "idle_connections", difference(sum.idle_added, sum.idle_removed));
    json_write_member_u64(w, "connects", sum.connects);
    json_write_member_u64(w, "reuses", sum.reuses);
    json_write_member_u64(w, "errors", sum_of(sum.errors, COUNTERS_ERROR_COUNT));
    json_write_member_u64(w, "retries", sum.retries);
    json_write_member_u64(w, "no_server", sum.no_server);
    json_write_member_u64(w, "received_bytes", sum.received_bytes);
    json_write_member_u64(w, "sent_bytes", sum.sent_bytes);
    write_duration(w, "connect_duration", &sum.connect_duration);
    write_duration(w, "response_duration", &sum.response_duration);
    json_write_object_end(w);
    return true;
}

static void write_one_server(struct json_write *w, const struct conf_pool *pool,
                             const struct conf_server *conf, const struct registry_server *live)
{
    const struct server *server = live->server;
    struct counters_server sum;
    counters_read(COUNTERS_SERVER, server->id, &sum);
    json_write_object_begin(w);
    json_write_member_text(w, "health", server_health_word(server->health));
    json_write_member_text(w, "admin", server_admin_word(server->admin));
    json_write_member_u64(w, "weight", registry_server_weight_now(live, pool, conf, now_ms()));
    json_write_member_u64(w, "in_flight",
                          atomic_load_explicit(&server->load.in_flight, memory_order_relaxed));
    json_write_member_u64(w, "connections",
                          difference(sum.connections_opened, sum.connections_closed));
    write_classes(w, sum.responses);
    json_write_member_u64(w, "errors", sum.errors);
    json_write_member_u64(w, "received_bytes", sum.received_bytes);
    json_write_member_u64(w, "sent_bytes", sum.sent_bytes);
    json_write_member_double(w, "response_sum_ms", (double)sum.response_us / 1000.0);
    json_write_object_end(w);
}

static bool write_server(struct stats *self)
{
    while (self->index < self->conf->pool_count &&
           self->server == self->conf->pools[self->index].server_count) {
        self->index++;
        self->server = 0;
        self->near = 0;
    }
    if (self->index == self->conf->pool_count) {
        return false;
    }
    const struct conf_pool *pool = &self->conf->pools[self->index];
    const struct conf_server *conf = &pool->servers[self->server++];
    const struct registry_pool *home =
        registry_find_pool(control_registry(self->control), pool->name);
    const struct registry_server *live =
        home != NULL ? map_get_near(&home->servers, conf->name, &self->near) : NULL;
    if (live != NULL) {
        char key[160];
        int len =
            snprintf(key, sizeof(key), "%.*s/%.*s", SLICE_ARG(pool->name), SLICE_ARG(conf->name));
        json_write_key_slice(&self->w, slice_of(key, (size_t)len));
        write_one_server(&self->w, pool, conf, live);
    }
    return true;
}

/* -- the answer -- */

/* Writes something and steps on; false: all sections are done. */
static bool step(struct stats *self)
{
    static bool (*const writers[SECTIONS])(struct stats * self) = {
        [PROCESS] = write_process, [LISTENERS] = write_listener, [ROUTES] = write_route,
        [POOLS] = write_pool,      [SERVERS] = write_server,
    };
    if (self->section == SECTIONS) {
        return false;
    }
    if (!self->is_open && (self->scopes & (1U << self->section)) != 0) {
        self->is_open = true;
        json_write_key(&self->w, words[self->section]);
        json_write_object_begin(&self->w);
    }
    if (!self->is_open || !writers[self->section](self)) {
        if (self->is_open) {
            json_write_object_end(&self->w);
        }
        self->is_open = false;
        self->section++;
        self->index = 0;
        self->server = 0;
        self->near = 0;
    }
    return true;
}

static void begin(struct stats *self, struct buf *out)
{
    struct json_write *w = &self->w;
    json_write_init(w, out, JSON_COMPACT);
    json_write_object_begin(w);
    api_request_write_time(w, "time", now_wall_us());
    json_write_member_u64(w, "revision", control_facts(self->control)->revision);
    json_write_key(w, "bounds_ms");
    json_write_array_begin(w);
    for (size_t i = 0; i < HISTOGRAM_DURATION_BOUNDS; i++) {
        json_write_double(w, (double)histogram_bounds_us[i] / 1000.0);
    }
    json_write_array_end(w);
}

static bool make_more(struct api_blocks *blocks, struct buf *out, size_t bytes)
{
    struct stats *self = container_of(blocks, struct stats, blocks);
    if (!self->is_begun) {
        self->is_begun = true;
        begin(self, out);
    }
    self->w.out = out;
    while (out->len < bytes) {
        if (!step(self)) {
            json_write_object_end(&self->w);
            return false;
        }
    }
    return true;
}

static void fini(struct api_blocks *blocks)
{
    struct stats *self = container_of(blocks, struct stats, blocks);
    conf_document_unref(self->document);
    free(self);
}

static bool parse_scopes(struct api_request *request, unsigned *scopes)
{
    struct slice rest = api_request_query(request, "scope");
    struct slice word;
    *scopes = rest.ptr == NULL ? (1U << SECTIONS) - 1U : 0;
    while (slice_split(&rest, ',', &word)) {
        unsigned section = 0;
        while (section < SECTIONS && !slice_eq(word, slice_from(words[section]))) {
            section++;
        }
        if (section == SECTIONS) {
            api_problem(request, "unknown-parameter",
                        "'%.*s' is no scope: process, listeners, routes, pools, servers",
                        SLICE_ARG(word));
            return false;
        }
        *scopes |= 1U << section;
    }
    return true;
}

void api_stats_get(struct api_request *request)
{
    unsigned scopes = 0;
    if (parse_scopes(request, &scopes)) {
        struct stats *self = mem_zero(1, sizeof(*self));
        self->control = request->control;
        self->document = conf_document_ref(control_running(request->control));
        self->conf = conf_document_conf(self->document);
        self->scopes = scopes;
        api_blocks_start(request, &self->blocks, make_more, fini);
        request->reply.status = 200;
        request->reply.content_type = "application/json";
    }
    api_request_done(request);
}
