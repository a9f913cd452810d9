#include "conf/conf_document.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "conf/conf_check.h"
#include "conf/conf_document_inside.h"
#include "conf/conf_files.h"
#include "conf/conf_read.h"
#include "conf/conf_write.h"
#include "conf/json/json_patch.h"
#include "lbd/base/mem.h"

enum { TOKEN_BYTES_MAX = 1024 };

const struct conf_path conf_document_root_path;

bool conf_document_target_init(struct conf_document_target *target, struct slice pointer)
{
    struct slice rest = pointer;
    struct buf token;
    bool ok = json_patch_pointer_valid(pointer);
    target->count = 0;
    arena_init(&target->arena, NULL, 0);
    buf_init(&token, TOKEN_BYTES_MAX);
    while (ok && json_patch_token(&rest, &token)) {
        ok = target->count < CONF_DOCUMENT_TOKENS_MAX;
        if (ok) {
            target->tokens[target->count++] = arena_copy(&target->arena, buf_slice(&token));
        }
    }
    buf_fini(&token);
    return ok && rest.len == 0;
}

void conf_document_target_fini(struct conf_document_target *target)
{
    arena_fini(&target->arena);
}

static struct conf_document *document_new(struct conf_part *root)
{
    struct conf_document *document = mem_zero(1, sizeof(*document));
    document->refs = 1;
    document->root = root;
    return document;
}

struct conf_document *conf_document_ref(struct conf_document *document)
{
    (void)atomic_fetch_add_explicit(&document->refs, 1, memory_order_relaxed);
    return document;
}

void conf_document_unref(struct conf_document *document)
{
    if (document != NULL &&
        atomic_fetch_sub_explicit(&document->refs, 1, memory_order_acq_rel) == 1) {
        conf_part_unref(document->root);
        free(document);
    }
}

const struct conf *conf_document_conf(const struct conf_document *document)
{
    return document->root->value;
}

struct conf_document *conf_document_new(void)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(SLICE("{}"), &errors);
    assert(document != NULL);
    conf_errors_fini(&errors);
    return document;
}

void conf_document_drop_foreign(struct json *json)
{
    if (json_is(json, JSON_OBJECT)) {
        json_free(json_take(json, SLICE("$schema")));
    }
}

void conf_document_refuse_daemon(struct conf_builder *builder, struct json *json)
{
    const struct conf_path path = {.parent = &conf_document_root_path, .key = SLICE("daemon")};
    struct json *daemon = json_take(json, path.key);
    if (daemon != NULL) {
        conf_errors_add(builder->errors, &path, "file-only", SLICE_NONE,
                        "must not be set here: it is read from the file, at start only");
        builder->ok = false;
        json_free(daemon);
    }
}

struct conf_document *conf_document_finish(struct conf_builder *builder, struct conf_part *root)
{
    /* Also when something was wrong before: all mistakes at once. */
    bool ok = conf_check(root->value, builder->errors);
    if (root->bytes > json_limits_document.bytes) { /* what is accepted can also be read again */
        conf_errors_add_at(builder->errors, SLICE_NONE, "too-large", SLICE_NONE,
                           "must be at most %zu bytes as a whole", json_limits_document.bytes);
        ok = false;
    }
    if (!ok || !builder->ok) {
        conf_part_unref(root);
        return NULL;
    }
    return document_new(root);
}

static struct conf_document *from_json(struct json *json, struct conf_errors *errors)
{
    struct conf_builder builder;
    conf_part_builder_init(&builder, errors);
    conf_document_drop_foreign(json);
    conf_document_refuse_daemon(&builder, json);
    struct conf_part *root = conf_part_build(&builder, conf_schema_document, SLICE_NONE, json, NULL,
                                             &conf_document_root_path);
    struct conf_document *document = conf_document_finish(&builder, root);
    conf_part_builder_fini(&builder);
    return document;
}

static struct conf_document *from_strict_text(struct slice text, const struct json_limits *limits,
                                              struct conf_errors *errors)
{
    struct json_error error;
    struct json *json = json_parse(text, JSON_STRICT, limits, &error);
    if (json == NULL) {
        conf_errors_add_syntax(errors, &error);
        return NULL;
    }
    struct conf_document *document = from_json(json, errors);
    json_free(json);
    conf_errors_locate(errors, text, SLICE_NONE);
    return document;
}

