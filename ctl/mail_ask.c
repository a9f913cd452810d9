#include "ctl/mail_ask.h"

#include <string.h>

#include "ctl/refusal.h"
#include "ctl/when.h"

void mail_ask_path(struct buf *path, const char *collection, const char *name, const char *verb)
{
    buf_init(path, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(path, "/v1/mail");
    rest_client_append_segment(path, slice_from(collection));
    if (name != NULL) {
        rest_client_append_segment(path, slice_from(name));
    }
    if (verb != NULL) {
        rest_client_append_segment(path, slice_from(verb));
    }
}

struct json *mail_ask(struct ctl *ctl, const char *method, const char *path, const char *type,
                      struct slice body, enum ctl_exit *code)
{
    struct rest_reply reply;
    struct json *answer = NULL;
    const char *of_body = body.len != 0 ? "application/json" : NULL;
    const struct rest_request request = {
        .method = method,
        .target = path,
        .content_type = type != NULL ? type : of_body,
        .body = body,
    };
    rest_reply_init(&reply);
    if (ctl_ask(ctl, &request, &reply, code)) {
        if (reply.status >= 300) {
            *code = refusal_print(ctl, &reply, NULL);
        } else {
            answer = ctl_body(&reply);
            answer = answer != NULL ? answer : json_new_null();
        }
    }
    rest_reply_fini(&reply);
    return answer;
}

static void print_table_of(struct ctl *ctl, const struct json *entries,
                           const struct mail_list *list)
{
    struct print_table table;
    const struct json *entry = NULL;
    print_table_init(&table);
    for (const char *const *title = list->titles; *title != NULL; title++) {
        print_table_column(&table, *title);
    }
    json_for_each(entry, entries)
    {
        list->row(&table, entry);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

void mail_ask_print(struct ctl *ctl, const struct json *answer, const struct mail_list *list)
{
    const struct json *entries = json_get(answer, slice_from(list->key));
    const struct json *entry = NULL;
    switch (ctl->output) {
    case CTL_JSON:
        ctl_print_json(ctl, answer);
        return;
    case CTL_JSONL:
        json_for_each(entry, entries)
        {
            ctl_print_json(ctl, entry);
        }
        return;
    case CTL_NAME:
        json_for_each(entry, entries)
        {
            print_text(ctl->out, ctl_text(entry, list->name));
            (void)fputc('\n', ctl->out);
        }
        return;
    case CTL_TABLE:
    case CTL_WIDE:
        break;
    }
    print_table_of(ctl, entries, list);
}

void mail_ask_say(struct ctl *ctl, const char *fmt, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text, CTL_TEXT_MAX);
    va_start(args, fmt);
    (void)buf_vprintf(&text, fmt, args);
    va_end(args);
    print_text(ctl->out, buf_slice(&text));
    buf_fini(&text);
}

void mail_ask_text(struct print_table *table, const struct json *entry, const char *path)
{
    print_table_cell(table, PRINT_PLAIN, ctl_text(entry, path));
}

void mail_ask_number(struct print_table *table, const struct json *entry, const char *path)
{
    print_table_cellf(table, PRINT_PLAIN, "%llu", (unsigned long long)ctl_number(entry, path));
}

void mail_ask_span(struct print_table *table, const struct json *entry, const char *path_ms)
{
    char span[WHEN_TEXT_MAX] = "";
    if (ctl_member(entry, path_ms) != NULL) {
        when_write_span(span, ctl_number(entry, path_ms) / 1000);
    }
    print_table_cell(table, PRINT_PLAIN, slice_from(span));
}

void mail_ask_moment(struct print_table *table, const struct json *entry, const char *path)
{
    char moment[WHEN_TEXT_MAX] = "";
    struct slice text = ctl_text(entry, path);
    if (text.len != 0) {
        when_write_text(moment, text);
    }
    print_table_cell(table, PRINT_PLAIN, slice_from(moment));
}
