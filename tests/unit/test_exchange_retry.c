/* Tries: which server, again or not, and what is said when none is left. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/exchange.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

#define POST "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc"

static struct proxy_stand stand;

static void begin(uint32_t servers, uint32_t retries)
{
    struct proxy_stand_options options = {.upstream = {.servers = servers, .retries = retries}};
    proxy_stand_open(&stand, &options);
}

static void end(int client, int server)
{
    if (client >= 0) {
        (void)close(client);
    }
    if (server >= 0) {
        (void)close(server);
    }
    proxy_stand_settle(&stand);
    proxy_stand_close(&stand);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in:\n%s", part, text);
}

/* The server that was chosen, and its end. */
static uint32_t accept_any(int *server)
{
    for (int turn = 0; turn < LOOP_STAND_TURNS; turn++) {
        for (uint32_t i = 0; i < stand.up.count; i++) {
            if (stand.up.listening[i] >= 0 && upstream_stand_has_connection(&stand.up, i)) {
                *server = upstream_stand_accept(&stand.up, i);
                return i;
            }
        }
        loop_stand_turn(&stand.up.base);
    }
    ck_abort_msg("no server was asked");
    return 0;
}

/* A client whose last request left an idle connection to a server. */
static int client_with_idle(int *server, uint32_t *which)
{
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/first"));
    *which = accept_any(server);
    (void)hear_until(&stand, *server, "\r\n\r\n");
    tell(&stand, *server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    (void)proxy_stand_log(&stand);
    return client;
}

/* The server's end goes while lbd sends: the end is not seen before the request is on its way. */
static void die(int server, bool reset)
{
    if (reset) {
        peer_reset(server);
    } else {
        (void)close(server);
    }
}

static const struct counters_pool *counters(void)
{
    return upstream_stand_counters(&stand.up);
}

START_TEST(who_refuses_is_passed_over_also_with_a_body)
{
    static const char *const requests[] = {GET("/"), POST};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        begin(3, 2);
        upstream_stand_refuse(&stand.up, 0);
        upstream_stand_refuse(&stand.up, 1);
        int client = proxy_stand_client(&stand);
        int server = -1;
        for (int n = 0; n < 3; n++) { /* whoever's turn it is */
            tell(&stand, client, requests[i]);
            if (n == 0) {
                ck_assert_uint_eq(accept_any(&server), 2);
            }
            (void)hear_until(&stand, server, i == 0 ? "\r\n\r\n" : "\r\n\r\nabc");
            tell(&stand, server, OK_ANSWER);
            (void)hear_until(&stand, client, "\r\n\r\nhi");
            has(proxy_stand_log(&stand), "\"server\":\"s2\"");
            if (n == 2) {
                (void)close(server);
            }
        }
        ck_assert_uint_eq(counters()->errors[COUNTERS_ERROR_REFUSED], counters()->retries);
        ck_assert_uint_ge(counters()->retries, 2);
        end(client, -1);
    }
}
END_TEST

