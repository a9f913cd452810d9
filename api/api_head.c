#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/api_credentials.h"
#include "api/api_inside.h"
#include "api/api_problem.h"
#include "lbd/base/num.h"

struct slice api_head_field(struct MHD_Connection *connection, const char *name)
{
    return slice_from(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

static bool is_flag(struct slice name)
{
    return slice_eq(name, SLICE("dry_run")) || slice_eq(name, SLICE("defaults")) ||
           slice_eq(name, SLICE("force"));
}

struct query_walk {
    struct api_request *request;
    bool is_bad;
};

static bool is_repeated(const struct api_request *request, const char *key)
{
    return api_request_query(request, key).ptr != NULL && strcmp(key, "name[]") != 0;
}

/* Not known, repeated, too many, or flags that are neither true nor false. */
static enum MHD_Result on_query(void *arg, enum MHD_ValueKind kind, const char *key,
                                const char *value)
{
    struct query_walk *walk = arg;
    struct api_request *request = walk->request;
    struct slice name = slice_from(key);
    struct slice given = slice_from(value != NULL ? value : "");
    (void)kind;

    bool is_missing = slice_eq(name, SLICE("missing"));
    if (!api_table_knows_query(request->row, request->method, name) ||
        (is_missing && request->method != API_DELETE)) {
        api_problem(request, "unknown-parameter", "the query parameter '%s=%.*s' is not known here",
                    key, SLICE_ARG(given));
        walk->is_bad = true;
    } else if (request->query_count == API_QUERY_MAX || is_repeated(request, key)) {
        api_problem(request, "unknown-parameter", "the query parameter '%s' is given %s", key,
                    is_repeated(request, key) ? "twice" : "too often");
        walk->is_bad = true;
    } else if (is_flag(name) && !slice_eq(given, SLICE("true")) &&
               !slice_eq(given, SLICE("false"))) {
        api_problem(request, "unknown-parameter", "'%s' must be true or false, not '%.*s'", key,
                    SLICE_ARG(given));
        walk->is_bad = true;
    } else if (is_missing && !slice_eq(given, SLICE("ok"))) {
        api_problem(request, "unknown-parameter", "'%s' must be ok, not '%.*s'", key,
                    SLICE_ARG(given));
        walk->is_bad = true;
    }
    if (walk->is_bad) {
        return MHD_NO;
    }
    request->query[request->query_count++] = (struct api_query){.name = name, .value = given};
    return MHD_YES;
}

static bool query_is_fine(struct call *call)
{
    struct query_walk walk = {.request = &call->request};
    (void)MHD_get_connection_values(call->connection, MHD_GET_ARGUMENT_KIND, on_query, &walk);
    return !walk.is_bad;
}

/* libmicrohttpd 0.9.75 goes by one of several; whoever stands in front may go by another. Of a list
 * of tags it would give us the first line. */
static const char *const said_once[] = {
    MHD_HTTP_HEADER_CONTENT_LENGTH,
    MHD_HTTP_HEADER_TRANSFER_ENCODING,
    MHD_HTTP_HEADER_HOST,
    MHD_HTTP_HEADER_AUTHORIZATION,
    MHD_HTTP_HEADER_IF_MATCH,
    MHD_HTTP_HEADER_IF_NONE_MATCH,
    "Idempotency-Key",
};

struct header_walk {
    bool is_bad_name;
    uint32_t seen[ARRAY_LEN(said_once)];
};

/* RFC 9110 5.1: a token. "Content-Length : 5" is none, and would be another header to us than to
 * whoever stands in front (RFC 9112 5.1). */
static bool is_token(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "!#$%&'*+-.^_`|~";
    return name[0] != '\0' && name[strspn(name, letters)] == '\0';
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct header_walk *walk = arg;
    (void)kind;
    (void)value;
    walk->is_bad_name = walk->is_bad_name || !is_token(key);
    for (size_t i = 0; i < ARRAY_LEN(said_once); i++) {
        walk->seen[i] += strcasecmp(key, said_once[i]) == 0 ? 1U : 0U;
    }
    return MHD_YES;
}

static bool refuse_headers(struct call *call, const char *detail)
{
    call->request.reply.must_close = true;
    api_problem(&call->request, "malformed-request", "%s", detail);
    return false;
}

/* One that says nothing is not the same as none: an empty variable of a script must not make a
 * change unconditional. */
static bool says_something(struct slice tags)
{
    return tags.ptr == NULL || slice_trim(tags).len != 0;
}

static bool headers_are_fine(struct call *call)
{
    struct header_walk walk = {0};
    (void)MHD_get_connection_values(call->connection, MHD_HEADER_KIND, on_header, &walk);
    if (walk.is_bad_name) {
        return refuse_headers(call, "the name of a header is not a token");
    }
    for (size_t i = 0; i < ARRAY_LEN(said_once); i++) {
        if (walk.seen[i] > 1) {
            char detail[64];
            (void)snprintf(detail, sizeof(detail), "%s more than once", said_once[i]);
            return refuse_headers(call, detail);
        }
    }
    return (says_something(call->request.if_match) &&
            says_something(call->request.if_none_match)) ||
           refuse_headers(call, "If-Match or If-None-Match without a tag");
}

/* libmicrohttpd 0.9.75 takes both framings at once and serves what follows as a request. */
static bool framing_is_fine(struct call *call)
{
    struct slice length = api_head_field(call->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct slice coding = api_head_field(call->connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    if (coding.ptr == NULL || (length.ptr == NULL && slice_eq_nocase(coding, SLICE("chunked")))) {
        return true;
    }
    call->request.reply.must_close = true;
    api_problem(&call->request, "malformed-request",
                length.ptr != NULL ? "Content-Length and Transfer-Encoding together"
                                   : "Transfer-Encoding may only be chunked%s",
                "");
    return false;
}

static bool deny(struct call *call, enum api_guard_failure why, const char *detail)
{
    api_guard_count(why);
    call->is_denied = true;
    call->request.identity.reason = api_guard_failure_word(why);
    api_problem(&call->request, "forbidden", "%s", detail);
    return false;
}

static bool is_no_browser(struct call *call)
{
    struct slice mode = api_head_field(call->connection, "Sec-Fetch-Mode");
    if (api_head_field(call->connection, MHD_HTTP_HEADER_ORIGIN).ptr == NULL &&
        !slice_eq_nocase(mode, SLICE("no-cors"))) {
        return true;
    }
    return deny(call, API_GUARD_BROWSER, "requests made by web pages are refused");
}

/* A name that somebody else points at us (DNS rebinding) is not ours. */
static bool host_is_ours(struct call *call)
{
    struct slice host = api_head_field(call->connection, MHD_HTTP_HEADER_HOST);
    struct slice name = SLICE_NONE;
    bool is_ip = false;
    if (call->door->is_unix || call->door->is_observe ||
        api_guard_knows_host(call->request.guard, host)) {
        return true;
    }
    if (call->door->front != NULL && api_credentials_host(host, &name, &is_ip) &&
        api_front_is_named(call->door->front, name)) {
        return true;
    }
    return deny(call, API_GUARD_HOST,
                "the host of the request is no IP address, not in our certificate and not in "
                "daemon.api.hosts");
}

static bool retry_later(struct call *call, uint32_t retry_s, const char *why)
{
    api_request_header(&call->request, MHD_HTTP_HEADER_RETRY_AFTER, "%u", retry_s);
    api_problem(&call->request, "rate-limited", "%s; come again in %u s", why, retry_s);
    return false;
}

static bool is_known(struct call *call)
{
    struct api_request *request = &call->request;
    switch (call->verdict) {
    case API_GUARD_KNOWN:
        return true;
    case API_GUARD_UNKNOWN:
        call->is_denied = true;
        api_request_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"lbd\"");
        api_problem(request, "unauthenticated", "%s",
                    api_head_field(call->connection, MHD_HTTP_HEADER_AUTHORIZATION).ptr == NULL
                        ? "a token or a certificate is needed"
                        : "the token is not known, or has expired");
        return false;
    case API_GUARD_NO_ROLE:
        call->is_denied = true;
        api_problem(request, "forbidden", "%s has no role here: %s", request->who,
                    request->identity.via == API_VIA_CERTIFICATE
                        ? "its names are not in daemon.api.certificates"
                        : "it is in no group of daemon.api.groups");
        return false;
    case API_GUARD_TOO_MANY: /* in the metrics, and not in the audit: that is the limit's purpose */
        return retry_later(call, request->identity.retry_s, "too many failures to authenticate");
    }
    return false;
}

static bool path_is_known(struct call *call)
{
    struct api_request *request = &call->request;
    request->row = api_table_find(request);
    if (request->row != NULL && call->door->is_observe && !request->row->is_observable) {
        request->row = NULL;
    }
    if (request->row != NULL) {
        return true;
    }
    const char *must_be = "";
    struct slice bad = api_table_bad_name(request->path, &must_be);
    if (bad.len != 0 && !call->door->is_observe) {
        api_problem(request, "not-found", "'%.*s' is not a name: %s", SLICE_ARG(bad), must_be);
    } else {
        api_problem(request, "not-found", "there is no resource '%.*s'; %s",
                    SLICE_ARG(request->path),
                    call->door->is_observe ? "here are /metrics, /healthz and /readyz"
                                           : "GET /v1/openapi.json lists those that there are");
    }
    return false;
}

static bool method_is_known(struct call *call)
{
    static const struct {
        const char *word;
        enum api_method method;
    } words[] = {{"GET", API_GET},     {"HEAD", API_GET},      {"PUT", API_PUT},
                 {"PATCH", API_PATCH}, {"DELETE", API_DELETE}, {"POST", API_POST}};
    struct api_request *request = &call->request;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(call->method, words[i].word) == 0 &&
            request->row->handlers[words[i].method] != NULL) {
            request->method = words[i].method;
            return true;
        }
    }
    api_table_allow(request->row, request->reply.allow, sizeof(request->reply.allow));
    api_problem(request, "method-not-allowed", "'%.*s' has %s", SLICE_ARG(request->path),
                request->reply.allow);
    return false;
}

static bool has_body(const struct call *call)
{
    struct slice length = api_head_field(call->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length.ptr != NULL && !slice_eq(length, SLICE("0"))) ||
           api_head_field(call->connection, MHD_HTTP_HEADER_TRANSFER_ENCODING).ptr != NULL;
}

/* curl says application/x-www-form-urlencoded unless it is told otherwise: who forgot, sees it. */
static void refuse_type(struct call *call, const char *method, const char *wanted)
{
    struct slice given = api_head_field(call->connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (given.ptr == NULL) {
        api_problem(&call->request, "unsupported-media-type", "%s takes Content-Type: %s", method,
                    wanted);
    } else {
        api_problem(&call->request, "unsupported-media-type",
                    "%s takes Content-Type: %s, not '%.*s'", method, wanted, SLICE_ARG(given));
    }
}

static bool type_is_fine(struct call *call)
{
    struct api_request *request = &call->request;
    if (request->method == API_PUT && !api_request_has_type(request, "application/json")) {
        refuse_type(call, "PUT", "application/json");
        return false;
    }
    if (request->method == API_PATCH &&
        !api_request_has_type(request, "application/merge-patch+json")) {
        request->reply.accept_patch = "application/merge-patch+json";
        refuse_type(call, "PATCH", "application/merge-patch+json");
        return false;
    }
    if (request->method == API_POST && has_body(call) &&
        !api_request_has_type(request, "application/json")) {
        refuse_type(call, "POST", "application/json");
        return false;
    }
    return true;
}

size_t api_head_body_max(const struct call *call)
{
    return call->request.row != NULL && call->request.row->body_max != 0
               ? call->request.row->body_max
               : API_BODY_MAX;
}

bool api_head_refuse_large(struct call *call)
{
    call->request.reply.must_close = true;
    api_problem(&call->request, "too-large", "the body has more than %zu bytes",
                api_head_body_max(call));
    return false;
}

static bool length_is_fine(struct call *call)
{
    struct slice length = api_head_field(call->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes = 0;
    if (length.ptr == NULL) {
        return true;
    }
    if (!num_parse_u64(length, &bytes)) { /* libmicrohttpd has seen that it is a number */
        bytes = UINT64_MAX;
    }
    return bytes <= api_head_body_max(call) || api_head_refuse_large(call);
}

static bool role_is_enough(struct call *call)
{
    struct api_request *request = &call->request;
    enum api_role needed = api_table_role(request->row, request->method);
    if (request->role >= needed) {
        call->is_write = request->method != API_GET && needed > API_ROLE_READ;
        return true;
    }
    api_guard_count(API_GUARD_ROLE);
    call->is_denied = true;
    request->identity.reason = api_guard_failure_word(API_GUARD_ROLE);
    api_problem(request, "forbidden", "this takes the role %s, and %s has the role %s",
                api_request_role_word(needed), request->who, api_request_role_word(request->role));
    return false;
}

/* Not too often, and not unseen. What brings a body costs as much as a write. */
static bool may_go_on(struct call *call)
{
    struct err err = {0};
    uint32_t retry_s = 0;
    if (call->request.method != API_GET &&
        !api_guard_may_write(call->request.guard, &call->request.identity, &retry_s)) {
        return retry_later(call, retry_s, "too many writes");
    }
    if (call->is_write && !api_guard_can_audit(call->request.guard, &err)) {
        api_problem(&call->request, "unavailable", "%s", err.text);
        return false;
    }
    return true;
}

bool api_head_is_fine(struct call *call)
{
    return headers_are_fine(call) && framing_is_fine(call) && is_no_browser(call) &&
           host_is_ours(call) && is_known(call) && path_is_known(call) && method_is_known(call) &&
           role_is_enough(call) && query_is_fine(call) && type_is_fine(call) &&
           length_is_fine(call) && may_go_on(call);
}
