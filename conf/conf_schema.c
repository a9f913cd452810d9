#include "conf/conf_schema.h"

#include "conf/conf.h"
#include "conf/json/json_write.h"
#include "lbd/base/compiler.h"
#include "lbd/base/num.h"

/* The reader and the writer go through uint32_t where conf.h has an enum. */
static_assert(sizeof(enum conf_admin_state) == sizeof(uint32_t), "enums are 32 bits");

#define OBJECT(id)          static const struct conf_field id##_fields[] = {
#define FIELD(version, ...) {.since = (version), __VA_ARGS__},
#define END(id, ...)                                                                               \
    }                                                                                              \
    ;                                                                                              \
    static const struct conf_object id##_object = {                                                \
        .fields = id##_fields, .field_count = ARRAY_LEN(id##_fields), __VA_ARGS__};                \
    static_assert(ARRAY_LEN(id##_fields) <= CONF_SCHEMA_FIELDS_MAX, "a bit for each field");
#define AT(type, member)                                                                           \
    .offset = offsetof(type, member), .is_wide = sizeof(((type *)NULL)->member) == sizeof(uint64_t)
#define COUNT(type, member) .count_offset = offsetof(type, member)
#define WORDS(...)                                                                                 \
    .words = (const char *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ONLY_WHEN(key_, word) .only_when_key = (key_), .only_when_word = (word)
#define NAMED(type)                                                                                \
    .is_named = true, .name_offset = offsetof(type, name), .version_offset = offsetof(type, version)
#define PRESENT(type, member) .has_presence = true, .presence_offset = offsetof(type, member)
#define CHOSEN(type, member)  .has_chosen = true, .chosen_offset = offsetof(type, member)

#include "conf/conf_schema.def"

const struct conf_object *const conf_schema_document = &document_object;
const struct conf_object *const conf_schema_certificate = &certificate_object;
const struct conf_object *const conf_schema_daemon = &daemon_object;

const struct conf_field *conf_schema_find(const struct conf_object *object, struct slice key)
{
    for (size_t i = 0; i < object->field_count; i++) {
        if (slice_eq(slice_from(object->fields[i].key), key)) {
            return &object->fields[i];
        }
    }
    return NULL;
}

bool conf_schema_lookup(struct slice path, const struct conf_object **object,
                        const struct conf_field **field)
{
    const struct conf_object *at = conf_schema_document;
    const struct conf_field *found = NULL;
    struct slice rest = path;
    struct slice key;
    if (slice_eq(path, SLICE("daemon")) || slice_starts(path, SLICE("daemon."))) {
        at = conf_schema_daemon;
        rest = path.len > 7 ? slice_from_at(path, 7) : SLICE_NONE;
    } else if (path.len == 0) {
        rest = SLICE_NONE;
    }
    while (rest.ptr != NULL && slice_split(&rest, '.', &key)) {
        if (found != NULL) {
            if (found->object == NULL) {
                return false;
            }
            at = found->object;
        }
        found = conf_schema_find(at, key);
        if (found == NULL) {
            return false;
        }
    }
    *object = found != NULL && found->object != NULL ? found->object : at;
    *field = found;
    return true;
}

/* The first field that has `sought`; one of `object` itself before those below. */
static const struct conf_field *find_holder(const struct conf_object *object,
                                            const struct conf_object *sought)
{
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].object == sought) {
            return &object->fields[i];
        }
    }
    const struct conf_field *found = NULL;
    for (size_t i = 0; i < object->field_count && found == NULL; i++) {
        if (object->fields[i].object != NULL) {
            found = find_holder(object->fields[i].object, sought);
        }
    }
    return found;
}

bool conf_schema_has_section(const struct conf_field *field)
{
    if (field->object == NULL || strcmp(field->object->name, "meta") == 0) {
        return false;
    }
    const struct conf_field *first = find_holder(conf_schema_document, field->object);
    if (first == NULL) {
        first = find_holder(conf_schema_daemon, field->object);
    }
    return first == field;
}