START_TEST(when_all_refuse_the_client_is_told)
{
    begin(2, 5);
    upstream_stand_refuse(&stand.up, 0);
    upstream_stand_refuse(&stand.up, 1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/"));
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 502 ");
    const char *line = proxy_stand_log(&stand);
    has(line, "\"reason\":\"connect_refused\"");
    has(line, "\"tries\":6");
    tell(&stand, client, GET("/fixed")); /* and the connection serves on */
    (void)hear_until(&stand, client, "fixed answer");
    end(client, -1);
}
END_TEST

START_TEST(without_retries_there_is_one_try)
{
    begin(2, 0);
    upstream_stand_refuse(&stand.up, 0);
    upstream_stand_refuse(&stand.up, 1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/"));
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 502 ");
    has(proxy_stand_log(&stand), "\"tries\":1");
    ck_assert_uint_eq(counters()->retries, 0);
    end(client, -1);
}
END_TEST

START_TEST(an_old_connection_that_died_is_replaced_by_a_fresh_one)
{
    for (int reset = 0; reset < 2; reset++) {
        begin(1, 1);
        int server;
        uint32_t which;
        int client = client_with_idle(&server, &which);
        /* Between the worker's choice and its sending: the end must not be seen while idle. */
        ck_assert_uint_eq(peer_write(client, GET("/second"), sizeof(GET("/second")) - 1),
                          sizeof(GET("/second")) - 1);
        loop_run_once(stand.up.base.loop, 1);
        die(server, reset != 0);
        int again = upstream_stand_accept(&stand.up, 0);
        has(hear_until(&stand, again, "\r\n\r\n"), "GET /second");
        tell(&stand, again, OK_ANSWER);
        (void)hear_until(&stand, client, "\r\n\r\nhi");
        const char *line = proxy_stand_log(&stand);
        has(line, "\"reason\":\"ok\"");
        has(line, "\"tries\":2");
        ck_assert_uint_eq(counters()->retries, 1);
        end(client, again);
    }
}
END_TEST

START_TEST(the_second_try_trusts_no_old_connection)
{
    begin(1, 1);
    int clients[2];
    int servers[2];
    for (size_t i = 0; i < 2; i++) { /* both at once: two connections */
        clients[i] = proxy_stand_client(&stand);
        tell(&stand, clients[i], GET("/first"));
        servers[i] = upstream_stand_accept(&stand.up, 0);
    }
    for (size_t i = 0; i < 2; i++) {
        tell(&stand, servers[i], OK_ANSWER);
        (void)hear_until(&stand, clients[i], "\r\n\r\nhi");
    }
    ck_assert_uint_eq(counters()->idle_added, 2);
    (void)proxy_stand_log(&stand);
    peer_say(clients[0], GET("/second"));
    loop_run_once(stand.up.base.loop, 1);
    ck_assert_uint_eq(counters()->reuses, 1);
    die(servers[1], false); /* the newest was taken; the other one dies behind it */
    die(servers[0], false);
    int again = upstream_stand_accept(&stand.up, 0);
    has(hear_until(&stand, again, "\r\n\r\n"), "GET /second");
    tell(&stand, again, OK_ANSWER);
    (void)hear_until(&stand, clients[0], "\r\n\r\nhi");
    has(proxy_stand_log(&stand), "\"tries\":2");
    ck_assert_uint_eq(counters()->reuses, 1);
    (void)close(clients[1]);
    end(clients[0], again);
}
END_TEST

START_TEST(what_may_have_been_done_is_not_done_twice)
{
    for (int fresh = 0; fresh < 2; fresh++) {
        begin(2, 3);
        int server;
        uint32_t which;
        int client = fresh == 0 ? client_with_idle(&server, &which) : proxy_stand_client(&stand);
        tell(&stand, client, POST);
        if (fresh != 0 || upstream_stand_has_connection(&stand.up, 1 - which)) {
            if (fresh == 0) {
                (void)close(server);
            }
            (void)accept_any(&server);
        }
        (void)hear_until(&stand, server, "abc");
        die(server, false);
        has(hear_until(&stand, client, "\n"), "HTTP/1.1 502 ");
        has(proxy_stand_log(&stand), "\"reason\":\"server_reset\"");
        ck_assert_uint_eq(counters()->retries, 0);
        end(client, -1);
    }
}
END_TEST

START_TEST(a_get_whose_server_dies_goes_to_another)
{
    begin(2, 1);
    int client = proxy_stand_client(&stand);
    int server;
    tell(&stand, client, GET("/x"));
    uint32_t first = accept_any(&server);
    (void)hear_until(&stand, server, "\r\n\r\n");
    die(server, true);
    uint32_t second = accept_any(&server);
    ck_assert_uint_ne(first, second);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    has(proxy_stand_log(&stand), "\"tries\":2");
    end(client, server);
}
END_TEST

START_TEST(after_the_first_byte_there_is_no_second_try)
{
    static const char *const beginnings[] = {
        "HTTP/1.1 200 OK\r\nConte",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
    };
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        begin(2, 3);
        int client = proxy_stand_client(&stand);
        int server;
        tell(&stand, client, GET("/x"));
        uint32_t first = accept_any(&server);
        (void)hear_until(&stand, server, "\r\n\r\n");
        tell(&stand, server, beginnings[i]);
        die(server, false);
        proxy_stand_settle(&stand);
        proxy_stand_until(&stand, proxy_stand_counters(&stand)->requests_finished == 1);
        ck_assert(!upstream_stand_has_connection(&stand.up, 1 - first));
        has(proxy_stand_log(&stand), "\"reason\":\"server_truncated\"");
        ck_assert_uint_eq(counters()->retries, 0);
        end(client, -1);
    }
}
END_TEST

START_TEST(a_silent_server_is_not_asked_twice)
{
    begin(2, 3);
    int client = proxy_stand_client(&stand);
    int server;
    tell(&stand, client, GET("/x"));
    uint32_t first = accept_any(&server);
    (void)hear_until(&stand, server, "\r\n\r\n");
    proxy_stand_tick(&stand, 1100);
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 504 ");
    ck_assert(!upstream_stand_has_connection(&stand.up, 1 - first));
    ck_assert_uint_eq(counters()->retries, 0);
    end(client, server);
}
END_TEST

START_TEST(a_connection_that_hangs_is_tried_elsewhere)
{
    struct proxy_stand_options options = {
        .upstream = {.servers = 2, .retries = 1, .connect_ms = 200, .down = 2}};
    proxy_stand_open(&stand, &options);
    int queue[4];
    ck_assert_int_eq(listen(stand.up.listening[0], 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(queue); i++) {
        queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(queue[i], &stand.up.addresses[0].u.any, stand.up.addresses[0].len);
    }
    loop_stand_turn(&stand.up.base);
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/x"));
    (void)server_set_health(stand.up.servers[1], SERVER_UP, 0);
    proxy_stand_tick(&stand, 300);
    int server = upstream_stand_accept(&stand.up, 1);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    has(proxy_stand_log(&stand), "\"tries\":2");
    ck_assert_uint_eq(counters()->errors[COUNTERS_ERROR_TIMEOUT], 1);
    /* and the client may go while it hangs */
    (void)server_set_health(stand.up.servers[1], SERVER_DOWN, 0);
    tell(&stand, client, GET("/y"));
    peer_reset(client);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    has(proxy_stand_log(&stand), "\"reason\":\"client_abort\"");
    for (size_t i = 0; i < ARRAY_LEN(queue); i++) {
        (void)close(queue[i]);
    }
    end(-1, server);
}
END_TEST

/* The next request to the only server. */
static void ask_in_vain(int client)
{
    int server;
    tell(&stand, client, GET("/x"));
    (void)accept_any(&server);
    (void)hear_until(&stand, server, "\r\n\r\n");
    (void)close(server);
    proxy_stand_settle(&stand);
}

START_TEST(the_same_server_is_given_a_rest)
{
    begin(1, 1);
    stand.up.pool->retry.backoff_ms = 1000;
    int client = proxy_stand_client(&stand);
    ask_in_vain(client);
    ck_assert(!upstream_stand_has_connection(&stand.up, 0));
    ck_assert_uint_eq(atomic_load(&stand.up.servers[0]->load.in_flight), 0);
    proxy_stand_tick(&stand, 1010);
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    /* and nobody asks it for a client that goes meanwhile */
    (void)close(server);
    ask_in_vain(client);
    peer_reset(client);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    proxy_stand_tick(&stand, 1010);
    ck_assert(!upstream_stand_has_connection(&stand.up, 0));
    end(-1, -1);
}
END_TEST

START_TEST(a_try_has_its_time)
{
    begin(2, 1);
    stand.up.pool->retry.on_timeout = true;
    stand.up.pool->retry.per_try_ms = 100;
    int client = proxy_stand_client(&stand);
    int server;
    int other;
    tell(&stand, client, GET("/x"));
    uint32_t first = accept_any(&server);
    (void)hear_until(&stand, server, "\r\n\r\n");
    proxy_stand_tick(&stand, 80);
    ck_assert(!upstream_stand_has_connection(&stand.up, 1 - first));
    proxy_stand_tick(&stand, 40);
    other = upstream_stand_accept(&stand.up, 1 - first);
    (void)hear_until(&stand, other, "\r\n\r\n");
    /* once an answer has begun it may take longer */
    tell(&stand, other, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
    proxy_stand_tick(&stand, 500);
    tell(&stand, other, "i");
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    (void)close(other);
    end(client, server);
}
END_TEST

START_TEST(the_budget_ends_a_storm_of_retries)
{
    enum { REQUESTS = 400 };
    begin(2, 1);
    upstream_stand_refuse(&stand.up, 0);
    upstream_stand_refuse(&stand.up, 1);
    int client = proxy_stand_client(&stand);
    for (int i = 0; i < REQUESTS; i++) {
        tell(&stand, client, GET("/x"));
        (void)hear_until(&stand, client, "\n");
    }
    /* 100 were saved, and a fifth of the requests may be tried again; time stands still */
    ck_assert_uint_ge(counters()->retries, 100);
    ck_assert_uint_le(counters()->retries, 100 + REQUESTS / 5 + 10);
    ck_assert_uint_eq(counters()->requests_started, REQUESTS + counters()->retries);
    end(client, -1);
}
END_TEST

START_TEST(no_server_and_no_room)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1, .max_in_flight = 1}};
    proxy_stand_open(&stand, &options);
    int first = proxy_stand_client(&stand);
    int second = proxy_stand_client(&stand);
    tell(&stand, first, GET("/slow"));
    int server = upstream_stand_accept(&stand.up, 0);
    tell(&stand, second, GET("/x"));
    const char *answer = hear_until(&stand, second, "\n");
    has(answer, "HTTP/1.1 503 ");
    has(answer, "Lbd-Reason: server_limit\r\n");
    has(answer, "Retry-After: ");
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, first, "\r\n\r\nhi");
    has(round_trip(&stand, second, server, OK_ANSWER), "200 OK"); /* there is room again */
    (void)server_set_health(stand.up.servers[0], SERVER_DOWN, 0);
    tell(&stand, second, GET("/x"));
    has(hear_until(&stand, second, "\n"), "Lbd-Reason: no_server\r\n");
    ck_assert_uint_eq(counters()->no_server, 2);
    (void)close(first);
    end(second, server);
}
END_TEST

UNIT_TESTS("exchange_retry", who_refuses_is_passed_over_also_with_a_body,
           when_all_refuse_the_client_is_told, without_retries_there_is_one_try,
           an_old_connection_that_died_is_replaced_by_a_fresh_one,
           the_second_try_trusts_no_old_connection, what_may_have_been_done_is_not_done_twice,
           a_get_whose_server_dies_goes_to_another, after_the_first_byte_there_is_no_second_try,
           a_silent_server_is_not_asked_twice, a_connection_that_hangs_is_tried_elsewhere,
           the_same_server_is_given_a_rest, a_try_has_its_time, the_budget_ends_a_storm_of_retries,
           no_server_and_no_room)
