#include <stdlib.h>
#include <string.h>

#include "lbd/upstream/health_http.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

static const struct {
    const char *what;
    const char *answer;
    bool closes;
    enum health_probe_verdict verdict;
    const char *text;
} answers[] = {
    {"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, HEALTH_PROBE_PASSED,
     "HTTP 200 in "},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", false, HEALTH_PROBE_PASSED, "HTTP 204 in "},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nbody", true, HEALTH_PROBE_PASSED, "HTTP 200 in "},
    {"503", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, HEALTH_PROBE_FAILED,
     "HTTP 503, expected 2xx"},
    {"302", "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", false,
     HEALTH_PROBE_FAILED, "HTTP 302, expected 2xx"},
    {"interim",
     "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     false, HEALTH_PROBE_PASSED, "HTTP 200 in "},
    {"interim only", "HTTP/1.1 100 Continue\r\n\r\n", true, HEALTH_PROBE_FAILED,
     "connection closed before an answer"},
    {"switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
     false, HEALTH_PROBE_FAILED, ""},
    {"garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, HEALTH_PROBE_FAILED, "malformed answer: "},
    {"binary", "\x16\x03\x01\x02", true, HEALTH_PROBE_FAILED, "malformed answer: "},
    {"bad header", "HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", false, HEALTH_PROBE_FAILED,
     "malformed answer: "},
    {"no answer", NULL, true, HEALTH_PROBE_FAILED, "connection closed before an answer"},
    {"half a head", "HTTP/1.1 200 OK\r\nContent-", true, HEALTH_PROBE_FAILED,
     "connection closed in the middle of the head"},
};

START_TEST(answers_become_verdicts_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        static const uint32_t chunks[] = {0, 1, 7};
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct probe_field field;
            probe_field_init(&field);
            field.peer.answer = answers[i].answer;
            field.peer.closes = answers[i].closes;
            field.peer.chunk = chunks[c];
            probe_field_run(&field, &probe_field_http, &field.peer.address);
            ck_assert_msg(field.verdict == answers[i].verdict &&
                              strncmp(field.text, answers[i].text, strlen(answers[i].text)) == 0,
                          "%s in pieces of %u: %d \"%s\"", answers[i].what, chunks[c],
                          (int)field.verdict, field.text);
            ck_assert_uint_eq(field.calls, 1);
            ck_assert_uint_eq(field.peer.accepted, 1);
            probe_field_fini(&field);
        }
    }
}
END_TEST

START_TEST(expected_statuses_are_classes_and_codes)
{
    struct probe_field field;
    probe_field_init(&field);
    struct conf_health_check check = probe_field_http;
    uint16_t codes[] = {404, 503};
    check.expect_classes = 1U << 2U | 1U << 3U;
    check.expect_status = codes;
    check.expect_status_count = 2;
    field.peer.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "HTTP 503 in ");
    field.peer.answer = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "HTTP 500, expected 2xx, 3xx, 404, 503");
    probe_field_fini(&field);
}
END_TEST

START_TEST(the_request_is_what_was_configured)
{
    struct probe_field field;
    probe_field_init(&field);
    struct conf_health_check check = probe_field_http;
    struct conf_header headers[] = {
        {SLICE("X-Probe"), SLICE("yes")},
        {SLICE("X-Bad"), SLICE("a\r\nInjected: b")},
        {SLICE("Connection"), SLICE("keep-alive")},
    };
    check.headers = headers;
    check.header_count = ARRAY_LEN(headers);
    field.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    probe_field_run(&field, &check, &field.peer.address);
    ck_assert_str_eq(
        field.peer.request,
        "GET /health HTTP/1.1\r\nHost: server.test:80\r\nUser-Agent: lbd-health-check\r\n"
        "X-Probe: yes\r\nConnection: close\r\n\r\n");
    check.host = SLICE("www.example.com");
    check.method = SLICE("HEAD");
    check.header_count = 0;
    field.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "HTTP 200 in ");
    ck_assert_str_eq(field.peer.request,
                     "HEAD /health HTTP/1.1\r\nHost: www.example.com\r\n"
                     "User-Agent: lbd-health-check\r\nConnection: close\r\n\r\n");
    probe_field_fini(&field);
}
END_TEST

