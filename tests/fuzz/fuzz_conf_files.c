/*
 * fuzz_conf_files - any files beside each other: each mistake lies in one of them, and what is
 * accepted is what one file with all of it would be.
 *
 * The input is up to FILES texts, with a byte 0x1f between them.
 */
#include <stdlib.h>

#include "conf/conf_document.h"
#include "conf/conf_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 4 };

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_entries(const struct conf_error *entries, uint32_t count,
                          const struct conf_file_text *files, uint32_t file_count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_known = false;
        for (uint32_t f = 0; f < file_count; f++) {
            is_known = is_known || slice_eq(entries[i].file, files[f].path);
        }
        must(is_known && entries[i].line > 0 && entries[i].column > 0);
    }
}

static void check_document(const struct conf_document *document, struct conf_errors *errors)
{
    struct buf text;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    must(conf_document_text(document, SLICE_NONE, &text));
    struct conf_document *again = conf_document_from_saved_text(buf_slice(&text), errors);
    must(again != NULL && conf_document_same(document, again));
    conf_document_unref(again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[FILES] = {"lbd.json", "a.json", "b.json", "c.jsonc"};
    static struct conf_errors errors;
    struct conf_file_text files[FILES];
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct slice rest = slice_of((const char *)data, size);
    struct slice part;
    uint32_t count = 0;
    if (size == 0) {
        return 0;
    }
    while (count < FILES && slice_split(&rest, '\x1f', &part)) {
        files[count] = (struct conf_file_text){slice_from(paths[count]), part};
        count++;
    }
    conf_errors_init(&errors);
    if (conf_document_from_files(files, count, &document, &daemon, &errors)) {
        must(errors.error_count == 0);
        check_entries(errors.warnings, errors.warning_count, files, count);
        check_document(document, &errors);
    } else {
        must(errors.error_count > 0);
        check_entries(errors.errors, errors.error_count, files, count);
    }
    conf_daemon_free(daemon);
    conf_document_unref(document);
    conf_errors_fini(&errors);
    return 0;
}
