/* Worker threads under requests: snapshots come and go, listeners drain, everything stops. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/stats/counters.h"
#include "lbd/worker/worker.h"
#include "tests/unit/unit.h"

enum { WORKERS = 2, WAIT_MS = 60000 };

/* -- a server that answers every request -- */

struct origin {
    int listening;
    struct addr address;
    pthread_t thread;
    atomic_bool stops;
    atomic_bool slow; /* answers only when it is false again */
    _Atomic uint64_t requests;
};

static bool answer(struct origin *origin, int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norigin";
    char bytes[4096];
    if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
        return false;
    }
    atomic_fetch_add(&origin->requests, 1);
    while (atomic_load(&origin->slow) && !atomic_load(&origin->stops)) {
        (void)poll(NULL, 0, 1);
    }
    return send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0;
}

static void *serve(void *arg)
{
    enum { CONNECTIONS = 128 };
    struct origin *origin = arg;
    struct pollfd fds[CONNECTIONS] = {{.fd = origin->listening, .events = POLLIN}};
    nfds_t count = 1;
    while (!atomic_load(&origin->stops)) {
        (void)poll(fds, count, 5);
        for (nfds_t i = count; i-- > 1;) {
            if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
                !answer(origin, fds[i].fd)) {
                (void)close(fds[i].fd);
                fds[i] = fds[--count];
            }
        }
        if ((fds[0].revents & POLLIN) != 0 && count < CONNECTIONS) {
            int fd = accept4(origin->listening, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0) {
                fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
            }
        }
    }
    for (nfds_t i = 0; i < count; i++) {
        (void)close(fds[i].fd);
    }
    return NULL;
}

static void origin_start(struct origin *origin)
{
    struct addr *address = &origin->address;
    *address = (struct addr){.len = sizeof(address->u)};
    address->u.v4.sin_family = AF_INET;
    address->u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    atomic_init(&origin->stops, false);
    atomic_init(&origin->slow, false);
    atomic_init(&origin->requests, 0);
    origin->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(origin->listening, &address->u.any, sizeof(address->u.v4)), 0);
    ck_assert_int_eq(listen(origin->listening, 128), 0);
    ck_assert_int_eq(getsockname(origin->listening, &address->u.any, &address->len), 0);
    ck_assert_int_eq(pthread_create(&origin->thread, NULL, serve, origin), 0);
}

static void origin_stop(struct origin *origin)
{
    atomic_store(&origin->stops, true);
    (void)pthread_join(origin->thread, NULL);
}

/* -- the control thread: this one -- */

static struct {
    struct mailbox mailbox;
    struct workers *workers;
    struct origin origin;
    struct server *server;
    struct pool *pool;
    struct listener *listener;
    struct listener_bind *bind;
    uint64_t published;
    unsigned adopted;
    unsigned released;
    unsigned drained;
} house;

/* A snapshot of this test: its routes lie in it, so that one freed too early is seen. */
struct edition {
    struct snapshot snapshot;
    struct plan plan;
    struct plan *plans[1];
    struct conf_route confs[2];
    struct route routes[2];
    const struct conf_route *conf_list[2];
    struct route *route_list[2];
    char body[32];
};

static void on_adopted(struct snapshot *snapshot, void *arg)
{
    ck_assert_ptr_eq(arg, &house);
    ck_assert_uint_gt(snapshot->generation, 0);
    house.adopted++;
}

static void edition_free(struct edition *edition)
{
    pool_unref(edition->routes[0].pool);
    arena_fini(&edition->snapshot.arena);
    free(edition->snapshot.leases);
    memset(edition, 0xdd, sizeof(*edition));
    free(edition);
}

static void on_released(struct snapshot *snapshot, void *arg)
{
    ck_assert_ptr_eq(arg, &house);
    edition_free(container_of(snapshot, struct edition, snapshot));
    house.released++;
}

static void on_drained(void *arg)
{
    ck_assert_ptr_eq(arg, &house);
    house.drained++;
}

/* "/" goes to the pool, "/rev" says which edition answers. */
static struct edition *edition_new(bool with_listener, uint32_t keep_alive_ms)
{
    struct edition *edition = mem_zero(1, sizeof(*edition));
    struct snapshot *snapshot = &edition->snapshot;
    arena_init(&snapshot->arena, NULL, 0);
    snapshot->generation = ++house.published;
    snapshot->revision = snapshot->generation;
    snapshot->worker_count = WORKERS;
    snapshot->leases = mem_zero_aligned(WORKERS * sizeof(struct lease));
    edition->plans[0] = &edition->plan;
    snapshot->plans = edition->plans;
    snapshot->plan_count = with_listener ? 1 : 0;

