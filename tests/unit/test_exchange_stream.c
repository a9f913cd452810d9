/* An exchange whose client is a stream that does not speak HTTP/1. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/exchange.h"
#include "tests/unit/fake_stream.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

static struct proxy_stand stand;
static struct fake_client client;
static struct fake_stream fake;

static void begin(void)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}};
    proxy_stand_open(&stand, &options);
    fake_client_init(&client, &stand);
    fake_stream_init(&fake);
}

static void start(const char *head_text)
{
    fake_stream_start(&fake, &client, head_text, NULL);
}

static void finish_stream(enum close_reason reason)
{
    fake_stream_finish(&fake, reason);
}

static void end(int server)
{
    ck_assert(list_is_empty(&client.http.exchanges));
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

START_TEST(chunks_are_taken_apart_for_a_stream_that_has_none)
{
    begin();
    start(GET("/a"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    tell(&stand, server, "2;x\r\nde\r\n0\r\nT: 1\r\n\r\n");
    ck_assert_str_eq(fake.log, "[200]abc|de.");
    finish_stream(CLOSE_OK);
    has(proxy_stand_log(&stand), "\"reason\":\"ok\"");
    ck_assert_uint_eq(upstream_stand_counters(&stand.up)->idle_added, 1);
    end(server);
}
END_TEST

START_TEST(trailers_go_on_when_the_route_says_so)
{
    begin();
    start(GET("/trailers"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n");
    ck_assert_str_eq(fake.log, "[200]abc[trailers X-T: 1\r\n.");
    finish_stream(CLOSE_OK);
    end(server);
}
END_TEST

START_TEST(a_large_plain_body_is_not_lent)
{
    static char body[60000];
    begin();
    start(GET("/a"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
    ck_assert_str_eq(fake.log, "[200]");
    memset(body, 'x', sizeof(body));
    ck_assert_uint_eq(peer_write(server, body, sizeof(body)), sizeof(body));
    proxy_stand_until(&stand, upstream_stand_counters(&stand.up)->requests_finished == 1);
    finish_stream(CLOSE_OK);
    has(proxy_stand_log(&stand), "\"response_bytes\":60000");
    end(server);
}
END_TEST

START_TEST(its_body_is_framed_for_the_server)
{
    static const struct {
        const char *request;
        const char *heard;
    } cases[] = {
        {"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n", "\r\n\r\n0123456789"},
        {"POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
         "\r\n\r\n4\r\n0123\r\n4\r\n4567\r\n2\r\n89\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        fake.body = "0123456789";
        start(cases[i].request);
        int server = upstream_stand_accept(&stand.up, 0);
        while (fake.body != NULL) { /* it tells as long as it is wanted */
            ck_assert(!fake.stream.paused);
            fake.stream.events->on_body(&fake.stream);
        }
        (void)hear_until(&stand, server, cases[i].heard);
        tell(&stand, server, OK_ANSWER);
        ck_assert_str_eq(fake.log, "[200]hi.");
        finish_stream(CLOSE_OK);
        end(server);
    }
}
END_TEST

START_TEST(a_bad_body_is_refused)
{
    begin();
    fake.body = "0123456789";
    start("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n");
    int server = upstream_stand_accept(&stand.up, 0);
    fake.is_bad = true;
    fake.stream.events->on_body(&fake.stream);
    has(fake.log, "[400]lbd: bad_chunk: ");
    finish_stream(CLOSE_OK);
    has(proxy_stand_log(&stand), "\"status\":400,\"reason\":\"bad_chunk\"");
    (void)hear(&stand, server);
    proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
    end(server);
}
END_TEST

START_TEST(a_blocked_stream_stops_the_server_until_there_is_room)
{
    begin();
    start(GET("/a"));
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    fake.is_blocked = true;
    tell(&stand, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    tell(&stand, server, "2\r\nde\r\n");
    tell(&stand, server, "2\r\nfg\r\n0\r\n\r\n");
    ck_assert_str_eq(fake.log, "[200]abc"); /* nothing more while it is */
    fake.is_blocked = false;
    fake.stream.events->on_room(&fake.stream);
    proxy_stand_settle(&stand);
    ck_assert_str_eq(fake.log, "[200]abc|defg.");
    finish_stream(CLOSE_OK);
    end(server);
}
END_TEST

START_TEST(a_stream_that_takes_nothing_ends_the_exchange)
{
    static const struct {
        const char *request;
        const char *answer; /* of the server; NULL: none is asked */
        const char *log;
        int failing_turn; /* the send that fails: 0 the head, 1 what follows */
    } cases[] = {
        {GET("/fixed"), NULL, "[200]fixed answer.[reset client_abort.", 0},
        {GET("/a"), OK_ANSWER, "[200]hi.[reset client_abort.", 0},
        {GET("/a"), "HTTP/1.1 103 Early Hints\r\n\r\n", "[103][reset client_abort.", 0},
        {GET("/a"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
         "[200]abc|def[reset client_abort.", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        int server = -1;
        fake.refuses = cases[i].failing_turn == 0;
        start(cases[i].request);
        if (cases[i].answer != NULL) {
            server = upstream_stand_accept(&stand.up, 0);
            (void)hear_until(&stand, server, "\r\n\r\n");
            tell(&stand, server, cases[i].answer);
        }
        if (cases[i].failing_turn == 1) {
            fake.refuses = true;
            tell(&stand, server, "def");
        }
        ck_assert_str_eq(fake.log, cases[i].log);
        has(proxy_stand_log(&stand), "\"reason\":\"client_abort\"");
        end(server);
    }
}
END_TEST

START_TEST(a_stream_may_end_at_any_moment)
{
    enum { DIALLING, WAITING, BODY, BLOCKED, MOMENTS };
    for (int moment = 0; moment < MOMENTS; moment++) {
        begin();
        start(GET("/a"));
        int server = -1;
        if (moment > DIALLING) {
            server = upstream_stand_accept(&stand.up, 0);
            (void)hear_until(&stand, server, "\r\n\r\n");
        }
        fake.is_blocked = moment == BLOCKED;
        if (moment > WAITING) {
            tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
            tell(&stand, server, "def");
        }
        finish_stream(CLOSE_CLIENT_WRITE_TIMEOUT);
        has(proxy_stand_log(&stand), "\"reason\":\"client_write_timeout\"");
        if (server >= 0) {
            proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        }
        end(server);
    }
}
END_TEST

UNIT_TESTS("exchange_stream", chunks_are_taken_apart_for_a_stream_that_has_none,
           trailers_go_on_when_the_route_says_so, a_large_plain_body_is_not_lent,
           its_body_is_framed_for_the_server, a_bad_body_is_refused,
           a_blocked_stream_stops_the_server_until_there_is_room,
           a_stream_that_takes_nothing_ends_the_exchange, a_stream_may_end_at_any_moment)
