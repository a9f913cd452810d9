#include <stdio.h>
#include <string.h>

#include "api/api_describe.h"
#include "api/api_openapi.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "tests/unit/unit.h"

static const char *const methods[API_METHODS] = {[API_GET] = "get",
                                                 [API_PUT] = "put",
                                                 [API_PATCH] = "patch",
                                                 [API_DELETE] = "delete",
                                                 [API_POST] = "post"};

static struct json *document(void)
{
    struct buf text;
    struct json_error error;
    buf_init(&text, 16U * 1024U * 1024U);
    api_openapi_write(&text);
    ck_assert(!text.overflow);
    struct json *json = json_parse(buf_slice(&text), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(json != NULL, "%s", error.text);
    buf_fini(&text);
    return json;
}

/* "/v1/pools/{pool}" is "/v1/pools/{}" in the router. */
static const struct api_row *row_of(struct slice path)
{
    char pattern[256];
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        bool is_inside = len > 0 && pattern[len - 1] == '{' && path.ptr[i] != '}';
        if (!is_inside) {
            ck_assert_uint_lt(len, sizeof pattern - 1);
            pattern[len++] = path.ptr[i];
        }
    }
    pattern[len] = '\0';
    for (size_t i = 0; i < api_table_count(); i++) {
        const char *is = api_table_row(i)->pattern;
        const char *star = strchr(is, '*');
        if (strcmp(is, pattern) == 0 ||
            (star != NULL && strncmp(is, pattern, (size_t)(star - is)) == 0 &&
             strcmp(pattern + (star - is), star + 1) == 0)) {
            return api_table_row(i);
        }
    }
    return NULL;
}

START_TEST(paths_and_methods_are_those_of_the_router)
{
    struct json *json = document();
    const struct json *paths = json_get(json, SLICE("paths"));
    const struct json *path = NULL;
    ck_assert_uint_eq(json_count(paths), api_table_count());
    json_for_each(path, paths)
    {
        const struct api_row *row = row_of(json_key(path));
        ck_assert_msg(row != NULL, "%.*s is not in the router", SLICE_ARG(json_key(path)));
        for (size_t method = 0; method < API_METHODS; method++) {
            ck_assert_msg((json_get(path, slice_from(methods[method])) != NULL) ==
                              (row->handlers[method] != NULL),
                          "%s %s", methods[method], row->pattern);
        }
    }
    json_free(json);
}
END_TEST

static bool has_parameter(const struct json *operation, struct slice name)
{
    const struct json *parameter = NULL;
    json_for_each(parameter, json_get(operation, SLICE("parameters")))
    {
        if (slice_eq(json_string(json_get(parameter, SLICE("in"))), SLICE("query")) &&
            slice_eq(json_string(json_get(parameter, SLICE("name"))), name)) {
            return true;
        }
    }
    return false;
}

START_TEST(parameters_and_roles_are_those_of_the_router)
{
    struct json *json = document();
    const struct json *path = NULL;
    json_for_each(path, json_get(json, SLICE("paths")))
    {
        const struct api_row *row = row_of(json_key(path));
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct json *operation = json_get(path, slice_from(methods[method]));
            const struct json *parameter = NULL;
            if (operation == NULL) {
                continue;
            }
            const char *words = method == API_GET ? row->query : row->changing_query;
            struct slice rest = slice_from(words != NULL ? words : "");
            struct slice word;
            while (rest.len != 0 && slice_split(&rest, ' ', &word)) {
                ck_assert_msg(has_parameter(operation, word), "%s %s: %.*s", methods[method],
                              row->pattern, SLICE_ARG(word));
            }
            json_for_each(parameter, json_get(operation, SLICE("parameters")))
            {
                if (slice_eq(json_string(json_get(parameter, SLICE("in"))), SLICE("query"))) {
                    struct slice name = json_string(json_get(parameter, SLICE("name")));
                    ck_assert(api_table_knows_query(row, (enum api_method)method, name));
                }
            }
            const char *role = api_request_role_word(api_table_role(row, (enum api_method)method));
            ck_assert(
                slice_eq(json_string(json_get(operation, SLICE("x-lbd-role"))), slice_from(role)));
        }
    }
    json_free(json);
}
END_TEST

static void check_references(const struct json *at, const struct json *root)
{
    const struct json *item = NULL;
    struct slice reference = json_string(json_get(at, SLICE("$ref")));
    if (reference.len != 0) {
        const struct json *found = root;
        struct slice part;
        struct slice rest = slice_from_at(reference, 2);
        while (rest.len != 0 && slice_split(&rest, '/', &part)) {
            found = json_get(found, part);
        }
        ck_assert_msg(found != NULL, "%.*s leads nowhere", SLICE_ARG(reference));
    }
    if (json_is(at, JSON_OBJECT) || json_is(at, JSON_ARRAY)) {
        json_for_each(item, at)
        {
            check_references(item, root);
        }
    }
}