    (void)snprintf(edition->body, sizeof(edition->body), "rev %llu",
                   (unsigned long long)snapshot->generation);
    edition->confs[0] = (struct conf_route){.name = SLICE("all"), .match.path_prefix = SLICE("/")};
    edition->routes[0] = (struct route){
        .name = SLICE("all"), .action = CONF_ACTION_POOL, .pool = pool_ref(house.pool)};
    edition->confs[1] =
        (struct conf_route){.name = SLICE("rev"), .match.path_prefix = SLICE("/rev")};
    edition->routes[1] = (struct route){.name = SLICE("rev"),
                                        .action = CONF_ACTION_RESPOND,
                                        .status = 200,
                                        .body = slice_from(edition->body)};
    for (size_t i = 0; i < 2; i++) {
        edition->conf_list[i] = &edition->confs[i];
        edition->route_list[i] = &edition->routes[i];
    }
    struct plan *plan = &edition->plan;
    plan->routes = route_table_build(&snapshot->arena, edition->conf_list, edition->route_list, 2);
    plan->listener = house.listener;
    plan->binds = &house.bind;
    plan->bind_count = 1;
    plan->snapshot = snapshot;
    plan->timeouts = (struct conf_listener_timeouts){.header_ms = WAIT_MS,
                                                     .body_idle_ms = WAIT_MS,
                                                     .keep_alive_ms = keep_alive_ms,
                                                     .write_idle_ms = WAIT_MS,
                                                     .tunnel_idle_ms = WAIT_MS};
    plan->limits = (struct conf_listener_limits){.header_size_bytes = 8192, .header_fields = 100};
    return edition;
}

static void publish(bool with_listener)
{
    workers_publish(house.workers, &edition_new(with_listener, WAIT_MS)->snapshot, on_adopted,
                    &house);
}

/* Delivers what the workers say until the condition holds. */
#define house_until(condition)                                                                     \
    do {                                                                                           \
        uint64_t end_us_ = now_us() + WAIT_MS * 1000ULL;                                           \
        while (!(condition) && now_us() < end_us_) {                                               \
            struct pollfd bell_ = {.fd = mailbox_fd(&house.mailbox), .events = POLLIN};            \
            (void)poll(&bell_, 1, 5);                                                              \
            (void)mailbox_drain(&house.mailbox);                                                   \
        }                                                                                          \
        ck_assert_msg(condition, "never: %s", #condition);                                         \
    } while (0)

static void house_open(void)
{
    struct err err = {0};
    struct addr any;
    memset(&house, 0, sizeof(house));
    counters_init(WORKERS);
    origin_start(&house.origin);
    ck_assert(mailbox_init(&house.mailbox, &house, &err));
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &any));
    house.bind = listener_bind_open(&any, WORKERS, &err);
    ck_assert_ptr_nonnull(house.bind);
    house.listener = listener_new(SLICE("web"), counters_acquire(COUNTERS_LISTENER));
    house.server = server_new(SLICE("p"), SLICE("s"), counters_acquire(COUNTERS_SERVER));
    (void)server_set_health(house.server, SERVER_UP, 0);
    house.pool = pool_new(SLICE("p"), counters_acquire(COUNTERS_POOL), 1);
    house.pool->members[0].server = server_ref(house.server);
    house.pool->members[0].address = house.origin.address;
    house.pool->members[0].address_version = 1;
    house.pool->members[0].host = SLICE("o");
    house.pool->targets[0].weight = 1;
    house.pool->connect_ms = WAIT_MS;
    house.pool->response_ms = WAIT_MS;
    house.pool->idle_ms = WAIT_MS;
    retry_policy_init(&house.pool->retry, 1);
    pool_build(house.pool, BALANCER_LEAST_REQUEST);
    const struct workers_options options = {
        .count = WORKERS,
        .control = &house.mailbox,
        .max_connections = 1000,
        .drain_timeout_ms = WAIT_MS,
        .released = on_released,
        .arg = &house,
    };
    house.workers = workers_start(&options, &err);
    ck_assert_msg(house.workers != NULL, "%s", err.text);
    ck_assert_uint_eq(workers_count(house.workers), WORKERS);
}

static void house_close(void)
{
    workers_stop(house.workers);
    while (mailbox_drain(&house.mailbox) > 0) {
    }
    ck_assert_uint_eq(house.released, house.published); /* every one came back */
    ck_assert_uint_eq(atomic_load(&house.listener->connections), 0);
    ck_assert_uint_eq(atomic_load(&house.listener->refs), 1);
    ck_assert_uint_eq(atomic_load(&house.bind->refs), 1);
    ck_assert_uint_eq(atomic_load(&house.pool->refs), 1);
    ck_assert_uint_eq(atomic_load(&house.server->refs), 2);
    ck_assert_uint_eq(atomic_load(&house.server->load.in_flight), 0);
    struct counters_listener listener;
    counters_read(COUNTERS_LISTENER, house.listener->id, &listener);
    ck_assert_uint_eq(listener.connections_opened, listener.connections_closed);
    ck_assert_uint_eq(listener.requests_started, listener.requests_finished);
    struct counters_pool pool;
    counters_read(COUNTERS_POOL, house.pool->id, &pool);
    ck_assert_uint_eq(pool.connections_opened, pool.connections_closed);
    ck_assert_uint_eq(pool.requests_started, pool.requests_finished);
    ck_assert_uint_eq(pool.idle_added, pool.idle_removed);
    origin_stop(&house.origin);
    pool_unref(house.pool);
    server_unref(house.server);
    listener_unref(house.listener);
    listener_bind_unref(house.bind);
    mailbox_fini(&house.mailbox);
    counters_fini();
}

