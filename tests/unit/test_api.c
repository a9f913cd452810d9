/* The API over its real socket, on the loop of a real control. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "lbd/base/addr.h"
#include "lbd/base/now.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

#define LIMIT_US 10000000U

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}}}";

struct fixture {
    struct live_control live;
    struct api *api;
    char socket[96];
    char answer[262144];
    unsigned status;
    const char *body;
};

static struct fixture f;

static void begin(void)
{
    char daemon[192];
    struct err err = {0};
    memset(&f, 0, sizeof(f));
    live_control_start(&f.live, web, "");
    live_control_end(&f.live);
    (void)snprintf(f.socket, sizeof(f.socket), "%s/run/api.sock", f.live.directory);
    (void)snprintf(daemon, sizeof(daemon), "\"api\":{\"listen\":[\"unix:%s\"]}", f.socket);
    live_control_write(&f.live, web, daemon);
    ck_assert(live_control_restart(&f.live));
    const struct api_options options = {
        .loop = f.live.loop, .control = f.live.control, .daemon = f.live.daemon};
    f.api = api_new(&options, &err);
    ck_assert_msg(f.api != NULL, "%s", err.text);
}

static void end(void)
{
    control_free(f.live.control);
    f.live.control = NULL;
    api_free(f.api);
    live_control_stop(&f.live);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Sends `text`, reads until the peer closes. */
static void talk(const char *text)
{
    int fd = dial();
    size_t len = strlen(text);
    size_t sent = 0;
    size_t got = 0;
    uint64_t began = now_us();
    bool is_open = true;
    while (is_open && now_us() - began < LIMIT_US) {
        if (sent < len) {
            ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
            if (n < 0 && errno == EPIPE) {
                sent = len; /* it has heard enough */
            }
        }
        loop_run_once(f.live.loop, 5);
        for (;;) {
            ssize_t n = recv(fd, f.answer + got, sizeof(f.answer) - 1 - got, 0);
            if (n <= 0) {
                is_open = n < 0 && (errno == EAGAIN || errno == EINTR);
                break;
            }
            got += (size_t)n;
        }
    }
    (void)close(fd);
    f.answer[got] = '\0';
    ck_assert_msg(!is_open, "no end of the answer: %s", f.answer);
    f.status = 0;
    (void)sscanf(f.answer, "HTTP/1.1 %u", &f.status);
    const char *blank = strstr(f.answer, "\r\n\r\n");
    f.body = blank != NULL ? blank + 4 : "";
}

/* One request, the connection closed after it. */
static unsigned call(const char *method, const char *target, const char *headers, const char *body)
{
    static char text[131072];
    (void)snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n%sContent-Length: %zu\r\n"
                   "\r\n%s",
                   method, target, headers, strlen(body), body);
    talk(text);
    return f.status;
}

#define JSON  "Content-Type: application/json\r\n"
#define MERGE "Content-Type: application/merge-patch+json; charset=utf-8\r\n"

static bool has(const char *text)
{
    return strstr(f.answer, text) != NULL;
}

START_TEST(a_resource_lives_and_dies)
{
    begin();
    ck_assert_uint_eq(call("GET", "/v1/pools/q", "", ""), 404);
    ck_assert_uint_eq(call("PUT", "/v1/pools/q", JSON, "{\"retries\":2}"), 201);
    ck_assert(has("Lbd-Changed: true"));
    ck_assert(has("Lbd-Revision: 2"));
    ck_assert_uint_eq(call("GET", "/v1/pools/q", "", ""), 200);
    ck_assert_str_eq(f.body, "{\n  \"retries\": 2\n}\n");
    ck_assert(has("Cache-Control: no-store"));
    ck_assert_uint_eq(call("PUT", "/v1/pools/q", JSON, "{\"retries\":2}"), 200);
    ck_assert(has("Lbd-Changed: false"));
    ck_assert_uint_eq(call("PATCH", "/v1/pools/q", MERGE, "{\"retries\":3}"), 200);
    ck_assert_uint_eq(call("GET", "/v1/config", "", ""), 200);
    ck_assert(has("\"retries\": 3"));
    ck_assert_uint_eq(call("DELETE", "/v1/pools/q", "", ""), 204);
    ck_assert_uint_eq(call("DELETE", "/v1/pools/q", "", ""), 404);
    ck_assert_uint_eq(call("DELETE", "/v1/pools/q?missing=ok", "", ""), 204);
    end();
}
END_TEST

START_TEST(tags_are_told_and_heeded)
{
    begin();
    char tag[32];
    char header[192];
    ck_assert_uint_eq(call("GET", "/v1/pools/p", "", ""), 200);
    const char *at = strstr(f.answer, "ETag: ");
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "ETag: %31s", tag), 1);
    (void)snprintf(header, sizeof(header), "If-None-Match: \"x\", %s\r\n", tag);
    ck_assert_uint_eq(call("GET", "/v1/pools/p", header, ""), 304);
    ck_assert_str_eq(f.body, "");
    (void)snprintf(header, sizeof(header), "If-Match: %s\r\n" MERGE, tag);
    ck_assert_uint_eq(call("PATCH", "/v1/pools/p", header, "{\"retries\":2}"), 200);
    ck_assert_uint_eq(call("PATCH", "/v1/pools/p", header, "{\"retries\":3}"), 412);
    ck_assert(has("ETag: "));
    ck_assert(!has(tag));
    end();
}
END_TEST

