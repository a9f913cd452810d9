#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "conf/conf_diff.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/conf_file.h"
#include "lbd/control/control_conditions.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/control_pressure.h"
#include "lbd/control/memory_share.h"
#include "lbd/snapshot/snapshot_build.h"
#include "lbd/snapshot/snapshot_pool_tls.h"
#include "lbd/stats/log_writer.h"

#define REPUBLISH_DELAY_MS 5
#define ALIVE_LIMIT_US     5000000U
#define POKE_AFTER_US      4000000U
/* Descriptors that are not client connections: sockets, logs, checks, the API. */
#define RESERVED_FILES 160U

/* -- snapshots: publish, adopt, retire -- */

static uint64_t oldest_generation(const struct control *control)
{
    struct list_node *first = list_first(&control->live);
    return first != NULL ? container_of(first, struct snapshot, link)->generation : UINT64_MAX;
}

static void on_released(struct snapshot *snapshot, void *arg)
{
    struct control *control = arg;
    if (control->newest == snapshot) {
        control->newest = NULL; /* the workers end */
    }
    list_remove(&snapshot->link);
    control->facts.snapshots--;
    snapshot_retire(snapshot, now_us(), &control->retired);
    registry_close_binds(&control->registry);
    registry_release_ids(&control->registry, oldest_generation(control));
    log_debug("snapshot.retired", "count=%llu lived_us=%llu live=%u",
              (unsigned long long)control->retired.count,
              (unsigned long long)control->retired.last_us, control->facts.snapshots);
}

static void on_adopted(struct snapshot *snapshot, void *arg)
{
    struct control *control = arg;
    control->facts.adopted_generation = snapshot->generation;
    control->facts.adopted_revision = snapshot->revision;
    control->poked_us = 0;
    /* What older ones listen on is no worker's business any more. */
    struct list_node *node = NULL;
    list_for_each (node, &control->live) {
        struct snapshot *old = container_of(node, struct snapshot, link);
        if (old->generation < snapshot->generation) {
            snapshot_retire_binds(old);
        }
    }
    registry_close_binds(&control->registry);
    control_finish_adopted(control);
    if (!control->is_started && !control->is_ending) {
        control->is_started = true;
        control->options.ready(control->options.arg);
    }
    control_conditions_refresh(control);
}

static void on_weights_due(struct loop_timer *timer);

/* Weights that rise are compiled: there is a generation for each step. */
static void await_weights(struct control *control)
{
    uint64_t due_ms = snapshot_due_ms(control->newest);
    uint64_t now = now_ms();
    loop_timer_stop(&control->weights_timer);
    if (due_ms != 0) {
        uint64_t wait_ms = due_ms > now ? due_ms - now : 1;
        loop_timer_set(control->options.loop, &control->weights_timer, wait_ms, on_weights_due);
    }
}

static void on_weights_due(struct loop_timer *timer)
{
    struct control *control = container_of(timer, struct control, weights_timer);
    if (now_ms() < snapshot_due_ms(control->newest)) { /* the loop's clock is coarser */
        await_weights(control);
    } else {
        control_republish(control);
    }
}

void control_publish(struct control *control, struct snapshot *snapshot)
{
    snapshot->generation = ++control->facts.generation;
    snapshot->published_us = now_us();
    list_push_back(&control->live, &snapshot->link);
    control->facts.snapshots++;
    control->newest = snapshot;
    control->registry.generation = snapshot->generation;
    snapshot_pool_tls_commit(snapshot, &control->registry);
    workers_publish(control->workers, snapshot, on_adopted, control);
    await_weights(control);
    control_keys_turn(control->certs.keys, snapshot); /* those that it is the first to need */
}

struct snapshot *control_compile(struct control *control, struct conf_document *document,
                                 uint64_t revision, struct err *err)
{
    struct conf_document *running = document == control->document
                                        ? conf_document_ref(control_running(control))
                                        : control_running_make(control, document);
    const struct snapshot_build build = {
        .document = running,
        .registry = &control->registry,
        .newest = control->newest,
        .revision = revision,
        .workers = control->facts.workers,
        .zone = control->options.daemon->zone,
    };
    struct snapshot *snapshot = snapshot_build(&build, err);
    conf_document_unref(running);
    return snapshot;
}

