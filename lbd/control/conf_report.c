#include "lbd/control/conf_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/json/json_write.h"
#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"
#include "lbd/control/conf_file.h"

enum { LINE_SHOWN_MAX = 160 };

/* -- the source line -- */

/* Line `number` of a file; the caller frees it. NULL: it is not there. */
static char *read_line(struct slice path, uint32_t number, size_t *len)
{
    char *name = mem_slicedup(path);
    FILE *file = fopen(name, "re");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t got = -1;
    free(name);
    if (file == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < number; i++) {
        got = getline(&line, &capacity, file);
        if (got < 0) {
            break;
        }
    }
    (void)fclose(file);
    if (got < 0) {
        free(line);
        return NULL;
    }
    *len = strcspn(line, "\r\n");
    return line;
}

/* Bytes before the character in this column (from 1). */
static size_t offset_of(const char *line, size_t len, uint32_t column)
{
    size_t at = 0;
    for (uint32_t i = 1; i < column && at < len; i++) {
        at++;
        while (at < len && ((unsigned char)line[at] & 0xC0U) == 0x80U) {
            at++;
        }
    }
    return at;
}

/* What a terminal might obey is shown as '?'; a tab stays, above and below. */
static void append_shown(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        (void)buf_append_char(out, (c < 0x20 && c != '\t') || c == 0x7F ? '?' : text[i]);
    }
}

static void append_source(const struct conf_error *error, const char *path, struct buf *out)
{
    size_t len = 0;
    bool is_secret = slice_starts(error->pointer, SLICE("/certificates/")) &&
                     slice_ends(error->pointer, SLICE("/key"));
    if (error->line == 0 || is_secret) { /* terminals are recorded and shared */
        return;
    }
    char *line =
        read_line(error->file.len != 0 ? error->file : slice_from(path), error->line, &len);
    if (line == NULL || utf8_first_invalid(slice_of(line, len)) != SIZE_MAX) {
        free(line);
        return;
    }
    size_t at = offset_of(line, len, error->column);
    size_t from = at > LINE_SHOWN_MAX / 2 ? at - LINE_SHOWN_MAX / 2 : 0;
    while (from < at && ((unsigned char)line[from] & 0xC0U) == 0x80U) {
        from++;
    }
    size_t shown = len - from < LINE_SHOWN_MAX ? len - from : LINE_SHOWN_MAX;
    while (shown > 0 && from + shown < len &&
           ((unsigned char)line[from + shown] & 0xC0U) == 0x80U) {
        shown--;
    }
    (void)buf_printf(out, "%5u | ", error->line);
    append_shown(out, line + from, shown);
    (void)buf_append_text(out, "\n      | ");
    for (size_t i = from; i < at; i++) {
        if (((unsigned char)line[i] & 0xC0U) != 0x80U) {
            (void)buf_append_char(out, line[i] == '\t' ? '\t' : ' ');
        }
    }
    (void)buf_append_text(out, "^\n");
    free(line);
}

static void append_list(const struct conf_error *list, uint32_t count, bool is_warning,
                        const char *path, bool with_source, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        conf_file_describe(&list[i], is_warning, path, out);
        (void)buf_append_char(out, '\n');
        if (with_source) {
            append_source(&list[i], path, out);
        }
    }
}

void conf_report_text(const struct conf_errors *errors, const char *path, bool with_source,
                      struct buf *out)
{
    append_list(errors->errors, errors->error_count, false, path, with_source, out);
    append_list(errors->warnings, errors->warning_count, true, path, with_source, out);
}

/* -- for programs -- */

static void write_list(const char *key, const struct conf_error *list, uint32_t count,
                       const char *path, struct json_write *w)
{
    struct buf pointer;
    buf_init(&pointer, 4096);
    json_write_key(w, key);
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_error *error = &list[i];
        buf_clear(&pointer);
        (void)buf_printf(&pointer, "#%.*s", SLICE_ARG(error->pointer));
        json_write_object_begin(w);
        json_write_member_string(w, "file", error->file.len != 0 ? error->file : slice_from(path));
        if (error->line != 0) {
            json_write_member_u64(w, "line", error->line);
            json_write_member_u64(w, "column", error->column);
        }
        json_write_member_string(w, "pointer", buf_slice(&pointer));
        json_write_member_string(w, "code", error->code);
        json_write_member_string(w, "detail", error->detail);
        if (error->suggestion.len != 0) {
            json_write_member_string(w, "suggestion", error->suggestion);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    buf_fini(&pointer);
}

void conf_report_json(const struct conf_errors *errors, const char *path, const char *failure,
                      struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_object_begin(&w);
    json_write_member_text(&w, "file", path);
    json_write_member_bool(&w, "valid", failure == NULL);
    if (failure != NULL) {
        json_write_member_text(&w, "detail", failure);
    }
    write_list("errors", errors->errors, errors->error_count, path, &w);
    write_list("warnings", errors->warnings, errors->warning_count, path, &w);
    json_write_member_bool(&w, "truncated", errors->truncated);
    json_write_object_end(&w);
    (void)buf_append_char(out, '\n');
}