struct conf_document *conf_document_from_text(struct slice text, struct conf_errors *errors)
{
    return from_strict_text(text, &json_limits_document, errors);
}

struct conf_document *conf_document_from_saved_text(struct slice text, struct conf_errors *errors)
{
    /* Edit by edit a document may grow beyond the counts that hold for one text, never beyond its
     * bytes. */
    struct json_limits limits = json_limits_document;
    limits.values = UINT32_MAX;
    limits.objects = UINT32_MAX;
    return from_strict_text(text, &limits, errors);
}

bool conf_document_from_files(const struct conf_file_text *files, uint32_t count,
                              struct conf_document **document, struct conf_daemon **daemon,
                              struct conf_errors *errors)
{
    struct conf_files set;
    struct conf_daemon *read = NULL;
    struct conf_document *made = NULL;
    uint32_t errors_before = errors->error_count;
    conf_files_init(&set, files, count);
    struct json *json = conf_files_merge(&set, errors);
    if (json != NULL) {
        struct json *daemon_json = json_take(json, SLICE("daemon"));
        read = conf_read_daemon(daemon_json, errors);
        made = from_json(json, errors);
        json_free(daemon_json);
        json_free(json);
    }
    conf_files_locate(&set, errors);
    conf_files_fini(&set);

    bool ok = read != NULL && made != NULL && errors->error_count == errors_before;
    if (ok) {
        *document = made;
        made = NULL;
    }
    if (ok && daemon != NULL) {
        *daemon = read;
        read = NULL;
    }
    conf_document_unref(made);
    conf_daemon_free(read);
    return ok;
}

bool conf_document_from_file_text(struct slice text, struct conf_document **document,
                                  struct conf_daemon **daemon, struct conf_errors *errors)
{
    const struct conf_file_text file = {.text = text};
    return conf_document_from_files(&file, 1, document, daemon, errors);
}

/* --- looking --- */

/* What a pointer leads to: a part, or a list of `part` (which may be NULL: never set). */
struct found {
    struct conf_part *part;
    const struct conf_field *field; /* not NULL: the list */
    struct conf_list *list;
};

static bool find(const struct conf_document *document, struct slice pointer, struct found *found)
{
    struct conf_document_target target;
    bool ok = conf_document_target_init(&target, pointer);
    *found = (struct found){.part = document->root};
    for (uint32_t i = 0; ok && i < target.count; i++) {
        uint32_t index = 0;
        if (found->field != NULL) {
            found->part = conf_part_find(found->list, target.tokens[i]);
            found->field = NULL;
            ok = found->part != NULL;
        } else {
            found->field = conf_part_map(found->part->object, target.tokens[i], &index);
            ok = found->field != NULL;
            found->list = ok ? found->part->lists[index] : NULL;
        }
    }
    conf_document_target_fini(&target);
    return ok;
}

bool conf_document_has(const struct conf_document *document, struct slice pointer)
{
    struct found found;
    return find(document, pointer, &found);
}

bool conf_document_text(const struct conf_document *document, struct slice pointer, struct buf *out)
{
    struct found found;
    if (!find(document, pointer, &found)) {
        return false;
    }
    if (found.field != NULL) {
        conf_part_list_write(found.list, out);
    } else {
        conf_part_write(found.part, out);
    }
    return true;
}

bool conf_document_write_effective(const struct conf_document *document, struct slice pointer,
                                   struct json_write *w)
{
    struct found found;
    if (!find(document, pointer, &found)) {
        return false;
    }
    if (found.field == NULL) {
        conf_write_object(found.part->object, found.part->value, w);
        return true;
    }
    json_write_object_begin(w);
    for (uint32_t i = 0; found.list != NULL && i < found.list->count; i++) {
        const struct conf_part *part = found.list->parts[i];
        json_write_key_slice(w, part->name);
        conf_write_object(part->object, part->value, w);
    }
    json_write_object_end(w);
    return true;
}

bool conf_document_same(const struct conf_document *a, const struct conf_document *b)
{
    return conf_part_same(a->root, b->root);
}

const struct conf_part *conf_document_root(const struct conf_document *document)
{
    return document->root;
}

size_t conf_document_bytes(const struct conf_document *document)
{
    return document->root->bytes;
}
