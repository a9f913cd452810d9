#include <stdio.h>
#include <string.h>

#include "api/api_describe.h"
#include "api/api_table.h"
#include "conf/conf_schema.h"
#include "tests/unit/unit.h"

static const char *const methods[API_METHODS] = {[API_GET] = "GET",
                                                 [API_PUT] = "PUT",
                                                 [API_PATCH] = "PATCH",
                                                 [API_DELETE] = "DELETE",
                                                 [API_POST] = "POST"};

START_TEST(every_row_is_described)
{
    for (size_t i = 0; i < api_table_count(); i++) {
        const struct api_row *row = api_table_row(i);
        for (size_t method = 0; method < API_METHODS; method++) {
            if (row->handlers[method] != NULL) {
                const struct api_operation *operation =
                    api_describe_operation(row->pattern, (enum api_method)method);
                ck_assert_msg(operation != NULL, "api_describe.def lacks OPERATION(API_%s, \"%s\"",
                              methods[method], row->pattern);
            }
        }
    }
}
END_TEST

static const struct api_row *row_of(const char *pattern)
{
    for (size_t i = 0; i < api_table_count(); i++) {
        if (strcmp(api_table_row(i)->pattern, pattern) == 0) {
            return api_table_row(i);
        }
    }
    return NULL;
}

START_TEST(operations_are_complete_and_have_names_of_their_own)
{
    const struct api_operation *operation = NULL;
    for (size_t i = 0; (operation = api_describe_operation_at(i)) != NULL; i++) {
        const struct api_tag *tag = NULL;
        size_t at = 0;
        ck_assert_msg(operation->id != NULL && operation->summary != NULL &&
                          operation->answers != NULL && operation->tag != NULL,
                      "%s", operation->pattern);
        while ((tag = api_describe_tag_at(at)) != NULL && strcmp(tag->name, operation->tag) != 0) {
            at++;
        }
        ck_assert_msg(tag != NULL, "%s: no TAG \"%s\"", operation->id, operation->tag);
        for (size_t j = 0; j < i; j++) {
            const struct api_operation *other = api_describe_operation_at(j);
            ck_assert_msg(strcmp(operation->id, other->id) != 0, "%s twice", operation->id);
            ck_assert_msg(operation->method != other->method ||
                              strcmp(operation->pattern, other->pattern) != 0,
                          "%s twice", operation->pattern);
        }
        size_t len = strlen(operation->summary);
        ck_assert_msg(operation->summary[len - 1] != '.', "%s: a summary is no sentence",
                      operation->id);
        bool has_body = operation->method == API_PUT || operation->method == API_PATCH;
        ck_assert_msg(!has_body || operation->request != NULL, "%s: request", operation->id);
    }
}
END_TEST

/* Every parameter of the router is described, and every description is of a parameter that some row
 * has. */
START_TEST(parameters_are_those_of_the_router)
{
    bool used[256] = {false};
    const struct api_parameter *parameter = NULL;
    for (size_t i = 0; i < api_table_count(); i++) {
        const struct api_row *row = api_table_row(i);
        const char *const lists[] = {row->query, row->changing_query};
        for (size_t list = 0; list < ARRAY_LEN(lists); list++) {
            struct slice rest = slice_from(lists[list] != NULL ? lists[list] : "");
            struct slice word;
            while (rest.len != 0 && slice_split(&rest, ' ', &word)) {
                const struct api_parameter *found = api_describe_parameter(row->pattern, word);
                ck_assert_msg(found != NULL, "api_parameters.def lacks PARAMETER(\"%.*s\" of %s",
                              SLICE_ARG(word), row->pattern);
                size_t at = 0;
                while (api_describe_parameter_at(at) != found) {
                    at++;
                }
                ck_assert(at < ARRAY_LEN(used));
                used[at] = true;
            }
        }
    }
    for (size_t i = 0; (parameter = api_describe_parameter_at(i)) != NULL; i++) {
        ck_assert_msg(parameter->doc != NULL && parameter->type != NULL, "%s", parameter->name);
        ck_assert_msg(used[i], "PARAMETER(\"%s\"): no row has it", parameter->name);
    }
}
END_TEST

START_TEST(every_hole_of_a_path_has_a_name)
{
    for (size_t i = 0; i < api_table_count(); i++) {
        const char *pattern = api_table_row(i)->pattern;
        struct slice rest = slice_from(pattern);
        struct slice before = SLICE_NONE;
        struct slice part;
        while (rest.len != 0 && slice_split(&rest, '/', &part)) {
            if (part.len != 0 && part.ptr[0] == '{') {
                const struct api_path_name *name = api_describe_path_name(before);
                ck_assert_msg(name != NULL, "api_parameters.def lacks PATH_NAME(\"%.*s\" of %s",
                              SLICE_ARG(before), pattern);
            }
            before = part;
        }
    }
}
END_TEST