bool control_prepare(struct control *control, struct snapshot *snapshot, struct err *err)
{
    return snapshot_bind(snapshot, &control->registry, err);
}

void control_discard(struct control *control, struct snapshot *snapshot)
{
    snapshot_free(snapshot);
    if (control->document != NULL) {
        registry_sweep(&control->registry, conf_document_conf(control_running(control)));
    }
}

/* -- generations without a revision -- */

static void republish(struct control *control)
{
    struct err err;
    if (control->newest == NULL || control->facts.is_draining ||
        (snapshot_is_current(control->newest, &control->registry) &&
         (control->running == control->document ||
          control->newest->document == control->running))) {
        return;
    }
    struct snapshot *snapshot =
        control_compile(control, control->document, control->facts.revision, &err);
    if (snapshot == NULL || !control_prepare(control, snapshot, &err)) {
        snapshot_free(snapshot);
        log_error("config.republish_failed", "why=\"%s\"", err.text);
        return;
    }
    control->facts.republished++;
    control->republished_us = now_us();
    control_publish(control, snapshot);
}

static void on_republish_ready(struct loop_ready *ready)
{
    republish(container_of(ready, struct control, republish_ready));
}

static void on_republish_timer(struct loop_timer *timer)
{
    republish(container_of(timer, struct control, republish_timer));
}

void control_republish_now(struct control *control)
{
    control_outlier_recall(control->outlier);
    loop_timer_stop(&control->republish_timer);
    loop_ready_remove(&control->republish_ready);
    republish(control);
}

/* All that happens in this pass of the loop makes one generation; in a storm there is one every 5
 * ms. */
void control_republish(struct control *control)
{
    struct loop *loop = control->options.loop;
    control_outlier_recall(control->outlier);
    if (control->newest == NULL || control->facts.is_draining ||
        loop_timer_is_set(&control->republish_timer)) {
        return;
    }
    if (now_us() - control->republished_us < REPUBLISH_DELAY_MS * 1000U) {
        loop_timer_set(loop, &control->republish_timer, REPUBLISH_DELAY_MS, on_republish_timer);
    } else {
        loop_ready_put(loop, &control->republish_ready, on_republish_ready);
    }
}

/* -- life -- */

static void on_mailbox(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    (void)mailbox_drain(&container_of(watch, struct control, mailbox_watch)->mailbox);
}

static void give_server_id_back(uint32_t id)
{
    counters_release(COUNTERS_SERVER, id);
}

static void give_listener_id_back(uint32_t id)
{
    counters_release(COUNTERS_LISTENER, id);
}

