#include "lbd/upstream/health_probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/upstream/health_http.h"
#include "lbd/upstream/health_tcp.h"

enum { OUT_MAX = 64 * 1024, READ_SIZE = 4096 };

/* mail checks will stand here too */
static const struct health_probe_kind *kind_of(enum conf_check_type type)
{
    switch (type) {
    case CONF_CHECK_HTTP:
        return &health_http;
    case CONF_CHECK_TCP:
        return &health_tcp;
    }
    return &health_tcp;
}

/* --- plans --- */

static void key_slice(struct buf *key, struct slice s)
{
    (void)buf_printf(key, "%zu:", s.len); /* lengths first: no text looks like two */
    (void)buf_append_slice(key, s);
}

/* Everything that makes a check what it is, as text. */
static void write_key(struct buf *key, const struct conf_health_check *check)
{
    buf_init(key, SIZE_MAX);
    (void)buf_printf(key, "%d %u %u %u %u %u ", (int)check->type, check->interval_ms,
                     check->timeout_ms, check->rise, check->fall, check->expect_classes);
    for (uint32_t i = 0; i < check->expect_status_count; i++) {
        (void)buf_printf(key, "%u,", check->expect_status[i]);
    }
    key_slice(key, check->method);
    key_slice(key, check->path);
    key_slice(key, check->host);
    for (uint32_t i = 0; i < check->header_count; i++) {
        key_slice(key, check->headers[i].name);
        key_slice(key, check->headers[i].value);
    }
}

struct health_probe_plan *health_probe_plan_new(const struct conf_health_check *check)
{
    struct health_probe_plan *plan = mem_zero(1, sizeof(*plan));
    struct arena *arena = &plan->arena;
    arena_init(arena, NULL, 0);
    plan->refs = 1;
    plan->kind = kind_of(check->type);
    plan->check = *check;

    struct conf_health_check *copy = &plan->check;
    copy->name = arena_copy(arena, check->name);
    copy->method = arena_copy(arena, check->method);
    copy->path = arena_copy(arena, check->path);
    copy->host = arena_copy(arena, check->host);
    copy->headers = arena_zero(arena, check->header_count * sizeof(*copy->headers));
    for (uint32_t i = 0; i < check->header_count; i++) {
        copy->headers[i].name = arena_copy(arena, check->headers[i].name);
        copy->headers[i].value = arena_copy(arena, check->headers[i].value);
    }
    copy->expect_status =
        arena_zero(arena, check->expect_status_count * sizeof(*copy->expect_status));
    for (uint32_t i = 0; i < check->expect_status_count; i++) {
        copy->expect_status[i] = check->expect_status[i];
    }
    copy->meta = (struct conf_meta){0};

    struct buf key;
    write_key(&key, check);
    plan->key = arena_copy(arena, buf_slice(&key));
    buf_fini(&key);
    return plan;
}

struct health_probe_plan *health_probe_plan_ref(struct health_probe_plan *plan)
{
    plan->refs++;
    return plan;
}

void health_probe_plan_unref(struct health_probe_plan *plan)
{
    if (plan == NULL || --plan->refs != 0) {
        return;
    }
    arena_fini(&plan->arena);
    free(plan);
}

bool health_probe_plan_is(const struct health_probe_plan *plan,
                          const struct conf_health_check *check)
{
    struct buf key;
    write_key(&key, check);
    bool same = slice_eq(plan->key, buf_slice(&key));
    buf_fini(&key);
    return same;
}

/* --- the end of a probe --- */

void health_probe_say(struct health_probe *probe, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(probe->text, sizeof(probe->text), fmt, args);
    va_end(args);
}

static uint64_t elapsed_us(const struct health_probe *probe)
{
    uint64_t now = now_us(); /* not the batch clock: this is what is measured */
    return now > probe->started_us ? now - probe->started_us : 0;
}

