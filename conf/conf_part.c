#include "conf/conf_part.h"

#include <stdlib.h>

#include "conf/conf_format.h"
#include "conf/conf_read.h"
#include "conf/conf_seal.h"
#include "conf/json/json_patch.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"

enum {
    TEXT_BYTES_MAX = 64 * 1024 * 1024, /* of one part; what comes in is limited by json_limits */
    PART_SLACK_BYTES = 64,             /* for the rounding of small pieces in a part's arena */
};

/* Parts with equal versions have equal content. */
static _Atomic uint64_t last_version;

void conf_part_builder_init(struct conf_builder *builder, struct conf_errors *errors)
{
    builder->errors = errors;
    builder->ok = true;
    buf_init(&builder->scratch, TEXT_BYTES_MAX);
}

void conf_part_builder_fini(struct conf_builder *builder)
{
    buf_fini(&builder->scratch);
}

/* Drops one; whoever drops the last has seen what all others did. */
static bool is_last(_Atomic uint32_t *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

struct conf_part *conf_part_ref(struct conf_part *part)
{
    (void)atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
    return part;
}

static struct conf_list *list_ref(struct conf_list *list)
{
    if (list != NULL) {
        (void)atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    }
    return list;
}

void conf_part_unref(struct conf_part *part)
{
    if (part == NULL || !is_last(&part->refs)) {
        return;
    }
    for (size_t i = 0; i < CONF_SCHEMA_MAPS_MAX; i++) {
        conf_part_list_unref(part->lists[i]);
    }
    conf_seal_wipe(part->object, part->value);
    arena_fini(&part->arena);
    free(part);
}

void conf_part_list_unref(struct conf_list *list)
{
    if (list == NULL || !is_last(&list->refs)) {
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        conf_part_unref(list->parts[i]);
    }
    free(list->parts);
    free(list->values);
    free(list);
}

const struct conf_field *conf_part_map(const struct conf_object *object, struct slice key,
                                       uint32_t *index)
{
    *index = 0;
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        if (field->type == CONF_TYPE_MAP) {
            if (slice_eq(slice_from(field->key), key)) {
                return field;
            }
            (*index)++;
        }
    }
    return NULL;
}

