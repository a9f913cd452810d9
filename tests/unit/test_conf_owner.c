#include <string.h>

#include "conf/conf_owner.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct conf_document *must(const char *text)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(document != NULL, "%s: %.*s", text, SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return document;
}

static const char before[] =
    "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"b\"}},"
    "\"pools\":{\"a\":{\"meta\":{\"managed_by\":\"x\"}},\"b\":{\"meta\":{\"managed_by\":\"y\"}},"
    "\"c\":{},\"d\":{\"meta\":{\"managed_by\":\"x\"},\"servers\":{\"s\":{\"address\":\"a:1\"}}}},"
    "\"routes\":{\"r\":{\"action\":{\"pool\":\"d\"},\"listener\":\"web\"}}}";

static const struct {
    const char *owner;
    const char *body;
    bool is_forced;
    enum err_kind kind; /* ERR_NONE: */
    const char *want;   /* the pools afterwards; else pointers of the errors, or NULL */
} cases[] = {
    /* what it has stays, what it leaves out goes, what is others' is not touched */
    {"x", "{\"pools\":{\"d\":{\"servers\":{\"s\":{\"address\":\"a:1\"}}}}}", false, ERR_NONE,
     "{\"b\":{\"meta\":{\"managed_by\":\"y\"}},\"c\":{},\"d\":{\"meta\":{\"managed_by\":\"x\"},"
     "\"servers\":{\"s\":{\"address\":\"a:1\"}}}}"},
    {"x", "{\"pools\":{\"d\":{},\"e\":{\"meta\":{\"managed_by\":\"x\",\"note\":\"n\"}}}}", false,
     ERR_NONE,
     "{\"b\":{\"meta\":{\"managed_by\":\"y\"}},\"c\":{},\"d\":{\"meta\":{\"managed_by\":\"x\"}},"
     "\"e\":{\"meta\":{\"managed_by\":\"x\",\"note\":\"n\"}}}"},
    /* a newcomer owns nothing yet */
    {"z", "{\"pools\":{\"z\":{}}}", false, ERR_NONE,
     "{\"a\":{\"meta\":{\"managed_by\":\"x\"}},\"b\":{\"meta\":{\"managed_by\":\"y\"}},\"c\":{},"
     "\"d\":{\"meta\":{\"managed_by\":\"x\"},\"servers\":{\"s\":{\"address\":\"a:1\"}}},"
     "\"z\":{\"meta\":{\"managed_by\":\"z\"}}}"},
    {"z", "{}", false, ERR_NONE, NULL},
    /* every clash is told */
    {"x", "{\"pools\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{}}}", false, ERR_CONFLICT,
     "/pools/b owned-by-other /pools/c owned-by-other "},
    {"x", "{\"pools\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{}}}", true, ERR_NONE,
     "{\"a\":{\"meta\":{\"managed_by\":\"x\"}},\"b\":{\"meta\":{\"managed_by\":\"x\"}},"
     "\"c\":{\"meta\":{\"managed_by\":\"x\"}},\"d\":{\"meta\":{\"managed_by\":\"x\"}}}"},
    /* somebody else's route needs it */
    {"x", "{\"pools\":{\"a\":{}}}", false, ERR_CONFLICT, "/routes/r/action/pool in-use "},
    {"x", "{\"pools\":{\"a\":{}}}", true, ERR_CONFLICT, "/routes/r/action/pool in-use "},
    {"y", "{}", false, ERR_CONFLICT, "/listeners/web/default_pool in-use "},
    /* mistakes */
    {"x", "{\"pools\":{\"d\":{\"meta\":{\"managed_by\":\"y\"}}}}", false, ERR_INVALID,
     "/pools/d/meta/managed_by invalid-value "},
    {"x", "{\"pools\":{\"d\":{\"meta\":7}}}", false, ERR_INVALID, NULL},
    {"x", "{\"pools\":{\"d\":7}}", false, ERR_INVALID, NULL},
    {"x", "{\"pools\":7}", false, ERR_INVALID, NULL},
    {"x", "[]", false, ERR_INVALID, NULL},
    {"x", "{\"daemon\":{}}", false, ERR_INVALID, NULL},
    {"x", "{\"pool\":{}}", false, ERR_INVALID, NULL},
    {"x", "{\"pools\":{\"d\":{}},", false, ERR_MALFORMED, NULL},
};

START_TEST(applies_and_prunes)
{
    struct conf_document *document = must(before);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errors;
        struct err err;
        struct buf got;
        bool is_clash = false;
        conf_errors_init(&errors);
        buf_init(&got, 65536);
        struct conf_document *made =
            conf_owner_apply(document, slice_from(cases[i].owner), slice_from(cases[i].body),
                             cases[i].is_forced, &errors, &is_clash, &err);
        ck_assert_msg(err.kind == cases[i].kind, "case %zu: %d %s %.*s", i, (int)err.kind, err.text,
                      SLICE_ARG(errors.errors[0].detail));
        ck_assert((made != NULL) == (cases[i].kind == ERR_NONE));
        if (made != NULL) {
            ck_assert(conf_document_text(made, SLICE("/pools"), &got));
        } else {
            for (uint32_t e = 0; e < errors.error_count; e++) {
                (void)buf_printf(&got, "%.*s %.*s ", SLICE_ARG(errors.errors[e].pointer),
                                 SLICE_ARG(errors.errors[e].code));
            }
        }
        if (cases[i].want != NULL) {
            ck_assert_msg(strcmp(got.data, cases[i].want) == 0, "case %zu: %s", i, got.data);
        } else if (made != NULL) {
            ck_assert_msg(made == document, "case %zu: nothing was to change", i);
        }
        ck_assert(is_clash ==
                  (strstr(cases[i].want != NULL ? cases[i].want : "", "owned-by") != NULL));
        conf_document_unref(made);
        buf_fini(&got);
        conf_errors_fini(&errors);
    }
    conf_document_unref(document);
}
END_TEST

START_TEST(says_whose_it_is)
{
    struct conf_document *document = must(before);
    static const struct {
        const char *pointer;
        const char *owner;
    } whose[] = {
        {"/pools/a", "x"},
        {"/pools/b", "y"},
        {"/pools/c", ""},
        {"/pools/no", ""},
        {"/pools/d/servers/s", "x"},
        {"/pools", ""},
        {"", ""},
        {"/no/a", ""},
        {"pools", ""},
        {"/pools/a/b/c/d", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(whose); i++) {
        struct slice owner = conf_owner_of(document, slice_from(whose[i].pointer));
        ck_assert_msg(slice_eq(owner, slice_from(whose[i].owner)), "%s: %.*s", whose[i].pointer,
                      SLICE_ARG(owner));
    }
    conf_document_unref(document);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, applies_and_prunes);
    tcase_add_test(tcase, says_whose_it_is);
}

UNIT_MAIN("conf_owner", add_all)