void health_probe_elapsed(const struct health_probe *probe, char out[32])
{
    uint64_t tenths = (elapsed_us(probe) + 50) / 100;
    (void)snprintf(out, 32, "%llu.%llu ms", (unsigned long long)(tenths / 10),
                   (unsigned long long)(tenths % 10));
}

static void release(struct health_probe *probe)
{
    loop_watch_stop(&probe->watch);
    loop_timer_stop(&probe->timer);
    loop_ready_remove(&probe->ready);
    if (probe->fd >= 0) {
        (void)close(probe->fd);
    }
    buf_fini(&probe->out);
    buf_fini(&probe->in);
    health_probe_plan_unref(probe->plan);
    free(probe->authority);
    free(probe);
}

void health_probe_cancel(struct health_probe *probe)
{
    if (probe != NULL) {
        release(probe);
    }
}

static void end(struct health_probe *probe, enum health_probe_verdict verdict)
{
    char text[HEALTH_PROBE_TEXT_MAX];
    memcpy(text, probe->text, sizeof(text));
    struct health_probe_result result = {
        .verdict = verdict, .duration_us = elapsed_us(probe), .text = text};
    health_probe_fn *fn = probe->fn;
    void *arg = probe->arg;
    release(probe);
    fn(&result, arg);
}

static void on_ready(struct loop_ready *ready)
{
    struct health_probe *probe = container_of(ready, struct health_probe, ready);
    end(probe, probe->verdict);
}

static void on_timeout(struct loop_timer *timer)
{
    struct health_probe *probe = container_of(timer, struct health_probe, timer);
    char limit[NUM_TEXT_MAX];
    (void)num_write_duration(limit, probe->plan->check.timeout_ms);
    health_probe_say(probe, "timed out after %s%s", limit,
                     probe->is_connected ? " waiting for an answer" : " connecting");
    end(probe, HEALTH_PROBE_FAILED);
}

static const char *words_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "connection refused";
    case ECONNRESET:
        return "connection reset";
    case EPIPE:
        return "connection closed";
    case ETIMEDOUT:
        return "connecting timed out in the kernel";
    case EHOSTUNREACH:
        return "no route to host";
    case ENETUNREACH:
        return "network unreachable";
    case ENOENT:
        return "no such socket file";
    case EADDRNOTAVAIL:
        return "no local address or port to reach it from";
    case EAGAIN:
        return "its queue of connections is full"; /* unix sockets only */
    default:
        return strerror(error); /* this thread's; only the control thread probes */
    }
}

/* Is this our own shortage and not the server's fault? */
static bool is_ours(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return true;
    default:
        return false;
    }
}

static enum health_probe_verdict fail_with(struct health_probe *probe, int error)
{
    if (is_ours(error)) {
        health_probe_say(probe, "not run: %s", strerror(error));
        return HEALTH_PROBE_NOT_RUN;
    }
    health_probe_say(probe, "%s", words_of(error));
    return HEALTH_PROBE_FAILED;
}

/* --- talking --- */

static void on_event(struct loop_watch *watch, unsigned ready);

static bool rewatch(struct health_probe *probe)
{
    unsigned events = LOOP_READ | (probe->out.len != 0 ? LOOP_WRITE : 0U);
    loop_watch_stop(&probe->watch);
    return loop_watch_start(probe->loop, &probe->watch, probe->fd, events, on_event);
}

/* Ends the probe when the step says so; true while it goes on. */
static bool follow(struct health_probe *probe, enum health_probe_step step)
{
    switch (step) {
    case HEALTH_PROBE_WAIT:
        return true;
    case HEALTH_PROBE_PASS:
        end(probe, HEALTH_PROBE_PASSED);
        return false;
    case HEALTH_PROBE_FAIL:
        end(probe, HEALTH_PROBE_FAILED);
        return false;
    }
    return false;
}

