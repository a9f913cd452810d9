#include <stdlib.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h1_write.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

enum { OUT_MAX = 4096 };

static size_t write_it(char *out, size_t capacity, const struct message *message,
                       const struct h1_write *how, bool is_request)
{
    return is_request ? h1_write_request(out, capacity, message, how)
                      : h1_write_response(out, capacity, message, how);
}

/* At every capacity: all of it or nothing, and never a byte behind (R11). */
static void check(const struct message *message, const struct h1_write *how, bool is_request,
                  const char *want)
{
    size_t want_len = strlen(want);
    for (size_t capacity = 0; capacity <= want_len + 1; capacity++) {
        char *out = malloc(capacity == 0 ? 1 : capacity);
        ck_assert_ptr_nonnull(out);
        size_t len = write_it(out, capacity, message, how, is_request);
        if (capacity < want_len) {
            ck_assert_msg(len == 0, "%zu bytes in %zu", len, capacity);
        } else {
            ck_assert_msg(slice_eq(slice_of(out, len), slice_of(want, want_len)),
                          "got\n%.*s\nwant\n%s", (int)len, out, want);
        }
        free(out);
    }
}

START_TEST(writes_requests_from_the_decision)
{
    static const struct {
        const char *head;
        struct h1_write how;
        const char *want;
    } cases[] = {
        {"GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n",
         {.framing = FRAMING_NONE},
         "GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         {.framing = FRAMING_NONE, .close = true},
         "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
        /* fields stay in order, with their spelling and spaces; Host comes first (RFC 9110 7.2) */
        {"GET / HTTP/1.1\r\nA:b\r\nHOST:a\r\nC:  d \r\nE:\r\n\r\n",
         {.framing = FRAMING_NONE},
         "GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nC:  d \r\nE:\r\n\r\n"},
        /* RFC 9112 3.2.1: origin-form to a server */
        {"GET http://a/x HTTP/1.1\r\nHost: A\r\n\r\n",
         {.framing = FRAMING_NONE},
         "GET /x HTTP/1.1\r\nHost: A\r\n\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
         {.framing = FRAMING_NONE},
         "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"PROPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n",
         {.framing = FRAMING_NONE},
         "PROPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"GET / HTTP/1.0\r\n\r\n", {.framing = FRAMING_NONE}, "GET / HTTP/1.1\r\n\r\n"},
        {"GET http://b:81/ HTTP/1.0\r\n\r\n",
         {.framing = FRAMING_NONE},
         "GET / HTTP/1.1\r\nHost: b:81\r\n\r\n"},
        /* R5, R9: framing and connection are the writer's, whatever came */
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 5},
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 0},
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n",
         {.framing = FRAMING_CHUNKED},
         "POST / HTTP/1.1\r\nHost: a\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
         {.framing = FRAMING_CHUNKED},
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nTE: x\r\n"
         "Proxy-Connection: y\r\nHTTP2-Settings: z\r\nUpgrade: h2c\r\nA: b\r\n\r\n",
         {.framing = FRAMING_NONE},
         "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n",
         {.framing = FRAMING_NONE, .upgrade_websocket = true},
         "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
         {.framing = FRAMING_NONE, .te_trailers = true},
         "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
         {.framing = FRAMING_NONE, .te_trailers = true, .close = true},
         "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head_of head;
        head_of_request(&head, slice_from(cases[i].head));
        check(&head.message, &cases[i].how, true, cases[i].want);
    }
}
END_TEST

