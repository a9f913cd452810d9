#include "conf/conf_errors.h"

#include <stdarg.h>

#include "conf/json/json_locate.h"
#include "conf/json/json_patch.h"

enum {
    POINTER_BYTES_MAX = 65536,
    PATH_DEPTH_MAX = 40, /* of JSON at most 32 */
};

void conf_errors_init(struct conf_errors *errors)
{
    arena_init(&errors->arena, NULL, 0);
    errors->error_count = 0;
    errors->warning_count = 0;
    errors->truncated = false;
    errors->operation = 0;
}

void conf_errors_fini(struct conf_errors *errors)
{
    arena_fini(&errors->arena);
}

void conf_errors_clear(struct conf_errors *errors)
{
    conf_errors_fini(errors);
    conf_errors_init(errors);
}

static bool is_full(const struct conf_errors *errors, bool is_error)
{
    return (is_error ? errors->error_count : errors->warning_count) == CONF_ERRORS_MAX;
}

bool conf_errors_full(const struct conf_errors *errors)
{
    return is_full(errors, true);
}

void conf_errors_pointer(const struct conf_path *path, struct buf *out)
{
    const struct conf_path *steps[PATH_DEPTH_MAX];
    size_t depth = 0;
    for (; path != NULL && path->parent != NULL && depth < PATH_DEPTH_MAX; path = path->parent) {
        steps[depth++] = path;
    }
    while (depth > 0) {
        const struct conf_path *step = steps[--depth];
        if (step->key.ptr != NULL) {
            json_patch_append_token(out, step->key);
        } else {
            (void)buf_printf(out, "/%u", step->index);
        }
    }
}

static bool has(const struct conf_errors *errors, const struct conf_path *path, bool below)
{
    struct buf pointer;
    bool found = false;
    buf_init(&pointer, POINTER_BYTES_MAX);
    if (errors->error_count > 0) {
        conf_errors_pointer(path, &pointer);
    }
    for (uint32_t i = 0; i < errors->error_count && !found; i++) {
        struct slice at = errors->errors[i].pointer;
        found = slice_eq(at, buf_slice(&pointer)) ||
                (below && slice_starts(at, buf_slice(&pointer)) && at.ptr[pointer.len] == '/');
    }
    buf_fini(&pointer);
    return found;
}

bool conf_errors_has(const struct conf_errors *errors, const struct conf_path *path)
{
    return has(errors, path, false);
}

bool conf_errors_has_below(const struct conf_errors *errors, const struct conf_path *path)
{
    return has(errors, path, true);
}

/* The place for one more entry, or NULL when the list is full. */
static struct conf_error *next_entry(struct conf_errors *errors, bool is_error)
{
    uint32_t *count = is_error ? &errors->error_count : &errors->warning_count;
    if (is_full(errors, is_error)) {
        errors->truncated = true;
        return NULL;
    }
    return is_error ? &errors->errors[(*count)++] : &errors->warnings[(*count)++];
}

static void add(struct conf_errors *errors, bool is_error, struct slice pointer, const char *code,
                struct slice suggestion, const char *fmt, va_list args) LB_PRINTF(6, 0);
static void add_by_path(struct conf_errors *errors, bool is_error, const struct conf_path *path,
                        const char *code, struct slice suggestion, const char *fmt, va_list args)
    LB_PRINTF(6, 0);

static void add(struct conf_errors *errors, bool is_error, struct slice pointer, const char *code,
                struct slice suggestion, const char *fmt, va_list args)
{
    struct conf_error *entry = next_entry(errors, is_error);
    if (entry == NULL) {
        return;
    }
    struct buf detail;
    buf_init(&detail, POINTER_BYTES_MAX);
    (void)buf_vprintf(&detail, fmt, args);
    *entry = (struct conf_error){
        .pointer = arena_copy(&errors->arena, pointer),
        .code = slice_from(code),
        .detail = arena_copy(&errors->arena, buf_slice(&detail)),
        .suggestion = arena_copy(&errors->arena, suggestion),
        .operation = errors->operation,
    };
    buf_fini(&detail);
}

static void add_by_path(struct conf_errors *errors, bool is_error, const struct conf_path *path,
                        const char *code, struct slice suggestion, const char *fmt, va_list args)
{
    struct buf pointer;
    buf_init(&pointer, POINTER_BYTES_MAX);
    if (!is_full(errors, is_error)) {
        conf_errors_pointer(path, &pointer);
    }
    add(errors, is_error, buf_slice(&pointer), code, suggestion, fmt, args);
    buf_fini(&pointer);
}

void conf_errors_add(struct conf_errors *errors, const struct conf_path *path, const char *code,
                     struct slice suggestion, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_by_path(errors, true, path, code, suggestion, fmt, args);
    va_end(args);
}

