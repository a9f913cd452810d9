/* control_apply - a change of the document, from its text to all workers; declared in control.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/conf_file.h"
#include "lbd/control/control_inside.h"
#include "lbd/snapshot/snapshot_build.h"
#include "lbd/tls/digest.h"

/* -- the end of a job -- */

static void count(struct control *control, const struct control_result *result)
{
    enum control_apply_word word = CONTROL_APPLIED;
    if (result->err.kind == ERR_STORAGE || result->err.kind == ERR_SYSTEM) {
        word = CONTROL_FAILED;
    } else if (result->err.kind != ERR_NONE) {
        word = CONTROL_REJECTED;
    } else if (!result->is_changed) {
        word = CONTROL_UNCHANGED;
    }
    control->facts.applies[word]++;
    control->facts.last_apply_succeeded = result->err.kind == ERR_NONE;
    if (result->err.kind == ERR_NONE) {
        control->facts.last_apply_wall_us = now_wall_us();
    }
}

static void post(const struct control_job *job, const char *type, const char *message)
{
    const struct control_result *result = &job->result;
    struct buf data;
    struct json_write w;
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "revision", result->revision);
    json_write_member_text(&w, "who", job->who);
    if (result->err.kind != ERR_NONE) {
        json_write_member_text(&w, "problem", result->problem);
    }
    json_write_object_end(&w);
    events_post(job->control->events, type, SLICE("config"), data.data, "%s", message);
    buf_fini(&data);
}

static void finish(struct control_job *job)
{
    struct control *control = job->control;
    if (list_is_linked(&job->link)) {
        list_remove(&job->link);
        control->facts.waiting--;
    }
    loop_timer_stop(&job->limit);
    if (!job->result.is_dry_run && !job->is_wait) {
        count(control, &job->result);
        histogram_note_us(&control->facts.apply_duration, now_us() - job->started_us);
        if (job->result.err.kind != ERR_NONE) {
            log_warn("config.refused", "%s problem=%s why=\"%s\"", job->what, job->result.problem,
                     job->result.err.text);
            post(job, "config.rejected", job->result.err.text);
        }
    }
    if (job->result.err.kind != ERR_NONE) {
        conf_document_unref(job->result.document);
        job->result.document = NULL;
    }
    if (job->done != NULL) {
        job->result.errors = &job->errors;
        job->done(&job->result, job->arg);
    }
    conf_document_unref(job->result.before);
    conf_document_unref(job->result.document);
    conf_errors_fini(&job->errors);
    free(job);
}

static void on_limit(struct loop_timer *timer)
{
    struct control_job *job = container_of(timer, struct control_job, limit);
    log_warn("config.adoption_slow", "revision=%llu", (unsigned long long)job->result.revision);
    job->result.is_pending = true;
    finish(job);
}

void control_finish_adopted(struct control *control)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &control->waiting) {
        struct control_job *job = container_of(node, struct control_job, link);
        if (job->generation <= control->facts.adopted_generation) {
            finish(job);
        }
    }
}

void control_finish_all(struct control *control)
{
    struct list_node *node = NULL;
    while ((node = list_first(&control->waiting)) != NULL) {
        struct control_job *job = container_of(node, struct control_job, link);
        job->result.is_pending = true;
        finish(job);
    }
}

static bool refuse(struct control_job *job, const char *problem)
{
    job->result.problem = problem;
    return false;
}

/* -- the steps -- */

static bool may_write(struct control_job *job)
{
    struct control *control = job->control;
    struct err *err = &job->result.err;
    if (control->facts.is_draining || control->document == NULL) {
        (void)err_set(err, ERR_UNAVAILABLE, "lbd is starting or stopping");
        return refuse(job, "unavailable");
    }
    if (control->facts.waiting >= CONTROL_WAITERS_MAX) {
        (void)err_set(err, ERR_UNAVAILABLE, "%u changes wait for the workers already",
                      control->facts.waiting);
        return refuse(job, "unavailable");
    }
    return true;
}

