/*
 * fuzz_conf_document - any series of edits: each is refused with a reason, or makes what reading
 * the whole text anew would make.
 *
 * Each line is an edit: a letter for its kind (p, m or d), a pointer, a space, a body.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_diff.h"
#include "conf/conf_document.h"
#include "conf/conf_seal.h"
#include "conf/conf_vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EDITS_MAX = 20 };

static const char start_text[] =
    "{\"listeners\":{\"w\":{\"bind\":[\"127.0.0.1:80\"],\"default_pool\":\"a\"}},\"pools\":{\"a\":{"
    "\"servers\":{\"x\":{\"address\":\"h:1\"},\"y\":{\"address\":\"h:2\",\"weight\":2}}},\"b\":{}}}";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Stands in for what knows PEM: a chain is one when it begins with C. */
static bool seal(struct slice chain, struct slice key, char stored[CONF_SEAL_NAME_MAX],
                 struct err *err)
{
    if (chain.ptr[0] != 'C') {
        return err_set_at(err, ERR_INVALID, key.ptr[0] == 'K' ? "chain" : "key", "no");
    }
    memset(stored, 'a', CONF_SEAL_NAME_MAX - 1);
    memcpy(stored, CONF_VAULT_PREFIX, sizeof(CONF_VAULT_PREFIX) - 1);
    stored[sizeof(CONF_VAULT_PREFIX) - 1 + CONF_VAULT_HEX_LEN] = '\0';
    return true;
}

/* No setting holds a key, whatever came in. */
static void check_sealed(const struct conf_document *document)
{
    const struct conf *conf = conf_document_conf(document);
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        const struct conf_certificate *certificate = &conf->certificates[i];
        must(certificate->chain.len == 0 && certificate->key.len == 0);
        must(certificate->sent_key.len == 0 || certificate->stored.len != 0);
    }
}

static void check_same_as_text(const struct conf_document *document, struct conf_errors *errors)
{
    struct buf text;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    must(conf_document_text(document, SLICE_NONE, &text));
    check_sealed(document);
    conf_errors_clear(errors);
    struct conf_document *anew = conf_document_from_saved_text(buf_slice(&text), errors);
    must(anew != NULL && conf_document_same(document, anew));
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, document, anew);
    must(diff.total == 0);
    conf_diff_fini(&diff);
    conf_document_unref(anew);
    buf_fini(&text);
}

/* Returns what the document is afterwards; takes the reference. */
static struct conf_document *apply(struct conf_document *document, struct slice line,
                                   struct conf_errors *errors)
{
    struct err err;
    struct slice pointer = SLICE_NONE;
    enum conf_edit kind = CONF_EDIT_DELETE;
    if (line.len == 0) {
        return document;
    }
    if (line.ptr[0] == 'p' || line.ptr[0] == 'm') {
        kind = line.ptr[0] == 'p' ? CONF_EDIT_PUT : CONF_EDIT_MERGE;
    }
    struct slice rest = slice_from_at(line, 1);
    (void)slice_split(&rest, ' ', &pointer);
    conf_errors_clear(errors);
    struct conf_document *made = conf_document_edit(document, kind, pointer, rest, errors, &err);
    if (made == NULL) {
        must(err.kind != ERR_NONE);
        must(errors->error_count > 0 || err.kind == ERR_NOT_FOUND || kind == CONF_EDIT_DELETE);
        return document;
    }
    must(errors->error_count == 0);
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, document, made);
    must((diff.total == 0) == conf_document_same(document, made));
    conf_diff_fini(&diff);
    check_same_as_text(made, errors);
    conf_document_unref(document);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conf_seal_set(seal);
    static struct conf_errors errors;
    struct slice rest = slice_of((const char *)data, size);
    struct slice line = SLICE_NONE;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(start_text), &errors);
    must(document != NULL);
    for (int i = 0; i < EDITS_MAX && size > 0 && slice_split(&rest, '\n', &line); i++) {
        document = apply(document, line, &errors);
    }
    conf_document_unref(document);
    conf_errors_fini(&errors);
    return 0;
}
