#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/tunnel.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"         \
    "Sec-WebSocket-Key: x\r\n\r\n"
#define SWITCH                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static struct proxy_stand stand;
static int client;
static int server;

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in:\n%s", part, text);
}

/* An open tunnel; `early` came right behind the client's request, `first` behind the 101. */
static void begin(bool no_log, const char *early, const char *first)
{
    char text[1024];
    struct proxy_stand_options options = {.upstream = {.servers = 1}, .no_log = no_log};
    proxy_stand_open(&stand, &options);
    client = proxy_stand_client(&stand);
    (void)snprintf(text, sizeof(text), "%s%s", UPGRADE, early);
    tell(&stand, client, text);
    server = upstream_stand_accept(&stand.up, 0);
    const char *request = hear_until(&stand, server, "\r\n\r\n");
    has(request, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    has(request, "Sec-WebSocket-Key: x\r\n");
    ck_assert_ptr_null(strstr(request, "early")); /* R7: nothing before the 101 */
    (void)snprintf(text, sizeof(text), "%s%s", SWITCH, first);
    tell(&stand, server, text);
    has(hear_until(&stand, client, first[0] != '\0' ? first : "\r\n\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\n");
    ck_assert_uint_eq(stand.proxy.tunnel_count, 1);
    ck_assert_uint_eq(stand.proxy.exchanges.objects, 0);
    ck_assert_uint_eq(stand.up.http.h1_conns.objects, 0);
    ck_assert_uint_eq(stand.lease.count, 0); /* it pins no snapshot */
    ck_assert_uint_eq(atomic_load(&stand.up.servers[0]->load.in_flight), 1);
}

static void end(void)
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

START_TEST(bytes_go_both_ways_until_both_ends_are_done)
{
    begin(false, "", "");
    ck_assert_str_eq(proxy_stand_log(&stand), ""); /* logged at its end */
    tell(&stand, client, "ping");
    ck_assert_str_eq(hear_until(&stand, server, "ping"), "ping");
    tell(&stand, server, "pong");
    ck_assert_str_eq(hear_until(&stand, client, "pong"), "pong");
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    proxy_stand_until(&stand, peer_sees_end(server));
    tell(&stand, server, "farewell");
    ck_assert_str_eq(hear_until(&stand, client, "farewell"), "farewell");
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    ck_assert(peer_sees_end(client));
    const char *line = proxy_stand_log(&stand);
    has(line, "\"status\":101,\"reason\":\"tunnel_closed\"");
    has(line, "\"server\":\"s0\"");
    has(line, "\"path\":\"/ws\"");
    has(line, "\"request_bytes\":4");
    has(line, "\"response_bytes\":12");
    ck_assert_uint_eq(ending(CLOSE_TUNNEL_CLOSED), 1);
    ck_assert_uint_eq(upstream_stand_counters(&stand.up)->idle_added, 0); /* never used again */
    end();
}
END_TEST

START_TEST(bytes_that_came_early_go_first)
{
    begin(true, "early", "first words");
    ck_assert_str_eq(hear_until(&stand, server, "early"), "early");
    tell(&stand, client, " and late");
    ck_assert_str_eq(hear_until(&stand, server, "late"), " and late");
    end();
}
END_TEST

START_TEST(without_a_log_it_is_the_same)
{
    begin(true, "", "");
    tell(&stand, client, "ping");
    ck_assert_str_eq(hear_until(&stand, server, "ping"), "ping");
    end();
}
END_TEST

START_TEST(much_goes_through)
{
    enum { BIG = 1500000 };
    begin(false, "", "");
    char *sent = malloc(BIG);
    char *got = malloc(BIG);
    pattern_fill(sent, BIG, 0, 4);
    for (int way = 0; way < 2; way++) {
        int from = way == 0 ? client : server;
        int to = way == 0 ? server : client;
        size_t sent_len = 0;
        size_t got_len = 0;
        proxy_stand_until(&stand,
                          (sent_len += peer_write(from, sent + sent_len, BIG - sent_len),
                           got_len += peer_read(to, got + got_len, BIG - got_len), got_len == BIG));
        ck_assert_uint_eq(pattern_differs(got, BIG, 0, 4), SIZE_MAX);
    }
    free(sent);
    free(got);
    (void)close(client);
    (void)close(server);
    client = -1;
    server = -1;
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    has(proxy_stand_log(&stand), "\"request_bytes\":1500000,\"response_bytes\":1500000");
    end();
}
END_TEST

START_TEST(an_end_that_resets_ends_the_other)
{
    begin(false, "", "");
    peer_reset(client);
    client = -1;
    proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
    has(proxy_stand_log(&stand), "\"reason\":\"client_abort\"");
    end();
    begin(false, "", "");
    peer_reset(server);
    server = -1;
    proxy_stand_until(&stand, peer_sees_end(client) || peer_sees_reset(client));
    has(proxy_stand_log(&stand), "\"reason\":\"server_truncated\"");
    end();
}
END_TEST

START_TEST(silence_ends_it_and_old_deadlines_do_not)
{
    begin(false, "", "");
    for (int i = 0; i < 5; i++) { /* longer than every timeout, with a word in between */
        proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS - 100);
        tell(&stand, i % 2 == 0 ? client : server, "x");
        (void)hear(&stand, i % 2 == 0 ? server : client);
    }
    ck_assert_uint_eq(stand.proxy.tunnel_count, 1);
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS + 20);
    ck_assert_uint_eq(stand.proxy.tunnel_count, 0);
    has(proxy_stand_log(&stand), "\"reason\":\"tunnel_timeout\"");
    proxy_stand_until(&stand, peer_sees_end(client) && peer_sees_end(server));
    end();
}
END_TEST