static const struct {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
    unsigned status;
    const char *words;
} refused[] = {
    {"GET", "/v1/nothing", "", "", 404, "not-found"},
    {"GET", "/v1/pools/UPPER", "", "", 404, "not-found"},
    {"POST", "/v1/pools/p", JSON, "{}", 405, "Allow: GET, HEAD, PUT, PATCH, DELETE"},
    {"DELETE", "/v1/config", "", "", 405, "Allow: GET, HEAD, PUT, PATCH"},
    {"PUT", "/v1/pools/q", "", "{}", 415, "unsupported-media-type"},
    {"PUT", "/v1/pools/q", "Content-Type: text/plain\r\n", "{}", 415, "application/json"},
    {"PATCH", "/v1/pools/p", JSON, "{}", 415, "Accept-Patch: application/merge-patch+json"},
    {"PATCH", "/v1/pools/p?dryrun=true", MERGE, "{}", 400, "unknown-parameter"},
    {"PATCH", "/v1/pools/p?dry_run=yes", MERGE, "{}", 400, "unknown-parameter"},
    {"PATCH", "/v1/pools/p?dry_run=true&dry_run=false", MERGE, "{}", 400, "unknown-parameter"},
    {"GET", "/v1/config?missing=ok", "", "", 400, "unknown-parameter"},
    {"PUT", "/v1/pools/q", "Origin: http://evil.test\r\n" JSON, "{}", 403, "forbidden"},
    {"GET", "/v1/config", "Sec-Fetch-Mode: no-cors\r\n", "", 403, "forbidden"},
    {"PUT", "/v1/pools/q", JSON, "{\"retrys\":1}", 422, "\"suggestion\": \"retries\""},
    {"PUT", "/v1/pools/q", JSON, "{\"a\":1,\"a\":1}", 400, "malformed-json"},
    {"PUT", "/v1/config", JSON, "{\"listeners\":{},\n \"poolz\":{}}", 422, "\"line\": 2"},
    {"DELETE", "/v1/pools/p", "", "", 409, "#/listeners/web/default_pool"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", JSON, "{\"state\":\"off\"}", 422, "#/state"},
    {"PUT", "/v1/pools/p/servers/a/admin-state", JSON, "{\"state\":\"drain\",\"x\":1}", 422, "#/x"},
    {"PUT", "/v1/pools/p/servers/no/admin-state", JSON, "{\"state\":\"drain\"}", 404, "not-found"},
    {"GET", "/v1/problems/no-such", "", "", 404, "not-found"},
};

START_TEST(what_is_refused_is_a_problem_and_changes_nothing)
{
    begin();
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        unsigned status =
            call(refused[i].method, refused[i].target, refused[i].headers, refused[i].body);
        ck_assert_msg(status == refused[i].status && has(refused[i].words), "%s %s: %s",
                      refused[i].method, refused[i].target, f.answer);
        ck_assert_msg(has("Content-Type: application/problem+json"), "%s", f.answer);
        ck_assert_msg(has("\"type\": \"/v1/problems/"), "%s", f.answer);
        ck_assert_uint_eq(control_facts(f.live.control)->revision, 1);
    }
    end();
}
END_TEST

START_TEST(two_framings_are_refused_and_nothing_after_them_is_read)
{
    begin();
    talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\n" JSON
         "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
         "DELETE /v1/pools/p HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_uint_eq(f.status, 400);
    ck_assert_ptr_null(strstr(f.body, "HTTP/1.1"));
    ck_assert_uint_eq(control_facts(f.live.control)->revision, 1);
    end();
}
END_TEST

START_TEST(large_bodies_are_refused_from_the_head)
{
    begin();
    talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\n" JSON "Content-Length: 1048577\r\n\r\n");
    ck_assert_uint_eq(f.status, 413);
    talk("PUT /v1/config HTTP/1.1\r\nHost: a\r\n" JSON "Content-Length: 16777217\r\n\r\n");
    ck_assert_uint_eq(f.status, 413);
    end();
}
END_TEST

START_TEST(a_chunked_body_is_taken)
{
    begin();
    talk("PUT /v1/pools/q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" JSON
         "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"ser\r\n9\r\nvers\":{}}\r\n0\r\n\r\n");
    ck_assert_uint_eq(f.status, 201);
    end();
}
END_TEST

