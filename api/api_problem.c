#include "api/api_problem.h"

#include <stdarg.h>
#include <stdio.h>

static const struct api_problem_type problems[] = {
    {"malformed-request", 400, "The request is malformed",
     "The framing or the form of the HTTP request is not acceptable. The connection is closed."},
    {"malformed-json", 400, "The body is not JSON",
     "Bodies are strict JSON: no comments, no trailing commas, no duplicate keys, depth at most 32."},
    {"unknown-parameter", 400, "A query parameter or its value is not known here",
     "Unknown or repeated query parameters are errors, so that a typo in dry_run never applies a "
     "change. Flags are true or false."},
    {"unauthenticated", 401, "It is not known who asks",
     "Over TCP a bearer token (Authorization: Bearer lbd_...) or a certificate is needed, and the "
     "token must be known and not have expired."},
    {"forbidden", 403, "Not allowed",
     "Who asks has no role that allows this (GET /v1/whoami shows it), or the request comes from a "
     "web page (Origin, Sec-Fetch-Mode: no-cors) or names a host that is none of ours (daemon.api.hosts)."},
    {"not-found", 404, "There is no such resource", "The path or a name in it does not exist."},
    {"method-not-allowed", 405, "The resource does not have this method",
     "The header Allow lists the methods that it has."},
    {"in-use", 409, "Something refers to it",
     "A resource is deleted after what refers to it; the errors list the referrers."},
    {"not-drained", 409, "It takes new users",
     "Users are moved off a server that takes no new ones: set its admin state to drain or maint first."},
    {"managed-by-file", 409, "The configuration is managed by a file",
     "daemon.config_source is \"file\": edit the file and send SIGHUP. Admin states may still be "
     "set."},
    {"managed-by-api", 409, "The configuration is managed by the API",
     "daemon.config_source is \"api\": the file was only the seed. Apply it with PUT /v1/config."},
    {"owned-by-other", 409, "It belongs to somebody else",
     "Names in the body are taken by resources with another meta.managed_by, or with none; the "
     "errors list them. With force=true they change hands."},
    {"rolled-back", 409, "Your last change was taken back",
     "A change of this owner was not confirmed, or was rejected. Until somebody confirms the "
     "revision that took it back (POST /v1/revisions/{n}/confirm), this owner may not apply."},
    {"not-unconfirmed", 409, "It does not wait to be confirmed",
     "Only the revision that GET /v1/config/status names as unconfirmed can be confirmed or "
     "rejected."},
    {"idempotency-running", 409, "The same request is under way",
     "A request with this Idempotency-Key has not been answered yet. Try again."},
    {"cannot-listen", 409, "An address cannot be listened on",
     "Another process has it, it is not on this machine, or the kernel does not permit it."},
    {"events-gone", 410, "Events from there on are not held any more",
     "The last 4096 events are held, and sequence numbers of another life of the process are of no "
     "use. Read the state again; the header Lbd-Event-Sequence says from where to follow it."},
    {"precondition-failed", 412, "It is not what you think it is",
     "If-Match or If-None-Match did not hold: somebody changed the resource. Read it again; the "
     "header ETag has its current tag."},
    {"too-large", 413, "The body is too large",
     "Whole documents have at most 16 MiB, other bodies at most 1 MiB."},
    {"unsupported-media-type", 415, "The body has the wrong media type",
     "PUT takes application/json, PATCH takes application/merge-patch+json (RFC 7396)."},
    {"invalid-config", 422, "The configuration is not valid",
     "The document that would result is not valid; all its errors are listed. Nothing was "
     "changed."},
    {"invalid-body", 422, "The body is not what this resource takes",
     "The body is JSON, but a member is missing, unknown or has a value that is not allowed."},
    {"idempotency-mismatch", 422, "The Idempotency-Key was used for something else",
     "Another request came with the same key. A key belongs to one request and its repetitions."},
    {"precondition-required", 428, "A precondition is needed",
     "daemon.api.require_preconditions is set: every change of the configuration says with If-Match "
     "what it was made from, or with If-None-Match: * that it creates. In a batch each operation "
     "does."},
    {"rate-limited", 429, "Too many requests",
     "Writes of one identity and failures to authenticate from one source are limited "
     "(daemon.api.limits). The header Retry-After says when to come again, in seconds."},
    {"too-many-watchers", 429, "Too many watch already",
     "At most 64 may watch and 64 wait for events at the same time."},
    {"internal", 500, "lbd failed", "A system call failed; the log has the details."},
    {"unavailable", 503, "Not now", "lbd is starting, stopping, or too busy. Try again."},
    {"storage", 507, "It could not be saved",
     "Changes are saved before they take effect. The state directory took no more; nothing was "
     "changed."},
};

static const struct api_problem_type *find(struct slice type)
{
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        if (slice_eq(type, slice_from(problems[i].type))) {
            return &problems[i];
        }
    }
    return NULL;
}

