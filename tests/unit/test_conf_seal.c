#include <string.h>

#include "conf/conf_document.h"
#include "conf/conf_owner.h"
#include "conf/conf_seal.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

#define NAME_OF_KEY "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER       "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct conf_errors errors;
static struct err err;

/* Stands in for what knows PEM: "bad" is none, "other" another key. */
static bool seal(struct slice chain, struct slice key, char stored[CONF_SEAL_NAME_MAX],
                 struct err *why)
{
    if (slice_eq(chain, SLICE("bad"))) {
        return err_set_at(why, ERR_INVALID, "chain", "is no PEM");
    }
    if (slice_eq(key, SLICE("bad"))) {
        return err_set_at(why, ERR_INVALID, "key", "is another one's");
    }
    memcpy(stored, slice_eq(key, SLICE("SECRET2")) ? OTHER : NAME_OF_KEY, sizeof(NAME_OF_KEY));
    return true;
}

static void setup(void)
{
    conf_errors_init(&errors);
    conf_seal_set(seal);
}

static void teardown(void)
{
    conf_errors_fini(&errors);
    conf_seal_set(NULL);
}

static struct conf_document *must_edit(struct conf_document *document, enum conf_edit edit,
                                       const char *pointer, const char *body)
{
    struct conf_document *made =
        conf_document_edit(document, edit, slice_from(pointer), slice_from(body), &errors, &err);
    ck_assert_msg(made != NULL, "%s: %.*s", err.text,
                  SLICE_ARG(errors.error_count != 0 ? errors.errors[0].detail : SLICE("")));
    return made;
}

/* No text of a document shows the key, and its value has it beside. */
static void must_hide(const struct conf_document *document, const char *key, const char *stored)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, 65536);
    ck_assert(conf_document_text(document, SLICE_NONE, &text));
    json_write_init(&w, &text, JSON_PRETTY);
    ck_assert(conf_document_write_effective(document, SLICE_NONE, &w));
    ck_assert_ptr_null(memmem(text.data, text.len, "SECRET", 6));
    ck_assert_ptr_null(memmem(text.data, text.len, "CHAIN", 5));
    ck_assert_ptr_nonnull(memmem(text.data, text.len, stored, strlen(stored)));
    buf_fini(&text);
    const struct conf_certificate *certificate =
        conf_certificate_find(conf_document_conf(document), SLICE("shop"));
    ck_assert_ptr_nonnull(certificate);
    ck_assert(slice_eq(certificate->sent_key, slice_from(key)));
    ck_assert(certificate->chain.len == 0 && certificate->key.len == 0);
}

static const char sent[] = "{\"chain\":\"CHAIN\",\"key\":\"SECRET\"}";
static const char sent_in_all[] =
    "{\"certificates\":{\"shop\":{\"chain\":\"CHAIN\",\"key\":\"SECRET\"}}}";

START_TEST(no_door_lets_a_key_into_a_text)
{
    struct conf_document *empty = conf_document_new();
    struct conf_document *one = must_edit(empty, CONF_EDIT_PUT, "/certificates/shop", sent);
    must_hide(one, "SECRET", NAME_OF_KEY);
    struct conf_document *all = must_edit(empty, CONF_EDIT_PUT, "", sent_in_all);
    must_hide(all, "SECRET", NAME_OF_KEY);
    ck_assert(conf_document_same(one, all));
    struct conf_document *merged = must_edit(empty, CONF_EDIT_MERGE, "", sent_in_all);
    must_hide(merged, "SECRET", NAME_OF_KEY);
    struct conf_document *list = must_edit(empty, CONF_EDIT_PUT, "/certificates",
                                           "{\"shop\":{\"chain\":\"CHAIN\",\"key\":\"SECRET\"}}");
    must_hide(list, "SECRET", NAME_OF_KEY);
    struct conf_document *patched =
        must_edit(one, CONF_EDIT_MERGE, "/certificates/shop",
                  "{\"chain\":\"CHAIN\",\"key\":\"SECRET2\",\"meta\":{\"note\":\"new\"}}");
    must_hide(patched, "SECRET2", OTHER);
    bool clash = false;
    struct conf_document *owned =
        conf_owner_apply(empty, SLICE("me"), slice_from(sent_in_all), false, &errors, &clash, &err);
    ck_assert_ptr_nonnull(owned);
    must_hide(owned, "SECRET", NAME_OF_KEY);
    const struct conf_operation operation = {
        .edit = CONF_EDIT_PUT, .pointer = SLICE("/certificates/shop"), .body = slice_from(sent)};
    uint32_t failed = 0;
    struct conf_document *batch =
        conf_document_edit_many(empty, &operation, 1, &errors, &err, &failed);
    ck_assert_ptr_nonnull(batch);
    must_hide(batch, "SECRET", NAME_OF_KEY);
    struct conf_document *file = NULL;
    ck_assert(conf_document_from_file_text(slice_from(sent_in_all), &file, NULL, &errors));
    must_hide(file, "SECRET", NAME_OF_KEY);

    struct conf_document *const made[] = {empty,   one,   all,   merged, list,
                                          patched, owned, batch, file};
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        conf_document_unref(made[i]);
    }
}
END_TEST