static uint32_t open_files(void)
{
    struct rlimit limit = {.rlim_cur = 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 10000000U ? 10000000U : (uint32_t)limit.rlim_cur;
}

static uint32_t find_max_connections(const struct conf_daemon *daemon)
{
    if (daemon->max_connections != 0) {
        return daemon->max_connections;
    }
    uint64_t files = open_files();
    /* most clients wait without a server connection; an eighth is kept for those that need one */
    uint64_t most = files > 4U * RESERVED_FILES ? files - RESERVED_FILES - files / 8 : files / 2;
    return (uint32_t)most;
}

#define MEBIBYTE (UINT64_C(1) << 20U)

/* The rest is for what is no connection: the configuration, metrics, the kernel's buffers. */
static uint64_t find_max_memory(const struct conf_daemon *daemon)
{
    uint64_t share = memory_share() / 4 * 3;
    return daemon->max_memory_bytes != 0 ? daemon->max_memory_bytes
                                         : share - share % MEBIBYTE; /* one reads it */
}

static void on_pressed(const struct worker_pressure *pressure, void *arg)
{
    control_pressure_note(arg, pressure);
}

/* -- what health and resolve say -- */

static void on_health_changed(struct server *server, void *arg)
{
    struct control *control = arg;
    registry_touch(&control->registry, slice_from(server->pool_name));
    control_republish(control);
    if (server_is_usable(server)) {
        control_mail_server_up(control, slice_from(server->pool_name), slice_from(server->name));
    }
}

/* Perhaps it moved. And who else could serve must not rest while it is found dead. */
static void on_refused(struct server *server, void *arg)
{
    struct control *control = arg;
    control_outlier_recall_beside(control->outlier, server);
    control_resolve_hurry(control->resolve, slice_from(server->pool_name),
                          slice_from(server->name));
}

static void on_resolved(struct slice pool, struct slice server, const struct addr *address,
                        void *arg)
{
    struct control *control = arg;
    struct registry_server *live = registry_find_server(&control->registry, pool, server);
    if (live != NULL && registry_server_set_address(live, address)) {
        control_health_set_address(control->health, pool, server, address);
        control_republish(control);
    }
}

static bool start_helpers(struct control *control, struct err *err)
{
    const struct control_health_options health = {
        .loop = control->options.loop,
        .mailbox = &control->mailbox,
        .changed = on_health_changed,
        .refused = on_refused,
        .arg = control,
        .events = control->events,
    };
    const struct control_resolve_options resolve = {
        .loop = control->options.loop,
        .resolvers = control->options.daemon->resolvers,
        .resolver_count = control->options.daemon->resolver_count,
        .changed = on_resolved,
        .members_changed = control_running_members_changed,
        .arg = control,
        .events = control->events,
    };
    const struct control_outlier_options outlier = {
        .loop = control->options.loop,
        .mailbox = health.mailbox,
        .changed = on_health_changed,
        .arg = control,
        .events = control->events,
    };
    control->health = control_health_new(&health);
    control->outlier = control_outlier_new(&outlier);
    const struct control_agent_options agent = {
        .loop = control->options.loop, .said = control_agent_said, .arg = control};
    control->agent = control_agent_new(&agent);
    control->resolve = control_resolve_new(&resolve, err);
    return control->resolve != NULL;
}

/* False: everything as JSON. */
static bool fill_format(struct access_format *format, const struct conf_daemon *daemon)
{
    const struct conf_access_log *conf = &daemon->access_log;
    *format = (struct access_format){
        .style = (enum access_style)conf->format,
        .only = (enum access_only)conf->only,
        .slow_us = (uint64_t)conf->slow_ms * 1000,
        .sample = conf->sample,
        .shows_credentials = conf->credentials != 0,
        .request_header_count = conf->request_header_count,
        .response_header_count = conf->response_header_count,
    };
    for (uint32_t i = 0; i < conf->field_count; i++) {
        bool is_known =
            access_format_field(conf->fields[i], &format->fields[format->field_count++]);
        assert(is_known); /* conf_format has seen to it */
    }
    for (uint32_t i = 0; i < conf->request_header_count; i++) {
        format->request_headers[i] = conf->request_headers[i];
    }
    for (uint32_t i = 0; i < conf->response_header_count; i++) {
        format->response_headers[i] = conf->response_headers[i];
    }
    if (format->style == ACCESS_JSON && format->only == ACCESS_ALL && format->sample == 1 &&
        format->field_count + format->request_header_count + format->response_header_count == 0) {
        return false;
    }
    access_format_build(format);
    return true;
}

static bool open_access_log(struct control *control, struct err *err)
{
    const struct conf_daemon *daemon = control->options.daemon;
    if (slice_eq(daemon->access_log_path, SLICE("off"))) {
        return true;
    }
    char *path = mem_slicedup(daemon->access_log_path);
    control->access_log = log_writer_start(path, control->facts.workers, err);
    free(path);
    if (control->access_log != NULL && fill_format(&control->access_format, daemon)) {
        log_writer_use(control->access_log, &control->access_format);
    }
    return control->access_log != NULL;
}

struct control *control_new(const struct control_options *options, struct err *err)
{
    struct control *control = mem_zero(1, sizeof(*control));
    char *state_dir = mem_slicedup(options->daemon->state_dir);

    control->options = *options;
    control->events = events_new(now_wall_us());
    list_init(&control->live);
    list_init(&control->queue);
    list_init(&control->saving);
    list_init(&control->waiting);
    list_init(&control->wishes);
    list_init(&control->checks);
    control->drains = control_drains_new(control);
    registry_init(&control->registry);
    control->registry.inherit = options->inherit;
    overrides_init(&control->overrides);
    map_init(&control->owners.blocked);
    control->facts.source = options->daemon->config_source;
    control->facts.file = options->file;
    control->facts.needs_preconditions = options->daemon->api.require_preconditions != 0;
    control->facts.started_wall_us = now_wall_us();
    control->facts.max_connections = find_max_connections(options->daemon);
    control->facts.max_memory_bytes = find_max_memory(options->daemon);
    control->facts.workers =
        options->daemon->workers != 0 ? options->daemon->workers : workers_auto_count();
    server_on_free(give_server_id_back);
    listener_on_free(give_listener_id_back);

    bool ok = mailbox_init(&control->mailbox, control, err);
    if (!ok) {
        control->mailbox.fd = -1;
    }
    ok = ok && (loop_watch_start(options->loop, &control->mailbox_watch,
                                 mailbox_fd(&control->mailbox), LOOP_READ, on_mailbox) ||
                err_set(err, ERR_SYSTEM, "cannot watch the mailbox"));
    ok = ok && (control->store = conf_store_open(state_dir, err)) != NULL;
    if (ok) {
        control_certs_init(control);
        control->mail = control_mail_new(control);
    }
    ok = ok && control_read_overrides(control, err);
    ok = ok && control_owners_read(control, err) && control_members_read(control, err);
    ok = ok && (control->saver = job_pool_start(1, &control->mailbox, err)) != NULL;
    if (ok) {
        counters_init(control->facts.workers);
        control->has_counters = true;
    }
    ok = ok && start_helpers(control, err);
    ok = ok && open_access_log(control, err);
    free(state_dir);
    if (!ok) {
        control_free(control);
        return NULL;
    }
    return control;
}

/* The file's document, under a new number unless it is the one that ran last. */
static struct conf_document *find_in_file(struct control *control, struct conf_document *seed,
                                          struct conf_revision *note, bool *must_save)
{
    struct conf_document *document = control_members_merge(control, seed);
    uint64_t last = conf_store_list(control->store);
    const struct conf_revision *known = conf_store_find(control->store, last);
    struct buf text;
    struct buf before;
    struct err ignored;
    buf_init(&text, CONF_STORE_FILE_MAX);
    buf_init(&before, CONF_STORE_FILE_MAX);
    bool same = known != NULL && known->is_from_file &&
                conf_document_text(document, SLICE_NONE, &text) && buf_append_char(&text, '\n') &&
                conf_store_read_revision(control->store, last, &before, &ignored) &&
                slice_eq(buf_slice(&text), buf_slice(&before));
    buf_fini(&text);
    buf_fini(&before);
    *must_save = !same;
    note->number = same ? last : last + 1;
    conf_revision_set(note->summary, sizeof(note->summary), SLICE("the file, read at the start"));
    log_info("config.file", "file=%s revision=%llu", control->options.file,
             (unsigned long long)note->number);
    return document;
}

/* Whoever edits the seed and restarts must not wonder for long. */
static void compare_seed(struct control *control, const struct conf_document *saved,
                         const struct conf_document *seed)
{
    struct conf_diff diff;
    struct buf first;
    control->facts.is_seed_different = !conf_document_same(saved, seed);
    if (!control->facts.is_seed_different) {
        return;
    }
    conf_diff_init(&diff);
    buf_init(&first, 65536);
    conf_diff_documents(&diff, saved, seed);
    if (diff.count != 0) {
        conf_diff_describe(&diff.changes[0], &first);
    }
    log_warn("config.seed_differs",
             "file=%s changes=%u first=\"%.*s\" used=saved_state hint=\"lbctl diff --seed\"",
             control->options.file, diff.total, SLICE_ARG(buf_slice(&first)));
    buf_fini(&first);
    conf_diff_fini(&diff);
}

/* What runs at first, and under which number; see the table "who wins at start" in control.h. */
static struct conf_document *find_first(struct control *control, struct conf_document *seed,
                                        struct conf_revision *note, bool *must_save,
                                        struct err *err)
{
    struct conf_document *saved = NULL;
    struct err why = {0};

    conf_revision_init(note, 0);
    conf_revision_set(note->via, sizeof(note->via), SLICE("start"));
    conf_revision_set(note->who, sizeof(note->who), SLICE("lbd"));
    if (control->facts.source == CONF_SOURCE_FILE) {
        return find_in_file(control, seed, note, must_save);
    }
    enum conf_store_found found = conf_store_load(control->store, &saved, &note->number, &why);
    *must_save = true;
    switch (found) {
    case CONF_STORE_EMPTY:
        note->number++;
        conf_revision_set(note->summary, sizeof(note->summary), SLICE("the file, as the seed"));
        log_info("config.seed", "file=%s revision=%llu", control->options.file,
                 (unsigned long long)note->number);
        return conf_document_ref(seed);
    case CONF_STORE_CURRENT:
        *must_save = false;
        break;
    case CONF_STORE_TAKEN_BACK:
        control_confirm_restarted(control, note);
        break;
    case CONF_STORE_OLDER:
        control->facts.is_degraded = true;
        note->number++; /* a number is never used twice */
        conf_revision_set(note->reason, sizeof(note->reason), slice_from(why.text));
        conf_revision_set(note->summary, sizeof(note->summary),
                          SLICE("an older revision, because config.json was damaged"));
        log_error("config.saved_damaged", "why=\"%s\" running=an_older_revision", why.text);
        break;
    case CONF_STORE_NEWER:
    case CONF_STORE_BROKEN:
        (void)err_set(err, ERR_INVALID, "the saved configuration cannot be used: %s", why.text);
        return NULL;
    }
    compare_seed(control, saved, seed);
    log_info("config.saved", "revision=%llu seed=%s", (unsigned long long)note->number,
             control->facts.is_seed_different ? "different_and_not_used" : "same");
    return saved;
}

/* What the first document names must be fit to be used. */
static bool prepare_first(struct control *control, const struct conf_document *document,
                          struct err *err)
{
    bool is_file = control->facts.source == CONF_SOURCE_FILE;
    const char *name = is_file ? control->options.file : "config.json";
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    conf_errors_init(errors);
    bool ok = control_certs_prepare(control, document, errors);
    if (!ok) {
        struct buf summary;
        buf_init(&summary, 128);
        if (is_file) {
            conf_file_locate(name, errors);
        }
        control_log_errors(name, errors);
        conf_errors_summary(errors, &summary);
        (void)err_set(err, ERR_INVALID, "'%s' is not valid: %.*s; the first: %.*s", name,
                      SLICE_ARG(buf_slice(&summary)), SLICE_ARG(errors->errors[0].detail));
        buf_fini(&summary);
    }
    conf_errors_fini(errors);
    free(errors);
    return ok;
}

bool control_start(struct control *control, struct conf_document *seed, struct err *err)
{
    struct conf_revision note;
    bool must_save = false;
    struct conf_document *document = find_first(control, seed, &note, &must_save, err);
    if (document == NULL) {
        return false;
    }

    if (!prepare_first(control, document, err)) {
        conf_document_unref(document);
        return false;
    }
    struct snapshot *snapshot = control_compile(control, document, note.number, err);
    const struct workers_options options = {
        .count = control->facts.workers,
        .control = &control->mailbox,
        .access_log = control->access_log,
        .max_connections = control->facts.max_connections,
        .max_idle = open_files() / 5,
        .max_buffered_bytes = control->options.daemon->max_buffered_bytes,
        .max_memory_bytes = control->facts.max_memory_bytes,
        .shed_lag_ms = control->options.daemon->shed_lag_ms,
        .resolvers = control->options.daemon->resolvers,
        .resolver_count = control->options.daemon->resolver_count,
        .drain_timeout_ms = control->options.daemon->drain_timeout_ms,
        .released = on_released,
        .pressed = on_pressed,
        .arg = control,
    };
    bool ok = snapshot != NULL && control_prepare(control, snapshot, err) &&
              (!must_save || control_save_first(control, document, &note, err));
    ok = ok && (control->workers = workers_start(&options, err)) != NULL;
    if (!ok) {
        snapshot_free(snapshot);
        conf_document_unref(document);
        return false;
    }
    control->document = document;
    control->facts.revision = note.number;
    control->facts.last_apply_succeeded = true;
    control->facts.last_apply_wall_us = now_wall_us();
    control_commit(control, snapshot);
    control_heed_expiry(control);
    control_mail_start(control);
    return true;
}

static void on_drained(void *arg)
{
    struct control *control = arg;
    const struct drain *drain =
        drains_find(control->drains, OVERRIDE_PROCESS, SLICE(OVERRIDES_PROCESS));
    drains_look(control->drains);
    if (drain != NULL && drain->phase == DRAIN_WAITING) {
        drains_closed(control->drains, drain->number);
    }
    control->options.drained(control->options.arg);
}

/* Workers keep their sockets until they have emptied them; ours must not keep them open after that.
 */
static void let_sockets_go(struct control *control)
{
    struct map_entry *entry = NULL;
    struct list_node *node = NULL;
    if (control->facts.adopted_generation != control->facts.generation) {
        return; /* a worker may be about to read them; they close at the end then */
    }
    map_for_each (entry, &control->registry.listeners) {
        struct listener *listener = ((struct registry_listener *)entry->value)->listener;
        for (uint32_t i = 0; i < listener->bind_count; i++) {
            listener_bind_unref(listener->binds[i]);
        }
        listener->bind_count = 0;
    }
    list_for_each (node, &control->live) {
        snapshot_retire_binds(container_of(node, struct snapshot, link));
    }
}

void control_drain(struct control *control, uint32_t limit_ms)
{
    control->facts.is_draining = true;
    control_conditions_refresh(control);
    loop_timer_stop(&control->republish_timer);
    loop_timer_stop(&control->weights_timer);
    loop_ready_remove(&control->republish_ready);
    loop_ready_remove(&control->members_ready);
    control_refuse_wishes(control);
    control_finish_all(control);
    let_sockets_go(control);
    events_post(control->events, "daemon.drain", SLICE(OVERRIDES_PROCESS), NULL,
                "stops: what is open may end within %u ms", limit_ms);
    const struct drains_wish wish = {
        .kind = OVERRIDE_PROCESS,
        .key = SLICE(OVERRIDES_PROCESS),
        .deadline_wall_us = now_wall_us() + limit_ms * UINT64_C(1000),
        .reason = SLICE("stop"),
        .who = SLICE("signal"),
    };
    drains_start(control->drains, &wish);
    workers_drain(control->workers, limit_ms, on_drained, control);
}

void control_stop(struct control *control)
{
    if (control == NULL || control->is_ending) {
        return;
    }
    control->is_ending = true;
    loop_timer_stop(&control->republish_timer);
    loop_timer_stop(&control->weights_timer);
    loop_ready_remove(&control->republish_ready);
    control_refuse_wishes(control);
    job_pool_stop(control->saver);
    if (control->mailbox.fd >= 0) {
        (void)mailbox_drain(&control->mailbox); /* what was saved or read last */
    }
    control_finish_all(control);
    if (control->workers != NULL) {
        workers_stop(control->workers);
        control->workers = NULL;
    }
    if (control->mailbox.fd >= 0) {
        while (mailbox_drain(&control->mailbox) != 0) {
            /* what workers said last */
        }
    }
    assert(list_is_empty(&control->live));
    control_end_checks(control);
}

void control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    control_stop(control);
    control_certs_fini(control);
    control_mail_free(control->mail);
    control_outlier_free(control->outlier);
    control_agent_free(control->agent);
    control_health_free(control->health);
    control_resolve_free(control->resolve);
    log_writer_stop(control->access_log);
    drains_free(control->drains);
    events_free(control->events);
    registry_fini(&control->registry);
    overrides_fini(&control->overrides);
    control_confirm_fini(control);
    free(control->members.text);
    conf_document_unref(control->running);
    conf_document_unref(control->document);
    conf_document_unref(control->noted.document);
    conf_store_close(control->store);
    loop_watch_stop(&control->mailbox_watch);
    if (control->mailbox.fd >= 0) {
        mailbox_fini(&control->mailbox);
    }
    if (control->has_counters) {
        counters_fini();
    }
    free(control);
}