void conf_errors_warn(struct conf_errors *errors, const struct conf_path *path, const char *code,
                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_by_path(errors, false, path, code, SLICE_NONE, fmt, args);
    va_end(args);
}

void conf_errors_add_at(struct conf_errors *errors, struct slice pointer, const char *code,
                        struct slice suggestion, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(errors, true, pointer, code, suggestion, fmt, args);
    va_end(args);
}

void conf_errors_warn_at(struct conf_errors *errors, struct slice pointer, const char *code,
                         const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(errors, false, pointer, code, SLICE_NONE, fmt, args);
    va_end(args);
}

void conf_errors_add_syntax(struct conf_errors *errors, const struct json_error *error)
{
    conf_errors_add_at(errors, SLICE_NONE, error->too_large ? "too-large" : "syntax", SLICE_NONE,
                       "%s", error->text);
    if (!errors->truncated) {
        errors->errors[errors->error_count - 1].line = error->line;
        errors->errors[errors->error_count - 1].column = error->column;
    }
}

/* Is `pointer` `prefix` or below it? */
static bool is_below(struct slice pointer, struct slice prefix)
{
    return slice_starts(pointer, prefix) &&
           (pointer.len == prefix.len || pointer.ptr[prefix.len] == '/');
}

/* Is the key itself wrong, rather than its value? */
static bool is_about_key(struct slice code)
{
    return slice_eq(code, SLICE("unknown-key")) || slice_eq(code, SLICE("file-only")) ||
           slice_eq(code, SLICE("not-applicable")) || slice_eq(code, SLICE("invalid-name")) ||
           slice_eq(code, SLICE("main-file-only")) || slice_eq(code, SLICE("duplicate-name"));
}

/* `file`: only those that are in it; NULL: all. */
static void locate(struct conf_error *entries, uint32_t count, const struct slice *file,
                   struct slice text, struct slice prefix)
{
    static_assert(CONF_ERRORS_MAX <= JSON_LOCATE_MAX, "all entries fit into one walk");
    struct json_place places[CONF_ERRORS_MAX];
    uint32_t which[CONF_ERRORS_MAX];
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_error *entry = &entries[i];
        if (entry->line == 0 && is_below(entry->pointer, prefix) &&
            (file == NULL || slice_eq(*file, entry->file))) {
            places[found] = (struct json_place){
                .pointer = slice_from_at(entry->pointer, prefix.len),
                .want_key = is_about_key(entry->code),
            };
            which[found++] = i;
        }
    }
    if (found == 0) {
        return;
    }
    json_locate_all(text, places, found);
    for (uint32_t i = 0; i < found; i++) {
        entries[which[i]].line = places[i].line;
        entries[which[i]].column = places[i].column;
    }
}

void conf_errors_locate(struct conf_errors *errors, struct slice text, struct slice prefix)
{
    locate(errors->errors, errors->error_count, NULL, text, prefix);
    locate(errors->warnings, errors->warning_count, NULL, text, prefix);
}

static void name_file(struct conf_error *entries, uint32_t count, struct slice file)
{
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].file.len == 0) {
            entries[i].file = file;
        }
    }
}

void conf_errors_name_file(struct conf_errors *errors, struct slice file)
{
    struct slice copy = arena_copy(&errors->arena, file);
    name_file(errors->errors, errors->error_count, copy);
    name_file(errors->warnings, errors->warning_count, copy);
}

void conf_errors_locate_file(struct conf_errors *errors, struct slice file, struct slice text)
{
    locate(errors->errors, errors->error_count, &file, text, SLICE_NONE);
    locate(errors->warnings, errors->warning_count, &file, text, SLICE_NONE);
}

void conf_errors_describe(const struct conf_error *error, struct slice file, struct buf *out)
{
    if (file.len > 0) {
        (void)buf_printf(out, "%.*s:", SLICE_ARG(file));
    }
    if (error->line > 0) {
        (void)buf_printf(out, "%u:%u:", error->line, error->column);
    }
    if (file.len > 0 || error->line > 0) {
        (void)buf_append_char(out, ' ');
    }
    if (error->pointer.len > 0) {
        (void)buf_printf(out, "%.*s: ", SLICE_ARG(error->pointer));
    }
    (void)buf_append_slice(out, error->detail);
    if (error->suggestion.len > 0) {
        (void)buf_printf(out, "; did you mean '%.*s'?", SLICE_ARG(error->suggestion));
    }
}

static void append_count(struct buf *out, uint32_t count, const char *what)
{
    (void)buf_printf(out, "%u%s %s%s", count, count == CONF_ERRORS_MAX ? " or more" : "", what,
                     count == 1 ? "" : "s");
}

void conf_errors_summary(const struct conf_errors *errors, struct buf *out)
{
    append_count(out, errors->error_count, "error");
    if (errors->warning_count > 0) {
        (void)buf_append_text(out, ", ");
        append_count(out, errors->warning_count, "warning");
    }
}
