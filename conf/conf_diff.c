#include "conf/conf_diff.h"

#include <stdlib.h>

#include "conf/conf_part.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"

enum {
    TEXT_BYTES_MAX = 32 * 1024 * 1024,
    POINTER_BYTES_MAX = 65536,
    SHOWN_BYTES_MAX = 60, /* of a value in a line for people */
};

void conf_diff_init(struct conf_diff *diff)
{
    *diff = (struct conf_diff){0};
    arena_init(&diff->arena, NULL, 0);
}

void conf_diff_fini(struct conf_diff *diff)
{
    arena_fini(&diff->arena);
    free(diff->changes);
    diff->changes = NULL;
}

/* A new entry, or NULL when the list is full. */
static struct conf_change *next_change(struct conf_diff *diff)
{
    diff->total++;
    if (diff->count == CONF_DIFF_MAX) {
        return NULL;
    }
    if (diff->count == diff->capacity) {
        diff->capacity = diff->capacity == 0 ? 16 : diff->capacity * 2;
        diff->changes = mem_resize(diff->changes, diff->capacity * sizeof(*diff->changes));
    }
    return &diff->changes[diff->count++];
}

static struct conf_change *note(struct conf_diff *diff, enum conf_change_kind kind,
                                const struct conf_path *path)
{
    struct conf_change *change = next_change(diff);
    if (change == NULL) {
        return NULL;
    }
    struct buf pointer;
    buf_init(&pointer, POINTER_BYTES_MAX);
    conf_errors_pointer(path, &pointer);
    *change = (struct conf_change){.kind = kind,
                                   .pointer = arena_copy(&diff->arena, buf_slice(&pointer))};
    buf_fini(&pointer);
    return change;
}

static struct slice json_text(struct conf_diff *diff, const struct json *json)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, TEXT_BYTES_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_canonical(&w, json);
    struct slice copy = arena_copy(&diff->arena, buf_slice(&text));
    buf_fini(&text);
    return copy;
}

static void note_setting(struct conf_diff *diff, const struct json *before,
                         const struct json *after, const struct conf_path *path)
{
    enum conf_change_kind kind = CONF_CHANGED;
    if (before == NULL || after == NULL) {
        kind = before == NULL ? CONF_ADDED : CONF_REMOVED;
    }
    struct conf_change *change = note(diff, kind, path);
    if (change != NULL) {
        change->is_setting = true;
        change->before = before != NULL ? json_text(diff, before) : SLICE_NONE;
        change->after = after != NULL ? json_text(diff, after) : SLICE_NONE;
    }
}

/* Settings of one part: objects are entered, everything else is compared as a whole. */
static void diff_settings(struct conf_diff *diff, const struct json *before,
                          const struct json *after, const struct conf_path *path)
{
    const struct json *member = NULL;
    json_for_each(member, before)
    {
        struct conf_path here = {.parent = path, .key = json_key(member)};
        const struct json *other = json_get(after, here.key);
        if (json_is(member, JSON_OBJECT) && json_is(other, JSON_OBJECT)) {
            diff_settings(diff, member, other, &here);
        } else if (!json_equal(member, other)) {
            note_setting(diff, member, other, &here);
        }
    }
    json_for_each(member, after)
    {
        struct conf_path here = {.parent = path, .key = json_key(member)};
        if (json_get(before, here.key) == NULL) {
            note_setting(diff, NULL, member, &here);
        }
    }
}

static void diff_parts(struct conf_diff *diff, const struct conf_part *before,
                       const struct conf_part *after, const struct conf_path *path);

static void note_member(struct conf_diff *diff, const struct conf_part *part,
                        enum conf_change_kind kind, const struct conf_path *path)
{
    struct conf_change *change = note(diff, kind, path);
    if (change == NULL) {
        return;
    }
    struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    conf_part_write(part, &text);
    struct slice copy = arena_copy(&diff->arena, buf_slice(&text));
    buf_fini(&text);
    if (kind == CONF_ADDED) {
        change->after = copy;
    } else {
        change->before = copy;
    }
}

/* Both are sorted by name. */
static void diff_lists(struct conf_diff *diff, const struct conf_list *before,
                       const struct conf_list *after, const struct conf_path *path)
{
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t before_count = before != NULL ? before->count : 0;
    uint32_t after_count = after != NULL ? after->count : 0;
    while ((i < before_count || j < after_count) &&
           (diff->stop_at == 0 || diff->total < diff->stop_at)) {
        int order = 0;
        if (i < before_count && j < after_count && before->parts[i] == after->parts[j]) {
            i++; /* shared: nothing to see, and of ten thousand nearly all */
            j++;
            continue;
        }
        if (i == before_count || j == after_count) {
            order = i == before_count ? 1 : -1;
        } else {
            order = slice_compare(before->parts[i]->name, after->parts[j]->name);
        }
        const struct conf_part *part = order <= 0 ? before->parts[i] : after->parts[j];
        struct conf_path here = {.parent = path, .key = part->name};
        if (order < 0) {
            note_member(diff, part, CONF_REMOVED, &here);
        } else if (order > 0) {
            note_member(diff, part, CONF_ADDED, &here);
        } else {
            diff_parts(diff, before->parts[i], after->parts[j], &here);
        }
        i += order <= 0 ? 1 : 0;
        j += order >= 0 ? 1 : 0;
    }
}

static void diff_parts(struct conf_diff *diff, const struct conf_part *before,
                       const struct conf_part *after, const struct conf_path *path)
{
    if (before == after) {
        return;
    }
    if (!slice_eq(before->text, after->text)) {
        struct json *old = json_parse_trusted(before->text);
        struct json *new = json_parse_trusted(after->text);
        diff_settings(diff, old, new, path);
        json_free(old);
        json_free(new);
    }
    uint32_t index = 0;
    for (size_t i = 0; i < before->object->field_count; i++) {
        const struct conf_field *field = &before->object->fields[i];
        if (field->type == CONF_TYPE_MAP) {
            struct conf_path here = {.parent = path, .key = slice_from(field->key)};
            if (before->lists[index] != after->lists[index]) {
                diff_lists(diff, before->lists[index], after->lists[index], &here);
            }
            index++;
        }
    }
}

void conf_diff_documents(struct conf_diff *diff, const struct conf_document *before,
                         const struct conf_document *after)
{
    const struct conf_path root = {0};
    diff_parts(diff, conf_document_root(before), conf_document_root(after), &root);
}

void conf_diff_describe(const struct conf_change *change, struct buf *out)
{
    (void)buf_append_slice(out, slice_from_at(change->pointer, 1));
    (void)buf_append_text(out, ": ");
    if (!change->is_setting) {
        (void)buf_append_text(out, change->kind == CONF_ADDED ? "added" : "removed");
        return;
    }
    switch (change->kind) {
    case CONF_ADDED:
        (void)buf_append_text(out, "set to ");
        json_write_beginning(out, change->after, SHOWN_BYTES_MAX);
        break;
    case CONF_REMOVED:
        (void)buf_append_text(out, "no longer set, was ");
        json_write_beginning(out, change->before, SHOWN_BYTES_MAX);
        break;
    case CONF_CHANGED:
        json_write_beginning(out, change->before, SHOWN_BYTES_MAX);
        (void)buf_append_text(out, " -> ");
        json_write_beginning(out, change->after, SHOWN_BYTES_MAX);
        break;
    }
}
