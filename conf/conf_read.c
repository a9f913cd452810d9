#include "conf/conf_read.h"

#include <stdlib.h>

#include "conf/conf_check.h"
#include "conf/conf_defaults.h"
#include "conf/conf_format.h"
#include "conf/conf_hint.h"
#include "conf/conf_suggest.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"

enum {
    STATUS_CODES_MAX = 64,
    LABEL_LEN_MAX = 253, /* bytes of a label's key and of its value */
    LABELS_TEXT_MAX = 65536,
    HEADER_VALUE_LEN_MAX = 4096,
    RANGE_TEXT_MAX = 512,
    SHOWN_LEN_MAX = 80, /* bytes of a wrong word that are repeated */
};

struct reader {
    struct arena *arena;
    struct conf_errors *errors;
    bool ok;
};

/* One value on its way into a struct. */
struct reading {
    const struct conf_field *field;
    const struct json *json;
    const struct conf_path *path;
    char *base; /* the struct of its object */
};

static void read_object(struct reader *reader, const struct conf_object *object,
                        const struct json *json, const struct conf_path *path, char *base);

static void store_u32(char *base, size_t offset, uint32_t value)
{
    memcpy(base + offset, &value, sizeof value);
}

static uint32_t load_u32(const char *base, size_t offset)
{
    uint32_t value = 0;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static void store_slice(char *base, size_t offset, struct slice value)
{
    memcpy(base + offset, &value, sizeof value);
}

static void store_pointer(char *base, size_t offset, void *value)
{
    memcpy(base + offset, &value, sizeof value);
}

static struct slice shown(struct slice text)
{
    return text.len > SHOWN_LEN_MAX ? slice_of(text.ptr, SHOWN_LEN_MAX) : text;
}

/* "must be an integer from 1 to 1000": what the table says about a field. */
static void fail_value(struct reader *reader, const struct reading *in, const char *code,
                       const char *must_be, struct slice suggestion)
{
    struct buf range;
    buf_init(&range, RANGE_TEXT_MAX);
    bool has_range = conf_schema_range_text(in->field, &range);
    conf_errors_add(reader->errors, in->path, code, suggestion, "must be %s%s%.*s", must_be,
                    !has_range ? "" : (*must_be != '\0' ? ", " : ""), SLICE_ARG(buf_slice(&range)));
    buf_fini(&range);
    reader->ok = false;
}

static bool expect_type(struct reader *reader, const struct reading *in, enum json_type type,
                        const char *must_be)
{
    if (json_is(in->json, type)) {
        return true;
    }
    conf_errors_add(reader->errors, in->path, "wrong-type", SLICE_NONE, "must be %s, not %s",
                    must_be, json_type_word(json_type(in->json)));
    reader->ok = false;
    return false;
}

/* Checks a string by its format and length and copies it; an empty slice when it is wrong. */
static struct slice accept_string(struct reader *reader, const struct conf_field *field,
                                  const struct json *json, const struct conf_path *path,
                                  bool limit_len)
{
    struct slice text = json_string(json);
    if (!json_is(json, JSON_STRING)) {
        conf_errors_add(reader->errors, path, "wrong-type", SLICE_NONE, "must be a string, not %s",
                        json_type_word(json_type(json)));
        reader->ok = false;
        return SLICE_NONE;
    }
    const char *problem = NULL;
    if (limit_len && text.len > (size_t)field->max) {
        conf_errors_add(reader->errors, path, "out-of-range", SLICE_NONE,
                        "must be at most %lld bytes long", (long long)field->max);
    } else if (text.len == 0 && (!limit_len || field->min > 0)) {
        conf_errors_add(reader->errors, path, "out-of-range", SLICE_NONE, "must not be empty");
    } else if (text.len > 0 && (problem = conf_format_problem(field->format, text)) != NULL) {
        conf_errors_add(reader->errors, path, "invalid-value", SLICE_NONE, "%s", problem);
    } else {
        struct slice copy = arena_copy(reader->arena, text);
        if (field->format == CONF_FORMAT_HOST_PATTERN) { /* hosts compare without case */
            char *letters = arena_alloc(reader->arena, text.len);
            for (size_t i = 0; i < text.len; i++) {
                char c = text.ptr[i];
                letters[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
            }
            copy.ptr = letters;
        }
        return copy;
    }
    reader->ok = false;
    return SLICE_NONE;
}

static void read_string(struct reader *reader, const struct reading *in)
{
    store_slice(in->base, in->field->offset,
                accept_string(reader, in->field, in->json, in->path, true));
}

/* Counts elements and complains when there are too few or too many. */
static uint32_t accept_count(struct reader *reader, const struct reading *in)
{
    uint32_t count = json_count(in->json);
    if (count < (uint64_t)in->field->min || count > (uint64_t)in->field->max) {
        conf_errors_add(
            reader->errors, in->path, "out-of-range", SLICE_NONE,
            count < (uint64_t)in->field->min ? "must have at least %lld" : "must have at most %lld",
            (long long)(count < (uint64_t)in->field->min ? in->field->min : in->field->max));
        reader->ok = false;
        return 0;
    }
    return count;
}

static void read_string_list(struct reader *reader, const struct reading *in)
{
    if (!expect_type(reader, in, JSON_ARRAY, "a list of strings")) {
        return;
    }
    uint32_t count = accept_count(reader, in);
    if (count == 0) {
        return;
    }
    struct slice *list = arena_alloc(reader->arena, count * sizeof(*list));
    uint32_t index = 0;
    const struct json *item = NULL;
    json_for_each(item, in->json)
    {
        /* A refused one leaves an empty slice: the pointers of later checks count by position. */
        struct conf_path path = {.parent = in->path, .index = index};
        list[index++] = accept_string(reader, in->field, item, &path, false);
    }
    store_pointer(in->base, in->field->offset, list);
    store_u32(in->base, in->field->count_offset, index);
}

static bool is_allowed_number(const struct conf_field *field, int64_t value)
{
    if (value < field->min || value > field->max) {
        return false;
    }
    for (size_t i = 0; field->words != NULL && field->words[i] != NULL; i++) {
        if (strtoll(field->words[i], NULL, 10) == value) {
            return true;
        }
    }
    return field->words == NULL;
}

static void read_integer(struct reader *reader, const struct reading *in)
{
    int64_t value = 0;
    if (in->field->type == CONF_TYPE_AUTO && slice_eq(json_string(in->json), SLICE("auto"))) {
        store_u32(in->base, in->field->offset, 0);
        return;
    }
    const char *must_be =
        in->field->type == CONF_TYPE_AUTO ? "\"auto\" or an integer" : "an integer";
    if (!json_integer(in->json, &value)) {
        fail_value(reader, in, "wrong-type", must_be, SLICE_NONE);
    } else if (!is_allowed_number(in->field, value)) {
        fail_value(reader, in, "out-of-range", must_be, SLICE_NONE);
    } else if (in->field->is_signed) {
        int32_t number = (int32_t)value;
        memcpy(in->base + in->field->offset, &number, sizeof number);
    } else {
        store_u32(in->base, in->field->offset, (uint32_t)value);
    }
}

/* A number, or "25%" without a leading zero: one text for one thing. */
static void read_weight(struct reader *reader, const struct reading *in)
{
    const char *must_be = "an integer or a percentage";
    struct slice text = json_string(in->json);
    int64_t number = 0;
    uint64_t percent = 0;
    if (json_is(in->json, JSON_STRING)) {
        if (!slice_ends(text, SLICE("%")) || text.ptr[0] == '0' ||
            !num_parse_u64(slice_of(text.ptr, text.len - 1), &percent)) {
            fail_value(reader, in, "invalid-value", must_be, SLICE_NONE);
        } else if (percent < 1 || percent > 100) {
            fail_value(reader, in, "out-of-range", must_be, SLICE_NONE);
        } else {
            store_u32(in->base, in->field->offset, 0);
            store_u32(in->base, in->field->count_offset, (uint32_t)percent);
        }
    } else if (!json_integer(in->json, &number)) {
        fail_value(reader, in, "wrong-type", must_be, SLICE_NONE);
    } else if (!is_allowed_number(in->field, number)) {
        fail_value(reader, in, "out-of-range", must_be, SLICE_NONE);
    } else {
        store_u32(in->base, in->field->offset, (uint32_t)number);
    }
}

static void store_quantity(const struct reading *in, uint64_t value)
{
    if (in->field->is_wide) {
        memcpy(in->base + in->field->offset, &value, sizeof value);
    } else {
        store_u32(in->base, in->field->offset, (uint32_t)value);
    }
}

static void read_quantity(struct reader *reader, const struct reading *in)
{
    bool is_duration = in->field->type == CONF_TYPE_DURATION;
    const char *must_be =
        is_duration ? "a duration with its unit such as \"2s\"" : "a size such as \"64KiB\"";
    struct slice text = json_string(in->json);
    uint64_t value = 0;
    if (!json_is(in->json, JSON_STRING)) {
        fail_value(reader, in, "wrong-type", must_be, SLICE_NONE);
        return;
    }
    bool ok = is_duration ? num_parse_duration_ms(text, &value) : num_parse_size(text, &value);
    if (!ok) {
        fail_value(reader, in, "invalid-value", must_be, SLICE_NONE);
    } else if (value < (uint64_t)in->field->min || value > (uint64_t)in->field->max) {
        fail_value(reader, in, "out-of-range", must_be, SLICE_NONE);
    } else {
        store_quantity(in, value);
    }
}

/* The one word that `text` is short for, "min" for "minute"; empty: none, or several. */
static struct slice find_longer(const char *const *words, struct slice text)
{
    struct slice found = SLICE_NONE;
    for (uint32_t i = 0; text.len != 0 && words[i] != NULL; i++) {
        if (slice_starts(slice_from(words[i]), text)) {
            if (found.len != 0) {
                return SLICE_NONE;
            }
            found = slice_from(words[i]);
        }
    }
    return found;
}

static void read_enum(struct reader *reader, const struct reading *in)
{
    struct slice text = json_string(in->json);
    struct conf_suggest suggest;
    conf_suggest_init(&suggest, text);
    for (uint32_t i = 0; in->field->words[i] != NULL; i++) {
        struct slice word = slice_from(in->field->words[i]);
        if (json_is(in->json, JSON_STRING) && slice_eq(text, word)) {
            store_u32(in->base, in->field->offset, i);
            return;
        }
        conf_suggest_offer(&suggest, word);
    }
    if (suggest.best.len == 0) {
        suggest.best = find_longer(in->field->words, text);
    }
    fail_value(reader, in, json_is(in->json, JSON_STRING) ? "invalid-value" : "wrong-type", "",
               suggest.best);
}

/* "2xx" or a number from 100 to 599; 0: neither. Classes are returned as 1 to 5. */
static uint32_t parse_status(const struct json *json)
{
    struct slice text = json_string(json);
    int64_t code = 0;
    if (text.len == 3 && text.ptr[0] >= '1' && text.ptr[0] <= '5' &&
        memcmp(text.ptr + 1, "xx", 2) == 0) {
        return (uint32_t)(text.ptr[0] - '0');
    }
    if (json_integer(json, &code) && code >= 100 && code <= 599) {
        return (uint32_t)code;
    }
    return 0;
}

static void read_status_list(struct reader *reader, const struct reading *in)
{
    if (!expect_type(reader, in, JSON_ARRAY, "a list of statuses such as [\"2xx\", 304]") ||
        accept_count(reader, in) == 0) {
        return;
    }
    uint16_t codes[STATUS_CODES_MAX];
    uint32_t count = 0;
    uint8_t classes = 0;
    uint32_t index = 0;
    const struct json *item = NULL;
    json_for_each(item, in->json)
    {
        struct conf_path path = {.parent = in->path, .index = index++};
        uint32_t status = parse_status(item);
        if (status == 0) {
            conf_errors_add(reader->errors, &path, "invalid-value", SLICE_NONE,
                            "must be a class such as \"2xx\" or a number from 100 to 599");
            reader->ok = false;
        } else if (status < 10) {
            classes = (uint8_t)(classes | 1U << status);
        } else if (count < STATUS_CODES_MAX) {
            codes[count++] = (uint16_t)status;
        }
    }
    uint16_t *list = arena_alloc(reader->arena, count * sizeof(*list));
    memcpy(list, codes, count * sizeof(*list));
    memcpy(in->base + in->field->offset, &classes, sizeof classes);
    store_pointer(in->base, in->field->codes_offset, list);
    store_u32(in->base, in->field->count_offset, count);
}

static void read_headers(struct reader *reader, const struct reading *in)
{
    if (!expect_type(reader, in, JSON_OBJECT, "an object of header names and values")) {
        return;
    }
    uint32_t count = accept_count(reader, in);
    struct conf_header *list = arena_alloc(reader->arena, (count + 1) * sizeof(*list));
    uint32_t filled = 0;
    const struct json *item = NULL;
    json_for_each(item, in->json)
    {
        if (filled == count) {
            break;
        }
        struct slice name = json_key(item);
        struct slice value = json_string(item);
        struct conf_path path = {.parent = in->path, .key = name};
        bool is_header = in->field->format != CONF_FORMAT_MATCH_NAME;
        const char *problem = is_header ? conf_format_header_name_problem(name)
                                        : conf_format_problem(CONF_FORMAT_MATCH_NAME, name);
        if (problem == NULL && !json_is(item, JSON_STRING)) {
            problem = "must be a string";
        }
        if (problem == NULL && value.len > HEADER_VALUE_LEN_MAX) {
            problem = "must be at most 4096 bytes long";
        }
        if (problem == NULL) {
            problem =
                conf_format_problem(is_header ? CONF_FORMAT_HEADER_VALUE : CONF_FORMAT_TEXT, value);
        }
        if (problem != NULL) {
            conf_errors_add(reader->errors, &path, "invalid-value", SLICE_NONE, "%s", problem);
            reader->ok = false;
            count--;
            continue;
        }
        list[filled].name = arena_copy(reader->arena, name);
        list[filled++].value = arena_copy(reader->arena, value);
    }
    store_pointer(in->base, in->field->offset, list);
    store_u32(in->base, in->field->count_offset, filled);
}

static void read_weights(struct reader *reader, const struct reading *in)
{
    if (!expect_type(reader, in, JSON_OBJECT, "an object of names and integers")) {
        return;
    }
    uint32_t count = accept_count(reader, in);
    struct conf_weight *list = arena_alloc(reader->arena, (count + 1) * sizeof(*list));
    uint32_t filled = 0;
    const struct json *item = NULL;
    json_for_each(item, in->json)
    {
        if (filled == count) {
            break;
        }
        int64_t weight = 0;
        struct conf_path path = {.parent = in->path, .key = json_key(item)};
        const char *problem = conf_format_problem(CONF_FORMAT_NAME, json_key(item));
        if (problem == NULL &&
            (!json_integer(item, &weight) || weight < 0 || weight > CONF_WEIGHT_MAX)) {
            problem = "must be an integer from 0 to 1000000";
        }
        if (problem != NULL) {
            conf_errors_add(reader->errors, &path, "invalid-value", SLICE_NONE, "%s", problem);
            reader->ok = false;
            count--;
            continue;
        }
        list[filled].name = arena_copy(reader->arena, json_key(item));
        list[filled++].weight = (uint32_t)weight;
    }
    store_pointer(in->base, in->field->offset, list);
    store_u32(in->base, in->field->count_offset, filled);
}

static void read_labels(struct reader *reader, const struct reading *in)
{
    if (!expect_type(reader, in, JSON_OBJECT, "an object of strings") ||
        accept_count(reader, in) == 0) {
        return;
    }
    const struct json *item = NULL;
    json_for_each(item, in->json)
    {
        struct conf_path path = {.parent = in->path, .key = json_key(item)};
        struct slice value = json_string(item);
        if (!json_is(item, JSON_STRING) || json_key(item).len > LABEL_LEN_MAX ||
            value.len > LABEL_LEN_MAX) {
            conf_errors_add(reader->errors, &path, "invalid-value", SLICE_NONE,
                            "must be a string; key and value at most 253 bytes long");
            reader->ok = false;
            return;
        }
    }
    struct buf text;
    struct json_write w;
    buf_init(&text, LABELS_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_canonical(&w, in->json);
    store_slice(in->base, in->field->offset, arena_copy(reader->arena, buf_slice(&text)));
    buf_fini(&text);
}

static void read_field(struct reader *reader, const struct reading *in)
{
    switch (in->field->type) {
    case CONF_TYPE_STRING:
        read_string(reader, in);
        break;
    case CONF_TYPE_STRING_LIST:
        read_string_list(reader, in);
        break;
    case CONF_TYPE_INTEGER:
    case CONF_TYPE_AUTO:
        read_integer(reader, in);
        break;
    case CONF_TYPE_WEIGHT:
        read_weight(reader, in);
        break;
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        read_quantity(reader, in);
        break;
    case CONF_TYPE_BOOL:
        if (expect_type(reader, in, JSON_BOOL, "true or false")) {
            store_u32(in->base, in->field->offset, json_bool(in->json) ? 1 : 0);
        }
        break;
    case CONF_TYPE_ENUM:
        read_enum(reader, in);
        break;
    case CONF_TYPE_STATUS_LIST:
        read_status_list(reader, in);
        break;
    case CONF_TYPE_HEADERS:
        read_headers(reader, in);
        break;
    case CONF_TYPE_WEIGHTS:
        read_weights(reader, in);
        break;
    case CONF_TYPE_LABELS:
        read_labels(reader, in);
        break;
    case CONF_TYPE_OBJECT:
        if (in->field->has_presence) {
            store_u32(in->base, in->field->presence_offset, 1);
        }
        read_object(reader, in->field->object, in->json, in->path, in->base + in->field->offset);
        break;
    case CONF_TYPE_MAP:
        break; /* conf_part.c */
    }
}

/* Returns the field that was probably meant, or NULL. */
static const struct conf_field *fail_unknown_key(struct reader *reader,
                                                 const struct conf_object *object,
                                                 const struct conf_path *path)
{
    reader->ok = false;
    if (conf_errors_full(reader->errors)) {
        reader->errors->truncated = true;
        return NULL;
    }
    struct conf_hint hint = conf_hint_unknown(object, path->key);
    struct buf detail;
    buf_init(&detail, 1024);
    conf_hint_describe(&hint, shown(path->key), &detail);
    conf_errors_add(reader->errors, path, "unknown-key", hint.suggestion, "%.*s",
                    SLICE_ARG(buf_slice(&detail)));
    buf_fini(&detail);
    return conf_schema_find(object, hint.suggestion);
}

static bool is_applicable(const struct conf_object *object, const struct conf_field *field,
                          const char *base)
{
    if (field->only_when_key == NULL) {
        return true;
    }
    const struct conf_field *when = conf_schema_find(object, slice_from(field->only_when_key));
    const char *word = when->words[load_u32(base, when->offset)];
    return strcmp(word, field->only_when_word) == 0;
}

static void check_required(struct reader *reader, const struct conf_object *object, uint64_t seen,
                           const struct conf_path *path)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        if (field->required && (seen >> i & 1) == 0) {
            struct conf_path missing = {.parent = path, .key = slice_from(field->key)};
            conf_errors_add(reader->errors, &missing, "missing-key", SLICE_NONE, "'%s' must be set",
                            field->key);
            reader->ok = false;
        }
    }
}

static void check_applicable(struct reader *reader, const struct conf_object *object, uint64_t seen,
                             const struct conf_path *path, const char *base)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        if ((seen >> i & 1) != 0 && !is_applicable(object, field, base)) {
            struct conf_path extra = {.parent = path, .key = slice_from(field->key)};
            conf_errors_add(reader->errors, &extra, "not-applicable", SLICE_NONE,
                            "must not be set unless '%s' is \"%s\"", field->only_when_key,
                            field->only_when_word);
            reader->ok = false;
        }
    }
}

