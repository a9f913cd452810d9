#include "api/api_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api_problem.h"
#include "api/api_table.h"
#include "lbd/base/arena.h"
#include "lbd/base/log.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/control/control_health.h"
#include "lbd/stats/counters_export.h"
#include "lbd/tls/digest.h"
#include "lbd_version.h"

#define SERVER_SERIES_BASIC 6 /* lines per server */

/* Codes of the API's own answers; the last one stands for all others. */
static const unsigned codes[] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 409,
                                 410, 412, 413, 415, 422, 428, 429, 500, 503, 507, 0};
static const char *const methods[] = {"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "other"};
enum { ROWS_MAX = 128 };
static uint64_t answered[ROWS_MAX][ARRAY_LEN(methods)][ARRAY_LEN(codes)];

void api_metrics_note(size_t row, const char *method, unsigned status)
{
    size_t m = 0;
    size_t c = 0;
    while (m + 1 < ARRAY_LEN(methods) && strcmp(methods[m], method) != 0) {
        m++;
    }
    while (c + 1 < ARRAY_LEN(codes) && codes[c] != status) {
        c++;
    }
    answered[row < api_table_count() ? row : api_table_count()][m][c]++;
}

/* What one scrape is made from. */
struct scrape {
    struct control *control;
    const struct conf *conf;
    struct prometheus out;
    struct arena arena;
    struct buf labels;
    bool with_servers;
    bool full;
};

static void family(struct scrape *scrape, const char *name, enum prometheus_type type,
                   const char *help)
{
    prometheus_family(&scrape->out, name, type, help);
}

static void single(struct scrape *scrape, const char *name, enum prometheus_type type,
                   uint64_t value, const char *help)
{
    family(scrape, name, type, help);
    prometheus_sample(&scrape->out, SLICE_NONE, value);
}

static void single_us(struct scrape *scrape, const char *name, enum prometheus_type type,
                      uint64_t value_us, const char *help)
{
    family(scrape, name, type, help);
    prometheus_sample_unit(&scrape->out, SLICE_NONE, value_us, PROMETHEUS_MICROSECONDS);
}

/* The labels of one sample; valid until the next call. */
static struct slice label(struct scrape *scrape, const char *name, struct slice value)
{
    buf_clear(&scrape->labels);
    prometheus_label(&scrape->labels, name, value);
    return buf_slice(&scrape->labels);
}

static struct slice label2(struct scrape *scrape, const char *a, struct slice a_value,
                           const char *b, struct slice b_value)
{
    buf_clear(&scrape->labels);
    prometheus_label(&scrape->labels, a, a_value);
    prometheus_label(&scrape->labels, b, b_value);
    return buf_slice(&scrape->labels);
}

/* -- process -- */

static uint64_t count_files(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    for (const struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        count += item->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(dir);
    return count != 0 ? count - 1 : 0; /* without the directory itself */
}

static void read_memory(uint64_t *virtual_bytes, uint64_t *resident_bytes)
{
    unsigned long long total = 0;
    unsigned long long resident = 0;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &total, &resident) != 2) {
            total = resident = 0;
        }
        (void)fclose(file);
    }
    *virtual_bytes = total * page;
    *resident_bytes = resident * page;
}

