#include "ctl/ctl.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/json/json_write.h"
#include "ctl/contexts.h"
#include "ctl/print_table.h"
#include "ctl/refusal.h"

static const char system_socket[] = "/run/lbd/api.sock";

/* Our own daemon wrote it; still, nothing is taken on trust. */
static const struct json_limits reply_limits = {
    .bytes = REST_REPLY_BODY_MAX, .depth = JSON_DEPTH_MAX, .values = 8000000, .objects = 2000000};

void ctl_init(struct ctl *ctl)
{
    *ctl = (struct ctl){.in = stdin,
                        .out = stdout,
                        .err = stderr,
                        .output = CTL_TABLE,
                        .timeout_ms = CTL_TIMEOUT_MS};
}

LB_PRINTF(3, 0)
static void complain(struct ctl *ctl, const char *prefix, const char *fmt, va_list args)
{
    struct buf text;
    buf_init(&text, (size_t)2 * CTL_PATH_MAX);
    buf_vprintf(&text, fmt, args);
    (void)fputs(prefix, ctl->err);
    print_text(ctl->err, buf_slice(&text));
    (void)fputc('\n', ctl->err);
    buf_fini(&text);
}

enum ctl_exit ctl_fail(struct ctl *ctl, enum ctl_exit code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    complain(ctl, "lbctl: ", fmt, args);
    va_end(args);
    return code;
}

void ctl_hint(struct ctl *ctl, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    complain(ctl, "hint: ", fmt, args);
    va_end(args);
}

void ctl_hint_more(struct ctl *ctl, uint64_t listed, uint64_t total, uint64_t most)
{
    uint64_t missing = total - listed;
    if (total <= listed) {
        return;
    }
    (void)fflush(ctl->out);
    if (listed < most) {
        ctl_hint(ctl, "%llu more: add -n %llu", (unsigned long long)missing,
                 (unsigned long long)(total < most ? total : most));
    } else {
        ctl_hint(ctl, "%llu more than can be listed at once: ask for fewer of them (see --help)",
                 (unsigned long long)missing);
    }
}

/* Is the directory of `path` ours alone to write in? */
static bool directory_is_ours(const char *path)
{
    char directory[CTL_PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) >= sizeof(directory)) {
        return false;
    }
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool set_found(struct ctl *ctl, const char *fmt, ...) LB_PRINTF(2, 3);
static bool set_found(struct ctl *ctl, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(ctl->socket_found, sizeof(ctl->socket_found), fmt, args);
    va_end(args);
    return len > 0 && (size_t)len < sizeof(ctl->socket_found) &&
           access(ctl->socket_found, F_OK) == 0;
}

const char *ctl_socket(struct ctl *ctl)
{
    const char *path = ctl->socket_path != NULL ? ctl->socket_path : getenv("LBCTL_SOCKET");
    if (path != NULL && path[0] != '\0') {
        return strncmp(path, "unix:", 5) == 0 ? path + 5 : path;
    }
    if (ctl->socket_found[0] != '\0') {
        return ctl->socket_found;
    }
    if (set_found(ctl, "%s", system_socket)) {
        return ctl->socket_found;
    }
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/' && set_found(ctl, "%s/lbd/api.sock", runtime)) {
        return ctl->socket_found;
    }
    if (set_found(ctl, "/tmp/lbd-%u/api.sock", (unsigned)geteuid()) &&
        directory_is_ours(ctl->socket_found)) {
        return ctl->socket_found;
    }
    (void)set_found(ctl, "%s", system_socket);
    return ctl->socket_found;
}

