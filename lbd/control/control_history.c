/* control_history - revisions that were: a list with who, when and what, and their documents;
 * declared in control.h. */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"
#include "lbd/tls/digest.h"

const struct conf_revision *control_revisions(const struct control *control, uint32_t *count)
{
    return conf_store_history(control->store, count);
}

const struct conf_revision *control_revision(const struct control *control, uint64_t number)
{
    return conf_store_find(control->store, number);
}

bool control_revision_text(const struct control *control, uint64_t number, struct buf *out,
                           struct err *err)
{
    if (!conf_store_read_revision(control->store, number, out, err)) {
        err->kind = err->kind == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_SYSTEM;
        return false;
    }
    return true;
}

void control_revisions_hash(struct control *control)
{
    uint32_t count = 0;
    const struct conf_revision *revisions = conf_store_history(control->store, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct buf text;
        struct err ignored;
        char hex[DIGEST_HEX_MAX];
        if (revisions[i].hash[0] != '\0') {
            continue;
        }
        buf_init(&text, CONF_STORE_FILE_MAX);
        if (control_revision_text(control, revisions[i].number, &text, &ignored) && text.len != 0) {
            digest_hex(slice_of(text.data, text.len - 1), CONTROL_ETAG_MAX - 1, hex);
            conf_store_learn_hash(control->store, revisions[i].number, hex);
        }
        buf_fini(&text);
    }
}

/* -- beside the loop -- */

static void do_work(struct job *job)
{
    struct control_work *work = container_of(job, struct control_work, job);
    work->work(work);
}

static void on_worked(struct job *job)
{
    struct control_work *work = container_of(job, struct control_work, job);
    work->done(work);
}

void control_work(struct control *control, struct control_work *work)
{
    work->job.work = do_work;
    work->job.done = on_worked;
    job_post(control->saver, &work->job);
}

/* -- two of them, side by side -- */

struct comparing {
    struct control_work work;
    struct control *control;
    struct control_comparison comparison;
    struct conf_document *current; /* held */
    uint64_t revision;             /* of it */
    void (*done)(const struct control_comparison *comparison, void *arg);
    void *arg;
};

/* Parts that are the same are shared with `like`: they need not be looked at then. */
static struct conf_document *read_like(const struct comparing *comparing, uint64_t number,
                                       struct conf_document *like, struct err *err)
{
    struct buf text;
    struct conf_document *document = NULL;
    if (number == comparing->revision) {
        return conf_document_ref(comparing->current);
    }
    buf_init(&text, CONF_STORE_FILE_MAX);
    if (control_revision_text(comparing->control, number, &text, err)) {
        struct conf_errors *errors = mem_zero(1, sizeof(*errors));
        conf_errors_init(errors);
        document = control_read_text(like, buf_slice(&text), errors, err);
        if (document == NULL) {
            (void)err_set(err, ERR_SYSTEM, "revision %llu cannot be read any more: %.*s",
                          (unsigned long long)number, SLICE_ARG(errors->errors[0].detail));
        }
        conf_errors_fini(errors);
        free(errors);
    }
    buf_fini(&text);
    return document;
}

static void compare(struct control_work *work)
{
    struct comparing *comparing = container_of(work, struct comparing, work);
    struct control_comparison *to = &comparing->comparison;
    to->before = read_like(comparing, to->from, comparing->current, &to->err);
    if (to->before != NULL && to->to == to->from) {
        to->after = conf_document_ref(to->before);
    } else if (to->before != NULL) {
        to->after = read_like(comparing, to->to, to->before, &to->err);
    }
}

static void on_compared(struct control_work *work)
{
    struct comparing *comparing = container_of(work, struct comparing, work);
    comparing->done(&comparing->comparison, comparing->arg);
    conf_document_unref(comparing->comparison.before);
    conf_document_unref(comparing->comparison.after);
    conf_document_unref(comparing->current);
    free(comparing);
}

void control_compare(struct control *control, uint64_t from, uint64_t to,
                     void (*done)(const struct control_comparison *comparison, void *arg),
                     void *arg)
{
    struct comparing *comparing = mem_zero(1, sizeof(*comparing));
    comparing->work.work = compare;
    comparing->work.done = on_compared;
    comparing->control = control;
    comparing->comparison.from = from;
    comparing->comparison.to = to;
    comparing->current = conf_document_ref(control->document);
    comparing->revision = control->facts.revision;
    comparing->done = done;
    comparing->arg = arg;
    control_work(control, &comparing->work);
}
