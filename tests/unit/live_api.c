#include "tests/unit/live_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "lbd/base/now.h"

#define LIMIT_US 60000000U

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}}}";

struct live_api live_api;

void live_api_begin(void)
{
    char daemon[192];
    struct err err = {0};
    memset(&live_api, 0, sizeof(live_api));
    live_control_start(&live_api.live, web, "");
    live_control_end(&live_api.live);
    (void)snprintf(live_api.socket, sizeof(live_api.socket), "%s/run/api.sock",
                   live_api.live.directory);
    (void)snprintf(daemon, sizeof(daemon), "\"api\":{\"listen\":[\"unix:%s\"]}", live_api.socket);
    live_control_write(&live_api.live, web, daemon);
    ck_assert(live_control_restart(&live_api.live));
    const struct api_options options = {.loop = live_api.live.loop,
                                        .control = live_api.live.control,
                                        .daemon = live_api.live.daemon};
    live_api.api = api_new(&options, &err);
    ck_assert_msg(live_api.api != NULL, "%s", err.text);
}

void live_api_end(void)
{
    api_end_streams(live_api.api);
    control_stop(live_api.live.control);
    api_free(live_api.api);
    live_control_stop(&live_api.live);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", live_api.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void live_api_talk(const char *text)
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
        loop_run_once(live_api.live.loop, 5);
        for (;;) {
            ssize_t n = recv(fd, live_api.answer + got, sizeof(live_api.answer) - 1 - got, 0);
            if (n <= 0) {
                is_open = n < 0 && (errno == EAGAIN || errno == EINTR);
                break;
            }
            got += (size_t)n;
        }
    }
    (void)close(fd);
    live_api.answer[got] = '\0';
    ck_assert_msg(!is_open, "no end of the answer: %s", live_api.answer);
    live_api.status = 0;
    (void)sscanf(live_api.answer, "HTTP/1.1 %u", &live_api.status);
    const char *blank = strstr(live_api.answer, "\r\n\r\n");
    live_api.body = blank != NULL ? blank + 4 : "";
}

unsigned live_api_call(const char *method, const char *target, const char *headers,
                       const char *body)
{
    static char text[131072];
    (void)snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n%sContent-Length: %zu\r\n"
                   "\r\n%s",
                   method, target, headers, strlen(body), body);
    live_api_talk(text);
    return live_api.status;
}

bool live_api_has(const char *text)
{
    return strstr(live_api.answer, text) != NULL;
}
