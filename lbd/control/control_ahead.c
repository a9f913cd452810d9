/* control_ahead - large changes are read beside the loop; see control_inside.h.
 *
 *     queue: the first one is large --job--> parsed, validated --> its turn, as for all others
 *
 * A text of megabytes takes a hundred milliseconds, in which no health check would begin and no
 * /healthz be answered. Nothing else is proposed meanwhile, so what it was read against is what
 * runs when its turn comes. The job stays first in the queue; it and its body belong to the thread
 * until then.
 */
#include <stdlib.h>

#include "conf/conf_owner.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"

#define LARGE_BYTES (256U * 1024U) /* some milliseconds of work */

static void read_ahead(struct job *job)
{
    struct control_ahead *ahead = container_of(job, struct control_ahead, job);
    const struct control_change *change = &ahead->change_job->change;
    if (change->kind == CONTROL_OWNER) {
        ahead->document =
            conf_owner_apply(ahead->before, change->owner, change->body, change->is_forced,
                             &ahead->errors, &ahead->is_clash, &ahead->err);
    } else {
        ahead->document = conf_document_edit(ahead->before, change->edit, change->pointer,
                                             change->body, &ahead->errors, &ahead->err);
    }
}

static void on_read(struct job *job)
{
    struct control_ahead *ahead = container_of(job, struct control_ahead, job);
    struct control *control = ahead->change_job->control;
    control->ahead = NULL;
    if (control->facts.is_draining || control->is_ending) {
        control_queue_refuse_all(control);
    } else {
        control_queue_turn(control);
    }
}

bool control_ahead_is_due(const struct control_job *job)
{
    bool is_document = job->change.kind == CONTROL_EDIT || job->change.kind == CONTROL_ENDPOINTS ||
                       job->change.kind == CONTROL_OWNER;
    return job->ahead == NULL && is_document && job->change.body.len >= LARGE_BYTES;
}

void control_ahead_start(struct control_job *job)
{
    struct control *control = job->control;
    job->ahead = mem_zero(1, sizeof(*job->ahead));
    job->ahead->job.work = read_ahead;
    job->ahead->job.done = on_read;
    job->ahead->change_job = job;
    job->ahead->before = conf_document_ref(control->document);
    conf_errors_init(&job->ahead->errors);
    control->ahead = job->ahead;
    job_post(control->saver, &job->ahead->job);
}

bool control_ahead_take(struct control_job *job, bool *is_clash)
{
    struct control_ahead *ahead = job->ahead;
    if (ahead == NULL || ahead->before != job->result.before) {
        return false;
    }
    conf_errors_fini(&job->errors);
    job->errors = ahead->errors;
    conf_errors_init(&ahead->errors);
    job->result.document = ahead->document;
    job->result.err = ahead->err;
    *is_clash = ahead->is_clash;
    ahead->document = NULL;
    conf_document_unref(ahead->before);
    ahead->before = NULL;
    return true;
}

void control_ahead_free(struct control_job *job)
{
    if (job->ahead != NULL) {
        assert(job->control->ahead != job->ahead);
        conf_document_unref(job->ahead->before);
        conf_document_unref(job->ahead->document);
        conf_errors_fini(&job->ahead->errors);
        free(job->ahead);
    }
}
