/* What may last: gRPC calls, WebSocket over HTTP/2; and several requests of one client at a time.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/http/websocket_key.h"
#include "lbd/proxy/exchange.h"
#include "tests/unit/fake_stream.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

#define GRPC(more)                                                                                 \
    "POST /s/m HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/grpc\r\nTE: trailers\r\n"  \
    "Connection: TE\r\nTransfer-Encoding: chunked\r\n" more "\r\n"

static struct proxy_stand stand;
static struct fake_client client;
static struct fake_stream fake;

static void begin_with(const struct proxy_stand_options *options)
{
    proxy_stand_open(&stand, options);
    fake_client_init(&client, &stand);
    fake_stream_init(&fake);
}

static void begin(uint32_t servers)
{
    struct proxy_stand_options options = {.upstream = {.servers = servers}};
    begin_with(&options);
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

static void has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" is in:\n%s", part, text);
}

/* -- gRPC -- */

START_TEST(a_call_there_and_back_with_its_trailers)
{
    begin(1);
    fake.body = "ping";
    fake_stream_start(&fake, &client, GRPC(), NULL);
    int server = upstream_stand_accept(&stand.up, 0);
    fake_stream_body(&fake, fake.body);
    const char *request = hear_until(&stand, server, "0\r\n\r\n");
    has(request, "TE: trailers\r\n");
    has(request, "Via: 2.0 lbd\r\n");
    has(request, "4\r\nping\r\n");
    tell(&stand, server,
         "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
         "4\r\npong\r\n0\r\ngrpc-status: 0\r\n\r\n");
    ck_assert_str_eq(fake.log, "[200]pong[trailers grpc-status: 0\r\n.");
    fake_stream_finish(&fake, CLOSE_OK);
    const char *line = proxy_stand_log(&stand);
    has(line, "\"protocol\":\"HTTP/2.0\",\"status\":200,\"reason\":\"ok\"");
    has(line, "\"request_bytes\":4,\"response_bytes\":4");
    end(server);
}
END_TEST

