/* conf_check_policy_heads - what policies write into heads; see conf_check_inside.h. */
#include "conf/conf_check_inside.h"
#include "lbd/base/compiler.h"
#include "lbd/base/template.h"

#define PATH CONF_CHECK_PATH

/* Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, Referrer-Policy and
 * Content-Security-Policy. */
#define SECURITY_LINES 5U

static void fail(struct conf_check *check, const struct conf_path *path, const char *problem)
{
    conf_errors_add(check->errors, path, "invalid-value", SLICE_NONE, "%s", problem);
    check->ok = false;
}

bool conf_check_is_reason_header(struct slice name)
{
    return slice_eq_nocase(name, SLICE("lbd-reason")) ||
           slice_eq_nocase(name, SLICE("lbd-reason-detail"));
}

/* Of requests these are lbd's own, and of answers those that it makes itself. */
static const char *name_problem(struct slice name, bool is_request)
{
    static const struct slice nobodys[] = {
        SLICE_INIT("host"),
        SLICE_INIT("content-length"),
        SLICE_INIT("transfer-encoding"),
        SLICE_INIT("connection"),
        SLICE_INIT("keep-alive"),
        SLICE_INIT("proxy-connection"),
        SLICE_INIT("te"),
        SLICE_INIT("trailer"),
        SLICE_INIT("upgrade"),
        SLICE_INIT("http2-settings"),
        SLICE_INIT("expect"),
        SLICE_INIT("date"),
        SLICE_INIT("via"),
        SLICE_INIT("proxy-authenticate"),
        SLICE_INIT("proxy-authorization"),
    };
    static const struct slice ours[] = {
        SLICE_INIT("x-forwarded-for"),
        SLICE_INIT("x-forwarded-proto"),
        SLICE_INIT("x-forwarded-host"),
        SLICE_INIT("x-forwarded-port"),
        SLICE_INIT("x-real-ip"),
        SLICE_INIT("forwarded"),
        SLICE_INIT("client-cert"),
        SLICE_INIT("client-cert-chain"),
        SLICE_INIT("x-request-id"),
        SLICE_INIT("x-client-cert-subject"),
        SLICE_INIT("x-client-cert-sha256"),
    };
    const char *problem = conf_check_value_name_problem(true, name);
    for (size_t i = 0; problem == NULL && i < ARRAY_LEN(nobodys); i++) {
        if (slice_eq_nocase(name, nobodys[i])) {
            problem = "must not be what frames a message or is for one connection";
        }
    }
    for (size_t i = 0; problem == NULL && is_request && i < ARRAY_LEN(ours); i++) {
        if (slice_eq_nocase(name, ours[i])) {
            problem = CONF_CHECK_OURS;
        }
    }
    return problem;
}

static const char *value_problem(struct slice value)
{
    struct slice piece;
    for (;;) {
        switch (template_next(&value, &piece)) {
        case TEMPLATE_LITERAL:
            break;
        case TEMPLATE_NAME:
            if (conf_header_word_of(piece) == CONF_HEADER_WORD_NONE) {
                return "must have in braces client_ip, request_id, route, listener, scheme, host, "
                       "method or path; {{ is a brace";
            }
            break;
        case TEMPLATE_END:
            return NULL;
        case TEMPLATE_BAD:
            return "must have a word in braces, and both of these; {{ is a brace";
        }
    }
}

static void check_lines(struct conf_check *check, const struct conf_header *lines, uint32_t count,
                        bool is_request, const struct conf_path *path)
{
    for (uint32_t i = 0; i < count; i++) {
        PATH(at, path, lines[i].name);
        const char *problem = name_problem(lines[i].name, is_request);
        if (!is_request && conf_check_is_reason_header(lines[i].name)) {
            problem = CONF_CHECK_OURS;
        }
        problem = problem != NULL ? problem : value_problem(lines[i].value);
        if (problem != NULL) {
            fail(check, &at, problem);
        }
    }
}

/* Names of headers are the same in any case: of two lines that are set the last would win. */
void conf_check_header_twice(struct conf_check *check, const struct conf_header *lines,
                             uint32_t count, const struct conf_path *path)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t before = 0; before < i; before++) {
            if (slice_eq_nocase(lines[i].name, lines[before].name)) {
                PATH(at, path, lines[i].name);
                conf_errors_add(check->errors, &at, "duplicate", SLICE_NONE,
                                "must not stand twice: '%.*s' is the same header",
                                SLICE_ARG(lines[before].name));
                check->ok = false;
                break;
            }
        }
    }
}

