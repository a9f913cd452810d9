/* api_scrape_process - process, control and API in a scrape; see api_scrape_inside.h. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_calls.h"
#include "api/api_events.h"
#include "api/api_front.h"
#include "api/api_guard.h"
#include "api/api_scrape_inside.h"
#include "api/api_table.h"
#include "lbd/base/log.h"
#include "lbd/control/control_resolve.h"
#include "lbd/control/drains.h"
#include "lbd/control/events.h"
#include "lbd/control/overrides.h"
#include "lbd/net/loop.h"
#include "lbd/tls/digest.h"
#include "lbd_version.h"

static void put(struct api_scrape *scrape, uint64_t value)
{
    prometheus_sample(&scrape->out, SLICE_NONE, value);
}

static void put_us(struct api_scrape *scrape, uint64_t value_us)
{
    prometheus_sample_unit(&scrape->out, SLICE_NONE, value_us, PROMETHEUS_MICROSECONDS);
}

static void put_by(struct api_scrape *scrape, const char *label, const char *word, uint64_t value)
{
    prometheus_sample_by(&scrape->out, SLICE_NONE, label, slice_from(word), value, PROMETHEUS_ONE);
}

/* Several labels, given as name and value in turn, up to NULL. */
static void put_labelled(struct api_scrape *scrape, uint64_t value, ...)
{
    struct buf labels;
    va_list args;
    va_start(args, value);
    buf_init(&labels, 4096);
    for (const char *name = va_arg(args, const char *); name != NULL;
         name = va_arg(args, const char *)) {
        prometheus_label(&labels, name, slice_from(va_arg(args, const char *)));
    }
    va_end(args);
    prometheus_sample(&scrape->out, buf_slice(&labels), value);
    buf_fini(&labels);
}

static const struct control_facts *facts_of(const struct api_scrape *scrape)
{
    return control_facts(scrape->control);
}

/* -- the process -- */

static void write_build(struct api_scrape *scrape, uint32_t index)
{
    const char *plus = strchr(LBD_VERSION, '+'); /* "0.1.0+g1a2b3c4d5e" */
    (void)index;
    put_labelled(scrape, 1, "version", LBD_VERSION, "revision", plus != NULL ? plus + 1 : "",
                 "openssl", digest_library_version(), "libevent", loop_library_version(),
                 (char *)NULL);
}

static void write_cpu(struct api_scrape *scrape, uint32_t index)
{
    struct rusage usage;
    (void)index;
    (void)getrusage(RUSAGE_SELF, &usage);
    put_us(scrape, (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000U +
                       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}

/* Of /proc/self/statm: 0 the whole, 1 what is resident. */
static uint64_t read_memory(int which)
{
    unsigned long long pages[2] = {0, 0};
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &pages[0], &pages[1]) != 2) {
            pages[0] = pages[1] = 0;
        }
        (void)fclose(file);
    }
    return pages[which] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_resident(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, read_memory(1));
}

static void write_virtual(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, read_memory(0));
}

/* Linux 6.2 and later say it as the size of the directory. Before, it is read: 0.3 us for each
 * descriptor. */
static uint64_t count_files(void)
{
    struct stat about;
    uint64_t count = 0;
    if (stat("/proc/self/fd", &about) == 0 && about.st_size > 0) {
        return (uint64_t)about.st_size;
    }
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

static void write_files(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, count_files());
}

static void write_files_max(struct api_scrape *scrape, uint32_t index)
{
    struct rlimit limit = {0};
    (void)index;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    put(scrape, limit.rlim_cur);
}

static void write_start(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put_us(scrape, facts_of(scrape)->started_wall_us);
}

static void write_log_dropped(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, log_dropped() + control_access_log_dropped(scrape->control));
}

static void write_workers(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->workers);
}

static void write_connections(struct api_scrape *scrape, uint32_t index)
{
    uint64_t connections = 0;
    (void)index;
    for (uint32_t i = 0; i < facts_of(scrape)->workers; i++) {
        connections += control_worker(scrape->control, i).connections;
    }
    put(scrape, connections);
}

static void write_connections_limit(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->max_connections);
}

static void write_memory_limit(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->max_memory_bytes);
}

/* -- the configuration -- */

