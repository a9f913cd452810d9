#include "conf/conf_files.h"

#include <stdlib.h>

#include "conf/json/json_locate.h"
#include "conf/json/json_patch.h"
#include "lbd/base/mem.h"

enum { POINTER_BYTES_MAX = 65536 };

void conf_files_init(struct conf_files *set, const struct conf_file_text *files, uint32_t count)
{
    assert(count > 0 && count <= CONF_FILES_MAX);
    set->files = files;
    set->count = count;
    map_init(&set->origins);
}

void conf_files_fini(struct conf_files *set)
{
    map_fini(&set->origins);
}

/* The map owns nothing but its keys. */
static void set_origin(struct conf_files *set, struct slice pointer,
                       const struct conf_file_text *file)
{
    (void)map_put(&set->origins, pointer, (void *)(uintptr_t)file);
}

/* -- what is wrong with the files themselves -- */

static void add(struct conf_errors *errors, const struct conf_file_text *file, struct slice pointer,
                const char *code, const char *fmt, ...) LB_PRINTF(5, 6);

static void add(struct conf_errors *errors, const struct conf_file_text *file, struct slice pointer,
                const char *code, const char *fmt, ...)
{
    struct buf detail;
    va_list args;
    buf_init(&detail, POINTER_BYTES_MAX);
    va_start(args, fmt);
    (void)buf_vprintf(&detail, fmt, args);
    va_end(args);
    conf_errors_add_at(errors, pointer, code, SLICE_NONE, "%.*s", SLICE_ARG(buf_slice(&detail)));
    conf_errors_name_file(errors, file->path);
    buf_fini(&detail);
}

static void add_twice(struct conf_errors *errors, const struct conf_file_text *first,
                      const struct conf_file_text *second, struct slice pointer, struct slice name)
{
    struct json_place place = {.pointer = pointer, .want_key = true};
    if (conf_errors_full(errors)) { /* to find the place is dear */
        errors->truncated = true;
        return;
    }
    json_locate_all(first->text, &place, 1);
    add(errors, second, pointer, "duplicate-name", "'%.*s' is already in %.*s:%u:%u",
        SLICE_ARG(name), SLICE_ARG(first->path), place.line, place.column);
}

/* -- one tree -- */

struct merge {
    struct conf_files *set;
    struct conf_errors *errors;
    struct json *tree;
    struct buf pointer;
};

static struct slice point_at(struct merge *merge, struct slice key, struct slice name)
{
    buf_clear(&merge->pointer);
    json_patch_append_token(&merge->pointer, key);
    if (name.ptr != NULL) {
        json_patch_append_token(&merge->pointer, name);
    }
    return buf_slice(&merge->pointer);
}

/* Is the name new? Else says where it was. */
static bool claim(struct merge *merge, const struct conf_file_text *file, struct slice pointer,
                  struct slice name)
{
    const struct conf_file_text *first = map_get(&merge->set->origins, pointer);
    if (first != NULL) {
        add_twice(merge->errors, first, file, pointer, name);
        return false;
    }
    set_origin(merge->set, pointer, file);
    return true;
}

/* The members of `from` go to `into`; the names of the main file are only noted (`from` is `into`).
 */
static void move_members(struct merge *merge, const struct conf_file_text *file, struct slice key,
                         struct json *from, struct json *into)
{
    struct json *next = NULL;
    for (struct json *item = json_child(from); item != NULL; item = next) {
        struct slice name = json_key(item);
        next = json_sibling(item);
        if (!claim(merge, file, point_at(merge, key, name), name) || from == into) {
            continue;
        }
        char *copy = mem_slicedup(name); /* it dies with its item's place */
        json_add(into, slice_from(copy), json_detach(from, item));
        free(copy);
    }
}

static bool is_for_main(struct slice key)
{
    return slice_eq(key, SLICE("daemon")) || slice_eq(key, SLICE("schema"));
}

