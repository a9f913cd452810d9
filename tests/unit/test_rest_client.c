#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/rest_client.h"
#include "lbd/base/now.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

START_TEST(asks_and_reads_the_answer)
{
    static const struct fake_turn turns[] = {
        {"PUT /v1/pools/a", FAKE_REPLY("200 OK", "Content-Length: 4\r\n", "fine")}};
    struct fake_api api;
    struct rest_reply reply;
    struct err err = {.kind = ERR_NONE};
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    rest_reply_init(&reply);
    const struct endpoint endpoint = {.socket = api.path};
    const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = FAKE_LIMIT_MS};
    const struct rest_request request = {.method = "PUT",
                                         .target = "/v1/pools/a",
                                         .content_type = "application/json",
                                         .if_match = "\"77\"",
                                         .body = SLICE("{\"a\":1}")};
    ck_assert_msg(rest_client_ask(&client, &request, &reply, &err), "%s", err.text);
    fake_api_stop(&api);
    ck_assert_uint_eq(reply.status, 200);
    ck_assert_str_eq(reply.body.data, "fine");
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\nHost: lbd\r\n"));
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\nIf-Match: \"77\"\r\n"));
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\n\r\n{\"a\":1}"));
    rest_reply_fini(&reply);
    fake_api_fini(&api);
}
END_TEST

static bool keep_two_lines(void *user, struct slice bytes)
{
    struct buf *kept = user;
    buf_append_slice(kept, bytes);
    return kept->len < strlen("id: 1\nid: 2\n");
}

START_TEST(a_stream_is_taken_while_it_comes)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/watch",
         FAKE_REPLY("200 OK", "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
                    "6\r\nid: 1\n\r\n6\r\nid: 2\n\r\n6\r\nid: 3\n\r\n")},
        {"GET /v1/watch", FAKE_PROBLEM("410 Gone", "{\"title\":\"gone\"}")}};
    struct fake_api api;
    struct rest_reply reply;
    struct buf kept;
    struct err err = {.kind = ERR_NONE};
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    rest_reply_init(&reply);
    buf_init(&kept, 1024);
    reply.take = keep_two_lines;
    reply.user = &kept;
    const struct endpoint endpoint = {.socket = api.path};
    const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = FAKE_LIMIT_MS};
    const struct rest_request request = {
        .method = "GET", .target = "/v1/watch", .accept = "text/event-stream", .last_event = "7"};
    ck_assert_msg(rest_client_ask(&client, &request, &reply, &err), "%s", err.text);
    ck_assert(reply.is_taken);
    ck_assert_uint_eq(reply.body.len, 0);
    ck_assert(slice_starts(buf_slice(&kept), SLICE("id: 1\nid: 2\n")));
    /* what is no stream is kept as ever */
    ck_assert_msg(rest_client_ask(&client, &request, &reply, &err), "%s", err.text);
    ck_assert_uint_eq(reply.status, 410);
    ck_assert_str_eq(reply.body.data, "{\"title\":\"gone\"}");
    fake_api_stop(&api);
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\nLast-Event-ID: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(api.requests[0], "\r\nAccept: text/event-stream, "));
    buf_fini(&kept);
    rest_reply_fini(&reply);
    fake_api_fini(&api);
}
END_TEST

START_TEST(gives_up_at_the_deadline)
{
    static const struct fake_turn turns[] = {{"GET /v1/status", NULL}};
    enum { TIMEOUT_MS = 60 };
    struct fake_api api;
    struct rest_reply reply;
    struct err err = {.kind = ERR_NONE};
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    rest_reply_init(&reply);
    const struct endpoint endpoint = {.socket = api.path};
    const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = TIMEOUT_MS};
    const struct rest_request request = {.method = "GET", .target = "/v1/status"};
    uint64_t start_ms = now_ms();
    ck_assert(!rest_client_ask(&client, &request, &reply, &err));
    ck_assert_int_eq(err.kind, ERR_PRECONDITION);
    ck_assert_uint_ge(now_ms() - start_ms, TIMEOUT_MS);
    fake_api_stop(&api);
    rest_reply_fini(&reply);
    fake_api_fini(&api);
}
END_TEST

/* An answer that comes before all of the body was read (413, say) is an answer. */
START_TEST(early_answer_counts)
{
    enum { BODY_BYTES = 8 * 1024 * 1024 };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/lbctl-test-XXXXXX";
    struct rest_reply reply;
    struct err err = {.kind = ERR_NONE};
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        static const char answer[] = "HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n";
        char bytes[512];
        int fd = accept(listener, NULL, NULL);
        bool ok = fd >= 0 && recv(fd, bytes, sizeof(bytes), 0) > 0 &&
                  send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0 && shutdown(fd, SHUT_RD) == 0;
        _exit(ok ? 0 : 1);
    }
    char *body = calloc(1, BODY_BYTES);
    rest_reply_init(&reply);
    const struct endpoint endpoint = {.socket = address.sun_path};
    const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = FAKE_LIMIT_MS};
    const struct rest_request request = {.method = "PUT",
                                         .target = "/v1/config",
                                         .content_type = "application/json",
                                         .body = slice_of(body, BODY_BYTES)};
    ck_assert_msg(rest_client_ask(&client, &request, &reply, &err), "%s", err.text);
    ck_assert_uint_eq(reply.status, 413);
    free(body);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    rest_reply_fini(&reply);
    (void)close(listener);
    (void)unlink(address.sun_path);
    (void)rmdir(directory);
}
END_TEST

