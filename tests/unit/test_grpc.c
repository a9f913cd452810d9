#include <string.h>

#include "lbd/http/grpc.h"
#include "lbd/http/h1_head.h"
#include "tests/unit/unit.h"

static struct header fields[16];
static char text[512];

static struct message head_of(const char *method, const char *line)
{
    struct h1_limits limits = {.head_bytes = sizeof(text), .fields = ARRAY_LEN(fields)};
    struct message message = {.headers = {.list = fields, .capacity = ARRAY_LEN(fields)}};
    struct h1_head head;
    (void)snprintf(text, sizeof(text), "%s /s/m HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", method, line);
    h1_head_init(&head);
    ck_assert_int_eq(h1_head_request(&head, slice_from(text), &limits, &message), H1_DONE);
    return message;
}

START_TEST(what_speaks_grpc)
{
    static const struct {
        const char *method;
        const char *line;
        bool is;
    } cases[] = {
        {"POST", "Content-Type: application/grpc", true},
        {"POST", "content-type: Application/GRPC+proto", true},
        {"POST", "Content-Type: application/grpc;charset=x", true},
        {"POST", "Content-Type: application/grpc ; x", true},
        {"POST", "Content-Type: application/grpc-web", false},
        {"POST", "Content-Type: application/grpcx", false},
        {"POST", "Content-Type: application/json", false},
        {"POST", "Content-Type: application/grp", false},
        {"POST", "X: application/grpc", false},
        {"GET", "Content-Type: application/grpc", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message message = head_of(cases[i].method, cases[i].line);
        ck_assert_msg(grpc_is_request(&message) == cases[i].is, "%s", cases[i].line);
    }
}
END_TEST

START_TEST(every_reason_has_a_code_and_a_message_that_needs_no_encoding)
{
    char out[GRPC_TRAILERS_MAX];
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        struct slice message = grpc_message_of((enum close_reason)i);
        ck_assert_uint_ne(grpc_status_of((enum close_reason)i), GRPC_OK);
        for (size_t at = 0; at < message.len; at++) {
            ck_assert(message.ptr[at] >= ' ' && message.ptr[at] < 0x7f && message.ptr[at] != '%');
        }
        ck_assert_uint_gt(grpc_write_trailers((enum close_reason)i, out), 0);
    }
}
END_TEST

