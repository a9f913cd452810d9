#include "conf/conf_explain.h"

#include <stdio.h>

#include "conf/conf.h"
#include "lbd/base/num.h"

enum { PATH_BYTES_MAX = 512, TEXT_BYTES_MAX = 4096 };

/* The parts of a path, and where we stand. */
struct walk {
    bool is_dotted; /* keys, and names only where they are no slip of the pen */
    struct slice parts[CONF_EXPLAIN_DEPTH_MAX];
    uint32_t count;
    /* how far it was right, of the way that went farthest */
    const struct conf_object *stuck;
    uint32_t stuck_at;
};

static bool split(struct walk *walk, struct slice path)
{
    char separator = slice_find(path, '/') != SIZE_MAX ? '/' : '.';
    struct slice part;
    walk->is_dotted = separator == '.';
    if (path.len != 0 && path.ptr[0] == '#') {
        path = slice_from_at(path, 1);
    }
    while (path.len != 0 && slice_split(&path, separator, &part)) {
        if (part.len == 0) {
            continue; /* at the beginning or the end of a pointer */
        }
        if (walk->count == CONF_EXPLAIN_DEPTH_MAX) {
            return false;
        }
        walk->parts[walk->count++] = part;
    }
    return true;
}

static bool is_index(struct slice part)
{
    uint64_t index;
    return num_parse_u64(part, &index);
}

/* Does a pointer go on from this field to an element of a list, as errors do? */
static bool is_element(const struct walk *walk, const struct conf_field *field, uint32_t at)
{
    bool is_list = field->type == CONF_TYPE_STRING_LIST || field->type == CONF_TYPE_STATUS_LIST;
    return is_list && at + 2 == walk->count && is_index(walk->parts[at + 1]);
}

/* From `object` on: the fields are left in `fields`, their number is returned; 0: it goes astray.
 */
static uint32_t follow(struct walk *walk, const struct conf_object *object, uint32_t at,
                       const struct conf_field **fields)
{
    const struct conf_field *field = conf_schema_find(object, walk->parts[at]);
    if (field != NULL && is_element(walk, field, at)) {
        fields[0] = field;
        return 1;
    }
    if (field == NULL || (field->object == NULL && at + 1 < walk->count)) {
        const struct conf_object *stuck = field == NULL ? object : NULL;
        uint32_t stuck_at = field == NULL ? at : at + 1;
        if (walk->stuck == NULL || stuck_at > walk->stuck_at) {
            walk->stuck = stuck != NULL ? stuck : object;
            walk->stuck_at = stuck_at;
        }
        return 0;
    }
    fields[0] = field;
    if (at + 1 == walk->count) {
        return 1;
    }
    /* below a map there may be a name first; one that reads like a key is tried as a key */
    for (uint32_t skip = 0; skip <= (field->type == CONF_TYPE_MAP ? 1U : 0U); skip++) {
        if (at + 1 + skip == walk->count) { /* the path ends with a name */
            struct conf_hint hint = conf_hint_unknown(field->object, walk->parts[at + 1]);
            bool is_slip = walk->is_dotted && (hint.suggestion.len != 0 || hint.belongs != NULL);
            return is_slip ? 0 : 1;
        }
        uint32_t found = follow(walk, field->object, at + 1 + skip, fields + 1);
        if (found != 0) {
            return found + 1;
        }
    }
    return 0;
}

bool conf_explain_find(struct conf_explain *explain, struct slice path)
{
    struct walk walk = {.count = 0};
    const struct conf_field *fields[CONF_EXPLAIN_DEPTH_MAX];
    *explain = (struct conf_explain){.object = conf_schema_document};
    buf_init(&explain->path, PATH_BYTES_MAX);
    if (!split(&walk, path)) {
        explain->unknown = path;
        return false;
    }
    uint32_t at = 0;
    if (walk.count != 0 && slice_eq(walk.parts[0], SLICE("daemon"))) {
        explain->object = conf_schema_daemon;
        (void)buf_append_text(&explain->path, "daemon");
        at = 1;
    }
    if (at == walk.count) {
        return true;
    }
    uint32_t count = follow(&walk, explain->object, at, fields);
    if (count == 0) {
        explain->unknown = walk.parts[walk.stuck_at];
        explain->hint = conf_hint_unknown(walk.stuck, explain->unknown);
        (void)buf_append_text(&explain->path, walk.stuck->title);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)buf_printf(&explain->path, "%s%s", explain->path.len != 0 ? "." : "", fields[i]->key);
    }
    explain->field = fields[count - 1];
    explain->object = explain->field->object;
    return true;
}