/* Where `name` is, or where it would have to stand. */
static uint32_t place_of(const struct conf_list *list, struct slice name, bool *is_there)
{
    uint32_t from = 0;
    uint32_t to = list != NULL ? list->count : 0;
    *is_there = false;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = slice_compare(name, list->parts[middle]->name);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

struct conf_part *conf_part_find(const struct conf_list *list, struct slice name)
{
    bool is_there = false;
    uint32_t place = place_of(list, name, &is_there);
    return is_there ? list->parts[place] : NULL;
}

/* A list with room for `capacity` members, still empty. */
static struct conf_list *list_new(const struct conf_object *object, size_t capacity)
{
    struct conf_list *list = mem_zero(1, sizeof(*list));
    list->refs = 1;
    list->object = object;
    list->bytes = 2; /* braces */
    list->parts = mem_alloc((capacity + 1) * sizeof(struct conf_part *));
    list->values = mem_alloc((capacity + 1) * object->size);
    return list;
}

/* What a member adds to the text of its list: name, colon and comma. */
static size_t member_bytes(const struct conf_part *part)
{
    return part->name_bytes + part->bytes + 2;
}

/* In quotes. Most names are [a-z0-9._-], but those of mail maps are patterns, with backslashes. */
static void write_name(const struct conf_part *part, struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_string(&w, part->name);
}

/* Keeps the reference. */
static void list_push(struct conf_list *list, struct conf_part *part)
{
    memcpy(list->values + list->count * list->object->size, part->value, list->object->size);
    list->bytes += member_bytes(part);
    list->parts[list->count++] = part;
}

/* Shares members [from, to) of another list. Values are copied from its array: they lie in a row
 * there. */
static void list_push_shared(struct conf_list *list, const struct conf_list *old, uint32_t from,
                             uint32_t to)
{
    size_t size = list->object->size;
    if (from == to) {
        return;
    }
    memcpy(list->values + list->count * size, old->values + from * size, (to - from) * size);
    for (uint32_t i = from; i < to; i++) {
        list->bytes += member_bytes(old->parts[i]);
        list->parts[list->count++] = conf_part_ref(old->parts[i]);
    }
}

/* `made` when it differs from `old`, else `old`; keeps `made`. */
static struct conf_list *list_or_old(struct conf_list *made, struct conf_list *old)
{
    if (old == NULL || made->count != old->count ||
        (made->count > 0 &&
         memcmp(made->parts, old->parts, made->count * sizeof(struct conf_part *)) != 0)) {
        return made;
    }
    conf_part_list_unref(made);
    return list_ref(old);
}

static bool lists_are(const struct conf_part *part, struct conf_list *const *lists)
{
    return memcmp(part->lists, lists, sizeof(part->lists)) == 0;
}

static void free_lists(struct conf_list **lists)
{
    for (size_t i = 0; i < CONF_SCHEMA_MAPS_MAX; i++) {
        conf_part_list_unref(lists[i]);
    }
}

/* Points the arrays of the part's struct at the values of its lists, and adds up their texts. */
static void attach_lists(struct conf_part *part)
{
    uint32_t index = 0;
    char *base = part->value;
    for (size_t i = 0; i < part->object->field_count; i++) {
        const struct conf_field *field = &part->object->fields[i];
        if (field->type == CONF_TYPE_MAP) {
            const struct conf_list *list = part->lists[index++];
            char *values = list != NULL ? list->values : NULL;
            uint32_t count = list != NULL ? list->count : 0;
            part->bytes += list != NULL ? list->bytes + strlen(field->key) + 4 : 0;
            memcpy(base + field->offset, &values, sizeof values);
            memcpy(base + field->count_offset, &count, sizeof count);
        }
    }
}

/* The one place where parts are made. Keeps the lists. `own` holds no MAP field any more. No
 * private key gets further than here. */
static struct conf_part *part_new(struct conf_builder *builder, const struct conf_object *object,
                                  struct slice name, struct json *own, struct conf_list **lists,
                                  struct conf_part *old, const struct conf_path *path)
{
    struct json_write w;
    struct conf_sealed sealed;
    builder->ok = conf_seal_take(&sealed, object, own, path, builder->errors) && builder->ok;
    buf_clear(&builder->scratch);
    json_write_init(&w, &builder->scratch, JSON_COMPACT);
    json_write_canonical(&w, own);
    struct slice text = buf_slice(&builder->scratch);
    if (old != NULL && lists_are(old, lists) && slice_eq(old->text, text)) {
        free_lists(lists);
        conf_seal_fini(&sealed);
        return conf_part_ref(old);
    }

    /* Strings of the struct are never longer than the text that they were read from. */
    size_t room =
        object->size + name.len + 2 * text.len + PART_SLACK_BYTES + conf_seal_bytes(&sealed);
    struct conf_part *part = mem_zero(1, sizeof(*part) + room);
    part->refs = 1;
    part->object = object;
    arena_init(&part->arena, (char *)part + sizeof(*part), room);
    part->value = arena_alloc(&part->arena, object->size);
    part->name = arena_copy(&part->arena, name);
    part->text = arena_copy(&part->arena, text);
    part->bytes = text.len;
    buf_clear(&builder->scratch);
    write_name(part, &builder->scratch);
    part->name_bytes = builder->scratch.len;
    memcpy(part->lists, lists, sizeof(part->lists));
    builder->ok = conf_read_object(object, own, path, &part->arena, part->value, builder->errors) &&
                  builder->ok;
    if (conf_seal_bytes(&sealed) != 0) {
        conf_seal_put(&sealed, &part->arena, part->value);
    }
    conf_seal_fini(&sealed);
    if (object->is_named) {
        uint64_t version = atomic_fetch_add_explicit(&last_version, 1, memory_order_relaxed) + 1;
        char *base = part->value;
        memcpy(base + object->name_offset, &part->name, sizeof(part->name));
        memcpy(base + object->version_offset, &version, sizeof version);
    }
    attach_lists(part);
    return part;
}

/* Calls for each MAP field of `object` what makes its list from the JSON under its key, which is
 * taken out. */
static void take_lists(struct conf_builder *builder, const struct conf_object *object,
                       struct json *json, struct conf_part *old, bool is_patch,
                       const struct conf_path *path, struct conf_list **lists)
{
    uint32_t index = 0;
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        if (field->type != CONF_TYPE_MAP) {
            continue;
        }
        struct conf_path here = {.parent = path, .key = slice_from(field->key)};
        struct conf_list *old_list = old != NULL ? old->lists[index] : NULL;
        struct json *members = json_take(json, here.key);
        if (members == NULL) {
            lists[index] = is_patch ? list_ref(old_list) : NULL;
        } else if (!is_patch) {
            lists[index] = conf_part_list_build(builder, field, members, old_list, &here);
        } else if (!json_is(members, JSON_NULL)) {
            lists[index] = conf_part_list_merge(builder, field, old_list, members, &here);
        }
        json_free(members);
        index++;
    }
}