static bool is_ours_to_write(struct control_job *job)
{
    const struct control_facts *facts = &job->control->facts;
    if (facts->source == CONF_SOURCE_FILE && !job->result.is_dry_run) {
        (void)err_set(&job->result.err, ERR_CONFLICT,
                      "the configuration is managed by the file '%s': edit it and send SIGHUP",
                      facts->file);
        return refuse(job, "managed-by-file");
    }
    return true;
}

/* RFC 9110 13.1.1: a list of strong entity tags, or "*" for anything that exists. */
static bool tag_is_in(struct slice list, const char *tag)
{
    struct slice item;
    while (slice_split(&list, ',', &item)) {
        item = slice_trim(item);
        if (item.len >= 2 && item.ptr[0] == '"' && item.ptr[item.len - 1] == '"') {
            item = slice_of(item.ptr + 1, item.len - 2);
            if (slice_eq(item, slice_from(tag))) {
                return true;
            }
        }
    }
    return false;
}

static bool preconditions_hold(struct control_job *job, const struct control_change *change)
{
    char tag[CONTROL_ETAG_MAX] = "";
    bool exists = conf_document_has(job->result.before, change->pointer);
    bool wants_any = slice_eq(slice_trim(change->if_match), SLICE("*"));

    if (slice_eq(slice_trim(change->if_none_match), SLICE("*")) && exists) {
        (void)err_set(&job->result.err, ERR_PRECONDITION, "'%.*s' exists already",
                      SLICE_ARG(change->pointer));
        return refuse(job, "precondition-failed");
    }
    if (exists && change->if_none_match.len != 0 &&
        control_etag(job->result.before, change->pointer, tag) &&
        tag_is_in(change->if_none_match, tag)) {
        (void)err_set(&job->result.err, ERR_PRECONDITION, "its ETag is still \"%s\"", tag);
        return refuse(job, "precondition-failed");
    }
    if (change->if_match.len == 0 || (wants_any && exists)) {
        return true;
    }
    if (!wants_any && exists && control_etag(job->result.before, change->pointer, tag) &&
        tag_is_in(change->if_match, tag)) {
        return true;
    }
    (void)err_set(&job->result.err, ERR_PRECONDITION,
                  exists ? "it was changed since: its ETag is \"%s\" now" : "it does not exist%s",
                  tag);
    return refuse(job, "precondition-failed");
}

static const char *edit_problem(enum err_kind kind)
{
    switch (kind) {
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_MALFORMED:
        return "malformed-json";
    case ERR_TOO_LARGE:
        return "too-large";
    case ERR_CONFLICT:
        return "in-use";
    case ERR_INVALID:
        return "invalid-config";
    case ERR_NONE:
    case ERR_PRECONDITION:
    case ERR_DENIED:
    case ERR_UNAVAILABLE:
    case ERR_STORAGE:
    case ERR_SYSTEM:
        break;
    }
    return "internal";
}

static bool parse_and_validate(struct control_job *job, const struct control_change *change)
{
    struct control_result *result = &job->result;
    bool existed = conf_document_has(result->before, change->pointer);
    result->document = conf_document_edit(result->before, change->edit, change->pointer,
                                          change->body, &job->errors, &result->err);
    if (result->document == NULL) {
        if (result->err.kind == ERR_NOT_FOUND && change->edit == CONF_EDIT_DELETE &&
            change->missing_is_fine) {
            err_clear(&result->err);
            result->document = conf_document_ref(result->before);
            return true;
        }
        return refuse(job, edit_problem(result->err.kind));
    }
    result->is_created = !existed && change->edit != CONF_EDIT_DELETE;
    return true;
}

static bool compile(struct control_job *job)
{
    struct control_result *result = &job->result;
    job->snapshot = control_compile(job->control, result->document, result->revision, &result->err);
    return job->snapshot != NULL || refuse(job, "invalid-config");
}

static bool prepare(struct control_job *job)
{
    struct err *err = &job->result.err;
    if (control_prepare(job->control, job->snapshot, err)) {
        return true;
    }
    conf_errors_add_at(&job->errors, slice_from(err->place), "cannot-listen", SLICE_NONE, "%s",
                       err->text);
    err->kind = ERR_CONFLICT; /* with this machine, whatever the kernel calls it */
    return refuse(job, "cannot-listen");
}