static enum ctl_exit exit_of_err(const struct err *err)
{
    switch (err->kind) {
    case ERR_UNAVAILABLE:
        return CTL_UNREACHABLE;
    case ERR_DENIED:
        return CTL_DENIED;
    case ERR_PRECONDITION:
        return CTL_TIMED_OUT;
    case ERR_INVALID:
        return CTL_USAGE;
    case ERR_NONE:
    case ERR_MALFORMED:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_TOO_LARGE:
    case ERR_STORAGE:
    case ERR_SYSTEM:
        break;
    }
    return CTL_REFUSED;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The context `name`, or the current one (NULL); *found tells whether there is one. */
static bool take_context(const char *name, struct endpoint *out, bool *found, struct err *err)
{
    struct contexts contexts;
    if (!contexts_load(&contexts, err)) {
        return false;
    }
    struct slice wanted = name != NULL ? slice_from(name) : contexts_current(&contexts);
    bool ok = wanted.len == 0 || contexts_find(&contexts, wanted, out, err);
    *found = ok && wanted.len != 0;
    contexts_fini(&contexts);
    return ok;
}

static bool find_endpoint(struct ctl *ctl, struct endpoint *out, struct err *err)
{
    bool found = false;
    int given = (ctl->socket_path != NULL) + (ctl->url != NULL) + (ctl->context != NULL);
    if (given > 1) {
        return err_set(err, ERR_INVALID, "--socket, --url and --context exclude each other");
    }
    if (ctl->url != NULL) {
        return endpoint_set_url(out, ctl->url, err);
    }
    if (ctl->socket_path == NULL) {
        const char *name = ctl->context != NULL ? ctl->context : environment("LBCTL_CONTEXT");
        if ((name != NULL || environment("LBCTL_SOCKET") == NULL) &&
            !take_context(name, out, &found, err)) {
            return false;
        }
    }
    if (!found) {
        endpoint_set_socket(out, ctl_socket(ctl));
    }
    return true;
}

bool ctl_endpoint(struct ctl *ctl, struct endpoint *out, enum ctl_exit *code)
{
    struct err err = {.kind = ERR_NONE};
    endpoint_init(out);
    bool ok = find_endpoint(ctl, out, &err);
    if (ok) {
        char **const places[] = {&out->ca_file, &out->cert_file, &out->key_file, &out->token_file};
        const char *const given[] = {ctl->ca_file, ctl->cert_file, ctl->key_file, ctl->token_file};
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
            if (given[i] != NULL) {
                endpoint_text(places[i], given[i]);
            }
        }
        ok = endpoint_check(out, &err);
    }
    if (!ok) {
        *code =
            ctl_fail(ctl, err.kind == ERR_NOT_FOUND ? CTL_NOT_FOUND : CTL_USAGE, "%s", err.text);
        endpoint_fini(out);
    }
    return ok;
}

/* Asks again when lbd says that it was too often, and when to come again: what is refused with 429
 * was not begun. Within the time that an answer has. */
static bool ask_patiently(const struct rest_client *client, const struct rest_request *request,
                          struct rest_reply *reply, struct err *err)
{
    uint64_t waited_ms = 0;
    for (;;) {
        bool ok = rest_client_ask(client, request, reply, err);
        if (!ok || reply->status != 429 || reply->retry_s == 0 ||
            reply->retry_s > client->timeout_ms / 1000 ||
            waited_ms + reply->retry_s * 1000 > client->timeout_ms) {
            return ok;
        }
        waited_ms += reply->retry_s * 1000;
        (void)poll(NULL, 0, (int)(reply->retry_s * 1000));
    }
}

bool ctl_ask(struct ctl *ctl, const struct rest_request *request, struct rest_reply *reply,
             enum ctl_exit *code)
{
    struct err err = {.kind = ERR_NONE};
    struct endpoint endpoint;
    if (!ctl_endpoint(ctl, &endpoint, code)) {
        return false;
    }
    struct rest_client client = {.endpoint = &endpoint,
                                 .timeout_ms = ctl->timeout_ms,
                                 .trace = ctl->trace ? ctl->err : NULL};
    bool ok = ask_patiently(&client, request, reply, &err);
    if (!ok) {
        *code = ctl_fail(ctl, exit_of_err(&err), "%s", err.text);
    }
    if (!ok && *code == CTL_UNREACHABLE && endpoint.socket != NULL && ctl->socket_path == NULL &&
        getenv("LBCTL_SOCKET") == NULL) {
        ctl_hint(ctl, "is lbd running? --socket PATH or LBCTL_SOCKET names another socket, "
                      "--url another machine");
    }
    if (!ok && *code == CTL_DENIED && endpoint.ca_file == NULL &&
        strstr(err.text, "the certificate of '") != NULL) {
        ctl_hint(ctl, "--ca FILE names who may have signed it; without it only those count whom "
                      "the system trusts");
    }
    endpoint_fini(&endpoint);
    return ok;
}

struct json *ctl_body(const struct rest_reply *reply)
{
    struct json_error error;
    return reply->is_json ? json_parse(buf_slice(&reply->body), JSON_STRICT, &reply_limits, &error)
                          : NULL;
}

