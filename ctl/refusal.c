#include "ctl/refusal.h"

#include <string.h>

#include "conf/json/json_locate.h"
#include "ctl/print_table.h"
#include "ctl/shell_word.h"

/* "#/pools/a" as a URI fragment, or "/pools/a" */
static struct slice pointer_of(const struct json *error)
{
    struct slice pointer = ctl_text(error, "pointer");
    return slice_starts(pointer, SLICE("#")) ? slice_from_at(pointer, 1) : pointer;
}

static struct refusal_entry entry_of(const struct json *error, bool has_source)
{
    struct refusal_entry entry = {.pointer = pointer_of(error),
                                  .detail = ctl_text(error, "detail"),
                                  .suggestion = ctl_text(error, "suggestion")};
    if (entry.detail.len == 0) {
        entry.detail = ctl_text(error, "message");
    }
    entry.file = has_source ? SLICE_NONE : ctl_text(error, "file");
    if (entry.file.len != 0) { /* places in what we sent say nothing to who did not write it */
        entry.line = (uint32_t)ctl_number(error, "line");
        entry.column = (uint32_t)ctl_number(error, "column");
    }
    return entry;
}

/* The part of a pointer into the document that leads into the source. */
static struct slice inside(struct slice pointer, const struct refusal_source *source)
{
    return slice_starts(pointer, source->root) ? slice_from_at(pointer, source->root.len)
                                               : SLICE_NONE;
}

uint32_t refusal_read(const struct json *list, const struct refusal_source *source,
                      struct refusal_entry entries[REFUSAL_ENTRIES_MAX])
{
    struct json_place places[REFUSAL_ENTRIES_MAX];
    uint32_t count = 0;
    const struct json *error;
    static_assert((int)REFUSAL_ENTRIES_MAX <= JSON_LOCATE_MAX, "all are found in one walk");
    json_for_each(error, list)
    {
        if (count == REFUSAL_ENTRIES_MAX) {
            break;
        }
        entries[count] = entry_of(error, source != NULL);
        places[count] = (struct json_place){
            .pointer = source != NULL ? inside(entries[count].pointer, source) : SLICE_NONE,
            .want_key = slice_eq(ctl_text(error, "code"), SLICE("unknown-key"))};
        count++;
    }
    if (source != NULL && source->name != NULL && count != 0) {
        json_locate_all(source->text, places, count);
        for (uint32_t i = 0; i < count; i++) {
            entries[i].line = places[i].line;
            entries[i].column = places[i].column;
        }
    }
    return count;
}

void refusal_append(struct buf *text, const struct refusal_entry *entry)
{
    buf_append_slice(text, entry->detail);
    if (entry->suggestion.len != 0) {
        buf_printf(text, "; did you mean '%.*s'?", SLICE_ARG(entry->suggestion));
    }
}

/* The name of the file that an entry is about; empty: none. */
static struct slice file_of(const struct refusal_entry *entry, const struct refusal_source *source)
{
    return source != NULL && source->name != NULL ? slice_from(source->name) : entry->file;
}

static void print_entry(struct ctl *ctl, const struct refusal_entry *entry, const char *kind,
                        struct slice file)
{
    struct buf text;
    buf_init(&text, CTL_TEXT_MAX);
    (void)fputs("  ", ctl->err);
    if (file.len != 0) {
        print_text(ctl->err, file);
        (void)fputc(':', ctl->err);
    }
    if (entry->line != 0) {
        (void)fprintf(ctl->err, "%u:%u:", entry->line, entry->column);
    }
    if (file.len != 0 || entry->line != 0) {
        (void)fputc(' ', ctl->err);
    }
    (void)fputs(kind, ctl->err);
    if (entry->pointer.len != 0) {
        buf_append_slice(&text, entry->pointer);
        buf_append_text(&text, ": ");
    }
    refusal_append(&text, entry);
    print_text(ctl->err, buf_slice(&text));
    (void)fputc('\n', ctl->err);
    buf_fini(&text);
}

/* Is it the same place, or one inside it? */
static bool is_within(struct slice pointer, struct slice place)
{
    return slice_starts(pointer, place) &&
           (pointer.len == place.len || place.len == 0 || pointer.ptr[place.len] == '/');
}

/* Is it about what was changed, what holds it or what it holds? */
static bool is_about(struct slice pointer, const struct refusal_source *source)
{
    return source == NULL || is_within(pointer, source->root) || is_within(source->root, pointer);
}

static void print_errors(struct ctl *ctl, const struct json *list,
                         const struct refusal_source *source)
{
    struct refusal_entry entries[REFUSAL_ENTRIES_MAX];
    uint32_t count = refusal_read(list, source, entries);
    for (uint32_t i = 0; i < count; i++) {
        print_entry(ctl, &entries[i], "", file_of(&entries[i], source));
    }
    if (json_count(list) > count) {
        (void)fprintf(ctl->err, "  ... and %u more\n", json_count(list) - count);
    }
}

