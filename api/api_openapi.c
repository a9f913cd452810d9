#include "api/api_openapi.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_describe.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "conf/conf_schema.h"
#include "lbd_version.h"

enum {
    TEXT_MAX = 4096,                 /* bytes of one description or path */
    DOCUMENT_MAX = 16 * 1024 * 1024, /* bytes */
    SCHEMAS_MAX = 256,               /* documents of api_schemas.def */
};

static const char description[] =
    "The REST API of lbd, on a unix socket and, when configured, on TCP.\n\n"
    "A change is accepted whole or refused whole, with all its errors; it is saved before it takes "
    "effect, and 200 means that every worker runs it. Collections are objects by name. Durations "
    "and sizes are strings with a unit; unknown members and unknown query parameters are errors. "
    "GET shows what was set, and `defaults=true` also what was not. Every GET can be asked as HEAD."
    "\n\nRequests whose head libmicrohttpd itself refuses (malformed, too long) are answered 400, "
    "414 or 431 with a page in HTML, the only answers that are not described here.";

/* -- types, see api_describe.h -- */

/* Takes what stands before the next '|' that is not inside brackets. */
static bool next_alternative(struct slice *rest, struct slice *part)
{
    size_t depth = 0;
    size_t i = 0;
    if (rest->len == 0) {
        return false;
    }
    for (; i < rest->len && (depth > 0 || rest->ptr[i] != '|'); i++) {
        depth += rest->ptr[i] == '[' || rest->ptr[i] == '{' ? 1 : 0;
        depth -= rest->ptr[i] == ']' || rest->ptr[i] == '}' ? 1 : 0;
    }
    *part = slice_of(rest->ptr, i);
    *rest = i < rest->len ? slice_from_at(*rest, i + 1) : SLICE_NONE;
    return true;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* "Pool", but not "PUT". */
static bool is_document(struct slice type)
{
    return type.len > 1 && type.ptr[0] >= 'A' && type.ptr[0] <= 'Z' && is_lower(type.ptr[1]);
}

static const struct simple {
    const char *word;
    const char *type;    /* NULL: anything */
    const char *keyword; /* that says more, or NULL */
    const char *value;   /* JSON */
} simples[] = {
    {"string", "string", NULL, NULL},
    {"integer", "integer", "minimum", "0"},
    {"signed", "integer", NULL, NULL},
    {"number", "number", NULL, NULL},
    {"boolean", "boolean", NULL, NULL},
    {"null", "null", NULL, NULL},
    {"object", "object", NULL, NULL},
    {"any", NULL, NULL, NULL},
    {"time", "string", "format", "\"date-time\""},
    {"name", "string", "pattern", "\"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$\""},
    {"duration", "string", "pattern", "\"^(0|([0-9]+(ms|s|m|h|d))+)$\""},
};

static const struct simple *find_simple(struct slice word)
{
    for (size_t i = 0; i < ARRAY_LEN(simples); i++) {
        if (slice_eq(slice_from(simples[i].word), word)) {
            return &simples[i];
        }
    }
    return NULL;
}

static bool is_word(struct slice type)
{
    return type.ptr[0] != '[' && type.ptr[0] != '{' && !is_document(type) &&
           find_simple(type) == NULL;
}

static void write_type(struct json_write *w, struct slice type);

static void write_reference(struct json_write *w, const char *kind, struct slice name)
{
    char place[128];
    (void)snprintf(place, sizeof place, "#/components/%s/%.*s", kind, SLICE_ARG(name));
    json_write_member_text(w, "$ref", place);
}

static void write_one_type(struct json_write *w, struct slice type)
{
    const struct simple *simple = find_simple(type);
    if (type.ptr[0] == '[' || type.ptr[0] == '{') {
        bool is_list = type.ptr[0] == '[';
        json_write_member_text(w, "type", is_list ? "array" : "object");
        json_write_key(w, is_list ? "items" : "additionalProperties");
        json_write_object_begin(w);
        write_type(w, slice_of(type.ptr + 1, type.len - 2));
        json_write_object_end(w);
    } else if (is_document(type)) {
        write_reference(w, "schemas", type);
    } else if (simple != NULL) {
        if (simple->type != NULL) {
            json_write_member_text(w, "type", simple->type);
        }
        if (simple->keyword != NULL) {
            json_write_key(w, simple->keyword);
            json_write_raw(w, slice_from(simple->value));
        }
    }
}

static void write_words(struct json_write *w, struct slice type)
{
    struct slice part;
    json_write_member_text(w, "type", "string");
    json_write_key(w, "enum");
    json_write_array_begin(w);
    while (next_alternative(&type, &part)) {
        json_write_string(w, part);
    }
    json_write_array_end(w);
}

/* As members of an open object. */
static void write_type(struct json_write *w, struct slice type)
{
    struct slice rest = type;
    struct slice part;
    (void)next_alternative(&rest, &part);
    if (is_word(part)) {
        write_words(w, type);
    } else if (rest.len == 0) {
        write_one_type(w, type);
    } else {
        json_write_key(w, "anyOf");
        json_write_array_begin(w);
        do {
            json_write_object_begin(w);
            write_one_type(w, part);
            json_write_object_end(w);
        } while (next_alternative(&rest, &part));
        json_write_array_end(w);
    }
}

static void write_schema_of(struct json_write *w, struct slice type)
{
    json_write_key(w, "schema");
    json_write_object_begin(w);
    write_type(w, type);
    json_write_object_end(w);
}

/* -- documents -- */

static bool is_optional(const struct api_member *member)
{
    return member->key[strlen(member->key) - 1] == '?';
}

static struct slice member_key(const struct api_member *member)
{
    return slice_of(member->key, strlen(member->key) - (is_optional(member) ? 1 : 0));
}

static void write_required(struct json_write *w, const struct api_schema *schema)
{
    bool any = false;
    for (const struct api_member *member = schema->members; member->key != NULL; member++) {
        if (!is_optional(member)) {
            if (!any) {
                json_write_key(w, "required");
                json_write_array_begin(w);
                any = true;
            }
            json_write_string(w, member_key(member));
        }
    }
    if (any) {
        json_write_array_end(w);
    }
}

static void write_document(struct json_write *w, const struct api_schema *schema)
{
    json_write_key(w, schema->name);
    json_write_object_begin(w);
    json_write_member_text(w, "type", "object");
    json_write_member_text(w, "description", schema->doc);
    write_required(w, schema);
    if (schema->members[0].key != NULL) {
        json_write_key(w, "properties");
        json_write_object_begin(w);
        for (const struct api_member *member = schema->members; member->key != NULL; member++) {
            json_write_key_slice(w, member_key(member));
            json_write_object_begin(w);
            json_write_member_text(w, "description", member->doc);
            write_type(w, slice_from(member->type));
            json_write_object_end(w);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

/* The documents that something refers to. */
struct used {
    const struct api_schema *schemas[SCHEMAS_MAX];
    size_t count;
};

static void use_types(struct used *used, const char *text);

static void use_document(struct used *used, struct slice name)
{
    const struct api_schema *schema = api_describe_schema(name);
    for (size_t i = 0; schema != NULL && i < used->count; i++) {
        if (used->schemas[i] == schema) {
            return;
        }
    }
    if (schema != NULL && used->count < SCHEMAS_MAX) {
        used->schemas[used->count++] = schema;
        for (const struct api_member *member = schema->members; member->key != NULL; member++) {
            use_types(used, member->type);
        }
    }
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static void use_types(struct used *used, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t len = 0;
        while (is_letter(text[len])) {
            len++;
        }
        if (is_document(slice_of(text, len))) {
            use_document(used, slice_of(text, len));
        }
        text += len > 0 ? len : 1;
    }
}

static void write_schemas(struct json_write *w)
{
    struct used used = {.count = 0};
    use_document(&used, SLICE("Problem"));
    for (size_t i = 0; i < api_table_count(); i++) {
        for (size_t method = 0; method < API_METHODS; method++) {
            const struct api_row *row = api_table_row(i);
            const struct api_operation *operation =
                api_describe_operation(row->pattern, (enum api_method)method);
            if (row->handlers[method] != NULL && operation != NULL) {
                use_types(&used, operation->request);
                use_types(&used, operation->answers);
            }
        }
    }
    json_write_key(w, "schemas");
    json_write_object_begin(w);
    conf_schema_write_definitions(w, conf_schema_document, "#/components/schemas/");
    for (size_t i = 0; api_describe_schema_at(i) != NULL; i++) { /* in the order of the table */
        for (size_t u = 0; u < used.count; u++) {
            if (used.schemas[u] == api_describe_schema_at(i)) {
                write_document(w, used.schemas[u]);
            }
        }
    }
    json_write_object_end(w);
}

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
        write_schema_of(w, slice_from(headers[i].type));
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
        write_schema_of(w, SLICE("string"));
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
            write_reference(w, "headers", slice_from(name));
            json_write_object_end(w);
        }
    }
}

static void refer_to_request_header(struct json_write *w, const char *name)
{
    json_write_object_begin(w);
    write_reference(w, "parameters", slice_from(name));
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
    write_schema_of(w, slice_from(type));
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

static void write_request(struct json_write *w, const struct api_operation *operation)
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
    write_schema_of(w, slice_from(operation->request));
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
            write_schema_of(w, type);
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
            write_reference(w, "responses", slice_from(word));
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
    write_request(w, operation);
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
    write_schema_of(w, SLICE("Problem"));
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
    write_schemas(&w);
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