START_TEST(a_failure_is_told_in_the_words_of_grpc)
{
    static const struct {
        const char *answer; /* NULL: nobody is there */
        const char *then;   /* NULL: its end */
        const char *log;
    } cases[] = {
        {NULL, NULL, "[200].{grpc-status: 14}{grpc-message: the server refused the connection}"},
        {"HTTP/1.1 bad\r\n\r\n", "",
         "[200].{grpc-status: 13}{grpc-message: the server's answer is malformed}"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nab\r\n",
         "x\r\n",
         "[200]ab[trailers grpc-status: 13\r\ngrpc-message: the framing of the server's answer is "
         "malformed or ambiguous\r\n."},
        /* a length is a promise: what is not whole is cut off */
        {"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 9\r\n\r\nab", NULL,
         "[200]ab[reset server_truncated."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int server = -1;
        if (cases[i].answer == NULL) {
            upstream_stand_refuse(&stand.up, 0);
        }
        fake.body = "ping";
        fake_stream_start(&fake, &client, GRPC(), NULL);
        if (cases[i].answer != NULL) {
            server = upstream_stand_accept(&stand.up, 0);
            fake_stream_body(&fake, fake.body);
            (void)hear_until(&stand, server, "0\r\n\r\n");
            tell(&stand, server, cases[i].answer);
            if (cases[i].then != NULL) {
                tell(&stand, server, cases[i].then);
            } else {
                (void)close(server);
                server = -1;
            }
        }
        proxy_stand_until(&stand, strstr(fake.log, "grpc-message") != NULL || fake.is_over);
        ck_assert_str_eq(fake.log, cases[i].log);
        if (!fake.is_over) {
            fake_stream_finish(&fake, CLOSE_OK);
        }
        has_not(proxy_stand_log(&stand), "\"reason\":\"ok\"");
        end(server);
    }
}
END_TEST

START_TEST(a_client_sets_its_call_a_deadline)
{
    begin(1);
    fake.stays_open = true;
    fake_stream_start(&fake, &client, GRPC("grpc-timeout: 100m\r\n"), NULL);
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    proxy_stand_tick(&stand, 90);
    ck_assert_str_eq(fake.log, "");
    proxy_stand_tick(&stand, 40);
    has(fake.log, "{grpc-status: 4}");
    fake_stream_finish(&fake, CLOSE_OK);
    has(proxy_stand_log(&stand), "\"reason\":\"call_deadline\"");
    end(server);
}
END_TEST

START_TEST(a_call_may_be_silent_as_long_as_a_tunnel)
{
    begin(1);
    stand.plan.timeouts.tunnel_idle_ms = 5000;
    fake.stays_open = true;
    fake_stream_start(&fake, &client, GRPC(), NULL);
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    for (int i = 0; i < 3; i++) { /* either way counts */
        proxy_stand_tick(&stand, 4000);
        fake_stream_body(&fake, "x");
        proxy_stand_tick(&stand, 4000);
        tell(&stand, server, "1\r\nx\r\n");
    }
    ck_assert_str_eq(fake.log, "[200]ab|x|x|x");
    proxy_stand_tick(&stand, 5100);
    proxy_stand_tick(&stand, 5100);
    has(fake.log, "[trailers grpc-status: 14");
    fake_stream_finish(&fake, CLOSE_OK);
    has(proxy_stand_log(&stand), "\"reason\":\"server_idle_timeout\"");
    end(server);
}
END_TEST

/* -- WebSocket over HTTP/2 -- */

#define CONNECT "GET /chat HTTP/1.1\r\nHost: a.example\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* As the parser of HTTP/2 leaves it. */
static void make_connect(struct message *message)
{
    message->method = METHOD_CONNECT;
    message->method_text = SLICE("CONNECT");
    message->scheme = SLICE("https");
    message->protocol = SLICE("websocket");
    message->upgrade_websocket = true;
    message->framing = FRAMING_TUNNEL;
}

/* Returns the server's end of the tunnel, or of what became of it. "$" in `answer` is the accept.
 */
static int ask_for_websocket(const char *answer)
{
    fake.stays_open = true;
    fake_stream_start(&fake, &client, CONNECT, make_connect);
    int server = upstream_stand_accept(&stand.up, 0);
    const char *request = hear_until(&stand, server, "\r\n\r\n");
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    char accept[WEBSOCKET_ACCEPT_MAX];
    char text[512];
    ck_assert_ptr_nonnull(key);
    websocket_key_accept(slice_of(key + 19, WEBSOCKET_KEY_BYTES), accept);
    has(request, "GET /chat HTTP/1.1\r\nHost: a.example\r\n");
    has(request, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    has(request, "Sec-WebSocket-Version: 13\r\n");
    has_not(request, "CONNECT");
    const char *mark = strchr(answer, '$');
    int before = mark != NULL ? (int)(mark - answer) : (int)strlen(answer);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", before, answer, mark != NULL ? accept : "",
                   mark != NULL ? mark + 1 : "");
    tell(&stand, server, text);
    return server;
}

#define SWITCH                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Accept: $\r\n\r\n"

START_TEST(a_websocket_over_http2_and_half_close_both_ways)
{
    begin(1);
    int server = ask_for_websocket(SWITCH "\x81\x02hi");
    ck_assert_str_eq(fake.log, "[200]\x81\x02hi");
    ck_assert_uint_eq(stand.proxy.tunnel_count, 1);
    ck_assert_uint_eq(stand.proxy.exchange_tunnels.objects, 1); /* and this is all that is left: */
    ck_assert_uint_eq(stand.proxy.exchanges.objects, 0);
    ck_assert_uint_eq(stand.proxy.exchange_heads.objects, 0);
    ck_assert_uint_eq(stand.up.http.h1_conns.objects, 0);
    fake_stream_body(&fake, "to the server");
    (void)hear_until(&stand, server, "to the server");
    tell(&stand, server, "\x81\x01x");
    fake.stays_open = false;
    fake_stream_body(&fake, "!"); /* and its end */
    (void)hear_until(&stand, server, "!");
    proxy_stand_until(&stand, peer_sees_end(server));
    tell(&stand, server, "\x81\x01y");
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    proxy_stand_until(&stand, strstr(fake.log, ".") != NULL);
    ck_assert_str_eq(fake.log, "[200]\x81\x02hi|\x81\x01x|\x81\x01y|.");
    fake_stream_finish(&fake, CLOSE_OK);
    const char *line = proxy_stand_log(&stand);
    has(line, "\"method\":\"CONNECT\",\"host\":\"a.example\",\"path\":\"/chat\"");
    has(line, "\"protocol\":\"HTTP/2.0\",\"status\":200,\"reason\":\"tunnel_closed\"");
    has(line, "\"request_bytes\":14,\"response_bytes\":10");
    end(server);
}
END_TEST

START_TEST(nothing_goes_to_the_server_before_it_has_switched)
{
    begin(1);
    fake.stays_open = true;
    fake_stream_start(&fake, &client, CONNECT, make_connect);
    int server = upstream_stand_accept(&stand.up, 0);
    (void)hear_until(&stand, server, "\r\n\r\n");
    fake.stream.paused = false;
    fake_stream_body(&fake, "early");
    ck_assert(fake.stream.paused);
    ck_assert_str_eq(hear(&stand, server), "");
    fake_stream_finish(&fake, CLOSE_CLIENT_ABORT);
    end(server);
}
END_TEST

START_TEST(a_server_that_does_not_switch)
{
    static const struct {
        const char *answer;
        const char *log;
        const char *reason;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "[403]no.", "\"ok\""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
         "[502]lbd: not_switched: a WebSocket request was answered as if it were an ordinary "
         "one\n.",
         "\"not_switched\""},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         "[502]lbd: bad_accept: the server's Sec-WebSocket-Accept does not answer our key\n.",
         "\"bad_accept\""},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         "[502]lbd: bad_accept: the server's Sec-WebSocket-Accept does not answer our key\n.",
         "\"bad_accept\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int server = ask_for_websocket(cases[i].answer);
        ck_assert_str_eq(fake.log, cases[i].log);
        fake_stream_finish(&fake, CLOSE_OK);
        has(proxy_stand_log(&stand), cases[i].reason);
        ck_assert_uint_eq(stand.proxy.tunnel_count, 0);
        end(server);
    }
}
END_TEST