static struct json *ask_for_json(struct ctl *ctl, const struct rest_request *request,
                                 struct rest_reply *reply, enum ctl_exit *code)
{
    struct rest_reply own;
    struct json *json = NULL;
    rest_reply_init(&own);
    struct rest_reply *used = reply != NULL ? reply : &own;
    if (ctl_ask(ctl, request, used, code)) {
        if (used->status >= 300) {
            *code = refusal_print(ctl, used, NULL);
        } else {
            json = ctl_body(used);
            if (json == NULL) {
                *code = ctl_fail(ctl, CTL_BUG, "the answer to %s %s is not JSON", request->method,
                                 request->target);
            }
        }
    }
    rest_reply_fini(&own);
    return json;
}

struct json *ctl_get(struct ctl *ctl, const char *target, struct rest_reply *reply,
                     enum ctl_exit *code)
{
    const struct rest_request request = {.method = "GET", .target = target};
    return ask_for_json(ctl, &request, reply, code);
}

struct json *ctl_get_silently(const struct ctl *ctl, const char *target, uint64_t timeout_ms,
                              enum ctl_exit *code)
{
    struct ctl silent = *ctl;
    silent.timeout_ms = timeout_ms;
    silent.trace = false;
    silent.err = fopen("/dev/null", "we");
    if (silent.err == NULL) {
        *code = CTL_BUG;
        return NULL;
    }
    struct json *json = ctl_get(&silent, target, NULL, code);
    (void)fclose(silent.err);
    return json;
}

struct json *ctl_post(struct ctl *ctl, const char *target, struct slice body,
                      struct rest_reply *reply, enum ctl_exit *code)
{
    const struct rest_request request = {.method = "POST",
                                         .target = target,
                                         .content_type = "application/json",
                                         .body = body.len != 0 ? body : SLICE("{}")};
    return ask_for_json(ctl, &request, reply, code);
}

void ctl_query(struct buf *target, const char *key, const char *value)
{
    struct buf encoded;
    if (value == NULL) {
        return;
    }
    buf_init(&encoded, (size_t)4 * CTL_PATH_MAX);
    rest_client_append_segment(&encoded, slice_from(value)); /* "/value" */
    bool is_first = slice_find(buf_slice(target), '?') == SIZE_MAX;
    buf_append_char(target, is_first ? '?' : '&');
    buf_append_text(target, key);
    buf_append_char(target, '=');
    buf_append_slice(target, slice_from_at(buf_slice(&encoded), 1));
    target->overflow = target->overflow || encoded.overflow;
    buf_fini(&encoded);
}

bool ctl_wants_json(const struct ctl *ctl)
{
    return ctl->output == CTL_JSON || ctl->output == CTL_JSONL;
}

bool ctl_wants_table(const struct ctl *ctl)
{
    return ctl->output == CTL_TABLE || ctl->output == CTL_WIDE;
}

void ctl_print_body(struct ctl *ctl, const struct rest_reply *reply)
{
    struct json *json = ctl_body(reply);
    if (json != NULL) {
        ctl_print_json(ctl, json);
    }
    json_free(json);
}

enum ctl_exit ctl_exit_of(uint32_t status)
{
    switch (status) {
    case 401:
    case 403:
        return CTL_DENIED;
    case 404:
        return CTL_NOT_FOUND;
    case 409:
    case 412:
    case 428:
        return CTL_CONFLICT;
    case 400:
    case 413:
    case 422:
        return CTL_INVALID;
    case 504:
        return CTL_TIMED_OUT;
    default:
        return status < 300 ? CTL_OK : CTL_REFUSED;
    }
}

void ctl_print_json(struct ctl *ctl, const struct json *json)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, ctl->output == CTL_JSONL ? JSON_COMPACT : JSON_PRETTY);
    json_write_json(&w, json);
    buf_append_char(&text, '\n');
    print_json(ctl->out, buf_slice(&text));
    buf_fini(&text);
}

const struct json *ctl_member(const struct json *json, const char *path)
{
    struct slice rest = slice_from(path);
    struct slice key;
    while (json != NULL && slice_split(&rest, '.', &key)) {
        json = json_get(json, key);
    }
    return json;
}

const struct json *ctl_member_beside(const struct json *container, const struct json **last,
                                     struct slice key)
{
    const struct json *found = *last != NULL ? json_next(*last) : json_first(container);
    if (found == NULL || !slice_eq(json_key(found), key)) {
        found = json_get(container, key);
    }
    if (found != NULL) {
        *last = found;
    }
    return found;
}

struct slice ctl_text(const struct json *json, const char *path)
{
    return json_string(ctl_member(json, path));
}

uint64_t ctl_number(const struct json *json, const char *path)
{
    int64_t value;
    return json_integer(ctl_member(json, path), &value) && value > 0 ? (uint64_t)value : 0;
}

const char *ctl_plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}
