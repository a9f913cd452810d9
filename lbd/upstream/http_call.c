#include "lbd/upstream/http_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/buf.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/base/url.h"
#include "lbd/http/h1_body.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/headers.h"
#include "lbd/http/status.h"
#include "lbd/upstream/talk.h"

enum { FIELDS_MAX = 100, INTERIM_MAX = 5, TYPE_MAX = 128, IN_MAX = 80 * 1024 };

struct http_call {
    struct http_line *line; /* NULL: none yet */
    struct http_lines *lines;
    struct loop *loop;
    struct loop_timer timer;
    struct loop_ready ready; /* what is known at once is told later */
    struct resolve_question *question;
    struct tls_client *tls; /* referenced */
    bool is_https;
    uint16_t port;
    char *host;          /* owned */
    struct addr address; /* len 0: not known yet */
    struct resolve *resolve;
    enum method method;
    struct buf request;
    uint32_t timeout_ms;
    /* the answer */
    struct h1_head head;
    struct h1_body body;
    bool has_head;
    uint32_t interim;
    bool wants_close;
    struct buf fields_text; /* the head, for the receiver of the answer */
    struct headers headers;
    struct header fields[FIELDS_MAX];
    uint16_t status; /* of the final head, as soon as its status line is there; 0: not yet */
    char content_type[TYPE_MAX];
    struct buf answer;
    char why[HTTP_CALL_WHY_MAX];
    http_call_fn *fn;
    void *arg;
};

/* What is wrong with a URL. */
static const char *const url_words[] = {
    [URL_OK] = "",
    [URL_TOO_LONG] = "the URL is too long",
    [URL_BAD_SCHEME] = "the URL does not begin with http:// or https://",
    [URL_BAD_AUTHORITY] = "the URL is malformed",
    [URL_BAD_TARGET] = "the URL is malformed",
};

/* -- the end -- */

static void release(struct http_call *call)
{
    loop_timer_stop(&call->timer);
    loop_ready_remove(&call->ready);
    if (call->question != NULL) {
        resolve_cancel(call->question);
    }
    http_line_free(call->line);
    tls_client_unref(call->tls);
    buf_fini(&call->fields_text);
    mem_wipe(call->request.data, call->request.capacity); /* it may hold a password */
    buf_fini(&call->request);
    buf_fini(&call->answer);
    free(call->host);
    free(call);
}

void http_call_cancel(struct http_call *call)
{
    if (call != NULL) {
        release(call);
    }
}

/* As talk's callbacks: false when the connection is gone. `keeps`: it may wait for the next call.
 */
static bool finish(struct http_call *call, uint16_t status, bool keeps)
{
    struct http_line *line = call->line;
    call->line = NULL;
    loop_timer_stop(&call->timer);
    loop_ready_remove(&call->ready);
    if (line != NULL) {
        line->call = NULL;
    }
    if (!keeps) {
        http_line_free(line);
    }
    const struct http_call_answer answer = {.status = status,
                                            .status_line = call->status,
                                            .headers = call->has_head ? &call->headers : NULL,
                                            .content_type = slice_from(call->content_type),
                                            .body =
                                                status != 0 ? buf_slice(&call->answer) : SLICE_NONE,
                                            .why = status != 0 ? "" : call->why};
    call->fn(&answer, call->arg);
    release(call);
    if (keeps) { /* only now: who was told may have begun another call */
        http_lines_keep(line);
    }
    return keeps;
}

LB_PRINTF(2, 3) static bool fail(struct http_call *call, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(call->why, sizeof(call->why), fmt, args);
    va_end(args);
    return finish(call, 0, false);
}

static void on_timeout(struct loop_timer *timer)
{
    struct http_call *call = container_of(timer, struct http_call, timer);
    char limit[NUM_TEXT_MAX];
    (void)num_write_duration(limit, call->timeout_ms);
    (void)fail(call, "timed out after %s", limit);
}

static void on_ready(struct loop_ready *ready)
{
    (void)finish(container_of(ready, struct http_call, ready), 0, false);
}

/* Said before the loop is asked: told from there. */
static void fail_later(struct http_call *call, const char *why)
{
    (void)snprintf(call->why, sizeof(call->why), "%s", why);
    loop_ready_put(call->loop, &call->ready, on_ready);
}

/* -- the answer -- */

static struct http_line *line_of(struct talk *talk)
{
    return container_of(talk, struct http_line, talk);
}

static bool on_connected(struct talk *talk)
{
    (void)buf_append_slice(&talk->out, buf_slice(&line_of(talk)->call->request));
    return true;
}