START_TEST(a_websocket_is_told_when_it_goes_between_two_frames)
{
    static const struct {
        const char *server_says;
        const char *log;
        uint64_t told;
    } cases[] = {
        {"\x81\x02hi", "[200]|\x81\x02hi|\x88\x02\x03\xe9.", 1},
        {"\x81\x03hi", "[200]|\x81\x03hi[leave drain_deadline.", 0}, /* in the middle of one */
        {"GET /", "[200]|GET /[leave drain_deadline.", 0},           /* no WebSocket at all */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int server = ask_for_websocket(SWITCH);
        tell(&stand, server, cases[i].server_says);
        ck_assert_uint_eq(
            session_leave_server(&client.session, stand.up.servers[0], CLOSE_DRAIN_DEADLINE), 1);
        ck_assert_str_eq(fake.log, cases[i].log);
        proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        if (!fake.is_over) {
            fake_stream_body(&fake, "late"); /* goes nowhere, but is taken */
            ck_assert_ptr_null(fake.body);
            fake_stream_finish(&fake, CLOSE_OK);
        }
        has(proxy_stand_log(&stand), "\"reason\":\"drain_deadline\"");
        ck_assert_uint_eq(proxy_stand_counters(&stand)->websockets_told, cases[i].told);
        end(server);
    }
}
END_TEST

START_TEST(a_silent_tunnel_ends)
{
    begin(1);
    stand.plan.timeouts.tunnel_idle_ms = 5000;
    int server = ask_for_websocket(SWITCH);
    proxy_stand_tick(&stand, 4000);
    tell(&stand, server, "\x81\x01x");
    proxy_stand_tick(&stand, 4000);
    ck_assert(!fake.is_over);
    proxy_stand_tick(&stand, 5100);
    proxy_stand_tick(&stand, 5100);
    has(fake.log, "\x88\x02\x03\xe9.");
    fake_stream_finish(&fake, CLOSE_OK);
    has(proxy_stand_log(&stand), "\"reason\":\"tunnel_timeout\"");
    end(server);
}
END_TEST

START_TEST(a_tunnel_waits_for_who_is_slow)
{
    static char bytes[65536];
    static char heard[65536];
    begin(1);
    fake.piece = sizeof(bytes);
    int server = ask_for_websocket(SWITCH);
    /* the client */
    fake.is_blocked = true;
    tell(&stand, server, "\x81\x01x");
    tell(&stand, server, "\x81\x01y");
    ck_assert_str_eq(fake.log, "[200]|\x81\x01x");
    fake.is_blocked = false;
    fake.stream.events->on_room(&fake.stream);
    proxy_stand_until(&stand, strstr(fake.log, "y") != NULL);
    /* the server */
    memset(bytes, 'z', sizeof(bytes) - 1);
    size_t sent = 0;
    for (int i = 0; i < 1000 && !fake.stream.paused; i++) {
        fake_stream_body(&fake, bytes);
        sent += sizeof(bytes) - 1;
    }
    ck_assert(fake.stream.paused);
    ck_assert_uint_le(stand.up.base.net.buffered_bytes, sizeof(bytes));
    size_t got = 0;
    proxy_stand_until(&stand, (got += peer_read(server, heard, sizeof(heard))) == sent);
    proxy_stand_until(&stand, !fake.stream.paused);
    fake_stream_finish(&fake, CLOSE_CLIENT_ABORT);
    proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
    has(proxy_stand_log(&stand), "\"reason\":\"client_abort\"");
    end(server);
}
END_TEST

