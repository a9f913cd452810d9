#include "conf/conf_owner.h"

#include "conf/conf_check.h"
#include "conf/conf_document_inside.h"
#include "conf/json/json.h"

struct apply {
    struct slice owner;
    struct conf_builder builder;
    bool is_forced;
    bool has_clash;
    bool is_used; /* something that would go is referred to */
};

static struct slice owner_of_part(const struct conf_part *part)
{
    const struct conf_field *field = conf_schema_find(part->object, SLICE("meta"));
    if (field == NULL) {
        return SLICE_NONE;
    }
    const char *base = part->value;
    struct conf_meta meta;
    memcpy(&meta, base + field->offset, sizeof(meta));
    return meta.managed_by;
}

struct slice conf_owner_of(const struct conf_document *document, struct slice pointer)
{
    struct conf_document_target target;
    struct slice owner = SLICE_NONE;
    uint32_t index = 0;
    if (!conf_document_target_init(&target, pointer)) {
        conf_document_target_fini(&target);
        return owner;
    }
    if (target.count >= 2 &&
        conf_part_map(document->root->object, target.tokens[0], &index) != NULL) {
        const struct conf_part *part =
            conf_part_find(document->root->lists[index], target.tokens[1]);
        owner = part != NULL ? owner_of_part(part) : SLICE_NONE;
    }
    conf_document_target_fini(&target);
    return owner;
}

/* Everything in the body is its owner's; who says otherwise is mistaken. */
static void fill_in(struct apply *apply, struct json *member, const struct conf_path *path)
{
    if (!json_is(member, JSON_OBJECT)) {
        return; /* refused later */
    }
    struct json *meta = json_get(member, SLICE("meta"));
    if (meta == NULL) {
        meta = json_new_object();
        json_add(member, SLICE("meta"), meta);
    }
    const struct json *said = json_get(meta, SLICE("managed_by"));
    if (!json_is(meta, JSON_OBJECT) || (said != NULL && !json_is(said, JSON_STRING))) {
        return;
    }
    if (said == NULL) {
        json_set(meta, SLICE("managed_by"), json_new_string(apply->owner));
    } else if (!slice_eq(json_string(said), apply->owner)) {
        const struct conf_path meta_path = {.parent = path, .key = SLICE("meta")};
        const struct conf_path at = {.parent = &meta_path, .key = SLICE("managed_by")};
        conf_errors_add(apply->builder.errors, &at, "invalid-value", SLICE_NONE,
                        "must be '%.*s', who applies this", SLICE_ARG(apply->owner));
        apply->builder.ok = false;
    }
}

/* Does `old` belong to somebody else, and may not change hands? */
static void check_clash(struct apply *apply, const struct conf_part *old,
                        const struct conf_path *path)
{
    struct slice has = old != NULL ? owner_of_part(old) : apply->owner;
    if (slice_eq(has, apply->owner) || apply->is_forced) {
        return;
    }
    if (has.len != 0) {
        conf_errors_add(apply->builder.errors, path, "owned-by-other", SLICE_NONE,
                        "belongs to '%.*s'", SLICE_ARG(has));
    } else {
        conf_errors_add(apply->builder.errors, path, "owned-by-other", SLICE_NONE,
                        "is there already and belongs to nobody");
    }
    apply->has_clash = true;
}

/* The old members that stay, and the body's. What was never set stays so. */
static struct conf_list *join(const struct apply *apply, const struct conf_field *field,
                              struct conf_list *old, struct conf_list *fresh)
{
    if (old == NULL && fresh->count == 0) {
        conf_part_list_unref(fresh);
        return NULL;
    }
    struct conf_list *kept = conf_part_list_filter(field, old, fresh, owner_of_part, apply->owner);
    struct conf_list *list = conf_part_list_join(field, kept, fresh, old);
    conf_part_list_unref(kept);
    conf_part_list_unref(fresh);
    return list;
}

static struct conf_list *apply_list(struct apply *apply, const struct conf_field *field,
                                    struct conf_list *old, struct json *members,
                                    const struct conf_path *path)
{
    for (struct json *member = json_is(members, JSON_OBJECT) ? json_child(members) : NULL;
         member != NULL; member = json_sibling(member)) {
        const struct conf_path here = {.parent = path, .key = json_key(member)};
        check_clash(apply, conf_part_find(old, here.key), &here);
        fill_in(apply, member, &here);
    }
    return join(apply, field, old,
                conf_part_list_build(&apply->builder, field, members, old, path));
}

