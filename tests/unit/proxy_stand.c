/* proxy_stand - see proxy_stand.h. */
#include "tests/unit/proxy_stand.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/stats/counters.h"

static void on_released(struct lease *lease)
{
    struct proxy_stand *stand = lease->arg;
    stand->released++;
}

static void on_quiet(struct proxy_worker *proxy)
{
    container_of(proxy, struct proxy_stand, proxy)->quiet++;
}

static void add_route(struct proxy_stand *stand, uint32_t i, const char *name, const char *prefix,
                      enum conf_action action)
{
    struct conf_route *conf = &stand->confs[i];
    conf->name = slice_from(name);
    conf->match.host = &stand->host;
    conf->match.host_count = 1;
    conf->match.path_prefix = slice_from(prefix);
    conf->action = action;
    stand->routes[i] = (struct route){
        .name = conf->name,
        .id = counters_acquire(COUNTERS_ROUTE),
        .action = action,
        .pool = action == CONF_ACTION_POOL ? stand->up.pool : NULL,
    };
}

static void build_routes(struct proxy_stand *stand)
{
    static const struct conf_route *confs[PROXY_STAND_ROUTES];
    static struct route *routes[PROXY_STAND_ROUTES];
    stand->host = SLICE("a.example");
    add_route(stand, 0, "all", "/", CONF_ACTION_POOL);
    add_route(stand, 1, "trailers", "/trailers", CONF_ACTION_POOL);
    stand->routes[1].forward_trailers = true;
    add_route(stand, 2, "fixed", "/fixed", CONF_ACTION_RESPOND);
    stand->routes[2].status = 200;
    stand->routes[2].body = SLICE("fixed answer");
    stand->routes[2].content_type = SLICE("text/plain");
    add_route(stand, 3, "moved", "/moved", CONF_ACTION_REDIRECT);
    stand->routes[3].status = 301;
    stand->routes[3].location = SLICE("https://x.example{path}");
    for (size_t i = 0; i < PROXY_STAND_ROUTES; i++) {
        confs[i] = &stand->confs[i];
        routes[i] = &stand->routes[i];
    }
    stand->plan.routes = route_table_build(&stand->arena, confs, routes, PROXY_STAND_ROUTES);
}

void proxy_stand_open(struct proxy_stand *stand, const struct proxy_stand_options *options)
{
    struct err err = {0};
    struct addr address;
    memset(stand, 0, sizeof(*stand));
    upstream_stand_open(&stand->up, &options->upstream);
    arena_init(&stand->arena, NULL, 0);
    stand->log = options->no_log ? NULL : access_log_new(-1);
    proxy_worker_init(&stand->proxy, stand->up.base.loop, &stand->up.upstream, stand->log, 0,
                      options->max_connections != 0 ? options->max_connections : 100);
    stand->proxy.on_quiet = on_quiet;
    lease_init(&stand->lease, on_released, stand);
    stand->proxy.lease = &stand->lease;
    stand->proxy.revision = 42;

    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &address));
    stand->bind = listener_bind_open(&address, 1, &err);
    ck_assert_msg(stand->bind != NULL, "%s", err.text);
    stand->listener = listener_new(SLICE("http"), counters_acquire(COUNTERS_LISTENER));
    build_routes(stand);
    stand->plan.listener = stand->listener;
    stand->plan.binds = &stand->bind;
    stand->plan.bind_count = 1;
    stand->plan.timeouts = (struct conf_listener_timeouts){
        .header_ms = PROXY_STAND_WAIT_MS,
        .body_idle_ms = PROXY_STAND_WAIT_MS,
        .keep_alive_ms = PROXY_STAND_WAIT_MS,
        .write_idle_ms = PROXY_STAND_WAIT_MS,
        .tunnel_idle_ms = PROXY_STAND_WAIT_MS,
    };
    stand->plan.limits = (struct conf_listener_limits){
        .connections = options->connections, .header_size_bytes = 16384, .header_fields = 100};
    stand->plan.protocol = options->protocol;
    if (options->protocol != CONF_PROTOCOL_HTTP) {
        stand->plan.default_route = &stand->routes[0];
        stand->plan.timeouts.handshake_ms = PROXY_STAND_WAIT_MS;
        stand->plan.timeouts.first_byte_ms = PROXY_STAND_WAIT_MS / 4;
        listener_bind_server_first(stand->bind, plan_is_server_first(&stand->plan));
    }
    stand->front = front_new(&stand->proxy, &stand->plan);
}

