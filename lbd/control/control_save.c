/* control_save - what a group of changes leaves in the state directory, written beside the loop;
 * see control_inside.h.
 *
 * The texts, hashes and summaries are made on the saver's thread, too: documents never change, and
 * the jobs of the group hold them meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_diff.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"
#include "lbd/tls/digest.h"

static const char *via_of(const struct control_change *change)
{
    switch (change->kind) {
    case CONTROL_EDIT:
        break;
    case CONTROL_BATCH:
        return "batch";
    case CONTROL_OWNER:
        return "owner";
    case CONTROL_ENDPOINTS:
        return "endpoints";
    case CONTROL_ROLLBACK:
        return "rollback";
    case CONTROL_RELOAD:
        return "reload";
    case CONTROL_CONFIRM:
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        return "auto-rollback";
    }
    switch (change->edit) {
    case CONF_EDIT_PUT:
        break;
    case CONF_EDIT_MERGE:
        return "patch";
    case CONF_EDIT_DELETE:
        return "delete";
    }
    return "put";
}

static void fill_in(const struct control_job *job, struct conf_revision *note)
{
    const struct control_change *change = &job->change;
    struct slice who = change->who.len != 0 ? change->who : SLICE("lbd");
    conf_revision_init(note, job->result.revision);
    note->time_us = now_wall_us();
    note->rolled_back_to = job->result.rolled_back_to;
    note->is_from_file = job->control->facts.source == CONF_SOURCE_FILE;
    conf_revision_set(note->via, sizeof(note->via), slice_from(via_of(change)));
    conf_revision_set(note->who, sizeof(note->who), who);
    conf_revision_set(note->owner, sizeof(note->owner), change->owner);
    control_confirm_fill_in(job, note);
}

/* -- on the saver's thread -- */

/* "pools/web/retries: 1 -> 2, and 3 more" */
static void summarize(struct conf_revision *note, const struct conf_document *before,
                      const struct conf_document *after)
{
    struct conf_diff diff;
    struct buf line;
    conf_diff_init(&diff);
    buf_init(&line, 65536);
    conf_diff_documents(&diff, before, after);
    note->changes_total = diff.total;
    if (diff.count != 0) {
        conf_diff_describe(&diff.changes[0], &line);
    }
    if (diff.total > 1) { /* a long first one must leave room for the number */
        size_t room = sizeof(note->summary) - 32;
        conf_revision_set(note->summary, room, buf_slice(&line));
        buf_clear(&line);
        (void)buf_printf(&line, "%s, and %u more", note->summary, diff.total - 1);
    }
    conf_revision_set(note->summary, sizeof(note->summary), buf_slice(&line));
    buf_fini(&line);
    conf_diff_fini(&diff);
}

static bool render(struct conf_store_item *item, const struct conf_document *document,
                   struct buf *text, struct err *err)
{
    char hex[DIGEST_HEX_MAX];
    buf_init(text, CONF_STORE_FILE_MAX);
    (void)buf_reserve(text, conf_document_bytes(document) + 64);
    if (!conf_document_text(document, SLICE_NONE, text) || text->overflow) {
        return err_set(err, ERR_STORAGE, "the configuration is too large to be saved");
    }
    digest_hex(buf_slice(text), CONTROL_ETAG_MAX - 1, hex);
    conf_revision_set(item->note.hash, sizeof(item->note.hash), slice_from(hex));
    if (!buf_append_char(text, '\n')) {
        return err_set(err, ERR_STORAGE, "the configuration is too large to be saved");
    }
    item->text = buf_slice(text);
    return true;
}

static void work(struct job *job)
{
    struct control_save *save = container_of(job, struct control_save, job);
    uint64_t began = now_us();
    save->ok = true;
    for (uint32_t i = 0; i < save->store.count; i++) {
        struct conf_store_item *item = &save->store.items[i];
        const struct control_result *result = &save->jobs[i]->result;
        item->conf = conf_document_conf(result->document);
        save->ok = render(item, result->document, &save->texts[i], &save->err) && save->ok;
        if (!save->store.is_confirmation) {
            summarize(&item->note, result->before, result->document);
        }
    }
    save->ok = save->ok && conf_store_write(save->control->store, &save->store, &save->err);
    save->took_us = now_us() - began;
}