static void check_edits(struct conf_check *check, const struct conf_header_edits *edits,
                        bool is_request, const struct conf_path *path)
{
    PATH(set, path, SLICE("set"));
    PATH(add, path, SLICE("add"));
    PATH(remove, path, SLICE("remove"));
    check_lines(check, edits->set, edits->set_count, is_request, &set);
    conf_check_header_twice(check, edits->set, edits->set_count, &set);
    check_lines(check, edits->add, edits->add_count, is_request, &add);
    if (edits->set_count + edits->add_count > CONF_HEADER_EDITS_MAX) {
        fail(check, path, "must set and add at most 8 lines; another policy may do more");
    }
    for (uint32_t i = 0; i < edits->remove_count; i++) {
        const struct conf_path item = {.parent = &remove, .index = i};
        const char *problem = name_problem(edits->remove[i], is_request);
        if (problem != NULL) {
            fail(check, &item, problem);
        }
    }
}

/* A scheme, a host (or "*." and a domain) and perhaps a port, as browsers write it. */
static bool is_origin(struct slice text)
{
    size_t colon = slice_find(text, ':');
    if (colon == SIZE_MAX || colon == 0 ||
        !slice_starts(slice_from_at(text, colon), SLICE("://"))) {
        return slice_eq(text, SLICE("null"));
    }
    struct slice host = slice_from_at(text, colon + 3);
    if (slice_starts(host, SLICE("*."))) {
        host = slice_from_at(host, 2);
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c <= ' ' || c >= 0x7f || (c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return host.len != 0 && slice_find(host, '/') == SIZE_MAX &&
           slice_find(host, '*') == SIZE_MAX && host.ptr[0] != '.' && host.ptr[0] != ':';
}

static void check_cors(struct conf_check *check, const struct conf_policy_cors *cors,
                       const struct conf_path *path)
{
    PATH(origins, path, SLICE("origins"));
    PATH(credentials, path, SLICE("credentials"));
    for (uint32_t i = 0; i < cors->origin_count; i++) {
        const struct conf_path item = {.parent = &origins, .index = i};
        bool is_any = slice_eq(cors->origins[i], SLICE("*"));
        if (!is_any && !is_origin(cors->origins[i])) {
            fail(check, &item,
                 "must be an origin in lower case such as \"https://app.example.com\", or \"*\"");
        } else if (is_any && cors->origin_count != 1) {
            fail(check, &item, "must stand alone: it is everybody");
        } else if (is_any && cors->credentials != 0) {
            fail(check, &credentials,
                 "must be false where all sites are let in: any page could act as its visitor");
        }
    }
}

static void check_name(struct conf_check *check, struct slice name, const struct conf_path *path)
{
    const char *problem = name.len != 0 ? name_problem(name, true) : NULL;
    if (problem != NULL) {
        fail(check, path, problem);
    }
}

/* What the service of an external_auth is told of the request, beside what lbd says itself. */
static void check_asked(struct conf_check *check, struct slice name, const struct conf_path *path)
{
    if (slice_eq_nocase(name, SLICE("x-forwarded-method")) ||
        slice_eq_nocase(name, SLICE("x-forwarded-uri"))) {
        fail(check, path, CONF_CHECK_OURS);
    } else if (!slice_eq_nocase(name, SLICE("x-request-id"))) { /* the one that servers see */
        check_name(check, name, path);
    }
}

void conf_check_policy_told(struct conf_check *check, const struct conf_policy *policy,
                            const struct conf_path *at)
{
    PATH(kind, at, slice_from(conf_policy_word(policy->kind)));
    PATH(user_header, &kind, SLICE("user_header"));
    PATH(headers, &kind, SLICE("headers"));
    PATH(asked, &kind, SLICE("request_headers"));
    PATH(told, &kind, SLICE("response_headers"));
    check_name(check, policy->basic_auth.user_header, &user_header);
    for (uint32_t i = 0; i < policy->jwt.header_count; i++) {
        PATH(line, &headers, policy->jwt.headers[i].name);
        check_name(check, policy->jwt.headers[i].name, &line);
    }
    for (uint32_t i = 0; i < policy->external_auth.request_header_count; i++) {
        const struct conf_path item = {.parent = &asked, .index = i};
        check_asked(check, policy->external_auth.request_headers[i], &item);
    }
    for (uint32_t i = 0; i < policy->external_auth.response_header_count; i++) {
        const struct conf_path item = {.parent = &told, .index = i};
        check_name(check, policy->external_auth.response_headers[i], &item);
    }
}

void conf_check_policy_heads(struct conf_check *check, const struct conf_policy *policy,
                             const struct conf_path *at)
{
    if (policy->kind == CONF_POLICY_CORS) {
        PATH(cors, at, SLICE("cors"));
        check_cors(check, &policy->cors, &cors);
        return;
    }
    PATH(headers, at, SLICE("headers"));
    PATH(request, &headers, SLICE("request"));
    PATH(response, &headers, SLICE("response"));
    check_edits(check, &policy->headers.request, true, &request);
    check_edits(check, &policy->headers.response, false, &response);
}

/* -- how many lines there may be -- */

/* At most, in a head of requests or answers. Those that are in shadow mode write none. */
static uint32_t count_lines(const struct conf_policy *policy, bool is_request)
{
    if (policy->mode == CONF_POLICY_SHADOW) {
        return 0;
    }
    if (policy->kind == CONF_POLICY_HEADERS) {
        const struct conf_header_edits *edits =
            is_request ? &policy->headers.request : &policy->headers.response;
        return edits->set_count + edits->add_count;
    }
    if (is_request) {
        return (policy->basic_auth.user_header.len != 0 ? 1U : 0U) + policy->jwt.header_count +
               policy->external_auth.response_header_count;
    }
    if (policy->kind == CONF_POLICY_CORS) { /* origin, Vary, credentials, exposed headers */
        return 2U + (policy->cors.credentials != 0 ? 1U : 0U) +
               (policy->cors.exposed_count != 0 ? 1U : 0U);
    }
    if (policy->kind == CONF_POLICY_SECURITY_HEADERS) {
        return SECURITY_LINES;
    }
    return policy->kind == CONF_POLICY_RATE_LIMIT && policy->rate_limit.response_headers != 0
               ? 3U /* limit, remaining, reset */
               : 0U;
}

static uint32_t count_all(const struct conf *conf, const struct slice *names, uint32_t count,
                          const struct conf_listener *except, bool is_request)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_policy *policy = conf_policy_find(conf, names[i]);
        bool is_counted = false; /* with the listener */
        for (uint32_t k = 0; except != NULL && k < except->policy_count; k++) {
            is_counted = is_counted || slice_eq(except->policies[k], names[i]);
        }
        lines += policy != NULL && !is_counted ? count_lines(policy, is_request) : 0;
    }
    return lines;
}

