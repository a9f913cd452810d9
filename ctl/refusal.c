#include "ctl/refusal.h"

#include <string.h>

#include "conf/json/json_locate.h"
#include "ctl/print_table.h"

struct entry {
    struct slice pointer; /* "/pools/a"; empty: none */
    struct slice detail;
    struct slice suggestion;
    uint32_t line; /* 0: not known */
    uint32_t column;
};

/* "#/pools/a" as a URI fragment, or "/pools/a" */
static struct slice pointer_of(const struct json *error)
{
    struct slice pointer = ctl_text(error, "pointer");
    return slice_starts(pointer, SLICE("#")) ? slice_from_at(pointer, 1) : pointer;
}

static struct entry entry_of(const struct json *error, bool has_source)
{
    struct entry entry = {.pointer = pointer_of(error),
                          .detail = ctl_text(error, "detail"),
                          .suggestion = ctl_text(error, "suggestion")};
    if (entry.detail.len == 0) {
        entry.detail = ctl_text(error, "message");
    }
    if (!has_source) { /* places in what we sent say nothing about the file it came from */
        entry.line = (uint32_t)ctl_number(error, "line");
        entry.column = (uint32_t)ctl_number(error, "column");
    }
    return entry;
}

static void print_entry(struct ctl *ctl, const struct entry *entry, const char *kind,
                        const char *file)
{
    (void)fputs("  ", ctl->err);
    if (file != NULL) {
        print_text(ctl->err, slice_from(file));
        (void)fputc(':', ctl->err);
    }
    if (entry->line != 0) {
        (void)fprintf(ctl->err, "%u:%u:", entry->line, entry->column);
    }
    if (file != NULL || entry->line != 0) {
        (void)fputc(' ', ctl->err);
    }
    (void)fputs(kind, ctl->err);
    if (entry->pointer.len != 0) {
        print_text(ctl->err, entry->pointer);
        (void)fputs(": ", ctl->err);
    }
    print_text(ctl->err, entry->detail);
    if (entry->suggestion.len != 0) {
        (void)fputs("; did you mean '", ctl->err);
        print_text(ctl->err, entry->suggestion);
        (void)fputs("'?", ctl->err);
    }
    (void)fputc('\n', ctl->err);
}

static void print_entries(struct ctl *ctl, const struct json *list, const char *kind,
                          const struct refusal_source *source)
{
    struct entry entries[JSON_LOCATE_MAX];
    struct json_place places[JSON_LOCATE_MAX];
    uint32_t count = 0;
    const struct json *error;
    json_for_each(error, list)
    {
        if (count == JSON_LOCATE_MAX) {
            break;
        }
        entries[count] = entry_of(error, source != NULL);
        places[count] = (struct json_place){
            .pointer = entries[count].pointer,
            .want_key = slice_eq(ctl_text(error, "code"), SLICE("unknown-key"))};
        count++;
    }
    if (source != NULL && count != 0) {
        json_locate_all(source->text, places, count);
        for (uint32_t i = 0; i < count; i++) {
            entries[i].line = places[i].line;
            entries[i].column = places[i].column;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        print_entry(ctl, &entries[i], kind, source != NULL ? source->name : NULL);
    }
    if (json_count(list) > count) {
        (void)fprintf(ctl->err, "  ... and %u more\n", json_count(list) - count);
    }
}

/* The status without a document, for those that lbd's HTTP library answers by itself. */
static enum ctl_exit print_bare(struct ctl *ctl, const struct rest_reply *reply)
{
    enum ctl_exit code = ctl_exit_of(reply->status);
    return ctl_fail(ctl, code == CTL_OK ? CTL_BUG : code, "lbd answered %u", reply->status);
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
    struct slice title = ctl_text(problem, "title");
    struct slice detail = ctl_text(problem, "detail");
    const struct json *errors = json_get(problem, SLICE("errors"));

    (void)fputs("lbctl: ", ctl->err);
    if (source != NULL) {
        (void)fputs("not applied: ", ctl->err);
        print_text(ctl->err, slice_from(source->name));
        (void)fputs(": ", ctl->err);
    }
    print_text(ctl->err, title);
    if (title.len != 0 && detail.len != 0 && !slice_eq(title, detail)) {
        (void)fputs(": ", ctl->err);
        print_text(ctl->err, detail);
    } else if (title.len == 0) {
        (void)fprintf(ctl->err, "lbd answered %u ", reply->status);
        print_text(ctl->err, detail);
    }
    (void)fputc('\n', ctl->err);
    print_entries(ctl, errors, "", source);
    print_entries(ctl, json_get(problem, SLICE("warnings")), "warning: ", source);
    if (json_bool(json_get(problem, SLICE("truncated")))) {
        (void)fputs("  ... and more\n", ctl->err);
    }
    json_free(problem);
    return code;
}

void refusal_print_warnings(struct ctl *ctl, const struct json *answer,
                            const struct refusal_source *source)
{
    print_entries(ctl, json_get(answer, SLICE("warnings")), "warning: ", source);
}
