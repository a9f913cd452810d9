/* control_read - the body of a change becomes a document; see control_inside.h.
 *
 * Touches nothing but its arguments and the files of old revisions, so that large ones can be read
 * beside the loop (control_ahead.c).
 */
#include <stdlib.h>

#include "conf/conf_owner.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"

struct conf_document *control_read_text(struct conf_document *like, struct slice text,
                                        struct conf_errors *errors, struct err *err)
{
    /* As an edit, because that shares what is the same. */
    struct conf_document *document =
        conf_document_edit(like, CONF_EDIT_PUT, SLICE_NONE, text, errors, err);
    if (document == NULL && err->kind == ERR_TOO_LARGE) { /* it grew, edit by edit */
        conf_errors_clear(errors);
        document = conf_document_from_saved_text(text, errors);
        if (document != NULL) {
            err_clear(err);
        } else {
            (void)err_set(err, ERR_INVALID, "the configuration would not be valid any more");
        }
    }
    return document;
}

static struct conf_document *read_revision(const struct control_change *change,
                                           const struct conf_store *store,
                                           struct conf_document *before, struct conf_errors *errors,
                                           struct err *err)
{
    struct conf_document *document = NULL;
    struct buf text;
    buf_init(&text, CONF_STORE_FILE_MAX);
    if (conf_store_read_revision(store, change->revision, &text, err)) {
        document = control_read_text(before, buf_slice(&text), errors, err);
    } else if (err->kind != ERR_NOT_FOUND) {
        err->kind = ERR_SYSTEM;
    }
    buf_fini(&text);
    return document;
}

static void read_batch(const struct control_change *change, struct conf_document *before,
                       struct conf_errors *errors, struct control_reading *reading)
{
    uint32_t count = change->operation_count;
    uint32_t failed = count;
    struct conf_operation *edits = mem_alloc((count + 1) * sizeof(*edits));
    for (uint32_t i = 0; i < count; i++) {
        edits[i] = change->operations[i].edit;
    }
    reading->document =
        conf_document_edit_many(before, edits, count, errors, &reading->err, &failed);
    reading->operation = reading->document == NULL && failed < count ? failed + 1 : 0;
    free(edits);
}

void control_read(const struct control_change *change, const struct conf_store *store,
                  struct conf_document *before, struct conf_errors *errors,
                  struct control_reading *reading)
{
    *reading = (struct control_reading){0};
    switch (change->kind) {
    case CONTROL_EDIT:
    case CONTROL_ENDPOINTS:
        reading->document = conf_document_edit(before, change->edit, change->pointer, change->body,
                                               errors, &reading->err);
        return;
    case CONTROL_OWNER:
        reading->document = conf_owner_apply(before, change->owner, change->body, change->is_forced,
                                             errors, &reading->is_clash, &reading->err);
        return;
    case CONTROL_BATCH:
        read_batch(change, before, errors, reading);
        return;
    case CONTROL_ROLLBACK:
        reading->document = read_revision(change, store, before, errors, &reading->err);
        return;
    case CONTROL_RELOAD:
    case CONTROL_CONFIRM:
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        break;
    }
    assert(false && "only what has a body is read");
}
