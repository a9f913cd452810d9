#include <string.h>

#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

/* One edit at a time is tested in test_conf_document.c; here are many. */

enum { OPERATIONS_MAX = 5 };

static const char base_text[] =
    "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"}},"
    "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}},\"q\":{}}}";

static const struct {
    struct conf_operation operations[OPERATIONS_MAX];
    enum err_kind kind;
    uint32_t failed;  /* with an error */
    const char *want; /* the pools afterwards; NULL: the same document; or pointers of errors */
} cases[] = {
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/r"), SLICE_INIT("{}"), false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/q"), SLICE_INIT(""), false},
      {CONF_EDIT_MERGE, SLICE_INIT("/pools/r"), SLICE_INIT("{\"retries\":2}"), false}},
     ERR_NONE,
     0,
     "{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}},\"r\":{\"retries\":2}}"},
    /* a reference may come before what it names, and outlive what it named for a moment */
    {{{CONF_EDIT_MERGE, SLICE_INIT("/listeners/web"), SLICE_INIT("{\"default_pool\":\"new\"}"),
       false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/p"), SLICE_INIT(""), false},
      {CONF_EDIT_PUT, SLICE_INIT("/pools/new"), SLICE_INIT("{}"), false}},
     ERR_NONE,
     0,
     "{\"new\":{},\"q\":{}}"},
    {{{CONF_EDIT_DELETE, SLICE_INIT("/pools/p"), SLICE_INIT(""), false},
      {CONF_EDIT_PUT, SLICE_INIT("/pools/p"), SLICE_INIT("{}"), false}},
     ERR_NONE,
     0,
     "{\"p\":{},\"q\":{}}"},
    /* there and back again */
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{}"), false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/x"), SLICE_INIT(""), false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/y"), SLICE_INIT(""), true}},
     ERR_NONE,
     0,
     NULL},
    /* who is to blame */
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{}"), false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/p"), SLICE_INIT(""), false}},
     ERR_CONFLICT,
     1,
     "/listeners/web/default_pool 2 "},
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{\"retries\":-1}"), false},
      {CONF_EDIT_PUT, SLICE_INIT("/pools/y"), SLICE_INIT("{}"), false},
      {CONF_EDIT_PUT, SLICE_INIT("/pools/z"), SLICE_INIT("{\"no\":1}"), false}},
     ERR_INVALID,
     0,
     "/pools/x/retries 1 /pools/z/no 3 "},
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{}"), false},
      {CONF_EDIT_MERGE, SLICE_INIT("/listeners/web"), SLICE_INIT("{\"default_pool\":\"no\"}"),
       false}},
     ERR_INVALID,
     1,
     "/listeners/web/default_pool 2 "},
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{}"), false},
      {CONF_EDIT_DELETE, SLICE_INIT("/pools/no"), SLICE_INIT(""), false}},
     ERR_NOT_FOUND,
     1,
     ""},
    {{{CONF_EDIT_PUT, SLICE_INIT("/pools/x"), SLICE_INIT("{"), false}}, ERR_MALFORMED, 0, " 1 "},
    {{{CONF_EDIT_PUT, SLICE_INIT("pools"), SLICE_INIT("{}"), false}}, ERR_NOT_FOUND, 0, ""},
    {{{CONF_EDIT_DELETE, SLICE_INIT(""), SLICE_INIT(""), false}}, ERR_INVALID, 0, ""},
};

START_TEST(all_or_none)
{
    static struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *base = conf_document_from_text(slice_from(base_text), &errors);
    ck_assert_ptr_nonnull(base);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct buf got;
        uint32_t failed = 99;
        uint32_t count = 0;
        while (count < OPERATIONS_MAX && cases[i].operations[count].pointer.ptr != NULL) {
            count++;
        }
        conf_errors_clear(&errors);
        buf_init(&got, 65536);
        struct conf_document *made =
            conf_document_edit_many(base, cases[i].operations, count, &errors, &err, &failed);
        ck_assert_msg(err.kind == cases[i].kind, "case %zu: %d %s", i, (int)err.kind, err.text);
        ck_assert((made != NULL) == (err.kind == ERR_NONE));
        if (made == NULL) {
            ck_assert_msg(failed == cases[i].failed, "case %zu: %u", i, failed);
            for (uint32_t e = 0; e < errors.error_count; e++) {
                (void)buf_printf(&got, "%.*s %u ", SLICE_ARG(errors.errors[e].pointer),
                                 errors.errors[e].operation);
            }
        } else {
            ck_assert(conf_document_text(made, SLICE("/pools"), &got));
        }
        if (cases[i].want == NULL) {
            ck_assert_ptr_eq(made, base);
        } else {
            ck_assert_msg(slice_eq(buf_slice(&got), slice_from(cases[i].want)), "case %zu: %s", i,
                          got.len != 0 ? got.data : "");
        }
        conf_document_unref(made);
        buf_fini(&got);
    }
    conf_document_unref(base);
    conf_errors_fini(&errors);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, all_or_none);
}

UNIT_MAIN("conf_document_edit", add_all)
