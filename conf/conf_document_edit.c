/* conf_document_edit - a document from another one and edits; declared in conf_document.h. */
#include "conf/conf_check.h"
#include "conf/conf_document_inside.h"
#include "conf/json/json_patch.h"

/* --- edits: one walk down the tokens, new parts on the way back --- */

struct edit {
    struct conf_builder builder;
    enum conf_edit kind;
    struct json *body;
    struct err *err;
    struct slice pointer;
};

static struct conf_part *fail_not_found(const struct edit *edit)
{
    (void)err_set(edit->err, ERR_NOT_FOUND, "there is no %.*s", SLICE_ARG(edit->pointer));
    return NULL;
}

/* The one that is missing may be above what was asked for. */
static void fail_no_member(const struct edit *edit, const struct conf_path *path)
{
    struct buf pointer;
    buf_init(&pointer, 1024);
    conf_errors_pointer(path, &pointer);
    (void)err_set(edit->err, ERR_NOT_FOUND, "there is no %.*s", (int)pointer.len, pointer.data);
    buf_fini(&pointer);
}

static struct conf_part *edit_part(struct edit *edit, struct conf_part *part,
                                   const struct slice *tokens, uint32_t count,
                                   const struct conf_path *path);

/* The tokens end at a collection: its members are replaced or merged. */
static struct conf_list *edit_list(struct edit *edit, const struct conf_field *field,
                                   struct conf_list *list, const struct conf_path *path)
{
    if (edit->kind == CONF_EDIT_PUT) {
        return conf_part_list_build(&edit->builder, field, edit->body, list, path);
    }
    return conf_part_list_merge(&edit->builder, field, list, edit->body, path);
}

/* The list in which one member was edited; NULL after a failure. */
static struct conf_list *edit_member(struct edit *edit, const struct conf_field *field,
                                     struct conf_list *list, const struct slice *tokens,
                                     uint32_t count, const struct conf_path *list_path)
{
    struct slice name = tokens[0];
    struct conf_path path = {.parent = list_path, .key = name};
    struct conf_part *old = conf_part_find(list, name);
    bool is_last = count == 1;
    if (old == NULL && !(is_last && edit->kind == CONF_EDIT_PUT)) {
        fail_no_member(edit, &path);
        return NULL;
    }
    if (is_last && edit->kind == CONF_EDIT_DELETE) {
        return conf_part_list_with(field, list, name, NULL);
    }
    struct conf_part *made = NULL;
    if (old == NULL) {
        conf_part_check_name(&edit->builder, field, &path);
        made = conf_part_build(&edit->builder, field->object, name, edit->body, NULL, &path);
    } else {
        made = edit_part(edit, old, tokens + 1, count - 1, &path);
    }
    return made != NULL ? conf_part_list_with(field, list, name, made) : NULL;
}

static struct conf_part *edit_part(struct edit *edit, struct conf_part *part,
                                   const struct slice *tokens, uint32_t count,
                                   const struct conf_path *path)
{
    if (count == 0 && edit->kind == CONF_EDIT_PUT) {
        return conf_part_build(&edit->builder, part->object, part->name, edit->body, part, path);
    }
    if (count == 0) {
        return conf_part_merge(&edit->builder, part, edit->body, path);
    }
    uint32_t index = 0;
    const struct conf_field *field = conf_part_map(part->object, tokens[0], &index);
    if (field == NULL) {
        return fail_not_found(edit);
    }
    struct conf_path here = {.parent = path, .key = tokens[0]};
    struct conf_list *old = part->lists[index];
    struct conf_list *list = count == 1
                                 ? edit_list(edit, field, old, &here)
                                 : edit_member(edit, field, old, tokens + 1, count - 1, &here);
    return list != NULL ? conf_part_with_list(&edit->builder, part, index, list, path) : NULL;
}

/* All of the document, of a collection, or one of the resources that are long lists. */
static bool is_large(const struct conf_document_target *target)
{
    return target->count == 0 || target->count % 2 != 0 ||
           slice_eq(target->tokens[0], SLICE("address_sets"));
}

