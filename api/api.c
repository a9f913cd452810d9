#include "api/api.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_calls.h"
#include "api/api_inside.h"
#include "api/api_socket.h"
#include "lbd/base/addr.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/net/flow.h"

#define CONNECTIONS_MAX 256U /* of an observe address */
#define PER_IP_MAX      64U  /* of those: one client must not keep others from the metrics */
#define TIMEOUT_S       30U
#define HEAD_MAX        (32U * 1024U)
#define LEAVE_MS        250U /* for the last answers at sockets that live on */
#define LEAVE_STEP_MS   10

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

void api_turn_soon(struct door *door)
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
        api_turn_soon(door);
    } else {
        loop_timer_set(door->api->loop, &door->timer, wait_ms, on_timer);
    }
}

/* Of a request line, before anything of it is decoded; its path begins here. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct door *door = arg;
    (void)connection;
    door->uri = uri;
    return NULL; /* the call begins with its head */
}

/* The path stays as it is: api_table decodes its parts, in which there may be slashes. So does %00
 * in a query: decoded it would end the text, and what follows it would not count. */
static size_t on_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
    const struct door *door = arg;
    (void)connection;
    if (text == door->uri) {
        return strlen(text);
    }
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

static void on_mhd_log(void *arg, const char *fmt, va_list args) LB_PRINTF(2, 0);

static void on_mhd_log(void *arg, const char *fmt, va_list args)
{
    char text[256];
    (void)arg;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    if (strstr(text, "TCP_") != NULL) {
        return; /* it takes the pair behind a front for TCP */
    }
    log_debug("api.mhd", "%s", text);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)arg;
    (void)connection;
    (void)context;
    api_calls_connection(code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
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
        log_info(door->is_observe ? "observe.listening" : "api.listening", "address=%s%s", text,
                 door->is_inherited ? " opened_by=service_manager" : "");
    }
}

static const struct slice api_name = SLICE_INIT("api");
static const struct slice observe_name = SLICE_INIT("observe");

/* The listening socket of a door: the manager's, else one of our own. */
static int open_socket(struct door *door, struct slice address, struct inherit *inherit,
                       struct err *err)
{
    int fd = api_socket_inherit(inherit, door->is_observe ? observe_name : api_name, address);
    door->is_inherited = fd >= 0;
    return fd >= 0 ? fd : api_socket_open(address, err);
}

static void remove_path(const struct door *door)
{
    if (!door->is_inherited) {
        api_socket_remove(door->address);
    }
}

/* Behind a front it listens on nothing: connections are given to it. */
static struct MHD_Daemon *start_daemon(struct door *door, int fd, bool has_front)
{
    const struct conf_api_limits *limits = door->limits;
    struct MHD_OptionItem listening[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (has_front) {
        listening[0].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (has_front ? MHD_USE_NO_LISTEN_SOCKET : 0U),
        0, NULL, NULL, api_call_on_access, door, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
        MHD_OPTION_ARRAY, listening, MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)limits->connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEAD_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        on_unescape, door, MHD_OPTION_URI_LOG_CALLBACK, on_uri, door, MHD_OPTION_NOTIFY_COMPLETED,
        api_call_on_completed, door, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
        MHD_OPTION_END);
}

/* A connection from behind TLS. */
static bool on_given(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
    struct door *door = arg;
    bool ok = MHD_add_connection(door->daemon, fd, from, len) == MHD_YES;
    api_turn_soon(door);
    return ok;
}

/* What connections on the control loop lean on, as those of workers do. */
static void prepare_connections(struct api *api)
{
    if (api->net == NULL) {
        api->net = mem_zero(1, sizeof(*api->net));
        net_worker_init(api->net);
        loop_slot_set(api->loop, LOOP_SLOT_NET, api->net);
    }
}

static bool open_front(struct door *door, int fd, struct err *err)
{
    prepare_connections(door->api);
    const struct api_front_options options = {
        .loop = door->api->loop,
        .guard = door->api->guard,
        .conf = door->api->conf,
        .fd = fd,
        .give = on_given,
        .arg = door,
    };
    door->front = api_front_new(&options, err);
    return door->front != NULL;
}

static bool open_door(struct api *api, struct slice address, bool is_observe,
                      struct inherit *inherit, struct err *err)
{
    static const struct conf_api_limits observe_limits = {.connections = CONNECTIONS_MAX,
                                                          .connections_per_address = PER_IP_MAX};
    if (api->door_count == API_DOORS_MAX) {
        return err_set(err, ERR_INVALID, "more than %u sockets for API and observe",
                       (unsigned)API_DOORS_MAX);
    }
    struct door *door = &api->doors[api->door_count];
    door->api = api;
    door->is_observe = is_observe;
    door->is_unix = addr_is_unix(address);
    int fd = open_socket(door, address, inherit, err);
    if (fd < 0) {
        return false;
    }
    door->limits = is_observe ? &observe_limits : &api->conf->limits;
    (void)snprintf(door->text, sizeof(door->text), "%.*s", SLICE_ARG(address));
    door->address = slice_from(door->text);
    bool has_front = !is_observe && !door->is_unix && api->conf->tls.chain_file.len != 0;
    door->daemon = start_daemon(door, fd, has_front);
    if (door->daemon == NULL) {
        (void)close(fd);
        remove_path(door);
        return err_set(err, ERR_SYSTEM, "libmicrohttpd does not start on '%s'", door->text);
    }
    api->door_count++; /* from here on api_free closes it */
    log_listening(door, fd);
    if (has_front && !open_front(door, fd, err)) {
        return false;
    }