START_TEST(a_dry_run_answers_with_the_changes)
{
    begin();
    ck_assert_uint_eq(call("PATCH", "/v1/pools/p?dry_run=true", MERGE, "{\"retries\":4}"), 200);
    ck_assert(has("\"resource\": {"));
    ck_assert(has("\"pointer\": \"#/pools/p/retries\""));
    ck_assert(has("\"after\": 4"));
    ck_assert(has("\"changes_total\": 1"));
    ck_assert(has("Lbd-Changed: false"));
    ck_assert_uint_eq(control_facts(f.live.control)->revision, 1);
    end();
}
END_TEST

START_TEST(an_admin_state_is_put_shown_and_taken_back)
{
    begin();
    static const char path[] = "/v1/pools/p/servers/a/admin-state";
    ck_assert_uint_eq(call("PUT", path, JSON, "{\"state\":\"drain\",\"reason\":\"kernel\"}"), 200);
    ck_assert(has("Lbd-Changed: true"));
    ck_assert_uint_eq(call("GET", path, "", ""), 200);
    ck_assert(has("\"state\": \"drain\""));
    ck_assert(has("\"configured\": \"ready\""));
    ck_assert(has("\"reason\": \"kernel\""));
    ck_assert(has("\"who\": \"unix uid="));
    ck_assert_uint_eq(call("GET", "/v1/pools/p/status", "", ""), 200);
    ck_assert(has("\"admin\": \"drain\""));
    ck_assert(has("\"effective_weight\": 0"));
    ck_assert(has("\"reason\": \"NoServerUsable\""));
    ck_assert_uint_eq(call("GET", "/readyz?pool=p", "", ""), 503);
    ck_assert_uint_eq(call("DELETE", path, "", ""), 204);
    ck_assert_uint_eq(call("GET", path, "", ""), 200);
    ck_assert(has("\"state\": \"ready\""));
    ck_assert(!has("override"));
    end();
}
END_TEST

START_TEST(status_says_what_is)
{
    begin();
    ck_assert_uint_eq(call("GET", "/v1/status", "", ""), 200);
    ck_assert(has("\"state\": \"ready\""));
    ck_assert(has("\"workers\": 2"));
    ck_assert(has("\"127.0.0.1:"));
    ck_assert_uint_eq(call("GET", "/v1/listeners/web/status", "", ""), 200);
    ck_assert(has("\"observed_revision\": 1"));
    ck_assert(has("\"type\": \"Programmed\""));
    ck_assert_uint_eq(call("GET", "/v1/config/status", "", ""), 200);
    ck_assert(has("\"source\": \"api\""));
    ck_assert_uint_eq(call("GET", "/v1/pools/p/servers/a/status", "", ""), 200);
    ck_assert(has("\"health\": \"up\""));
    ck_assert_uint_eq(call("GET", "/v1/version", "", ""), 200);
    ck_assert_uint_eq(call("GET", "/v1/problems/in-use", "", ""), 200);
    ck_assert_uint_eq(call("GET", "/v1/schema.json", "", ""), 200);
    ck_assert_uint_eq(call("GET", "/healthz", "", ""), 200);
    ck_assert_uint_eq(call("GET", "/readyz", "", ""), 200);
    end();
}
END_TEST

START_TEST(head_has_no_body)
{
    begin();
    ck_assert_uint_eq(call("HEAD", "/v1/config", "", ""), 200);
    ck_assert_str_eq(f.body, "");
    ck_assert(has("ETag: "));
    end();
}
END_TEST

START_TEST(requests_on_one_connection_are_answered_in_turn)
{
    begin();
    talk("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
         "PATCH /v1/pools/p HTTP/1.1\r\nHost: a\r\n" MERGE
         "Content-Length: 13\r\n\r\n{\"retries\":2}"
         "GET /v1/pools/p HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ck_assert_uint_eq(f.status, 200);
    const char *last = strstr(f.answer, "\"retries\": 2");
    ck_assert_ptr_nonnull(last);
    ck_assert_ptr_nonnull(strstr(last + 1, "\"retries\": 2"));
    end();
}
END_TEST

START_TEST(the_socket_is_for_its_group_and_goes_at_the_end)
{
    begin();
    struct stat found;
    char directory[96];
    ck_assert_int_eq(stat(f.socket, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0660);
    (void)snprintf(directory, sizeof(directory), "%s/run", f.live.directory);
    ck_assert_int_eq(stat(directory, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0750);
    control_free(f.live.control);
    f.live.control = NULL;
    api_free(f.api);
    ck_assert_int_ne(stat(f.socket, &found), 0);
    live_control_stop(&f.live);
}
END_TEST

UNIT_TESTS("api", a_resource_lives_and_dies, tags_are_told_and_heeded,
           what_is_refused_is_a_problem_and_changes_nothing,
           two_framings_are_refused_and_nothing_after_them_is_read,
           large_bodies_are_refused_from_the_head, a_chunked_body_is_taken,
           a_dry_run_answers_with_the_changes, an_admin_state_is_put_shown_and_taken_back,
           status_says_what_is, head_has_no_body, requests_on_one_connection_are_answered_in_turn,
           the_socket_is_for_its_group_and_goes_at_the_end)
