/*
 * conf_schema_json - the table of settings for programs: the third part of conf_schema.h.
 *
 * Each object of the table becomes one schema with a name of its own, "PoolTimeouts" of
 * "pool.timeouts"; objects refer to each other by it. GET /v1/schema.json and the OpenAPI document
 * differ only in where the definitions stand.
 *
 * Memory: keeps nothing. Threads: any.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/conf_format.h"
#include "conf/conf_schema.h"
#include "conf/json/json_write.h"

enum { PRESET_BYTES_MAX = 4096, OBJECTS_MAX = 256 };

/* Where definitions stand: "#/$defs/". */
struct writer {
    struct json_write *w;
    const char *prefix;
};

static const char name_pattern[] = "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$";

void conf_schema_object_name(const struct conf_object *object, char out[CONF_SCHEMA_NAME_MAX])
{
    size_t len = 0;
    bool at_begin = true;
    const char *name = object->name[0] != '\0' ? object->name : "config";
    for (; *name != '\0' && len + 1 < CONF_SCHEMA_NAME_MAX; name++) {
        if (*name == '.' || *name == '_') {
            at_begin = true;
            continue;
        }
        out[len++] = at_begin && *name >= 'a' && *name <= 'z' ? (char)(*name - ('a' - 'A')) : *name;
        at_begin = false;
    }
    out[len] = '\0';
}

static void write_reference(const struct writer *to, const struct conf_object *object)
{
    char name[CONF_SCHEMA_NAME_MAX];
    char place[CONF_SCHEMA_NAME_MAX + 64];
    conf_schema_object_name(object, name);
    (void)snprintf(place, sizeof place, "%s%s", to->prefix, name);
    json_write_member_text(to->w, "$ref", place);
}

/* What a field is, in words: also what a schema cannot say. */
static void write_description(const struct conf_field *field, struct json_write *w)
{
    struct buf text;
    struct buf range;
    buf_init(&text, PRESET_BYTES_MAX);
    buf_init(&range, PRESET_BYTES_MAX);
    (void)buf_append_text(&text, field->doc);
    bool is_string_of_number = field->type == CONF_TYPE_DURATION || field->type == CONF_TYPE_SIZE;
    if (is_string_of_number && conf_schema_range_text(field, &range)) {
        (void)buf_printf(&text, " Allowed: %.*s.", SLICE_ARG(buf_slice(&range)));
    }
    if (field->only_when_key != NULL) {
        (void)buf_printf(&text, " Only when `%s` is `\"%s\"`.", field->only_when_key,
                         field->only_when_word);
    }
    if (field->refers_to != NULL) {
        (void)buf_printf(&text, " One of `%s`.", field->refers_to);
    }
    json_write_member_string(w, "description", buf_slice(&text));
    buf_fini(&range);
    buf_fini(&text);
}

static void write_words(const struct conf_field *field, struct json_write *w)
{
    json_write_key(w, "enum");
    json_write_array_begin(w);
    for (size_t i = 0; field->words[i] != NULL; i++) {
        if (field->type == CONF_TYPE_ENUM) {
            json_write_text(w, field->words[i]);
        } else {
            json_write_i64(w, strtoll(field->words[i], NULL, 10));
        }
    }
    json_write_array_end(w);
}

static void write_limits(const struct conf_field *field, const char *least, const char *most,
                         struct json_write *w)
{
    if (field->min != 0) {
        json_write_member_i64(w, least, field->min);
    }
    json_write_member_i64(w, most, field->max);
}

static void write_integer_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_member_text(w, "type", "integer");
    if (field->words != NULL) {
        write_words(field, w);
    } else {
        json_write_member_i64(w, "minimum", field->min);
        json_write_member_i64(w, "maximum", field->max);
    }
}

