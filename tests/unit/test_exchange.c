/* A request's way to a server and back; retries are test_exchange_retry.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/exchange.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

static struct proxy_stand stand;

static void begin(uint32_t servers)
{
    struct proxy_stand_options options = {.upstream = {.servers = servers}};
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

static void has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" is in:\n%s", part, text);
}

/* -- there and back -- */

START_TEST(a_request_goes_to_a_server_and_its_answer_back)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client,
         "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, x-mine\r\n"
         "X-Mine: 1\r\nX-Forwarded-For: 6.6.6.6\r\nAccept: */*\r\n\r\n");
    int server = upstream_stand_accept(&stand.up, 0);
    const char *request = hear_until(&stand, server, "\r\n\r\n");
    has(request, "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\n");
    has(request, "Accept: */*\r\n");
    has(request, "X-Forwarded-For: 127.0.0.1\r\n");
    has(request, "X-Forwarded-Proto: http\r\n");
    has(request, "X-Request-Id: ");
    has(request, "Via: 1.1 lbd\r\n");
    has_not(request, "6.6.6.6");
    has_not(request, "X-Mine");
    has_not(request, "Connection");
    tell(&stand, server, "HTTP/1.1 201 Fine\r\nContent-Length: 5\r\nServer: s\r\n\r\nhello");
    const char *answer = hear_until(&stand, client, "hello");
    has(answer, "HTTP/1.1 201 Fine\r\n");
    has(answer, "Server: s\r\n");
    has(answer, "Via: 1.1 lbd\r\n");
    has(answer, "Date: ");
    has(answer, "Content-Length: 5\r\n");
    has_not(answer, "Connection");
    const char *line = proxy_stand_log(&stand);
    has(line, "\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/a?b=c\"");
    has(line,
        "\"status\":201,\"reason\":\"ok\",\"route\":\"all\",\"pool\":\"web\",\"server\":\"s0\"");
    has(line, "\"tries\":1");
    has(line, "\"revision\":42");
    for (int i = 0; i < 20; i++) { /* and again on the same two connections */
        has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
    }
    ck_assert_uint_eq(upstream_stand_counters(&stand.up)->connects, 1);
    ck_assert_uint_eq(upstream_stand_counters(&stand.up)->reuses, 20);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    end(client, server);
}
END_TEST

START_TEST(answers_of_our_own)
{
    static const struct {
        const char *request;
        const char *answer; /* a part of it */
        const char *ending;
        const char *log;
    } cases[] = {
        {GET("/fixed"), "HTTP/1.1 200 OK\r\n", "\r\n\r\nfixed answer", "\"fixed_response\""},
        {"HEAD /fixed HTTP/1.1\r\nHost: a.example\r\n\r\n", "Content-Length: 12\r\n", "\r\n\r\n",
         "\"fixed_response\""},
        {GET("/moved/here?x=1"), "Location: https://x.example/moved/here?x=1\r\n",
         "Content-Length: 0\r\n\r\n", "\"redirect\""},
        {"GET / HTTP/1.1\r\nHost: none.example\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "\n",
         "\"no_route\""},
        {"GET http://none.example?q=1 HTTP/1.1\r\nHost: none.example\r\n\r\n",
         "Lbd-Reason: no_route\r\n", "\n", "\"path\":\"/?q=1\""},
        {"GET /a%00b HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 400 ", "\n", "\"bad_target\""},
        {"GET /a/../fixed HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\n",
         "fixed answer", "\"path\":\"/a/../fixed\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        tell(&stand, client, cases[i].request);
        has(hear_until(&stand, client, cases[i].ending), cases[i].answer);
        has(proxy_stand_log(&stand), cases[i].log);
        ck_assert(!upstream_stand_has_connection(&stand.up, 0));
        end(client, -1);
    }
}
END_TEST

START_TEST(an_answer_of_our_own_keeps_the_connection_when_the_body_is_there)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client,
         "POST /fixed HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc" GET("/fixed"));
    const char *answers = hear_until(&stand, client, "fixed answer");
    has_not(answers, "Connection: close");
    ck_assert_uint_eq(proxy_stand_counters(&stand)->requests_finished, 2);
    /* and ends it when it is not */
    tell(&stand, client, "POST /fixed HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nabc");
    has(hear_until(&stand, client, "fixed answer"), "Connection: close");
    proxy_stand_until(&stand, peer_sees_end(client));
    end(client, -1);
}
END_TEST

