#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/tcp_session.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

/* A ClientHello that asks for "a.example", in one record. */
static const char hello[] = "\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03"
                            "0123456789abcdef0123456789abcdef\x00\x00\x02\x13\x01\x01\x00\x00\x16"
                            "\x00\x00\x00\x0e\x00\x0c\x00\x00\x09"
                            "a.example"
                            "\x0a\x0a\x00\x00";
#define HELLO_LEN (sizeof(hello) - 1)

static struct proxy_stand stand;

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in:\n%s", part, text);
}

static void open_stand(enum conf_protocol protocol, uint32_t servers, uint32_t retries)
{
    struct proxy_stand_options options = {
        .upstream = {.servers = servers, .retries = retries},
        .protocol = protocol,
    };
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

static uint64_t ending(enum close_reason reason)
{
    return proxy_stand_counters(&stand)->endings[reason];
}

static void say(int fd, const char *bytes, size_t len)
{
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    proxy_stand_settle(&stand);
}

START_TEST(a_server_may_speak_first)
{
    open_stand(CONF_PROTOCOL_TCP, 1, 0);
    int client = proxy_stand_client(&stand);
    int server = upstream_stand_accept(&stand.up, 0);
    tell(&stand, server, "220 hello");
    ck_assert_str_eq(hear_until(&stand, client, "hello"), "220 hello");
    tell(&stand, client, "QUIT");
    ck_assert_str_eq(hear_until(&stand, server, "QUIT"), "QUIT");
    ck_assert_uint_eq(stand.proxy.tcp_sessions.objects, 0); /* it is a tunnel */
    ck_assert_uint_eq(stand.lease.count, 0);
    ck_assert_uint_eq(atomic_load(&stand.up.servers[0]->load.in_flight), 1);
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    proxy_stand_until(&stand, peer_sees_end(server));
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    const char *line = proxy_stand_log(&stand);
    has(line, "\"protocol\":\"tcp\"");
    has(line, "\"reason\":\"tunnel_closed\"");
    has(line, "\"request_bytes\":4");
    has(line, "\"response_bytes\":9");
    has(line, "\"server\":\"s0\"");
    ck_assert_uint_eq(ending(CLOSE_TUNNEL_CLOSED), 1);
    end(client, server);
}
END_TEST

START_TEST(a_server_that_refuses_is_passed_over)
{
    open_stand(CONF_PROTOCOL_TCP, 2, 1);
    upstream_stand_refuse(&stand.up, 0);
    for (int i = 0; i < 4; i++) {
        int client = proxy_stand_client(&stand);
        int server = upstream_stand_accept(&stand.up, 1);
        tell(&stand, client, "ping");
        ck_assert_str_eq(hear_until(&stand, server, "ping"), "ping");
        (void)close(client);
        (void)close(server);
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    }
    ck_assert_uint_gt(upstream_stand_counters(&stand.up)->retries, 0);
    end(-1, -1);
}
END_TEST

START_TEST(when_no_server_is_there_the_client_goes)
{
    open_stand(CONF_PROTOCOL_TCP, 1, 1);
    upstream_stand_refuse(&stand.up, 0);
    int client = proxy_stand_client(&stand);
    proxy_stand_until(&stand, ending(CLOSE_CONNECT_REFUSED) == 1);
    ck_assert(peer_sees_end(client));
    has(proxy_stand_log(&stand), "\"reason\":\"connect_refused\"");
    ck_assert_uint_eq(atomic_load(&stand.up.servers[0]->load.in_flight), 0);
    end(client, -1);
}
END_TEST

START_TEST(a_client_that_stays_silent_goes)
{
    open_stand(CONF_PROTOCOL_TCP, 1, 0);
    int client = proxy_stand_client(&stand);
    int server = upstream_stand_accept(&stand.up, 0);
    tell(&stand, server, "hello?");
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS / 4 - 50);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    proxy_stand_tick(&stand, 100);
    ck_assert_uint_eq(ending(CLOSE_FIRST_BYTE_TIMEOUT), 1);
    end(client, server);
}
END_TEST