START_TEST(writes_answers_from_the_decision)
{
    static const struct {
        const char *head;
        struct h1_write how;
        const char *want;
    } cases[] = {
        {"HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 3\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 3},
         "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 3\r\n\r\n"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 3},
         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"},
        {"HTTP/1.1 404\r\nContent-Length: 3\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 3},
         "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
         {.framing = FRAMING_CHUNKED},
         "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
         {.framing = FRAMING_UNTIL_CLOSE, .close = true},
         "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 3, .keep_alive = true},
         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"},
        /* HEAD and 304: a length without a body */
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
         {.framing = FRAMING_NONE, .has_length = true, .content_length = 7},
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
        {"HTTP/1.1 304 Not Modified\r\n\r\n",
         {.framing = FRAMING_NONE},
         "HTTP/1.1 304 Not Modified\r\n\r\n"},
        /* RFC 9110 8.6, RFC 9112 6.1 */
        {"HTTP/1.1 204 No Content\r\n\r\n",
         {.framing = FRAMING_LENGTH, .has_length = true},
         "HTTP/1.1 204 No Content\r\n\r\n"},
        {"HTTP/1.1 100 Continue\r\n\r\n",
         {.framing = FRAMING_CHUNKED},
         "HTTP/1.1 100 Continue\r\n\r\n"},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Accept: x\r\n\r\n",
         {.framing = FRAMING_TUNNEL, .upgrade_websocket = true},
         "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
         "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
        /* an answer has no Host of ours */
        {"HTTP/1.1 200 OK\r\nHost: x\r\nContent-Length: 18446744\r\n\r\n",
         {.framing = FRAMING_LENGTH, .content_length = 9223372036854775807},
         "HTTP/1.1 200 OK\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head_of head;
        head_of_response(&head, slice_from(cases[i].head));
        check(&head.message, &cases[i].how, false, cases[i].want);
    }
}
END_TEST

/* Every subset of five fields: runs of neighbours end and begin where they should. */
START_TEST(leaves_out_what_was_dropped)
{
    static const char *const lines[] = {"A: 1\r\n", "Bb:2\r\n", "C: 3 \r\n", "D:\r\n", "E: 5\r\n"};
    for (unsigned kept = 0; kept < 32; kept++) {
        static const struct h1_write how = {.framing = FRAMING_NONE};
        char want[128] = "GET / HTTP/1.1\r\nHost: a\r\n";
        struct head_of head;
        head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nBb:2\r\nC: 3 \r\n"
                                     "D:\r\nE: 5\r\n\r\n"));
        for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
            if ((kept & 1U << i) != 0) {
                (void)strcat(want, lines[i]);
            } else {
                head.fields[i + 1].dropped = 1;
            }
        }
        (void)strcat(want, "\r\n");
        check(&head.message, &how, true, want);
    }
}
END_TEST

START_TEST(extras_follow_the_fields)
{
    static const struct h1_write how = {.framing = FRAMING_NONE};
    struct head_of head;
    head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"));
    message_add(&head.message, SLICE("Via"), SLICE("1.1 lbd"));
    message_add(&head.message, SLICE("X-Empty"), SLICE_NONE);
    check(&head.message, &how, true,
          "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nVia: 1.1 lbd\r\nX-Empty: \r\n\r\n");
}
END_TEST

START_TEST(what_the_exchange_changed_is_what_is_sent)
{
    static const struct h1_write how = {.framing = FRAMING_NONE};
    struct head_of head;
    head_of_request(&head, SLICE("GET /a/../b?q HTTP/1.1\r\nHost: a\r\n\r\n"));
    head.message.path = SLICE("/b");
    head.message.authority = SLICE("inside:8080");
    check(&head.message, &how, true, "GET /b?q HTTP/1.1\r\nHost: inside:8080\r\n\r\n");
}
END_TEST

START_TEST(writes_an_answer_that_was_never_parsed)
{
    static const struct h1_write how = {
        .framing = FRAMING_LENGTH, .content_length = 2, .close = true};
    struct message message = {.status = 503, .version_minor = 1};
    message_add(&message, SLICE("Content-Type"), SLICE("text/plain"));
    check(&message, &how, false,
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
          "Connection: close\r\n\r\n");
}
END_TEST

UNIT_TESTS("h1_write", writes_requests_from_the_decision, writes_answers_from_the_decision,
           leaves_out_what_was_dropped, extras_follow_the_fields,
           what_the_exchange_changed_is_what_is_sent, writes_an_answer_that_was_never_parsed)