/* True: there is a final head. */
static enum h1_verdict read_head(struct http_call *call)
{
    static const struct h1_limits limits = {.head_bytes = 65536, .fields = FIELDS_MAX};
    for (;;) {
        struct message message = {.headers = {.list = call->fields, .capacity = FIELDS_MAX}};
        struct buf *in = &call->line->talk.in;
        enum h1_verdict verdict =
            h1_head_response(&call->head, buf_slice(in), &limits, call->method, &message);
        if (message.status != 0 && status_class(message.status) != 1) {
            call->status = message.status; /* also when the rest of the head is no good */
        }
        if (verdict != H1_DONE) {
            return verdict;
        }
        bool is_final = status_class(message.status) != 1;
        if (!is_final && (message.status == 101 || ++call->interim > INTERIM_MAX)) {
            call->head.reason = message.status == 101 ? CLOSE_BAD_SWITCH : CLOSE_TOO_MANY_INTERIM;
            return H1_BAD;
        }
        if (is_final) {
            const struct header *type = headers_find_name(&message.headers, SLICE("content-type"));
            call->has_head = true;
            call->wants_close = message.wants_close;
            h1_body_init(&call->body, (enum framing)message.framing, message.content_length,
                         H1_BODY_DECODED, true);
            if (type != NULL) {
                (void)snprintf(call->content_type, sizeof(call->content_type), "%.*s",
                               SLICE_ARG(header_value(&message.headers, type)));
            }
        }
        h1_head_init(&call->head);
        if (is_final) {
            (void)buf_append(&call->fields_text, in->data, message.head_len);
            call->headers = message.headers;
            call->headers.base = call->fields_text.data;
        }
        buf_consume(in, message.head_len);
        if (is_final) {
            return H1_DONE;
        }
    }
}

static enum h1_verdict read_body(struct http_call *call)
{
    struct buf *in = &call->line->talk.in;
    struct h1_body_piece piece;
    enum h1_verdict verdict = h1_body_feed(&call->body, in->data, in->len, &piece);
    (void)buf_append_slice(&call->answer, piece.out);
    buf_consume(in, piece.consumed);
    return verdict;
}

static const char *sentence_of(unsigned reason)
{
    return close_reason_sentence((enum close_reason)reason);
}

/* A connection that waited may have been closed just then: nobody has seen the request. */
static bool may_call_again(const struct http_call *call)
{
    return call->line->was_used && !call->has_head && call->line->talk.in.len == 0 &&
           call->interim == 0;
}

static void begin_fresh(struct http_call *call);

static bool call_again(struct http_call *call)
{
    http_line_free(call->line);
    call->line = NULL;
    begin_fresh(call);
    return false;
}

static bool on_received(struct talk *talk, bool ended)
{
    struct http_line *line = line_of(talk);
    struct http_call *call = line->call;
    if (call == NULL) { /* it waited: whatever comes then, its use is over */
        if (talk->in.len == 0 && !ended) {
            return true;
        }
        http_line_free(line);
        return false;
    }
    if (!call->has_head) {
        switch (read_head(call)) {
        case H1_MORE:
            if (ended && may_call_again(call)) {
                return call_again(call);
            }
            return !ended ||
                   fail(call, "connection closed %s",
                        talk->in.len == 0 ? "before an answer" : "in the middle of the head");
        case H1_BAD:
            return fail(call, "malformed answer: %s", sentence_of(call->head.reason));
        case H1_DONE:
            break;
        }
    }
    enum h1_verdict verdict = read_body(call);
    if (call->answer.overflow) {
        return fail(call, "the answer is larger than %zu bytes", call->answer.max);
    }
    switch (verdict) {
    case H1_DONE:
        return finish(call, call->status,
                      !ended && !call->wants_close && call->lines != NULL && talk->in.len == 0 &&
                          talk->out.len == 0);
    case H1_BAD:
        return fail(call, "malformed answer: %s", sentence_of(call->body.reason));
    case H1_MORE:
        break;
    }
    if (ended && h1_body_may_end_at_close(&call->body)) {
        return finish(call, call->status, false);
    }
    return !ended || fail(call, "connection closed in the middle of the answer");
}

static void on_failed(struct talk *talk, bool is_ours, const char *why)
{
    struct http_line *line = line_of(talk);
    (void)is_ours;
    if (line->call == NULL) {
        http_line_free(line);
    } else if (may_call_again(line->call)) {
        (void)call_again(line->call);
    } else {
        (void)fail(line->call, "%s", why);
    }
}

static const struct talk_ops talk_ops = {
    .connected = on_connected, .received = on_received, .failed = on_failed};

/* -- the beginning -- */

static void begin_talk(struct http_call *call)
{
    char place[TALK_NAME_MAX + 8];
    struct tls_client *tls = call->is_https ? call->tls : NULL;
    const struct talk_way way = {.address = &call->address, .tls = tls, .tls_name = call->host};
    (void)snprintf(place, sizeof(place), "%s:%u", call->host, call->port);
    call->line = http_line_new(call->lines, call->loop, place, &talk_ops, &way, IN_MAX);
    call->line->call = call;
}