static void write_revision(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->revision);
}

/* The digest of a large document takes milliseconds, so it is kept for its revision. */
static const char *find_hash(const struct api_scrape *scrape)
{
    static struct {
        uint64_t started_wall_us;
        uint64_t revision;
        char hash[CONTROL_ETAG_MAX];
    } kept;
    const struct control_facts *facts = facts_of(scrape);
    if (kept.revision != facts->revision || kept.started_wall_us != facts->started_wall_us) {
        kept.hash[0] = '\0';
        (void)control_etag(control_document(scrape->control), SLICE_NONE, kept.hash);
        kept.revision = facts->revision;
        kept.started_wall_us = facts->started_wall_us;
    }
    return kept.hash;
}

static void write_config_info(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put_labelled(scrape, 1, "hash", find_hash(scrape), "source",
                 control_source_word(facts_of(scrape)->source), (char *)NULL);
}

static void write_apply_success(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->last_apply_succeeded ? 1 : 0);
}

static void write_apply_time(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put_us(scrape, facts_of(scrape)->last_apply_wall_us);
}

static void write_seed(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->is_seed_different ? 1 : 0);
}

static void write_confirm_deadline(struct api_scrape *scrape, uint32_t index)
{
    const struct control_facts *facts = facts_of(scrape);
    (void)index;
    put_us(scrape, facts->unconfirmed_revision != 0 ? facts->confirm_deadline_wall_us : 0);
}

static void write_objects(struct api_scrape *scrape, uint32_t index)
{
    const struct conf *conf = scrape->conf;
    uint64_t servers = 0;
    (void)index;
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        servers += conf->pools[i].server_count;
    }
    put_by(scrape, "kind", "listeners", conf->listener_count);
    put_by(scrape, "kind", "routes", conf->route_count);
    put_by(scrape, "kind", "pools", conf->pool_count);
    put_by(scrape, "kind", "servers", servers);
    put_by(scrape, "kind", "health_checks", conf->health_check_count);
    put_by(scrape, "kind", "certificates", conf->certificate_count);
    put_by(scrape, "kind", "ca_sets", conf->ca_set_count);
}

static void write_overrides(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    for (unsigned kind = 0; kind < OVERRIDE_KINDS; kind++) {
        put_by(scrape, "kind", override_kind_word((enum override_kind)kind),
               control_overrides(scrape->control)->kinds[kind].count);
    }
}

static void write_snapshots(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->snapshots);
}

static void write_applies(struct api_scrape *scrape, uint32_t index)
{
    static const char *const words[CONTROL_APPLY_WORDS] = {
        [CONTROL_APPLIED] = "applied",         [CONTROL_UNCHANGED] = "unchanged",
        [CONTROL_ROLLED_BACK] = "rolled_back", [CONTROL_REJECTED] = "rejected",
        [CONTROL_FAILED] = "failed",
    };
    (void)index;
    for (size_t i = 0; i < CONTROL_APPLY_WORDS; i++) {
        put_by(scrape, "result", words[i], facts_of(scrape)->applies[i]);
    }
}

static void write_apply_duration(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    prometheus_durations(&scrape->out, SLICE_NONE, &facts_of(scrape)->apply_duration);
}

static void write_persist_duration(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    prometheus_durations(&scrape->out, SLICE_NONE, &facts_of(scrape)->persist_duration);
}

static void write_persist_failures(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, facts_of(scrape)->persist_failures);
}

/* -- drains that run: of servers, of listeners (one label), of the process (none) -- */

static void put_drain(struct api_scrape *scrape, const struct drain *drain, uint64_t value,
                      enum prometheus_unit unit)
{
    struct slice key = slice_from(drain->key);
    size_t slash = slice_find(key, '/');
    struct buf labels;
    buf_init(&labels, 4096);
    if (drain->kind == OVERRIDE_ADMIN && slash != SIZE_MAX) {
        prometheus_label(&labels, "pool", slice_of(key.ptr, slash));
        prometheus_label(&labels, "server", slice_from_at(key, slash + 1));
    } else if (drain->kind == OVERRIDE_LISTENER) {
        prometheus_label(&labels, "listener", key);
    }
    prometheus_sample_unit(&scrape->out, buf_slice(&labels), value, unit);
    buf_fini(&labels);
}