static bool persist(struct control_job *job)
{
    struct control *control = job->control;
    struct control_result *result = &job->result;
    uint64_t before = now_us();
    bool ok =
        control->facts.source == CONF_SOURCE_FILE
            ? conf_store_save_revision(control->store, result->revision, &result->err)
            : conf_store_save(control->store, result->document, result->revision, &result->err);
    histogram_note_us(&control->facts.persist_duration, now_us() - before);
    if (!ok) {
        control->facts.persist_failures++;
        log_error("config.persist_failed", "revision=%llu why=\"%s\"",
                  (unsigned long long)result->revision, result->err.text);
        return refuse(job, "storage");
    }
    return true;
}

/* A server of a pool whose part of the document may be new. */
static void on_server_committed(struct registry_server *live, const struct conf_pool *pool,
                                const struct conf_server *conf, bool is_moved, void *arg)
{
    struct control *control = arg;
    struct addr address;
    if (is_moved && !live->has_literal_address &&
        control_resolve_known(control->resolve, conf->address, &address)) {
        (void)registry_server_set_address(live, &address);
    }
    if (server_set_admin(live->server, control_admin_of(control, pool, conf), now_wall_us())) {
        registry_touch(&control->registry, pool->name);
    }
}

void control_commit(struct control *control, struct snapshot *snapshot)
{
    const struct conf *conf = conf_document_conf(control->document);
    struct err err;

    control_supersede_overrides(control);
    registry_commit(&control->registry, conf, on_server_committed, control);
    snapshot_bind_commit(snapshot, &control->registry);
    control_resolve_apply(control->resolve, conf);
    control_health_apply(control->health, conf, &control->registry);

    /* What was just committed may have made servers usable or not: workers get the truth at once.
     */
    if (!snapshot_is_current(snapshot, &control->registry)) {
        const struct snapshot_build build = {
            .document = control->document,
            .registry = &control->registry,
            .newest = snapshot,
            .revision = snapshot->revision,
            .workers = control->facts.workers,
        };
        struct snapshot *fresh = snapshot_build(&build, &err);
        if (fresh != NULL && control_prepare(control, fresh, &err)) {
            snapshot_free(snapshot);
            snapshot = fresh;
        } else {
            snapshot_free(fresh); /* the same document was compiled a moment ago */
            log_error("config.rebuild_failed", "why=\"%s\"", err.text);
        }
    }
    control_publish(control, snapshot);
}

static void wait_for_workers(struct control_job *job)
{
    struct control *control = job->control;
    job->generation = control->facts.generation;
    list_push_back(&control->waiting, &job->link);
    control->facts.waiting++;
    loop_timer_set(control->options.loop, &job->limit, CONTROL_ADOPT_LIMIT_MS, on_limit);
}

static void publish(struct control_job *job)
{
    struct control *control = job->control;
    conf_document_unref(control->document);
    control->document = conf_document_ref(job->result.document);
    control->facts.revision = job->result.revision;
    log_info("config.applied", "%s revision=%llu", job->what,
             (unsigned long long)job->result.revision);
    post(job, "config.applied", job->what);
    control_commit(control, job->snapshot);
    job->snapshot = NULL;
    wait_for_workers(job);
}

/* From a document that is valid to workers that run it; done() comes when they do. */
static void run(struct control_job *job)
{
    struct control *control = job->control;
    struct control_result *result = &job->result;

    result->is_changed = !conf_document_same(result->before, result->document);
    if (!result->is_changed) {
        finish(job);
        return;
    }
    result->revision = control->facts.revision + 1;
    if (!compile(job) || !prepare(job) || result->is_dry_run || !persist(job)) {
        control_discard(control, job->snapshot);
        result->revision = control->facts.revision;
        finish(job);
        return;
    }
    publish(job);
}

static struct control_job *new_job(struct control *control, bool is_dry_run,
                                   void (*done)(const struct control_result *result, void *arg),
                                   void *arg)
{
    struct control_job *job = mem_zero(1, sizeof(*job));
    job->control = control;
    job->started_us = now_us();
    job->done = done;
    job->arg = arg;
    job->result.is_dry_run = is_dry_run;
    job->result.revision = control->facts.revision;
    job->result.before = control->document != NULL ? conf_document_ref(control->document) : NULL;
    conf_errors_init(&job->errors);
    return job;
}