START_TEST(a_tunnel_that_breaks_is_reset)
{
    begin(1);
    int server = ask_for_websocket(SWITCH);
    struct linger at_once = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    (void)close(server);
    proxy_stand_until(&stand, fake.is_over);
    has(fake.log, "[reset server_truncated.");
    end(-1);
}
END_TEST

/* -- several at a time -- */

enum { MANY = 3 };
static struct fake_stream many[MANY];

static void start_many(int servers[MANY])
{
    for (int i = 0; i < MANY; i++) {
        fake_stream_init(&many[i]);
        fake_stream_start(&many[i], &client, GET("/a"), NULL);
        servers[i] = upstream_stand_accept(&stand.up, 0);
        (void)hear_until(&stand, servers[i], "\r\n\r\n");
    }
}

START_TEST(each_request_of_a_client_is_seen)
{
    int servers[MANY];
    begin(1);
    start_many(servers);
    struct session_facts facts;
    session_look(&client.session, &facts);
    ck_assert_int_eq(facts.state, SESSION_IS_REQUEST);
    int seen = 0;
    do {
        seen++;
        ck_assert_ptr_eq(facts.server, stand.up.servers[0]);
    } while (session_look_on(&facts));
    ck_assert_int_eq(seen, MANY);
    for (int i = 0; i < MANY; i++) {
        fake_stream_finish(&many[i], CLOSE_CLIENT_ABORT);
        (void)close(servers[i]);
    }
    session_look(&client.session, &facts);
    ck_assert_int_eq(facts.state, SESSION_IS_IDLE);
    end(-1);
}
END_TEST

START_TEST(a_server_lets_go_of_each_request_and_the_client_stays)
{
    int servers[MANY];
    begin(1);
    start_many(servers);
    tell(&stand, servers[1], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    ck_assert_uint_eq(
        session_leave_server(&client.session, stand.up.servers[0], CLOSE_SERVER_REMOVED), MANY);
    has(many[0].log, "[502]lbd: server_removed: ");
    ck_assert_str_eq(many[1].log, "[200]abc[leave server_removed.");
    has(many[2].log, "[502]lbd: server_removed: ");
    ck_assert_uint_eq(
        session_leave_server(&client.session, stand.up.servers[0], CLOSE_SERVER_REMOVED), 0);
    ck_assert_uint_eq(client.drained + client.left + client.aborted, 0);
    fake_stream_finish(&many[0], CLOSE_OK);
    fake_stream_finish(&many[2], CLOSE_OK);
    for (int i = 0; i < MANY; i++) {
        (void)close(servers[i]);
    }
    end(-1);
}
END_TEST

START_TEST(a_client_is_ended_politely_with_all_its_requests)
{
    int servers[MANY];
    begin(1);
    start_many(servers);
    session_abort(&client.session, CLOSE_KILLED, true);
    ck_assert_uint_eq(client.drained, 1); /* it ends by itself after the last of them */
    ck_assert_uint_eq(client.left, 0);
    for (int i = 0; i < MANY; i++) {
        has(many[i].log, "[503]lbd: killed: ");
        fake_stream_finish(&many[i], CLOSE_OK);
        (void)close(servers[i]);
    }
    session_abort(&client.session, CLOSE_KILLED, true);
    ck_assert_uint_eq(client.left, 1); /* nothing was under way */
    session_abort(&client.session, CLOSE_KILLED, false);
    ck_assert_uint_eq(client.aborted, 1);
    end(-1);
}
END_TEST

UNIT_TESTS("exchange_call", a_call_there_and_back_with_its_trailers,
           a_failure_is_told_in_the_words_of_grpc, a_client_sets_its_call_a_deadline,
           a_call_may_be_silent_as_long_as_a_tunnel,
           a_websocket_over_http2_and_half_close_both_ways,
           nothing_goes_to_the_server_before_it_has_switched, a_server_that_does_not_switch,
           a_websocket_is_told_when_it_goes_between_two_frames, a_silent_tunnel_ends,
           a_tunnel_waits_for_who_is_slow, a_tunnel_that_breaks_is_reset,
           each_request_of_a_client_is_seen, a_server_lets_go_of_each_request_and_the_client_stays,
           a_client_is_ended_politely_with_all_its_requests)