static void write_process(struct scrape *scrape)
{
    struct rusage usage;
    struct rlimit limit = {0};
    uint64_t virtual_bytes = 0;
    uint64_t resident_bytes = 0;

    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    read_memory(&virtual_bytes, &resident_bytes);
    uint64_t cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000U +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);

    family(scrape, "lbd_build_info", PROMETHEUS_GAUGE, "Version of this program; always 1.");
    struct slice version = SLICE(LBD_VERSION);
    size_t plus = slice_find(version, '+'); /* "0.1.0+g1a2b3c4d5e" */
    struct slice revision = plus < version.len ? slice_from_at(version, plus + 1) : SLICE_NONE;
    (void)label2(scrape, "version", version, "revision", revision);
    prometheus_label(&scrape->labels, "openssl", slice_from(digest_library_version()));
    prometheus_label(&scrape->labels, "libevent", slice_from(loop_library_version()));
    prometheus_sample(&scrape->out, buf_slice(&scrape->labels), 1);
    single_us(scrape, "process_cpu_seconds_total", PROMETHEUS_COUNTER, cpu_us,
              "User and system CPU time.");
    single(scrape, "process_resident_memory_bytes", PROMETHEUS_GAUGE, resident_bytes,
           "Resident memory.");
    single(scrape, "process_virtual_memory_bytes", PROMETHEUS_GAUGE, virtual_bytes,
           "Virtual memory.");
    single(scrape, "process_open_fds", PROMETHEUS_GAUGE, count_files(), "Open descriptors.");
    single(scrape, "process_max_fds", PROMETHEUS_GAUGE, limit.rlim_cur, "Limit of descriptors.");
    single_us(scrape, "process_start_time_seconds", PROMETHEUS_GAUGE,
              control_facts(scrape->control)->started_wall_us, "When the process started.");
    single(scrape, "lbd_log_messages_dropped_total", PROMETHEUS_COUNTER,
           log_dropped() + control_access_log_dropped(scrape->control),
           "Lines of the log and the access log that could not be written.");
}

/* -- control -- */

static void write_applies(struct scrape *scrape)
{
    static const char *const words[CONTROL_APPLY_WORDS] = {
        [CONTROL_APPLIED] = "applied",
        [CONTROL_UNCHANGED] = "unchanged",
        [CONTROL_REJECTED] = "rejected",
        [CONTROL_FAILED] = "failed",
    };
    const struct control_facts *facts = control_facts(scrape->control);
    family(scrape, "lbd_config_applies_total", PROMETHEUS_COUNTER,
           "Changes asked for, by what came of them.");
    for (size_t i = 0; i < CONTROL_APPLY_WORDS; i++) {
        prometheus_sample(&scrape->out, label(scrape, "result", slice_from(words[i])),
                          facts->applies[i]);
    }
    family(scrape, "lbd_config_apply_duration_seconds", PROMETHEUS_HISTOGRAM,
           "Time from a change's arrival to its adoption by all workers.");
    prometheus_durations(&scrape->out, SLICE_NONE, &facts->apply_duration);
    family(scrape, "lbd_config_persist_duration_seconds", PROMETHEUS_HISTOGRAM,
           "Time to save a change.");
    prometheus_durations(&scrape->out, SLICE_NONE, &facts->persist_duration);
    single(scrape, "lbd_config_persist_failures_total", PROMETHEUS_COUNTER, facts->persist_failures,
           "Saves that failed.");
}

static void write_objects(struct scrape *scrape)
{
    const struct conf *conf = scrape->conf;
    uint64_t servers = 0;
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        servers += conf->pools[i].server_count;
    }
    const struct {
        struct slice kind;
        uint64_t count;
    } counts[] = {
        {SLICE("listeners"), conf->listener_count},
        {SLICE("routes"), conf->route_count},
        {SLICE("pools"), conf->pool_count},
        {SLICE("servers"), servers},
        {SLICE("health_checks"), conf->health_check_count},
    };
    family(scrape, "lbd_config_objects", PROMETHEUS_GAUGE, "Objects of the configuration.");
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        prometheus_sample(&scrape->out, label(scrape, "kind", counts[i].kind), counts[i].count);
    }
    family(scrape, "lbd_config_overrides", PROMETHEUS_GAUGE, "Settings overridden by hand.");
    prometheus_sample(&scrape->out, label(scrape, "kind", SLICE("admin_state")),
                      control_override_count(scrape->control));
}