/* -- on control's -- */

static void on_done(struct job *job)
{
    struct control_save *save = container_of(job, struct control_save, job);
    save->done(save);
}

static enum conf_store_target target_of(const struct control_job *job)
{
    if (job->control->facts.source == CONF_SOURCE_FILE) {
        return CONF_STORE_FILE;
    }
    return control_confirm_is_on_trial(job) ? CONF_STORE_UNCONFIRMED : CONF_STORE_BOOT;
}

void control_save_start(struct control *control, struct snapshot *snapshot,
                        void (*done)(struct control_save *save))
{
    struct control_save *save = mem_zero(1, sizeof(*save));
    struct list_node *node = NULL;
    uint32_t count = 0;
    list_for_each (node, &control->saving) {
        count++;
    }
    save->control = control;
    save->snapshot = snapshot;
    save->done = done;
    save->job.work = work;
    save->job.done = on_done;
    save->jobs = mem_alloc(count * sizeof(struct control_job *));
    save->texts = mem_zero(count, sizeof(struct buf));
    save->store.items = mem_zero(count, sizeof(struct conf_store_item));
    save->store.is_confirmation = snapshot == NULL;
    buf_init(&save->members, CONF_STORE_FILE_MAX);
    list_for_each (node, &control->saving) {
        struct control_job *job = container_of(node, struct control_job, link);
        struct conf_store_item *item = &save->store.items[save->store.count];
        const struct conf_revision *known =
            conf_store_find(control->store, control->facts.revision);
        save->jobs[save->store.count++] = job;
        fill_in(job, &item->note);
        if (save->store.is_confirmation) {
            item->note.number = control->facts.revision;
            item->note = known != NULL ? *known : item->note;
            item->note.is_confirmed = true;
        }
        save->store.target = save->store.is_confirmation ? CONF_STORE_BOOT : target_of(job);
        if (save->store.target == CONF_STORE_FILE && job->change.kind == CONTROL_ENDPOINTS) {
            control_members_write(control, job->result.document, job->change.pointer,
                                  &save->members);
            save->store.has_members = true;
            save->store.members = buf_slice(&save->members);
        }
    }
    control->save = save;
    job_post(control->saver, &save->job);
}

void control_save_free(struct control_save *save)
{
    for (uint32_t i = 0; i < save->store.count; i++) {
        buf_fini(&save->texts[i]);
    }
    buf_fini(&save->members);
    free(save->texts);
    free(save->store.items);
    free(save->jobs);
    free(save);
}

/* What a restart took back, in the words of any other change. */
static void summarize_way_back(const struct control *control, struct conf_revision *note,
                               const struct conf_document *document)
{
    uint32_t count = 0;
    struct buf text;
    struct err ignored;
    const struct conf_revision *revisions = conf_store_history(control->store, &count);
    if (note->rolled_back_to == 0 || count == 0) {
        return;
    }
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    struct conf_document *before = NULL;
    conf_errors_init(errors);
    buf_init(&text, CONF_STORE_FILE_MAX);
    if (conf_store_read_revision(control->store, revisions[0].number, &text, &ignored)) {
        before = conf_document_from_saved_text(buf_slice(&text), errors);
    }
    if (before != NULL) {
        summarize(note, before, document);
    }
    conf_document_unref(before);
    buf_fini(&text);
    conf_errors_fini(errors);
    free(errors);
}

bool control_save_first(struct control *control, const struct conf_document *document,
                        const struct conf_revision *note, struct err *err)
{
    struct buf text;
    struct conf_store_item item = {.note = *note, .conf = conf_document_conf(document)};
    struct conf_store_save save = {
        .items = &item,
        .count = 1,
        .target = control->facts.source == CONF_SOURCE_FILE ? CONF_STORE_FILE : CONF_STORE_BOOT,
    };
    item.note.time_us = now_wall_us();
    item.note.is_from_file = control->facts.source == CONF_SOURCE_FILE;
    summarize_way_back(control, &item.note, document);
    bool ok = render(&item, document, &text, err) && conf_store_write(control->store, &save, err);
    if (ok) {
        conf_store_noted(control->store, &save);
    }
    buf_fini(&text);
    return ok;
}
