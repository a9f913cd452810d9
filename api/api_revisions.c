#include "api/api_revisions.h"

#include "api/api_change.h"
#include "api/api_document.h"
#include "api/api_problem.h"
#include "lbd/base/num.h"

#define TEXT_MAX (64U * 1024U * 1024U)

/* The number in the path. False: the reply says that there is no such revision. */
static bool number_of(struct api_request *request, uint64_t *number)
{
    if (num_parse_u64(request->names[0], number)) {
        return true;
    }
    api_problem(request, "not-found", "'%.*s' is not the number of a revision",
                SLICE_ARG(request->names[0]));
    api_request_done(request);
    return false;
}

/* NULL: the reply says so. */
static const struct conf_revision *find(struct api_request *request)
{
    uint64_t number = 0;
    if (!number_of(request, &number)) {
        return NULL;
    }
    control_revisions_hash(request->control);
    const struct conf_revision *revision = control_revision(request->control, number);
    if (revision == NULL) {
        api_problem(request, "not-found", "revision %llu is not kept", (unsigned long long)number);
        api_request_done(request);
    }
    return revision;
}

static void write_revision(const struct api_request *request, const struct conf_revision *revision,
                           struct json_write *w)
{
    json_write_object_begin(w);
    json_write_member_u64(w, "revision", revision->number);
    api_request_write_time(w, "time", revision->time_us);
    json_write_member_text(w, "who", revision->who);
    json_write_member_text(w, "via", revision->via);
    json_write_member_text(w, "summary", revision->summary);
    json_write_member_u64(w, "changes_total", revision->changes_total);
    json_write_member_text(w, "hash", revision->hash);
    json_write_member_u64(w, "bytes", revision->bytes);
    json_write_member_bool(w, "confirmed", revision->is_confirmed);
    json_write_member_bool(w, "current",
                           revision->number == control_facts(request->control)->revision);
    if (revision->rolled_back_to != 0) {
        json_write_member_u64(w, "rolled_back_to", revision->rolled_back_to);
    }
    if (revision->base != 0 && !revision->is_confirmed) {
        json_write_member_u64(w, "base_revision", revision->base);
    }
    if (revision->reason[0] != '\0') {
        json_write_member_text(w, "reason", revision->reason);
    }
    if (revision->owner[0] != '\0') {
        json_write_member_text(w, "owner", revision->owner);
    }
    json_write_object_end(w);
}

void api_revisions_list(struct api_request *request)
{
    uint32_t count = 0;
    struct json_write w;
    control_revisions_hash(request->control);
    const struct conf_revision *revisions = control_revisions(request->control, &count);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "revisions");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < count; i++) {
        write_revision(request, &revisions[i], &w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_revisions_get(struct api_request *request)
{
    const struct conf_revision *revision = find(request);
    struct json_write w;
    if (revision != NULL) {
        api_request_json_begin(request, &w);
        write_revision(request, revision, &w);
        api_request_json_end(request, 200);
        api_request_done(request);
    }
}

static void on_read(const struct control_comparison *comparison, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    struct buf text;
    if (comparison->before == NULL) {
        api_problem(request, api_problem_of(comparison->err.kind), "%s", comparison->err.text);
    } else if (api_document_is_large(comparison->before, SLICE_NONE)) {
        request->reply.stream = api_document_stream(comparison->before, SLICE_NONE);
        request->reply.status = 200;
        request->reply.content_type = "application/json";
    } else {
        buf_init(&text, TEXT_MAX);
        api_request_json_begin(request, &w);
        if (conf_document_text(comparison->before, SLICE_NONE, &text)) {
            json_write_raw(&w, buf_slice(&text));
        }
        api_request_json_end(request, 200);
        buf_fini(&text);
    }
    api_request_done(request);
}

void api_revisions_config(struct api_request *request)
{
    const struct conf_revision *revision = find(request);
    if (revision != NULL) {
        control_compare(request->control, revision->number, revision->number, on_read, request);
    }
}

static void on_compared(const struct control_comparison *comparison, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    if (comparison->before == NULL || comparison->after == NULL) {
        api_problem(request, api_problem_of(comparison->err.kind), "%s", comparison->err.text);
    } else {
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "from", comparison->from);
        json_write_member_u64(&w, "to", comparison->to);
        api_change_write(&w, comparison->before, comparison->after);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

void api_revisions_diff(struct api_request *request)
{
    uint64_t from = 0;
    uint64_t to = control_facts(request->control)->revision;
    struct slice other = api_request_query(request, "to");
    if (!number_of(request, &from)) {
        return;
    }
    if (other.ptr != NULL && !num_parse_u64(other, &to)) {
        api_problem(request, "unknown-parameter", "'to' must be the number of a revision");
        api_request_done(request);
        return;
    }
    control_compare(request->control, from, to, on_compared, request);
}

/* -- the way back -- */

static void on_rolled_back(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    api_change_head(request, result);
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, SLICE_NONE);
    } else if (result->is_dry_run) {
        api_change_dry_run(request, result, false, SLICE_NONE);
    } else {
        (void)control_etag(result->document, SLICE_NONE, request->reply.etag);
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "revision", result->revision);
        json_write_member_u64(&w, "rolled_back_to", result->rolled_back_to);
        json_write_member_bool(&w, "changed", result->is_changed);
        api_change_write(&w, result->before, result->document);
        json_write_object_end(&w);
        api_request_json_end(request, result->is_pending ? 202 : 200);
    }
    api_request_done(request);
}

static void on_decided(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, SLICE_NONE);
        api_request_done(request);
        return;
    }
    if (result->rolled_back_to != 0) {
        api_change_head(request, result);
    } else { /* what runs is what a restart runs, from now on */
        request->reply.has_changed = true;
        request->reply.is_changed = true;
    }
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    if (result->rolled_back_to != 0) {
        json_write_member_u64(&w, "revision", result->revision);
        json_write_member_u64(&w, "rolled_back_to", result->rolled_back_to);
    } else {
        uint64_t number = 0;
        bool is_number = num_parse_u64(request->names[0], &number);
        assert(is_number); /* looked at by apply() */
        json_write_member_u64(&w, "revision", number);
        json_write_member_bool(&w, "confirmed", true);
    }
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

static void apply(struct api_request *request, enum control_change_kind kind,
                  void (*done)(const struct control_result *result, void *arg))
{
    struct control_change change = {.kind = kind};
    if (number_of(request, &change.revision) && api_change_begin(request, &change)) {
        change.needs_precondition = change.needs_precondition && kind == CONTROL_ROLLBACK;
        control_apply(request->control, &change, done, request);
    }
}

void api_revisions_rollback(struct api_request *request)
{
    apply(request, CONTROL_ROLLBACK, on_rolled_back);
}

void api_revisions_confirm(struct api_request *request)
{
    apply(request, CONTROL_CONFIRM, on_decided);
}

void api_revisions_reject(struct api_request *request)
{
    apply(request, CONTROL_REJECT, on_decided);
}
