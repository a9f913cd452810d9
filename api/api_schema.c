#include "api/api_schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_describe.h"
#include "api/api_table.h"
#include "conf/conf_schema.h"

enum { SCHEMAS_MAX = 256 }; /* documents of api_schemas.def */

/* -- types, see api_describe.h -- */

/* Takes what stands before the next '|' that is not inside brackets. */
static bool next_alternative(struct slice *rest, struct slice *part)
{
    size_t depth = 0;
    size_t i = 0;
    if (rest->len == 0) {
        return false;
    }
    for (; i < rest->len && (depth > 0 || rest->ptr[i] != '|'); i++) {
        depth += rest->ptr[i] == '[' || rest->ptr[i] == '{' ? 1 : 0;
        depth -= rest->ptr[i] == ']' || rest->ptr[i] == '}' ? 1 : 0;
    }
    *part = slice_of(rest->ptr, i);
    *rest = i < rest->len ? slice_from_at(*rest, i + 1) : SLICE_NONE;
    return true;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* "Pool", but not "PUT". */
static bool is_document(struct slice type)
{
    return type.len > 1 && type.ptr[0] >= 'A' && type.ptr[0] <= 'Z' && is_lower(type.ptr[1]);
}

static const struct simple {
    const char *word;
    const char *type;    /* NULL: anything */
    const char *keyword; /* that says more, or NULL */
    const char *value;   /* JSON */
} simples[] = {
    {"string", "string", NULL, NULL},
    {"integer", "integer", "minimum", "0"},
    {"signed", "integer", NULL, NULL},
    {"number", "number", NULL, NULL},
    {"boolean", "boolean", NULL, NULL},
    {"null", "null", NULL, NULL},
    {"object", "object", NULL, NULL},
    {"any", NULL, NULL, NULL},
    {"time", "string", "format", "\"date-time\""},
    {"name", "string", "pattern", "\"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$\""},
    {"duration", "string", "pattern", "\"^(0|([0-9]+(ms|s|m|h|d))+)$\""},
};

static const struct simple *find_simple(struct slice word)
{
    for (size_t i = 0; i < ARRAY_LEN(simples); i++) {
        if (slice_eq(slice_from(simples[i].word), word)) {
            return &simples[i];
        }
    }
    return NULL;
}

static bool is_word(struct slice type)
{
    return type.ptr[0] != '[' && type.ptr[0] != '{' && !is_document(type) &&
           find_simple(type) == NULL;
}

void api_schema_write_reference(struct json_write *w, const char *kind, struct slice name)
{
    char place[128];
    (void)snprintf(place, sizeof place, "#/components/%s/%.*s", kind, SLICE_ARG(name));
    json_write_member_text(w, "$ref", place);
}

static void write_one_type(struct json_write *w, struct slice type)
{
    const struct simple *simple = find_simple(type);
    if (type.ptr[0] == '[' || type.ptr[0] == '{') {
        bool is_list = type.ptr[0] == '[';
        json_write_member_text(w, "type", is_list ? "array" : "object");
        json_write_key(w, is_list ? "items" : "additionalProperties");
        json_write_object_begin(w);
        api_schema_write_type(w, slice_of(type.ptr + 1, type.len - 2));
        json_write_object_end(w);
    } else if (is_document(type)) {
        api_schema_write_reference(w, "schemas", type);
    } else if (simple != NULL) {
        if (simple->type != NULL) {
            json_write_member_text(w, "type", simple->type);
        }
        if (simple->keyword != NULL) {
            json_write_key(w, simple->keyword);
            json_write_raw(w, slice_from(simple->value));
        }
    }
}

static void write_words(struct json_write *w, struct slice type)
{
    struct slice part;
    json_write_member_text(w, "type", "string");
    json_write_key(w, "enum");
    json_write_array_begin(w);
    while (next_alternative(&type, &part)) {
        json_write_string(w, part);
    }
    json_write_array_end(w);
}

/* As members of an open object. */
void api_schema_write_type(struct json_write *w, struct slice type)
{
    struct slice rest = type;
    struct slice part;
    (void)next_alternative(&rest, &part);
    if (is_word(part)) {
        write_words(w, type);
    } else if (rest.len == 0) {
        write_one_type(w, type);
    } else {
        json_write_key(w, "anyOf");
        json_write_array_begin(w);
        do {
            json_write_object_begin(w);
            write_one_type(w, part);
            json_write_object_end(w);
        } while (next_alternative(&rest, &part));
        json_write_array_end(w);
    }
}

void api_schema_write_member(struct json_write *w, struct slice type)
{
    json_write_key(w, "schema");
    json_write_object_begin(w);
    api_schema_write_type(w, type);
    json_write_object_end(w);
}

/* -- documents -- */

static bool is_optional(const struct api_member *member)
{
    return member->key[strlen(member->key) - 1] == '?';
}

static struct slice member_key(const struct api_member *member)
{
    return slice_of(member->key, strlen(member->key) - (is_optional(member) ? 1 : 0));
}

static void write_required(struct json_write *w, const struct api_schema *schema)
{
    bool any = false;
    for (const struct api_member *member = schema->members; member->key != NULL; member++) {
        if (!is_optional(member)) {
            if (!any) {
                json_write_key(w, "required");
                json_write_array_begin(w);
                any = true;
            }
            json_write_string(w, member_key(member));
        }
    }
    if (any) {
        json_write_array_end(w);
    }
}

static void write_document(struct json_write *w, const struct api_schema *schema)
{
    json_write_key(w, schema->name);
    json_write_object_begin(w);
    json_write_member_text(w, "type", "object");
    json_write_member_text(w, "description", schema->doc);
    write_required(w, schema);
    if (schema->members[0].key != NULL) {
        json_write_key(w, "properties");
        json_write_object_begin(w);
        for (const struct api_member *member = schema->members; member->key != NULL; member++) {
            json_write_key_slice(w, member_key(member));
            json_write_object_begin(w);
            json_write_member_text(w, "description", member->doc);
            api_schema_write_type(w, slice_from(member->type));
            json_write_object_end(w);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

/* The documents that something refers to. */
struct used {
    const struct api_schema *schemas[SCHEMAS_MAX];
    size_t count;
};

static void use_types(struct used *used, const char *text);

static void use_document(struct used *used, struct slice name)
{
    const struct api_schema *schema = api_describe_schema(name);
    for (size_t i = 0; schema != NULL && i < used->count; i++) {
        if (used->schemas[i] == schema) {
            return;
        }
    }
    if (schema != NULL && used->count < SCHEMAS_MAX) {
        used->schemas[used->count++] = schema;
        for (const struct api_member *member = schema->members; member->key != NULL; member++) {
            use_types(used, member->type);
        }
    }
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static void use_types(struct used *used, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t len = 0;
        while (is_letter(text[len])) {
            len++;
        }
        if (is_document(slice_of(text, len))) {
            use_document(used, slice_of(text, len));
        }
        text += len > 0 ? len : 1;
    }
}

void api_schema_write_all(struct json_write *w)
{
    struct used used = {.count = 0};
    use_document(&used, SLICE("Problem"));
    for (size_t i = 0; i < api_table_count(); i++) {
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct api_row *row = api_table_row(i);
            const struct api_operation *operation =
                api_describe_operation(row->pattern, (enum api_method)method);
            if (row->handlers[method] != NULL && operation != NULL) {
                use_types(&used, operation->request);
                use_types(&used, operation->answers);
            }
        }
    }
    json_write_key(w, "schemas");
    json_write_object_begin(w);
    conf_schema_write_definitions(w, conf_schema_document, "#/components/schemas/");
    for (size_t i = 0; api_describe_schema_at(i) != NULL; i++) { /* in the order of the table */
        for (size_t u = 0; u < used.count; u++) {
            if (used.schemas[u] == api_describe_schema_at(i)) {
                write_document(w, used.schemas[u]);
            }
        }
    }
    json_write_object_end(w);
}
