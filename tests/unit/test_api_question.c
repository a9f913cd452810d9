#include <stdlib.h>

#include "api/api_question.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

static const struct {
    const char *body;
    const char *head;    /* NULL: refused ... */
    const char *pointer; /* ... there */
    uint16_t port;
} cases[] = {
    {"{'url':'http://h/p?q'}", "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 80},
    {"{'url':'https://h'}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 443},
    {"{'url':'http://h:81?q'}", "GET /?q HTTP/1.1\r\nHost: h:81\r\n\r\n", NULL, 81},
    {"{'url':'tls://h'}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 443},
    {"{'url':'tcp://h:25'}", "GET / HTTP/1.1\r\nHost: h:25\r\n\r\n", NULL, 25},
    {"{'url':'tcp://h'}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0},
    {"{'url':'ftp://h'}", NULL, "/url", 0},
    {"{'url':'http://[::1]:8/'}", "GET / HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", NULL, 8},
    {"{'host':'h','path':'/a b','method':'X Y','headers':{'A':'b','C':''}}",
     "X Y /a b HTTP/1.1\r\nHost: h\r\nA: b\r\nC: \r\n\r\n", NULL, 0},
    {"{'path':'/'}", "GET / HTTP/1.1\r\n\r\n", NULL, 0},
    {"{'host':'h'}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0},
    {"{}", NULL, "", 0},
    {"7", NULL, "", 0},
    {"{'url':'h/p'}", NULL, "/url", 0},
    {"{'url':'http://'}", NULL, "/url", 0},
    {"{'url':'http://a@b/'}", NULL, "/url", 0},
    {"{'url':'http://h/','path':'/'}", NULL, "/url", 0},
    {"{'host':'h\\r\\nX: y','path':'/'}", NULL, "/host", 0},
    {"{'path':'/\\n'}", NULL, "/path", 0},
    {"{'path':'/','method':'A\\tB'}", NULL, "/method", 0},
    {"{'path':'/','headers':{'A\\n':'b'}}", NULL, "/headers", 0},
    {"{'path':'/','headers':{'A':'\\u007f'}}", NULL, "/headers", 0},
    {"{'path':'/','headers':{'A':1}}", NULL, "/headers", 0},
    {"{'path':'/','verb':'GET'}", NULL, "/verb", 0},
};

START_TEST(a_question_is_the_head_of_one_request)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_question question = {.port = 0};
        struct conf_errors errors;
        struct json_error why;
        struct buf head;
        char *text = mem_strdup(cases[i].body);
        for (char *c = text; *c != '\0'; c++) {
            *c = *c == '\'' ? '"' : *c;
        }
        struct json *body = json_parse(slice_from(text), JSON_STRICT, &json_limits_resource, &why);
        ck_assert_msg(body != NULL, "%s: %s", text, why.text);
        conf_errors_init(&errors);
        buf_init(&head, API_QUESTION_HEAD_MAX);
        bool is_fine = api_question_read(body, &question, &errors);
        ck_assert_msg(is_fine == (cases[i].head != NULL), "%s", text);
        if (is_fine) {
            ck_assert(api_question_write_head(&question, &head));
            ck_assert_msg(slice_eq(buf_slice(&head), slice_from(cases[i].head)), "%s: %.*s", text,
                          SLICE_ARG(buf_slice(&head)));
            ck_assert_uint_eq(question.port, cases[i].port);
        } else {
            ck_assert_msg(slice_eq(errors.errors[0].pointer, slice_from(cases[i].pointer)),
                          "%s: %.*s", text, SLICE_ARG(errors.errors[0].pointer));
        }
        buf_fini(&head);
        conf_errors_fini(&errors);
        json_free(body);
        free(text);
    }
}
END_TEST

START_TEST(what_is_too_long_is_none)
{
    struct api_question question = {.method = SLICE("GET"), .host = SLICE("h")};
    char *path = mem_alloc(70000);
    struct buf head;
    memset(path, '/', 70000);
    question.path = slice_of(path, 70000);
    buf_init(&head, API_QUESTION_HEAD_MAX);
    ck_assert(!api_question_write_head(&question, &head));
    buf_fini(&head);
    free(path);
}
END_TEST

START_TEST(protocols_of_a_connection)
{
    static const struct {
        const char *headers;
        const char *alpn;
        size_t max;
    } says[] = {
        {"{\"ALPN\":\"h2, http/1.1\"}", "\2h2\10http/1.1", 100},
        {"{\"alpn\":\"imap\",\"X\":\"h2\",\"Alpn\":\",,pop3\"}", "\4imap\4pop3", 100},
        {"{\"alpn\":\"imap,pop3,h2\"}", "\4imap\2h2", 9},
        {"{}", "", 100},
    };
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        struct json_error why;
        char out[100];
        struct json *headers =
            json_parse(slice_from(says[i].headers), JSON_STRICT, &json_limits_resource, &why);
        struct api_question question = {.headers = headers};
        size_t len = api_question_alpn(&question, out, says[i].max);
        ck_assert_msg(slice_eq(slice_of(out, len), slice_from(says[i].alpn)), "%s: %.*s",
                      says[i].headers, (int)len, out);
        json_free(headers);
    }
    ck_assert_uint_eq(api_question_alpn(&(struct api_question){.port = 0}, NULL, 0), 0);
}
END_TEST

UNIT_TESTS("api_question", a_question_is_the_head_of_one_request, what_is_too_long_is_none,
           protocols_of_a_connection)