const struct api_problem_type *api_problem_type_at(size_t index)
{
    return index < ARRAY_LEN(problems) ? &problems[index] : NULL;
}

const char *api_problem_of(enum err_kind kind)
{
    switch (kind) {
    case ERR_INVALID:
        return "invalid-config";
    case ERR_MALFORMED:
        return "malformed-json";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_CONFLICT:
        return "in-use";
    case ERR_PRECONDITION:
        return "precondition-failed";
    case ERR_TOO_LARGE:
        return "too-large";
    case ERR_DENIED:
        return "forbidden";
    case ERR_UNAVAILABLE:
        return "unavailable";
    case ERR_STORAGE:
        return "storage";
    case ERR_NONE:
    case ERR_SYSTEM:
        break;
    }
    return "internal";
}

static void write_entry(struct json_write *w, const struct conf_error *error)
{
    char pointer[512];
    (void)snprintf(pointer, sizeof(pointer), "#%.*s", SLICE_ARG(error->pointer));
    json_write_object_begin(w);
    json_write_member_text(w, "pointer", pointer);
    json_write_member_string(w, "code", error->code);
    json_write_member_string(w, "detail", error->detail);
    if (error->suggestion.len != 0) {
        json_write_member_string(w, "suggestion", error->suggestion);
    }
    if (error->file.len != 0) {
        json_write_member_string(w, "file", error->file);
    }
    if (error->line != 0) {
        json_write_member_u64(w, "line", error->line);
        json_write_member_u64(w, "column", error->column);
    }
    if (error->operation != 0) {
        json_write_member_u64(w, "operation", error->operation - 1);
    }
    json_write_object_end(w);
}

static void write_list(struct json_write *w, const char *key, const struct conf_error *list,
                       uint32_t count)
{
    if (count == 0) {
        return;
    }
    json_write_key(w, key);
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        write_entry(w, &list[i]);
    }
    json_write_array_end(w);
}

void api_problem_write_errors(struct json_write *w, const struct conf_errors *errors)
{
    write_list(w, "errors", errors->errors, errors->error_count);
}

void api_problem_write_warnings(struct json_write *w, const struct conf_errors *errors)
{
    write_list(w, "warnings", errors->warnings, errors->warning_count);
}

void api_problem_more(struct api_request *request, const char *type, const char *detail,
                      const struct api_problem_more *more)
{
    const struct api_problem_type *problem = find(slice_from(type));
    struct api_reply *reply = &request->reply;
    struct json_write w;
    char place[96];
    assert(problem != NULL);

    buf_clear(&reply->body);
    json_write_init(&w, &reply->body, JSON_PRETTY);
    json_write_object_begin(&w);
    (void)snprintf(place, sizeof(place), "/v1/problems/%s", problem->type);
    json_write_member_text(&w, "type", place);
    json_write_member_text(&w, "title", problem->title);
    json_write_member_u64(&w, "status", problem->status);
    json_write_member_text(&w, "detail", detail);
    (void)snprintf(place, sizeof(place), "urn:lbd:api-request:%s", request->id);
    json_write_member_text(&w, "instance", place);
    json_write_member_u64(&w, "revision", control_facts(request->control)->revision);
    if (more->operation != 0) {
        json_write_member_u64(&w, "operation", more->operation - 1);
    }
    if (more->errors != NULL) {
        api_problem_write_errors(&w, more->errors);
        api_problem_write_warnings(&w, more->errors);
        if (more->errors->truncated) {
            json_write_member_bool(&w, "truncated", true);
        }
    }
    if (more->current.len != 0) {
        json_write_key(&w, "current");
        json_write_raw(&w, more->current);
    }
    json_write_object_end(&w);
    (void)buf_append_char(&reply->body, '\n');
    reply->status = problem->status;
    reply->content_type = "application/problem+json";
}

void api_problem_with(struct api_request *request, const char *type, const char *detail,
                      const struct conf_errors *errors)
{
    const struct api_problem_more more = {.errors = errors};
    api_problem_more(request, type, detail, &more);
}

void api_problem(struct api_request *request, const char *type, const char *fmt, ...)
{
    char detail[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    api_problem_with(request, type, detail, NULL);
}

void api_problem_explain(struct api_request *request)
{
    const struct api_problem_type *problem = find(request->names[0]);
    if (problem == NULL) {
        api_problem(request, "not-found", "there is no problem type '%.*s'",
                    SLICE_ARG(request->names[0]));
    } else {
        struct json_write w;
        char type[96];
        (void)snprintf(type, sizeof(type), "/v1/problems/%s", problem->type);
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_text(&w, "type", type);
        json_write_member_text(&w, "title", problem->title);
        json_write_member_u64(&w, "status", problem->status);
        json_write_member_text(&w, "detail", problem->explanation);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}