const char *conf_schema_type_text(const struct conf_field *field)
{
    switch (field->type) {
    case CONF_TYPE_STRING:
        return "string";
    case CONF_TYPE_STRING_LIST:
        return "list of strings";
    case CONF_TYPE_INTEGER:
        return "integer";
    case CONF_TYPE_AUTO:
        return "\"auto\" or integer";
    case CONF_TYPE_WEIGHT:
        return "integer or percentage";
    case CONF_TYPE_DURATION:
        return "duration";
    case CONF_TYPE_SIZE:
        return "size";
    case CONF_TYPE_BOOL:
        return "true or false";
    case CONF_TYPE_ENUM:
        return "word";
    case CONF_TYPE_STATUS_LIST:
        return "list of statuses";
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_LABELS:
        return "object of strings";
    case CONF_TYPE_WEIGHTS:
        return "object of integers";
    case CONF_TYPE_OBJECT:
        return "object";
    case CONF_TYPE_MAP:
        return "objects by name";
    }
    return "";
}

static void append_number(const struct conf_field *field, int64_t value, struct buf *out)
{
    char text[NUM_TEXT_MAX];
    size_t len = 0;
    if (field->type == CONF_TYPE_DURATION) {
        len = num_write_duration(text, (uint64_t)value);
    } else if (field->type == CONF_TYPE_SIZE) {
        len = num_write_size(text, (uint64_t)value);
    } else {
        (void)buf_printf(out, "%lld", (long long)value);
        return;
    }
    (void)buf_append(out, text, len);
}

bool conf_schema_default_text(const struct conf_field *field, struct buf *out)
{
    struct json_write w;
    if (field->required) {
        return false;
    }
    switch (field->type) {
    case CONF_TYPE_STRING:
        if (field->preset_text == NULL) {
            return false;
        }
        json_write_init(&w, out, JSON_COMPACT);
        json_write_text(&w, field->preset_text);
        return true;
    case CONF_TYPE_STATUS_LIST:
        (void)buf_printf(out, "[\"%s\"]", field->preset_text);
        return true;
    case CONF_TYPE_INTEGER:
    case CONF_TYPE_WEIGHT:
        append_number(field, field->preset, out);
        return true;
    case CONF_TYPE_AUTO:
        (void)buf_append_text(out, "\"auto\"");
        return true;
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        (void)buf_append_char(out, '"');
        append_number(field, field->preset, out);
        (void)buf_append_char(out, '"');
        return true;
    case CONF_TYPE_BOOL:
        (void)buf_append_text(out, field->preset != 0 ? "true" : "false");
        return true;
    case CONF_TYPE_ENUM:
        (void)buf_printf(out, "\"%s\"", field->words[field->preset]);
        return true;
    case CONF_TYPE_STRING_LIST:
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_WEIGHTS:
    case CONF_TYPE_LABELS:
    case CONF_TYPE_OBJECT:
    case CONF_TYPE_MAP:
        return false;
    }
    return false;
}

static void append_words(const struct conf_field *field, struct buf *out)
{
    const char *quote = field->type == CONF_TYPE_ENUM ? "\"" : "";
    for (size_t i = 0; field->words[i] != NULL; i++) {
        (void)buf_printf(out, "%s%s%s%s", i == 0 ? "one of " : ", ", quote, field->words[i], quote);
    }
}

bool conf_schema_range_text(const struct conf_field *field, struct buf *out)
{
    if (field->words != NULL) {
        append_words(field, out);
        return true;
    }
    switch (field->type) {
    case CONF_TYPE_INTEGER:
    case CONF_TYPE_AUTO:
    case CONF_TYPE_WEIGHT:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        append_number(field, field->min, out);
        (void)buf_append_text(out, " to ");
        append_number(field, field->max, out);
        (void)buf_append_text(out, field->type == CONF_TYPE_WEIGHT ? ", or 1% to 100%" : "");
        return true;
    case CONF_TYPE_STRING:
        if (field->format == CONF_FORMAT_NAME || field->max == 0) {
            return false;
        }
        (void)buf_printf(out, "at most %lld bytes", (long long)field->max);
        return true;
    case CONF_TYPE_STRING_LIST:
    case CONF_TYPE_STATUS_LIST:
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_WEIGHTS:
    case CONF_TYPE_LABELS:
    case CONF_TYPE_MAP:
        (void)buf_printf(out, "at most %lld", (long long)field->max);
        return true;
    case CONF_TYPE_BOOL:
    case CONF_TYPE_ENUM:
    case CONF_TYPE_OBJECT:
        return false;
    }
    return false;
}
