#include "api/api_resource.h"

#include "api/api_change.h"
#include "api/api_document.h"
#include "api/api_problem.h"
#include "api/api_table.h"

#define TEXT_MAX (64U * 1024U * 1024U)

static void write_pointer(const struct api_request *request, struct buf *out)
{
    api_table_write_pointer(request->row, request->names, out);
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
    /* What must be given again under its key is kept, so it is made at once. */
    if (!with_defaults && request->idempotency == NULL &&
        api_document_is_large(document, pointer)) {
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

static void on_applied(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    struct api_reply *reply = &request->reply;
    struct buf pointer;

    buf_init(&pointer, 1024);
    write_pointer(request, &pointer);
    api_change_head(request, result);
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, buf_slice(&pointer));
    } else if (result->is_dry_run) {
        api_change_dry_run(request, result, true, buf_slice(&pointer));
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

static void apply(struct api_request *request, enum control_change_kind kind, enum conf_edit edit)
{
    struct buf pointer;
    buf_init(&pointer, 1024);
    write_pointer(request, &pointer);
    struct control_change change = {
        .kind = kind, .edit = edit, .pointer = buf_slice(&pointer), .body = request->body};
    if (api_change_begin(request, &change)) {
        change.kind = change.owner.len != 0 ? CONTROL_OWNER : kind;
        control_apply(request->control, &change, on_applied, request);
    }
    buf_fini(&pointer);
}

void api_resource_put(struct api_request *request)
{
    apply(request, CONTROL_EDIT, CONF_EDIT_PUT);
}

void api_resource_patch(struct api_request *request)
{
    apply(request, CONTROL_EDIT, CONF_EDIT_MERGE);
}

void api_resource_delete(struct api_request *request)
{
    apply(request, CONTROL_EDIT, CONF_EDIT_DELETE);
}

void api_resource_put_endpoints(struct api_request *request)
{
    apply(request, CONTROL_ENDPOINTS, CONF_EDIT_PUT);
}