START_TEST(the_same_again_changes_nothing)
{
    struct conf_document *empty = conf_document_new();
    struct conf_document *one = must_edit(empty, CONF_EDIT_PUT, "/certificates/shop", sent);
    struct conf_document *again = must_edit(one, CONF_EDIT_PUT, "/certificates/shop", sent);
    struct conf_document *named =
        must_edit(one, CONF_EDIT_PUT, "/certificates/shop", "{\"stored\":\"" NAME_OF_KEY "\"}");
    ck_assert_ptr_eq(one, again);
    ck_assert_ptr_eq(one, named);
    conf_document_unref(named);
    conf_document_unref(again);
    conf_document_unref(one);
    conf_document_unref(empty);
}
END_TEST

static const struct {
    const char *body;
    const char *pointer;
    const char *code;
} refused[] = {
    {"{\"chain\":\"bad\",\"key\":\"SECRET\"}", "/certificates/shop/chain", "invalid-certificate"},
    {"{\"chain\":\"CHAIN\",\"key\":\"bad\"}", "/certificates/shop/key", "invalid-certificate"},
    {"{\"chain\":\"CHAIN\"}", "/certificates/shop/key", "missing-key"},
    {"{\"key\":\"SECRET\"}", "/certificates/shop/chain", "missing-key"},
    {"{\"chain\":\"CHAIN\",\"key\":7}", "/certificates/shop/key", "wrong-type"},
    {"{\"chain\":\"CHAIN\",\"key\":[\"SECRET\"]}", "/certificates/shop/key", "wrong-type"},
    {"{\"chain\":\"\",\"key\":\"SECRET\"}", "/certificates/shop/chain", "out-of-range"},
    {"{\"chain\":\"CHAIN\",\"key\":\"SECRET\",\"key_file\":\"/k\",\"chain_file\":\"/c\"}",
     "/certificates/shop", "exclusive-keys"},
    {"{\"stored\":\"sha256:12\"}", "/certificates/shop/stored", "invalid-value"},
    {"{\"chain_file\":\"/c\"}", "/certificates/shop/key_file", "missing-key"},
    {"{}", "/certificates/shop", "missing-key"},
};

START_TEST(what_is_refused_is_told_without_the_key)
{
    struct conf_document *empty = conf_document_new();
    struct conf_document *made =
        conf_document_edit(empty, CONF_EDIT_PUT, SLICE("/certificates/shop"),
                           slice_from(refused[_i].body), &errors, &err);
    ck_assert_ptr_null(made);
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_uint_eq(errors.error_count, 1);
    const struct conf_error *error = &errors.errors[0];
    ck_assert_msg(slice_eq(error->pointer, slice_from(refused[_i].pointer)), "%.*s",
                  SLICE_ARG(error->pointer));
    ck_assert_msg(slice_eq(error->code, slice_from(refused[_i].code)), "%.*s",
                  SLICE_ARG(error->code));
    ck_assert_ptr_null(memmem(error->detail.ptr, error->detail.len, "SECRET", 6));
    conf_document_unref(empty);
}
END_TEST

START_TEST(without_somebody_who_knows_pem_none_is_taken)
{
    struct conf_document *empty = conf_document_new();
    conf_seal_set(NULL);
    ck_assert_ptr_null(conf_document_edit(empty, CONF_EDIT_PUT, SLICE("/certificates/shop"),
                                          slice_from(sent), &errors, &err));
    conf_document_unref(empty);
}
END_TEST

START_TEST(what_is_stored_ends_with_newlines)
{
    struct buf text;
    buf_init(&text, 4096);
    conf_seal_text(SLICE("chain"), SLICE("key\n"), &text);
    ck_assert(slice_eq(buf_slice(&text), SLICE("chain\nkey\n")));
    buf_fini(&text);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, no_door_lets_a_key_into_a_text);
    tcase_add_test(tcase, the_same_again_changes_nothing);
    tcase_add_loop_test(tcase, what_is_refused_is_told_without_the_key, 0, (int)ARRAY_LEN(refused));
    tcase_add_test(tcase, without_somebody_who_knows_pem_none_is_taken);
    tcase_add_test(tcase, what_is_stored_ends_with_newlines);
}

UNIT_MAIN("conf_seal", add_all)
