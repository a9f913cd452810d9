#include <stdlib.h>
#include <string.h>

#include "lbd/upstream/http_call.h"
#include "tests/unit/dns_peer.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

/* What the latest call said. */
static struct {
    struct probe_field field;
    bool done;
    uint32_t calls;
    uint16_t status;
    char type[64];
    char body[4096];
    size_t body_len;
    char why[HTTP_CALL_WHY_MAX];
    char flag[32]; /* of the header X-Flag */
    uint16_t status_line;
    bool has_headers;
} seen;

static void note(const struct http_call_answer *answer, void *arg)
{
    ck_assert_ptr_eq(arg, &seen);
    seen.done = true;
    seen.calls++;
    seen.status = answer->status;
    seen.status_line = answer->status_line;
    seen.has_headers = answer->headers != NULL;
    (void)snprintf(seen.type, sizeof(seen.type), "%.*s", SLICE_ARG(answer->content_type));
    ck_assert_uint_lt(answer->body.len, sizeof(seen.body));
    if (answer->body.len != 0) {
        memcpy(seen.body, answer->body.ptr, answer->body.len);
    }
    seen.body[answer->body.len] = '\0';
    seen.body_len = answer->body.len;
    const struct header *flag =
        answer->headers != NULL ? headers_find_name(answer->headers, SLICE("x-flag")) : NULL;
    (void)snprintf(seen.flag, sizeof(seen.flag), "%.*s",
                   SLICE_ARG(flag != NULL ? header_value(answer->headers, flag) : SLICE_NONE));
    (void)snprintf(seen.why, sizeof(seen.why), "%s", answer->why);
}

static void begin(void)
{
    memset(&seen, 0, sizeof(seen));
    probe_field_init(&seen.field);
}

static void run(const struct http_call_request *request)
{
    seen.done = false;
    seen.calls = 0;
    (void)http_call_start(seen.field.loop, request, note, &seen);
    ck_assert(!seen.done);
    for (uint32_t i = 0; i < 20000 && !seen.done; i++) {
        loop_run_once(seen.field.loop, 20);
    }
    ck_assert_uint_eq(seen.calls, 1);
}

static const char *url_of(const char *scheme, const char *host, const char *path)
{
    static char url[256];
    (void)snprintf(url, sizeof(url), "%s://%s:%u%s", scheme, host,
                   addr_port(&seen.field.peer.address), path);
    return url;
}

static const struct {
    const char *what;
    const char *answer; /* NULL: none */
    bool closes;
    uint16_t status; /* 0: failed */
    const char *body;
    const char *why;
} answers[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nhello", false,
     200, "hello", ""},
    {"chunked",
     "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\n"
     "lo\r\n0\r\nA: b\r\n\r\n",
     false, 200, "hello", ""},
    {"until the end", "HTTP/1.0 200 OK\r\nContent-Type: text/x\r\n\r\nhello", true, 200, "hello",
     ""},
    {"an error is an answer",
     "HTTP/1.1 404 No\r\nContent-Type: text/x\r\nContent-Length: 0\r\n\r\n", false, 404, "", ""},
    {"no body", "HTTP/1.1 204 None\r\nContent-Type: text/x\r\n\r\n", false, 204, "", ""},
    {"interim",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: "
     "text/x\r\nContent-Length: 2\r\n\r\nhi",
     false, 200, "hi", ""},
    {"too many interim",
     "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n"
     "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n",
     false, 0, "", "malformed answer: more than 5 interim"},
    {"101", "HTTP/1.1 101 Switch\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", false, 0, "",
     "malformed answer: "},
    {"too large",
     "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"
     "0123456789012345678901234567890123456789012345678901234567890123456789",
     false, 0, "", "the answer is larger than 64 bytes"},
    {"both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     false, 0, "", "malformed answer: "},
    {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, 0, "",
     "malformed answer: "},
    {"not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", false, 0, "", "malformed answer: "},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", true, 0, "",
     "connection closed in the middle of the answer"},
    {"half chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", true, 0,
     "", "connection closed in the middle of the answer"},
    {"half a head", "HTTP/1.1 200 O", true, 0, "", "connection closed in the middle of the head"},
    {"nothing", NULL, true, 0, "", "connection closed before an answer"},
};

