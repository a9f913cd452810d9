/* upstream_stand - see upstream_stand.h. */
#include "tests/unit/upstream_stand.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/stats/counters.h"
#include "lbd/upstream/idle.h"

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void set_clock(const struct upstream_stand *stand)
{
    now_set_for_test(stand->clock_us, 1700000000000000ULL + stand->clock_us);
}

static void open_server(struct upstream_stand *stand, uint32_t i)
{
    struct addr *address = &stand->addresses[i];
    char name[8];
    *address = (struct addr){.len = sizeof(address->u)};
    address->u.v4.sin_family = AF_INET;
    address->u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &address->u.any, sizeof(address->u.v4)), 0);
    ck_assert_int_eq(listen(fd, 128), 0);
    ck_assert_int_eq(getsockname(fd, &address->u.any, &address->len), 0);
    stand->listening[i] = fd;
    stand->held[i] = -1;
    (void)snprintf(name, sizeof(name), "s%u", i);
    stand->servers[i] =
        server_new(SLICE("web"), slice_from(name), counters_acquire(COUNTERS_SERVER));
}

static struct pool *make_pool(struct upstream_stand *stand, uint32_t id, uint32_t version)
{
    struct pool *pool = pool_new(SLICE("web"), id, stand->count);
    for (uint32_t i = 0; i < stand->count; i++) {
        pool->members[i].server = server_ref(stand->servers[i]);
        pool->members[i].address = stand->addresses[i];
        pool->members[i].address_version = version;
        pool->members[i].host = SLICE("server.example:80");
        pool->targets[i].weight = 1;
    }
    return pool;
}

void upstream_stand_open(struct upstream_stand *stand, const struct upstream_stand_options *options)
{
    memset(stand, 0, sizeof(*stand));
    stand->clock_us = 9000000000ULL;
    set_clock(stand);
    counters_init(1);
    loop_stand_open(&stand->base);
    http_worker_init(&stand->http);
    loop_slot_set(stand->base.loop, LOOP_SLOT_HTTP, &stand->http);
    upstream_worker_init(&stand->upstream, stand->base.loop, counters_worker(0), 0, 1);
    stand->count = options->servers;
    for (uint32_t i = 0; i < stand->count; i++) {
        open_server(stand, i);
        if ((options->down >> i & 1U) == 0) {
            (void)server_set_health(stand->servers[i], SERVER_UP, now_wall_us());
        }
    }
    stand->pool = make_pool(stand, counters_acquire(COUNTERS_POOL), 1);
    for (uint32_t i = 0; i < stand->count; i++) {
        stand->pool->targets[i].max_in_flight = options->max_in_flight;
    }
    retry_policy_init(&stand->pool->retry, options->retries);
    stand->pool->connect_ms = or_default(options->connect_ms, 1000);
    stand->pool->response_ms = or_default(options->response_ms, 1000);
    stand->pool->idle_ms = or_default(options->idle_ms, 1000);
    stand->pool->max_age_ms = options->max_age_ms;
    stand->pool->http = options->http;
    stand->pool->send_proxy = options->send_proxy;
    pool_build(stand->pool, BALANCER_ROUND_ROBIN);
}

struct pool *upstream_stand_next_pool(struct upstream_stand *stand, uint32_t address_version)
{
    struct pool *next = make_pool(stand, stand->pool->id, address_version);
    next->retry = stand->pool->retry;
    next->connect_ms = stand->pool->connect_ms;
    next->response_ms = stand->pool->response_ms;
    next->idle_ms = stand->pool->idle_ms;
    pool_build(next, BALANCER_ROUND_ROBIN);
    return next;
}

const struct counters_pool *upstream_stand_counters(struct upstream_stand *stand)
{
    return counters_of_pool(stand->upstream.counters, stand->pool->id);
}

/* What every end of a worker must find. */
static void check_books(struct upstream_stand *stand)
{
    const struct counters_pool *pool = upstream_stand_counters(stand);
    ck_assert_uint_eq(pool->connections_opened, pool->connections_closed);
    ck_assert_uint_eq(pool->requests_started, pool->requests_finished);
    ck_assert_uint_eq(pool->idle_added, pool->idle_removed);
    if (stand->pool->http == POOL_HTTP1) {
        ck_assert_uint_ge(pool->idle_added, pool->reuses);
    }
    for (uint32_t i = 0; i < stand->count; i++) {
        const struct server *server = stand->servers[i];
        const struct counters_server *counters =
            counters_of_server(stand->upstream.counters, server->id);
        ck_assert_uint_eq(atomic_load(&server->load.in_flight), 0);
        ck_assert_uint_eq(counters->connections_opened, counters->connections_closed);
        ck_assert_uint_eq(atomic_load(&server->refs), 2); /* ours and the pool's */
    }
}

void upstream_stand_close(struct upstream_stand *stand)
{
    idle_close_all(&stand->upstream);
    upstream_conn_end_lingering(&stand->upstream);
    loop_run_once(stand->base.loop, 0);
    check_books(stand);
    for (uint32_t i = 0; i < stand->count; i++) {
        if (stand->listening[i] >= 0) {
            (void)close(stand->listening[i]);
        }
        if (stand->held[i] >= 0) {
            (void)close(stand->held[i]);
        }
        server_unref(stand->servers[i]);
    }
    pool_unref(stand->pool);
    upstream_worker_fini(&stand->upstream);
    http_worker_fini(&stand->http);
    loop_stand_close(&stand->base);
    counters_fini();
    now_set_for_test(0, 0);
}

void upstream_stand_tick(struct upstream_stand *stand, uint64_t more_ms)
{
    stand->clock_us += more_ms * 1000;
    set_clock(stand);
    loop_run_once(stand->base.loop, 0);
    loop_stand_settle(&stand->base);
}

void upstream_stand_refuse(struct upstream_stand *stand, uint32_t i)
{
    (void)close(stand->listening[i]);
    stand->listening[i] = -1;
    stand->held[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, not listening */
    ck_assert_int_eq(bind(stand->held[i], &stand->addresses[i].u.any, stand->addresses[i].len), 0);
}

bool upstream_stand_has_connection(struct upstream_stand *stand, uint32_t i)
{
    struct pollfd event = {.fd = stand->listening[i], .events = POLLIN};
    loop_stand_settle(&stand->base);
    return poll(&event, 1, 0) == 1;
}

int upstream_stand_accept(struct upstream_stand *stand, uint32_t i)
{
    int fd = -1;
    for (int turn = 0; turn < LOOP_STAND_TURNS && fd < 0; turn++) {
        fd = accept4(stand->listening[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            loop_stand_turn(&stand->base);
        }
    }
    ck_assert_msg(fd >= 0, "no connection to server %u", i);
    loop_stand_settle(&stand->base);
    return fd;
}