static void write_drain_deadlines(struct api_scrape *scrape, uint32_t index)
{
    struct list_node *node = NULL;
    (void)index;
    list_for_each (node, drains_running(control_drains(scrape->control))) {
        const struct drain *drain = list_entry(node, struct drain, link);
        put_drain(scrape, drain, drain->deadline_wall_us, PROMETHEUS_MICROSECONDS);
    }
}

static void write_drain_connections(struct api_scrape *scrape, uint32_t index)
{
    struct list_node *node = NULL;
    (void)index;
    list_for_each (node, drains_running(control_drains(scrape->control))) {
        const struct drain *drain = list_entry(node, struct drain, link);
        put_drain(scrape, drain, drain->remaining, PROMETHEUS_ONE);
    }
}

static void write_drains(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    for (unsigned phase = DRAIN_DONE; phase < DRAIN_PHASES; phase++) {
        put_by(scrape, "result", drain_phase_word((enum drain_phase)phase),
               drains_total(control_drains(scrape->control), (enum drain_phase)phase));
    }
}

/* -- the API: a row at a time -- */

static uint32_t count_rows(const struct api_scrape *scrape)
{
    (void)scrape;
    return (uint32_t)api_table_count() + 1; /* and what was in no row */
}

static const char *route_of(uint32_t row)
{
    return row < api_table_count() ? api_table_row(row)->pattern : "none";
}

/* What a row is for is there from the start, the rest when it has happened. */
static bool is_expected(uint32_t row, size_t method, unsigned code)
{
    static const char *const words[API_METHODS] = {[API_GET] = "GET",
                                                   [API_PUT] = "PUT",
                                                   [API_PATCH] = "PATCH",
                                                   [API_DELETE] = "DELETE",
                                                   [API_POST] = "POST"};
    for (size_t i = 0; row < api_table_count() && i < API_METHODS; i++) {
        if (api_table_row(row)->handlers[i] != NULL && code == (i == API_DELETE ? 204 : 200) &&
            strcmp(words[i], api_calls_method(method)) == 0) {
            return true;
        }
    }
    return false;
}

static void write_api_requests(struct api_scrape *scrape, uint32_t row)
{
    for (size_t m = 0; m < api_calls_methods(); m++) {
        for (size_t c = 0; c < api_calls_codes(); c++) {
            unsigned code = api_calls_code(c);
            uint64_t count = api_calls_count(row, m, c);
            char text[16] = "other";
            if (count == 0 && !is_expected(row, m, code)) {
                continue;
            }
            if (code != 0) {
                (void)snprintf(text, sizeof(text), "%u", code);
            }
            put_labelled(scrape, count, "method", api_calls_method(m), "route", route_of(row),
                         "code", text, (char *)NULL);
        }
    }
}

static void write_api_duration(struct api_scrape *scrape, uint32_t row)
{
    const struct histogram_duration *duration = api_calls_duration(row);
    struct buf labels;
    if (histogram_count(duration->buckets, ARRAY_LEN(duration->buckets)) == 0) {
        return; /* 21 lines for a route that nobody uses */
    }
    buf_init(&labels, 4096);
    prometheus_label(&labels, "route", slice_from(route_of(row)));
    prometheus_durations(&scrape->out, buf_slice(&labels), duration);
    buf_fini(&labels);
}

static void write_api_connections(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, api_calls_connections());
}

static void write_watchers(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, api_events_watchers());
}

static void write_events(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    for (size_t type = 0; type < events_type_count(); type++) {
        put_by(scrape, "type", events_type_word(type),
               events_posted(control_events(scrape->control), type));
    }
}

static void write_events_missed(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, api_events_missed());
}

static void write_auth_failures(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    for (unsigned i = 0; i < API_GUARD_FAILURES; i++) {
        enum api_guard_failure failure = (enum api_guard_failure)i;
        put_by(scrape, "reason", api_guard_failure_word(failure), api_guard_failures(failure));
    }
}

static void write_rate_limited(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, api_guard_limited());
}

/* -- certificates: that of the API, then those of the document -- */

static uint32_t count_certificates(const struct api_scrape *scrape)
{
    return 1 + scrape->conf->certificate_count;
}

