/* control_ahead - large changes are read beside the loop; see control_inside.h. A batch is also
 * large when it has many operations on a large document.
 *
 *     queue: the first one is large --job--> parsed, validated --> its turn, as for all others
 *
 * A text of megabytes takes a hundred milliseconds, in which no health check would begin and no
 * /healthz be answered. Nothing else is proposed meanwhile, so what it was read against is what
 * runs when its turn comes. The job stays first in the queue; it and its body belong to the thread
 * until then.
 */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"

#define LARGE_BYTES (256U * 1024U) /* some milliseconds of work */
/* An operation of a batch copies the list it is in: as dear as reading this part of the document.
 */
#define OPERATION_SHARE 16U

static void read_ahead(struct job *job)
{
    struct control_ahead *ahead = container_of(job, struct control_ahead, job);
    const struct control_job *change_job = ahead->change_job;
    control_read(&change_job->change, change_job->control->store, ahead->before, &ahead->errors,
                 &ahead->reading);
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

static bool is_large(const struct control_job *job)
{
    const struct control_change *change = &job->change;
    const struct conf_revision *revision = NULL;
    size_t bytes = change->body.len;
    switch (change->kind) {
    case CONTROL_EDIT:
    case CONTROL_ENDPOINTS:
    case CONTROL_OWNER:
        break;
    case CONTROL_BATCH:
        bytes += change->operation_count *
                 (conf_document_bytes(job->control->document) / OPERATION_SHARE);
        for (uint32_t i = 0; i < change->operation_count; i++) {
            bytes += change->operations[i].edit.body.len;
        }
        break;
    case CONTROL_ROLLBACK:
        revision = conf_store_find(job->control->store, change->revision);
        bytes = revision != NULL ? revision->bytes : 0;
        break;
    case CONTROL_RELOAD:
    case CONTROL_CONFIRM:
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        return false;
    }
    return bytes >= LARGE_BYTES;
}

bool control_ahead_is_due(const struct control_job *job)
{
    return job->ahead == NULL && is_large(job);
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

bool control_ahead_take(struct control_job *job, struct control_reading *reading)
{
    struct control_ahead *ahead = job->ahead;
    if (ahead == NULL || ahead->before != job->result.before) {
        return false;
    }
    conf_errors_fini(&job->errors);
    job->errors = ahead->errors;
    conf_errors_init(&ahead->errors);
    *reading = ahead->reading;
    ahead->reading.document = NULL;
    conf_document_unref(ahead->before);
    ahead->before = NULL;
    return true;
}

void control_ahead_free(struct control_job *job)
{
    if (job->ahead != NULL) {
        assert(job->control->ahead != job->ahead);
        conf_document_unref(job->ahead->before);
        conf_document_unref(job->ahead->reading.document);
        conf_errors_fini(&job->ahead->errors);
        free(job->ahead);
    }
}
