#include "api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "api/api_metrics.h"
#include "api/api_problem.h"
#include "api/api_request.h"
#include "api/api_socket.h"
#include "api/api_table.h"
#include "lbd/base/addr.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/base/random.h"

#define DOORS_MAX       16
#define CONNECTIONS_MAX 256U
#define PER_IP_MAX      64U /* of those: one client must not keep others from the metrics */
#define TIMEOUT_S       30U
#define HEAD_MAX        (32U * 1024U)
#define DISCARD_MAX_TIMES                                                                          \
    4U /* a body that is too large is read so many times its limit, then cut */

struct door {
    struct api *api;
    struct MHD_Daemon *daemon;
    struct slice address; /* borrowed from `text` */
    char text[160];
    bool is_observe;
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_ready ready;
};

struct api {
    struct loop *loop;
    struct control *control;
    struct door doors[DOORS_MAX];
    uint32_t door_count;
};

/* One request in the transport. */
struct call {
    struct api_request request;
    struct door *door;
    struct MHD_Connection *connection;
    const char *method; /* as it came */
    struct buf body;
    uint64_t discarded; /* bytes of a body that is too large */
    bool is_refused;    /* answered from the head alone */
    bool is_suspended;
    bool is_in_handler;
    bool is_done;
};

/* -- the loop -- */

static void turn(struct door *door);

static void on_ready(struct loop_ready *ready)
{
    turn(container_of(ready, struct door, ready));
}

static void on_timer(struct loop_timer *timer)
{
    turn(container_of(timer, struct door, timer));
}

static void on_event(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    turn(container_of(watch, struct door, watch));
}

static void turn_soon(struct door *door)
{
    loop_ready_put(door->api->loop, &door->ready, on_ready);
}

/* The rule of microhttpd.h: MHD_run when its epoll descriptor is readable and when its timeout is
 * over. */
static void turn(struct door *door)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    (void)MHD_run(door->daemon);
    if (MHD_get_timeout(door->daemon, &wait_ms) != MHD_YES) {
        loop_timer_stop(&door->timer);
    } else if (wait_ms == 0) {
        turn_soon(door);
    } else {
        loop_timer_set(door->api->loop, &door->timer, wait_ms, on_timer);
    }
}

/* -- replies -- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void log_call(const struct call *call)
{
    if (call->door->is_observe) {
        return; /* scrapers come often */
    }
    log_debug("api.request", "id=%s who=\"%s\" method=%s path=%.*s status=%u", call->request.id,
              call->request.who, call->method, SLICE_ARG(call->request.path),
              call->request.reply.status);
}

static enum MHD_Result queue(struct call *call)
{
    struct api_request *request = &call->request;
    struct api_reply *reply = &request->reply;
    char text[64];
    size_t len = 0;