static bool is_document_of_config(struct slice name, const struct conf_object *object)
{
    char is[CONF_SCHEMA_NAME_MAX];
    conf_schema_object_name(object, is);
    if (slice_eq(name, slice_from(is))) {
        return true;
    }
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].object != NULL &&
            is_document_of_config(name, object->fields[i].object)) {
            return true;
        }
    }
    return false;
}

/* Words that begin with a capital and a small letter are documents: there must be such. */
static void check_types(const char *text, const char *where)
{
    while (text != NULL && *text != '\0') {
        size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (len > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a') {
            struct slice name = slice_of(text, len);
            ck_assert_msg(api_describe_schema(name) != NULL ||
                              is_document_of_config(name, conf_schema_document),
                          "%s: there is no document %.*s", where, SLICE_ARG(name));
        }
        text += len > 0 ? len : 1;
    }
}

START_TEST(types_name_documents_that_exist)
{
    const struct api_operation *operation = NULL;
    const struct api_schema *schema = NULL;
    for (size_t i = 0; (operation = api_describe_operation_at(i)) != NULL; i++) {
        check_types(operation->request, operation->id);
        check_types(operation->answers, operation->id);
    }
    for (size_t i = 0; (schema = api_describe_schema_at(i)) != NULL; i++) {
        ck_assert_msg(!is_document_of_config(slice_from(schema->name), conf_schema_document),
                      "%s is also a setting", schema->name);
        ck_assert_ptr_eq(api_describe_schema(slice_from(schema->name)), schema);
        for (const struct api_member *member = schema->members; member->key != NULL; member++) {
            ck_assert_msg(member->type != NULL && member->doc != NULL, "%s.%s", schema->name,
                          member->key);
            check_types(member->type, schema->name);
        }
    }
}
END_TEST

START_TEST(nothing_is_described_that_is_not_there)
{
    const struct api_operation *operation = NULL;
    for (size_t i = 0; (operation = api_describe_operation_at(i)) != NULL; i++) {
        const struct api_row *row = row_of(operation->pattern);
        ck_assert_msg(row != NULL && row->handlers[operation->method] != NULL,
                      "OPERATION(API_%s, \"%s\"): the router has no such row",
                      methods[operation->method], operation->pattern);
    }
}
END_TEST

static bool names_document(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = text; at != NULL && (at = strstr(at, name)) != NULL; at += len) {
        bool begins = at == text || strchr("[{|; ", at[-1]) != NULL;
        if (begins && (at[len] == '\0' || strchr("]}|; ", at[len]) != NULL)) {
            return true;
        }
    }
    return false;
}

static bool is_used(const struct api_schema *schema)
{
    const struct api_operation *operation = NULL;
    const struct api_schema *other = NULL;
    for (size_t i = 0; (operation = api_describe_operation_at(i)) != NULL; i++) {
        if (names_document(operation->request, schema->name) ||
            names_document(operation->answers, schema->name)) {
            return true;
        }
    }
    for (size_t i = 0; (other = api_describe_schema_at(i)) != NULL; i++) {
        for (const struct api_member *member = other->members; member->key != NULL; member++) {
            if (other != schema && names_document(member->type, schema->name)) {
                return true;
            }
        }
    }
    return strcmp(schema->name, "Problem") == 0; /* of all that fails */
}

START_TEST(every_document_is_used)
{
    const struct api_schema *schema = NULL;
    for (size_t i = 0; (schema = api_describe_schema_at(i)) != NULL; i++) {
        ck_assert_msg(is_used(schema), "SCHEMA(\"%s\"): nothing has it", schema->name);
    }
}
END_TEST

START_TEST(a_row_that_is_described_is_found)
{
    ck_assert_ptr_nonnull(row_of("/v1/config"));
    ck_assert_str_eq(api_describe_operation("/v1/config", API_PUT)->id, "putConfig");
    ck_assert_ptr_null(api_describe_operation("/v1/config", API_DELETE));
    ck_assert_ptr_null(api_describe_operation("/v1/none", API_GET));
    ck_assert_str_eq(api_describe_path_name(SLICE("pools"))->name, "pool");
    ck_assert_ptr_null(api_describe_path_name(SLICE("none")));
    /* one that is for a row of its own, and one for all others */
    ck_assert_ptr_ne(api_describe_parameter("/readyz", SLICE("pool")),
                     api_describe_parameter("/v1/connections", SLICE("pool")));
    ck_assert_ptr_null(api_describe_parameter("/readyz", SLICE("none")));
}
END_TEST

UNIT_TESTS("api_describe", every_row_is_described,
           operations_are_complete_and_have_names_of_their_own, parameters_are_those_of_the_router,
           every_hole_of_a_path_has_a_name, nothing_is_described_that_is_not_there,
           every_document_is_used, types_name_documents_that_exist,
           a_row_that_is_described_is_found)