void control_reopen_logs(struct control *control)
{
    struct err err;
    if (!log_reopen(&err)) {
        log_error("log.reopen_failed", "why=\"%s\"", err.text);
    }
    if (control->access_log != NULL && !log_writer_reopen(control->access_log, &err)) {
        log_error("access_log.reopen_failed", "why=\"%s\"", err.text);
    }
    log_info("log.reopened", "by=signal");
}

/* -- what is -- */

const struct snapshot *control_snapshot(const struct control *control)
{
    return control->newest;
}

struct conf_document *control_document(const struct control *control)
{
    return control->document;
}

const struct control_facts *control_facts(const struct control *control)
{
    return &control->facts;
}

const struct registry *control_registry(const struct control *control)
{
    return &control->registry;
}

struct loop *control_loop(const struct control *control)
{
    return control->options.loop;
}

struct events *control_events(const struct control *control)
{
    return control->events;
}

const struct control_outlier *control_outliers(const struct control *control)
{
    return control->outlier;
}

const struct control_health *control_checks(const struct control *control)
{
    return control->health;
}

const struct control_resolve *control_names(const struct control *control)
{
    return control->resolve;
}

uint64_t control_access_log_dropped(const struct control *control)
{
    return control->access_log != NULL ? log_writer_dropped(control->access_log) : 0;
}

