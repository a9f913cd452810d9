#include "lbd/upstream/health_grpc.h"

#include <string.h>

#include "lbd/upstream/h2_ask.h"

enum { PREFIX = 5, SERVICE_MAX = 255, GRPC_OK = 0, GRPC_NOT_FOUND = 5, GRPC_UNIMPLEMENTED = 12 };

/* HealthCheckResponse.ServingStatus */
enum serving { SERVING_UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN };

/* -- the request: HealthCheckRequest { string service = 1; } -- */

static size_t write_call(char out[PREFIX + 3 + SERVICE_MAX], struct slice service)
{
    size_t len = 0;
    char *message = out + PREFIX;
    if (service.len > SERVICE_MAX) {
        service.len = SERVICE_MAX;
    }
    if (service.len != 0) {
        message[len++] = 0x0A; /* field 1, bytes */
        if (service.len >= 0x80) {
            message[len++] = (char)(0x80 | (service.len & 0x7F));
        }
        message[len++] = (char)(service.len >= 0x80 ? service.len >> 7 : service.len);
        memcpy(message + len, service.ptr, service.len);
        len += service.len;
    }
    memset(out, 0, PREFIX); /* not compressed */
    out[3] = (char)(len >> 8);
    out[4] = (char)len;
    return PREFIX + len;
}

static enum health_probe_step connected(struct health_probe *probe)
{
    static const struct header_extra fields[] = {
        {SLICE_INIT("content-type"), SLICE_INIT("application/grpc")},
        {SLICE_INIT("te"), SLICE_INIT("trailers")},
        {SLICE_INIT("user-agent"), SLICE_INIT("lbd-health-check")},
    };
    char call[PREFIX + 3 + SERVICE_MAX];
    if (probe->talk.tls != NULL && !probe->is_http2) {
        health_probe_say(probe, "the server does not agree on HTTP/2 (ALPN 'h2')");
        return HEALTH_PROBE_FAIL;
    }
    const struct h2_ask_request request = {
        .method = SLICE("POST"),
        .scheme = probe->talk.tls != NULL ? SLICE("https") : SLICE("http"),
        .authority = health_probe_host(probe),
        .path = SLICE("/grpc.health.v1.Health/Check"),
        .fields = fields,
        .field_count = ARRAY_LEN(fields),
        .body = slice_of(call, write_call(call, probe->plan->check.service)),
    };
    if (!h2_ask_write(health_probe_ask(probe), &request, &probe->talk.out)) {
        health_probe_say(probe, "the request is too large");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

/* -- the answer: HealthCheckResponse { ServingStatus status = 1; } -- */

/* False: it is cut. */
static bool read_varint(struct slice *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len != 0; shift += 7) {
        unsigned char byte = (unsigned char)rest->ptr[0];
        *rest = slice_from_at(*rest, 1);
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool skip(struct slice *rest, uint64_t len)
{
    if (len > rest->len) {
        return false;
    }
    *rest = slice_from_at(*rest, (size_t)len);
    return true;
}

/* False: it is no such message. */
static bool read_status(struct slice message, uint64_t *status)
{
    *status = SERVING_UNKNOWN;
    while (message.len != 0) {
        uint64_t tag = 0;
        uint64_t value = 0;
        bool ok = read_varint(&message, &tag);
        switch (tag & 7) {
        case 0:
            ok = ok && read_varint(&message, &value);
            *status = ok && tag >> 3 == 1 ? value : *status;
            break;
        case 1:
            ok = ok && skip(&message, 8);
            break;
        case 2:
            ok = ok && read_varint(&message, &value) && skip(&message, value);
            break;
        case 5:
            ok = ok && skip(&message, 4);
            break;
        default:
            return false;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* One message of the body, not compressed. */
static bool unwrap(struct slice body, struct slice *message)
{
    if (body.len < PREFIX || body.ptr[0] != 0) {
        return false;
    }
    uint64_t len = 0;
    for (size_t i = 1; i < PREFIX; i++) {
        len = len << 8 | (unsigned char)body.ptr[i];
    }
    *message = slice_from_at(body, PREFIX);
    return message->len == len;
}

static enum health_probe_step judge_serving(struct health_probe *probe, struct slice body)
{
    static const char *const words[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    struct slice message;
    uint64_t status = 0;
    char elapsed[32];
    if (!unwrap(body, &message) || !read_status(message, &status) || status >= ARRAY_LEN(words)) {
        health_probe_say(probe, "malformed answer: no HealthCheckResponse");
        return HEALTH_PROBE_FAIL;
    }
    health_probe_elapsed(probe, elapsed);
    health_probe_say(probe, "%s in %s", words[status], elapsed);
    return status == SERVING ? HEALTH_PROBE_PASS : HEALTH_PROBE_FAIL;
}

static enum health_probe_step judge(struct health_probe *probe, const struct h2_ask *ask)
{
    struct slice service = probe->plan->check.service;
    probe->is_understood = true;
    if (ask->status != 200) {
        health_probe_say(probe, "HTTP %u, expected 200 and a grpc-status", ask->status);
        return HEALTH_PROBE_FAIL;
    }
    switch (ask->grpc_status) {
    case GRPC_OK:
        return judge_serving(probe, buf_slice(&ask->body));
    case -1:
        health_probe_say(probe, "HTTP 200 without a grpc-status: it does not speak gRPC");
        break;
    case GRPC_NOT_FOUND:
        health_probe_say(probe, "it does not know the service '%.*s'", SLICE_ARG(service));
        break;
    case GRPC_UNIMPLEMENTED:
        health_probe_say(probe, "it does not implement grpc.health.v1.Health");
        break;
    default:
        health_probe_say(probe, "grpc-status %d%s%s", ask->grpc_status,
                         ask->grpc_message[0] != '\0' ? ": " : "", ask->grpc_message);
        break;
    }
    return HEALTH_PROBE_FAIL;
}

static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    struct h2_ask *ask = health_probe_ask(probe);
    switch (h2_ask_feed(ask, &probe->talk.in, &probe->talk.out)) {
    case H2_ASK_ENDED:
        return judge(probe, ask);
    case H2_ASK_BAD:
        health_probe_say(probe, "%s", ask->why);
        return HEALTH_PROBE_FAIL;
    case H2_ASK_MORE:
        break;
    }
    if (ended) {
        health_probe_say(probe, "connection closed before an answer");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

const struct health_probe_kind health_grpc = {.connected = connected, .received = received};