static void write_auto_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_key(w, "oneOf");
    json_write_array_begin(w);
    json_write_object_begin(w);
    json_write_member_text(w, "const", "auto");
    json_write_object_end(w);
    json_write_object_begin(w);
    write_integer_schema(field, w);
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_weight_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_key(w, "oneOf");
    json_write_array_begin(w);
    json_write_object_begin(w);
    write_integer_schema(field, w);
    json_write_object_end(w);
    json_write_object_begin(w);
    json_write_member_text(w, "type", "string");
    json_write_member_text(w, "pattern", "^([1-9][0-9]?|100)%$");
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_string_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_member_text(w, "type", "string");
    if (field->type == CONF_TYPE_DURATION) {
        json_write_member_text(w, "pattern", "^(0|([0-9]+(ms|s|m|h|d))+)$");
    } else if (field->type == CONF_TYPE_SIZE) {
        json_write_member_text(w, "pattern", "^[0-9]+(B|[kMGT]B|[KMGT]iB)?$");
    } else if (field->format == CONF_FORMAT_NAME) {
        json_write_member_text(w, "pattern", name_pattern);
    } else {
        write_limits(field, "minLength", "maxLength", w);
    }
}

static void write_status_items(struct json_write *w)
{
    json_write_key(w, "oneOf");
    json_write_array_begin(w);
    json_write_object_begin(w);
    json_write_member_text(w, "type", "string");
    json_write_member_text(w, "pattern", "^[1-5]xx$");
    json_write_object_end(w);
    json_write_object_begin(w);
    json_write_member_text(w, "type", "integer");
    json_write_member_u64(w, "minimum", 100);
    json_write_member_u64(w, "maximum", 599);
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_list_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_member_text(w, "type", "array");
    write_limits(field, "minItems", "maxItems", w);
    json_write_key(w, "items");
    json_write_object_begin(w);
    if (field->type == CONF_TYPE_STATUS_LIST) {
        write_status_items(w);
    } else {
        json_write_member_text(w, "type", "string");
    }
    json_write_object_end(w);
}

static void write_map_schema(const struct writer *to, const struct conf_field *field)
{
    struct json_write *w = to->w;
    json_write_member_text(w, "type", "object");
    write_limits(field, "minProperties", "maxProperties", w);
    if (field->type == CONF_TYPE_MAP || field->type == CONF_TYPE_WEIGHTS) {
        json_write_key(w, "propertyNames");
        json_write_object_begin(w);
        if (conf_schema_name_format(field) == CONF_FORMAT_NAME) {
            json_write_member_text(w, "pattern", name_pattern);
        } else {
            json_write_member_u64(w, "minLength", 1);
            json_write_member_u64(w, "maxLength", CONF_MAIL_KEY_MAX);
        }
        json_write_object_end(w);
    }
    json_write_key(w, "additionalProperties");
    json_write_object_begin(w);
    if (field->type == CONF_TYPE_MAP) {
        write_reference(to, field->object);
    } else if (field->type == CONF_TYPE_WEIGHTS) {
        json_write_member_text(w, "type", "integer");
        json_write_member_i64(w, "minimum", 0);
        json_write_member_i64(w, "maximum", CONF_WEIGHT_MAX);
    } else {
        json_write_member_text(w, "type", "string");
    }
    json_write_object_end(w);
}

static void write_type(const struct writer *to, const struct conf_field *field)
{
    switch (field->type) {
    case CONF_TYPE_STRING:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        write_string_schema(field, to->w);
        break;
    case CONF_TYPE_BOOL:
        json_write_member_text(to->w, "type", "boolean");
        break;
    case CONF_TYPE_ENUM:
        json_write_member_text(to->w, "type", "string");
        write_words(field, to->w);
        break;
    case CONF_TYPE_INTEGER:
        write_integer_schema(field, to->w);
        break;
    case CONF_TYPE_AUTO:
        write_auto_schema(field, to->w);
        break;
    case CONF_TYPE_WEIGHT:
        write_weight_schema(field, to->w);
        break;
    case CONF_TYPE_STRING_LIST:
    case CONF_TYPE_STATUS_LIST:
        write_list_schema(field, to->w);
        break;
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_WEIGHTS:
    case CONF_TYPE_LABELS:
    case CONF_TYPE_MAP:
        write_map_schema(to, field);
        break;
    case CONF_TYPE_OBJECT:
        write_reference(to, field->object);
        break;
    }
}