struct conf_part *conf_part_build(struct conf_builder *builder, const struct conf_object *object,
                                  struct slice name, struct json *json, struct conf_part *old,
                                  const struct conf_path *path)
{
    struct conf_list *lists[CONF_SCHEMA_MAPS_MAX] = {NULL};
    if (json_is(json, JSON_OBJECT)) {
        take_lists(builder, object, json, old, false, path, lists);
    }
    return part_new(builder, object, name, json, lists, old, path);
}

static struct json *own_json(const struct conf_part *part)
{
    struct json *own = json_parse_trusted(part->text);
    return own != NULL ? own : json_new_object(); /* we wrote it: it is JSON */
}

struct conf_part *conf_part_merge(struct conf_builder *builder, struct conf_part *old,
                                  struct json *patch, const struct conf_path *path)
{
    struct conf_list *lists[CONF_SCHEMA_MAPS_MAX] = {NULL};
    if (!json_is(patch, JSON_OBJECT)) { /* it replaces everything, and is then refused */
        return part_new(builder, old->object, old->name, patch, lists, old, path);
    }
    take_lists(builder, old->object, patch, old, true, path, lists);
    struct json *own = json_patch_merge(own_json(old), patch);
    struct conf_part *part = part_new(builder, old->object, old->name, own, lists, old, path);
    json_free(own);
    return part;
}

struct conf_part *conf_part_with_list(struct conf_builder *builder, struct conf_part *old,
                                      uint32_t index, struct conf_list *list,
                                      const struct conf_path *path)
{
    struct conf_list *lists[CONF_SCHEMA_MAPS_MAX] = {NULL};
    for (uint32_t i = 0; i < CONF_SCHEMA_MAPS_MAX; i++) {
        lists[i] = i == index ? list : list_ref(old->lists[i]);
    }
    if (lists_are(old, lists)) {
        free_lists(lists);
        return conf_part_ref(old);
    }
    struct json *own = own_json(old);
    struct conf_part *part = part_new(builder, old->object, old->name, own, lists, old, path);
    json_free(own);
    return part;
}

void conf_part_check_name(struct conf_builder *builder, const struct conf_field *field,
                          const struct conf_path *path)
{
    const char *problem = conf_format_problem(conf_schema_name_format(field), path->key);
    if (problem != NULL) {
        conf_errors_add(builder->errors, path, "invalid-name", SLICE_NONE, "%s", problem);
        builder->ok = false;
    }
}

static int compare_members(const void *a, const void *b)
{
    struct json *const *left = a;
    struct json *const *right = b;
    return slice_compare(json_key(*left), json_key(*right));
}