START_TEST(one_that_spoke_or_ended_has_all_its_time)
{
    for (int round = 0; round < 2; round++) {
        open_stand(CONF_PROTOCOL_TCP, 1, 0);
        int client = proxy_stand_client(&stand);
        int server = upstream_stand_accept(&stand.up, 0);
        if (round == 0) {
            tell(&stand, client, "hello");
        } else {
            ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
        }
        proxy_stand_settle(&stand);
        proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS / 2);
        ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
        proxy_stand_tick(&stand, 2 * PROXY_STAND_WAIT_MS);
        ck_assert_uint_eq(ending(CLOSE_TUNNEL_TIMEOUT), 1);
        end(client, server);
    }
}
END_TEST

START_TEST(a_hello_goes_to_the_server_as_it_came)
{
    char padded[HELLO_LEN + 5];
    memcpy(padded, hello, HELLO_LEN);
    memcpy(padded + HELLO_LEN, "later", 5);
    for (size_t cut = 1; cut < HELLO_LEN; cut += 3) {
        open_stand(CONF_PROTOCOL_TLS_PASSTHROUGH, 1, 0);
        int client = proxy_stand_client(&stand);
        say(client, padded, cut);
        ck_assert(!upstream_stand_has_connection(&stand.up, 0));
        ck_assert_uint_eq(stand.proxy.tcp_sessions.objects, 1);
        say(client, padded + cut, sizeof(padded) - cut);
        int server = upstream_stand_accept(&stand.up, 0);
        char got[sizeof(padded)];
        size_t len = 0;
        proxy_stand_until(&stand, (len += peer_read(server, got + len, sizeof(got) - len)) ==
                                      sizeof(padded));
        ck_assert_int_eq(memcmp(got, padded, sizeof(padded)), 0);
        (void)close(client);
        (void)close(server);
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
        const char *line = proxy_stand_log(&stand);
        has(line, "\"protocol\":\"tls_passthrough\"");
        has(line, "\"host\":\"a.example\"");
        end(-1, -1);
    }
}
END_TEST

START_TEST(what_is_no_hello_ends)
{
    open_stand(CONF_PROTOCOL_TLS_PASSTHROUGH, 1, 0);
    int client = proxy_stand_client(&stand);
    say(client, "GET / HTTP/1.1\r\n\r\n", 18);
    ck_assert_uint_eq(ending(CLOSE_BAD_CLIENT_HELLO), 1);
    ck_assert(!upstream_stand_has_connection(&stand.up, 0));
    end(client, -1);
}
END_TEST

START_TEST(a_hello_has_its_time)
{
    open_stand(CONF_PROTOCOL_TLS_PASSTHROUGH, 1, 0);
    int client = proxy_stand_client(&stand);
    say(client, hello, 20);
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS / 2);
    say(client, hello + 20, 5); /* gives it no more of it */
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS / 2 - 50);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    proxy_stand_tick(&stand, 100);
    ck_assert_uint_eq(ending(CLOSE_HANDSHAKE_TIMEOUT), 1);
    end(client, -1);
}
END_TEST

START_TEST(an_end_within_a_hello)
{
    for (int round = 0; round < 3; round++) {
        open_stand(CONF_PROTOCOL_TLS_PASSTHROUGH, 1, 0);
        int client = proxy_stand_client(&stand);
        say(client, hello, 20);
        struct session *session =
            list_entry(list_first(&stand.front->sessions), struct session, link);
        struct session_facts facts;
        session_look(session, &facts);
        ck_assert_str_eq(session_state_word(facts.state), "opening");
        ck_assert_uint_eq(facts.pool.len, 0);
        ck_assert_ptr_null(facts.server);
        ck_assert_uint_eq(session_leave_server(session, stand.up.servers[0], CLOSE_KILLED), 0);
        if (round == 0) {
            ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
            proxy_stand_until(&stand, ending(CLOSE_BAD_CLIENT_HELLO) == 1);
        } else {
            session_abort(session, CLOSE_KILLED, round == 1);
            ck_assert_uint_eq(ending(CLOSE_KILLED), 1);
        }
        end(client, -1);
    }
}
END_TEST

UNIT_TESTS("tcp_session", a_server_may_speak_first, a_server_that_refuses_is_passed_over,
           when_no_server_is_there_the_client_goes, a_client_that_stays_silent_goes,
           one_that_spoke_or_ended_has_all_its_time, a_hello_goes_to_the_server_as_it_came,
           what_is_no_hello_ends, a_hello_has_its_time, an_end_within_a_hello)
