#include <stdio.h>

#include "conf/conf.h"
#include "conf/conf_explain.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *asked;
    const char *path;       /* NULL: not found */
    const char *unknown;    /* then: this part ... */
    const char *suggestion; /* ... with this for it */
    const char *belongs;
} cases[] = {
    {"", "", NULL, NULL, NULL},
    {"/", "", NULL, NULL, NULL},
    {"#", "", NULL, NULL, NULL},
    {"pools", "pools", NULL, NULL, NULL},
    {"pools.servers.weight", "pools.servers.weight", NULL, NULL, NULL},
    {"/pools/servers/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"/pools/web/servers/a/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"#/pools/web/servers/a/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"pools/web/servers/a/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"pools.web.servers.a.weight", "pools.servers.weight", NULL, NULL, NULL},
    {"/pools/web", "pools", NULL, NULL, NULL},
    /* an element of a list, as the pointer of an error names it */
    {"policies/small/compression/encodings/1", "policies.compression.encodings", NULL, NULL, NULL},
    {"#/health_checks/h/expect/status/0", "health_checks.expect.status", NULL, NULL, NULL},
    {"policies/small/compression/encodings/x", NULL, "x", NULL, NULL},
    {"policies/small/compression/encodings/1/2", NULL, "1", NULL, NULL},
    {"/pools/web/servers/a/weight/1", NULL, "1", NULL, NULL},
    {"/pools/web/", "pools", NULL, NULL, NULL},
    {"/pools/www.example.com/timeouts/connect", "pools.timeouts.connect", NULL, NULL, NULL},
    /* a pool that is called as a key is */
    {"/pools/servers/servers/weight/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"/pools/timeouts/servers/servers/weight", "pools.servers.weight", NULL, NULL, NULL},
    {"daemon", "daemon", NULL, NULL, NULL},
    {"daemon.log.level", "daemon.log.level", NULL, NULL, NULL},
    {"/daemon/log", "daemon.log", NULL, NULL, NULL},
    {"pool", NULL, "pool", "pools", NULL},
    {"pools.web", "pools", NULL, NULL, NULL},
    {"pools.serbers", NULL, "serbers", "servers", NULL},
    {"/pools/serbers", "pools", NULL, NULL, NULL},
    {"pools.web.wieght", NULL, "wieght", NULL, "pools.servers"},
    {"pools.servers.wieght", NULL, "wieght", "weight", NULL},
    {"pools.wieght", NULL, "wieght", NULL, "pools.servers"},
    {"/pools/web/servers/a/wieght", NULL, "wieght", "weight", NULL},
    {"/pools/web/weight", NULL, "weight", NULL, "pools.servers"},
    {"/pools/web/servers/a/weight/x", NULL, "x", NULL, NULL},
    {"weight", NULL, "weight", NULL, "pools.servers"},
    {"workers", NULL, "workers", NULL, "daemon"},
    {"daemon.worker", NULL, "worker", "workers", NULL},
    {"x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x", NULL, NULL, NULL, NULL},
    {"pools/a/b/c/d/e", NULL, "b", NULL, NULL},
};

START_TEST(a_path_finds_its_setting_or_what_was_meant)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_explain explain;
        bool found = conf_explain_find(&explain, slice_from(cases[i].asked));
        const char *at = cases[i].asked;
        ck_assert_msg(found == (cases[i].path != NULL), "%s", at);
        if (found) {
            ck_assert_msg(slice_eq(buf_slice(&explain.path), slice_from(cases[i].path)), "%s: %.*s",
                          at, SLICE_ARG(buf_slice(&explain.path)));
        } else if (cases[i].unknown != NULL) {
            ck_assert_msg(slice_eq(explain.unknown, slice_from(cases[i].unknown)), "%s: %.*s", at,
                          SLICE_ARG(explain.unknown));
            ck_assert_msg(cases[i].suggestion == NULL ||
                              slice_eq(explain.hint.suggestion, slice_from(cases[i].suggestion)),
                          "%s: %.*s", at, SLICE_ARG(explain.hint.suggestion));
            ck_assert_msg(cases[i].belongs == NULL ||
                              (explain.hint.belongs != NULL &&
                               strcmp(explain.hint.belongs, cases[i].belongs) == 0),
                          "%s: %s", at, explain.hint.belongs);
        }
        conf_explain_fini(&explain);
    }
}
END_TEST

/* Every setting is found by its path, and what is written about it is what the table says. */
static void look(const struct conf_object *object, const char *prefix)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        struct conf_explain explain;
        struct json_write w;
        struct buf text;
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", field->key);
        ck_assert_msg(conf_explain_find(&explain, slice_from(path)), "%s", path);
        ck_assert_ptr_eq(explain.field, field);
        buf_init(&text, 1024 * 1024);
        json_write_init(&w, &text, JSON_COMPACT);
        conf_explain_write(&explain, &w);
        struct json *json = json_parse_trusted(buf_slice(&text));
        ck_assert(slice_eq(json_string(json_get(json, SLICE("path"))), slice_from(path)));
        ck_assert(slice_eq(json_string(json_get(json, SLICE("doc"))), slice_from(field->doc)));
        ck_assert(json_bool(json_get(json, SLICE("required"))) == field->required);
        ck_assert_ptr_nonnull(json_get(json, SLICE("example")));
        ck_assert((json_get(json, SLICE("keys")) != NULL) == (field->object != NULL));
        if (field->object != NULL) {
            ck_assert_uint_eq(json_count(json_get(json, SLICE("keys"))),
                              field->object->field_count);
            look(field->object, path);
        }
        json_free(json);
        buf_fini(&text);
        conf_explain_fini(&explain);
    }
}

START_TEST(every_setting_is_explained)
{
    look(conf_schema_document, "");
    look(conf_schema_daemon, "daemon");
}
END_TEST

START_TEST(a_list_of_encodings_lists_its_words)
{
    struct conf_explain explain;
    struct json_write w;
    struct buf text;
    ck_assert(conf_explain_find(&explain, SLICE("policies/a/compression/encodings")));
    buf_init(&text, 1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    conf_explain_write(&explain, &w);
    struct json *json = json_parse_trusted(buf_slice(&text));
    const struct json *words = json_get(json, SLICE("words"));
    ck_assert_uint_eq(json_count(words), CONF_ENCODING_COUNT);
    ck_assert(slice_eq(json_string(json_first(words)), SLICE("zstd")));
    json_free(json);
    buf_fini(&text);
    conf_explain_fini(&explain);
}
END_TEST

UNIT_TESTS("conf_explain", a_path_finds_its_setting_or_what_was_meant, every_setting_is_explained,
           a_list_of_encodings_lists_its_words)
