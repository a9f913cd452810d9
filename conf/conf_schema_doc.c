/*
 * conf_schema_doc - the table of settings for people and for editors: the second half of
 * conf_schema.h.
 *
 * docs/reference.md is the output of conf_schema_write_markdown; a test compares the two.
 *
 * Memory: keeps nothing. Threads: any.
 */
#include <stdlib.h>

#include "conf/conf_schema.h"
#include "conf/json/json_write.h"

enum { CELL_BYTES_MAX = 4096 };

static const char introduction[] =
    "# Settings\n"
    "\n"
    "Every key that lbd knows, made from `conf/conf_schema.def`.\n"
    "\n"
    "The file is JSON with `//` and `/* */` comments and trailing commas; the API speaks strict "
    "JSON. An unknown key is\n"
    "an error, and all errors are told at once. Objects have names, which are their keys: a-z, "
    "0-9 and, inside, `.`, `_`\n"
    "and `-`, at most 63 characters. Every setting has a default unless it says *required*; "
    "empty means that nothing is set.\n"
    "\n"
    "- *duration*: a number with its unit, `ms`, `s`, `m`, `h` or `d`, also several, largest "
    "first: `\"250ms\"`, `\"1m30s\"`.\n"
    "- *size*: a number with `B`, `KiB`, `MiB`, `GiB` (powers of 1024) or `kB`, `MB`, `GB` "
    "(powers of 1000): `\"64KiB\"`.\n"
    "- *integer*: a number without unit or fraction.\n";

static void append_cell(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|') {
            (void)buf_append_char(out, '\\');
        }
        (void)buf_append_char(out, *c);
    }
}

static void append_code(struct buf *out, struct slice text)
{
    if (text.len > 0) {
        (void)buf_printf(out, "`%.*s`", SLICE_ARG(text));
    }
}

static void write_row(const struct conf_field *field, struct buf *out)
{
    struct buf cell;
    buf_init(&cell, CELL_BYTES_MAX);
    (void)buf_printf(out, "| `%s` | %s | ", field->key, conf_schema_type_text(field));
    if (field->required) {
        (void)buf_append_text(out, "*required*");
    } else {
        (void)conf_schema_default_text(field, &cell);
        append_code(out, buf_slice(&cell));
    }
    (void)buf_append_text(out, " | ");
    buf_clear(&cell);
    if (conf_schema_range_text(field, &cell)) {
        append_cell(out, cell.data);
    }
    (void)buf_append_text(out, " | ");
    append_cell(out, field->doc);
    if (field->only_when_key != NULL) {
        (void)buf_printf(out, " Only when `%s` is `\"%s\"`.", field->only_when_key,
                         field->only_when_word);
    }
    if (field->refers_to != NULL) {
        (void)buf_printf(out, " One of `%s`.", field->refers_to);
    }
    (void)buf_printf(out, " | `%s` | %s |\n", field->example, field->since);
    buf_fini(&cell);
}

static bool is_shared(const struct conf_object *object)
{
    return strcmp(object->name, "meta") == 0;
}

static void write_table(const struct conf_object *object, struct buf *out)
{
    (void)buf_printf(out, "\n## %s%s\n\n%s\n\n", object->title, object->is_named ? ".NAME" : "",
                     object->doc);
    (void)buf_append_text(out, "| key | type | default | allowed | what | example | since |\n"
                               "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < object->field_count; i++) {
        write_row(&object->fields[i], out);
    }
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_object *inner = object->fields[i].object;
        if (inner != NULL && !is_shared(inner)) {
            write_table(inner, out);
        }
    }
}

/* The object that all others share. */
static const struct conf_object *meta_object(void)
{
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    bool found = conf_schema_lookup(SLICE("pools.meta"), &object, &field);
    assert(found);
    return object;
}

void conf_schema_write_markdown(struct buf *out)
{
    (void)buf_append_text(out, introduction);
    write_table(conf_schema_document, out);
    write_table(meta_object(), out);
    write_table(conf_schema_daemon, out);
}