/* Its first bytes go from the loop: sending may fail, and nobody is told during the start. */
static void on_kept_ready(struct loop_ready *ready)
{
    struct http_call *call = container_of(ready, struct http_call, ready);
    (void)talk_send(&call->line->talk);
}

/* True: one that waits has it. */
static bool begin_on_kept(struct http_call *call)
{
    char place[TALK_NAME_MAX + 8];
    if (call->lines == NULL) {
        return false;
    }
    (void)snprintf(place, sizeof(place), "%s:%u", call->host, call->port);
    call->line = http_lines_take(call->lines, place, call->is_https ? call->tls : NULL);
    if (call->line == NULL) {
        return false;
    }
    call->line->call = call;
    (void)buf_append_slice(&call->line->talk.out, buf_slice(&call->request));
    loop_ready_put(call->loop, &call->ready, on_kept_ready);
    return true;
}

static void on_resolved(const struct addr *address, const char *why, void *arg)
{
    struct http_call *call = arg;
    call->question = NULL;
    if (address == NULL) {
        (void)fail(call, "cannot resolve '%s': %s", call->host, why);
        return;
    }
    call->address = *address;
    addr_set_port(&call->address, call->port);
    begin_talk(call);
}

/* On a new connection, to where its host is. */
static void begin_fresh(struct http_call *call)
{
    struct slice host = slice_from(call->host);
    if (call->address.len != 0 || addr_from_ip(host, call->port, &call->address)) {
        begin_talk(call);
    } else if (call->resolve != NULL) {
        call->question = resolve_ask(call->resolve, host, on_resolved, call);
    } else {
        fail_later(call, "its host is a name, and nobody is there to resolve it");
    }
}

static void write_request(struct http_call *call, const struct http_call_request *request,
                          const struct url *url)
{
    struct buf *out = &call->request;
    bool has_body = request->body.len != 0;
    struct slice method = request->method;
    if (method.len == 0) {
        method = has_body ? SLICE("POST") : SLICE("GET");
    }
    const char *root = url->target.len == 0 || url->target.ptr[0] != '/' ? "/" : "";
    call->method = method_of(method);
    (void)buf_printf(out, "%.*s %s%.*s HTTP/1.1\r\nHost: %.*s\r\n%s", SLICE_ARG(method), root,
                     SLICE_ARG(url->target), SLICE_ARG(url->authority),
                     request->is_copy ? "" : "User-Agent: lbd\r\n");
    if (request->accept.len != 0) {
        (void)buf_printf(out, "Accept: %.*s\r\n", SLICE_ARG(request->accept));
    }
    if (has_body && !request->is_copy) {
        (void)buf_printf(out, "Content-Type: %.*s\r\n", SLICE_ARG(request->content_type));
    }
    if (has_body) {
        (void)buf_printf(out, "Content-Length: %zu\r\n", request->body.len);
    }
    (void)buf_append_slice(out, request->fields);
    (void)buf_append_text(out, request->lines != NULL ? "\r\n" : "Connection: close\r\n\r\n");
    (void)buf_append_slice(out, request->body);
}

static bool is_sendable(const struct http_call_request *request)
{
    return (request->method.len == 0 || header_name_is_valid(request->method)) &&
           header_value_is_valid(request->accept) && header_value_is_valid(request->content_type);
}

struct http_call *http_call_start(struct loop *loop, const struct http_call_request *request,
                                  http_call_fn *fn, void *arg)
{
    struct http_call *call = mem_zero(1, sizeof(*call));
    struct url url;
    call->loop = loop;
    call->lines = request->lines;
    call->resolve = request->resolve;
    call->fn = fn;
    call->arg = arg;
    call->timeout_ms = request->timeout_ms;
    buf_init(&call->request, TALK_OUT_MAX);
    buf_init(&call->answer, request->answer_max);
    buf_init(&call->fields_text, IN_MAX);
    enum url_verdict verdict = url_parse(request->url, &url);
    if (verdict != URL_OK) {
        fail_later(call, url_words[verdict]);
        return call;
    }
    call->is_https = url.is_https;
    call->port = url.port;
    call->host = mem_slicedup(url.host);
    call->tls = request->tls != NULL ? tls_client_ref(request->tls) : NULL;
    write_request(call, request, &url);
    loop_timer_set(loop, &call->timer, request->timeout_ms, on_timeout);
    if (!is_sendable(request) || call->request.overflow) {
        fail_later(call, "the request is malformed or too large");
    } else if (url.is_https && call->tls == NULL) {
        fail_later(call, "https is not possible here");
    } else if (request->address != NULL) {
        call->address = *request->address;
        begin_talk(call);
    } else if (!begin_on_kept(call)) {
        begin_fresh(call);
    }
    return call;
}
