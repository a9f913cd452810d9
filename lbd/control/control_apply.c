/* control_apply - the doors to the document, and the ends of what came through; declared in
 * control.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"
#include "lbd/tls/digest.h"

/* -- the end of a job -- */

static bool is_taking_back(const struct control_job *job)
{
    return job->change.kind == CONTROL_REJECT || job->change.kind == CONTROL_EXPIRE;
}

static void count(struct control *control, const struct control_job *job)
{
    const struct control_result *result = &job->result;
    enum control_apply_word word = CONTROL_APPLIED;
    if (result->err.kind == ERR_STORAGE || result->err.kind == ERR_SYSTEM) {
        word = CONTROL_FAILED;
    } else if (result->err.kind != ERR_NONE) {
        word = CONTROL_REJECTED;
    } else if (!result->is_changed) {
        word = CONTROL_UNCHANGED;
    } else if (is_taking_back(job)) {
        word = CONTROL_ROLLED_BACK;
    }
    control->facts.applies[word]++;
    control->facts.last_apply_succeeded = result->err.kind == ERR_NONE;
    if (result->err.kind == ERR_NONE) {
        control->facts.last_apply_wall_us = now_wall_us();
    }
}

void control_job_post(const struct control_job *job, const char *type, const char *message)
{
    const struct control_result *result = &job->result;
    struct buf data;
    struct json_write w;
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "revision", result->revision);
    json_write_member_text(&w, "who", job->who);
    const struct conf_revision *note = conf_store_find(job->control->store, result->revision);
    if (result->err.kind == ERR_NONE && note != NULL) {
        json_write_member_text(&w, "via", note->via);
        json_write_member_text(&w, "summary", note->summary);
        json_write_member_u64(&w, "changes_total", note->changes_total);
    }
    if (result->err.kind != ERR_NONE) {
        json_write_member_text(&w, "problem", result->problem);
    }
    json_write_object_end(&w);
    events_post(job->control->events, type, SLICE("config"), data.data, "%s", message);
    buf_fini(&data);
}

/* Was it an attempt to change the document? */
static bool is_counted(const struct control_job *job)
{
    return !job->is_wait && !job->result.is_dry_run && job->change.kind != CONTROL_CONFIRM &&
           (job->change.kind != CONTROL_EXPIRE || job->result.is_changed);
}

void control_job_finish(struct control_job *job)
{
    struct control *control = job->control;
    if (list_is_linked(&job->link)) { /* in control->waiting: queue and group let go before */
        list_remove(&job->link);
        control->facts.waiting--;
    }
    loop_timer_stop(&job->limit);
    if (is_counted(job)) {
        count(control, job);
        histogram_note_us(&control->facts.apply_duration, now_us() - job->started_us);
        if (job->result.err.kind != ERR_NONE) {
            log_warn("config.refused", "%s problem=%s why=\"%s\"", job->what, job->result.problem,
                     job->result.err.text);
            control_job_post(job, "config.rejected", job->result.err.text);
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
    control_ahead_free(job);
    free(job->pointer);
    free(job);
}

static void on_limit(struct loop_timer *timer)
{
    struct control_job *job = container_of(timer, struct control_job, limit);
    log_warn("config.adoption_slow", "revision=%llu", (unsigned long long)job->result.revision);
    job->result.is_pending = true;
    control_job_finish(job);
}

void control_job_wait(struct control_job *job)
{
    struct control *control = job->control;
    if (job->change.is_not_waiting) {
        job->result.is_pending = true;
        control_job_finish(job);
        return;
    }
    job->generation = control->facts.generation;
    list_push_back(&control->waiting, &job->link);
    control->facts.waiting++;
    loop_timer_set(control->options.loop, &job->limit,
                   job->change.wait_ms != 0 ? job->change.wait_ms : CONTROL_ADOPT_LIMIT_MS,
                   on_limit);
}

void control_finish_adopted(struct control *control)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &control->waiting) {
        struct control_job *job = container_of(node, struct control_job, link);
        if (job->generation <= control->facts.adopted_generation) {
            control_job_finish(job);
        }
    }
}

