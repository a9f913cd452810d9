/* A client connection and its listener: limits, idling, lingering, drains. */
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/session.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

static struct proxy_stand stand;

static void begin(void)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}};
    proxy_stand_open(&stand, &options);
}

static void end(void)
{
    proxy_stand_settle(&stand);
    proxy_stand_close(&stand);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in:\n%s", part, text);
}

static uint64_t ending(enum close_reason reason)
{
    return proxy_stand_counters(&stand)->endings[reason];
}

/* A client whose first request was answered. */
static int served_client(void)
{
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/fixed"));
    (void)hear_until(&stand, client, "fixed answer");
    return client;
}

/* -- idle -- */

START_TEST(an_idle_client_is_a_session_and_nothing_else)
{
    begin();
    int client = served_client();
    ck_assert_uint_eq(stand.proxy.sessions.objects, 1);
    ck_assert_uint_eq(stand.up.http.h1_conns.objects, 0);
    ck_assert_uint_eq(stand.proxy.exchanges.objects, 0);
    ck_assert_uint_eq(stand.proxy.exchange_heads.objects, 0);
    ck_assert_uint_eq(stand.up.base.net.buffered_bytes, 0);
    (void)close(client);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    end();
}
END_TEST

START_TEST(keep_alive_has_its_time)
{
    begin();
    int client = served_client();
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS - 100);
    tell(&stand, client, GET("/fixed")); /* a new time begins */
    (void)hear_until(&stand, client, "fixed answer");
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS - 100);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    proxy_stand_tick(&stand, 200);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    proxy_stand_until(&stand, peer_sees_end(client));
    (void)close(client);
    end();
}
END_TEST

START_TEST(a_head_has_its_time_also_the_second_one)
{
    for (int second = 0; second < 2; second++) {
        begin();
        int client = second == 0 ? proxy_stand_client(&stand) : served_client();
        tell(&stand, client, "GET / HTTP/1.1\r\nHost: a.ex");
        proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS + 20);
        has(hear_until(&stand, client, "\n"), "HTTP/1.1 408 ");
        ck_assert_uint_eq(ending(CLOSE_HEADER_TIMEOUT), 1);
        has(proxy_stand_log(&stand), "\"reason\":\"header_timeout\"");
        (void)close(client);
        end();
    }
}
END_TEST

START_TEST(a_refused_client_lingers_until_it_has_seen_why)
{
    begin();
    int client = proxy_stand_client(&stand);
    tell(&stand, client, "BAD\r\n\r\n");
    static char more[60000];
    ck_assert_uint_gt(peer_write(client, more, sizeof(more)), 0); /* bytes under way */
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 400 ");
    proxy_stand_until(&stand, peer_sees_end(client)); /* an end and no reset */
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    (void)close(client);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    /* who does not go is let go */
    client = proxy_stand_client(&stand);
    tell(&stand, client, "BAD\r\n\r\n");
    proxy_stand_tick(&stand, 1900);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    proxy_stand_tick(&stand, 200);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    (void)close(client);
    end();
}
END_TEST

/* -- limits -- */

START_TEST(beyond_the_listeners_limit_clients_are_turned_away)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}, .connections = 2};
    proxy_stand_open(&stand, &options);
    int first = served_client();
    int second = served_client();
    int third = proxy_stand_client(&stand);
    peer_say(third, GET("/fixed"));
    proxy_stand_until(&stand, peer_sees_end(third) || peer_sees_reset(third));
    ck_assert_uint_eq(proxy_stand_counters(&stand)->rejected[COUNTERS_REJECT_LIMIT], 1);
    (void)close(third);
    (void)close(first);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 1);
    third = served_client();
    (void)close(second);
    (void)close(third);
    end();
}
END_TEST

START_TEST(beyond_the_workers_limit_clients_wait_in_the_kernel)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}, .max_connections = 2};
    proxy_stand_open(&stand, &options);
    int first = served_client();
    int second = served_client();
    ck_assert(stand.proxy.accept_paused);
    int third = proxy_stand_client(&stand);
    peer_say(third, GET("/fixed"));
    proxy_stand_tick(&stand, 500);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 2);
    ck_assert_str_eq(hear(&stand, third), "");
    (void)close(first);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 1);
    proxy_stand_tick(&stand, 60);
    (void)hear_until(&stand, third, "fixed answer");
    (void)close(second);
    (void)close(third);
    end();
}
END_TEST