static void warn_lines(struct conf_check *check, uint32_t lines, bool is_request,
                       const struct conf_path *here)
{
    PATH(field, here, SLICE("policies"));
    if (lines > CONF_HEADER_LINES_MAX) {
        conf_errors_warn(check->errors, &field, "no-header-room",
                         "all that are passed here may write %u lines into a head, which has room "
                         "for %u: %s",
                         lines, CONF_HEADER_LINES_MAX,
                         is_request ? "a request that would need more is answered 500"
                                    : "of an answer the rest is left out");
    }
}

void conf_check_policy_lines(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        PATH(here, &listeners, listener->name);
        for (int is_request = 0; is_request < 2; is_request++) {
            warn_lines(
                check,
                count_all(conf, listener->policies, listener->policy_count, NULL, is_request != 0),
                is_request != 0, &here);
        }
    }
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        const struct conf_listener *listener = conf_listener_find(conf, route->listener);
        PATH(here, &routes, route->name);
        for (int is_request = 0; is_request < 2 && route->policy_count != 0; is_request++) {
            uint32_t own =
                count_all(conf, route->policies, route->policy_count, listener, is_request != 0);
            uint32_t before = listener != NULL
                                  ? count_all(conf, listener->policies, listener->policy_count,
                                              NULL, is_request != 0)
                                  : 0;
            if (own != 0) {
                warn_lines(check, own + before, is_request != 0, &here);
            }
        }
    }
}