void refusal_print_warnings(struct ctl *ctl, const struct json *answer,
                            const struct refusal_source *source, uint32_t most)
{
    struct refusal_entry entries[REFUSAL_ENTRIES_MAX];
    const struct json *list = json_get(answer, SLICE("warnings"));
    uint32_t count = refusal_read(list, source, entries);
    uint32_t left = json_count(list) - count;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_about(entries[i].pointer, source)) {
            continue;
        }
        if (shown == most) {
            left++;
            continue;
        }
        print_entry(ctl, &entries[i], "warning: ", file_of(&entries[i], source));
        shown++;
    }
    if (left != 0) {
        (void)fprintf(ctl->err, "  ... and %u more %s\n", left,
                      ctl_plural(left, "warning", "warnings"));
    }
}

/* What the schema says about the place of the first error. */
static void hint_at_schema(struct ctl *ctl, const struct json *errors)
{
    const struct json *first = json_first(errors);
    struct slice code = ctl_text(first, "code");
    struct slice pointer = pointer_of(first);
    struct buf path;
    if (slice_eq(code, SLICE("unknown-key"))) { /* what is known there? */
        while (pointer.len != 0 && pointer.ptr[pointer.len - 1] != '/') {
            pointer.len--;
        }
        pointer.len -= pointer.len != 0 ? 1 : 0;
    } else if (slice_eq(code, SLICE("unknown-reference"))) {
        return;
    }
    if (pointer.len > 1 && memchr(pointer.ptr, '\'', pointer.len) == NULL) {
        buf_init(&path, CTL_PATH_MAX);
        shell_word_append(&path, slice_from_at(pointer, 1));
        if (!path.overflow) {
            ctl_hint(ctl, "lbctl explain %s", path.data);
        }
        buf_fini(&path);
    }
}

/* The status without a document, for those that lbd's HTTP library answers by itself. */
static enum ctl_exit print_bare(struct ctl *ctl, const struct rest_reply *reply)
{
    enum ctl_exit code = ctl_exit_of(reply->status);
    return ctl_fail(ctl, code == CTL_OK ? CTL_BUG : code, "lbd answered %u", reply->status);
}

static bool is_about_config(struct slice type)
{
    return type.len == 0 || slice_ends(type, SLICE("/invalid-config"));
}

/* Does the only error say the same again, with its place? */
static bool is_told_by_error(const struct json *errors, struct slice detail)
{
    struct buf text;
    struct refusal_entry entry = entry_of(json_first(errors), true);
    buf_init(&text, CTL_TEXT_MAX);
    refusal_append(&text, &entry);
    bool is_told = json_count(errors) == 1 && slice_eq(buf_slice(&text), detail);
    buf_fini(&text);
    return is_told;
}

/* What is wrong in one line. A detail is a sentence of its own; the title says the kind of problem
 * where the detail only counts, or where the error below says the same. */
static void print_headline(struct ctl *ctl, const struct json *problem, uint32_t status)
{
    struct slice type = ctl_text(problem, "type");
    struct slice title = ctl_text(problem, "title");
    struct slice detail = ctl_text(problem, "detail");
    bool needs_title = is_about_config(type) || detail.len == 0;
    if (title.len != 0 && is_told_by_error(json_get(problem, SLICE("errors")), detail)) {
        needs_title = true;
        detail = SLICE_NONE;
    }
    if (needs_title && title.len == 0) {
        (void)fprintf(ctl->err, "lbd answered %u ", status);
    } else if (needs_title) {
        print_text(ctl->err, title);
        (void)fputs(detail.len != 0 ? ": " : "", ctl->err);
    }
    print_text(ctl->err, detail);
    (void)fputc('\n', ctl->err);
}

enum ctl_exit refusal_print(struct ctl *ctl, const struct rest_reply *reply,
                            const struct refusal_source *source)
{
    struct json *problem = ctl_body(reply);
    if (!json_is(problem, JSON_OBJECT) || reply->status < 400) {
        json_free(problem);
        return print_bare(ctl, reply);
    }
    enum ctl_exit code = ctl_exit_of(reply->status);
    const struct json *errors = json_get(problem, SLICE("errors"));

    (void)fputs("lbctl: ", ctl->err);
    if (source != NULL && source->name != NULL) {
        (void)fprintf(ctl->err, "%s: ", source->verdict != NULL ? source->verdict : "not applied");
        print_text(ctl->err, slice_from(source->name));
        (void)fputs(": ", ctl->err);
    }
    print_headline(ctl, problem, reply->status);
    print_errors(ctl, errors, source);
    refusal_print_warnings(ctl, problem, source, REFUSAL_WARNINGS_SHOWN);
    if (json_bool(json_get(problem, SLICE("truncated")))) {
        (void)fputs("  ... and more\n", ctl->err);
    }
    if (code == CTL_INVALID && is_about_config(ctl_text(problem, "type"))) {
        hint_at_schema(ctl, errors);
    }
    json_free(problem);
    return code;
}