START_TEST(without_descriptors_accepting_waits)
{
    begin();
    int client = proxy_stand_client(&stand);
    int lowest = dup(client);
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    (void)close(lowest);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    peer_say(client, GET("/fixed"));
    proxy_stand_until(
        &stand, proxy_stand_counters(&stand)->accept_errors[COUNTERS_ACCEPT_DESCRIPTORS] == 1);
    ck_assert(stand.proxy.accept_paused);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    proxy_stand_tick(&stand, 60);
    (void)hear_until(&stand, client, "fixed answer");
    (void)close(client);
    end();
}
END_TEST

START_TEST(many_clients_come_and_go)
{
    enum { CLIENTS = 90, ROUNDS = 5 };
    begin();
    for (int round = 0; round < ROUNDS; round++) {
        int clients[CLIENTS];
        for (size_t i = 0; i < CLIENTS; i++) {
            clients[i] = proxy_stand_client(&stand);
            peer_say(clients[i], GET("/fixed") GET("/fixed"));
        }
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == CLIENTS);
        for (size_t i = 0; i < CLIENTS; i++) {
            (void)hear_until(&stand, clients[i], "fixed answer");
            if (i % 2 == 0) {
                (void)close(clients[i]);
            } else {
                peer_reset(clients[i]);
            }
        }
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    }
    ck_assert_uint_eq(proxy_stand_counters(&stand)->connections_opened, CLIENTS * ROUNDS);
    ck_assert_uint_eq(proxy_stand_counters(&stand)->requests_finished, 2 * CLIENTS * ROUNDS);
    end();
}
END_TEST

/* -- plans -- */

START_TEST(the_next_request_uses_the_newest_plan)
{
    begin();
    int client = served_client();
    struct plan next = stand.plan;
    struct conf_route conf = {.name = SLICE("new"), .match = {.path_prefix = SLICE("/")}};
    struct route route = {.name = SLICE("new"),
                          .action = CONF_ACTION_RESPOND,
                          .status = 200,
                          .body = SLICE("by the new plan")};
    const struct conf_route *confs[] = {&conf};
    struct route *routes[] = {&route};
    next.routes = route_table_build(&stand.arena, confs, routes, 1);
    front_adopt(stand.front, &next, 0);
    tell(&stand, client, GET("/fixed"));
    (void)hear_until(&stand, client, "by the new plan");
    (void)close(client);
    end();
}
END_TEST

START_TEST(sockets_that_go_are_emptied_and_those_that_stay_are_untouched)
{
    begin();
    struct err err;
    struct addr any;
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &any));
    struct listener_bind *second = listener_bind_open(&any, 1, &err);
    struct listener_bind *both[] = {stand.bind, second};
    struct plan wide = stand.plan;
    wide.binds = both;
    wide.bind_count = 2;
    int old = served_client();
    front_adopt(stand.front, &wide, 0);
    front_adopt(stand.front, &wide, 0); /* nothing changes */

    int queued = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(queued, &second->bound.u.any, second->bound.len), 0);
    peer_say(queued, GET("/fixed")); /* waits in the queue of the socket that goes */
    front_adopt(stand.front, &stand.plan, 0);
    ck_assert_uint_eq(atomic_load(&second->refs), 1);
    listener_bind_unref(second);
    char text[1024];
    proxy_stand_settle(&stand);
    ck_assert_int_gt(recv(queued, text, sizeof(text), 0), 0);
    tell(&stand, old, GET("/fixed"));
    (void)hear_until(&stand, old, "fixed answer");
    (void)close(queued);
    (void)close(old);
    end();
}
END_TEST

/* -- drains -- */

static void drain(uint64_t deadline_ms)
{
    front_drain(stand.front, &stand.lease, deadline_ms);
    stand.front = NULL; /* it frees itself */
}

START_TEST(an_empty_front_is_drained_at_once)
{
    begin();
    drain(1000);
    ck_assert_uint_eq(stand.quiet, 1);
    ck_assert_uint_eq(stand.lease.count, 0);
    end();
}
END_TEST

