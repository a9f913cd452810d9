/* Bodies of ?owner= and the same bytes as members and operations: what comes out is valid, and what
 * others own is as it was. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/conf_owner.h"
#include "lbd/base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char base_text[] =
    "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"b\"}},"
    "\"pools\":{\"a\":{\"meta\":{\"managed_by\":\"x\"}},\"b\":{\"meta\":{\"managed_by\":\"y\"}},"
    "\"c\":{\"members\":\"api\"}},\"routes\":{\"r\":{\"action\":{\"pool\":\"b\"},\"listener\":"
    "\"web\"}}}";

static void check_valid(struct conf_document *made, struct conf_errors *errors)
{
    struct buf text;
    buf_init(&text, 64U * 1024U * 1024U);
    bool has_text = conf_document_text(made, SLICE_NONE, &text);
    conf_errors_clear(errors);
    struct conf_document *again = conf_document_from_saved_text(buf_slice(&text), errors);
    assert(has_text && again != NULL && conf_document_same(made, again));
    conf_document_unref(again);
    buf_fini(&text);
}

static void check_others(const struct conf_document *made)
{
    struct slice owner = conf_owner_of(made, SLICE("/pools/b"));
    assert(slice_eq(owner, SLICE("y")));
    assert(conf_document_has(made, SLICE("/pools/c")));
    assert(conf_document_has(made, SLICE("/routes/r")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf_errors errors;
    struct slice body = slice_of((const char *)data, size);
    struct err err;
    bool is_clash = false;
    uint32_t failed = 0;
    conf_errors_init(&errors);
    struct conf_document *base = conf_document_from_text(slice_from(base_text), &errors);
    assert(base != NULL);

    struct conf_document *made =
        conf_owner_apply(base, SLICE("x"), body, false, &errors, &is_clash, &err);
    assert((made != NULL) == (err.kind == ERR_NONE));
    if (made != NULL) {
        check_valid(made, &errors);
        check_others(made);
    }
    conf_document_unref(made);

    conf_errors_clear(&errors);
    const struct conf_operation operations[] = {
        {.edit = CONF_EDIT_PUT, .pointer = SLICE("/pools/c/servers"), .body = body},
        {.edit = CONF_EDIT_MERGE, .pointer = SLICE_NONE, .body = body},
        {.edit = CONF_EDIT_DELETE, .pointer = SLICE("/pools/c"), .missing_is_fine = true},
    };
    for (uint32_t count = 1; count <= ARRAY_LEN(operations); count++) {
        conf_errors_clear(&errors);
        made = conf_document_edit_many(base, operations, count, &errors, &err, &failed);
        assert((made != NULL) == (err.kind == ERR_NONE));
        assert(made != NULL || failed <= count);
        if (made != NULL) {
            check_valid(made, &errors);
        }
        conf_document_unref(made);
    }
    conf_document_unref(base);
    conf_errors_fini(&errors);
    return 0;
}