/* The settings of the document itself (its schema) are everybody's. */
static struct conf_part *build(struct apply *apply, struct conf_part *root, struct json *json)
{
    struct conf_part *made = conf_part_ref(root);
    uint32_t index = 0;
    for (size_t i = 0; i < root->object->field_count; i++) {
        const struct conf_field *field = &root->object->fields[i];
        if (field->type != CONF_TYPE_MAP) {
            continue;
        }
        const struct conf_path here = {.parent = &conf_document_root_path,
                                       .key = slice_from(field->key)};
        struct json *members = json_take(json, here.key);
        if (members == NULL) {
            members = json_new_object();
        }
        struct conf_list *list = apply_list(apply, field, root->lists[index], members, &here);
        struct conf_part *next =
            conf_part_with_list(&apply->builder, made, index, list, &conf_document_root_path);
        json_free(members);
        conf_part_unref(made);
        made = next;
        index++;
    }
    if (json_count(json) != 0) {
        struct conf_part *next =
            conf_part_merge(&apply->builder, made, json, &conf_document_root_path);
        conf_part_unref(made);
        made = next;
    }
    return made;
}

/* What went must not be referred to by what stayed. */
static void check_pruned(struct apply *apply, const struct conf_part *before,
                         const struct conf_part *after)
{
    uint32_t index = 0;
    for (size_t i = 0; i < before->object->field_count; i++) {
        const struct conf_field *field = &before->object->fields[i];
        if (field->type != CONF_TYPE_MAP) {
            continue;
        }
        const struct conf_list *old = before->lists[index];
        for (uint32_t m = 0; old != NULL && m < old->count; m++) {
            struct slice name = old->parts[m]->name;
            if (conf_part_find(after->lists[index], name) == NULL &&
                !conf_check_unused(after->value, slice_from(field->key), name,
                                   apply->builder.errors)) {
                apply->is_used = true;
            }
        }
        index++;
    }
}

struct conf_document *conf_owner_apply(struct conf_document *document, struct slice owner,
                                       struct slice body, bool is_forced,
                                       struct conf_errors *errors, bool *is_clash, struct err *err)
{
    struct apply apply = {.owner = owner, .is_forced = is_forced};
    struct conf_document *made = NULL;
    struct json_error why;
    *is_clash = false;
    err_clear(err);
    struct json *json = json_parse(body, JSON_STRICT, &json_limits_document, &why);
    if (json == NULL) {
        conf_errors_add_syntax(errors, &why);
        (void)err_set(err, why.too_large ? ERR_TOO_LARGE : ERR_MALFORMED, "line %u, column %u: %s",
                      why.line, why.column, why.text);
        return NULL;
    }
    conf_part_builder_init(&apply.builder, errors);
    conf_document_drop_foreign(json);
    struct conf_part *root = NULL;
    if (json_is(json, JSON_OBJECT)) {
        conf_document_refuse_daemon(&apply.builder, json);
        root = build(&apply, document->root, json);
    } else { /* says what it should be */
        root = conf_part_build(&apply.builder, document->root->object, SLICE_NONE, json, NULL,
                               &conf_document_root_path);
    }
    if (apply.has_clash) {
        *is_clash = true;
        conf_part_unref(root);
        (void)err_set(err, ERR_CONFLICT, "some of this belongs to others");
    } else if (root == document->root && apply.builder.ok) {
        conf_part_unref(root);
        made = conf_document_ref(document);
    } else {
        if (apply.builder.ok) {
            check_pruned(&apply, document->root, root);
        }
        if (apply.is_used) {
            conf_part_unref(root);
            (void)err_set(err, ERR_CONFLICT, "what others refer to would go");
        } else {
            made = conf_document_finish(&apply.builder, root);
            if (made == NULL) {
                (void)err_set(err, ERR_INVALID, "the configuration would not be valid");
            }
        }
    }
    conf_errors_locate(errors, body, SLICE_NONE);
    json_free(json);
    conf_part_builder_fini(&apply.builder);
    return made;
}
