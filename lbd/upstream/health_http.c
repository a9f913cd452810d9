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

/* What a request line can carry without becoming two. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return text.len != 0;
}

static void write_host(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    struct slice host = check->host.len != 0 ? check->host : slice_from(probe->authority);
    if (addr_is_unix(host) || !is_plain(host)) {
        host = SLICE("localhost");
    }
    (void)buf_printf(&probe->out, "Host: %.*s\r\n", SLICE_ARG(host));
}

static enum health_probe_step connected(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    struct slice method = is_plain(check->method) ? check->method : SLICE("GET");
    struct slice path = is_plain(check->path) ? check->path : SLICE("/");
    (void)buf_printf(&probe->out, "%.*s %.*s HTTP/1.1\r\n", SLICE_ARG(method), SLICE_ARG(path));
    if (!names_header(check, SLICE("host"))) {
        write_host(probe);
    }
    if (!names_header(check, SLICE("user-agent"))) {
        (void)buf_append_text(&probe->out, "User-Agent: lbd-health-check\r\n");
    }
    for (uint32_t i = 0; i < check->header_count; i++) {
        const struct conf_header *header = &check->headers[i];
        /* conf_check refuses others; here stands the guard of the wire (R11) */
        if (header_name_is_valid(header->name) && header_value_is_valid(header->value) &&
            !slice_eq_nocase(header->name, SLICE("connection"))) {
            (void)buf_printf(&probe->out, "%.*s: %.*s\r\n", SLICE_ARG(header->name),
                             SLICE_ARG(header->value));
        }
    }
    (void)buf_append_text(&probe->out, "Connection: close\r\n\r\n");
    if (probe->out.overflow) {
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

static enum health_probe_step judge(struct health_probe *probe, uint16_t status)
{
    const struct conf_health_check *check = &probe->plan->check;
    if (is_expected(check, status)) {
        char elapsed[32];
        health_probe_elapsed(probe, elapsed);
        health_probe_say(probe, "HTTP %u in %s", status, elapsed);
        return HEALTH_PROBE_PASS;
    }
    struct buf expected;
    buf_init(&expected, 96); /* more than that is left out */
    write_expected(&expected, check);
    health_probe_say(probe, "HTTP %u, expected %s", status, expected.data);
    buf_fini(&expected);
    return HEALTH_PROBE_FAIL;
}

static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    static const struct h1_limits limits = {.head_bytes = HEALTH_PROBE_ANSWER_MAX,
                                            .fields = FIELDS_MAX};
    struct header fields[FIELDS_MAX];
    for (;;) {
        struct message answer = {.headers = {.list = fields, .capacity = FIELDS_MAX}};
        struct slice bytes = slice_from_at(buf_slice(&probe->in), probe->parsed);
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
            health_probe_say(probe, "malformed answer: %s",
                             close_reason_sentence((enum close_reason)probe->head.reason));
            return HEALTH_PROBE_FAIL;
        case H1_DONE:
            break;
        }
        if (status_class(answer.status) != 1 || answer.status == 101) {
            return judge(probe, answer.status);
        }
        /* interim (RFC 9110 15.2): the real one follows */
        probe->parsed += answer.head_len;
        h1_head_init(&probe->head);
    }
}

const struct health_probe_kind health_http = {.connected = connected, .received = received};