START_TEST(codes_that_clients_act_on)
{
    static const struct {
        enum close_reason reason;
        enum grpc_status status;
        const char *text;
    } cases[] = {
        {CLOSE_NO_SERVER, GRPC_UNAVAILABLE, "14"},
        {CLOSE_CONNECT_REFUSED, GRPC_UNAVAILABLE, "14"},
        {CLOSE_CONNECT_TIMEOUT, GRPC_UNAVAILABLE, "14"},
        {CLOSE_SERVER_TRUNCATED, GRPC_UNAVAILABLE, "14"},
        {CLOSE_SHUTDOWN, GRPC_UNAVAILABLE, "14"},
        {CLOSE_SERVER_REFUSED, GRPC_UNAVAILABLE, "14"},
        {CLOSE_RESPONSE_TIMEOUT, GRPC_DEADLINE_EXCEEDED, "4"},
        {CLOSE_CALL_DEADLINE, GRPC_DEADLINE_EXCEEDED, "4"},
        {CLOSE_BODY_TIMEOUT, GRPC_DEADLINE_EXCEEDED, "4"},
        {CLOSE_BAD_RESPONSE, GRPC_INTERNAL, "13"},
        {CLOSE_BAD_HEADER, GRPC_INTERNAL, "13"},
        {CLOSE_NO_ROUTE, GRPC_UNIMPLEMENTED, "12"},
        {CLOSE_BODY_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED, "8"},
        {CLOSE_RATE_LIMITED, GRPC_RESOURCE_EXHAUSTED, "8"},
        {CLOSE_ACCESS_DENIED, GRPC_PERMISSION_DENIED, "7"},
        {CLOSE_LOGIN_REQUIRED, GRPC_UNAUTHENTICATED, "16"},
        {CLOSE_CLIENT_ABORT, GRPC_CANCELLED, "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum grpc_status status = grpc_status_of(cases[i].reason);
        ck_assert_int_eq(status, cases[i].status);
        ck_assert(slice_eq(grpc_status_text(status), slice_from(cases[i].text)));
    }
}
END_TEST

START_TEST(an_answer_without_a_status_has_that_of_http)
{
    static const struct {
        uint16_t http;
        enum grpc_status status;
    } cases[] = {{400, GRPC_INTERNAL},          {401, GRPC_UNAUTHENTICATED},
                 {403, GRPC_PERMISSION_DENIED}, {404, GRPC_UNIMPLEMENTED},
                 {429, GRPC_UNAVAILABLE},       {502, GRPC_UNAVAILABLE},
                 {503, GRPC_UNAVAILABLE},       {504, GRPC_UNAVAILABLE},
                 {500, GRPC_UNKNOWN},           {302, GRPC_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(grpc_status_of_http(cases[i].http), cases[i].status);
    }
}
END_TEST

START_TEST(trailers_tell_it)
{
    char out[GRPC_TRAILERS_MAX];
    size_t len = grpc_write_trailers(CLOSE_NO_SERVER, out);
    struct slice lines = slice_of(out, len);
    ck_assert_msg(slice_eq(lines, SLICE("grpc-status: 14\r\n"
                                        "grpc-message: no server of the pool is usable\r\n")),
                  "%.*s", SLICE_ARG(lines));
    ck_assert_int_eq(grpc_status_in(lines), GRPC_UNAVAILABLE);
}
END_TEST

START_TEST(the_status_among_trailers)
{
    static const struct {
        const char *lines;
        enum grpc_status status;
    } cases[] = {
        {"grpc-status: 0\r\n", GRPC_OK},
        {"x: 1\r\nGrpc-Status:5\r\ngrpc-message: x\r\n", (enum grpc_status)5},
        {"grpc-status: 16 \r\n", (enum grpc_status)16},
        {"grpc-status: 17\r\n", GRPC_UNKNOWN},
        {"grpc-status: x\r\n", GRPC_UNKNOWN},
        {"grpc-status:\r\n", GRPC_UNKNOWN},
        {"xgrpc-status: 0\r\n", GRPC_UNKNOWN},
        {"", GRPC_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(grpc_status_in(slice_from(cases[i].lines)) == cases[i].status, "%s",
                      cases[i].lines);
    }
}
END_TEST

START_TEST(how_long_a_call_may_take)
{
    static const struct {
        const char *line;
        uint64_t us;
    } cases[] = {
        {"grpc-timeout: 5S", 5000000},
        {"Grpc-Timeout: 250m", 250000},
        {"grpc-timeout: 7u", 7},
        {"grpc-timeout: 1n", 1},
        {"grpc-timeout: 0S", 1},
        {"grpc-timeout: 2M", 120000000},
        {"grpc-timeout: 1H", 3600000000},
        {"grpc-timeout: 99999999H", UINT64_C(86400000000)},
        {"grpc-timeout: 123456789S", 0},
        {"grpc-timeout: S", 0},
        {"grpc-timeout: 5", 0},
        {"grpc-timeout: 5x", 0},
        {"grpc-timeout: -5S", 0},
        {"grpc-timeout: 5 S", 0},
        {"x: 5S", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message message = head_of("POST", cases[i].line);
        ck_assert_msg(grpc_timeout_us(&message) == cases[i].us, "%s", cases[i].line);
    }
}
END_TEST

UNIT_TESTS("grpc", what_speaks_grpc, every_reason_has_a_code_and_a_message_that_needs_no_encoding,
           codes_that_clients_act_on, an_answer_without_a_status_has_that_of_http, trailers_tell_it,
           the_status_among_trailers, how_long_a_call_may_take)
