#include "api/api_batch.h"

#include <stdlib.h>

#include "api/api_change.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "conf/json/json.h"
#include "lbd/base/arena.h"
#include "lbd/base/mem.h"

#define OPERATION_MAX (16U * 1024U * 1024U)
#define LARGE_BYTES   (256U * 1024U) /* some milliseconds of reading */

/* A batch on its way. */
struct batch {
    struct api_request *request;
    struct arena arena; /* of pointers, paths and bodies */
    struct control_operation *operations;
    struct slice *paths;
    uint32_t count;
    struct control_change change;
    struct control_work work;
    const char *problem; /* NULL: it can be read */
    uint32_t blamed;     /* from 1; 0: none */
    char place[64];
    char why[256];
};

static void batch_free(struct batch *batch)
{
    arena_fini(&batch->arena);
    free(batch->operations);
    free(batch->paths);
    free(batch);
}

/* -- what is asked -- */

/* Only noted: the answer is made on the loop. */
static bool refuse(struct batch *batch, uint32_t index, const char *key, const char *why)
{
    batch->problem = "invalid-body";
    batch->blamed = index + 1;
    (void)snprintf(batch->place, sizeof(batch->place), "/%u%s%s", index, key[0] != '\0' ? "/" : "",
                   key);
    (void)snprintf(batch->why, sizeof(batch->why), "%s", why);
    return false;
}

static void reply_refusal(struct batch *batch)
{
    struct conf_errors *errors = NULL;
    struct api_problem_more more = {.operation = batch->blamed};
    if (batch->blamed != 0) {
        errors = mem_zero(1, sizeof(*errors));
        conf_errors_init(errors);
        errors->operation = batch->blamed;
        conf_errors_add_at(errors, slice_from(batch->place), "invalid-operation", SLICE_NONE, "%s",
                           batch->why);
        more.errors = errors;
    }
    api_problem_more(batch->request, batch->problem, batch->why, &more);
    if (errors != NULL) {
        conf_errors_fini(errors);
        free(errors);
    }
}

static bool read_method(struct batch *batch, uint32_t index, const struct json *item,
                        enum api_method *method)
{
    struct slice word = json_string(json_get(item, SLICE("method")));
    struct conf_operation *edit = &batch->operations[index].edit;
    if (slice_eq(word, SLICE("PUT"))) {
        *method = API_PUT;
        edit->edit = CONF_EDIT_PUT;
    } else if (slice_eq(word, SLICE("PATCH"))) {
        *method = API_PATCH;
        edit->edit = CONF_EDIT_MERGE;
    } else if (slice_eq(word, SLICE("DELETE"))) {
        *method = API_DELETE;
        edit->edit = CONF_EDIT_DELETE;
    } else {
        return refuse(batch, index, "method", "must be \"PUT\", \"PATCH\" or \"DELETE\"");
    }
    return true;
}

/* The path of a resource of the configuration, as in a URL; its pointer. */
static bool read_path(struct batch *batch, uint32_t index, const struct json *item,
                      enum api_method method)
{
    struct slice path = json_string(json_get(item, SLICE("path")));
    struct api_request look = {.path = path};
    const struct api_row *row = path.len != 0 ? api_table_find(&look) : NULL;
    struct buf pointer;
    if (row == NULL || row->pointer == NULL || row->handlers[method] == NULL) {
        free(look.unescaped);
        return refuse(batch, index, "path",
                      "must be the path of a resource of the configuration that has this method");
    }
    buf_init(&pointer, 1024);
    api_table_write_pointer(row, look.names, &pointer);
    batch->paths[index] = arena_copy(&batch->arena, path);
    batch->operations[index].edit.pointer = arena_copy(&batch->arena, buf_slice(&pointer));
    buf_fini(&pointer);
    free(look.unescaped);
    return true;
}

static bool read_tag(struct batch *batch, uint32_t index, const struct json *item, const char *key,
                     struct slice *out)
{
    const struct json *tag = json_get(item, slice_from(key));
    if (tag != NULL && !json_is(tag, JSON_STRING)) {
        return refuse(batch, index, key, "must be a string, as the header of that name");
    }
    if (tag != NULL && slice_trim(json_string(tag)).len == 0) {
        return refuse(batch, index, key, "must name a tag, or be \"*\"");
    }
    *out = arena_copy(&batch->arena, json_string(tag));
    return true;
}

static bool read_body(struct batch *batch, uint32_t index, const struct json *item)
{
    const struct json *body = json_get(item, SLICE("body"));
    struct conf_operation *edit = &batch->operations[index].edit;
    if ((body != NULL) == (edit->edit == CONF_EDIT_DELETE)) {
        return refuse(batch, index, "body",
                      body != NULL ? "must not be there: DELETE has none"
                                   : "must be there: the resource, or the merge patch");
    }
    if (body != NULL) {
        struct buf text;
        struct json_write w;
        buf_init(&text, OPERATION_MAX);
        json_write_init(&w, &text, JSON_COMPACT);
        json_write_json(&w, body);
        edit->body = arena_copy(&batch->arena, buf_slice(&text));
        buf_fini(&text);
    }
    return true;
}

static bool keys_are_known(struct batch *batch, uint32_t index, const struct json *item)
{
    static const char *const known[] = {"method",        "path",    "if_match",
                                        "if_none_match", "missing", "body"};
    const struct json *member = NULL;
    json_for_each(member, item)
    {
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            found = found || slice_eq(json_key(member), slice_from(known[i]));
        }
        if (!found) {
            return refuse(batch, index, "",
                          "has a member that is not known: method, path, "
                          "if_match, if_none_match, missing, body");
        }
    }
    return true;
}