void control_finish_all(struct control *control)
{
    struct list_node *node = NULL;
    control_queue_refuse_all(control);
    while ((node = list_first(&control->waiting)) != NULL) {
        struct control_job *job = container_of(node, struct control_job, link);
        job->result.is_pending = true;
        control_job_finish(job);
    }
}

bool control_job_refuse(struct control_job *job, const char *problem)
{
    job->result.problem = problem;
    return false;
}

/* -- doors -- */

static void describe(struct control_job *job)
{
    static const char *const kinds[] = {
        [CONTROL_EDIT] = "edit",           [CONTROL_BATCH] = "batch",
        [CONTROL_OWNER] = "owner",         [CONTROL_ENDPOINTS] = "endpoints",
        [CONTROL_ROLLBACK] = "rollback",   [CONTROL_RELOAD] = "reload",
        [CONTROL_CONFIRM] = "confirm",     [CONTROL_REJECT] = "reject",
        [CONTROL_EXPIRE] = "auto-rollback"};
    static const char *const edits[] = {
        [CONF_EDIT_PUT] = "put", [CONF_EDIT_MERGE] = "patch", [CONF_EDIT_DELETE] = "delete"};
    const struct control_change *change = &job->change;
    const char *word = change->kind == CONTROL_EDIT ? edits[change->edit] : kinds[change->kind];
    if (change->kind == CONTROL_RELOAD) {
        (void)snprintf(job->what, sizeof(job->what), "edit=reload file=%s",
                       job->control->options.file);
    } else {
        (void)snprintf(job->what, sizeof(job->what), "edit=%s at=\"%.*s\" who=\"%.*s\"", word,
                       SLICE_ARG(change->pointer), SLICE_ARG(change->who));
    }
}

struct control_job *control_job_new(struct control *control, const struct control_change *change,
                                    void (*done)(const struct control_result *result, void *arg),
                                    void *arg)
{
    struct control_job *job = mem_zero(1, sizeof(*job));
    job->control = control;
    job->started_us = now_us();
    job->done = done;
    job->arg = arg;
    job->change = *change;
    job->pointer = mem_slicedup(change->pointer);
    job->change.pointer = slice_of(job->pointer, change->pointer.len);
    job->result.is_dry_run = change->is_dry_run || change->is_comparison;
    job->result.revision = control->facts.revision;
    (void)snprintf(job->who, sizeof(job->who), "%.*s", SLICE_ARG(change->who));
    conf_errors_init(&job->errors);
    describe(job);
    return job;
}

void control_apply(struct control *control, const struct control_change *change,
                   void (*done)(const struct control_result *result, void *arg), void *arg)
{
    struct control_job *job = control_job_new(control, change, done, arg);
    if (control->queued >= CONTROL_WAITERS_MAX || control->facts.waiting >= CONTROL_ADOPTING_MAX) {
        (void)err_set(&job->result.err, ERR_UNAVAILABLE, "%u changes wait already",
                      control->queued + control->facts.waiting);
        (void)control_job_refuse(job, "unavailable");
        control_job_finish(job);
        return;
    }
    control_queue_put(job);
}

void control_reload(struct control *control,
                    void (*done)(const struct control_result *result, void *arg), void *arg)
{
    const struct control_change change = {.kind = CONTROL_RELOAD};
    control_apply(control, &change, done, arg);
}

void control_when_adopted(struct control *control,
                          void (*done)(const struct control_result *result, void *arg), void *arg)
{
    const struct control_change change = {.kind = CONTROL_EDIT};
    struct control_job *job = control_job_new(control, &change, done, arg);
    job->is_wait = true;
    job->result.before = control->document != NULL ? conf_document_ref(control->document) : NULL;
    if (control->facts.adopted_generation == control->facts.generation ||
        control->facts.is_draining || control->facts.waiting >= CONTROL_ADOPTING_MAX) {
        control_job_finish(job);
    } else {
        control_job_wait(job);
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
