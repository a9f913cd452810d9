#include "conf/conf_defaults.h"

#include <string.h>

static void default_string(const struct conf_field *field, char *base)
{
    struct slice text = slice_from(field->preset_text);
    memcpy(base + field->offset, &text, sizeof text);
}

static void default_number(const struct conf_field *field, char *base)
{
    uint32_t number = (uint32_t)field->preset;
    memcpy(base + field->offset, &number, sizeof number);
}

static void default_size(const struct conf_field *field, char *base)
{
    uint64_t bytes = (uint64_t)field->preset;
    if (field->is_wide) {
        memcpy(base + field->offset, &bytes, sizeof bytes);
    } else {
        default_number(field, base);
    }
}

static void default_status_list(const struct conf_field *field, char *base)
{
    uint8_t classes = (uint8_t)(1U << (field->preset_text[0] - '0')); /* "2xx" */
    memcpy(base + field->offset, &classes, sizeof classes);
}

static void set_defaults(const struct conf_object *object, char *base)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        switch (field->type) {
        case CONF_TYPE_STRING:
            default_string(field, base);
            break;
        case CONF_TYPE_INTEGER:
        case CONF_TYPE_AUTO:
        case CONF_TYPE_WEIGHT:
        case CONF_TYPE_DURATION:
        case CONF_TYPE_BOOL:
        case CONF_TYPE_ENUM:
            default_number(field, base);
            break;
        case CONF_TYPE_SIZE:
            default_size(field, base);
            break;
        case CONF_TYPE_STATUS_LIST:
            default_status_list(field, base);
            break;
        case CONF_TYPE_OBJECT:
            set_defaults(field->object, base + field->offset);
            break;
        case CONF_TYPE_STRING_LIST:
        case CONF_TYPE_HEADERS:
        case CONF_TYPE_WEIGHTS:
        case CONF_TYPE_LABELS:
        case CONF_TYPE_MAP:
            break; /* empty */
        }
    }
}

void conf_defaults_fill(const struct conf_object *object, void *out)
{
    memset(out, 0, object->size);
    set_defaults(object, out);
}