START_TEST(answers_say_close_while_draining)
{
    begin();
    int idle = served_client();
    int busy = proxy_stand_client(&stand);
    tell(&stand, busy, GET("/slow"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    drain(600); /* before keep_alive ends */
    ck_assert_uint_eq(stand.quiet, 0);
    ck_assert_uint_ge(stand.lease.count, 1);              /* the plan is pinned */
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 2); /* nobody was closed */
    tell(&stand, idle, GET("/fixed"));
    has(hear_until(&stand, idle, "fixed answer"), "Connection: close\r\n");
    proxy_stand_until(&stand, peer_sees_end(idle));
    tell(&stand, server, OK_ANSWER);
    has(hear_until(&stand, busy, "\r\n\r\nhi"), "Connection: close\r\n");
    proxy_stand_until(&stand, stand.quiet == 1); /* the last one took the front along */
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    (void)close(idle);
    (void)close(busy);
    (void)close(server);
    end();
}
END_TEST

START_TEST(at_the_deadline_all_see_our_end_before_their_connection_goes)
{
    begin();
    int idle = served_client();
    int half = proxy_stand_client(&stand);
    tell(&stand, half, "GET / HT");
    int busy = proxy_stand_client(&stand);
    tell(&stand, busy, GET("/slow"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    drain(500);
    proxy_stand_tick(&stand, 480);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 3);
    proxy_stand_tick(&stand, 40);
    proxy_stand_until(&stand, peer_sees_end(idle));
    const char *answer = hear_until(&stand, busy, "ended\n");
    has(answer, "HTTP/1.1 503 ");
    has(answer, "Connection: close\r\n");
    has(answer, "Lbd-Reason: drain_deadline\r\n");
    proxy_stand_until(&stand, peer_sees_end(half));
    has(proxy_stand_log(&stand), "\"reason\":\"drain_deadline\"");
    proxy_stand_tick(&stand, 1100);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    ck_assert_uint_eq(stand.quiet, 1);
    (void)close(idle);
    (void)close(half);
    (void)close(busy);
    (void)close(server);
    end();
}
END_TEST

START_TEST(a_deadline_ends_a_body_on_its_way_and_a_tunnel)
{
    for (int what = 0; what < 3; what++) {
        begin();
        int client = proxy_stand_client(&stand);
        tell(&stand, client,
             what < 2 ? GET("/big")
                      : "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n");
        int server = upstream_stand_accept(&stand.up, 0);
        (void)hear_until(&stand, server, "\r\n\r\n");
        tell(&stand, server,
             what == 0   ? "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"
             : what == 1 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                         : "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                           "Upgrade: websocket\r\n\r\n");
        (void)hear_until(&stand, client, what == 1 ? "abc\r\n" : "\r\n\r\n");
        if (what == 0) {
            tell(&stand, server, "the first of 900000 bytes");
            (void)hear_until(&stand, client, "bytes");
        }
        drain(300);
        proxy_stand_tick(&stand, 320);
        if (what == 2) {
            ck_assert_str_eq(hear_until(&stand, client, "\xe9"), "\x88\x02\x03\xe9");
        }
        proxy_stand_until(&stand, peer_sees_end(client));
        proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        has(proxy_stand_log(&stand), "\"reason\":\"drain_deadline\"");
        proxy_stand_tick(&stand, 1100);
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
        ck_assert_uint_eq(stand.quiet, 1);
        (void)close(client);
        (void)close(server);
        end();
    }
}
END_TEST

START_TEST(the_last_client_of_a_drain_may_end_in_any_way)
{
    enum { RESET, TRUNCATED, BAD, LINGER, WAYS };
    for (int way = 0; way < WAYS; way++) {
        begin();
        int client = proxy_stand_client(&stand);
        int server = -1;
        if (way == LINGER) {
            tell(&stand, client, "BAD\r\n\r\n");
            drain(100000);
        } else {
            tell(&stand, client, GET("/x"));
            server = upstream_stand_accept(&stand.up, 0);
            (void)hear_until(&stand, server, "\r\n\r\n");
            tell(&stand, server,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
            (void)hear_until(&stand, client, "abc\r\n");
            drain(100000);
        }
        if (way == RESET) {
            peer_reset(client);
            tell(&stand, server, "3\r\nabc\r\n");
            tell(&stand, server, "3\r\nabc\r\n");
        } else if (way == TRUNCATED) {
            (void)close(server);
            server = -1;
        } else if (way == BAD) {
            tell(&stand, server, "zz\r\n");
        } else {
            (void)close(client);
        }
        proxy_stand_until(&stand, stand.quiet == 1);
        if (way == TRUNCATED || way == BAD) {
            (void)close(client);
        }
        if (server >= 0) {
            (void)close(server);
        }
        end();
    }
}
END_TEST

UNIT_TESTS("session", an_idle_client_is_a_session_and_nothing_else, keep_alive_has_its_time,
           a_head_has_its_time_also_the_second_one, a_refused_client_lingers_until_it_has_seen_why,
           beyond_the_listeners_limit_clients_are_turned_away,
           beyond_the_workers_limit_clients_wait_in_the_kernel, without_descriptors_accepting_waits,
           many_clients_come_and_go, the_next_request_uses_the_newest_plan,
           sockets_that_go_are_emptied_and_those_that_stay_are_untouched,
           an_empty_front_is_drained_at_once, answers_say_close_while_draining,
           at_the_deadline_all_see_our_end_before_their_connection_goes,
           a_deadline_ends_a_body_on_its_way_and_a_tunnel,
           the_last_client_of_a_drain_may_end_in_any_way)
