#include <stdlib.h>
#include <string.h>

#include "ctl/kind.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

START_TEST(kinds_are_found_by_their_words)
{
    for (const char *const *word = kind_words; *word != NULL; word++) {
        const struct kind *kind = kind_find(*word);
        ck_assert_ptr_nonnull(kind);
        ck_assert_ptr_eq(kind_find(kind->singular), kind);
        if (kind->key != NULL && kind->id != KIND_SERVERS) {
            ck_assert_ptr_eq(kind_of_key(slice_from(kind->key)), kind);
        }
    }
    ck_assert_ptr_eq(kind_find("health_check"), kind_find("health-checks"));
    ck_assert_ptr_eq(kind_find("cert"), kind_find("certificates"));
    ck_assert_ptr_null(kind_find("pol")); /* nothing is abbreviated */
    ck_assert_ptr_null(kind_of_key(SLICE("daemon")));
}
END_TEST

static const struct {
    const char *word;
    const char *name;
    const char *path; /* NULL: it cannot be */
    const char *pointer;
} targets[] = {
    {"pool", "web", "/v1/pools/web", "pools/web"},
    {"health-check", "a b", "/v1/health-checks/a%20b", "health_checks/a b"},
    {"servers", "web/anna", "/v1/pools/web/servers/anna", "pools/web/servers/anna"},
    {"config", NULL, "/v1/config", ""},
    {"config", "x", NULL, NULL},
    {"route", NULL, NULL, NULL},
    {"polls", "x", NULL, NULL},
    {"things", "x", NULL, NULL},
};

START_TEST(names_lead_to_paths)
{
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct ctl ctl;
        struct kind_target target;
        enum ctl_exit code = CTL_OK;
        char *text = NULL;
        size_t len;
        ctl_init(&ctl);
        ctl.err = open_memstream(&text, &len);
        bool ok = kind_target_read(&ctl, targets[i].word, targets[i].name, &target, &code);
        (void)fclose(ctl.err);
        ck_assert_int_eq(ok, targets[i].path != NULL);
        if (ok) {
            ck_assert_str_eq(target.path.data, targets[i].path);
            ck_assert(slice_eq(buf_slice(&target.pointer), slice_from(targets[i].pointer)));
            ck_assert_str_eq(text, "");
        } else {
            ck_assert_int_eq(code, CTL_USAGE);
            ck_assert_str_ne(text, "");
        }
        kind_target_fini(&target);
        free(text);
    }
}
END_TEST

START_TEST(a_pointer_is_a_kind_and_a_name)
{
    static const struct {
        const char *word;
        const char *kind;
        const char *name; /* NULL: it stays one word */
    } words[] = {
        {"pools/web", "pools", "web"},
        {"health_checks/alive", "health-checks", "alive"},
        {"server/web/anna", "servers", "web/anna"},
        {"cert/shop", "certificates", "shop"},
        {"pools/", "pools/", NULL},
        {"pools", "pools", NULL},
        {"web/anna", "web/anna", NULL},
        {"a-word-that-is-longer-than-any-kind-has/x", "a-word-that-is-longer-than-any-kind-has/x",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct ctl ctl;
        ctl_init(&ctl);
        ctl.args[0] = words[i].word;
        ctl.arg_count = 1;
        kind_split_pointer(&ctl);
        ck_assert_str_eq(ctl.args[0], words[i].kind);
        ck_assert_uint_eq(ctl.arg_count, words[i].name != NULL ? 2 : 1);
        if (words[i].name != NULL) {
            ck_assert_str_eq(ctl.args[1], words[i].name);
        }
    }
}
END_TEST

UNIT_TESTS("kind", kinds_are_found_by_their_words, names_lead_to_paths,
           a_pointer_is_a_kind_and_a_name)