static void write_config(struct scrape *scrape)
{
    const struct control_facts *facts = control_facts(scrape->control);
    char hash[CONTROL_ETAG_MAX] = "";

    (void)control_etag(control_document(scrape->control), SLICE_NONE, hash);
    single(scrape, "lbd_config_revision", PROMETHEUS_GAUGE, facts->revision,
           "Revision of the configuration.");
    family(scrape, "lbd_config_info", PROMETHEUS_GAUGE,
           "Hash and source of the configuration; always 1.");
    prometheus_sample(&scrape->out,
                      label2(scrape, "hash", slice_from(hash), "source",
                             slice_from(control_source_word(facts->source))),
                      1);
    single(scrape, "lbd_config_last_apply_success", PROMETHEUS_GAUGE,
           facts->last_apply_succeeded ? 1 : 0, "Was the last change accepted?");
    single_us(scrape, "lbd_config_last_apply_timestamp_seconds", PROMETHEUS_GAUGE,
              facts->last_apply_wall_us, "When a change was accepted last.");
    single(scrape, "lbd_config_seed_differs", PROMETHEUS_GAUGE, facts->is_seed_different ? 1 : 0,
           "Does the file differ from the saved configuration?");
    write_objects(scrape);
    single(scrape, "lbd_snapshots", PROMETHEUS_GAUGE, facts->snapshots,
           "Configurations that are still in use.");
    write_applies(scrape);
}

static void write_api(struct scrape *scrape)
{
    family(scrape, "lbd_api_requests_total", PROMETHEUS_COUNTER, "Requests to this API.");
    for (size_t r = 0; r <= api_table_count(); r++) {
        const char *route = r < api_table_count() ? api_table_row(r)->pattern : "none";
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            for (size_t c = 0; c < ARRAY_LEN(codes); c++) {
                if (answered[r][m][c] == 0) {
                    continue;
                }
                char code[8];
                (void)snprintf(code, sizeof(code), "%u", codes[c]);
                (void)label2(scrape, "method", slice_from(methods[m]), "route", slice_from(route));
                prometheus_label(&scrape->labels, "code",
                                 codes[c] != 0 ? slice_from(code) : SLICE("other"));
                prometheus_sample(&scrape->out, buf_slice(&scrape->labels), answered[r][m][c]);
            }
        }
    }
}

/* -- workers -- */

static struct slice keep(struct scrape *scrape, struct slice labels)
{
    return arena_copy(&scrape->arena, labels);
}

static void write_workers(struct scrape *scrape)
{
    const struct control_facts *facts = control_facts(scrape->control);
    struct counters_object *objects =
        arena_alloc(&scrape->arena, facts->workers * sizeof(*objects));
    uint64_t connections = 0;
    for (uint32_t i = 0; i < facts->workers; i++) {
        char number[NUM_TEXT_MAX];
        (void)num_write_u64(number, i);
        objects[i] = (struct counters_object){
            .id = i, .labels = keep(scrape, label(scrape, "worker", slice_from(number)))};
        connections += control_worker(scrape->control, i).connections;
    }
    single(scrape, "lbd_workers", PROMETHEUS_GAUGE, facts->workers, "Worker threads.");
    single(scrape, "lbd_connections", PROMETHEUS_GAUGE, connections,
           "Client connections that are open.");
    single(scrape, "lbd_connections_limit", PROMETHEUS_GAUGE, facts->max_connections,
           "Client connections that may be open.");
    counters_export(&scrape->out, COUNTERS_LOOP, scrape->full, objects, facts->workers);
}

/* -- listeners and routes -- */

static void write_listeners(struct scrape *scrape)
{
    const struct conf *conf = scrape->conf;
    const struct registry *registry = control_registry(scrape->control);
    struct counters_object *objects =
        arena_alloc(&scrape->arena, (conf->listener_count + 1) * sizeof(*objects));
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct registry_listener *live =
            registry_find_listener(registry, conf->listeners[i].name);
        if (live != NULL) {
            objects[count++] = (struct counters_object){
                .id = live->listener->id,
                .labels = keep(scrape, label(scrape, "listener", conf->listeners[i].name))};
        }
    }
    if (count == 0) {
        return;
    }
    bool is_up = !control_facts(scrape->control)->is_draining;
    family(scrape, "lbd_listener_up", PROMETHEUS_GAUGE, "Does the listener accept connections?");
    for (uint32_t i = 0; i < count; i++) {
        prometheus_sample(&scrape->out, objects[i].labels, is_up ? 1 : 0);
    }
    family(scrape, "lbd_listener_connections_limit", PROMETHEUS_GAUGE,
           "Connections that may be open; 0 stands for no limit of its own.");
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        prometheus_sample(&scrape->out, label(scrape, "listener", conf->listeners[i].name),
                          conf->listeners[i].limits.connections);
    }
    counters_export(&scrape->out, COUNTERS_LISTENER, scrape->full, objects, count);
}

