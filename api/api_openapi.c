#include "api/api_openapi.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_describe.h"
#include "api/api_problem.h"
#include "api/api_schema.h"
#include "api/api_table.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "lbd_version.h"

enum {
    TEXT_MAX = 4096,                 /* bytes of one description or path */
    DOCUMENT_MAX = 16 * 1024 * 1024, /* bytes */
};

static const char description[] =
    "The REST API of lbd, on a unix socket and, when configured, on TCP.\n\n"
    "A change is accepted whole or refused whole, with all its errors; it is saved before it takes "
    "effect, and 200 means that every worker runs it. Collections are objects by name. Durations "
    "and sizes are strings with a unit; unknown members and unknown query parameters are errors. "
    "GET shows what was set, and `defaults=true` also what was not. Every GET can be asked as HEAD."
    "\n\nRequests whose head libmicrohttpd itself refuses (malformed, too long) are answered 400, "
    "414 or 431 with a page in HTML, the only answers that are not described here.";

/* -- headers and parameters -- */

static const struct {
    const char *name; /* of the component */
    const char *header;
    const char *type;
    const char *doc;
} headers[] = {
    {"Revision", "Lbd-Revision", "integer", "The newest revision of the configuration."},
    {"RequestId", "Lbd-Request-Id", "string", "What the log calls this request."},
    {"Tag", "ETag", "string",
     "Of the resource, for If-Match and If-None-Match. The same content always has the same tag."},
    {"Changed", "Lbd-Changed", "true|false", "Whether anything is different now."},
    {"Warning", "Lbd-Warning", "string",
     "What is probably not meant, or was done to what somebody else manages."},
    {"ConfirmDeadline", "Lbd-Confirm-Deadline", "time",
     "When a change on trial is taken back (confirm_within)."},
    {"EventSequence", "Lbd-Event-Sequence", "integer",
     "The newest event: where to begin to watch after this was read."},
    {"RetryAfter", "Retry-After", "integer", "Seconds to wait before the next try."},
    {"Authenticate", "WWW-Authenticate", "string", "How to say who you are."},
};

static const struct {
    const char *name;
    const char *header;
    const char *doc;
} request_headers[] = {
    {"IfMatch", "If-Match", "Only when the resource still has this ETag; else 412."},
    {"IfNoneMatch", "If-None-Match",
     "GET: 304 when the resource still has this ETag. A change: `*` creates only; what is there "
     "is not replaced (412)."},
    {"IdempotencyKey", "Idempotency-Key",
     "1 to 255 visible characters. The same change with the same key is answered as the first "
     "time and not done again."},
    {"LastEventId", "Last-Event-ID", "Go on behind the event with this sequence number."},
};

static bool problem_has_status(unsigned status);