static void write_field_schema(const struct writer *to, const struct conf_field *field)
{
    struct json_write *w = to->w;
    struct buf preset;
    buf_init(&preset, PRESET_BYTES_MAX);
    write_description(field, w);
    write_type(to, field);
    if (conf_schema_default_text(field, &preset)) {
        json_write_key(w, "default");
        json_write_raw(w, buf_slice(&preset));
    }
    json_write_key(w, "examples");
    json_write_array_begin(w);
    json_write_raw(w, slice_from(field->example));
    json_write_array_end(w);
    buf_fini(&preset);
}

/* {"required": [a, b]}; b may be NULL. */
static void write_needs(struct json_write *w, const char *a, const char *b)
{
    json_write_object_begin(w);
    json_write_key(w, "required");
    json_write_array_begin(w);
    json_write_text(w, a);
    if (b != NULL) {
        json_write_text(w, b);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

/* Keys of an object that exclude each other: one of each, or no two. */
static void write_choice(const struct conf_object *object, struct json_write *w)
{
    bool is_exact = object->choice == CONF_CHOICE_EXACTLY_ONE;
    if (object->choice == CONF_CHOICE_ANY) {
        return;
    }
    json_write_key(w, is_exact ? "oneOf" : "not");
    if (!is_exact) {
        json_write_object_begin(w);
        json_write_key(w, "anyOf");
    }
    json_write_array_begin(w);
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        if (field->choice != 0 && is_exact) {
            write_needs(w, field->key, NULL);
        }
        for (size_t j = i + 1; field->choice != 0 && !is_exact && j < object->field_count; j++) {
            if (object->fields[j].choice != 0) {
                write_needs(w, field->key, object->fields[j].key);
            }
        }
    }
    json_write_array_end(w);
    if (!is_exact) {
        json_write_object_end(w);
    }
}

static bool is_same_condition(const struct conf_field *a, const struct conf_field *b)
{
    return a->only_when_key != NULL && b->only_when_key != NULL &&
           strcmp(a->only_when_key, b->only_when_key) == 0 &&
           strcmp(a->only_when_word, b->only_when_word) == 0;
}

static bool is_first_of_condition(const struct conf_object *object, size_t index)
{
    const struct conf_field *field = &object->fields[index];
    for (size_t i = 0; i < index; i++) {
        if (is_same_condition(&object->fields[i], field)) {
            return false;
        }
    }
    return field->only_when_key != NULL;
}

/* {"if": KEY has WORD, "else": those keys must not be there} */
static void write_condition(const struct conf_object *object, const struct conf_field *first,
                            struct json_write *w)
{
    const struct conf_field *when = conf_schema_find(object, slice_from(first->only_when_key));
    json_write_object_begin(w);
    json_write_key(w, "if");
    json_write_object_begin(w);
    if (strcmp(when->words[when->preset], first->only_when_word) != 0) {
        json_write_key(w, "required");
        json_write_array_begin(w);
        json_write_text(w, first->only_when_key);
        json_write_array_end(w);
    }
    json_write_key(w, "properties");
    json_write_object_begin(w);
    json_write_key(w, first->only_when_key);
    json_write_object_begin(w);
    json_write_member_text(w, "const", first->only_when_word);
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_key(w, "else");
    json_write_object_begin(w);
    json_write_key(w, "properties");
    json_write_object_begin(w);
    for (size_t i = 0; i < object->field_count; i++) {
        if (is_same_condition(&object->fields[i], first)) {
            json_write_key(w, object->fields[i].key);
            json_write_object_begin(w);
            json_write_key(w, "not"); /* nothing is allowed there */
            json_write_object_begin(w);
            json_write_object_end(w);
            json_write_object_end(w);
        }
    }
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void write_conditions(const struct conf_object *object, struct json_write *w)
{
    bool any = false;
    for (size_t i = 0; i < object->field_count; i++) {
        if (is_first_of_condition(object, i)) {
            if (!any) {
                json_write_key(w, "allOf");
                json_write_array_begin(w);
                any = true;
            }
            write_condition(object, &object->fields[i], w);
        }
    }
    if (any) {
        json_write_array_end(w);
    }
}

static void write_required(const struct conf_object *object, struct json_write *w)
{
    bool any = false;
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].required) {
            if (!any) {
                json_write_key(w, "required");
                json_write_array_begin(w);
                any = true;
            }
            json_write_text(w, object->fields[i].key);
        }
    }
    if (any) {
        json_write_array_end(w);
    }
}