static void write_routes(struct scrape *scrape)
{
    const struct conf *conf = scrape->conf;
    const struct registry *registry = control_registry(scrape->control);
    struct counters_object *objects =
        arena_alloc(&scrape->arena, (conf->route_count + 1) * sizeof(*objects));
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct registry_route *live = registry_find_route(registry, conf->routes[i].name);
        if (live != NULL) {
            objects[count++] = (struct counters_object){
                .id = live->id,
                .labels = keep(scrape, label(scrape, "route", conf->routes[i].name))};
        }
    }
    counters_export(&scrape->out, COUNTERS_ROUTE, scrape->full, objects, count);
}

/* -- pools and servers -- */

enum server_word { WORD_UP, WORD_DOWN, WORD_STARTING, WORD_DRAINING, WORD_MAINTENANCE, WORDS };

static enum server_word word_of(const struct server *server)
{
    if (server->admin != SERVER_READY) {
        return server->admin == SERVER_DRAIN ? WORD_DRAINING : WORD_MAINTENANCE;
    }
    switch (server->health) {
    case SERVER_UP:
        return WORD_UP;
    case SERVER_STARTING:
        return WORD_STARTING;
    case SERVER_DOWN:
    case SERVER_UNRESOLVED:
        break;
    }
    return WORD_DOWN;
}

static void write_pool_servers(struct scrape *scrape)
{
    static const char *const words[WORDS] = {
        [WORD_UP] = "up",
        [WORD_DOWN] = "down",
        [WORD_STARTING] = "starting",
        [WORD_DRAINING] = "draining",
        [WORD_MAINTENANCE] = "maintenance",
    };
    family(scrape, "lbd_pool_servers", PROMETHEUS_GAUGE, "Servers of a pool by state.");
    for (uint32_t i = 0; i < scrape->conf->pool_count; i++) {
        const struct registry_pool *live =
            registry_find_pool(control_registry(scrape->control), scrape->conf->pools[i].name);
        uint64_t counts[WORDS] = {0};
        struct map_entry *entry = NULL;
        if (live == NULL) {
            continue;
        }
        map_for_each (entry, &live->servers) {
            const struct registry_server *server = entry->value;
            counts[word_of(server->server)]++;
        }
        for (size_t s = 0; s < WORDS; s++) {
            prometheus_sample(
                &scrape->out,
                label2(scrape, "pool", scrape->conf->pools[i].name, "state", slice_from(words[s])),
                counts[s]);
        }
    }
}

/* Health keeps its own sums; they are shown through the block of the pool that control writes. */
static void take_over_checks(const struct scrape *scrape, const struct conf_pool *pool, uint32_t id)
{
    const struct control_health_stats *stats =
        control_health_stats(control_checks(scrape->control), pool->name);
    if (stats == NULL) {
        return;
    }
    struct counters_pool *block = counters_of_pool(counters_control(), id);
    counter_set(&block->checks[COUNTERS_CHECK_PASSED], stats->passed);
    counter_set(&block->checks[COUNTERS_CHECK_FAILED], stats->failed);
    counter_set(&block->checks_late, stats->late);
    for (size_t i = 0; i < ARRAY_LEN(block->check_duration.buckets); i++) {
        counter_set(&block->check_duration.buckets[i], stats->duration.buckets[i]);
    }
    counter_set(&block->check_duration.sum_us, stats->duration.sum_us);
}

static void write_pools(struct scrape *scrape)
{
    const struct conf *conf = scrape->conf;
    struct counters_object *objects =
        arena_alloc(&scrape->arena, (conf->pool_count + 1) * sizeof(*objects));
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct registry_pool *live =
            registry_find_pool(control_registry(scrape->control), conf->pools[i].name);
        if (live != NULL) {
            take_over_checks(scrape, &conf->pools[i], live->id);
            objects[count++] = (struct counters_object){
                .id = live->id, .labels = keep(scrape, label(scrape, "pool", conf->pools[i].name))};
        }
    }
    if (count != 0) {
        write_pool_servers(scrape);
    }
    counters_export(&scrape->out, COUNTERS_POOL, scrape->full, objects, count);
}