START_TEST(an_answer_is_the_same_however_it_is_cut)
{
    static const uint32_t chunks[] = {0, 1, 7};
    for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
        begin();
        seen.field.peer.answer = answers[_i].answer;
        seen.field.peer.closes = answers[_i].closes;
        seen.field.peer.chunk = chunks[c];
        const char *url = url_of("http", "127.0.0.1", "/ocsp?a=b");
        const struct http_call_request request = {
            .url = slice_from(url), .timeout_ms = 5000, .answer_max = 64};
        run(&request);
        ck_assert_msg(seen.status == answers[_i].status &&
                          strcmp(seen.body, answers[_i].body) == 0 &&
                          strncmp(seen.why, answers[_i].why, strlen(answers[_i].why)) == 0,
                      "%s in pieces of %u: %u \"%s\" \"%s\"", answers[_i].what, chunks[c],
                      seen.status, seen.body, seen.why);
        ck_assert_str_eq(seen.type, seen.status != 0 ? "text/x" : "");
        ck_assert(strncmp(seen.field.peer.request,
                          "GET /ocsp?a=b HTTP/1.1\r\nHost: 127.0.0.1:", 40) == 0);
        probe_field_fini(&seen.field);
    }
}
END_TEST

static const struct {
    const char *answer;
    bool closes;
    uint16_t status_line;
    bool has_headers;
} broken[] = {
    {"HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nhe", true, 401, true},
    {"HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n"
     "0123456789012345678901234567890123456789012345678901234567890123456789",
     false, 401, true},
    {"HTTP/1.1 302 Go\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, 302, true},
    {"HTTP/1.1 403 No\r\nno colon\r\n\r\n", false, 403, false},
    {"HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, 403, false},
    {"HTTP/1.1 403 No\r\nA: b\r\n", true, 403, false},
    {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 403 No\r\nA", true, 403, false},
    {"HTTP/1.1 103 Hints\r\nno colon\r\n\r\n", false, 0, false},
    {"HTTP/1.1 403 No", true, 0, false},
    {"HTTP/1.1 4x3 No\r\nA: b\r\n\r\n", false, 0, false},
};

START_TEST(a_status_line_is_told_whatever_follows)
{
    static const uint32_t chunks[] = {0, 1, 7};
    for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
        begin();
        seen.field.peer.answer = broken[_i].answer;
        seen.field.peer.closes = broken[_i].closes;
        seen.field.peer.chunk = chunks[c];
        const char *url = url_of("http", "127.0.0.1", "/");
        const struct http_call_request request = {
            .url = slice_from(url), .timeout_ms = 5000, .answer_max = 64};
        run(&request);
        ck_assert_msg(seen.status == 0 && seen.status_line == broken[_i].status_line &&
                          seen.has_headers == broken[_i].has_headers,
                      "%s in pieces of %u: %u, %u", broken[_i].answer, chunks[c], seen.status,
                      seen.status_line);
        probe_field_fini(&seen.field);
    }
}
END_TEST

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

START_TEST(a_body_goes_with_its_type_and_length)
{
    begin();
    seen.field.peer.answer = OK;
    const struct http_call_request request = {
        .url = SLICE("http://ocsp.example?q"),
        .body = SLICE("question"),
        .content_type = SLICE("application/ocsp-request"),
        .accept = SLICE("application/ocsp-response"),
        .address = &seen.field.peer.address,
        .timeout_ms = 5000,
        .answer_max = 64,
    };
    run(&request);
    ck_assert_uint_eq(seen.status, 200);
    ck_assert_str_eq(seen.field.peer.request, "POST /?q HTTP/1.1\r\nHost: ocsp.example\r\n"
                                              "User-Agent: lbd\r\n"
                                              "Accept: application/ocsp-response\r\n"
                                              "Content-Type: application/ocsp-request\r\n"
                                              "Content-Length: 8\r\nConnection: close\r\n\r\n"
                                              "question");
    probe_field_fini(&seen.field);
}
END_TEST

#define FLAGGED "HTTP/1.1 200 OK\r\nX-Flag: \t up \r\nContent-Length: 2\r\n\r\nok"

START_TEST(headers_go_and_come)
{
    begin();
    seen.field.peer.answer = FLAGGED;
    const struct http_call_request request = {
        .url = SLICE("http://auth.example/"),
        .fields = SLICE("Auth-User: joe\r\nAuth-Pass: %20\r\n"),
        .address = &seen.field.peer.address,
        .timeout_ms = 5000,
        .answer_max = 64,
    };
    run(&request);
    ck_assert_str_eq(seen.flag, "up");
    ck_assert_str_eq(seen.field.peer.request,
                     "GET / HTTP/1.1\r\nHost: auth.example\r\nUser-Agent: lbd\r\n"
                     "Auth-User: joe\r\nAuth-Pass: %20\r\nConnection: close\r\n\r\n");
    probe_field_fini(&seen.field);
}
END_TEST

static void ask(struct http_lines *lines)
{
    const char *url = url_of("http", "127.0.0.1", "/");
    const struct http_call_request request = {
        .url = slice_from(url), .lines = lines, .timeout_ms = 5000, .answer_max = 64};
    run(&request);
}

START_TEST(a_connection_waits_for_the_next_call)
{
    struct http_lines lines;
    begin();
    http_lines_init(&lines, seen.field.loop);
    seen.field.peer.answer = FLAGGED;
    seen.field.peer.stays = true;
    for (uint32_t i = 0; i < 5; i++) {
        ask(&lines);
        ck_assert_uint_eq(seen.status, 200);
        ck_assert_str_eq(seen.flag, "up");
        ck_assert_uint_eq(lines.idle_count, 1);
    }
    ck_assert_uint_eq(seen.field.peer.accepted, 1);
    ck_assert_uint_eq(lines.reused, 4);

    /* what the server says without being asked ends it */
    seen.field.peer.answer = FLAGGED "x";
    ask(&lines);
    for (uint32_t i = 0; i < 10; i++) {
        loop_run_once(seen.field.loop, 1);
    }
    ck_assert_uint_eq(lines.idle_count, 0);

    /* and so does the server itself */
    seen.field.peer.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    ask(&lines);
    ck_assert_uint_eq(seen.status, 200);
    ck_assert_uint_eq(lines.idle_count, 0);
    http_lines_fini(&lines);
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(a_connection_that_was_closed_meanwhile_is_no_failure)
{
    struct http_lines lines;
    begin();
    http_lines_init(&lines, seen.field.loop);
    seen.field.peer.answer = FLAGGED;
    seen.field.peer.stays = true;
    ask(&lines);
    ck_assert_uint_eq(lines.idle_count, 1);
    seen.field.peer.answer = NULL; /* the next request finds it closed; the new connection, too */
    seen.field.peer.closes = true;
    ask(&lines);
    ck_assert_msg(seen.field.peer.accepted == 2, "%u %s", seen.status, seen.why);
    ck_assert_str_eq(seen.why, "connection closed before an answer");
    seen.field.peer.answer = FLAGGED;
    seen.field.peer.closes = false;
    ask(&lines);
    struct http_call *call = NULL;
    const char *url = url_of("http", "127.0.0.1", "/");
    const struct http_call_request request = {
        .url = slice_from(url), .lines = &lines, .timeout_ms = 5000, .answer_max = 64};
    seen.field.peer.answer = NULL;
    call = http_call_start(seen.field.loop, &request, note, &seen);
    loop_run_once(seen.field.loop, 1);
    http_call_cancel(call); /* its connection goes with it */
    ck_assert_uint_eq(lines.idle_count, 0);
    http_lines_fini(&lines);
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(only_so_many_connections_wait)
{
    struct http_lines lines;
    static struct http_call *calls[2 * HTTP_LINES_MAX];
    begin();
    http_lines_init(&lines, seen.field.loop);
    seen.field.peer.answer = FLAGGED;
    seen.field.peer.stays = true;
    const char *url = url_of("http", "127.0.0.1", "/");
    const struct http_call_request request = {
        .url = slice_from(url), .lines = &lines, .timeout_ms = 5000, .answer_max = 64};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        calls[i] = http_call_start(seen.field.loop, &request, note, &seen);
    }
    for (uint32_t i = 0; i < 20000 && seen.calls < ARRAY_LEN(calls); i++) {
        loop_run_once(seen.field.loop, 20);
    }
    ck_assert_uint_eq(seen.calls, ARRAY_LEN(calls));
    ck_assert_uint_le(lines.idle_count, HTTP_LINES_MAX);
    ck_assert_uint_gt(lines.idle_count, 0);
    http_lines_fini(&lines);
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(what_cannot_be_asked_is_told_from_the_loop)
{
    static const struct {
        const char *url;
        const char *why;
    } cases[] = {
        {"ftp://a/", "the URL does not begin with http:// or https://"},
        {"http://", "the URL is malformed"},
        {"http://a b/", "the URL is malformed"},
        {"http://user@a/", "the URL is malformed"},
        {"http://a/#frag", "the URL is malformed"},
        {"http://a/\r\nX: y", "the URL is malformed"},
        {"http://a:0/", "the URL is malformed"},
        {"http://a:70000/", "the URL is malformed"},
        {"https://127.0.0.1/", "https is not possible here"},
        {"http://a.example/", "its host is a name, and nobody is there to resolve it"},
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_call_request request = {
            .url = slice_from(cases[i].url), .timeout_ms = 5000, .answer_max = 64};
        run(&request);
        ck_assert_uint_eq(seen.status, 0);
        ck_assert_msg(strcmp(seen.why, cases[i].why) == 0, "%s: %s", cases[i].url, seen.why);
    }
    const struct http_call_request smuggling = {.url = SLICE("http://127.0.0.1:9/"),
                                                .accept = SLICE("a\r\nB: c"),
                                                .timeout_ms = 5000,
                                                .answer_max = 64};
    run(&smuggling);
    ck_assert_str_eq(seen.why, "the request is malformed or too large");
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(it_has_its_time)
{
    begin();
    const char *url = url_of("http", "127.0.0.1", "/");
    const struct http_call_request request = {
        .url = slice_from(url), .timeout_ms = 50, .answer_max = 64};
    run(&request);
    ck_assert_str_eq(seen.why, "timed out after 50ms");
    struct http_call *call = http_call_start(seen.field.loop, &request, note, &seen);
    http_call_cancel(call);
    http_call_cancel(NULL);
    loop_run_once(seen.field.loop, 100);
    ck_assert_uint_eq(seen.calls, 1);
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(names_are_resolved)
{
    static const struct dns_peer_name names[] = {{"here.test", "127.0.0.1", ""}, {NULL, "", ""}};
    struct dns_peer dns;
    struct err err;
    begin();
    seen.field.peer.answer = OK;
    dns_peer_init(&dns, seen.field.loop, names);
    struct slice server = slice_from(dns.address);
    struct resolve *resolve = resolve_new(seen.field.loop, &server, 1, &err);
    ck_assert_ptr_nonnull(resolve);
    struct http_call_request request = {
        .url = slice_from(url_of("http", "here.test", "/")),
        .resolve = resolve,
        .timeout_ms = 5000,
        .answer_max = 64,
    };
    run(&request);
    ck_assert_msg(seen.status == 200, "%s", seen.why);
    request.url = SLICE("http://nowhere.test/");
    run(&request);
    ck_assert(strncmp(seen.why, "cannot resolve 'nowhere.test': ", 31) == 0);
    resolve_free(resolve);
    dns_peer_fini(&dns);
    probe_field_fini(&seen.field);
}
END_TEST

START_TEST(https_is_verified)
{
    static const struct {
        const char *host;
        const char *why;
    } cases[] = {
        {"127.0.0.1", ""},
        {"localhost", ""},
        {"shop.example", "TLS: the certificate of 'CN=localhost': hostname mismatch"},
    };
    struct tls_files files;
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_context_options server = {
        .is_server = true, .chain_file = files.chain, .key_file = files.key};
    struct tls_context *context = tls_context_new(&server, &err);
    struct tls_ca *ca = tls_ca_from_files(files.ca, NULL, &err);
    struct tls_client_options options = {.ca = ca};
    struct tls_client *client = tls_client_new(&options, &err);
    ck_assert(context != NULL && client != NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        seen.field.peer.answer = OK;
        seen.field.peer.closes = true;
        seen.field.peer.tls = context;
        const struct http_call_request request = {
            .url = slice_from(url_of("https", cases[i].host, "/")),
            .address = &seen.field.peer.address,
            .tls = client,
            .timeout_ms = 5000,
            .answer_max = 64,
        };
        run(&request);
        ck_assert_msg(strncmp(seen.why, cases[i].why, strlen(cases[i].why)) == 0 &&
                          seen.status == (cases[i].why[0] == '\0' ? 200 : 0),
                      "%zu: %u %s", i, seen.status, seen.why);
        probe_field_fini(&seen.field);
    }
    tls_client_unref(client);
    tls_ca_unref(ca);
    tls_context_unref(context);
    tls_files_end(&files);
}
END_TEST

static void add_answers(TCase *tcase)
{
    tcase_add_loop_test(tcase, an_answer_is_the_same_however_it_is_cut, 0, ARRAY_LEN(answers));
    tcase_add_loop_test(tcase, a_status_line_is_told_whatever_follows, 0, ARRAY_LEN(broken));
}

static void add_rest(TCase *tcase)
{
    tcase_add_test(tcase, a_body_goes_with_its_type_and_length);
    tcase_add_test(tcase, headers_go_and_come);
    tcase_add_test(tcase, a_connection_waits_for_the_next_call);
    tcase_add_test(tcase, a_connection_that_was_closed_meanwhile_is_no_failure);
    tcase_add_test(tcase, only_so_many_connections_wait);
    tcase_add_test(tcase, what_cannot_be_asked_is_told_from_the_loop);
    tcase_add_test(tcase, it_has_its_time);
    tcase_add_test(tcase, names_are_resolved);
    tcase_add_test(tcase, https_is_verified);
}

UNIT_MAIN("http_call", add_answers, add_rest)
