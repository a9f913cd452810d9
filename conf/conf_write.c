#include "conf/conf_write.h"

#include "lbd/base/num.h"

static uint32_t load_u32(const char *base, size_t offset)
{
    uint32_t value = 0;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static struct slice load_slice(const char *base, size_t offset)
{
    struct slice value = SLICE_NONE;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static const void *load_pointer(const char *base, size_t offset)
{
    const void *value = NULL;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static bool is_applicable(const struct conf_object *object, const struct conf_field *field,
                          const char *base)
{
    if (field->only_when_key != NULL) {
        const struct conf_field *when = conf_schema_find(object, slice_from(field->only_when_key));
        if (strcmp(when->words[load_u32(base, when->offset)], field->only_when_word) != 0) {
            return false;
        }
    }
    return field->choice == 0 || !object->has_chosen ||
           load_u32(base, object->chosen_offset) + 1 == field->choice;
}

static bool object_has_values(const struct conf_object *object, const char *base);

/* Is there something to say about a field, be it a default? */
static bool has_value(const struct conf_object *object, const struct conf_field *field,
                      const char *base)
{
    if (!is_applicable(object, field, base)) {
        return false;
    }
    switch (field->type) {
    case CONF_TYPE_STRING:
        return field->preset_text != NULL || load_slice(base, field->offset).len > 0;
    case CONF_TYPE_LABELS:
        return load_slice(base, field->offset).len > 0;
    case CONF_TYPE_STRING_LIST:
    case CONF_TYPE_HEADERS:
    case CONF_TYPE_WEIGHTS:
        return load_u32(base, field->count_offset) > 0;
    case CONF_TYPE_OBJECT:
        if (field->has_presence) {
            return load_u32(base, field->presence_offset) != 0;
        }
        return object_has_values(field->object, base + field->offset);
    case CONF_TYPE_INTEGER:
    case CONF_TYPE_AUTO:
    case CONF_TYPE_WEIGHT:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
    case CONF_TYPE_BOOL:
    case CONF_TYPE_ENUM:
    case CONF_TYPE_STATUS_LIST:
    case CONF_TYPE_MAP:
        return true;
    }
    return true;
}

static bool object_has_values(const struct conf_object *object, const char *base)
{
    for (size_t i = 0; i < object->field_count; i++) {
        if (has_value(object, &object->fields[i], base)) {
            return true;
        }
    }
    return false;
}

static void write_string_list(const struct conf_field *field, const char *base,
                              struct json_write *w)
{
    const struct slice *list = load_pointer(base, field->offset);
    json_write_array_begin(w);
    for (uint32_t i = 0; i < load_u32(base, field->count_offset); i++) {
        json_write_string(w, list[i]);
    }
    json_write_array_end(w);
}

static void write_status_list(const struct conf_field *field, const char *base,
                              struct json_write *w)
{
    uint8_t classes = (uint8_t)base[field->offset];
    const uint16_t *codes = load_pointer(base, field->codes_offset);
    json_write_array_begin(w);
    for (uint32_t class = 1; class <= 5; class ++) {
        if ((classes >> class & 1) != 0) {
            char text[] = {(char)('0' + class), 'x', 'x', '\0'};
            json_write_text(w, text);
        }
    }
    for (uint32_t i = 0; i < load_u32(base, field->count_offset); i++) {
        json_write_u64(w, codes[i]);
    }
    json_write_array_end(w);
}

static void write_headers(const struct conf_field *field, const char *base, struct json_write *w)
{
    const struct conf_header *headers = load_pointer(base, field->offset);
    json_write_object_begin(w);
    for (uint32_t i = 0; i < load_u32(base, field->count_offset); i++) {
        json_write_key_slice(w, headers[i].name);
        json_write_string(w, headers[i].value);
    }
    json_write_object_end(w);
}

static void write_weights(const struct conf_field *field, const char *base, struct json_write *w)
{
    const struct conf_weight *weights = load_pointer(base, field->offset);
    json_write_object_begin(w);
    for (uint32_t i = 0; i < load_u32(base, field->count_offset); i++) {
        json_write_key_slice(w, weights[i].name);
        json_write_u64(w, weights[i].weight);
    }
    json_write_object_end(w);
}

static void write_map(const struct conf_field *field, const char *base, struct json_write *w)
{
    const char *values = load_pointer(base, field->offset);
    json_write_object_begin(w);
    for (uint32_t i = 0; i < load_u32(base, field->count_offset); i++) {
        const char *value = values + i * field->object->size;
        json_write_key_slice(w, load_slice(value, field->object->name_offset));
        conf_write_object(field->object, value, w);
    }
    json_write_object_end(w);
}

static void write_integer(const struct conf_field *field, const char *base, struct json_write *w)
{
    uint32_t value = load_u32(base, field->offset);
    if (field->type == CONF_TYPE_AUTO && value == 0) {
        json_write_text(w, "auto");
    } else if (field->is_signed) {
        int32_t number = 0;
        memcpy(&number, base + field->offset, sizeof number);
        json_write_i64(w, number);
    } else {
        json_write_u64(w, value);
    }
}

static void write_weight(const struct conf_field *field, const char *base, struct json_write *w)
{
    uint32_t percent = load_u32(base, field->count_offset);
    char text[NUM_TEXT_MAX + 1];
    if (percent == 0) {
        write_integer(field, base, w);
        return;
    }
    size_t len = num_write_u64(text, percent);
    text[len++] = '%';
    json_write_string(w, slice_of(text, len));
}

static void write_quantity(const struct conf_field *field, const char *base, struct json_write *w)
{
    char text[NUM_TEXT_MAX];
    uint64_t value = 0;
    if (field->is_wide) {
        memcpy(&value, base + field->offset, sizeof value);
    } else {
        value = load_u32(base, field->offset);
    }
    size_t len = field->type == CONF_TYPE_DURATION ? num_write_duration(text, value)
                                                   : num_write_size(text, value);
    json_write_string(w, slice_of(text, len));
}

static void write_field(const struct conf_field *field, const char *base, struct json_write *w)
{
    json_write_key(w, field->key);
    switch (field->type) {
    case CONF_TYPE_STRING:
        json_write_string(w, load_slice(base, field->offset));
        break;
    case CONF_TYPE_STRING_LIST:
        write_string_list(field, base, w);
        break;
    case CONF_TYPE_WEIGHT:
        write_weight(field, base, w);
        break;
    case CONF_TYPE_INTEGER:
    case CONF_TYPE_AUTO:
        write_integer(field, base, w);
        break;
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        write_quantity(field, base, w);
        break;
    case CONF_TYPE_BOOL:
        json_write_bool(w, load_u32(base, field->offset) != 0);
        break;
    case CONF_TYPE_ENUM:
        json_write_text(w, field->words[load_u32(base, field->offset)]);
        break;
    case CONF_TYPE_STATUS_LIST:
        write_status_list(field, base, w);
        break;
    case CONF_TYPE_HEADERS:
        write_headers(field, base, w);
        break;
    case CONF_TYPE_WEIGHTS:
        write_weights(field, base, w);
        break;
    case CONF_TYPE_LABELS:
        json_write_raw(w, load_slice(base, field->offset));
        break;
    case CONF_TYPE_OBJECT:
        conf_write_object(field->object, base + field->offset, w);
        break;
    case CONF_TYPE_MAP:
        write_map(field, base, w);
        break;
    }
}

void conf_write_object(const struct conf_object *object, const void *value, struct json_write *w)
{
    json_write_object_begin(w);
    for (size_t i = 0; i < object->field_count; i++) {
        if (has_value(object, &object->fields[i], value)) {
            write_field(&object->fields[i], value, w);
        }
    }
    json_write_object_end(w);
}

void conf_write(const struct conf *conf, struct json_write *w)
{
    conf_write_object(conf_schema_document, conf, w);
}

void conf_write_daemon(const struct conf_daemon *daemon, struct json_write *w)
{
    conf_write_object(conf_schema_daemon, daemon, w);
}
