#include <string.h>

#include "ctl/rest_reply.h"
#include "tests/unit/unit.h"

struct answer {
    const char *bytes;
    enum rest_verdict want; /* after the server has closed */
    uint32_t status;
    const char *body;
};

static const struct answer answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", REST_DONE, 200, "{}"},
    {"HTTP/1.0 404 \r\nContent-Length: 0\r\n\r\n", REST_DONE, 404, ""},
    {"HTTP/1.1 204\r\n\r\n", REST_DONE, 204, ""}, /* no reason phrase, no body */
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", REST_DONE, 304, ""},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", REST_DONE, 200, "until the end"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA ; x=y\r\n0123456789\r\n0\r\n\r\n",
     REST_DONE, 200, "abc0123456789"},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n", REST_DONE,
     200, "x"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n1", REST_DONE,
     201, "1"},
    {"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
     REST_DONE, 200, ""},

    {"", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", REST_BAD, 0, NULL}, /* cut off */
    {"HTTP/1.1 200 OK\r\nContent-Le", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 100 Continue\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/2 200 OK\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 20 OK\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 2000\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 999 x\r\n\r\n", REST_BAD, 0, NULL},
    {"SSH-2.0-OpenSSH\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", REST_BAD, 0, NULL}, /* bare LF */
    {"HTTP/1.1 200 OK\r\n: x\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nA b: x\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nA\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\n", REST_BAD, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", REST_BAD, 0,
     NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", REST_BAD, 0, NULL}, /* more than it said */
    {"HTTP/1.1 204 No Content\r\n\r\nx", REST_BAD, 0, NULL},
};

/* Feeds `text` in pieces cut at `cut`, then ends; `cut` 0: byte by byte. */
static enum rest_verdict feed(struct rest_reply *reply, struct slice text, size_t cut,
                              struct err *err)
{
    enum rest_verdict verdict = REST_MORE;
    while (text.len != 0 && verdict != REST_BAD) {
        size_t len = cut == 0 ? 1 : cut < text.len ? cut : text.len;
        verdict = rest_reply_feed(reply, slice_of(text.ptr, len), err);
        text = slice_from_at(text, len);
        cut = cut == 0 ? 0 : text.len;
    }
    return verdict == REST_BAD ? REST_BAD : rest_reply_end(reply, err);
}

START_TEST(same_answer_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *answer = &answers[i];
        struct slice text = slice_from(answer->bytes);
        for (size_t cut = 0; cut <= text.len; cut++) {
            struct rest_reply reply;
            struct err err = {.kind = ERR_NONE};
            rest_reply_init(&reply);
            enum rest_verdict got = feed(&reply, text, cut, &err);
            ck_assert_msg(got == answer->want, "%s\ncut at %zu: verdict %d", answer->bytes, cut,
                          got);
            if (got == REST_DONE) {
                ck_assert_uint_eq(reply.status, answer->status);
                ck_assert_msg(slice_eq(buf_slice(&reply.body), slice_from(answer->body)),
                              "%s\ncut at %zu: body '%.*s'", answer->bytes, cut,
                              SLICE_ARG(buf_slice(&reply.body)));
            } else {
                ck_assert_int_eq(err.kind, ERR_MALFORMED);
                ck_assert_str_ne(err.text, "");
            }
            rest_reply_fini(&reply);
        }
    }
}
END_TEST

START_TEST(headers_that_matter_are_kept)
{
    struct rest_reply reply;
    rest_reply_init(&reply);
    ck_assert_int_eq(
        rest_reply_feed(&reply,
                        SLICE("HTTP/1.1 200 OK\r\nETag: \"0011223344556677\"\r\n"
                              "Lbd-Revision: 42\r\nLbd-Changed: false\r\n"
                              "content-type: application/problem+json; charset=utf-8\r\n"
                              "Content-Length: 0\r\n\r\n"),
                        NULL),
        REST_DONE);
    ck_assert_str_eq(reply.etag, "\"0011223344556677\"");
    ck_assert_uint_eq(reply.revision, 42);
    ck_assert(!reply.is_changed);
    ck_assert(reply.is_json);

    rest_reply_clear(&reply); /* nothing is left over for the next */
    ck_assert_int_eq(rest_reply_feed(&reply,
                                     SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                                           "Content-Length: 0\r\n\r\n"),
                                     NULL),
                     REST_DONE);
    ck_assert_str_eq(reply.etag, "");
    ck_assert_uint_eq(reply.revision, 0);
    ck_assert(reply.is_changed);
    ck_assert(!reply.is_json);
    rest_reply_fini(&reply);
}
END_TEST

START_TEST(limits_are_kept)
{
    static char line[REST_REPLY_LINE_MAX + 2];
    struct rest_reply reply;
    struct err err;
    rest_reply_init(&reply);
    memset(line, 'a', sizeof(line));
    ck_assert_int_eq(rest_reply_feed(&reply, SLICE("HTTP/1.1 200 OK\r\nA: "), &err), REST_MORE);
    ck_assert_int_eq(rest_reply_feed(&reply, slice_of(line, sizeof(line)), &err), REST_BAD);

    rest_reply_clear(&reply);
    ck_assert_int_eq(rest_reply_feed(&reply, SLICE("HTTP/1.1 200 OK\r\n"), &err), REST_MORE);
    for (int i = 0; i < REST_REPLY_HEADERS_MAX; i++) {
        ck_assert_int_eq(rest_reply_feed(&reply, SLICE("A: b\r\n"), &err), REST_MORE);
    }
    ck_assert_int_eq(rest_reply_feed(&reply, SLICE("A: b\r\n"), &err), REST_BAD);
    rest_reply_fini(&reply);
}
END_TEST

UNIT_TESTS("rest_reply", same_answer_wherever_it_is_cut, headers_that_matter_are_kept,
           limits_are_kept)