static void append_choices(const struct conf_object *object, struct buf *out)
{
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].choice != 0) {
            (void)buf_printf(out, "%s'%s'", out->len > 0 ? ", " : "", object->fields[i].key);
        }
    }
}

static void check_choice(struct reader *reader, const struct conf_object *object, uint64_t seen,
                         const struct conf_path *path, char *base)
{
    uint32_t count = 0;
    uint32_t chosen = 0;
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].choice != 0 && (seen >> i & 1) != 0) {
            count++;
            chosen = object->fields[i].choice;
        }
    }
    if (count == 1 && object->has_chosen) {
        store_u32(base, object->chosen_offset, chosen - 1);
    }
    if (count <= 1 && (count == 1 || object->choice == CONF_CHOICE_AT_MOST_ONE)) {
        return;
    }
    struct buf names;
    buf_init(&names, RANGE_TEXT_MAX);
    append_choices(object, &names);
    conf_errors_add(reader->errors, path, count == 0 ? "missing-key" : "exclusive-keys", SLICE_NONE,
                    "must have %s one of %.*s",
                    object->choice == CONF_CHOICE_EXACTLY_ONE ? "exactly" : "at most",
                    SLICE_ARG(buf_slice(&names)));
    buf_fini(&names);
    reader->ok = false;
}

