#include "api/api_schema.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *type;
    const char *schema;
} cases[] = {
    {"string", "{'type':'string'}"},
    {"integer", "{'type':'integer','minimum':0}"},
    {"signed", "{'type':'integer'}"},
    {"any", "{}"},
    {"time", "{'type':'string','format':'date-time'}"},
    {"Pool", "{'$ref':'#/components/schemas/Pool'}"},
    {"[string]", "{'type':'array','items':{'type':'string'}}"},
    {"{Pool}", "{'type':'object','additionalProperties':{'$ref':'#/components/schemas/Pool'}}"},
    {"[{integer}]", "{'type':'array','items':{'type':'object','additionalProperties':{'type':"
                    "'integer','minimum':0}}}"},
    {"up|down", "{'type':'string','enum':['up','down']}"},
    {"ok", "{'type':'string','enum':['ok']}"},
    {"PUT|PATCH", "{'type':'string','enum':['PUT','PATCH']}"},
    {"string|null", "{'anyOf':[{'type':'string'},{'type':'null'}]}"},
    {"Pool|DryRun", "{'anyOf':[{'$ref':'#/components/schemas/Pool'},{'$ref':"
                    "'#/components/schemas/DryRun'}]}"},
    {"{Pool}|null", "{'anyOf':[{'type':'object','additionalProperties':{'$ref':"
                    "'#/components/schemas/Pool'}},{'type':'null'}]}"},
    {"[a|b]", "{'type':'array','items':{'type':'string','enum':['a','b']}}"},
};

START_TEST(a_type_is_a_schema)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_write w;
        struct buf out;
        buf_init(&out, 4096);
        json_write_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        api_schema_write_type(&w, slice_from(cases[i].type));
        json_write_object_end(&w);
        for (size_t at = 0; at < out.len; at++) {
            out.data[at] = out.data[at] == '"' ? '\'' : out.data[at];
        }
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(cases[i].schema)), "%s: %.*s",
                      cases[i].type, SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}
END_TEST

START_TEST(all_are_there_once)
{
    struct json_write w;
    struct buf out;
    struct json_error error;
    buf_init(&out, 4U * 1024U * 1024U);
    json_write_init(&w, &out, JSON_COMPACT);
    json_write_object_begin(&w);
    api_schema_write_all(&w);
    json_write_object_end(&w);
    /* strict: a name that is there twice is an error */
    struct json *json = json_parse(buf_slice(&out), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(json != NULL, "%s", error.text);
    const struct json *schemas = json_get(json, SLICE("schemas"));
    static const char *const some[] = {"Config",  "Pool",       "Server",
                                       "Problem", "PoolStatus", "Event"};
    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        ck_assert_msg(json_get(schemas, slice_from(some[i])) != NULL, "%s", some[i]);
    }
    json_free(json);
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("api_schema", a_type_is_a_schema, all_are_there_once)
