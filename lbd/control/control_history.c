/* control_history - revisions that were: a list with who, when and what, and their documents;
 * declared in control.h. */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"

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

struct conf_document *control_revision_document(const struct control *control, uint64_t number,
                                                struct err *err)
{
    struct buf text;
    struct conf_document *document = NULL;
    if (number == control->facts.revision) {
        return conf_document_ref(control->document);
    }
    buf_init(&text, CONF_STORE_FILE_MAX);
    if (control_revision_text(control, number, &text, err)) {
        struct conf_errors *errors = mem_zero(1, sizeof(*errors));
        conf_errors_init(errors);
        document = conf_document_from_saved_text(buf_slice(&text), errors);
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