/* Sends what it can; false when the connection is lost (and the probe has ended). */
static bool flush(struct health_probe *probe)
{
    while (probe->out.len != 0) {
        ssize_t sent = send(probe->fd, probe->out.data, probe->out.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return true;
        }
        if (sent < 0) {
            if (errno == EPIPE || errno == ECONNRESET) {
                buf_clear(&probe->out); /* an answer may have come before the end: read on */
                return true;
            }
            end(probe, fail_with(probe, errno));
            return false;
        }
        buf_consume(&probe->out, (size_t)sent);
    }
    return true;
}

static void receive(struct health_probe *probe)
{
    for (;;) {
        size_t room = HEALTH_PROBE_ANSWER_MAX - probe->in.len;
        size_t want = room < READ_SIZE ? room : READ_SIZE;
        if (want == 0 || !buf_reserve(&probe->in, want)) {
            health_probe_say(probe, "the answer's head is larger than %u KiB",
                             HEALTH_PROBE_ANSWER_MAX / 1024);
            end(probe, HEALTH_PROBE_FAILED);
            return;
        }
        ssize_t got = recv(probe->fd, probe->in.data + probe->in.len, want, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0) {
            end(probe, fail_with(probe, errno));
            return;
        }
        probe->in.len += (size_t)got;
        if (!follow(probe, probe->plan->kind->received(probe, got == 0)) || got == 0) {
            return; /* a kind never waits after the end of the stream */
        }
    }
}

static void on_connected(struct health_probe *probe)
{
    probe->is_connected = true;
    if (!follow(probe, probe->plan->kind->connected(probe)) || !flush(probe)) {
        return;
    }
    if (!rewatch(probe)) {
        end(probe, fail_with(probe, ENOMEM));
    }
}

static void on_event(struct loop_watch *watch, unsigned ready)
{
    struct health_probe *probe = container_of(watch, struct health_probe, watch);
    if (!probe->is_connected) {
        int error = 0;
        socklen_t len = sizeof(error);
        if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
            error = errno;
        }
        if (error != 0) {
            end(probe, fail_with(probe, error));
            return;
        }
        on_connected(probe);
        return;
    }
    if ((ready & LOOP_WRITE) != 0 && probe->out.len != 0) {
        if (!flush(probe)) {
            return;
        }
        if (probe->out.len == 0 && !rewatch(probe)) {
            end(probe, fail_with(probe, ENOMEM));
            return;
        }
    }
    if ((ready & (LOOP_READ | LOOP_CLOSED)) != 0) {
        receive(probe);
    }
}

/* --- the beginning --- */

/* 0: connected or on its way; else errno. */
static int dial(struct health_probe *probe, const struct addr *address)
{
    if (address->len == 0) {
        return EDESTADDRREQ;
    }
    probe->fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0) {
        return errno;
    }
    if (connect(probe->fd, &address->u.any, address->len) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        return errno;
    }
    /* also when it stands already: its being writable is the event that goes on */
    return loop_watch_start(probe->loop, &probe->watch, probe->fd, LOOP_WRITE, on_event) ? 0
                                                                                         : ENOMEM;
}

struct health_probe *health_probe_start(struct loop *loop, struct health_probe_plan *plan,
                                        const struct addr *address, struct slice authority,
                                        health_probe_fn *fn, void *arg)
{
    struct health_probe *probe = mem_zero(1, sizeof(*probe));
    probe->loop = loop;
    probe->plan = health_probe_plan_ref(plan);
    probe->authority = mem_slicedup(authority);
    probe->fd = -1;
    probe->started_us = now_us();
    buf_init(&probe->out, OUT_MAX);
    buf_init(&probe->in, HEALTH_PROBE_ANSWER_MAX);
    probe->fn = fn;
    probe->arg = arg;

    int error = dial(probe, address);
    if (error != 0) {
        probe->verdict = fail_with(probe, error);
        loop_ready_put(loop, &probe->ready, on_ready);
        return probe;
    }
    loop_timer_set(loop, &probe->timer, plan->check.timeout_ms, on_timeout);
    return probe;
}