START_TEST(says_why_nobody_answers)
{
    static const struct {
        const char *path;
        enum err_kind want;
    } cases[] = {
        {"/tmp/lbctl-test-there-is-no-such-socket", ERR_UNAVAILABLE},
        {"", ERR_UNAVAILABLE},
        {"/dev/null", ERR_UNAVAILABLE}, /* no socket: connection refused */
        {"/tmp/a/path/that/is/far/too/long/for/a/unix/socket/address/because/these/have/only/one/"
         "hundred/and/eight/bytes/in/all",
         ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rest_reply reply;
        struct err err = {.kind = ERR_NONE};
        rest_reply_init(&reply);
        struct endpoint endpoint;
        endpoint_init(&endpoint);
        endpoint_set_socket(&endpoint, cases[i].path);
        const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = 500};
        const struct rest_request request = {.method = "GET", .target = "/"};
        ck_assert(!rest_client_ask(&client, &request, &reply, &err));
        ck_assert_msg(err.kind == cases[i].want, "%s: %d %s", cases[i].path, err.kind, err.text);
        rest_reply_fini(&reply);
        endpoint_fini(&endpoint);
    }
}
END_TEST

START_TEST(a_server_that_hangs_up_is_no_answer)
{
    static const struct fake_turn turns[] = {{"GET /", ""}};
    struct fake_api api;
    struct rest_reply reply;
    struct err err = {.kind = ERR_NONE};
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    rest_reply_init(&reply);
    const struct endpoint endpoint = {.socket = api.path};
    const struct rest_client client = {.endpoint = &endpoint, .timeout_ms = FAKE_LIMIT_MS};
    const struct rest_request request = {.method = "GET", .target = "/"};
    ck_assert(!rest_client_ask(&client, &request, &reply, &err));
    ck_assert_int_eq(err.kind, ERR_MALFORMED);
    fake_api_stop(&api);
    rest_reply_fini(&reply);
    fake_api_fini(&api);
}
END_TEST

START_TEST(segments_are_encoded)
{
    static const struct {
        struct slice name;
        const char *want;
    } cases[] = {
        {{"web", 3}, "/web"},
        {{"a.b-c_d~9", 9}, "/a.b-c_d~9"},
        {{"a/b?c#d%", 8}, "/a%2Fb%3Fc%23d%25"},
        {{" \r\n\xc3\xa9", 5}, "/%20%0D%0A%C3%A9"},
        {{"\0", 1}, "/%00"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf path;
        buf_init(&path, 256);
        rest_client_append_segment(&path, cases[i].name);
        ck_assert_str_eq(path.data, cases[i].want);
        buf_fini(&path);
    }
}
END_TEST

START_TEST(trace_is_a_line_for_a_shell)
{
    static const struct fake_turn turns[] = {{"PUT /v1/x?a=b", FAKE_REPLY("204 None", "", "")},
                                             {"PUT /v1/y", FAKE_REPLY("204 None", "", "")}};
    static char large[20000];
    struct fake_api api;
    struct rest_reply reply;
    struct buf want;
    char *text = NULL;
    size_t len = 0;
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    rest_reply_init(&reply);
    FILE *trace = open_memstream(&text, &len);
    const struct endpoint endpoint = {.socket = api.path};
    const struct rest_client client = {
        .endpoint = &endpoint, .timeout_ms = FAKE_LIMIT_MS, .trace = trace};
    const struct rest_request request = {.method = "PUT",
                                         .target = "/v1/x?a=b",
                                         .content_type = "application/json",
                                         .body = SLICE("{\"reason\":\"it's on fire\"}")};
    ck_assert(rest_client_ask(&client, &request, &reply, NULL));
    memset(large, ' ', sizeof(large));
    const struct rest_request piped = {.method = "PUT",
                                       .target = "/v1/y",
                                       .content_type = "application/json",
                                       .body = slice_of(large, sizeof(large)),
                                       .if_match = "\"1\""};
    ck_assert(rest_client_ask(&client, &piped, &reply, NULL));
    (void)fclose(trace);
    fake_api_stop(&api);
    buf_init(&want, 1024);
    buf_printf(&want,
               "curl --unix-socket %s -X PUT -H 'Content-Type: application/json' --data-binary "
               "'{\"reason\":\"it'\\''s on fire\"}' 'http://lbd/v1/x?a=b'\n"
               "curl --unix-socket %s -X PUT -H 'Content-Type: application/json' --data-binary @- "
               "-H 'If-Match: \"1\"' http://lbd/v1/y # 20000 bytes\n",
               api.path, api.path);
    ck_assert_str_eq(text, want.data);
    buf_fini(&want);
    free(text);
    rest_reply_fini(&reply);
    fake_api_fini(&api);
}
END_TEST

UNIT_TESTS("rest_client", asks_and_reads_the_answer, a_stream_is_taken_while_it_comes,
           gives_up_at_the_deadline, early_answer_counts, says_why_nobody_answers,
           a_server_that_hangs_up_is_no_answer, segments_are_encoded, trace_is_a_line_for_a_shell)