static void write_properties(const struct writer *to, const struct conf_object *object)
{
    for (size_t i = 0; i < object->field_count; i++) {
        json_write_key(to->w, object->fields[i].key);
        json_write_object_begin(to->w);
        write_field_schema(to, &object->fields[i]);
        json_write_object_end(to->w);
    }
}

static void write_object_schema(const struct writer *to, const struct conf_object *object)
{
    struct json_write *w = to->w;
    json_write_member_text(w, "type", "object");
    json_write_member_text(w, "description", object->doc);
    json_write_member_bool(w, "additionalProperties", false);
    write_required(object, w);
    write_choice(object, w);
    write_conditions(object, w);
    json_write_key(w, "properties");
    json_write_object_begin(w);
    write_properties(to, object);
    json_write_object_end(w);
}

/* All objects below this one, itself included, each once. */
static void collect(const struct conf_object *object, const struct conf_object **all, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (all[i] == object) {
            return;
        }
    }
    assert(*count < OBJECTS_MAX);
    all[(*count)++] = object;
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].object != NULL) {
            collect(object->fields[i].object, all, count);
        }
    }
}

void conf_schema_write_definitions(struct json_write *w, const struct conf_object *object,
                                   const char *prefix)
{
    const struct conf_object *all[OBJECTS_MAX];
    const struct writer to = {w, prefix};
    size_t count = 0;
    collect(object, all, &count);
    for (size_t i = 0; i < count; i++) {
        char name[CONF_SCHEMA_NAME_MAX];
        conf_schema_object_name(all[i], name);
        json_write_key(w, name);
        json_write_object_begin(w);
        write_object_schema(&to, all[i]);
        json_write_object_end(w);
    }
}

void conf_schema_write_json(struct buf *out)
{
    static const char prefix[] = "#/$defs/";
    struct json_write w;
    const struct writer to = {&w, prefix};
    json_write_init(&w, out, JSON_PRETTY);
    json_write_object_begin(&w);
    json_write_member_text(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_write_member_text(&w, "title", "lbd");
    json_write_member_text(&w, "type", "object");
    json_write_member_bool(&w, "additionalProperties", false);
    json_write_key(&w, "properties");
    json_write_object_begin(&w);
    json_write_key(&w, "$schema");
    json_write_object_begin(&w);
    json_write_member_text(&w, "type", "string");
    json_write_object_end(&w);
    json_write_key(&w, "daemon");
    json_write_object_begin(&w);
    json_write_member_text(&w, "description", conf_schema_daemon->doc);
    write_reference(&to, conf_schema_daemon);
    json_write_object_end(&w);
    write_properties(&to, conf_schema_document);
    json_write_object_end(&w);
    json_write_key(&w, "$defs");
    json_write_object_begin(&w);
    conf_schema_write_definitions(&w, conf_schema_document, prefix);
    conf_schema_write_definitions(&w, conf_schema_daemon, prefix); /* shares none with the other */
    json_write_object_end(&w);
    json_write_object_end(&w);
    (void)buf_append_char(out, '\n');
}