/* NULL: it is gone, or is to come. */
static const struct registry_certificate *certificate_at(const struct api_scrape *scrape,
                                                         uint32_t index)
{
    return index == 0 ? NULL
                      : registry_find_certificate(&control_registry(scrape->control)->tls,
                                                  scrape->conf->certificates[index - 1].name);
}

static void write_certificate_time(struct api_scrape *scrape, struct slice name, uint64_t wall_us)
{
    if (wall_us != 0) {
        prometheus_sample_by(&scrape->out, SLICE_NONE, "certificate", name, wall_us,
                             PROMETHEUS_MICROSECONDS);
    }
}

static void write_certificates(struct api_scrape *scrape, uint32_t index)
{
    const struct registry_certificate *live = certificate_at(scrape, index);
    if (index == 0) {
        write_certificate_time(scrape, SLICE("daemon.api"), api_front_not_after_us());
    } else if (live != NULL) {
        write_certificate_time(scrape, slice_from(live->material.name),
                               tls_cert_facts(live->material.object)->not_after_us);
    }
}

static void write_ocsp(struct api_scrape *scrape, uint32_t index)
{
    const struct registry_certificate *live = certificate_at(scrape, index);
    if (live == NULL || scrape->conf->certificates[index - 1].ocsp == 0 ||
        tls_cert_facts(live->material.object)->ocsp_url.len == 0) {
        return; /* nobody is asked */
    }
    prometheus_sample_by(&scrape->out, SLICE_NONE, "certificate", slice_from(live->material.name),
                         live->ocsp.has_answer ? live->ocsp.next_update_us : 0,
                         PROMETHEUS_MICROSECONDS);
}

static void write_audit_lost(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, api_guard_audit_lost());
}

/* -- the scrape itself -- */

static void write_omitted(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put_by(scrape, "scope", "server", scrape->is_omitted ? 1 : 0);
}

static void write_scrape_duration(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put_us(scrape, api_scrape_last_us());
}

/* -- names -- */

static void write_dns_queries(struct api_scrape *scrape, uint32_t index)
{
    struct control_resolve_stats stats = control_resolve_stats(control_names(scrape->control));
    (void)index;
    put_by(scrape, "result", "found", stats.found);
    put_by(scrape, "result", "empty", stats.empty);
    put_by(scrape, "result", "failed", stats.failed);
}

static void write_dns_names(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, control_resolve_stats(control_names(scrape->control)).names);
}

static void write_dns_stale(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, control_resolve_stats(control_names(scrape->control)).stale);
}

/* clang-format off */
#define GAUGE(name_, fn, text)     {.name = (name_), .type = PROMETHEUS_GAUGE, .help = (text), .write = (fn)}
#define COUNTER(name_, fn, text)   {.name = (name_), .type = PROMETHEUS_COUNTER, .help = (text), .write = (fn)}
#define HISTOGRAM(name_, fn, text) {.name = (name_), .type = PROMETHEUS_HISTOGRAM, .help = (text), .write = (fn)}