START_TEST(a_websocket_is_told_when_it_goes_between_two_frames)
{
    static const struct {
        const char *first; /* behind the 101 */
        const char *then;
        size_t more; /* bytes, in a frame of 600,000 */
        const char *told;
    } cases[] = {
        {"\x81\x02hi", "", 0, "\x88\x02\x03\xe9"},
        {"\x81\x02h", "i", 0, "\x88\x02\x03\xe9"},
        {"\x81\x02h", "", 0, ""},
        {"", "plain text", 0, ""},
        {"", "\x88\x01x", 0, ""}, /* it has said so itself */
        {"", "", 600000, "\x88\x02\x03\xe9"},
        {"", "", 599999, ""},
    };
    static const char big_head[10] = "\x82\x7f\0\0\0\0\0\x09\x27\xc0";
    char *bytes = calloc(1, 600000);
    char *got = malloc(700000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t got_len = 0;
        begin(true, "", cases[i].first);
        tell(&stand, server, cases[i].then);
        if (cases[i].more > 0) {
            size_t sent = 0;
            ck_assert_uint_eq(peer_write(server, big_head, sizeof(big_head)), sizeof(big_head));
            proxy_stand_until(&stand,
                              (sent += peer_write(server, bytes + sent, cases[i].more - sent),
                               got_len += peer_read(client, got + got_len, 700000 - got_len),
                               got_len == cases[i].more + sizeof(big_head)));
        } else if (cases[i].then[0] != '\0') {
            (void)hear_until(&stand, client, cases[i].then);
        }
        struct session *session =
            list_entry(list_first(&stand.front->sessions), struct session, link);
        session_abort(session, CLOSE_DRAIN_DEADLINE, true);
        proxy_stand_settle(&stand);
        got_len = peer_read(client, got, 700000);
        ck_assert_msg(got_len == strlen(cases[i].told) && memcmp(got, cases[i].told, got_len) == 0,
                      "case %zu: %zu bytes", i, got_len);
        ck_assert_uint_eq(proxy_stand_counters(&stand)->websockets_told, got_len > 0 ? 1 : 0);
        proxy_stand_until(&stand, peer_sees_end(client) && peer_sees_end(server));
        end();
    }
    free(bytes);
    free(got);
}
END_TEST

START_TEST(a_listener_that_ends_takes_its_tunnels_along)
{
    begin(false, "", "");
    front_end(stand.front, CLOSE_SHUTDOWN);
    stand.front = NULL;
    proxy_stand_settle(&stand);
    has(proxy_stand_log(&stand), "\"reason\":\"shutdown\"");
    proxy_stand_until(&stand, peer_sees_end(client) && peer_sees_end(server));
    end();
}
END_TEST

START_TEST(a_server_that_does_not_switch_answers_as_usual)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}};
    proxy_stand_open(&stand, &options);
    client = proxy_stand_client(&stand);
    tell(&stand, client, UPGRADE);
    server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    has(hear_until(&stand, client, "\r\n\r\nno"), "HTTP/1.1 403 Forbidden\r\n");
    has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
    end();
}
END_TEST

START_TEST(a_switch_to_something_else_is_refused)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}};
    proxy_stand_open(&stand, &options);
    client = proxy_stand_client(&stand);
    tell(&stand, client, UPGRADE);
    server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server,
         "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 502 ");
    has(proxy_stand_log(&stand), "\"reason\":\"bad_switch\"");
    end();
}
END_TEST

UNIT_TESTS("tunnel", bytes_go_both_ways_until_both_ends_are_done, bytes_that_came_early_go_first,
           without_a_log_it_is_the_same, much_goes_through, an_end_that_resets_ends_the_other,
           silence_ends_it_and_old_deadlines_do_not,
           a_websocket_is_told_when_it_goes_between_two_frames,
           a_listener_that_ends_takes_its_tunnels_along,
           a_server_that_does_not_switch_answers_as_usual, a_switch_to_something_else_is_refused)