/* -- clients -- */

static int client_connect(void)
{
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &house.bind->bound.u.any, house.bind->bound.len) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool client_send(int fd, const char *path)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    return send(fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Reads one answer; its body in `out`. False: none came, or not a 200. */
static bool client_receive(int fd, char *out, size_t max, bool *closes)
{
    char text[2048] = "";
    size_t len = 0;
    char *body = NULL;
    size_t want = 0;
    while (body == NULL || len < (size_t)(body - text) + want) {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        text[len] = '\0';
        body = strstr(text, "\r\n\r\n");
        if (body != NULL) {
            const char *length = strstr(text, "Content-Length: ");
            body += 4;
            want = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
        }
    }
    *closes = strstr(text, "Connection: close") != NULL;
    (void)snprintf(out, max, "%.*s", (int)want, body);
    return strncmp(text, "HTTP/1.1 200 ", 13) == 0;
}

struct crowd {
    pthread_t thread;
    atomic_bool *stops;
    _Atomic uint64_t answers;
    uint64_t failures;
    uint64_t last_revision;
    uint64_t steps_back; /* an older revision after a newer one on the same connection */
};

static void *ask_on(void *arg)
{
    struct crowd *crowd = arg;
    int fd = client_connect();
    while (!atomic_load(crowd->stops)) {
        char body[64];
        bool closes = false;
        bool of_pool = crowd->answers % 2 == 0;
        if (!client_send(fd, of_pool ? "/x" : "/rev") ||
            !client_receive(fd, body, sizeof(body), &closes) || closes ||
            (of_pool && strcmp(body, "origin") != 0)) {
            crowd->failures++;
            break;
        }
        atomic_fetch_add(&crowd->answers, 1);
        if (!of_pool) {
            uint64_t revision = strtoull(body + 4, NULL, 10);
            crowd->steps_back += revision < crowd->last_revision ? 1 : 0;
            crowd->last_revision = revision;
        }
    }
    (void)close(fd);
    return NULL;
}

/* -- tests -- */

START_TEST(there_is_at_least_one_worker)
{
    ck_assert_uint_ge(workers_auto_count(), 1);
    ck_assert_uint_le(workers_auto_count(), SNAPSHOT_WORKERS_MAX);
}
END_TEST

START_TEST(starts_and_stops_without_a_word)
{
    house_open();
    house_close();
    house_open();
    publish(true);
    house_close(); /* the publication may still be on its way */
}
END_TEST

START_TEST(a_hundred_snapshots_under_requests)
{
    enum { CLIENTS = 4, EDITIONS = 100 };
    static struct crowd crowd[CLIENTS];
    atomic_bool stops = false;
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    for (size_t i = 0; i < CLIENTS; i++) {
        crowd[i] = (struct crowd){.stops = &stops};
        ck_assert_int_eq(pthread_create(&crowd[i].thread, NULL, ask_on, &crowd[i]), 0);
    }
    house_until(atomic_load(&crowd[0].answers) > 0);
    for (unsigned i = 0; i < EDITIONS; i++) {
        publish(true);
        if (i % 3 != 0) { /* sometimes two are on their way */
            house_until(house.adopted == house.published);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        house_until(atomic_load(&crowd[i].answers) > 10);
    }
    house_until(house.adopted == EDITIONS + 1);
    house_until(house.released >= EDITIONS); /* all but the last come back while clients stay */
    ck_assert_uint_eq(house.released, EDITIONS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_uint_eq(workers_generation(house.workers, i), EDITIONS + 1);
        ck_assert_uint_gt(workers_loop_stats(house.workers, i).passes, 0);
    }
    atomic_store(&stops, true);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)pthread_join(crowd[i].thread, NULL);
        ck_assert_uint_eq(crowd[i].failures, 0);
        ck_assert_uint_eq(crowd[i].steps_back, 0);
        ck_assert_uint_gt(crowd[i].answers, 0);
    }
    house_close();
}
END_TEST