static void write_object_schema(const struct conf_object *object, struct json_write *w);

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

static const char name_pattern[] = "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$";

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

static void write_map_schema(const struct conf_field *field, struct json_write *w)
{
    json_write_member_text(w, "type", "object");
    write_limits(field, "minProperties", "maxProperties", w);
    if (field->type == CONF_TYPE_MAP) {
        json_write_key(w, "propertyNames");
        json_write_object_begin(w);
        json_write_member_text(w, "pattern", name_pattern);
        json_write_object_end(w);
    }
    json_write_key(w, "additionalProperties");
    json_write_object_begin(w);
    if (field->type == CONF_TYPE_MAP) {
        write_object_schema(field->object, w);
    } else {
        json_write_member_text(w, "type", "string");
    }
    json_write_object_end(w);
}

static void write_field_schema(const struct conf_field *field, struct json_write *w)
{
    struct buf preset;
    buf_init(&preset, CELL_BYTES_MAX);
    json_write_member_text(w, "description", field->doc);
    switch (field->type) {
    case CONF_TYPE_STRING:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        write_string_schema(field, w);
        break;
    case CONF_TYPE_BOOL:
        json_write_member_text(w, "type", "boolean");
        break;
    case CONF_TYPE_ENUM:
        write_words(field, w);
        break;
    case CONF_TYPE_INTEGER:
        write_integer_schema(field, w);
        break;
    case CONF_TYPE_AUTO:
        write_auto_schema(field, w);
        break;
    case CONF_TYPE_STRING_LIST:
    case CONF_TYPE_STATUS_LIST:
        write_list_schema(field, w);
        break;
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_LABELS:
    case CONF_TYPE_MAP:
        write_map_schema(field, w);
        break;
    case CONF_TYPE_OBJECT:
        write_object_schema(field->object, w);
        break;
    }
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

/* Keys of an object that exclude each other. */
static void write_choice(const struct conf_object *object, struct json_write *w)
{
    if (object->choice == CONF_CHOICE_EXACTLY_ONE) {
        json_write_member_u64(w, "minProperties", 1);
        json_write_member_u64(w, "maxProperties", 1);
    } else if (object->choice == CONF_CHOICE_AT_MOST_ONE) {
        json_write_key(w, "not");
        json_write_object_begin(w);
        json_write_key(w, "required");
        json_write_array_begin(w);
        for (size_t i = 0; i < object->field_count; i++) {
            if (object->fields[i].choice != 0) {
                json_write_text(w, object->fields[i].key);
            }
        }
        json_write_array_end(w);
        json_write_object_end(w);
    }
}

static void write_required(const struct conf_object *object, struct json_write *w)
{
    bool any = false;
    for (size_t i = 0; i < object->field_count; i++) {
        any = any || object->fields[i].required;
    }
    if (!any) {
        return;
    }
    json_write_key(w, "required");
    json_write_array_begin(w);
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].required) {
            json_write_text(w, object->fields[i].key);
        }
    }
    json_write_array_end(w);
}

static void write_properties(const struct conf_object *object, struct json_write *w)
{
    for (size_t i = 0; i < object->field_count; i++) {
        json_write_key(w, object->fields[i].key);
        json_write_object_begin(w);
        write_field_schema(&object->fields[i], w);
        json_write_object_end(w);
    }
}

static void write_object_schema(const struct conf_object *object, struct json_write *w)
{
    json_write_member_text(w, "type", "object");
    json_write_member_bool(w, "additionalProperties", false);
    write_required(object, w);
    write_choice(object, w);
    json_write_key(w, "properties");
    json_write_object_begin(w);
    write_properties(object, w);
    json_write_object_end(w);
}

void conf_schema_write_json(struct buf *out)
{
    struct json_write w;
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
    write_object_schema(conf_schema_daemon, &w);
    json_write_object_end(&w);
    write_properties(conf_schema_document, &w);
    json_write_object_end(&w);
    json_write_object_end(&w);
}