/* Reads the body and walks. NULL after a failure that is no matter of validity: *err says which. */
static struct conf_part *edit_root(struct edit *edit, struct conf_part *root,
                                   const struct conf_document_target *target, struct slice body,
                                   struct conf_errors *errors)
{
    if (edit->kind == CONF_EDIT_DELETE) {
        if (target->count == 0 || target->count % 2 != 0) {
            (void)err_set(edit->err, ERR_INVALID, "only single resources can be deleted");
            return NULL;
        }
        return edit_part(edit, root, target->tokens, target->count, &conf_document_root_path);
    }

    struct json_error error;
    const struct json_limits *limits =
        is_large(target) ? &json_limits_document : &json_limits_resource;
    edit->body = json_parse(body, JSON_STRICT, limits, &error);
    if (edit->body == NULL) {
        conf_errors_add_syntax(errors, &error);
        (void)err_set(edit->err, error.too_large ? ERR_TOO_LARGE : ERR_MALFORMED,
                      "line %u, column %u: %s", error.line, error.column, error.text);
        return NULL;
    }
    if (target->count == 0) {
        conf_document_drop_foreign(edit->body);
        conf_document_refuse_daemon(&edit->builder, edit->body);
    }
    return edit_part(edit, root, target->tokens, target->count, &conf_document_root_path);
}

static struct conf_document *finish_edit(struct edit *edit, struct conf_document *document,
                                         struct conf_part *root,
                                         const struct conf_document_target *target,
                                         struct conf_errors *errors)
{
    if (root == document->root && edit->builder.ok) {
        conf_part_unref(root);
        return conf_document_ref(document);
    }
    if (edit->kind == CONF_EDIT_DELETE && target->count == 2 &&
        !conf_check_unused(root->value, target->tokens[0], target->tokens[1], errors)) {
        conf_part_unref(root);
        (void)err_set(edit->err, ERR_CONFLICT, "%.*s is in use", SLICE_ARG(edit->pointer));
        return NULL;
    }
    struct conf_document *made = conf_document_finish(&edit->builder, root);
    if (made == NULL) {
        (void)err_set(edit->err, ERR_INVALID, "the configuration would not be valid");
    }
    return made;
}

struct conf_document *conf_document_edit(struct conf_document *document, enum conf_edit kind,
                                         struct slice pointer, struct slice body,
                                         struct conf_errors *errors, struct err *err)
{
    struct conf_document *made = NULL;
    struct conf_part *root = NULL;
    struct edit edit = {.kind = kind, .err = err, .pointer = pointer};
    struct conf_document_target target;
    err_clear(err);
    conf_part_builder_init(&edit.builder, errors);
    if (!conf_document_target_init(&target, pointer)) {
        (void)fail_not_found(&edit);
        goto out;
    }

    root = edit_root(&edit, document->root, &target, body, errors);
    if (root != NULL) {
        made = finish_edit(&edit, document, root, &target, errors);
    }
    if (edit.body != NULL) {
        conf_errors_locate(errors, body, pointer);
    }

out:
    json_free(edit.body);
    conf_document_target_fini(&target);
    conf_part_builder_fini(&edit.builder);
    return made;
}

/* --- many at once: what is between the first and the last is nobody's business --- */

/* The root after one more operation; keeps `root`. NULL: *err says why. */
static struct conf_part *apply_one(struct edit *edit, struct conf_part *root,
                                   const struct conf_document_target *target,
                                   const struct conf_operation *operation,
                                   struct conf_errors *errors)
{
    struct conf_part *made = edit_root(edit, root, target, operation->body, errors);
    if (made == NULL && edit->err->kind == ERR_NOT_FOUND && operation->missing_is_fine &&
        operation->edit == CONF_EDIT_DELETE) {
        err_clear(edit->err);
        return root;
    }
    conf_part_unref(root);
    return made;
}

