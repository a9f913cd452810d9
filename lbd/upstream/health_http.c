#include "lbd/upstream/health_http.h"

#include "lbd/base/close_reason.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/headers.h"
#include "lbd/http/method.h"
#include "lbd/http/status.h"

enum { FIELDS_MAX = 256 };

/* --- the request --- */

static bool names_header(const struct conf_health_check *check, struct slice name)
{
    for (uint32_t i = 0; i < check->header_count; i++) {
        if (slice_eq_nocase(check->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void write_host(struct health_probe *probe)
{
    (void)buf_printf(&probe->talk.out, "Host: %.*s\r\n", SLICE_ARG(health_probe_host(probe)));
}

static bool is_sendable(const struct conf_header *header)
{
    /* conf_check refuses others; here stands the guard of the wire (R11) */
    return header_name_is_valid(header->name) && header_value_is_valid(header->value) &&
           !slice_eq_nocase(header->name, SLICE("connection"));
}

/* Lines of this name, of which one says so? */
static bool has_line(const struct headers *headers, const struct conf_header *wanted)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *line = &headers->list[i];
        if (slice_eq_nocase(header_name(headers, line), wanted->name) &&
            (wanted->value.len == 0 || slice_eq(header_value(headers, line), wanted->value))) {
            return true;
        }
    }
    return false;
}

/* Which line of expect.headers an answer lacks: that is known while its head is there. */
static void note_head(const struct headers *headers, void *arg)
{
    struct health_probe *probe = arg;
    const struct conf_health_check *check = &probe->plan->check;
    probe->lacks = NULL;
    for (uint32_t i = 0; i < check->expect_header_count && probe->lacks == NULL; i++) {
        if (!has_line(headers, &check->expect_headers[i])) {
            probe->lacks = &check->expect_headers[i];
        }
    }
}

static enum health_probe_step connected_http2(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    struct header_extra fields[H2_ASK_FIELDS_MAX];
    struct h2_ask_request request = {
        .method = health_probe_is_plain(check->method) ? check->method : SLICE("GET"),
        .scheme = probe->talk.tls != NULL ? SLICE("https") : SLICE("http"),
        .authority = health_probe_host(probe),
        .path = health_probe_is_plain(check->path) ? check->path : SLICE("/"),
        .fields = fields,
        .body = check->body,
    };
    struct h2_ask *ask = health_probe_ask(probe);
    ask->on_head = note_head;
    ask->arg = probe;
    if (!names_header(check, SLICE("user-agent"))) {
        fields[request.field_count++] =
            (struct header_extra){SLICE("user-agent"), SLICE("lbd-health-check")};
    }
    for (uint32_t i = 0; i < check->header_count && request.field_count < ARRAY_LEN(fields); i++) {
        const struct conf_header *header = &check->headers[i];
        if (slice_eq_nocase(header->name, SLICE("host"))) {
            request.authority = header->value;
        } else if (is_sendable(header)) {
            fields[request.field_count++] = (struct header_extra){header->name, header->value};
        }
    }
    if (!h2_ask_write(ask, &request, &probe->talk.out)) {
        health_probe_say(probe, "the request is too large");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

static enum health_probe_step connected(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    if (probe->is_http2) {
        return connected_http2(probe);
    }
    struct slice method = health_probe_is_plain(check->method) ? check->method : SLICE("GET");
    struct slice path = health_probe_is_plain(check->path) ? check->path : SLICE("/");
    (void)buf_printf(&probe->talk.out, "%.*s %.*s HTTP/1.1\r\n", SLICE_ARG(method),
                     SLICE_ARG(path));
    if (!names_header(check, SLICE("host"))) {
        write_host(probe);
    }
    if (!names_header(check, SLICE("user-agent"))) {
        (void)buf_append_text(&probe->talk.out, "User-Agent: lbd-health-check\r\n");
    }
    for (uint32_t i = 0; i < check->header_count; i++) {
        const struct conf_header *header = &check->headers[i];
        if (is_sendable(header)) {
            (void)buf_printf(&probe->talk.out, "%.*s: %.*s\r\n", SLICE_ARG(header->name),
                             SLICE_ARG(header->value));
        }
    }
    if (check->body.len != 0) {
        (void)buf_printf(&probe->talk.out, "Content-Length: %zu\r\n", check->body.len);
    }
    (void)buf_append_text(&probe->talk.out, "Connection: close\r\n\r\n");
    (void)buf_append_slice(&probe->talk.out, check->body);
    if (probe->talk.out.overflow) {
        health_probe_say(probe, "the request is too large");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

/* --- the answer --- */

static bool is_expected(const struct conf_health_check *check, uint16_t status)
{
    if (check->expect_classes == 0 && check->expect_status_count == 0) {
        return status_class(status) == 2;
    }
    unsigned hundreds = status_class(status);
    if (hundreds != 0 && (check->expect_classes >> hundreds & 1U) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < check->expect_status_count; i++) {
        if (check->expect_status[i] == status) {
            return true;
        }
    }
    return false;
}

/* "2xx, 404" */
static void write_expected(struct buf *out, const struct conf_health_check *check)
{
    for (unsigned hundreds = 1; hundreds <= 5; hundreds++) {
        if ((check->expect_classes >> hundreds & 1U) != 0) {
            (void)buf_printf(out, "%s%uxx", out->len != 0 ? ", " : "", hundreds);
        }
    }
    for (uint32_t i = 0; i < check->expect_status_count; i++) {
        (void)buf_printf(out, "%s%u", out->len != 0 ? ", " : "", check->expect_status[i]);
    }
    if (out->len == 0) {
        (void)buf_append_text(out, "2xx");
    }
}

/* Of the head. WAIT: it is good, and the body is still to be read. */
static enum health_probe_step judge(struct health_probe *probe, uint16_t status)
{
    const struct conf_health_check *check = &probe->plan->check;
    probe->is_understood = true;
    if (!is_expected(check, status)) {
        struct buf expected;
        buf_init(&expected, 96); /* more than that is left out */
        write_expected(&expected, check);
        health_probe_say(probe, "HTTP %u, expected %s", status, expected.data);
        buf_fini(&expected);
        return HEALTH_PROBE_FAIL;
    }
    if (probe->lacks != NULL) {
        health_probe_say(probe, "HTTP %u without the line \"%.*s: %.*s\"", status,
                         SLICE_ARG(probe->lacks->name), SLICE_ARG(probe->lacks->value));
        return HEALTH_PROBE_FAIL;
    }
    probe->has_head = true;
    probe->status = status;
    return HEALTH_PROBE_WAIT;
}

/* Of the body, as far as it is there; `is_whole`: no more will come. */
static enum health_probe_step judge_body(struct health_probe *probe, struct slice body,
                                         bool is_whole)
{
    struct slice wanted = probe->plan->check.expect_body;
    char shown[HEALTH_PROBE_SHOWN_MAX];
    if (health_probe_heard(body, wanted)) {
        char elapsed[32];
        health_probe_elapsed(probe, elapsed);
        health_probe_say(probe, "HTTP %u in %s", probe->status, elapsed);
        return HEALTH_PROBE_PASS;
    }
    if (!is_whole) {
        return HEALTH_PROBE_WAIT;
    }
    health_probe_print(body, shown);
    health_probe_say(probe, "HTTP %u, but its body does not have what is expected: \"%s\"",
                     probe->status, shown);
    return HEALTH_PROBE_FAIL;
}

static enum health_probe_step received_http2(struct health_probe *probe, bool ended)
{
    struct h2_ask *ask = health_probe_ask(probe);
    enum h2_ask_step step = h2_ask_feed(ask, &probe->talk.in, &probe->talk.out);
    if (ask->status != 0 && !probe->has_head && judge(probe, ask->status) != HEALTH_PROBE_WAIT) {
        return HEALTH_PROBE_FAIL;
    }
    if (probe->has_head) {
        enum health_probe_step verdict =
            judge_body(probe, buf_slice(&ask->body), step == H2_ASK_ENDED);
        if (verdict != HEALTH_PROBE_WAIT) {
            return verdict;
        }
    }
    if (step == H2_ASK_BAD || ended) {
        health_probe_say(probe, "%s",
                         step == H2_ASK_BAD ? ask->why : "connection closed before an answer");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

static enum health_probe_step bad_answer(struct health_probe *probe, unsigned reason)
{
    health_probe_say(probe, "malformed answer: %s",
                     close_reason_sentence((enum close_reason)reason));
    return HEALTH_PROBE_FAIL;
}

static enum health_probe_step received_head(struct health_probe *probe, bool ended)
{
    static const struct h1_limits limits = {.head_bytes = HEALTH_PROBE_ANSWER_MAX,
                                            .fields = FIELDS_MAX};
    struct header fields[FIELDS_MAX];
    for (;;) {
        struct message answer = {.headers = {.list = fields, .capacity = FIELDS_MAX}};
        struct slice bytes = slice_from_at(buf_slice(&probe->talk.in), probe->parsed);
        switch (h1_head_response(&probe->head, bytes, &limits, method_of(probe->plan->check.method),
                                 &answer)) {
        case H1_MORE:
            if (ended) {
                health_probe_say(probe, "connection closed %s",
                                 bytes.len == 0 ? "before an answer" : "in the middle of the head");
                return HEALTH_PROBE_FAIL;
            }
            return HEALTH_PROBE_WAIT;
        case H1_BAD:
            return bad_answer(probe, probe->head.reason);
        case H1_DONE:
            break;
        }
        if (status_class(answer.status) != 1 || answer.status == 101) {
            note_head(&answer.headers, probe);
            h1_body_init(&probe->framing, (enum framing)answer.framing, answer.content_length,
                         H1_BODY_DECODED, true);
            buf_consume(&probe->talk.in, probe->parsed + answer.head_len);
            return judge(probe, answer.status);
        }
        /* interim (RFC 9110 15.2): the real one follows */
        probe->parsed += answer.head_len;
        h1_head_init(&probe->head);
    }
}

static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    if (probe->is_http2) {
        return received_http2(probe, ended);
    }
    if (!probe->has_head) {
        enum health_probe_step step = received_head(probe, ended);
        if (!probe->has_head) {
            return step;
        }
    }
    struct h1_body_piece piece = {0};
    enum h1_verdict verdict = H1_MORE;
    if (probe->plan->check.expect_body.len != 0) { /* else the head is enough */
        struct buf *in = &probe->talk.in;
        verdict = h1_body_feed(&probe->framing, in->data, in->len, &piece);
        (void)buf_append_slice(&probe->body, piece.out); /* what is too much is left out */
        buf_consume(in, piece.consumed);
    }
    if (verdict == H1_BAD) {
        return bad_answer(probe, probe->framing.reason);
    }
    return judge_body(probe, buf_slice(&probe->body),
                      verdict == H1_DONE || ended || probe->body.overflow);
}

const struct health_probe_kind health_http = {.connected = connected, .received = received};