void control_apply(struct control *control, const struct control_change *change,
                   void (*done)(const struct control_result *result, void *arg), void *arg)
{
    static const char *const words[] = {
        [CONF_EDIT_PUT] = "put", [CONF_EDIT_MERGE] = "patch", [CONF_EDIT_DELETE] = "delete"};
    struct control_job *job = new_job(control, change->is_dry_run, done, arg);
    (void)snprintf(job->what, sizeof(job->what), "edit=%s at=\"%.*s\" who=\"%.*s\"",
                   words[change->edit], SLICE_ARG(change->pointer), SLICE_ARG(change->who));
    (void)snprintf(job->who, sizeof(job->who), "%.*s", SLICE_ARG(change->who));
    if (may_write(job) && is_ours_to_write(job) && preconditions_hold(job, change) &&
        parse_and_validate(job, change)) {
        run(job);
    } else {
        finish(job);
    }
}

void control_when_adopted(struct control *control,
                          void (*done)(const struct control_result *result, void *arg), void *arg)
{
    struct control_job *job = new_job(control, false, done, arg);
    job->is_wait = true;
    if (control->facts.adopted_generation == control->facts.generation ||
        control->facts.is_draining || control->facts.waiting >= CONTROL_WAITERS_MAX) {
        finish(job);
    } else {
        wait_for_workers(job);
    }
}

/* -- the file, read again -- */

static void log_errors(const char *file, const struct conf_errors *errors)
{
    struct buf line;
    buf_init(&line, 4096);
    for (uint32_t i = 0; i < errors->error_count; i++) {
        buf_clear(&line);
        conf_file_describe(&errors->errors[i], false, file, &line);
        log_error("config.error", "%.*s", (int)line.len, line.data);
    }
    buf_fini(&line);
}

static void log_daemon_changes(const struct control *control, const struct conf_daemon *daemon)
{
    struct buf keys;
    buf_init(&keys, 4096);
    conf_file_daemon_changes(control->options.daemon, daemon, &keys);
    if (keys.len != 0) {
        log_warn("config.daemon_changed", "keys=\"%.*s\" takes_effect=after_restart", (int)keys.len,
                 keys.data);
    }
    buf_fini(&keys);
}

void control_reload(struct control *control,
                    void (*done)(const struct control_result *result, void *arg), void *arg)
{
    const char *file = control->options.file;
    struct control_job *job = new_job(control, false, done, arg);
    struct conf_daemon *daemon = NULL;
    (void)snprintf(job->what, sizeof(job->what), "edit=reload file=%s", file);
    (void)snprintf(job->who, sizeof(job->who), "file");

    if (!may_write(job)) {
        finish(job);
        return;
    }
    bool ok = conf_file_load(file, &job->result.document, &daemon, &job->errors, &job->result.err);
    if (ok) {
        log_daemon_changes(control, daemon);
        conf_daemon_free(daemon);
    } else {
        log_errors(file, &job->errors);
        (void)refuse(job, "invalid-config");
    }
    if (control->facts.source == CONF_SOURCE_API) {
        log_info("config.not_reread",
                 "source=api file=%s hint=\"the API holds the configuration; lbctl apply -f %s\"",
                 file, file);
        conf_document_unref(job->result.document);
        job->result.document = conf_document_ref(job->result.before);
        err_clear(&job->result.err);
        ok = true;
    }
    if (ok) {
        run(job);
    } else {
        finish(job);
    }
}

/* -- */

bool control_etag(const struct conf_document *document, struct slice pointer,
                  char out[CONTROL_ETAG_MAX])
{
    struct buf text;
    char hex[DIGEST_HEX_MAX];
    buf_init(&text, 64U * 1024U * 1024U);
    bool found = conf_document_text(document, pointer, &text);
    if (found) {
        digest_hex(buf_slice(&text), CONTROL_ETAG_MAX - 1, hex);
        memcpy(out, hex, CONTROL_ETAG_MAX);
    }
    buf_fini(&text);
    return found;
}
