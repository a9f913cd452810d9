#include <stdio.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/hop.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

enum { TEXT_MAX = 2048 };

static const struct hop_facts facts = {
    .client_ip = {"192.0.2.7", 9}, .proto = {"https", 5}, .request_id = {"id-1", 4}};

/* Kept fields as "name=value;", then extras as "+Name=value;". */
static void text_of(char out[TEXT_MAX], const struct message *message)
{
    int len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < message->headers.count; i++) {
        const struct header *header = &message->headers.list[i];
        if (header->dropped == 0) {
            len += snprintf(out + len, (size_t)(TEXT_MAX - len), "%.*s=%.*s;",
                            SLICE_ARG(header_name(&message->headers, header)),
                            SLICE_ARG(header_value(&message->headers, header)));
        }
    }
    for (uint32_t i = 0; i < message->extra_count; i++) {
        len += snprintf(out + len, (size_t)(TEXT_MAX - len), "+%.*s=%.*s;",
                        SLICE_ARG(message->extras[i].name), SLICE_ARG(message->extras[i].value));
    }
}

#define OURS                                                                                       \
    "+X-Request-Id=id-1;+X-Forwarded-For=192.0.2.7;+X-Forwarded-Proto=https;"                      \
    "+X-Forwarded-Host=a;+Via=1.1 lbd;"

START_TEST(requests_lose_what_stops_here_and_gain_what_is_ours)
{
    static const struct {
        const char *lines; /* after Host */
        const char *want;  /* kept of them, before ours */
    } cases[] = {
        {"", ""},
        {"Accept: x\r\nCookie: y\r\n", "Accept=x;Cookie=y;"},
        {"Connection: keep-alive\r\nKeep-Alive: 5\r\n", ""},
        {"Proxy-Connection: close\r\nProxy-Authorization: x\r\nProxy-Authenticate: y\r\n", ""},
        {"TE: trailers\r\nTrailer: X\r\nHTTP2-Settings: z\r\n", ""},
        {"Connection: upgrade\r\nUpgrade: h2c\r\n", ""},
        /* R9: what the client claims */
        {"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\n", ""},
        {"X-Forwarded-Proto: http\r\nX-Forwarded-Host: b\r\nX-Forwarded-Port: 1\r\n", ""},
        {"Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n", ""},
        {"X-Request-Id: theirs\r\n", ""},
        /* RFC 9110 7.6.1 */
        {"Connection: x-hop\r\nX-Hop: 1\r\nX-Stay: 2\r\nx-hop: 3\r\n", "X-Stay=2;"},
        {"Connection: x-a\r\nX-A: 1\r\nConnection: close, X-B\r\nX-B: 2\r\n", ""},
        {"Connection: x-absent\r\nX-A: 1\r\n", "X-A=1;"},
        {"Connection: x-hop, te, keep-alive, trailer\r\nX-Hop: 1\r\nTE: x\r\n", ""},
        {"Via: 1.0 other\r\n", "Via=1.0 other;"},
        {"Expect: 100-continue\r\nContent-Length: 1\r\n", "Expect=100-continue;Content-Length=1;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TEXT_MAX];
        char want[TEXT_MAX];
        char got[TEXT_MAX];
        struct head_of head;
        enum close_reason reason = CLOSE_OK;
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].lines);
        (void)snprintf(want, sizeof(want), "Host=a;%s" OURS, cases[i].want);
        head_of_request(&head, slice_from(text));
        ck_assert_msg(hop_request(&head.message, &facts, &reason), "%s", cases[i].lines);
        text_of(got, &head.message);
        ck_assert_str_eq(got, want);
    }
}
END_TEST

START_TEST(connection_may_not_take_out_what_is_for_all)
{
    static const char *const refused[] = {
        "host",
        "Content-Length",
        "transfer-encoding",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-real-ip",
        "forwarded",
        "client-cert",
        "x-client-cert-subject",
        "x-request-id",
        "via",
        "authorization",
        "cookie",
        "cache-control",
        "expect",
        "content-type",
        "date",
        "x_forwarded_for",
        "x.real.ip",
        "keep-alive, x-a, HOST",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char text[TEXT_MAX];
        struct head_of head;
        enum close_reason reason = CLOSE_OK;
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n",
                       refused[i]);
        head_of_request(&head, slice_from(text));
        ck_assert_msg(!hop_request(&head.message, &facts, &reason), "%s", refused[i]);
        ck_assert_int_eq(reason, CLOSE_BAD_CONNECTION_HEADER);
    }
}
END_TEST