static struct conf_part *apply_all(struct conf_builder *builder, struct conf_part *root,
                                   const struct conf_operation *operations, uint32_t count,
                                   struct err *err, uint32_t *failed)
{
    struct conf_errors *errors = builder->errors;
    for (uint32_t i = 0; root != NULL && i < count; i++) {
        struct edit edit = {.builder = *builder,
                            .kind = operations[i].edit,
                            .err = err,
                            .pointer = operations[i].pointer};
        struct conf_document_target target;
        errors->operation = i + 1;
        if (conf_document_target_init(&target, operations[i].pointer)) {
            root = apply_one(&edit, root, &target, &operations[i], errors);
        } else {
            (void)fail_not_found(&edit);
            conf_part_unref(root);
            root = NULL;
        }
        json_free(edit.body);
        conf_document_target_fini(&target);
        *builder = edit.builder;
        *failed = root == NULL ? i : *failed;
    }
    errors->operation = 0;
    return root;
}

/* What was deleted and is not there at the end must not be referred to at the end. */
static bool are_deleted_unused(const struct conf_part *root,
                               const struct conf_operation *operations, uint32_t count,
                               struct conf_errors *errors, struct err *err, uint32_t *failed)
{
    bool ok = true;
    for (uint32_t i = 0; i < count; i++) {
        struct conf_document_target target;
        uint32_t index = 0;
        bool is_resource = operations[i].edit == CONF_EDIT_DELETE &&
                           conf_document_target_init(&target, operations[i].pointer);
        if (!is_resource) {
            continue;
        }
        errors->operation = i + 1;
        if (target.count == 2 && conf_part_map(root->object, target.tokens[0], &index) != NULL &&
            conf_part_find(root->lists[index], target.tokens[1]) == NULL &&
            !conf_check_unused(root->value, target.tokens[0], target.tokens[1], errors) && ok) {
            ok = err_set(err, ERR_CONFLICT, "%.*s is in use", SLICE_ARG(operations[i].pointer));
            *failed = i;
        }
        conf_document_target_fini(&target);
    }
    errors->operation = 0;
    return ok;
}

/* The last operation that wrote where an entry points to. */
static uint32_t operation_at(struct slice pointer, const struct conf_operation *operations,
                             uint32_t count)
{
    for (uint32_t i = count; i > 0; i--) {
        struct slice at = operations[i - 1].pointer;
        if (operations[i - 1].edit != CONF_EDIT_DELETE && slice_starts(pointer, at) &&
            (pointer.len == at.len || pointer.ptr[at.len] == '/')) {
            return i;
        }
    }
    return 0;
}

struct conf_document *conf_document_edit_many(struct conf_document *document,
                                              const struct conf_operation *operations,
                                              uint32_t count, struct conf_errors *errors,
                                              struct err *err, uint32_t *failed)
{
    struct conf_builder builder;
    struct conf_document *made = NULL;
    *failed = count;
    err_clear(err);
    conf_part_builder_init(&builder, errors);
    struct conf_part *root =
        apply_all(&builder, conf_part_ref(document->root), operations, count, err, failed);
    if (root == NULL) {
        goto out;
    }
    if (root == document->root && builder.ok) {
        conf_part_unref(root);
        made = conf_document_ref(document);
        goto out;
    }
    if (builder.ok && !are_deleted_unused(root, operations, count, errors, err, failed)) {
        conf_part_unref(root);
        goto out;
    }
    made = conf_document_finish(&builder, root);
    if (made != NULL && conf_part_same(made->root, document->root)) { /* there and back again */
        conf_document_unref(made);
        made = conf_document_ref(document);
    }
    if (made == NULL) {
        (void)err_set(err, ERR_INVALID, "the configuration would not be valid");
        for (uint32_t i = 0; i < errors->error_count; i++) {
            struct conf_error *error = &errors->errors[i];
            if (error->operation == 0) {
                error->operation = operation_at(error->pointer, operations, count);
            }
            if (*failed == count && error->operation != 0) {
                *failed = error->operation - 1;
            }
        }
    }

out:
    conf_part_builder_fini(&builder);
    return made;
}