START_TEST(every_reference_leads_somewhere)
{
    struct json *json = document();
    check_references(json, json);
    json_free(json);
}
END_TEST

static void compare_settings(const struct conf_object *object, const struct json *schemas)
{
    char name[CONF_SCHEMA_NAME_MAX];
    conf_schema_object_name(object, name);
    const struct json *schema = json_get(schemas, slice_from(name));
    const struct json *properties = json_get(schema, SLICE("properties"));
    ck_assert_msg(schema != NULL, "%s", name);
    ck_assert_uint_eq(json_count(properties), object->field_count);
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        const struct json *property = json_get(properties, slice_from(field->key));
        ck_assert_msg(property != NULL, "%s.%s", name, field->key);
        ck_assert(json_get(property, SLICE("examples")) != NULL);
        if (field->object != NULL) {
            compare_settings(field->object, schemas);
        }
    }
}

/* In both directions: a setting is in the document, and nothing that is closed to further members
 * is there but settings. */
START_TEST(settings_are_those_of_the_schema_table)
{
    struct json *json = document();
    const struct json *schemas = json_get(json_get(json, SLICE("components")), SLICE("schemas"));
    const struct json *schema = NULL;
    uint32_t closed = 0;
    compare_settings(conf_schema_document, schemas);
    ck_assert(json_get(schemas, SLICE("Daemon")) == NULL);
    json_for_each(schema, schemas)
    {
        if (json_get(schema, SLICE("additionalProperties")) != NULL) {
            closed++;
        } else {
            ck_assert_msg(api_describe_schema(json_key(schema)) != NULL, "%.*s",
                          SLICE_ARG(json_key(schema)));
        }
    }
    struct buf text;
    struct json_write w;
    buf_init(&text, 16U * 1024U * 1024U);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_object_begin(&w);
    conf_schema_write_definitions(&w, conf_schema_document, "#/components/schemas/");
    json_write_object_end(&w);
    struct json *definitions = json_parse_trusted(buf_slice(&text));
    ck_assert_uint_eq(json_count(definitions), closed);
    json_for_each(schema, definitions)
    {
        ck_assert(json_equal(schema, json_get(schemas, json_key(schema))));
    }
    json_free(definitions);
    buf_fini(&text);
    json_free(json);
}
END_TEST

START_TEST(every_body_has_an_example)
{
    struct json *json = document();
    const struct json *path = NULL;
    uint32_t bodies = 0;
    json_for_each(path, json_get(json, SLICE("paths")))
    {
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct json *operation = json_get(path, slice_from(methods[method]));
            const struct json *content =
                json_get(json_get(operation, SLICE("requestBody")), SLICE("content"));
            const struct json *media = NULL;
            if (content == NULL) {
                continue;
            }
            bodies++;
            json_for_each(media, content)
            {
                ck_assert_msg(json_get(media, SLICE("example")) != NULL, "%s %.*s", methods[method],
                              SLICE_ARG(json_key(path)));
            }
        }
    }
    ck_assert_uint_gt(bodies, 15);
    json_free(json);
}
END_TEST

START_TEST(problems_are_those_of_the_table)
{
    struct json *json = document();
    const struct json *responses =
        json_get(json_get(json, SLICE("components")), SLICE("responses"));
    const struct api_problem_type *problem = NULL;
    for (size_t i = 0; (problem = api_problem_type_at(i)) != NULL; i++) {
        char name[8];
        char word[128];
        (void)snprintf(name, sizeof name, "P%u", problem->status);
        const struct json *response = json_get(responses, slice_from(name));
        if (problem->status == 405) { /* methods that are not there are not described */
            ck_assert(response == NULL);
            continue;
        }
        ck_assert_msg(response != NULL, "no operation may fail with %s", problem->type);
        (void)snprintf(word, sizeof word, "`%s`", problem->type);
        char text[4096];
        (void)snprintf(text, sizeof text, "%.*s",
                       SLICE_ARG(json_string(json_get(response, SLICE("description")))));
        ck_assert_msg(strstr(text, word) != NULL, "%s: %s", word, text);
    }
    json_free(json);
}
END_TEST

UNIT_TESTS("api_openapi", paths_and_methods_are_those_of_the_router,
           parameters_and_roles_are_those_of_the_router, every_reference_leads_somewhere,
           settings_are_those_of_the_schema_table, every_body_has_an_example,
           problems_are_those_of_the_table)
