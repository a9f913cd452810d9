/*
 * fuzz_conf_read - any file: a reason to refuse it, or a configuration that means the same when
 * written.
 *
 * What was set, written and read again, is the same document; what is in effect, written and read
 * again, has the same effect.
 */
#include <stdlib.h>

#include "conf/conf_document.h"
#include "conf/conf_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct buf effective(const struct conf_document *document)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    conf_write(conf_document_conf(document), &w);
    return text;
}

static void check_document(const struct conf_document *document, struct conf_errors *errors)
{
    struct buf text;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    must(conf_document_text(document, SLICE_NONE, &text));
    struct conf_document *again = conf_document_from_saved_text(buf_slice(&text), errors);
    must(again != NULL && conf_document_same(document, again));

    struct buf before = effective(document);
    struct conf_document *same = conf_document_from_saved_text(buf_slice(&before), errors);
    must(same != NULL);
    struct buf after = effective(same);
    must(slice_eq(buf_slice(&before), buf_slice(&after)));

    buf_fini(&after);
    buf_fini(&before);
    buf_fini(&text);
    conf_document_unref(same);
    conf_document_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf_errors errors;
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct slice text = slice_of((const char *)data, size);
    conf_errors_init(&errors);
    if (conf_document_from_file_text(text, &document, &daemon, &errors)) {
        must(errors.error_count == 0);
        check_document(document, &errors);
    } else {
        must(errors.error_count > 0);
    }
    conf_daemon_free(daemon);
    conf_document_unref(document);
    conf_errors_fini(&errors);
    return 0;
}
