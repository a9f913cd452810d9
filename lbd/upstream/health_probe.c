#include "lbd/upstream/health_probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/escape.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/upstream/health_grpc.h"
#include "lbd/upstream/health_http.h"
#include "lbd/upstream/health_mail.h"
#include "lbd/upstream/health_tcp.h"
#include "lbd/upstream/health_tls.h"

static const struct health_probe_kind *kind_of(enum conf_check_type type)
{
    switch (type) {
    case CONF_CHECK_HTTP:
        return &health_http;
    case CONF_CHECK_TLS:
        return &health_tls;
    case CONF_CHECK_GRPC:
        return &health_grpc;
    case CONF_CHECK_IMAP:
    case CONF_CHECK_POP3:
    case CONF_CHECK_SMTP:
    case CONF_CHECK_SIEVE:
        return &health_mail;
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

static void key_headers(struct buf *key, const struct conf_header *headers, uint32_t count)
{
    (void)buf_printf(key, "%u ", count);
    for (uint32_t i = 0; i < count; i++) {
        key_slice(key, headers[i].name);
        key_slice(key, headers[i].value);
    }
}

/* Everything that makes a check what it is, as text. */
static void write_key(struct buf *key, const struct conf_health_check *check)
{
    buf_init(key, SIZE_MAX);
    (void)buf_printf(key, "%d %u %u %u %u %u %u %u %u ", (int)check->type, check->interval_ms,
                     check->fast_interval_ms, check->down_interval_ms, check->timeout_ms,
                     check->rise, check->fall, check->port, check->expect_classes);
    for (uint32_t i = 0; i < check->expect_status_count; i++) {
        (void)buf_printf(key, "%u,", check->expect_status[i]);
    }
    key_slice(key, check->method);
    key_slice(key, check->path);
    key_slice(key, check->host);
    key_slice(key, check->service);
    key_slice(key, check->user);
    key_slice(key, check->password_file);
    key_slice(key, check->address);
    key_slice(key, check->body);
    key_slice(key, check->expect_body);
    key_slice(key, check->send);
    key_slice(key, check->receive);
    key_headers(key, check->headers, check->header_count);
    key_headers(key, check->expect_headers, check->expect_header_count);
}

static struct conf_header *copy_headers(struct arena *arena, const struct conf_header *headers,
                                        uint32_t count)
{
    struct conf_header *copy = arena_zero(arena, count * sizeof(*copy));
    for (uint32_t i = 0; i < count; i++) {
        copy[i].name = arena_copy(arena, headers[i].name);
        copy[i].value = arena_copy(arena, headers[i].value);
    }
    return copy;
}

static struct slice copy_escaped(struct arena *arena, struct slice text)
{
    char *out = arena_alloc(arena, text.len + 1);
    return slice_of(out, escape_read(text, out));
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
    copy->service = arena_copy(arena, check->service);
    copy->user = arena_copy(arena, check->user);
    copy->password_file = arena_copy(arena, check->password_file);
    copy->address = arena_copy(arena, check->address);
    copy->body = arena_copy(arena, check->body);
    copy->expect_body = arena_copy(arena, check->expect_body);
    copy->send = copy_escaped(arena, check->send);
    copy->receive = copy_escaped(arena, check->receive);
    copy->headers = copy_headers(arena, check->headers, check->header_count);
    copy->expect_headers = copy_headers(arena, check->expect_headers, check->expect_header_count);
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

uint64_t health_probe_elapsed_us(const struct health_probe *probe)
{
    uint64_t now = now_us(); /* not the batch clock: this is what is measured */
    return now > probe->started_us ? now - probe->started_us : 0;
}

void health_probe_elapsed(const struct health_probe *probe, char out[32])
{
    uint64_t tenths = (health_probe_elapsed_us(probe) + 50) / 100;
    (void)snprintf(out, 32, "%llu.%llu ms", (unsigned long long)(tenths / 10),
                   (unsigned long long)(tenths % 10));
}

static void release(struct health_probe *probe)
{
    if (probe->plan->kind->ended != NULL) {
        probe->plan->kind->ended(probe);
    }
    loop_timer_stop(&probe->timer);
    talk_end(&probe->talk);
    tls_client_unref(probe->tls);
    if (probe->ask != NULL) {
        h2_ask_fini(probe->ask);
        free(probe->ask);
    }
    buf_fini(&probe->body);
    health_probe_plan_unref(probe->plan);
    free(probe->authority);
    free(probe->tls_name);
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
    char capabilities[MAIL_CAPABILITIES_MAX];
    size_t known = health_mail_capabilities(probe, capabilities);
    char said[HEALTH_PROBE_SAID_MAX];
    struct slice in = buf_slice(&probe->talk.in);
    size_t said_len = in.len < sizeof(said) ? in.len : sizeof(said);
    said_len = probe->plan->kind == &health_tcp ? said_len : 0;
    if (said_len != 0) {
        memcpy(said, in.ptr, said_len);
    }
    memcpy(text, probe->text, sizeof(text));
    struct health_probe_result result = {.verdict = verdict,
                                         .duration_us = health_probe_elapsed_us(probe),
                                         .text = text,
                                         .is_degraded = probe->is_degraded,
                                         .said = slice_of(said, said_len),
                                         .was_reached = probe->talk.step != TALK_DIALS,
                                         .was_understood = probe->is_understood,
                                         .capabilities = slice_of(capabilities, known)};
    health_probe_fn *fn = probe->fn;
    void *arg = probe->arg;
    release(probe);
    fn(&result, arg);
}

static void on_timeout(struct loop_timer *timer)
{
    struct health_probe *probe = container_of(timer, struct health_probe, timer);
    static const char *const doing[] = {
        [TALK_DIALS] = " connecting",
        [TALK_SHAKES_HANDS] = " in the TLS handshake",
        [TALK_IS_OPEN] = " waiting for an answer",
    };
    char limit[NUM_TEXT_MAX];
    if (probe->is_fit || probe->is_silent_fit) {
        end(probe, HEALTH_PROBE_PASSED);
        return;
    }
    (void)num_write_duration(limit, probe->plan->check.timeout_ms);
    health_probe_say(probe, "timed out after %s%s", limit, doing[probe->talk.step]);
    if (probe->plan->kind == &health_tcp && probe->talk.in.len != 0) {
        char shown[HEALTH_PROBE_SHOWN_MAX];
        health_probe_print(buf_slice(&probe->talk.in), shown);
        health_probe_say(probe, "timed out after %s: it said \"%s\"", limit, shown);
    }
    end(probe, HEALTH_PROBE_FAILED);
}

/* --- what kinds need --- */

/* What a request line can carry without becoming two. */
bool health_probe_is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return text.len != 0;
}

struct slice health_probe_host(const struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    struct slice host = check->host.len != 0 ? check->host : slice_from(probe->authority);
    return addr_is_unix(host) || !health_probe_is_plain(host) ? SLICE("localhost") : host;
}

void health_probe_grace(struct health_probe *probe, uint32_t ms)
{
    uint64_t gone_ms = health_probe_elapsed_us(probe) / 1000;
    uint32_t limit_ms = probe->plan->check.timeout_ms;
    uint32_t left_ms = gone_ms < limit_ms ? limit_ms - (uint32_t)gone_ms : 0;
    probe->is_silent_fit = true;
    loop_timer_set(probe->talk.loop, &probe->timer, ms < left_ms ? ms : left_ms, on_timeout);
}

bool health_probe_secure(struct health_probe *probe)
{
    return talk_secure(&probe->talk, probe->tls, probe->tls_name);
}

struct h2_ask *health_probe_ask(struct health_probe *probe)
{
    if (probe->ask == NULL) {
        probe->ask = mem_alloc(sizeof(*probe->ask));
        h2_ask_init(probe->ask);
    }
    return probe->ask;
}

bool health_probe_heard(struct slice said, struct slice wanted)
{
    return wanted.len == 0 ||
           (said.len != 0 && memmem(said.ptr, said.len, wanted.ptr, wanted.len) != NULL);
}

void health_probe_print(struct slice said, char out[HEALTH_PROBE_SHOWN_MAX])
{
    size_t len = said.len < HEALTH_PROBE_SHOWN_MAX - 1 ? said.len : HEALTH_PROBE_SHOWN_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        char c = said.ptr[i];
        out[i] = c >= ' ' && c < 0x7f && c != '"' ? c : '.';
    }
    out[len] = '\0';
}

void health_probe_address(const struct health_probe_plan *plan, const struct addr *server,
                          struct addr *out)
{
    *out = *server;
    if (plan->check.address.len != 0) {
        if (!addr_parse(plan->check.address, out)) { /* conf_check has read it */
            out->len = 0;
        }
    } else if (plan->check.port != 0 && server->len != 0) {
        addr_set_port(out, (uint16_t)plan->check.port);
    }
}

/* --- talking --- */

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

static struct health_probe *probe_of(struct talk *talk)
{
    return container_of(talk, struct health_probe, talk);
}

static bool on_connected(struct talk *talk)
{
    struct health_probe *probe = probe_of(talk);
    probe->is_http2 = probe->http == POOL_HTTP2;
    if (talk->tls != NULL && probe->http != POOL_HTTP1) {
        probe->is_http2 = slice_eq(tls_session_alpn(talk->tls), SLICE("h2"));
    }
    return follow(probe, probe->plan->kind->connected(probe));
}

static bool on_received(struct talk *talk, bool ended)
{
    struct health_probe *probe = probe_of(talk);
    return follow(probe, probe->plan->kind->received(probe, ended));
}

static bool on_accepted(struct talk *talk)
{
    struct health_probe *probe = probe_of(talk);
    return follow(probe, probe->is_silent_fit ? HEALTH_PROBE_PASS : HEALTH_PROBE_WAIT);
}

static void on_failed(struct talk *talk, bool is_ours, const char *why)
{
    struct health_probe *probe = probe_of(talk);
    if (probe->is_fit) {
        end(probe, HEALTH_PROBE_PASSED);
        return;
    }
    health_probe_say(probe, "%s%s", is_ours ? "not run: " : "", why);
    end(probe, is_ours ? HEALTH_PROBE_NOT_RUN : HEALTH_PROBE_FAILED);
}

static const struct talk_ops talk_ops = {.connected = on_connected,
                                         .received = on_received,
                                         .accepted = on_accepted,
                                         .failed = on_failed};

/* --- the beginning --- */

struct health_probe *health_probe_start(struct loop *loop, struct health_probe_plan *plan,
                                        const struct health_probe_server *server,
                                        health_probe_fn *fn, void *arg)
{
    struct health_probe *probe = mem_zero(1, sizeof(*probe));
    struct talk_way way = {
        .address = server->address,
        .proxy = server->proxy,
        .sources = server->sources,
        .turn = server->turn,
    };
    probe->plan = health_probe_plan_ref(plan);
    probe->authority = mem_slicedup(server->authority);
    probe->started_us = now_us();
    probe->http = server->http;
    probe->handshake_only = server->handshake_only;
    probe->fn = fn;
    probe->arg = arg;
    buf_init(&probe->body, HEALTH_PROBE_ANSWER_MAX);
    if (server->tls != NULL && plan->check.type != CONF_CHECK_TCP) {
        probe->tls = tls_client_ref(server->tls);
        probe->starttls = server->starttls;
        if (server->starttls) {
            probe->tls_name = mem_strdup(server->tls_name);
        } else {
            way.tls = server->tls;
            way.tls_name = server->tls_name;
        }
    }
    loop_timer_set(loop, &probe->timer, plan->check.timeout_ms, on_timeout);
    talk_begin(&probe->talk, loop, &talk_ops, &way, HEALTH_PROBE_ANSWER_MAX);
    return probe;
}