START_TEST(a_clients_request_id_is_kept_when_it_is_one)
{
    static const struct {
        const char *lines;
        const char *kept; /* NULL: none */
    } cases[] = {
        {"X-Request-Id: abc-123._~+/=\r\n", "abc-123._~+/="},
        {"X-Request-Id:\r\n", NULL},
        {"X-Request-Id: a b\r\n", NULL},
        {"X-Request-Id: a\"b\r\n", NULL},
        {"X-Request-Id: caf\xc3\xa9\r\n", NULL},
        {"X-Request-Id: a\r\nX-Request-Id: b\r\n", NULL},
        {"", NULL},
    };
    struct hop_facts no_id = facts;
    no_id.request_id = SLICE_NONE;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TEXT_MAX];
        struct head_of head;
        enum close_reason reason = CLOSE_OK;
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].lines);
        head_of_request(&head, slice_from(text));
        struct slice kept = cases[i].kept != NULL ? slice_from(cases[i].kept) : SLICE_NONE;
        ck_assert_msg(slice_eq(hop_client_request_id(&head.message), kept), "%s", cases[i].lines);
        ck_assert(hop_request(&head.message, &no_id, &reason));
        const struct header *found = headers_find(&head.message.headers, HEADER_X_REQUEST_ID);
        ck_assert_msg((found != NULL) == (cases[i].kept != NULL), "%s", cases[i].lines);
        if (found != NULL) {
            ck_assert(
                slice_eq(header_value(&head.message.headers, found), slice_from(cases[i].kept)));
        }
    }

    char text[TEXT_MAX];
    char id[130];
    memset(id, 'i', sizeof(id));
    struct head_of head;
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %.128s\r\n\r\n",
                   id);
    head_of_request(&head, slice_from(text));
    ck_assert_uint_eq(hop_client_request_id(&head.message).len, 128);
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %.129s\r\n\r\n",
                   id);
    head_of_request(&head, slice_from(text));
    ck_assert_uint_eq(hop_client_request_id(&head.message).len, 0);
}
END_TEST

START_TEST(a_client_of_http_10_is_told_apart)
{
    char got[TEXT_MAX];
    struct head_of head;
    enum close_reason reason = CLOSE_OK;
    head_of_request(&head, SLICE("POST / HTTP/1.0\r\nContent-Length: 1\r\n"
                                 "Expect: 100-continue\r\n\r\n"));
    ck_assert(hop_request(&head.message, &facts, &reason));
    text_of(got, &head.message);
    /* RFC 9110 10.1.1: its Expect is ignored; without Host there is no X-Forwarded-Host */
    ck_assert_str_eq(got, "Content-Length=1;+X-Request-Id=id-1;+X-Forwarded-For=192.0.2.7;"
                          "+X-Forwarded-Proto=https;+Via=1.0 lbd;");
}
END_TEST

START_TEST(answers_lose_what_stops_here_and_are_dated)
{
    static const struct {
        const char *head;
        bool trailers;
        const char *want;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", false, "Server=x;+Via=1.1 lbd;+Date=now;"},
        {"HTTP/1.1 200 OK\r\nDate: then\r\n\r\n", false, "Date=then;+Via=1.1 lbd;"},
        {"HTTP/1.0 200 OK\r\nDate: then\r\nVia: x\r\n\r\n", false, "Date=then;Via=x;+Via=1.0 lbd;"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nConnection: x-a, close\r\nX-A: 1\r\nKeep-Alive: 1\r\n\r\n",
         false, "Date=d;+Via=1.1 lbd;"},
        {"HTTP/1.1 426 x\r\nDate: d\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", false,
         "Date=d;+Via=1.1 lbd;"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nTrailer: X\r\n\r\n", false, "Date=d;+Via=1.1 lbd;"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nTrailer: X\r\n\r\n", true,
         "Date=d;Trailer=X;+Via=1.1 lbd;"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nX-Forwarded-For: 1\r\n\r\n", false,
         "Date=d;X-Forwarded-For=1;+Via=1.1 lbd;"},
        {"HTTP/1.1 103 x\r\nLink: l\r\n\r\n", false, "Link=l;+Via=1.1 lbd;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[TEXT_MAX];
        struct head_of head;
        head_of_response(&head, slice_from(cases[i].head));
        hop_response(&head.message, SLICE("now"), cases[i].trailers);
        text_of(got, &head.message);
        ck_assert_str_eq(got, cases[i].want);
    }
}
END_TEST

START_TEST(trailer_is_kept_for_who_forwards_trailers)
{
    struct hop_facts with = facts;
    with.forward_trailers = true;
    struct head_of head;
    enum close_reason reason = CLOSE_OK;
    head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTE: y\r\n\r\n"));
    ck_assert(hop_request(&head.message, &with, &reason));
    ck_assert_ptr_nonnull(headers_find(&head.message.headers, HEADER_TRAILER));
    ck_assert_ptr_null(headers_find(&head.message.headers, HEADER_TE));
}
END_TEST

UNIT_TESTS("hop", requests_lose_what_stops_here_and_gain_what_is_ours,
           connection_may_not_take_out_what_is_for_all, a_clients_request_id_is_kept_when_it_is_one,
           a_client_of_http_10_is_told_apart, answers_lose_what_stops_here_and_are_dated,
           trailer_is_kept_for_who_forwards_trailers)