START_TEST(a_request_holds_its_snapshot_until_its_answer_is_sent)
{
    char body[64];
    bool closes;
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    atomic_store(&house.origin.slow, true);
    int fd = client_connect();
    ck_assert(client_send(fd, "/x"));
    house_until(atomic_load(&house.origin.requests) == 1);
    publish(true);
    publish(true);
    house_until(house.adopted == 3);
    house_until(house.released == 1); /* the second one, which nobody used */
    atomic_store(&house.origin.slow, false);
    ck_assert(client_receive(fd, body, sizeof(body), &closes));
    ck_assert_str_eq(body, "origin");
    ck_assert(!closes);
    house_until(house.released == 2);
    ck_assert(client_send(fd, "/rev")); /* the same connection, the newest plan */
    ck_assert(client_receive(fd, body, sizeof(body), &closes));
    ck_assert_str_eq(body, "rev 3");
    (void)close(fd);
    house_close();
}
END_TEST

START_TEST(a_listener_that_is_removed_drains_with_its_snapshot)
{
    char body[64];
    bool closes;
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    int idle = client_connect();
    ck_assert(client_send(idle, "/rev"));
    ck_assert(client_receive(idle, body, sizeof(body), &closes));
    publish(false);
    house_until(house.adopted == 2);
    for (int i = 0; i < 20; i++) {
        house_until(true);
        (void)poll(NULL, 0, 1);
        (void)mailbox_drain(&house.mailbox);
    }
    ck_assert_uint_eq(house.released, 0); /* the old plan still serves its client */
    ck_assert(client_send(idle, "/rev"));
    ck_assert(client_receive(idle, body, sizeof(body), &closes));
    ck_assert_str_eq(body, "rev 1");
    ck_assert(closes);
    house_until(house.released == 1);
    (void)close(idle);
    house_close();
}
END_TEST

START_TEST(a_drain_ends_when_the_last_answer_is_sent)
{
    char body[64];
    bool closes;
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    atomic_store(&house.origin.slow, true);
    int fd = client_connect();
    ck_assert(client_send(fd, "/x"));
    house_until(atomic_load(&house.origin.requests) == 1);
    workers_drain(house.workers, WAIT_MS, on_drained, &house);
    (void)poll(NULL, 0, 20);
    (void)mailbox_drain(&house.mailbox);
    ck_assert_uint_eq(house.drained, 0);
    atomic_store(&house.origin.slow, false);
    ck_assert(client_receive(fd, body, sizeof(body), &closes));
    ck_assert(closes);
    house_until(house.drained == 1);
    (void)close(fd);
    house_close();
}
END_TEST

START_TEST(a_drain_has_an_end)
{
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    atomic_store(&house.origin.slow, true);
    int busy = client_connect();
    int idle = client_connect();
    char body[64];
    bool closes;
    ck_assert(client_send(idle, "/rev"));
    ck_assert(client_receive(idle, body, sizeof(body), &closes));
    ck_assert(client_send(busy, "/x"));
    house_until(atomic_load(&house.origin.requests) == 1);
    workers_drain(house.workers, 50, on_drained, &house);
    house_until(house.drained == 1);
    ck_assert_uint_eq(workers_connections(house.workers, 0) + workers_connections(house.workers, 1),
                      0);
    (void)close(busy);
    (void)close(idle);
    atomic_store(&house.origin.slow, false);
    house_close();
}
END_TEST

START_TEST(a_drain_of_nothing_is_over_at_once)
{
    house_open();
    workers_drain(house.workers, WAIT_MS, on_drained, &house);
    house_until(house.drained == 1);
    publish(true); /* what comes now is adopted but opens nothing */
    house_until(house.adopted == 1);
    house_close();
}
END_TEST

START_TEST(stopping_ends_whatever_is_open)
{
    char body[64];
    bool closes;
    int fds[6];
    house_open();
    publish(true);
    house_until(house.adopted == 1);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = client_connect();
        if (i < 2) { /* idle */
            ck_assert(client_send(fds[i], "/rev"));
            ck_assert(client_receive(fds[i], body, sizeof(body), &closes));
        } else if (i < 4) { /* in the middle of a head */
            ck_assert_int_eq(send(fds[i], "GET ", 4, 0), 4);
        }
    }
    atomic_store(&house.origin.slow, true);
    ck_assert(client_send(fds[4], "/x")); /* at a server */
    house_until(atomic_load(&house.origin.requests) == 1);
    publish(true);
    house_close();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
}
END_TEST

UNIT_TESTS("worker", there_is_at_least_one_worker, starts_and_stops_without_a_word,
           a_hundred_snapshots_under_requests,
           a_request_holds_its_snapshot_until_its_answer_is_sent,
           a_listener_that_is_removed_drains_with_its_snapshot,
           a_drain_ends_when_the_last_answer_is_sent, a_drain_has_an_end,
           a_drain_of_nothing_is_over_at_once, stopping_ends_whatever_is_open)
