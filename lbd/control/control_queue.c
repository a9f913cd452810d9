/* control_queue - changes wait for their turn, are saved together and published; see
 * control_inside.h.
 *
 *     queue --propose--> group: one compiled snapshot --save, beside the loop--> published
 *                                                            |
 *     meanwhile the next ones queue up: they are the next group (that is the group commit)
 *
 * Whatever is answered "no" or "nothing changed" is said about a document that is saved: a change
 * that follows unsaved ones in a group and fails goes back and is looked at again after the save.
 * When a group does not compile or cannot listen, its members are taken one by one.
 */
#include <stdlib.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/conf_file.h"
#include "lbd/control/control_inside.h"
#include "lbd/snapshot/snapshot_build.h"

#define GROUP_MAX       32
#define GROUP_BYTES_MAX (32U * 1024U * 1024U) /* of documents; then the group is large enough */

/* -- publication -- */

/* A server of a pool whose part of the document may be new. */
static void on_server_committed(struct registry_server *live, const struct conf_pool *pool,
                                const struct conf_server *conf, bool is_moved, void *arg)
{
    struct control *control = arg;
    struct addr address;
    if (is_moved && !live->has_literal_address &&
        control_resolve_known(control->resolve, pool, conf, &address)) {
        (void)registry_server_set_address(live, &address);
    }
    control_heed_server(control, live, pool, conf);
}

static void apply_running(struct control *control)
{
    const struct conf *running = conf_document_conf(control->running);
    control_resolve_apply_servers(control->resolve, running);
    control_health_apply(control->health, running, &control->registry);
    control_outlier_apply(control->outlier, running, &control->registry);
    control_agent_apply(control->agent, running, &control->registry);
}

void control_commit_running(struct control *control)
{
    registry_commit(&control->registry, conf_document_conf(control->running), on_server_committed,
                    control);
    apply_running(control);
}

