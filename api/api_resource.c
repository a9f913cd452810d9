#include "api/api_resource.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_document.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "conf/conf_diff.h"

#define TEXT_MAX (64U * 1024U * 1024U)

/* The pointer of the row with the names of the path put in. Names need no escaping. */
static void write_pointer(const struct api_request *request, struct buf *out)
{
    uint32_t name = 0;
    for (const char *at = request->row->pointer; *at != '\0'; at++) {
        if (at[0] == '{' && at[1] == '}') {
            (void)buf_append_slice(out, request->names[name++]);
            at++;
        } else {
            (void)buf_append_char(out, *at);
        }
    }
}

/* The canonical text of a resource, laid out for people. False: there is none. */
static bool write_resource(const struct conf_document *document, struct slice pointer,
                           bool with_defaults, struct json_write *w)
{
    if (with_defaults) {
        return conf_document_write_effective(document, pointer, w);
    }
    struct buf text;
    buf_init(&text, TEXT_MAX);
    bool found = conf_document_text(document, pointer, &text);
    if (found) {
        json_write_raw(w, buf_slice(&text));
    }
    buf_fini(&text);
    return found;
}

/* The body of an answer that shows a resource; it exists. */
static void reply_resource(struct api_request *request, struct conf_document *document,
                           struct slice pointer, unsigned status)
{
    bool with_defaults = api_request_flag(request, "defaults");
    struct json_write w;
    if (!with_defaults && api_document_is_large(document, pointer)) {
        request->reply.stream = api_document_stream(document, pointer);
        request->reply.status = status;
        request->reply.content_type = "application/json";
        return;
    }
    api_request_json_begin(request, &w);
    (void)write_resource(document, pointer, with_defaults, &w);
    api_request_json_end(request, status);
}

void api_resource_get(struct api_request *request)
{
    struct conf_document *document = control_document(request->control);
    struct api_reply *reply = &request->reply;
    struct buf pointer;

    buf_init(&pointer, 1024);
    write_pointer(request, &pointer);
    if (!control_etag(document, buf_slice(&pointer), reply->etag)) {
        reply->etag[0] = '\0';
        api_problem(request, "not-found", "there is no %.*s", (int)pointer.len, pointer.data);
    } else if (request->if_none_match.len != 0 &&
               api_request_names_tag(request->if_none_match, reply->etag)) {
        reply->status = 304;
    } else {
        reply_resource(request, document, buf_slice(&pointer), 200);
    }
    buf_fini(&pointer);
    api_request_done(request);
}

/* -- changes -- */

static void write_change(struct json_write *w, const struct conf_change *change)
{
    static const char *const words[] = {
        [CONF_ADDED] = "added", [CONF_REMOVED] = "removed", [CONF_CHANGED] = "changed"};
    json_write_object_begin(w);
    json_write_member_text(w, "change", words[change->kind]);
    json_write_key(w, "pointer");
    struct buf pointer;
    buf_init(&pointer, 1024);
    (void)buf_printf(&pointer, "#%.*s", SLICE_ARG(change->pointer));
    json_write_string(w, buf_slice(&pointer));
    buf_fini(&pointer);
    if (change->before.len != 0) {
        json_write_key(w, "before");
        json_write_raw(w, change->before);
    }
    if (change->after.len != 0) {
        json_write_key(w, "after");
        json_write_raw(w, change->after);
    }
    json_write_object_end(w);
}

static void write_changes(struct json_write *w, const struct control_result *result)
{
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, result->before, result->document);
    json_write_key(w, "changes");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < diff.count; i++) {
        write_change(w, &diff.changes[i]);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "changes_total", diff.total);
    conf_diff_fini(&diff);
}

static void reply_dry_run(struct api_request *request, const struct control_result *result,
                          struct slice pointer)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    if (conf_document_has(result->document, pointer)) {
        json_write_key(&w, "resource");
        (void)write_resource(result->document, pointer, false, &w);
    }
    write_changes(&w, result);
    api_problem_write_warnings(&w, result->errors);
    json_write_object_end(&w);
    api_request_json_end(request, result->is_created ? 201 : 200);
}

static void reply_failure(struct api_request *request, const struct control_result *result,
                          struct slice pointer)
{
    struct buf detail;
    buf_init(&detail, 1024);
    if (result->err.kind == ERR_INVALID && result->errors->error_count != 0) {
        conf_errors_summary(result->errors, &detail);
        (void)buf_append_text(&detail, "; nothing was changed");
    } else {
        (void)buf_append_text(&detail, result->err.text);
    }
    char *text = buf_take(&detail, NULL);
    api_problem_with(request,
                     result->problem != NULL ? result->problem : api_problem_of(result->err.kind),
                     text, result->errors);
    free(text);
    if (result->err.kind == ERR_PRECONDITION &&
        !control_etag(control_document(request->control), pointer, request->reply.etag)) {
        request->reply.etag[0] = '\0';
    }
    buf_fini(&detail);
}

static void on_applied(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    struct api_reply *reply = &request->reply;
    struct buf pointer;

    buf_init(&pointer, 1024);
    write_pointer(request, &pointer);
    reply->has_changed = true;
    reply->is_changed = result->err.kind == ERR_NONE && result->is_changed && !result->is_dry_run;
    if (result->err.kind != ERR_NONE) {
        reply_failure(request, result, buf_slice(&pointer));
    } else if (result->is_dry_run) {
        reply_dry_run(request, result, buf_slice(&pointer));
    } else if (request->method == API_DELETE) {
        reply->status = result->is_pending ? 202 : 204;
    } else {
        (void)control_etag(result->document, buf_slice(&pointer), reply->etag);
        reply_resource(request, result->document, buf_slice(&pointer),
                       result->is_pending   ? 202
                       : result->is_created ? 201
                                            : 200);
    }
    buf_fini(&pointer);
    api_request_done(request);
}

static void apply(struct api_request *request, enum conf_edit edit)
{
    struct buf pointer;
    buf_init(&pointer, 1024);
    write_pointer(request, &pointer);
    const struct control_change change = {
        .edit = edit,
        .pointer = buf_slice(&pointer),
        .body = request->body,
        .if_match = request->if_match,
        .if_none_match = request->if_none_match,
        .is_dry_run = api_request_flag(request, "dry_run"),
        .missing_is_fine = api_request_query(request, "missing").len != 0,
        .who = slice_from(request->who),
    };
    control_apply(request->control, &change, on_applied, request);
    buf_fini(&pointer);
}

void api_resource_put(struct api_request *request)
{
    apply(request, CONF_EDIT_PUT);
}

void api_resource_patch(struct api_request *request)
{
    apply(request, CONF_EDIT_MERGE);
}

void api_resource_delete(struct api_request *request)
{
    apply(request, CONF_EDIT_DELETE);
}