static void read_object(struct reader *reader, const struct conf_object *object,
                        const struct json *json, const struct conf_path *path, char *base)
{
    uint64_t seen = 0;
    uint64_t misspelt = 0;
    if (!json_is(json, JSON_OBJECT)) {
        conf_errors_add(reader->errors, path, "wrong-type", SLICE_NONE, "must be an object, not %s",
                        json_type_word(json_type(json)));
        reader->ok = false;
        return;
    }
    const struct json *member = NULL;
    json_for_each(member, json)
    {
        struct conf_path here = {.parent = path, .key = json_key(member)};
        const struct conf_field *field = conf_schema_find(object, here.key);
        if (field == NULL) {
            const struct conf_field *meant = fail_unknown_key(reader, object, &here);
            if (meant != NULL) { /* told once: not "must be set" as well */
                misspelt |= UINT64_C(1) << (meant - object->fields);
            }
            continue;
        }
        struct reading in = {.field = field, .json = member, .path = &here, .base = base};
        seen |= UINT64_C(1) << (field - object->fields);
        read_field(reader, &in);
    }
    check_required(reader, object, seen | misspelt, path);
    check_applicable(reader, object, seen, path, base);
    if (object->choice != CONF_CHOICE_ANY) {
        check_choice(reader, object, seen, path, base);
    }
}

bool conf_read_object(const struct conf_object *object, const struct json *json,
                      const struct conf_path *path, struct arena *arena, void *out,
                      struct conf_errors *errors)
{
    struct reader reader = {.arena = arena, .errors = errors, .ok = true};
    conf_defaults_fill(object, out);
    read_object(&reader, object, json, path, out);
    return reader.ok;
}

struct conf_daemon *conf_read_daemon(const struct json *json, struct conf_errors *errors)
{
    const struct conf_path root = {0};
    const struct conf_path path = {.parent = &root, .key = SLICE("daemon")};
    struct conf_daemon *daemon = mem_alloc(sizeof(*daemon));
    struct arena arena;
    bool ok = true;
    arena_init(&arena, NULL, 0);
    if (json != NULL) {
        ok = conf_read_object(conf_schema_daemon, json, &path, &arena, daemon, errors);
    } else {
        conf_defaults_fill(conf_schema_daemon, daemon);
    }
    daemon->arena = arena;
    ok = conf_check_daemon(daemon, errors) && ok;
    if (!ok) {
        conf_daemon_free(daemon);
        return NULL;
    }
    return daemon;
}