void conf_explain_fini(struct conf_explain *explain)
{
    buf_fini(&explain->path);
}

/* The words that a value can be, or each element of a list. */
static void write_words(const struct conf_field *field, struct json_write *w)
{
    bool is_bool = field->type == CONF_TYPE_BOOL;
    bool is_encoding = field->format == CONF_FORMAT_ENCODING;
    if (field->words == NULL && !is_bool && !is_encoding) {
        return;
    }
    json_write_key(w, "words");
    json_write_array_begin(w);
    for (size_t i = 0; field->words != NULL && field->words[i] != NULL; i++) {
        json_write_text(w, field->words[i]);
    }
    if (is_bool) {
        json_write_text(w, "true");
        json_write_text(w, "false");
    }
    for (unsigned i = 0; is_encoding && i < CONF_ENCODING_COUNT; i++) {
        json_write_text(w, conf_encoding_word((enum conf_encoding)i));
    }
    json_write_array_end(w);
}

static void write_facts(const struct conf_field *field, struct json_write *w)
{
    struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    json_write_member_text(w, "type", conf_schema_type_text(field));
    json_write_member_text(w, "doc", field->doc);
    json_write_member_bool(w, "required", field->required);
    if (conf_schema_default_text(field, &text)) {
        json_write_key(w, "default");
        json_write_raw(w, buf_slice(&text));
    }
    buf_clear(&text);
    if (conf_schema_range_text(field, &text)) {
        json_write_member_string(w, "range", buf_slice(&text));
    }
    buf_fini(&text);
    write_words(field, w);
    if (field->only_when_key != NULL) {
        char when[128];
        (void)snprintf(when, sizeof when, "%s is \"%s\"", field->only_when_key,
                       field->only_when_word);
        json_write_member_text(w, "only_when", when);
    }
    if (field->refers_to != NULL) {
        json_write_member_text(w, "refers_to", field->refers_to);
    }
    json_write_member_bool(w, "named", field->type == CONF_TYPE_MAP);
    json_write_key(w, "example");
    json_write_raw(w, slice_from(field->example));
    json_write_member_text(w, "since", field->since);
}

static void write_path(struct slice parent, const char *key, struct json_write *w)
{
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.*s%s%s", SLICE_ARG(parent), parent.len != 0 ? "." : "",
                   key);
    json_write_member_text(w, "path", path);
}

static void write_keys(const struct conf_explain *explain, struct json_write *w)
{
    struct slice parent = buf_slice(&explain->path);
    json_write_key(w, "keys");
    json_write_array_begin(w);
    for (size_t i = 0; i < explain->object->field_count; i++) {
        const struct conf_field *field = &explain->object->fields[i];
        json_write_object_begin(w);
        json_write_member_text(w, "key", field->key);
        write_path(parent, field->key, w);
        write_facts(field, w);
        json_write_member_bool(w, "has_keys", field->object != NULL);
        json_write_object_end(w);
    }
    if (explain->object == conf_schema_document) {
        json_write_object_begin(w);
        json_write_member_text(w, "key", "daemon");
        json_write_member_text(w, "path", "daemon");
        json_write_member_text(w, "type", "object");
        json_write_member_text(w, "doc", conf_schema_daemon->doc);
        json_write_member_bool(w, "required", false);
        json_write_member_bool(w, "named", false);
        json_write_member_bool(w, "has_keys", true);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void conf_explain_write(const struct conf_explain *explain, struct json_write *w)
{
    json_write_object_begin(w);
    json_write_member_string(w, "path", buf_slice(&explain->path));
    if (explain->field != NULL) {
        write_facts(explain->field, w);
    } else {
        json_write_member_text(w, "type", "object");
        json_write_member_text(w, "doc", explain->object->doc);
        json_write_member_bool(w, "required", false);
    }
    if (explain->object != NULL) {
        write_keys(explain, w);
    }
    json_write_object_end(w);
}