/* The members of `object`, sorted by key; mem_alloc'ed. */
static struct json **sorted_members(struct json *object, uint32_t *count)
{
    *count = json_count(object);
    struct json **members = mem_alloc((*count + 1) * sizeof(*members));
    bool is_sorted = true;
    uint32_t i = 0;
    for (struct json *member = json_child(object); member != NULL; member = json_sibling(member)) {
        members[i] = member;
        if (i > 0 && is_sorted) {
            is_sorted = compare_members(&members[i - 1], &members[i]) < 0;
        }
        i++;
    }
    if (!is_sorted) {
        qsort(members, *count, sizeof(*members), compare_members);
    }
    return members;
}

/* Is there anything to walk? Complains when not. */
static bool accept_map(struct conf_builder *builder, const struct conf_field *field,
                       const struct json *json, size_t count, const struct conf_path *path)
{
    if (!json_is(json, JSON_OBJECT)) {
        conf_errors_add(builder->errors, path, "wrong-type", SLICE_NONE,
                        "must be an object of named %s, not %s", field->key,
                        json_type_word(json_type(json)));
    } else if (count > (size_t)field->max) {
        conf_errors_add(builder->errors, path, "out-of-range", SLICE_NONE,
                        "must have at most %lld members", (long long)field->max);
    } else {
        return true;
    }
    builder->ok = false;
    return false;
}

/* In place of one that cannot be read: keeping the old members spares follow-up mistakes. */
static struct conf_list *old_or_empty(const struct conf_field *field, struct conf_list *old)
{
    return old != NULL ? list_ref(old) : list_new(field->object, 0);
}

struct conf_list *conf_part_list_build(struct conf_builder *builder, const struct conf_field *field,
                                       struct json *json, struct conf_list *old,
                                       const struct conf_path *path)
{
    if (!accept_map(builder, field, json, json_count(json), path)) {
        return old_or_empty(field, old);
    }
    uint32_t count = 0;
    struct json **members = sorted_members(json, &count);
    struct conf_list *list = list_new(field->object, count);
    for (uint32_t i = 0; i < count; i++) {
        struct conf_path here = {.parent = path, .key = json_key(members[i])};
        conf_part_check_name(builder, field, &here);
        list_push(list, conf_part_build(builder, field->object, here.key, members[i],
                                        conf_part_find(old, here.key), &here));
    }
    free(members);
    return list_or_old(list, old);
}

/* What a patch makes of one member: NULL when it is gone afterwards. */
static struct conf_part *merge_member(struct conf_builder *builder, const struct conf_field *field,
                                      struct conf_part *old, struct json *patch,
                                      const struct conf_path *path)
{
    if (json_is(patch, JSON_NULL)) {
        return NULL;
    }
    if (old != NULL) {
        return conf_part_merge(builder, old, patch, path);
    }
    conf_part_check_name(builder, field, path);
    struct json *made = json_patch_merge(NULL, patch); /* without its nulls */
    struct conf_part *part = conf_part_build(builder, field->object, path->key, made, NULL, path);
    json_free(made);
    return part;
}

struct conf_list *conf_part_list_merge(struct conf_builder *builder, const struct conf_field *field,
                                       struct conf_list *old, struct json *patch,
                                       const struct conf_path *path)
{
    uint32_t old_count = old != NULL ? old->count : 0;
    uint32_t count = 0;
    if (!json_is(patch, JSON_OBJECT)) {
        (void)accept_map(builder, field, patch, 0, path);
        return old_or_empty(field, old);
    }
    struct json **members = sorted_members(patch, &count);
    struct conf_list *list = list_new(field->object, (size_t)old_count + count);
    uint32_t at = 0; /* members of `old` before this one are done */
    for (uint32_t i = 0; i < count; i++) {
        struct conf_path here = {.parent = path, .key = json_key(members[i])};
        bool is_there = false;
        uint32_t place = place_of(old, here.key, &is_there);
        list_push_shared(list, old, at, place);
        at = place + (is_there ? 1 : 0);
        struct conf_part *part =
            merge_member(builder, field, is_there ? old->parts[place] : NULL, members[i], &here);
        if (part != NULL) {
            list_push(list, part);
        }
    }
    list_push_shared(list, old, at, old_count);
    free(members);
    (void)accept_map(builder, field, patch, list->count, path);
    return list_or_old(list, old);
}

