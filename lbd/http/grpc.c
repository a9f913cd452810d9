/* grpc - see grpc.h. */
#include "lbd/http/grpc.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/num.h"

enum { TIMEOUT_DIGITS_MAX = 8 };

#define DAY_US (UINT64_C(24) * 3600 * 1000000)

bool grpc_is_request(const struct message *request)
{
    if (request->method != METHOD_POST) {
        return false;
    }
    const struct header *found = headers_find(&request->headers, HEADER_CONTENT_TYPE);
    if (found == NULL) {
        return false;
    }
    static const struct slice word = SLICE_INIT("application/grpc");
    struct slice value = header_value(&request->headers, found);
    if (value.len < word.len || !slice_eq_nocase(slice_of(value.ptr, word.len), word)) {
        return false;
    }
    char next = value.len > word.len ? value.ptr[word.len] : ';';
    return next == '+' || next == ';' || next == ' ' || next == '\t'; /* not application/grpc-web */
}

/* The codes that gRPC itself gives to HTTP statuses, but for what a client can use better: a
 * deadline that passed, a limit, a server that speaks nonsense. */
enum grpc_status grpc_status_of(enum close_reason reason)
{
    switch (reason) {
    case CLOSE_RESPONSE_TIMEOUT:
    case CLOSE_CALL_DEADLINE:
        return GRPC_DEADLINE_EXCEEDED;
    case CLOSE_BAD_RESPONSE:
    case CLOSE_BAD_RESPONSE_FRAMING:
    case CLOSE_TOO_MANY_INTERIM:
    case CLOSE_BAD_SWITCH:
        return GRPC_INTERNAL;
    case CLOSE_CLIENT_ABORT:
        return GRPC_CANCELLED;
    default:
        break;
    }
    switch (close_reason_status(reason)) {
    case 400:
    case 500:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
    case 501:
        return GRPC_UNIMPLEMENTED;
    case 408:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 414:
    case 429:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 0:   /* no answer is made for it, but trailers may be */
    case 421: /* another connection may do */
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

struct slice grpc_status_text(enum grpc_status status)
{
    static const char text[] = "0 1 2 3 4 5 6 7 8 9 10111213141516";
    return slice_of(text + 2U * (unsigned)status, (unsigned)status < 10 ? 1 : 2);
}

struct slice grpc_message_of(enum close_reason reason)
{
    /* printable ASCII without '%': nothing to encode (a test says so) */
    return slice_from(close_reason_sentence(reason));
}

size_t grpc_write_trailers(enum close_reason reason, char out[GRPC_TRAILERS_MAX])
{
    const struct slice parts[] = {SLICE("grpc-status: "), grpc_status_text(grpc_status_of(reason)),
                                  SLICE("\r\ngrpc-message: "), grpc_message_of(reason),
                                  SLICE("\r\n")};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert(parts[i].len <= GRPC_TRAILERS_MAX - len);
        memcpy(out + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return len;
}

uint64_t grpc_timeout_us(const struct message *request)
{
    const struct header *found = headers_find_name(&request->headers, SLICE("grpc-timeout"));
    if (found == NULL) {
        return 0;
    }
    struct slice value = header_value(&request->headers, found);
    uint64_t amount;
    if (value.len < 2 || value.len > TIMEOUT_DIGITS_MAX + 1 ||
        !num_parse_u64(slice_of(value.ptr, value.len - 1), &amount)) {
        return 0;
    }
    uint64_t us;
    switch (value.ptr[value.len - 1]) {
    case 'H':
        us = amount * 3600 * 1000000;
        break;
    case 'M':
        us = amount * 60 * 1000000;
        break;
    case 'S':
        us = amount * 1000000;
        break;
    case 'm':
        us = amount * 1000;
        break;
    case 'u':
        us = amount;
        break;
    case 'n':
        us = amount / 1000;
        break;
    default:
        return 0;
    }
    if (us > DAY_US) {
        return DAY_US;
    }
    return us > 0 ? us : 1; /* over at once is not "none" */
}

enum grpc_status grpc_status_of_http(uint16_t status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_status grpc_status_read(struct slice value)
{
    uint64_t status;
    return num_parse_u64(value, &status) && status < GRPC_STATUS_COUNT ? (enum grpc_status)status
                                                                       : GRPC_UNKNOWN;
}

enum grpc_status grpc_status_in(struct slice lines)
{
    static const struct slice name = SLICE_INIT("grpc-status:");
    while (lines.len > 0) {
        size_t end = slice_find(lines, '\n');
        struct slice line = end == SIZE_MAX ? lines : slice_of(lines.ptr, end);
        if (line.len > name.len && slice_eq_nocase(slice_of(line.ptr, name.len), name)) {
            struct slice value = slice_trim(slice_from_at(line, name.len));
            if (value.len > 0 && value.ptr[value.len - 1] == '\r') {
                value = slice_trim(slice_of(value.ptr, value.len - 1));
            }
            return grpc_status_read(value);
        }
        if (end == SIZE_MAX) {
            break;
        }
        lines = slice_from_at(lines, end + 1);
    }
    return GRPC_UNKNOWN;
}