static void check_books(const struct proxy_stand *stand)
{
    const struct counters_listener *counters = proxy_stand_counters(stand);
    ck_assert_uint_eq(stand->proxy.sessions.objects, 0);
    ck_assert_uint_eq(stand->proxy.exchanges.objects, 0);
    ck_assert_uint_eq(stand->proxy.exchange_heads.objects, 0);
    ck_assert_uint_eq(stand->proxy.tcp_sessions.objects, 0);
    ck_assert_uint_eq(stand->proxy.tunnels.objects, 0);
    ck_assert_uint_eq(stand->proxy.exchange_tunnels.objects, 0);
    ck_assert_uint_eq(stand->proxy.tunnel_count, 0);
    ck_assert_uint_eq(stand->up.http.h1_conns.objects, 0);
    ck_assert_uint_eq(proxy_stand_open_count(stand), 0);
    ck_assert_uint_eq(atomic_load(&stand->listener->connections), 0);
    ck_assert_uint_eq(counters->connections_opened, counters->connections_closed);
    ck_assert_uint_eq(counters->requests_started, counters->requests_finished);
    ck_assert_uint_eq(stand->proxy.counters->loop.connections_opened,
                      stand->proxy.counters->loop.connections_closed);
    ck_assert_uint_eq(stand->lease.count, 0);
}

void proxy_stand_close(struct proxy_stand *stand)
{
    if (stand->front != NULL) {
        front_end(stand->front, CLOSE_SHUTDOWN);
    }
    loop_stand_settle(&stand->up.base);
    check_books(stand);
    ck_assert_uint_eq(stand->released, 0);
    lease_retire(&stand->lease);
    ck_assert_uint_eq(stand->released, 1);
    proxy_worker_fini(&stand->proxy);
    access_log_free(stand->log);
    listener_bind_unref(stand->bind);
    listener_unref(stand->listener);
    arena_fini(&stand->arena);
    upstream_stand_close(&stand->up);
}

void proxy_stand_settle(struct proxy_stand *stand)
{
    loop_stand_settle(&stand->up.base);
}

void proxy_stand_tick(struct proxy_stand *stand, uint64_t more_ms)
{
    upstream_stand_tick(&stand->up, more_ms);
}

int proxy_stand_client(struct proxy_stand *stand)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, &stand->bind->bound.u.any, stand->bind->bound.len), 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

uint32_t proxy_stand_open_count(const struct proxy_stand *stand)
{
    return atomic_load(&stand->proxy.open_connections);
}

const struct counters_listener *proxy_stand_counters(const struct proxy_stand *stand)
{
    return counters_of_listener(stand->proxy.counters, stand->listener->id);
}

const char *proxy_stand_log(struct proxy_stand *stand)
{
    static char text[PROXY_STAND_TEXT];
    struct slice pieces[2];
    size_t len = access_log_peek(stand->log, pieces);
    ck_assert_uint_lt(len, sizeof(text));
    size_t at = 0;
    for (size_t i = 0; i < 2; i++) {
        if (pieces[i].len > 0) {
            memcpy(text + at, pieces[i].ptr, pieces[i].len);
            at += pieces[i].len;
        }
    }
    text[len] = '\0';
    access_log_consume(stand->log, len);
    return text;
}

const char *hear(struct proxy_stand *stand, int fd)
{
    static char text[PROXY_STAND_TEXT];
    loop_stand_settle(&stand->up.base);
    text[peer_read(fd, text, sizeof(text) - 1)] = '\0';
    return text;
}

static bool ends_in(const char *text, size_t len, const char *ending)
{
    size_t ending_len = strlen(ending);
    return len >= ending_len && memcmp(text + len - ending_len, ending, ending_len) == 0;
}

const char *hear_until(struct proxy_stand *stand, int fd, const char *ending)
{
    static char text[PROXY_STAND_TEXT];
    size_t len = 0;
    for (int turn = 0; turn < LOOP_STAND_TURNS && !ends_in(text, len, ending); turn++) {
        loop_stand_turn(&stand->up.base);
        len += peer_read(fd, text + len, sizeof(text) - 1 - len);
    }
    text[len] = '\0';
    ck_assert_msg(ends_in(text, len, ending), "no \"%s\" at the end of:\n%s", ending, text);
    return text;
}

void tell(struct proxy_stand *stand, int fd, const char *text)
{
    peer_say(fd, text);
    loop_stand_settle(&stand->up.base);
}

const char *round_trip(struct proxy_stand *stand, int client, int server, const char *answer)
{
    tell(stand, client, GET("/again"));
    (void)hear_until(stand, server, "\r\n\r\n");
    tell(stand, server, answer);
    return hear_until(stand, client, strrchr(answer, '\n') + 1);
}