#define HEAD "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *what;
    const char *answer;
    bool closes;
    enum health_probe_verdict verdict;
    const char *text;
} bodies[] = {
    {"length", HEAD "X-Ready: yes\r\nContent-Length: 11\r\n\r\nall is fine", false,
     HEALTH_PROBE_PASSED, "HTTP 200 in "},
    {"chunked",
     HEAD "X-Ready: no\r\nX-READY: yes\r\nTransfer-Encoding: chunked\r\n\r\n"
          "8\r\nall is f\r\n3\r\nine\r\n0\r\n\r\n",
     false, HEALTH_PROBE_PASSED, "HTTP 200 in "},
    {"until close", HEAD "X-Ready: yes\r\n\r\nall is fine", true, HEALTH_PROBE_PASSED,
     "HTTP 200 in "},
    {"found before the end", HEAD "X-Ready: yes\r\nContent-Length: 900\r\n\r\nis fine", false,
     HEALTH_PROBE_PASSED, "HTTP 200 in "},
    {"another body", HEAD "X-Ready: yes\r\nContent-Length: 9\r\n\r\nis \"fi\"\tn", false,
     HEALTH_PROBE_FAILED, "HTTP 200, but its body does not have what is expected: \"is .fi..n\""},
    {"only in the framing",
     HEAD "X-Ready: yes\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"is fine\"\r\nab\r\n"
          "0\r\n\r\n",
     false, HEALTH_PROBE_FAILED, "HTTP 200, but its body does not have what is expected: \"ab\""},
    {"no body", HEAD "X-Ready: yes\r\nContent-Length: 0\r\n\r\n", false, HEALTH_PROBE_FAILED,
     "HTTP 200, but its body does not have what is expected: \"\""},
    {"cut", HEAD "X-Ready: yes\r\nContent-Length: 90\r\n\r\nis fi", true, HEALTH_PROBE_FAILED,
     "HTTP 200, but its body does not have what is expected: \"is fi\""},
    {"bad framing", HEAD "X-Ready: yes\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false,
     HEALTH_PROBE_FAILED, "malformed answer: "},
    {"status first", "HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\nis fine", false,
     HEALTH_PROBE_FAILED, "HTTP 500, expected 2xx"},
    {"without the line", HEAD "Content-Length: 7\r\n\r\nis fine", false, HEALTH_PROBE_FAILED,
     "HTTP 200 without the line \"x-ready: yes\""},
    {"another value", HEAD "X-Ready: yes, no\r\nContent-Length: 7\r\n\r\nis fine", false,
     HEALTH_PROBE_FAILED, "HTTP 200 without the line \"x-ready: yes\""},
};

START_TEST(lines_and_text_are_expected_however_they_are_cut)
{
    struct conf_header lines[] = {{SLICE("x-ready"), SLICE("yes")}, {SLICE("x-ready"), SLICE("")}};
    struct conf_health_check check = probe_field_http;
    check.expect_headers = lines;
    check.expect_header_count = ARRAY_LEN(lines);
    check.expect_body = SLICE("is fine");
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        static const uint32_t chunks[] = {0, 1, 7};
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct probe_field field;
            probe_field_init(&field);
            field.peer.answer = bodies[i].answer;
            field.peer.closes = bodies[i].closes;
            field.peer.chunk = chunks[c];
            probe_field_run(&field, &check, &field.peer.address);
            ck_assert_msg(field.verdict == bodies[i].verdict &&
                              strncmp(field.text, bodies[i].text, strlen(bodies[i].text)) == 0,
                          "%s in pieces of %u: %d \"%s\"", bodies[i].what, chunks[c],
                          (int)field.verdict, field.text);
            probe_field_fini(&field);
        }
    }
}
END_TEST

START_TEST(an_endless_body_is_looked_at_as_far_as_the_limit)
{
    size_t size = 300 * 1024;
    char *answer = calloc(1, size);
    ck_assert_ptr_nonnull(answer);
    size_t len = (size_t)snprintf(answer, size, "HTTP/1.1 200 OK\r\n\r\n");
    memset(answer + len, 'a', size - len - 1);
    memcpy(answer + size - 10, "is fine", 7);
    struct probe_field field;
    struct conf_health_check check = probe_field_http;
    check.expect_body = SLICE("is fine");
    check.timeout_ms = 20000;
    probe_field_init(&field);
    field.peer.answer = answer;
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "HTTP 200, but its body does not have");
    memcpy(answer + 60000, "is fine", 7);
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "HTTP 200 in ");
    probe_field_fini(&field);
    free(answer);
}
END_TEST

START_TEST(a_body_may_be_sent)
{
    struct probe_field field;
    struct conf_health_check check = probe_field_http;
    check.method = SLICE("POST");
    check.body = SLICE("{\"deep\":1}");
    probe_field_init(&field);
    field.peer.ends = "{\"deep\":1}";
    field.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    probe_field_run(&field, &check, &field.peer.address);
    ck_assert_str_eq(field.peer.request, "POST /health HTTP/1.1\r\nHost: server.test:80\r\n"
                                         "User-Agent: lbd-health-check\r\nContent-Length: 10\r\n"
                                         "Connection: close\r\n\r\n{\"deep\":1}");
    probe_field_fini(&field);
}
END_TEST

START_TEST(an_endless_head_is_cut_off)
{
    struct probe_field field;
    size_t size = 200 * 1024;
    char *answer = calloc(1, size);
    ck_assert_ptr_nonnull(answer);
    size_t len = (size_t)snprintf(answer, size, "HTTP/1.1 200 OK\r\n");
    while (len + 200 < size) {
        memset(answer + len, 'a', 100);
        memcpy(answer + len + 4, ": ", 2);
        memcpy(answer + len + 100, "\r\n", 2);
        len += 102;
    }
    probe_field_init(&field);
    field.peer.answer = answer;
    probe_field_run(&field, &probe_field_http, &field.peer.address);
    ck_assert_int_eq(field.verdict, HEALTH_PROBE_FAILED);
    /* whichever limit comes first: bytes or lines */
    ck_assert_msg(strstr(field.text, "malformed") != NULL || strstr(field.text, "64 KiB") != NULL,
                  "%s", field.text);
    probe_field_fini(&field);
    free(answer);
}
END_TEST

UNIT_TESTS("health_http", answers_become_verdicts_however_they_are_cut,
           expected_statuses_are_classes_and_codes, the_request_is_what_was_configured,
           lines_and_text_are_expected_however_they_are_cut,
           an_endless_body_is_looked_at_as_far_as_the_limit, a_body_may_be_sent,
           an_endless_head_is_cut_off)