struct listed_server {
    const struct conf_server *conf;
    const struct server *live;
};

static void write_servers(struct scrape *scrape, uint64_t total)
{
    const struct conf *conf = scrape->conf;
    struct listed_server *servers = arena_alloc(&scrape->arena, (total + 1) * sizeof(*servers));
    struct counters_object *objects = arena_alloc(&scrape->arena, (total + 1) * sizeof(*objects));
    size_t count = 0;
    for (uint32_t p = 0; p < conf->pool_count; p++) {
        const struct conf_pool *pool = &conf->pools[p];
        for (uint32_t s = 0; s < pool->server_count; s++) {
            const struct registry_server *live = registry_find_server(
                control_registry(scrape->control), pool->name, pool->servers[s].name);
            if (live == NULL) {
                continue;
            }
            servers[count] = (struct listed_server){&pool->servers[s], live->server};
            objects[count].id = live->server->id;
            objects[count].labels =
                keep(scrape, label2(scrape, "pool", pool->name, "server", pool->servers[s].name));
            count++;
        }
    }
    if (count == 0) {
        return;
    }

    family(scrape, "lbd_server_up", PROMETHEUS_GAUGE, "Is the server healthy?");
    for (size_t i = 0; i < count; i++) {
        prometheus_sample(&scrape->out, objects[i].labels,
                          servers[i].live->health == SERVER_UP ? 1 : 0);
    }
    family(scrape, "lbd_server_weight", PROMETHEUS_GAUGE,
           "Weight of the server now; 0 while it is not usable.");
    for (size_t i = 0; i < count; i++) {
        prometheus_sample(&scrape->out, objects[i].labels,
                          server_is_usable(servers[i].live) ? servers[i].conf->weight : 0);
    }
    family(scrape, "lbd_server_health_transitions_total", PROMETHEUS_COUNTER,
           "Changes of the server's health.");
    for (size_t i = 0; i < count; i++) {
        prometheus_sample(&scrape->out, objects[i].labels, servers[i].live->transitions);
    }
    counters_export(&scrape->out, COUNTERS_SERVER, scrape->full, objects, count);
}

static void write_all_servers(struct scrape *scrape)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < scrape->conf->pool_count; i++) {
        total += scrape->conf->pools[i].server_count;
    }
    bool fits = total * SERVER_SERIES_BASIC <= API_METRICS_SERIES_MAX;
    family(scrape, "lbd_metrics_scope_omitted", PROMETHEUS_GAUGE,
           "Was a scope left out because it has too many series?");
    prometheus_sample(&scrape->out, label(scrape, "scope", SLICE("server")),
                      scrape->with_servers && !fits ? 1 : 0);
    if (scrape->with_servers && fits) {
        write_servers(scrape, total);
    }
}

void api_metrics_get(struct api_request *request)
{
    struct slice scope = api_request_query(request, "scope");
    struct scrape scrape = {
        .control = request->control,
        .conf = conf_document_conf(control_document(request->control)),
        .with_servers = !slice_eq(scope, SLICE("none")),
        .full = slice_eq(scope, SLICE("full")),
    };
    if (scope.ptr != NULL && !scrape.full && scrape.with_servers &&
        !slice_eq(scope, SLICE("basic"))) {
        api_problem(request, "unknown-parameter", "scope must be none, basic or full");
        api_request_done(request);
        return;
    }

    enum prometheus_format format = prometheus_negotiate(request->accept);
    arena_init(&scrape.arena, NULL, 0);
    buf_init(&scrape.labels, 4096);
    prometheus_init(&scrape.out, &request->reply.body, format);
    counters_hold(); /* what is removed meanwhile keeps its numbers to the end */
    write_process(&scrape);
    write_config(&scrape);
    write_api(&scrape);
    write_workers(&scrape);
    write_listeners(&scrape);
    write_routes(&scrape);
    write_pools(&scrape);
    write_all_servers(&scrape);
    counters_unhold();
    prometheus_end(&scrape.out);
    request->reply.status = 200;
    request->reply.content_type = prometheus_content_type(format);
    buf_fini(&scrape.labels);
    arena_fini(&scrape.arena);
    api_request_done(request);
}