const char *control_source_word(enum conf_source source)
{
    return source == CONF_SOURCE_FILE ? "file" : "api";
}

struct mail_cache *control_mail_cache(const struct control *control)
{
    return workers_mail_cache(control->workers);
}

struct control_worker control_worker(const struct control *control, uint32_t worker)
{
    struct control_worker facts = {
        .loop = workers_loop_stats(control->workers, worker),
        .generation = workers_generation(control->workers, worker),
        .connections = workers_connections(control->workers, worker),
    };
    struct list_node *node = NULL;
    list_for_each (node, &control->live) {
        const struct snapshot *snapshot = container_of(node, struct snapshot, link);
        if (snapshot->generation <= facts.generation) {
            facts.revision = snapshot->revision;
        }
    }
    return facts;
}

/* A loop with nothing to do sleeps and its last pass is long ago: it is asked to turn once. */
bool control_is_alive(struct control *control)
{
    uint64_t now = now_us();
    bool is_silent = false;
    if (control->workers == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < control->facts.workers; i++) {
        uint64_t last = workers_loop_stats(control->workers, i).last_pass_us;
        is_silent = is_silent || (now > last && now - last > POKE_AFTER_US);
    }
    if (!is_silent || control->facts.is_draining) {
        control->poked_us = 0;
        return true;
    }
    if (control->poked_us == 0) {
        control->poked_us = now;
        workers_ping(control->workers);
    }
    return now - control->poked_us <= ALIVE_LIMIT_US;
}

bool control_is_ready(struct control *control, const char **why)
{
    const struct control_facts *facts = &control->facts;
    *why = "";
    if (!control->is_started) {
        *why = "the first configuration is not adopted yet";
    } else if (facts->is_draining) {
        *why = "draining";
    } else if (control->registry.is_drained) {
        *why = control->not_ready;
    } else if (!control_is_alive(control)) {
        *why = "a worker does not turn";
    }
    return (*why)[0] == '\0';
}