const struct api_scrape_family api_scrape_process[] = {
    GAUGE("lbd_build_info", write_build, "Version of this program; always 1."),
    COUNTER("process_cpu_seconds_total", write_cpu, "User and system CPU time."),
    GAUGE("process_resident_memory_bytes", write_resident, "Resident memory."),
    GAUGE("process_virtual_memory_bytes", write_virtual, "Virtual memory."),
    GAUGE("process_open_fds", write_files, "Open descriptors."),
    GAUGE("process_max_fds", write_files_max, "Limit of descriptors."),
    GAUGE("process_start_time_seconds", write_start, "When the process started."),
    COUNTER("lbd_log_messages_dropped_total", write_log_dropped,
            "Lines of the log and the access log that could not be written."),
    GAUGE("lbd_workers", write_workers, "Worker threads."),
    GAUGE("lbd_connections", write_connections, "Client connections that are open."),
    GAUGE("lbd_connections_limit", write_connections_limit, "Client connections that may be open."),
    GAUGE("lbd_memory_limit_bytes", write_memory_limit, "Memory that connections and requests may have (daemon.max_memory)."),

    GAUGE("lbd_config_revision", write_revision, "Revision of the configuration."),
    GAUGE("lbd_config_info", write_config_info, "Hash and source of the configuration; always 1."),
    GAUGE("lbd_config_last_apply_success", write_apply_success, "Was the last change accepted?"),
    GAUGE("lbd_config_last_apply_timestamp_seconds", write_apply_time, "When a change was accepted last."),
    GAUGE("lbd_config_seed_differs", write_seed, "Does the file differ from the saved configuration?"),
    GAUGE("lbd_config_confirm_deadline_timestamp_seconds", write_confirm_deadline,
          "When the change that is on trial is taken back; 0: none is."),
    GAUGE("lbd_config_objects", write_objects, "Objects of the configuration."),
    GAUGE("lbd_config_overrides", write_overrides, "Settings overridden by hand."),
    GAUGE("lbd_snapshots", write_snapshots, "Configurations that are still in use."),
    COUNTER("lbd_config_applies_total", write_applies, "Changes asked for, by what came of them."),
    HISTOGRAM("lbd_config_apply_duration_seconds", write_apply_duration,
              "Time from a change's arrival to its adoption by all workers."),
    HISTOGRAM("lbd_config_persist_duration_seconds", write_persist_duration, "Time to save a change."),
    COUNTER("lbd_config_persist_failures_total", write_persist_failures, "Saves that failed."),

    COUNTER("lbd_dns_queries_total", write_dns_queries, "Questions for names of servers, by what came of them."),
    GAUGE("lbd_dns_names", write_dns_names, "Names of servers that are followed."),
    GAUGE("lbd_dns_names_stale", write_dns_stale, "Names whose last question brought nothing and whose answer of before is used."),

    GAUGE("lbd_drain_connections", write_drain_connections,
          "What a drain that runs still waits for: requests of a server, connections of a listener or of all."),
    GAUGE("lbd_drain_deadline_timestamp_seconds", write_drain_deadlines,
          "When a drain that runs ends; 0: when nothing is left."),
    COUNTER("lbd_drains_total", write_drains, "Drains that ended, by how."),

    {.name = "lbd_api_requests_total", .type = PROMETHEUS_COUNTER, .help = "Requests to this API.",
     .count = count_rows, .write = write_api_requests},
    {.name = "lbd_api_request_duration_seconds", .type = PROMETHEUS_HISTOGRAM,
     .help = "Time from the head of a request to its answer, or to the first of it that is sent.",
     .count = count_rows, .write = write_api_duration},
    GAUGE("lbd_api_connections", write_api_connections, "Connections to the API and the observe addresses."),
    GAUGE("lbd_api_watchers", write_watchers, "Clients that watch events."),
    COUNTER("lbd_api_events_total", write_events, "Events by type."),
    COUNTER("lbd_api_events_missed_total", write_events_missed,
            "Events that were gone before a watcher had read them."),
    COUNTER("lbd_api_auth_failures_total", write_auth_failures, "Requests refused for who asked, by why."),
    COUNTER("lbd_api_rate_limited_total", write_rate_limited, "Requests answered 429."),
    {.name = "lbd_tls_certificate_not_after_timestamp_seconds", .type = PROMETHEUS_GAUGE,
     .help = "When a certificate ceases to be valid; daemon.api is that of the API.",
     .count = count_certificates, .write = write_certificates},
    {.name = "lbd_tls_ocsp_next_update_timestamp_seconds", .type = PROMETHEUS_GAUGE,
     .help = "Until when the answer counts that the CA of a certificate gave last about it; 0: there is none.",
     .count = count_certificates, .write = write_ocsp},
    COUNTER("lbd_api_audit_lost_total", write_audit_lost, "Lines that the audit file did not take."),
};
const size_t api_scrape_process_count = ARRAY_LEN(api_scrape_process);

const struct api_scrape_family api_scrape_last[] = {
    GAUGE("lbd_metrics_scope_omitted", write_omitted, "Was a scope left out because it has too many series?"),
    GAUGE("lbd_metrics_scrape_duration_seconds", write_scrape_duration,
          "Time the last scrape took, from its request to its last byte."),
};
const size_t api_scrape_last_count = ARRAY_LEN(api_scrape_last);
/* clang-format on */