    const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL ||
        !loop_watch_start(api->loop, &door->watch, info->epoll_fd, LOOP_READ, on_event)) {
        return err_set(err, ERR_SYSTEM, "cannot watch '%s'", door->text);
    }
    turn(door);
    return true;
}

/* One that nobody took would be open, with nobody behind it. */
static bool check_inherited(const struct inherit *inherit, struct err *err)
{
    const struct inherit_socket *left = NULL;
    uint32_t cursor = 0;
    char text[ADDR_TEXT_MAX];
    while (inherit != NULL && (left = inherit_left(inherit, &cursor)) != NULL) {
        bool is_observe = slice_eq(slice_from(left->name), observe_name);
        if (!is_observe && !slice_eq(slice_from(left->name), api_name)) {
            continue; /* a listener's */
        }
        (void)addr_write(&left->address, text);
        return err_set(err, ERR_INVALID,
                       "the service manager passed a socket '%s' on %s, which is not one of "
                       "daemon.%s.listen; make ListenStream= and the configuration say the same",
                       left->name, text, left->name);
    }
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
    api->conf = &daemon->api;
    list_init(&api->streaming);
    list_init(&api->held);
    api->idempotency = api_idempotency_new();
    api->guard = api_guard_new(daemon, err);
    ok = api->guard != NULL;
    for (uint32_t i = 0; ok && i < daemon->api.listen_count; i++) {
        ok = open_door(api, daemon->api.listen[i], false, options->inherit, err);
    }
    if (ok && daemon->api.listen_count == 0) {
        api_socket_default(usual);
        ok = open_door(api, slice_from(usual), false, options->inherit, err);
    }
    for (uint32_t i = 0; ok && i < daemon->observe_listen_count; i++) {
        ok = open_door(api, daemon->observe_listen[i], true, options->inherit, err);
    }
    ok = ok && check_inherited(options->inherit, err);
    if (!ok) {
        api_free(api);
        return NULL;
    }
    return api;
}

bool api_check(const struct conf_daemon *daemon, struct err *err)
{
    if (daemon->api.tls.chain_file.len != 0) {
        struct tls_context *context = api_front_context(&daemon->api, err);
        if (context == NULL) {
            return false;
        }
        tls_context_unref(context);
    }
    return api_guard_check(daemon, err);
}

void api_reload(struct api *api)
{
    api_guard_reload(api->guard);
    for (uint32_t i = 0; i < api->door_count; i++) {
        if (api->doors[i].front != NULL) {
            api_front_reload(api->doors[i].front);
        }
    }
}

void api_reopen_logs(struct api *api)
{
    api_guard_reopen(api->guard);
}

static unsigned count_connections(const struct door *door)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL ? info->num_connections : 0;
}

/* Who is in the queue of a socket that the manager keeps waits for the next lbd; who was let in has
 * a moment to be answered by this one. */
static void leave_door(struct door *door)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd ready = {.fd = info != NULL ? info->epoll_fd : -1, .events = POLLIN};
    uint64_t until = now_us() + LEAVE_MS * 1000U;
    int fd = MHD_quiesce_daemon(door->daemon);
    if (fd >= 0) {
        (void)close(fd);
    }
    do {
        (void)MHD_run(door->daemon);
    } while (count_connections(door) != 0 && now_us() < until &&
             poll(&ready, 1, LEAVE_STEP_MS) >= 0);
}

void api_leave(struct api *api)
{
    for (uint32_t i = 0; api != NULL && i < api->door_count; i++) {
        if (api->doors[i].is_inherited && api->doors[i].front == NULL) {
            leave_door(&api->doors[i]);
        }
    }
}

void api_end_streams(struct api *api)
{
    struct list_node *node = NULL;
    if (api != NULL) {
        api->is_ending = true;
    }
    while (api != NULL && (node = list_first(&api->streaming)) != NULL) {
        api_call_end_stream(container_of(node, struct call, link));
    }
}

void api_free(struct api *api)
{
    if (api == NULL) {
        return;
    }
    api_end_streams(api);
    for (uint32_t i = 0; i < api->door_count; i++) {
        struct door *door = &api->doors[i];
        loop_watch_stop(&door->watch);
        loop_timer_stop(&door->timer);
        loop_ready_remove(&door->ready);
        loop_ready_remove(&api->held_ready);
        (void)MHD_run(door->daemon); /* takes in what was resumed: it must be before the end */
        MHD_stop_daemon(door->daemon);
        api_front_free(door->front);
        remove_path(door);
    }
    if (api->net != NULL) {
        loop_slot_set(api->loop, LOOP_SLOT_NET, NULL);
        net_worker_fini(api->net);
        free(api->net);
    }
    api_idempotency_free(api->idempotency);
    api_guard_free(api->guard);
    free(api);
}
