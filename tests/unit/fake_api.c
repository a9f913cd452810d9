#include "tests/unit/fake_api.h"

#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "ctl/command.h"
#include "lbd/base/num.h"

enum { REQUEST_MAX = 1024 * 1024 };

static bool wait_for(int fd, short events)
{
    struct pollfd watch = {.fd = fd, .events = events};
    return poll(&watch, 1, FAKE_LIMIT_MS) == 1;
}

/* Bytes that a request with this head has; 0: the head is not complete. */
static size_t request_length(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    if (end == NULL) {
        return 0;
    }
    size_t body = 0;
    if (length != NULL && length < end) {
        body = strtoul(length + strlen("Content-Length: "), NULL, 10);
    }
    return (size_t)(end - text) + 4 + body;
}

static char *read_request(int fd)
{
    struct buf text;
    buf_init(&text, REQUEST_MAX);
    for (;;) {
        size_t want = text.len != 0 ? request_length(text.data) : 0;
        if (want != 0 && text.len >= want) {
            break;
        }
        if (!wait_for(fd, POLLIN) || !buf_reserve(&text, 4096)) {
            break;
        }
        ssize_t got = recv(fd, text.data + text.len, 4096, 0);
        if (got <= 0) {
            break;
        }
        text.len += (size_t)got;
        text.data[text.len] = '\0';
    }
    size_t len;
    return buf_take(&text, &len);
}

static bool is_question(const char *request, const char *question)
{
    size_t len = strlen(question);
    return strncmp(request, question, len) == 0 && strncmp(request + len, " HTTP/1.1\r\n", 11) == 0;
}

static void answer(struct fake_api *api, int fd, const struct fake_turn *turn)
{
    char *request = read_request(fd);
    api->requests[api->used] = request;
    if (turn->question != NULL && !is_question(request, turn->question)) {
        api->failure = "another question than the script has";
        return;
    }
    if (turn->answer == NULL) {
        char byte;
        if (wait_for(fd, POLLIN)) {
            (void)!recv(fd, &byte, 1, 0);
        }
        return;
    }
    const char *at = turn->answer;
    size_t left = strlen(at);
    while (left != 0) {
        ssize_t sent = send(fd, at, left, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        at += sent;
        left -= (size_t)sent;
    }
}

static const char *answer_next;

void fake_answer_all(const char *text)
{
    answer_next = text;
}

/* The same to everybody, until the command has ended. */
static void *serve_all(void *arg)
{
    struct fake_api *api = arg;
    size_t len = strlen(api->for_all);
    for (;;) {
        int fd = wait_for(api->listener, POLLIN) ? accept(api->listener, NULL, NULL) : -1;
        if (fd < 0) {
            return NULL;
        }
        free(read_request(fd));
        (void)!send(fd, api->for_all, len, MSG_NOSIGNAL);
        (void)close(fd);
    }
}

static void *serve(void *arg)
{
    struct fake_api *api = arg;
    while (api->used < api->count && api->failure == NULL) {
        if (!wait_for(api->listener, POLLIN)) {
            api->failure = "a question of the script never came";
            break;
        }
        int fd = accept(api->listener, NULL, NULL);
        if (fd < 0) { /* shut down: the command has ended */
            api->failure = "a question of the script never came";
            break;
        }
        answer(api, fd, &api->turns[api->used]);
        api->used++;
        (void)close(fd);
    }
    return NULL;
}

void fake_api_start(struct fake_api *api, const struct fake_turn *turns, size_t count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert(count <= FAKE_TURNS_MAX);
    *api = (struct fake_api){.turns = turns, .count = count, .for_all = answer_next};
    answer_next = NULL;
    (void)snprintf(api->directory, sizeof(api->directory), "/tmp/lbctl-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(api->directory));
    (void)snprintf(api->path, sizeof(api->path), "%s/api.sock", api->directory);
    memcpy(address.sun_path, api->path, strlen(api->path));

    api->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(api->listener, 0);
    ck_assert_int_eq(bind(api->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(api->listener, 8), 0);
    ck_assert_int_eq(
        pthread_create(&api->thread, NULL, api->for_all != NULL ? serve_all : serve, api), 0);
}

void fake_api_stop(struct fake_api *api)
{
    (void)shutdown(api->listener, SHUT_RDWR); /* ends a wait for what will not come */
    ck_assert_int_eq(pthread_join(api->thread, NULL), 0);
    (void)close(api->listener);
    (void)unlink(api->path);
    (void)rmdir(api->directory);
    if (api->for_all != NULL) {
        return;
    }
    if (api->failure != NULL) {
        ck_abort_msg("%s: turn %zu of %zu, expected '%s', got '%.60s'", api->failure, api->used + 1,
                     api->count, api->turns[api->used].question,
                     api->requests[api->used] != NULL ? api->requests[api->used] : "nothing");
    }
    ck_assert_msg(api->used == api->count, "turns used: %zu of %zu", api->used, api->count);
}

void fake_api_fini(struct fake_api *api)
{
    for (size_t i = 0; i < FAKE_TURNS_MAX; i++) {
        free(api->requests[i]);
    }
}

static const char *typed_next;

void fake_person(const char *types)
{
    typed_next = types;
}

struct fake_run fake_lbctl(const struct fake_turn *turns, size_t count, ...)
{
    struct fake_run run = {.code = 0};
    struct ctl ctl;
    enum ctl_exit code = CTL_OK;
    char word[FAKE_ARGS_MAX][256];
    char *argv[FAKE_ARGS_MAX];
    int argc = 0;
    size_t out_len;
    size_t err_len;
    va_list args;

    fake_api_start(&run.api, turns, count);
    ctl_init(&ctl);
    (void)snprintf(word[argc++], sizeof(word[0]), "lbctl");
    (void)snprintf(word[argc++], sizeof(word[0]), "--socket");
    (void)snprintf(word[argc++], sizeof(word[0]), "%s", run.api.path);
    va_start(args, count);
    for (const char *next = va_arg(args, const char *); next != NULL;
         next = va_arg(args, const char *)) {
        ck_assert_int_lt(argc, FAKE_ARGS_MAX);
        (void)snprintf(word[argc++], sizeof(word[0]), "%s", next);
    }
    va_end(args);
    for (int i = 0; i < argc; i++) {
        argv[i] = word[i];
    }

    ctl.out = open_memstream(&run.out, &out_len);
    ctl.err = open_memstream(&run.err, &err_len);
    ck_assert_ptr_nonnull(ctl.out);
    ck_assert_ptr_nonnull(ctl.err);
    if (typed_next != NULL) {
        ctl.in = fmemopen((void *)(uintptr_t)typed_next, strlen(typed_next) + 1, "r");
        ck_assert_ptr_nonnull(ctl.in);
        ctl.is_interactive = true;
    }
    const struct command *command = command_parse(&ctl, argc, argv, &code);
    run.code = command != NULL ? (int)command->run(&ctl) : (int)code;
    (void)fclose(ctl.out);
    (void)fclose(ctl.err);
    if (typed_next != NULL) {
        (void)fclose(ctl.in);
        typed_next = NULL;
    }
    fake_api_stop(&run.api);
    return run;
}

void fake_run_fini(struct fake_run *run)
{
    free(run->out);
    free(run->err);
    fake_api_fini(&run->api);
}