void control_commit(struct control *control, struct snapshot *snapshot)
{
    const struct conf *conf = conf_document_conf(control->document);
    struct err err;

    control_resolve_apply_templates(control->resolve, conf);
    control_running_set(control, control_running_make(control, control->document));
    control_supersede_overrides(control);
    control_tell_listeners(control, conf);
    registry_commit(&control->registry, conf_document_conf(control->running), on_server_committed,
                    control);
    snapshot_bind_commit(snapshot, &control->registry);
    control_heed_listeners(control);
    if (!control->is_started) {
        control_resume_drains(control);
    }
    apply_running(control);
    control_certs_committed(control);

    /* What was just committed may have made servers usable or not: workers get the truth at once.
     */
    if (!snapshot_is_current(snapshot, &control->registry) ||
        !conf_document_same(snapshot->document, control->running)) {
        const struct snapshot_build build = {
            .document = control->running,
            .registry = &control->registry,
            .newest = snapshot,
            .revision = snapshot->revision,
            .workers = control->facts.workers,
            .zone = control->options.daemon->zone,
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

/* -- the queue -- */

static struct control_job *first_of(const struct list_node *list)
{
    struct list_node *node = list_first(list);
    return node != NULL ? container_of(node, struct control_job, link) : NULL;
}

static bool is_taking_back(const struct control_job *job)
{
    return job->change.kind == CONTROL_REJECT || job->change.kind == CONTROL_EXPIRE;
}

static struct control_job *last_of(const struct list_node *list)
{
    return list_is_empty(list) ? NULL : container_of(list->prev, struct control_job, link);
}

static void enqueue(struct control_job *job, bool is_first)
{
    struct control *control = job->control;
    if (is_first) {
        list_push_front(&control->queue, &job->link);
    } else {
        list_push_back(&control->queue, &job->link);
    }
    control->queued++;
}

static void dequeue(struct control_job *job)
{
    list_remove(&job->link);
    job->control->queued--;
}

/* It was looked at too early. */
static void put_back(struct control_job *job)
{
    struct control_result *result = &job->result;
    conf_document_unref(result->before);
    conf_document_unref(result->document);
    conf_errors_clear(&job->errors);
    *result = (struct control_result){.is_dry_run = result->is_dry_run};
    enqueue(job, true);
}

void control_queue_put(struct control_job *job)
{
    enqueue(job, false);
    control_queue_turn(job->control);
}

void control_queue_refuse_all(struct control *control)
{
    struct control_job *job = NULL;
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &control->queue) {
        job = container_of(node, struct control_job, link);
        if (control->ahead != NULL && control->ahead == job->ahead) {
            continue; /* a thread has it; when it comes back, its turn comes here */
        }
        dequeue(job);
        (void)err_set(&job->result.err, ERR_UNAVAILABLE, "lbd is stopping");
        (void)control_job_refuse(job, "unavailable");
        control_job_finish(job);
    }
}

/* -- a group -- */

struct group {
    struct control *control;
    struct conf_document *tip; /* held: what comes out when all of it is done */
    uint64_t revision;         /* of the last member */
    uint32_t count;
    bool is_on_trial;     /* its members are not confirmed yet */
    bool is_confirmation; /* its one member changes nothing but that */
    size_t bytes;
};

/* Errors of a whole document, brought back to where they stand in what was sent. */
static void locate(struct control_job *job)
{
    const struct control_change *change = &job->change;
    const char *file = job->control->options.file;
    if (change->kind == CONTROL_RELOAD) {
        conf_file_locate(file, &job->errors);
        control_log_errors(file, &job->errors);
    } else if (change->kind == CONTROL_EDIT || change->kind == CONTROL_OWNER) {
        conf_errors_locate(&job->errors, change->body, change->pointer);
    }
}

/* What certificates are made of is read, and what cannot be used told with its place. */
static bool prepare_certificates(struct control_job *job, const struct conf_document *document)
{
    struct control *control = job->control;
    if (control_certs_prepare(control, document, &job->errors)) {
        return true;
    }
    (void)err_set(&job->result.err, ERR_INVALID, "the configuration would not be valid");
    locate(job);
    return control_job_refuse(job, "invalid-config");
}

static bool compile(struct control_job *job, struct conf_document *document, uint64_t revision,
                    struct snapshot **snapshot)
{
    struct control *control = job->control;
    struct err *err = &job->result.err;
    if (!prepare_certificates(job, document)) {
        return false;
    }
    *snapshot = control_compile(control, document, revision, err);
    if (*snapshot == NULL) {
        if (err->place[0] != '\0') { /* a file that a setting names */
            conf_errors_add_at(&job->errors, slice_from(err->place), "invalid-value", SLICE_NONE,
                               "%s", err->text);
            locate(job);
        }
        return control_job_refuse(job, "invalid-config");
    }
    if (control_prepare(control, *snapshot, err)) {
        return true;
    }
    conf_errors_add_at(&job->errors, slice_from(err->place), "cannot-listen", SLICE_NONE, "%s",
                       err->text);
    err->kind = ERR_CONFLICT; /* with this machine, whatever the kernel calls it */
    return control_job_refuse(job, "cannot-listen");
}

static void try_out(struct control_job *job)
{
    struct snapshot *snapshot = NULL;
    (void)compile(job, job->result.document, job->result.revision + 1, &snapshot);
    control_discard(job->control, snapshot);
}

/* No other may be in its group. */
static bool is_alone(const struct control_job *job)
{
    switch (job->change.kind) {
    case CONTROL_EDIT:
    case CONTROL_BATCH:
    case CONTROL_OWNER:
    case CONTROL_ENDPOINTS:
    case CONTROL_ROLLBACK:
        return job->result.is_dry_run || job->control->facts.source == CONF_SOURCE_FILE;
    case CONTROL_RELOAD:
    case CONTROL_CONFIRM:
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        break;
    }
    return true;
}

static void end_alone(struct control_job *job, bool is_changed)
{
    job->result.is_changed = is_changed;
    if (is_changed && job->result.err.kind == ERR_NONE && !job->change.is_comparison) {
        try_out(job);
    }
    control_job_finish(job);
}

/* False: the group is complete without this job, which is in the queue again. */
static bool take(struct group *group, struct control_job *job)
{
    struct control *control = group->control;
    struct control_result *result = &job->result;
    dequeue(job);
    result->before = conf_document_ref(group->tip);
    result->revision = group->revision;
    bool ok = control_propose_is_allowed(job) && control_propose(job);
    bool is_changed = ok && ((is_taking_back(job) && result->rolled_back_to != 0) ||
                             !conf_document_same(result->before, result->document));
    group->is_confirmation = ok && job->change.kind == CONTROL_CONFIRM &&
                             job->change.revision == control->facts.unconfirmed_revision;
    if (group->is_confirmation) { /* it is alone */
        list_push_back(&control->saving, &job->link);
        return true;
    }
    bool is_member = ok && is_changed && !result->is_dry_run;
    if (!is_member && group->count != 0) {
        put_back(job);
        return false;
    }
    if (!is_member) {
        end_alone(job, is_changed);
        return true;
    }
    result->is_changed = true;
    result->revision = ++group->revision;
    group->count++;
    group->is_on_trial = control_confirm_is_on_trial(job);
    group->bytes += conf_document_bytes(result->document);
    list_push_back(&control->saving, &job->link);
    conf_document_unref(group->tip);
    group->tip = conf_document_ref(result->document);
    return true;
}

/* What waits, as far as it goes together. */
static void gather(struct group *group)
{
    struct control *control = group->control;
    struct control_job *job = NULL;
    while ((job = first_of(&control->queue)) != NULL && group->count < GROUP_MAX &&
           group->bytes < GROUP_BYTES_MAX && !group->is_confirmation) {
        bool alone = is_alone(job) || control->alone != 0;
        if (group->count != 0 && (alone || control_ahead_is_due(job) ||
                                  control_confirm_is_on_trial(job) != group->is_on_trial)) {
            return;
        }
        uint32_t before = group->count;
        if (!take(group, job)) {
            return;
        }
        if (control->alone != 0) {
            control->alone--;
        }
        if (alone && group->count != before) {
            return;
        }
    }
}

/* One of them spoils it for all: each by itself, then. */
static void scatter(struct group *group)
{
    struct control *control = group->control;
    struct control_job *job = NULL;
    control->alone = group->count;
    while ((job = last_of(&control->saving)) != NULL) {
        list_remove(&job->link);
        put_back(job);
    }
}

static void refuse_group(struct control *control, const struct err *err, const char *problem)
{
    struct control_job *job = NULL;
    while ((job = first_of(&control->saving)) != NULL) {
        list_remove(&job->link);
        job->result.err = *err;
        job->result.revision = control->facts.revision;
        (void)control_job_refuse(job, problem);
        if (is_taking_back(job)) {
            log_error("config.not_taken_back", "why=\"%s\"", err->text);
            control_confirm_again(control);
        }
        control_job_finish(job);
    }
}

static void publish(struct control *control, struct snapshot *snapshot)
{
    struct list_node *node = NULL;
    struct control_job *job = NULL;
    uint64_t before = control->facts.revision;
    list_for_each (node, &control->saving) {
        job = container_of(node, struct control_job, link);
        log_info("config.applied", "%s revision=%llu", job->what,
                 (unsigned long long)job->result.revision);
        control->facts.revision = job->result.revision;
        conf_document_unref(control->document);
        control->document = conf_document_ref(job->result.document);
        control_confirm_published(job, before);
    }
    control_commit(control, snapshot);
    while ((job = first_of(&control->saving)) != NULL) {
        list_remove(&job->link);
        control_job_wait(job);
    }
}

/* Saved, but we are on our way out. */
static void leave(struct control *control)
{
    struct control_job *job = NULL;
    while ((job = first_of(&control->saving)) != NULL) {
        list_remove(&job->link);
        job->result.is_pending = true;
        control_job_finish(job);
    }
}

/* What was taken back is back whether or not that could be written down: config.json is the
 * confirmed document all the time. */
static bool may_go_on(const struct control_save *save)
{
    return save->ok || is_taking_back(save->jobs[0]);
}

static void note_save(struct control_save *save)
{
    struct control *control = save->control;
    histogram_note_us(&control->facts.persist_duration, save->took_us);
    if (save->ok) {
        conf_store_noted(control->store, &save->store);
    } else {
        control->facts.persist_failures++;
        log_error("config.persist_failed", "revision=%llu why=\"%s\"",
                  (unsigned long long)save->store.items[0].note.number, save->err.text);
    }
    control->save = NULL;
}

static void on_saved(struct control_save *save)
{
    struct control *control = save->control;
    note_save(save);
    if (save->ok && save->store.has_members) {
        control_members_saved(control, save->store.members);
    }
    if (!may_go_on(save)) {
        control_discard(control, save->snapshot);
        refuse_group(control, &save->err, "storage");
    } else if (control->facts.is_draining || control->is_ending) {
        control_discard(control, save->snapshot);
        leave(control);
    } else {
        publish(control, save->snapshot);
    }
    control_save_free(save);
    control_queue_turn(control);
}

static void on_confirmed(struct control_save *save)
{
    struct control *control = save->control;
    note_save(save);
    if (save->ok) {
        control_confirm_published(save->jobs[0], 0);
        struct control_job *job = first_of(&control->saving);
        list_remove(&job->link);
        control_job_finish(job);
    } else {
        refuse_group(control, &save->err, "storage");
    }
    control_save_free(save);
    control_queue_turn(control);
}

static void take_group(struct control *control)
{
    struct group group = {.control = control,
                          .tip = conf_document_ref(control->document),
                          .revision = control->facts.revision};
    struct snapshot *snapshot = NULL;
    gather(&group);
    if (group.is_confirmation) {
        control_save_start(control, NULL, on_confirmed);
    } else if (group.count != 0) {
        struct control_job *last = last_of(&control->saving);
        if (compile(last, group.tip, group.revision, &snapshot)) {
            if (is_taking_back(last)) {
                control_confirm_block_owners(control, group.revision);
            }
            control_save_start(control, snapshot, on_saved);
        } else {
            control_discard(control, snapshot);
            if (group.count > 1) {
                scatter(&group);
            } else {
                const struct err err = last->result.err;
                refuse_group(control, &err, last->result.problem);
            }
        }
    }
    conf_document_unref(group.tip);
}

void control_queue_turn(struct control *control)
{
    if (control->is_turning || control->is_ending) {
        return;
    }
    control->is_turning = true;
    while (control->save == NULL && control->ahead == NULL && !list_is_empty(&control->queue) &&
           control->document != NULL) {
        if (control_ahead_is_due(first_of(&control->queue))) {
            control_ahead_start(first_of(&control->queue));
        } else {
            take_group(control);
        }
    }
    control->is_turning = false;
}
