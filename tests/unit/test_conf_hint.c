#include "conf/conf_hint.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *where;
    const char *key;
    const char *suggestion; /* or NULL */
    const char *belongs;    /* or NULL */
} cases[] = {
    {"", "pool", "pools", NULL}, /* though routes.action has a "pool" */
    {"", "lisseners", "listeners", NULL},
    {"", "servers", NULL, "pools"},
    {"", "workers", NULL, "daemon"},
    {"pools", "algoritm", "algorithm", NULL},
    {"pools", "weight", NULL, "pools.servers"},
    {"pools.servers", "adress", "address", NULL},
    {"pools.servers", "algorithm", NULL, "pools"},
    {"pools.servers", "xyzzy", NULL, NULL},
    {"routes", "path_prefix", NULL, "routes.match"},
    {"health_checks", "status", NULL, "health_checks.expect"},
};

START_TEST(an_unknown_key_has_a_neighbour_or_a_home)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct conf_object *object = NULL;
        const struct conf_field *field = NULL;
        ck_assert(conf_schema_lookup(slice_from(cases[i].where), &object, &field));
        struct conf_hint hint = conf_hint_unknown(object, slice_from(cases[i].key));
        ck_assert_msg(slice_eq(hint.suggestion, slice_from(cases[i].suggestion)), "%s: %.*s",
                      cases[i].key, SLICE_ARG(hint.suggestion));
        ck_assert_msg((hint.belongs == NULL) == (cases[i].belongs == NULL) &&
                          (hint.belongs == NULL || strcmp(hint.belongs, cases[i].belongs) == 0),
                      "%s: %s", cases[i].key, hint.belongs);
    }
}
END_TEST

UNIT_TESTS("conf_hint", an_unknown_key_has_a_neighbour_or_a_home)