START_TEST(a_malformed_request_is_refused_and_logged)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client, "GET / HTTP/1.1\r\nHost: a.example\r\nBad Name: x\r\n\r\n");
    has(hear_until(&stand, client, "\n"), "HTTP/1.1 400 Bad Request\r\n");
    has(proxy_stand_log(&stand), "\"status\":400,\"reason\":\"bad_header\"");
    proxy_stand_until(&stand, peer_sees_end(client));
    end(client, -1);
}
END_TEST

/* -- what comes back -- */

START_TEST(framing_of_answers)
{
    static const struct {
        const char *request;
        const char *answer;
        bool server_closes;
        const char *part;
        const char *ending;
        bool client_closes; /* lbd ends the client's connection behind it */
    } cases[] = {
        {GET("/"),
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
         false, "Transfer-Encoding: chunked\r\n", "\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
        {GET("/"), "HTTP/1.1 200 OK\r\n\r\nto the end", true, "Transfer-Encoding: chunked\r\n",
         "a\r\nto the end\r\n0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nto the end", true,
         "Connection: close\r\n", "\r\n\r\nto the end", true},
        {"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false,
         "Connection: close\r\n", "\r\n\r\nabc", true},
        {"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n",
         "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", false, "Content-Length: 99\r\n",
         "\r\n\r\n", false},
        {GET("/"), "HTTP/1.1 204 No Content\r\n\r\n", false, "204 No Content", "\r\n\r\n", false},
        {GET("/"), "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false,
         "Content-Length: 7", "\r\n\r\n", false},
        {GET("/"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true,
         "Content-Length: 0", "\r\n\r\n", false},
        {GET("/trailers"),
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: "
         "no\r\n\r\n",
         false, "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", false},
        {GET("/"), "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK_ANSWER, false,
         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n", "\r\n\r\nhi", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int cut = 0; cut < 2; cut++) { /* in one piece, and byte by byte */
            begin(1);
            int client = proxy_stand_client(&stand);
            tell(&stand, client, cases[i].request);
            int server = upstream_stand_accept(&stand.up, 0);
            (void)hear_until(&stand, server, "\r\n\r\n");
            if (cut == 0) {
                tell(&stand, server, cases[i].answer);
            } else {
                for (const char *at = cases[i].answer; *at != '\0'; at++) {
                    ck_assert_uint_eq(peer_write(server, at, 1), 1);
                    loop_run_once(stand.up.base.loop, 0);
                }
            }
            if (cases[i].server_closes) {
                ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
            }
            const char *ending = cases[i].ending;
            bool own_chunks = cases[i].server_closes && cut == 1 && ending[0] == 'a';
            const char *answer = hear_until(&stand, client, own_chunks ? "0\r\n\r\n" : ending);
            if (!(cut == 1 && strstr(cases[i].answer, ";x") != NULL)) {
                has(answer, cases[i].part);
            }
            has(proxy_stand_log(&stand), "\"reason\":\"ok\"");
            if (cases[i].client_closes) {
                proxy_stand_until(&stand, peer_sees_end(client));
            } else {
                ck_assert(!peer_sees_end(client));
            }
            end(client, server);
        }
    }
}
END_TEST

START_TEST(answers_that_are_no_answers)
{
    static const struct {
        const char *answer;
        bool closes;
        const char *status; /* NULL: cut off in the middle */
        const char *log;
        const char *rest; /* comes after the first part was forwarded */
    } cases[] = {
        {"garbage\r\n\r\n", false, "HTTP/1.1 502 ", "\"bad_response\"", NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false,
         "HTTP/1.1 502 ", "\"bad_response_framing\"", NULL},
        {"HTTP/1.1 200 OK\r\nContent-L", true, "HTTP/1.1 502 ", "\"server_truncated\"", NULL},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         false, "HTTP/1.1 502 ", "\"bad_switch\"", NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true, NULL, "\"server_truncated\"",
         NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, NULL,
         "\"server_truncated\"", NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", false,
         "HTTP/1.1 502 ", "\"bad_response_framing\"", NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, NULL,
         "\"bad_response_framing\"", "zz\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        tell(&stand, client, GET("/"));
        int server = upstream_stand_accept(&stand.up, 0);
        (void)hear_until(&stand, server, "\r\n\r\n");
        tell(&stand, server, cases[i].answer);
        if (cases[i].rest != NULL) {
            tell(&stand, server, cases[i].rest);
        }
        if (cases[i].closes) {
            ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
        }
        if (cases[i].status != NULL) {
            has(hear_until(&stand, client, "\n"), cases[i].status);
            ck_assert(!peer_sees_end(client)); /* the client's connection is sound */
        } else {
            char text[512] = "";
            size_t len = 0;
            proxy_stand_until(&stand, (len += peer_read(client, text + len, sizeof(text) - 1 - len),
                                       peer_sees_end(client) || peer_sees_reset(client)));
            text[len] = '\0';
            has_not(text, "\r\n0\r\n\r\n");
            has(text, "200 OK");
        }
        has(proxy_stand_log(&stand), cases[i].log);
        ck_assert_uint_eq(counters_of_server(stand.proxy.counters, stand.up.servers[0]->id)->errors,
                          1);
        proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        end(client, server);
    }
}
END_TEST

/* -- bodies -- */

/* Sends `len` bytes of a pattern from one end and collects them at the other. */
static void pour(int from, int to, size_t len, size_t per_turn)
{
    char *sent = malloc(len);
    char *got = malloc(len);
    size_t sent_len = 0;
    size_t got_len = 0;
    pattern_fill(sent, len, 0, 9);
    int idle = 0;
    while (got_len < len && idle < LOOP_STAND_TURNS) {
        size_t before = got_len;
        sent_len += sent_len < len ? peer_write(from, sent + sent_len, len - sent_len) : 0;
        got_len +=
            peer_read(to, got + got_len, len - got_len < per_turn ? len - got_len : per_turn);
        loop_run_once(stand.up.base.loop, got_len == before ? 1 : 0);
        idle = got_len == before ? idle + 1 : 0;
        ck_assert_uint_le(stand.up.base.net.buffered_bytes, 4U * FLOW_SCRATCH_BYTES);
    }
    ck_assert_uint_eq(got_len, len);
    ck_assert_uint_eq(pattern_differs(got, len, 0, 9), SIZE_MAX);
    free(sent);
    free(got);
}

static int ask_for(int client, const char *request)
{
    tell(&stand, client, request);
    return upstream_stand_accept(&stand.up, 0);
}

START_TEST(a_large_answer_goes_past_and_the_connection_serves_on)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n";
    static const size_t per_turn[] = {SIZE_MAX, 20000};
    for (size_t i = 0; i < ARRAY_LEN(per_turn); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        int server = ask_for(client, GET("/big"));
        (void)hear_until(&stand, server, "\r\n\r\n");
        tell(&stand, server, head);
        (void)hear_until(&stand, client, "\r\n\r\n");
        pour(server, client, 3000000, per_turn[i]);
        has(proxy_stand_log(&stand), "\"response_bytes\":3000000");
        has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
        ck_assert_uint_eq(upstream_stand_counters(&stand.up)->connects, 1);
        end(client, server);
    }
}
END_TEST

START_TEST(a_large_chunked_answer_is_braked_by_its_client)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    int server = ask_for(client, GET("/big"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)hear_until(&stand, client, "\r\n\r\n");
    enum { CHUNKS = 200, CHUNK = 8192 };
    static char chunk[CHUNK + 16];
    int head = snprintf(chunk, sizeof(chunk), "%x\r\n", CHUNK);
    size_t chunk_len = (size_t)head + CHUNK + 2;
    memset(chunk + head, 'c', CHUNK);
    memcpy(chunk + head + CHUNK, "\r\n", 2);
    size_t sent = 0;
    size_t got = 0;
    static char text[65536];
    int idle = 0;
    while (got < CHUNKS * chunk_len && idle < LOOP_STAND_TURNS) {
        size_t at = sent % chunk_len;
        size_t before = got;
        sent += sent < CHUNKS * chunk_len ? peer_write(server, chunk + at, chunk_len - at) : 0;
        got += peer_read(client, text, 3000);
        loop_run_once(stand.up.base.loop, 0);
        idle = got == before ? idle + 1 : 0;
        ck_assert_uint_le(stand.up.base.net.buffered_bytes, 4U * FLOW_SCRATCH_BYTES);
    }
    ck_assert_uint_eq(got, CHUNKS * chunk_len);
    tell(&stand, server, "0\r\n\r\n");
    ck_assert_str_eq(hear_until(&stand, client, "\r\n\r\n"), "0\r\n\r\n");
    has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
    end(client, server);
}
END_TEST

START_TEST(a_large_request_is_braked_by_its_server)
{
    static const size_t per_turn[] = {SIZE_MAX, 5000};
    for (size_t i = 0; i < ARRAY_LEN(per_turn); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        int server = ask_for(
            client, "POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2000000\r\n\r\n");
        has(hear_until(&stand, server, "\r\n\r\n"), "Content-Length: 2000000\r\n");
        pour(client, server, 2000000, per_turn[i]);
        tell(&stand, server, OK_ANSWER);
        (void)hear_until(&stand, client, "\r\n\r\nhi");
        has(proxy_stand_log(&stand), "\"request_bytes\":2000000");
        has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
        end(client, server);
    }
}
END_TEST

START_TEST(a_body_that_comes_with_the_head_waits_for_the_connection)
{
    static const struct {
        const char *request;
        const char *ending;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello", "\r\n\r\nhello"},
        {"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5;ext\r\nhello\r\n0\r\nT: x\r\n\r\n",
         "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
        {"POST /trailers HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n0\r\nT: x\r\n\r\n",
         "\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        int server = ask_for(client, cases[i].request);
        (void)hear_until(&stand, server, cases[i].ending);
        tell(&stand, server, OK_ANSWER);
        (void)hear_until(&stand, client, "\r\n\r\nhi");
        tell(&stand, client, cases[i].request); /* now on an idle connection: sent at once */
        (void)hear_until(&stand, server, cases[i].ending);
        tell(&stand, server, OK_ANSWER);
        (void)hear_until(&stand, client, "\r\n\r\nhi");
        ck_assert_uint_eq(upstream_stand_counters(&stand.up)->reuses, 1);
        end(client, server);
    }
}
END_TEST

START_TEST(expect_continue_is_the_servers_to_answer)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    int server = ask_for(client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n"
                                 "Expect: 100-continue\r\n\r\n");
    has(hear_until(&stand, server, "\r\n\r\n"), "Expect: 100-continue\r\n");
    ck_assert_str_eq(hear(&stand, client), "");
    tell(&stand, server, "HTTP/1.1 100 Continue\r\n\r\n");
    has(hear_until(&stand, client, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n");
    tell(&stand, client, "hello");
    ck_assert_str_eq(hear_until(&stand, server, "hello"), "hello");
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
    end(client, server);
}
END_TEST

START_TEST(an_early_answer_ends_both_connections)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    int server =
        ask_for(client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\npart");
    (void)hear_until(&stand, server, "part");
    tell(&stand, server, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    const char *answer = hear_until(&stand, client, "\r\n\r\nno");
    has(answer, "HTTP/1.1 413 Too Large\r\n");
    has(answer, "Connection: close\r\n");
    proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
    proxy_stand_until(&stand, peer_sees_end(client));
    tell(&stand, client, "more of the body"); /* is thrown away, and nobody is reset */
    ck_assert(!peer_sees_reset(client));
    end(client, server);
}
END_TEST

/* -- large uploads, which go past the streams -- */

#define UPLOAD(length) "POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: " #length "\r\n\r\n"

/* An upload on its way: the head and the first bytes have come to the server. */
static int upload(int *client, const char *request)
{
    begin(1);
    *client = proxy_stand_client(&stand);
    int server = ask_for(*client, request);
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, *client, "the first of many bytes");
    (void)hear_until(&stand, server, "bytes");
    return server;
}

START_TEST(an_early_answer_ends_a_large_upload)
{
    static char rest[100000];
    int client;
    int server = upload(&client, UPLOAD(90000000));
    tell(&stand, server, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    const char *answer = hear_until(&stand, client, "\r\n\r\nno");
    has(answer, "HTTP/1.1 413 Too Large\r\n");
    has(answer, "Connection: close\r\n");
    (void)peer_write(client, rest, sizeof(rest)); /* is thrown away */
    proxy_stand_until(&stand, peer_sees_end(client));
    proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
    has(proxy_stand_log(&stand), "\"status\":413,\"reason\":\"ok\"");
    end(client, server);
}
END_TEST

START_TEST(interim_answers_do_not_stop_a_large_upload)
{
    int client;
    int server = upload(&client, UPLOAD(900000));
    for (int i = 0; i < 3; i++) {
        tell(&stand, server, "HTTP/1.1 103 Early Hints\r\n\r\n");
        (void)hear_until(&stand, client, "\r\n\r\n");
    }
    static char rest[900000 - (sizeof("the first of many bytes") - 1)];
    size_t sent = 0;
    size_t got = 0;
    static char sink[65536];
    proxy_stand_until(&stand, (sent += peer_write(client, rest + sent, sizeof(rest) - sent),
                               got += peer_read(server, sink, sizeof(sink)), got == sizeof(rest)));
    tell(&stand, server, OK_ANSWER);
    (void)hear_until(&stand, client, "\r\n\r\nhi");
    has(proxy_stand_log(&stand), "\"request_bytes\":900000");
    has(round_trip(&stand, client, server, OK_ANSWER), "200 OK");
    end(client, server);
}
END_TEST

START_TEST(a_large_upload_may_end_in_any_way)
{
    enum { CLIENT_RESETS, CLIENT_ENDS, SERVER_RESETS, SERVER_ENDS, STALLS, NOBODY_READS, WAYS };
    static const char *const words[] = {
        [CLIENT_RESETS] = "client_abort", [CLIENT_ENDS] = "client_abort",
        [SERVER_RESETS] = "server_reset", [SERVER_ENDS] = "server_reset",
        [STALLS] = "body_timeout",        [NOBODY_READS] = "response_timeout",
    };
    static char block[100000];
    for (int way = 0; way < WAYS; way++) {
        int client;
        int server = upload(&client, UPLOAD(90000000));
        switch (way) {
        case CLIENT_RESETS:
            peer_reset(client);
            client = -1;
            break;
        case CLIENT_ENDS:
            ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
            break;
        case SERVER_RESETS:
            peer_reset(server);
            server = -1;
            break;
        case SERVER_ENDS:
            (void)close(server);
            server = -1;
            (void)peer_write(client, block, 1000);
            break;
        case STALLS:
            proxy_stand_tick(&stand, 900);
            ck_assert_str_eq(proxy_stand_log(&stand), "");
            proxy_stand_tick(&stand, 200);
            has(hear_until(&stand, client, "\n"), "HTTP/1.1 408 ");
            break;
        default:
            for (int idle = 0; idle < 20; idle++) { /* until every buffer is full */
                idle = peer_write(client, block, sizeof(block)) > 0 ? 0 : idle;
                loop_stand_turn(&stand.up.base);
            }
            proxy_stand_tick(&stand, 1100);
            proxy_stand_tick(&stand, 1100);
            break;
        }
        proxy_stand_until(&stand, proxy_stand_counters(&stand)->requests_finished == 1);
        const char *line = proxy_stand_log(&stand);
        ck_assert_msg(strstr(line, words[way]) != NULL, "way %d: %s", way, line);
        end(client, server);
    }
}
END_TEST

START_TEST(a_drain_ends_a_large_upload)
{
    int client;
    int server = upload(&client, UPLOAD(90000000));
    front_drain(stand.front, &stand.lease, 300);
    stand.front = NULL;
    proxy_stand_tick(&stand, 320);
    has(hear_until(&stand, client, "ended\n"), "HTTP/1.1 503 ");
    proxy_stand_tick(&stand, 1100);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    has(proxy_stand_log(&stand), "\"reason\":\"drain_deadline\"");
    end(client, server);
}
END_TEST

/* -- a client that goes -- */

START_TEST(a_client_that_resets_frees_its_server)
{
    enum { WAITING, UPLOADING, DOWNLOADING, RELAYING, STAGES };
    for (int stage = 0; stage < STAGES; stage++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        int server = ask_for(client, stage == UPLOADING ? "POST / HTTP/1.1\r\nHost: a.example\r\n"
                                                          "Content-Length: 9\r\n\r\nabc"
                                                        : GET("/"));
        (void)hear(&stand, server);
        if (stage == DOWNLOADING) {
            tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc");
        } else if (stage == RELAYING) {
            tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n");
            tell(&stand, server, "abc");
        }
        proxy_stand_tick(&stand, 50); /* late registration */
        (void)hear(&stand, client);
        peer_reset(client);
        if (stage == DOWNLOADING) {
            tell(&stand, server, "def"); /* it is noticed with the next bytes at the latest */
        }
        proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
        proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        has(proxy_stand_log(&stand), "\"reason\":\"client_abort\"");
        ck_assert_uint_eq(proxy_stand_counters(&stand)->client_aborts, 1);
        end(-1, server);
    }
}
END_TEST

START_TEST(a_client_that_half_closes_gets_a_large_answer)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    int server = ask_for(client, GET("/big"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
    (void)hear_until(&stand, client, "\r\n\r\n");
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    pour(server, client, 500000, SIZE_MAX);
    proxy_stand_until(&stand, peer_sees_end(client));
    has(proxy_stand_log(&stand), "\"reason\":\"ok\"");
    end(client, server);
}
END_TEST

/* -- time -- */

START_TEST(each_wait_ends_with_its_word)
{
    static const struct {
        const char *request;
        const char *answer; /* that the server began with */
        const char *status; /* NULL: cut off */
        const char *log;
    } cases[] = {
        {GET("/"), "", "HTTP/1.1 504 ", "\"response_timeout\""},
        {GET("/"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", NULL,
         "\"server_idle_timeout\""},
        {GET("/"), "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nabc", NULL,
         "\"server_idle_timeout\""},
        {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nabc", "", "HTTP/1.1 408 ",
         "\"body_timeout\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1);
        int client = proxy_stand_client(&stand);
        int server = ask_for(client, cases[i].request);
        (void)hear(&stand, server);
        tell(&stand, server, cases[i].answer);
        proxy_stand_tick(&stand, 900);
        ck_assert_str_eq(proxy_stand_log(&stand), "");
        proxy_stand_tick(&stand, 200);
        if (cases[i].status != NULL) {
            has(hear_until(&stand, client, "\n"), cases[i].status);
        } else {
            (void)hear(&stand, client);
            proxy_stand_until(&stand, peer_sees_end(client) || peer_sees_reset(client));
        }
        has(proxy_stand_log(&stand), cases[i].log);
        bool servers_fault = strstr(cases[i].log, "body") == NULL;
        ck_assert_uint_eq(upstream_stand_counters(&stand.up)->errors[COUNTERS_ERROR_TIMEOUT],
                          servers_fault ? 1 : 0);
        proxy_stand_until(&stand, peer_sees_end(server) || peer_sees_reset(server));
        end(client, server);
    }
}
END_TEST

START_TEST(old_deadlines_do_not_end_a_long_download)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    tell(&stand, client, GET("/fixed"));
    (void)hear_until(&stand, client, "fixed answer"); /* keep_alive runs from here */
    proxy_stand_tick(&stand, 900);
    int server = ask_for(client, GET("/big"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 20; i++) { /* slower than every timeout, but it moves */
        proxy_stand_tick(&stand, 400);
        static char bytes[5000];
        ck_assert_uint_eq(peer_write(server, bytes, sizeof(bytes)), sizeof(bytes));
        proxy_stand_settle(&stand);
        (void)hear(&stand, client);
    }
    char *log = strstr(proxy_stand_log(&stand), "/big");
    ck_assert_ptr_nonnull(log);
    has(log, "\"reason\":\"ok\"");
    end(client, server);
}
END_TEST

START_TEST(a_slow_client_is_not_the_servers_fault)
{
    begin(1);
    int client = proxy_stand_client(&stand);
    int server = ask_for(client, GET("/chunks"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    static char chunk[65536 + 16];
    int head = snprintf(chunk, sizeof(chunk), "10000\r\n");
    memcpy(chunk + head + 65536, "\r\n", 2);
    size_t sent = 0;
    size_t len = (size_t)head + 65536 + 2;
    for (int i = 0; i < 3000; i++) { /* until all buffers are full */
        sent += peer_write(server, chunk + sent % len, len - sent % len);
        loop_run_once(stand.up.base.loop, 0);
    }
    static char bytes[400000];
    for (int i = 0; i < 5; i++) { /* it reads a little within each write timeout */
        proxy_stand_tick(&stand, 800);
        ck_assert_str_eq(proxy_stand_log(&stand), "");
        size_t got = 0;
        size_t before = stand.up.base.net.buffered_bytes;
        proxy_stand_until(&stand, (got += peer_read(client, bytes, sizeof(bytes)),
                                   got > 200000 && stand.up.base.net.buffered_bytes != before));
        for (int n = 0; n < 200; n++) {
            sent += peer_write(server, chunk + sent % len, len - sent % len);
            loop_run_once(stand.up.base.loop, 0);
        }
    }
    for (int i = 0; i < 4; i++) {
        proxy_stand_tick(&stand, 1000); /* and then no more */
    }
    has(proxy_stand_log(&stand), "\"reason\":\"client_write_timeout\"");
    end(client, server);
}
END_TEST

/* -- without a log the request's head may go early -- */

START_TEST(nobody_needs_the_head_of_a_request_whose_answer_is_under_way)
{
    struct proxy_stand_options options = {.upstream = {.servers = 1}, .no_log = true};
    proxy_stand_open(&stand, &options);
    int client = proxy_stand_client(&stand);
    int server = ask_for(client, GET("/big"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
    (void)hear_until(&stand, client, "\r\n\r\n");
    ck_assert_uint_eq(stand.proxy.exchanges.objects, 1);
    ck_assert_uint_eq(stand.proxy.exchange_heads.objects, 0);
    pour(server, client, 500000, SIZE_MAX);
    ck_assert_uint_eq(stand.proxy.exchanges.objects, 0);
    tell(&stand, client, GET("/big"));
    (void)hear_until(&stand, server, "\r\n\r\n");
    tell(&stand, server, "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nabc");
    (void)close(server); /* it ends in the middle */
    (void)hear(&stand, client);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    end(client, -1);
}
END_TEST

UNIT_TESTS("exchange", a_request_goes_to_a_server_and_its_answer_back, answers_of_our_own,
           an_answer_of_our_own_keeps_the_connection_when_the_body_is_there,
           a_malformed_request_is_refused_and_logged, framing_of_answers,
           answers_that_are_no_answers, a_large_answer_goes_past_and_the_connection_serves_on,
           a_large_chunked_answer_is_braked_by_its_client, a_large_request_is_braked_by_its_server,
           a_body_that_comes_with_the_head_waits_for_the_connection,
           expect_continue_is_the_servers_to_answer, an_early_answer_ends_both_connections,
           an_early_answer_ends_a_large_upload, interim_answers_do_not_stop_a_large_upload,
           a_large_upload_may_end_in_any_way, a_drain_ends_a_large_upload,
           a_client_that_resets_frees_its_server, a_client_that_half_closes_gets_a_large_answer,
           each_wait_ends_with_its_word, old_deadlines_do_not_end_a_long_download,
           a_slow_client_is_not_the_servers_fault,
           nobody_needs_the_head_of_a_request_whose_answer_is_under_way)
