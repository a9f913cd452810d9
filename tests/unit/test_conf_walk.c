#include "conf/conf_walk.h"
#include "tests/unit/unit.h"

static const char text[] =
    "{\"schema\":1,\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"b\"}},"
    "\"pools\":{\"a\":{},\"b\":{\"retries\":2,\"servers\":{"
    "\"x\":{\"address\":\"10.0.0.1:80\"},\"y\":{\"address\":\"10.0.0.2:80\",\"weight\":7}}},"
    "\"c\":{\"servers\":{}}},\"health_checks\":{}}";

static struct conf_document *document_of(const char *json)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(json), &errors);
    ck_assert_ptr_nonnull(document);
    conf_errors_fini(&errors);
    return document;
}

static void must_be_the_text(struct conf_document *document, const char *pointer)
{
    struct conf_walk walk;
    struct slice piece;
    struct buf want;
    struct buf got;
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    bool there = conf_document_text(document, slice_from(pointer), &want);
    ck_assert_msg(conf_walk_begin(&walk, document, slice_from(pointer)) == there, "%s", pointer);
    if (there) {
        while (conf_walk_next(&walk, &piece)) {
            ck_assert(buf_append_slice(&got, piece));
        }
        ck_assert(!conf_walk_next(&walk, &piece));
        conf_walk_end(&walk);
        ck_assert_msg(slice_eq(buf_slice(&want), buf_slice(&got)), "%s: %.*s is not %.*s", pointer,
                      SLICE_ARG(buf_slice(&got)), SLICE_ARG(buf_slice(&want)));
    }
    buf_fini(&want);
    buf_fini(&got);
}

START_TEST(the_pieces_are_the_canonical_text)
{
    static const char *const pointers[] = {
        "",           "/listeners",         "/listeners/web", "/routes",   "/pools",
        "/pools/a",   "/pools/a/servers",   "/pools/b",       "/pools/no", "/pools/b/servers",
        "/pools/c",   "/pools/b/servers/y", "/health_checks", "/no",       "/pools/no/servers",
        "/routes/no", "/pools/b/servers/no"};
    static const char *const documents[] = {text, "{}", "{\"pools\":{}}",
                                            "{\"pools\":{\"a\":{\"servers\":{}}}}"};
    for (size_t d = 0; d < ARRAY_LEN(documents); d++) {
        struct conf_document *document = document_of(documents[d]);
        for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
            must_be_the_text(document, pointers[i]);
        }
        conf_document_unref(document);
    }
}
END_TEST

START_TEST(a_walk_holds_its_document_and_may_end_early)
{
    struct conf_walk walk;
    struct slice piece;
    struct conf_document *document = document_of(text);
    ck_assert(conf_walk_begin(&walk, document, SLICE_NONE));
    conf_document_unref(document);
    for (int i = 0; i < 7; i++) {
        ck_assert(conf_walk_next(&walk, &piece));
    }
    conf_walk_end(&walk); /* the sanitizer sees what is left or used too long */
}
END_TEST

UNIT_TESTS("conf_walk", the_pieces_are_the_canonical_text,
           a_walk_holds_its_document_and_may_end_early)