struct conf_list *conf_part_list_with(const struct conf_field *field, struct conf_list *old,
                                      struct slice name, struct conf_part *part)
{
    bool is_there = false;
    uint32_t old_count = old != NULL ? old->count : 0;
    uint32_t place = place_of(old, name, &is_there);
    struct conf_list *list = list_new(field->object, (size_t)old_count + 1);
    list_push_shared(list, old, 0, place);
    if (part != NULL) {
        list_push(list, part);
    }
    list_push_shared(list, old, place + (is_there ? 1 : 0), old_count);
    return list_or_old(list, old);
}

struct conf_list *conf_part_list_filter(const struct conf_field *field, const struct conf_list *old,
                                        const struct conf_list *fresh,
                                        struct slice (*owner_of)(const struct conf_part *part),
                                        struct slice owner)
{
    struct conf_list *list = list_new(field->object, old != NULL ? old->count : 0);
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        if (!slice_eq(owner_of(old->parts[i]), owner) &&
            conf_part_find(fresh, old->parts[i]->name) == NULL) {
            list_push_shared(list, old, i, i + 1);
        }
    }
    return list;
}

struct conf_list *conf_part_list_join(const struct conf_field *field, const struct conf_list *a,
                                      const struct conf_list *b, struct conf_list *old)
{
    struct conf_list *list = list_new(field->object, (size_t)a->count + b->count);
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < a->count || j < b->count) {
        bool is_first = j == b->count ||
                        (i < a->count && slice_compare(a->parts[i]->name, b->parts[j]->name) < 0);
        if (is_first) {
            list_push_shared(list, a, i, i + 1);
            i++;
        } else {
            list_push_shared(list, b, j, j + 1);
            j++;
        }
    }
    return list_or_old(list, old);
}

static bool lists_same(const struct conf_list *a, const struct conf_list *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!conf_part_same(a->parts[i], b->parts[i])) {
            return false;
        }
    }
    return true;
}

bool conf_part_same(const struct conf_part *a, const struct conf_part *b)
{
    if (a == b) {
        return true;
    }
    if (!slice_eq(a->name, b->name) || !slice_eq(a->text, b->text)) {
        return false;
    }
    for (size_t i = 0; i < CONF_SCHEMA_MAPS_MAX; i++) {
        if (!lists_same(a->lists[i], b->lists[i])) {
            return false;
        }
    }
    return true;
}

void conf_part_list_write(const struct conf_list *list, struct buf *out)
{
    (void)buf_append_char(out, '{');
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        const struct conf_part *part = list->parts[i];
        if (i != 0) {
            (void)buf_append_char(out, ',');
        }
        write_name(part, out);
        (void)buf_append_char(out, ':');
        conf_part_write(part, out);
    }
    (void)buf_append_char(out, '}');
}

void conf_part_write(const struct conf_part *part, struct buf *out)
{
    uint32_t index = 0;
    bool has_own = part->text.len > 2;
    (void)buf_append(out, part->text.ptr, part->text.len - 1);
    for (size_t i = 0; i < part->object->field_count; i++) {
        const struct conf_field *field = &part->object->fields[i];
        if (field->type != CONF_TYPE_MAP) {
            continue;
        }
        const struct conf_list *list = part->lists[index++];
        if (list != NULL) {
            (void)buf_printf(out, "%s\"%s\":", has_own ? "," : "", field->key);
            conf_part_list_write(list, out);
            has_own = true;
        }
    }
    (void)buf_append_char(out, '}');
}