    if (reply->body.overflow) {
        buf_clear(&reply->body);
        reply->body.overflow = false;
        api_problem(request, "internal", "the answer is larger than %u bytes", API_REPLY_MAX);
    }
    if (reply->content_type == NULL) {
        buf_clear(&reply->body);
    }
    char *body = buf_take(&reply->body, &len);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
        return MHD_NO;
    }
    if (reply->content_type != NULL) {
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    }
    if (reply->etag[0] != '\0') {
        (void)snprintf(text, sizeof(text), "\"%s\"", reply->etag);
        add_header(response, MHD_HTTP_HEADER_ETAG, text);
    }
    (void)snprintf(text, sizeof(text), "%llu",
                   (unsigned long long)control_facts(request->control)->revision);
    add_header(response, "Lbd-Revision", text);
    add_header(response, "Lbd-Request-Id", request->id);
    if (reply->has_changed) {
        add_header(response, "Lbd-Changed", reply->is_changed ? "true" : "false");
    }
    if (reply->allow[0] != '\0') {
        add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    }
    if (reply->accept_patch != NULL) {
        add_header(response, "Accept-Patch", reply->accept_patch);
    }
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->must_close) {
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }

    size_t row = SIZE_MAX;
    if (request->row != NULL) {
        row = (size_t)(request->row - api_table_row(0));
    }
    api_metrics_note(row, call->method, reply->status);
    log_call(call);
    enum MHD_Result result = MHD_queue_response(call->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static void on_done(struct api_request *request)
{
    struct call *call = container_of(request, struct call, request);
    call->is_done = true;
    if (!call->is_in_handler) { /* it was suspended: libmicrohttpd asks again */
        call->is_suspended = false;
        MHD_resume_connection(call->connection);
        turn_soon(call->door);
    }
}

/* -- what arrived -- */

static struct slice header(struct MHD_Connection *connection, const char *name)
{
    return slice_from(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

struct query_walk {
    struct api_request *request;
    bool is_bad;
};

/* Repeated, too many, or flags that are neither true nor false. */
static enum MHD_Result on_query(void *arg, enum MHD_ValueKind kind, const char *key,
                                const char *value)
{
    struct query_walk *walk = arg;
    struct api_request *request = walk->request;
    struct slice name = slice_from(key);
    struct slice given = slice_from(value != NULL ? value : "");
    (void)kind;

    if (request->query_count == API_QUERY_MAX || api_request_query(request, key).ptr != NULL ||
        !api_table_knows_query(request->row, request->method, name) ||
        ((slice_eq(name, SLICE("dry_run")) || slice_eq(name, SLICE("defaults"))) &&
         !slice_eq(given, SLICE("true")) && !slice_eq(given, SLICE("false"))) ||
        (slice_eq(name, SLICE("missing")) &&
         (request->method != API_DELETE || !slice_eq(given, SLICE("ok"))))) {
        api_problem(request, "unknown-parameter", "the query parameter '%s=%.*s' is not known here",
                    key, SLICE_ARG(given));
        walk->is_bad = true;
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

struct header_count {
    const char *name;
    uint32_t seen;
};

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct header_count *count = arg;
    (void)kind;
    (void)value;
    count->seen += strcasecmp(key, count->name) == 0 ? 1U : 0U;
    return MHD_YES;
}

/* libmicrohttpd 0.9.75 goes by one of several; whoever stands in front may go by another. */
static bool is_said_once(struct call *call, const char *name)
{
    struct header_count count = {.name = name};
    (void)MHD_get_connection_values(call->connection, MHD_HEADER_KIND, on_header, &count);
    if (count.seen > 1) {
        call->request.reply.must_close = true;
        api_problem(&call->request, "malformed-request", "%s more than once", name);
        return false;
    }
    return true;
}

/* libmicrohttpd 0.9.75 takes both framings at once and serves what follows as a request. */
static bool framing_is_fine(struct call *call)
{
    if (!is_said_once(call, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
        !is_said_once(call, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
        !is_said_once(call, MHD_HTTP_HEADER_HOST)) {
        return false;
    }
    struct slice length = header(call->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct slice coding = header(call->connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
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

static bool is_no_browser(struct call *call)
{
    struct slice mode = header(call->connection, "Sec-Fetch-Mode");
    if (header(call->connection, MHD_HTTP_HEADER_ORIGIN).ptr == NULL &&
        !slice_eq_nocase(mode, SLICE("no-cors"))) {
        return true;
    }
    api_problem(&call->request, "forbidden", "requests made by web pages are refused");
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
    struct slice bad = api_table_bad_name(request->path);
    if (bad.len != 0 && !call->door->is_observe) {
        api_problem(request, "not-found",
                    "'%.*s' is not a name: a-z, 0-9 and inside also . _ -, at most 63 characters",
                    SLICE_ARG(bad));
    } else {
        api_problem(request, "not-found", "there is no resource '%.*s'", SLICE_ARG(request->path));
    }
    return false;
}

static bool method_is_known(struct call *call)
{
    static const struct {
        const char *word;
        enum api_method method;
    } words[] = {{"GET", API_GET},
                 {"HEAD", API_GET},
                 {"PUT", API_PUT},
                 {"PATCH", API_PATCH},
                 {"DELETE", API_DELETE}};
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

static bool type_is_fine(struct call *call)
{
    struct api_request *request = &call->request;
    if (request->method == API_PUT && !api_request_has_type(request, "application/json")) {
        api_problem(request, "unsupported-media-type", "PUT takes application/json");
        return false;
    }
    if (request->method == API_PATCH &&
        !api_request_has_type(request, "application/merge-patch+json")) {
        request->reply.accept_patch = "application/merge-patch+json";
        api_problem(request, "unsupported-media-type", "PATCH takes application/merge-patch+json");
        return false;
    }
    return true;
}

static size_t body_max(const struct call *call)
{
    return call->request.row != NULL && call->request.row->body_max != 0
               ? call->request.row->body_max
               : API_BODY_MAX;
}

static bool refuse_large(struct call *call)
{
    call->request.reply.must_close = true;
    api_problem(&call->request, "too-large", "the body has more than %zu bytes", body_max(call));
    return false;
}

static bool length_is_fine(struct call *call)
{
    struct slice length = header(call->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes = 0;
    if (length.ptr == NULL) {
        return true;
    }
    if (!num_parse_u64(length, &bytes)) { /* libmicrohttpd has seen that it is a number */
        bytes = UINT64_MAX;
    }
    return bytes <= body_max(call) || refuse_large(call);
}

static void who_is_it(struct call *call)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (info != NULL && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
        peer.pid != 0) {
        (void)snprintf(call->request.who, sizeof(call->request.who), "unix uid=%u pid=%d",
                       (unsigned)peer.uid, (int)peer.pid);
    } else {
        (void)snprintf(call->request.who, sizeof(call->request.who), "tcp");
    }
}

/* Sorts by time, differs between processes. */
static void make_id(char out[API_ID_MAX])
{
    uint32_t tail = 0;
    random_bytes(&tail, sizeof(tail));
    (void)snprintf(out, API_ID_MAX, "%013llx-%08x",
                   (unsigned long long)(now_wall_us() & 0xFFFFFFFFFFFFFULL), tail);
}

static struct call *begin(struct door *door, struct MHD_Connection *connection, const char *url,
                          const char *method)
{
    struct call *call = mem_zero(1, sizeof(*call));
    struct api_request *request = &call->request;
    call->door = door;
    call->connection = connection;
    call->method = method;
    request->control = door->api->control;
    request->path = slice_from(url);
    request->done = on_done;
    request->content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    request->accept = header(connection, MHD_HTTP_HEADER_ACCEPT);
    request->if_match = header(connection, MHD_HTTP_HEADER_IF_MATCH);
    request->if_none_match = header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
    buf_init(&request->reply.body, API_REPLY_MAX);
    make_id(request->id);
    who_is_it(call);
    return call;
}

static bool head_is_fine(struct call *call)
{
    bool fine = framing_is_fine(call) && is_no_browser(call) && path_is_known(call) &&
                method_is_known(call) && query_is_fine(call) && type_is_fine(call) &&
                length_is_fine(call);
    buf_init(&call->body, body_max(call));
    return fine;
}

static void take_body(struct call *call, const char *data, size_t len)
{
    if (!call->body.overflow) {
        (void)buf_append(&call->body, data, len);
    } else {
        call->discarded += len;
    }
}

static enum MHD_Result handle(struct call *call)
{
    struct api_request *request = &call->request;
    if (call->body.overflow) {
        (void)refuse_large(call);
        return queue(call);
    }
    request->body = buf_slice(&call->body);
    call->is_in_handler = true;
    request->row->handlers[request->method](request);
    call->is_in_handler = false;
    if (call->is_done) {
        return queue(call);
    }
    call->is_suspended = true;
    MHD_suspend_connection(call->connection);
    return MHD_YES;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_len, void **state)
{
    struct call *call = *state;
    (void)version;

    if (call == NULL) {
        call = begin(arg, connection, url, method);
        *state = call;
        if (!head_is_fine(call)) {
            call->is_refused = true;
            return queue(call);
        }
        return MHD_YES;
    }
    if (*data_len != 0) {
        take_body(call, data, *data_len);
        *data_len = 0;
        return call->discarded > DISCARD_MAX_TIMES * (uint64_t)body_max(call) ? MHD_NO : MHD_YES;
    }
    return call->is_done ? queue(call) : handle(call);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct call *call = *state;
    (void)arg;
    (void)connection;
    (void)code;
    if (call != NULL) {
        assert(!call->is_suspended);
        buf_fini(&call->body);
        buf_fini(&call->request.reply.body);
        free(call);
        *state = NULL;
    }
}

/* %00 stays as it is: decoded it would end the text, and what follows it would not count. */
static size_t on_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

static void on_mhd_log(void *arg, const char *fmt, va_list args) LB_PRINTF(2, 0);

static void on_mhd_log(void *arg, const char *fmt, va_list args)
{
    char text[256];
    (void)arg;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("api.mhd", "%s", text);
}

/* -- doors -- */

/* With the port that was taken when the file says 0. */
static void log_listening(const struct door *door, int fd)
{
    struct addr bound;
    char text[ADDR_TEXT_MAX];
    socklen_t len = sizeof(bound.u);
    if (getsockname(fd, &bound.u.any, &len) == 0) {
        bound.len = len;
        (void)addr_write(&bound, text);
        log_info(door->is_observe ? "observe.listening" : "api.listening", "address=%s", text);
    }
}

static bool open_door(struct api *api, struct slice address, bool is_observe, struct err *err)
{
    if (api->door_count == DOORS_MAX) {
        return err_set(err, ERR_INVALID, "more than %u sockets for API and observe",
                       (unsigned)DOORS_MAX);
    }
    struct door *door = &api->doors[api->door_count];
    int fd = api_socket_open(address, err);
    if (fd < 0) {
        return false;
    }
    door->api = api;
    door->is_observe = is_observe;
    (void)snprintf(door->text, sizeof(door->text), "%.*s", SLICE_ARG(address));
    door->address = slice_from(door->text);
    door->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access,
        door, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        PER_IP_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEAD_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        on_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (door->daemon == NULL) {
        (void)close(fd);
        api_socket_remove(address);
        return err_set(err, ERR_SYSTEM, "libmicrohttpd does not start on '%s'", door->text);
    }
    api->door_count++; /* from here on api_free closes it */

    const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL ||
        !loop_watch_start(api->loop, &door->watch, info->epoll_fd, LOOP_READ, on_event)) {
        return err_set(err, ERR_SYSTEM, "cannot watch '%s'", door->text);
    }
    log_listening(door, fd);
    turn(door);
    return true;
}

struct api *api_new(const struct api_options *options, struct err *err)
{
    const struct conf_daemon *daemon = options->daemon;
    struct api *api = mem_zero(1, sizeof(*api));
    char usual[API_SOCKET_PATH_MAX + 8];
    bool ok = true;

    api->loop = options->loop;
    api->control = options->control;
    for (uint32_t i = 0; ok && i < daemon->api_listen_count; i++) {
        ok = open_door(api, daemon->api_listen[i], false, err);
    }
    if (ok && daemon->api_listen_count == 0) {
        api_socket_default(usual);
        ok = open_door(api, slice_from(usual), false, err);
    }
    for (uint32_t i = 0; ok && i < daemon->observe_listen_count; i++) {
        ok = open_door(api, daemon->observe_listen[i], true, err);
    }
    if (!ok) {
        api_free(api);
        return NULL;
    }
    return api;
}

void api_free(struct api *api)
{
    if (api == NULL) {
        return;
    }
    for (uint32_t i = 0; i < api->door_count; i++) {
        struct door *door = &api->doors[i];
        loop_watch_stop(&door->watch);
        loop_timer_stop(&door->timer);
        loop_ready_remove(&door->ready);
        MHD_stop_daemon(door->daemon);
        api_socket_remove(door->address);
    }
    free(api);
}