/* One key of a file's root, e.g. "pools". */
static void merge_key(struct merge *merge, const struct conf_file_text *file, struct json *root,
                      struct json *item)
{
    const struct conf_file_text *main_file = &merge->set->files[0];
    struct slice key = json_key(item);
    struct slice pointer = point_at(merge, key, SLICE_NONE);
    if (slice_eq(key, SLICE("$schema"))) {
        return;
    }
    if (is_for_main(key)) {
        add(merge->errors, file, pointer, "main-file-only", "'%.*s' must be set in %.*s only",
            SLICE_ARG(key), SLICE_ARG(main_file->path));
        return;
    }
    struct json *into = json_get(merge->tree, key);
    if (into == NULL && json_is(item, JSON_OBJECT)) {
        into = json_new_object();
        json_add(merge->tree, key, into);
        set_origin(merge->set, pointer, file);
    }
    if (into == NULL) { /* whatever it is, the reader will say what is wrong with it */
        char *copy = mem_slicedup(key);
        set_origin(merge->set, pointer, file);
        json_add(merge->tree, slice_from(copy), json_detach(root, item));
        free(copy);
    } else if (!json_is(item, JSON_OBJECT)) {
        add(merge->errors, file, pointer, "wrong-type", "must be an object, not %s",
            json_type_word(json_type(item)));
    } else if (json_is(into, JSON_OBJECT)) {
        move_members(merge, file, key, item, into);
    }
}

static void merge_file(struct merge *merge, const struct conf_file_text *file, struct json *root)
{
    struct json *next = NULL;
    if (!json_is(root, JSON_OBJECT)) {
        add(merge->errors, file, SLICE_NONE, "wrong-type", "must be an object, not %s",
            json_type_word(json_type(root)));
        return;
    }
    for (struct json *item = json_child(root); item != NULL; item = next) {
        next = json_sibling(item);
        merge_key(merge, file, root, item);
    }
}

static void note_main(struct merge *merge, const struct conf_file_text *file)
{
    for (struct json *item = json_is(merge->tree, JSON_OBJECT) ? json_child(merge->tree) : NULL;
         item != NULL; item = json_sibling(item)) {
        if (json_is(item, JSON_OBJECT) && !is_for_main(json_key(item))) {
            move_members(merge, file, json_key(item), item, item);
        }
    }
}

static struct json *parse(const struct conf_file_text *file, struct conf_errors *errors)
{
    struct json_error error;
    struct json *json = json_parse(file->text, JSON_COMMENTS, &json_limits_document, &error);
    if (json == NULL) {
        conf_errors_add_syntax(errors, &error);
        conf_errors_name_file(errors, file->path);
    }
    return json;
}

struct json *conf_files_merge(struct conf_files *set, struct conf_errors *errors)
{
    struct merge merge = {.set = set, .errors = errors};
    bool ok = true;
    buf_init(&merge.pointer, POINTER_BYTES_MAX);
    for (uint32_t i = 0; i < set->count; i++) {
        struct json *root = parse(&set->files[i], errors);
        ok = ok && root != NULL;
        if (!ok) { /* the others are only looked at for more that is no JSON */
            json_free(root);
        } else if (i == 0) {
            merge.tree = root;
            if (set->count > 1) {
                note_main(&merge, &set->files[0]);
            }
        } else {
            if (json_is(merge.tree, JSON_OBJECT)) {
                merge_file(&merge, &set->files[i], root);
            }
            json_free(root);
        }
    }
    buf_fini(&merge.pointer);
    if (!ok) {
        json_free(merge.tree);
        return NULL;
    }
    return merge.tree;
}

/* -- back to the files -- */

/* The part of a pointer that names a member of the root's maps, "/pools/shop", or less when there
 * is no more. */
static struct slice first_tokens(struct slice pointer, uint32_t count)
{
    size_t len = 0;
    while (count > 0 && len < pointer.len) {
        len++;
        while (len < pointer.len && pointer.ptr[len] != '/') {
            len++;
        }
        count--;
    }
    return slice_of(pointer.ptr, len);
}

static const struct conf_file_text *find_origin(const struct conf_files *set, struct slice pointer)
{
    const struct conf_file_text *file = map_get(&set->origins, first_tokens(pointer, 2));
    if (file == NULL) {
        file = map_get(&set->origins, first_tokens(pointer, 1));
    }
    return file != NULL ? file : &set->files[0];
}

static void name_files(const struct conf_files *set, struct arena *arena,
                       struct conf_error *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].file.len == 0) {
            entries[i].file = arena_copy(arena, find_origin(set, entries[i].pointer)->path);
        }
    }
}

void conf_files_locate(const struct conf_files *set, struct conf_errors *errors)
{
    name_files(set, &errors->arena, errors->errors, errors->error_count);
    name_files(set, &errors->arena, errors->warnings, errors->warning_count);
    for (uint32_t i = 0; i < set->count; i++) {
        conf_errors_locate_file(errors, set->files[i].path, set->files[i].text);
    }
}