static void write_headers(struct json_write *w)
{
    json_write_key(w, "headers");
    json_write_object_begin(w);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if (strcmp(headers[i].name, "Authenticate") == 0 && !problem_has_status(401)) {
            continue;
        }
        json_write_key(w, headers[i].name);
        json_write_object_begin(w);
        json_write_member_text(w, "description", headers[i].doc);
        api_schema_write_member(w, slice_from(headers[i].type));
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void write_request_headers(struct json_write *w)
{
    json_write_key(w, "parameters");
    json_write_object_begin(w);
    for (size_t i = 0; i < ARRAY_LEN(request_headers); i++) {
        json_write_key(w, request_headers[i].name);
        json_write_object_begin(w);
        json_write_member_text(w, "name", request_headers[i].header);
        json_write_member_text(w, "in", "header");
        json_write_member_text(w, "description", request_headers[i].doc);
        api_schema_write_member(w, SLICE("string"));
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void refer_to_header(struct json_write *w, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if (strcmp(headers[i].name, name) == 0) {
            json_write_key(w, headers[i].header);
            json_write_object_begin(w);
            api_schema_write_reference(w, "headers", slice_from(name));
            json_write_object_end(w);
        }
    }
}

static void refer_to_request_header(struct json_write *w, const char *name)
{
    json_write_object_begin(w);
    api_schema_write_reference(w, "parameters", slice_from(name));
    json_write_object_end(w);
}

static void write_parameter(struct json_write *w, const char *place, const char *name,
                            const char *type, const char *doc, const char *example)
{
    json_write_object_begin(w);
    json_write_member_text(w, "name", name);
    json_write_member_text(w, "in", place);
    if (strcmp(place, "path") == 0) {
        json_write_member_bool(w, "required", true);
    }
    json_write_member_text(w, "description", doc);
    api_schema_write_member(w, slice_from(type));
    if (example != NULL) {
        bool is_bare = strcmp(type, "integer") == 0 || strcmp(type, "boolean") == 0;
        json_write_key(w, "example");
        if (is_bare) {
            json_write_raw(w, slice_from(example));
        } else {
            json_write_text(w, example);
        }
    }
    json_write_object_end(w);
}

/* -- paths -- */

/* "{}" or "{*}" at `at`: its length. */
static size_t hole(const char *at)
{
    return strncmp(at, "{}", 2) == 0 ? 2 : strncmp(at, "{*}", 3) == 0 ? 3 : 0;
}

/* What stands for the "{}" at `at`. */
static const struct api_path_name *name_at(const char *pattern, const char *at)
{
    const char *end = at > pattern ? at - 1 : at; /* the '/' before it */
    const char *begin = end;
    while (begin > pattern && begin[-1] != '/') {
        begin--;
    }
    return api_describe_path_name(slice_of(begin, (size_t)(end - begin)));
}

static void append_path(struct buf *out, const char *pattern)
{
    for (const char *at = pattern; *at != '\0';) {
        size_t len = hole(at);
        if (len != 0) {
            const struct api_path_name *name = name_at(pattern, at);
            (void)buf_printf(out, "{%s}", name != NULL ? name->name : "name");
            at += len;
        } else {
            (void)buf_append_char(out, *at++);
        }
    }
}

static bool has_names(const struct api_row *row)
{
    return strchr(row->pattern, '{') != NULL;
}

static void write_path_names(struct json_write *w, const struct api_row *row)
{
    if (!has_names(row)) {
        return;
    }
    json_write_key(w, "parameters");
    json_write_array_begin(w);
    for (const char *at = row->pattern; *at != '\0'; at++) {
        const struct api_path_name *name = hole(at) != 0 ? name_at(row->pattern, at) : NULL;
        if (name != NULL) {
            write_parameter(w, "path", name->name, name->type, name->doc, name->example);
        }
    }
    json_write_array_end(w);
}

static bool is_change(const struct api_row *row, enum api_method method)
{
    return method != API_GET && api_table_role(row, method) > API_ROLE_READ;
}

/* Does it change the document? */
static bool is_of_document(const struct api_row *row, enum api_method method)
{
    return is_change(row, method) && api_table_knows_query(row, method, SLICE("confirm_within"));
}

static bool is_stream(const struct api_operation *operation)
{
    return operation != NULL && operation->media != NULL &&
           strcmp(operation->media, "text/event-stream") == 0;
}

static void write_query(struct json_write *w, const struct api_row *row, enum api_method method)
{
    const char *words = method == API_GET ? row->query : row->changing_query;
    struct slice rest = slice_from(words != NULL ? words : "");
    struct slice word;
    json_write_key(w, "parameters");
    json_write_array_begin(w);
    while (rest.len != 0 && slice_split(&rest, ' ', &word)) {
        const struct api_parameter *parameter = api_describe_parameter(row->pattern, word);
        if (parameter != NULL) {
            write_parameter(w, "query", parameter->name, parameter->type, parameter->doc,
                            parameter->example);
        }
    }
    if (row->pointer != NULL) {
        if (method != API_GET) {
            refer_to_request_header(w, "IfMatch");
        }
        refer_to_request_header(w, "IfNoneMatch");
    }
    if (is_change(row, method)) {
        refer_to_request_header(w, "IdempotencyKey");
    }
    if (is_stream(api_describe_operation(row->pattern, method))) {
        refer_to_request_header(w, "LastEventId");
    }
    json_write_array_end(w);
}

/* The setting that a resource is: "/pools/{}/servers/{}" is "pools.servers". */
static const struct conf_field *setting_of(const char *pointer)
{
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    struct slice rest = slice_from(pointer);
    struct slice part;
    struct buf path;
    buf_init(&path, TEXT_MAX);
    while (rest.len != 0 && slice_split(&rest, '/', &part)) {
        if (part.len != 0 && part.ptr[0] != '{') {
            (void)buf_printf(&path, "%s%.*s", path.len != 0 ? "." : "", SLICE_ARG(part));
        }
    }
    bool found = path.len != 0 && conf_schema_lookup(buf_slice(&path), &object, &field);
    buf_fini(&path);
    return found ? field : NULL;
}

/* One body as people write it: that of the operation, or of the setting. */
static void write_example(struct json_write *w, const struct api_row *row,
                          const struct api_operation *operation)
{
    const struct conf_field *field = row->pointer != NULL ? setting_of(row->pointer) : NULL;
    if (operation->example != NULL) {
        json_write_key(w, "example");
        json_write_raw(w, slice_from(operation->example));
    } else if (field != NULL) {
        struct json *example = json_parse_trusted(slice_from(field->example));
        bool is_member = slice_ends(slice_from(row->pointer), SLICE("{}"));
        json_write_key(w, "example");
        json_write_json(w, is_member ? json_first(example) : example);
        json_free(example);
    }
}

static void write_request(struct json_write *w, const struct api_row *row,
                          const struct api_operation *operation)
{
    if (operation->request == NULL) {
        return;
    }
    json_write_key(w, "requestBody");
    json_write_object_begin(w);
    json_write_member_bool(w, "required", true);
    json_write_key(w, "content");
    json_write_object_begin(w);
    json_write_key(w, operation->method == API_PATCH ? "application/merge-patch+json"
                                                     : "application/json");
    json_write_object_begin(w);
    api_schema_write_member(w, slice_from(operation->request));
    write_example(w, row, operation);
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
}

static const char *meaning(struct slice status)
{
    static const char *const meanings[][2] = {
        {"200", "It was done."},
        {"201", "It was made."},
        {"202", "It is saved and on its way; a worker has not taken it over yet."},
        {"204", "It was done; there is nothing to show."},
        {"304", "It has not changed since."},
        {"503", "Not now; the body says why."},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        if (slice_eq(status, slice_from(meanings[i][0]))) {
            return meanings[i][1];
        }
    }
    return "See the body.";
}

/* "200 Pool|DryRun" */
static void write_answer(struct json_write *w, const struct api_row *row,
                         const struct api_operation *operation, struct slice answer)
{
    struct slice status;
    struct slice type = slice_trim(answer);
    (void)slice_split(&type, ' ', &status);
    json_write_key_slice(w, status);
    json_write_object_begin(w);
    json_write_member_text(w, "description", meaning(status));
    json_write_key(w, "headers");
    json_write_object_begin(w);
    refer_to_header(w, "Revision");
    refer_to_header(w, "RequestId");
    if (row->pointer != NULL && !slice_eq(status, SLICE("204"))) {
        refer_to_header(w, "Tag");
    }
    if (is_change(row, operation->method)) {
        refer_to_header(w, "Changed");
    }
    if (is_of_document(row, operation->method)) {
        refer_to_header(w, "Warning");
        refer_to_header(w, "ConfirmDeadline");
    }
    if (operation->method == API_GET && api_table_is_state(row)) {
        refer_to_header(w, "EventSequence");
    }
    json_write_object_end(w);
    if (type.len != 0) {
        struct slice media =
            slice_from(operation->media != NULL ? operation->media : "application/json");
        struct slice kind;
        json_write_key(w, "content");
        json_write_object_begin(w);
        while (media.len != 0 && slice_split(&media, ' ', &kind)) {
            json_write_key_slice(w, kind);
            json_write_object_begin(w);
            api_schema_write_member(w, type);
            json_write_object_end(w);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static bool has_status(const char *list, unsigned status)
{
    char word[8];
    (void)snprintf(word, sizeof word, "%u", status);
    return list != NULL && strstr(list, word) != NULL;
}

static bool may_fail_with(const struct api_row *row, const struct api_operation *operation,
                          unsigned status)
{
    switch (status) {
    case 400:
    case 401:
    case 403:
    case 429:
    case 500:
    case 503:
        return true;
    case 404:
        return has_names(row) || has_status(operation->failures, status);
    case 413:
    case 415:
    case 422:
        return operation->method != API_GET; /* what is deleted may be needed: 422 */
    case 409:
    case 412:
    case 428:
    case 507:
        return is_change(row, operation->method) || has_status(operation->failures, status);
    default:
        return has_status(operation->failures, status);
    }
}

static bool problem_has_status(unsigned status)
{
    const struct api_problem_type *problem = NULL;
    for (size_t i = 0; (problem = api_problem_type_at(i)) != NULL; i++) {
        if (problem->status == status) {
            return true;
        }
    }
    return false;
}

static void write_answers(struct json_write *w, const struct api_row *row,
                          const struct api_operation *operation)
{
    struct slice rest = slice_from(operation->answers);
    struct slice answer;
    json_write_key(w, "responses");
    json_write_object_begin(w);
    while (rest.len != 0 && slice_split(&rest, ';', &answer)) {
        write_answer(w, row, operation, answer);
    }
    for (unsigned status = 400; status < 600; status++) {
        char word[8];
        if (problem_has_status(status) && may_fail_with(row, operation, status) &&
            !has_status(operation->answers, status)) {
            (void)snprintf(word, sizeof word, "%u", status);
            json_write_key(w, word);
            json_write_object_begin(w);
            (void)snprintf(word, sizeof word, "P%u", status);
            api_schema_write_reference(w, "responses", slice_from(word));
            json_write_object_end(w);
        }
    }
    json_write_object_end(w);
}

static void write_operation(struct json_write *w, const struct api_row *row,
                            const struct api_operation *operation)
{
    static const char *const methods[API_METHODS] = {[API_GET] = "get",
                                                     [API_PUT] = "put",
                                                     [API_PATCH] = "patch",
                                                     [API_DELETE] = "delete",
                                                     [API_POST] = "post"};
    json_write_key(w, methods[operation->method]);
    json_write_object_begin(w);
    json_write_member_text(w, "operationId", operation->id);
    json_write_key(w, "tags");
    json_write_array_begin(w);
    json_write_text(w, operation->tag);
    json_write_array_end(w);
    json_write_member_text(w, "summary", operation->summary);
    json_write_member_text(w, "description",
                           operation->doc != NULL ? operation->doc : operation->summary);
    json_write_member_text(w, "x-lbd-role",
                           api_request_role_word(api_table_role(row, operation->method)));
    write_query(w, row, operation->method);
    write_request(w, row, operation);
    write_answers(w, row, operation);
    json_write_object_end(w);
}

static void write_paths(struct json_write *w)
{
    struct buf path;
    buf_init(&path, TEXT_MAX);
    json_write_key(w, "paths");
    json_write_object_begin(w);
    for (size_t i = 0; i < api_table_count(); i++) {
        const struct api_row *row = api_table_row(i);
        buf_clear(&path);
        append_path(&path, row->pattern);
        json_write_key_slice(w, buf_slice(&path));
        json_write_object_begin(w);
        write_path_names(w, row);
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct api_operation *operation =
                api_describe_operation(row->pattern, (enum api_method)method);
            if (row->handlers[method] != NULL && operation != NULL) {
                write_operation(w, row, operation);
            }
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
    buf_fini(&path);
}

/* -- problems -- */

static void write_problem_response(struct json_write *w, unsigned status)
{
    const struct api_problem_type *problem = NULL;
    struct buf text;
    char name[8];
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; (problem = api_problem_type_at(i)) != NULL; i++) {
        if (problem->status == status) {
            (void)buf_printf(&text, "%s`%s`: %s.", text.len != 0 ? "\n" : "", problem->type,
                             problem->title);
        }
    }
    (void)snprintf(name, sizeof name, "P%u", status);
    json_write_key(w, name);
    json_write_object_begin(w);
    json_write_member_string(w, "description", buf_slice(&text));
    json_write_key(w, "headers");
    json_write_object_begin(w);
    refer_to_header(w, "Revision");
    refer_to_header(w, "RequestId");
    if (status == 429 || status == 503) {
        refer_to_header(w, "RetryAfter");
    }
    if (status == 401) {
        refer_to_header(w, "Authenticate");
    }
    json_write_object_end(w);
    json_write_key(w, "content");
    json_write_object_begin(w);
    json_write_key(w, "application/problem+json");
    json_write_object_begin(w);
    api_schema_write_member(w, SLICE("Problem"));
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
    buf_fini(&text);
}

/* Some row answers with it: what nobody refers to is left out. */
static bool is_status_used(unsigned status)
{
    for (size_t i = 0; i < api_table_count(); i++) {
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct api_row *row = api_table_row(i);
            const struct api_operation *operation =
                api_describe_operation(row->pattern, (enum api_method)method);
            if (row->handlers[method] != NULL && operation != NULL &&
                may_fail_with(row, operation, status)) {
                return true;
            }
        }
    }
    return false;
}

static void write_responses(struct json_write *w)
{
    json_write_key(w, "responses");
    json_write_object_begin(w);
    for (unsigned status = 400; status < 600; status++) {
        if (problem_has_status(status) && is_status_used(status)) {
            write_problem_response(w, status);
        }
    }
    json_write_object_end(w);
}

/* -- the whole -- */

static void write_info(struct json_write *w)
{
    json_write_key(w, "info");
    json_write_object_begin(w);
    json_write_member_text(w, "title", "lbd");
    json_write_member_text(w, "version", LBD_VERSION);
    json_write_member_text(w, "description", description);
    json_write_key(w, "contact");
    json_write_object_begin(w);
    json_write_member_text(w, "name", "The lbd authors");
    json_write_object_end(w);
    json_write_key(w, "license");
    json_write_object_begin(w);
    json_write_member_text(w, "name", "BSD 2-Clause License");
    json_write_member_text(w, "identifier", "BSD-2-Clause");
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_key(w, "servers");
    json_write_array_begin(w);
    json_write_object_begin(w);
    json_write_member_text(w, "url", "http://lbd");
    json_write_member_text(
        w, "description", "The unix socket; any host will do: curl --unix-socket PATH http://lbd/");
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_tags(struct json_write *w)
{
    const struct api_tag *tag = NULL;
    json_write_key(w, "tags");
    json_write_array_begin(w);
    for (size_t i = 0; (tag = api_describe_tag_at(i)) != NULL; i++) {
        json_write_object_begin(w);
        json_write_member_text(w, "name", tag->name);
        json_write_member_text(w, "description", tag->doc);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_security(struct json_write *w)
{
    static const char *const schemes[] = {"bearer", "certificate"};
    json_write_key(w, "security");
    json_write_array_begin(w);
    json_write_object_begin(w); /* a unix socket: the kernel says who it is */
    json_write_object_end(w);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        json_write_object_begin(w);
        json_write_key(w, schemes[i]);
        json_write_array_begin(w);
        json_write_array_end(w);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_security_schemes(struct json_write *w)
{
    json_write_key(w, "securitySchemes");
    json_write_object_begin(w);
    json_write_key(w, "bearer");
    json_write_object_begin(w);
    json_write_member_text(w, "type", "http");
    json_write_member_text(w, "scheme", "bearer");
    json_write_member_text(w, "description",
                           "A token (`lbd_...`). x-lbd-role of an operation is what it takes.");
    json_write_object_end(w);
    json_write_key(w, "certificate");
    json_write_object_begin(w);
    json_write_member_text(w, "type", "mutualTLS");
    json_write_member_text(w, "description", "A client certificate whose name has a role.");
    json_write_object_end(w);
    json_write_object_end(w);
}

void api_openapi_write(struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_object_begin(&w);
    json_write_member_text(&w, "openapi", "3.1.0");
    write_info(&w);
    write_security(&w);
    write_tags(&w);
    write_paths(&w);
    json_write_key(&w, "components");
    json_write_object_begin(&w);
    api_schema_write_all(&w);
    write_responses(&w);
    write_request_headers(&w);
    write_headers(&w);
    write_security_schemes(&w);
    json_write_object_end(&w);
    json_write_object_end(&w);
    (void)buf_append_char(out, '\n');
}

void api_openapi_get(struct api_request *request)
{
    static struct buf text;
    if (text.data == NULL) {
        buf_init(&text, DOCUMENT_MAX);
        api_openapi_write(&text);
        assert(!text.overflow);
    }
    (void)buf_append_slice(&request->reply.body, buf_slice(&text));
    request->reply.status = 200;
    request->reply.content_type = "application/json";
    api_request_done(request);
}