static bool read_missing(struct batch *batch, uint32_t index, const struct json *item)
{
    const struct json *missing = json_get(item, SLICE("missing"));
    struct conf_operation *edit = &batch->operations[index].edit;
    if (missing != NULL &&
        (edit->edit != CONF_EDIT_DELETE || !slice_eq(json_string(missing), SLICE("ok")))) {
        return refuse(batch, index, "missing", "must be \"ok\", and only with DELETE");
    }
    edit->missing_is_fine = missing != NULL;
    return true;
}

static bool read_one(struct batch *batch, uint32_t index, const struct json *item)
{
    struct control_operation *operation = &batch->operations[index];
    enum api_method method = API_GET;
    if (!json_is(item, JSON_OBJECT)) {
        return refuse(batch, index, "", "must be an object: an operation");
    }
    return keys_are_known(batch, index, item) && read_method(batch, index, item, &method) &&
           read_path(batch, index, item, method) &&
           read_tag(batch, index, item, "if_match", &operation->if_match) &&
           read_tag(batch, index, item, "if_none_match", &operation->if_none_match) &&
           read_missing(batch, index, item) && read_body(batch, index, item);
}

/* Also beside the loop: touches nothing but the batch and the body. */
static bool read_all(struct batch *batch)
{
    struct json_error why;
    uint32_t index = 0;
    const struct json *item = NULL;
    struct json *json = json_parse(batch->request->body, JSON_STRICT, &json_limits_document, &why);
    if (json == NULL) {
        batch->problem = why.too_large ? "too-large" : "malformed-json";
        (void)snprintf(batch->why, sizeof(batch->why), "line %u, column %u: %s", why.line,
                       why.column, why.text);
        return false;
    }
    uint32_t count = json_is(json, JSON_ARRAY) ? json_count(json) : 0;
    bool ok = count >= 1 && count <= API_BATCH_MAX;
    if (!ok) {
        batch->problem = "invalid-body";
        (void)snprintf(batch->why, sizeof(batch->why),
                       "the body must be an array of 1 to %u operations", (unsigned)API_BATCH_MAX);
        count = 0;
    }
    batch->operations = mem_zero(count + 1, sizeof(*batch->operations));
    batch->paths = mem_zero(count + 1, sizeof(*batch->paths));
    batch->count = count;
    for (item = json_first(json); ok && item != NULL; item = json_next(item)) {
        ok = read_one(batch, index++, item);
    }
    json_free(json);
    return ok;
}

/* -- what is answered -- */

static unsigned status_of(const struct control_result *result, const struct conf_operation *edit)
{
    if (edit->edit == CONF_EDIT_DELETE) {
        return 204;
    }
    return conf_document_has(result->before, edit->pointer) ? 200 : 201;
}

static void reply(struct batch *batch, const struct control_result *result)
{
    struct api_request *request = batch->request;
    struct json_write w;
    char tag[CONTROL_ETAG_MAX];
    char quoted[CONTROL_ETAG_MAX + 2];
    struct slice told = SLICE_NONE; /* whose tag that is: that of a large pool is dear */
    bool has_tag = false;
    (void)control_etag(result->document, SLICE_NONE, request->reply.etag);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "revision", result->revision);
    json_write_member_bool(&w, "changed", result->is_changed);
    json_write_key(&w, "results");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct conf_operation *edit = &batch->operations[i].edit;
        json_write_object_begin(&w);
        json_write_member_u64(&w, "status", status_of(result, edit));
        json_write_member_string(&w, "path", batch->paths[i]);
        bool may_have_tag = edit->edit != CONF_EDIT_DELETE;
        if (may_have_tag && (told.ptr == NULL || !slice_eq(told, edit->pointer))) {
            told = edit->pointer;
            has_tag = control_etag(result->document, edit->pointer, tag);
        }
        if (may_have_tag && has_tag) {
            (void)snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
            json_write_member_text(&w, "etag", quoted);
        }
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, result->is_pending ? 202 : 200);
}

static void on_applied(const struct control_result *result, void *arg)
{
    struct batch *batch = arg;
    struct api_request *request = batch->request;
    api_change_head(request, result);
    if (result->err.kind != ERR_NONE) {
        struct slice pointer = SLICE_NONE;
        if (result->operation != 0) {
            pointer = batch->operations[result->operation - 1].edit.pointer;
        }
        api_change_fail(request, result, pointer);
    } else if (result->is_dry_run) {
        api_change_dry_run(request, result, false, SLICE_NONE);
    } else {
        reply(batch, result);
    }
    batch_free(batch);
    api_request_done(request);
}

static void on_read(struct control_work *work)
{
    struct batch *batch = container_of(work, struct batch, work);
    struct api_request *request = batch->request;
    if (batch->problem != NULL) {
        reply_refusal(batch);
        batch_free(batch);
        api_request_done(request);
        return;
    }
    batch->change.operations = batch->operations;
    batch->change.operation_count = batch->count;
    control_apply(request->control, &batch->change, on_applied, batch);
}

static void read_beside(struct control_work *work)
{
    (void)read_all(container_of(work, struct batch, work)); /* batch->problem tells */
}

void api_batch_post(struct api_request *request)
{
    struct batch *batch = mem_zero(1, sizeof(*batch));
    batch->request = request;
    batch->change.kind = CONTROL_BATCH;
    arena_init(&batch->arena, NULL, 0);
    if (!api_change_begin(request, &batch->change)) {
        batch_free(batch);
    } else if (request->body.len >= LARGE_BYTES) {
        batch->work.work = read_beside;
        batch->work.done = on_read;
        control_work(request->control, &batch->work);
    } else {
        read_beside(&batch->work);
        on_read(&batch->work);
    }
}
