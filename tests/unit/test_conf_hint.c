#include <stdio.h>

#include "conf/conf_hint.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *where;
    const char *key;
    const char *suggestion; /* or NULL */
    const char *belongs;    /* or NULL */
    const char *meant;      /* that belongs there; NULL: the key itself */
} cases[] = {
    {"", "pool", "pools", NULL, NULL}, /* though routes.action has a "pool" */
    {"", "lisseners", "listeners", NULL, NULL},
    {"", "servers", NULL, "pools", NULL},
    {"", "workers", NULL, "daemon", NULL},
    {"pools", "algoritm", "algorithm", NULL, NULL},
    {"pools", "weight", NULL, "pools.servers", NULL},
    {"pools", "wieght", NULL, "pools.servers", "weight"},
    {"listeners", "keep_alvie", NULL, "listeners.timeouts", "keep_alive"},
    {"pools", "web", NULL, NULL, NULL},
    {"pools.servers", "adress", "address", NULL, NULL},
    {"pools.servers", "algorithm", NULL, "pools", NULL},
    {"pools.servers", "xyzzy", NULL, NULL, NULL},
    {"routes", "path_prefix", NULL, "routes.match", NULL},
    {"health_checks", "status", NULL, "health_checks.expect", NULL},
    {"policies.rate_limit", "rate", NULL, NULL, NULL}, /* not the "name" of a key below */
    {"routes.match.header", "X-Canary", NULL, NULL, NULL},
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
        const char *meant = cases[i].meant != NULL ? cases[i].meant : cases[i].key;
        ck_assert_msg(slice_eq(hint.key, slice_from(meant)), "%s: %.*s", cases[i].key,
                      SLICE_ARG(hint.key));
    }
}
END_TEST

START_TEST(it_is_said_in_words)
{
    static const struct {
        const char *key;
        const char *says;
    } words[] = {
        {"xyzzy", "'xyzzy' is not a known key"},
        {"weight", "'weight' is not a known key here; it belongs under 'pools.servers'"},
        {"wieght", "'wieght' is not a known key here; 'weight' belongs under 'pools.servers'"},
        {"retires", "'retires' is not a known key"}, /* the suggestion is the caller's to add */
    };
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    ck_assert(conf_schema_lookup(SLICE("pools"), &object, &field));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct conf_hint hint = conf_hint_unknown(object, slice_from(words[i].key));
        struct buf out;
        buf_init(&out, 1024);
        conf_hint_describe(&hint, slice_from(words[i].key), &out);
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(words[i].says)), "%.*s",
                      SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}
END_TEST

START_TEST(few_keys_are_listed)
{
    static const struct {
        const char *where;
        const char *key;
        const char *says;
    } lists[] = {
        {"routes.action.split", "canary", "; known are pools, key, name, cookie"},
        {"policies.rate_limit", "rate",
         "; known are requests, per, burst, key, keys, response_headers"},
        {"pools", "xyzzy", ""}, /* many */
        {"routes.action.split", "pool", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct conf_object *object = NULL;
        const struct conf_field *field = NULL;
        struct buf out;
        buf_init(&out, 1024);
        ck_assert(conf_schema_lookup(slice_from(lists[i].where), &object, &field));
        char want[256];
        (void)snprintf(want, sizeof want, "'%s' is not a known key%s", lists[i].key, lists[i].says);
        struct conf_hint hint = conf_hint_unknown(object, slice_from(lists[i].key));
        conf_hint_describe(&hint, slice_from(lists[i].key), &out);
        ck_assert_str_eq(out.data, want);
        buf_fini(&out);
    }
}
END_TEST

UNIT_TESTS("conf_hint", an_unknown_key_has_a_neighbour_or_a_home, it_is_said_in_words,
           few_keys_are_listed)
