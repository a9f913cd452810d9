#include "ctl/rest_reply.h"

#include <string.h>

#include "lbd/base/num.h"

enum { CHUNK_DIGITS_MAX = 8 };

void rest_reply_init(struct rest_reply *reply)
{
    *reply = (struct rest_reply){.state = REST_STATUS, .is_changed = true};
    buf_init(&reply->body, REST_REPLY_BODY_MAX);
    buf_init(&reply->line, REST_REPLY_LINE_MAX);
}

void rest_reply_fini(struct rest_reply *reply)
{
    buf_fini(&reply->body);
    buf_fini(&reply->line);
}

void rest_reply_clear(struct rest_reply *reply)
{
    rest_take_fn *take = reply->take;
    void *user = reply->user;
    rest_reply_fini(reply);
    rest_reply_init(reply);
    reply->take = take;
    reply->user = user;
}

static enum rest_verdict bad(struct err *err, const char *what)
{
    err_set(err, ERR_MALFORMED, "the answer is not HTTP as we know it: %s", what);
    return REST_BAD;
}

/* RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ] */
static enum rest_verdict take_status(struct rest_reply *reply, struct slice line, struct err *err)
{
    uint64_t status;
    if (!slice_starts(line, SLICE("HTTP/1.1 ")) && !slice_starts(line, SLICE("HTTP/1.0 "))) {
        return bad(err, "no status line");
    }
    line = slice_from_at(line, strlen("HTTP/1.x "));
    if (line.len < 3 || (line.len > 3 && line.ptr[3] != ' ') ||
        !num_parse_u64(slice_of(line.ptr, 3), &status) || status < 100 || status > 599) {
        return bad(err, "no status code");
    }
    reply->status = (uint32_t)status;
    reply->state = REST_HEADERS;
    return REST_MORE;
}

static bool name_is_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte) != NULL) {
            return false;
        }
    }
    return name.len != 0;
}

static bool type_is_json(struct slice type)
{
    size_t end = slice_find(type, ';');
    if (end != SIZE_MAX) {
        type = slice_trim(slice_of(type.ptr, end));
    }
    return slice_eq_nocase(type, SLICE("application/json")) || slice_ends(type, SLICE("+json"));
}

static enum rest_verdict take_header(struct rest_reply *reply, struct slice line, struct err *err)
{
    struct slice name;
    struct slice value = line;
    if (++reply->header_count > REST_REPLY_HEADERS_MAX) {
        return bad(err, "too many headers");
    }
    if (!slice_split(&value, ':', &name) || value.ptr == NULL || !name_is_token(name)) {
        return bad(err, "a header without a name");
    }
    value = slice_trim(value);

    if (slice_eq_nocase(name, SLICE("Content-Length"))) {
        if (reply->has_length || !num_parse_u64(value, &reply->left)) {
            return bad(err, "Content-Length");
        }
        reply->has_length = true;
    } else if (slice_eq_nocase(name, SLICE("Transfer-Encoding"))) {
        if (reply->is_chunked || !slice_eq_nocase(value, SLICE("chunked"))) {
            return bad(err, "Transfer-Encoding");
        }
        reply->is_chunked = true;
    } else if (slice_eq_nocase(name, SLICE("Content-Type"))) {
        reply->is_json = type_is_json(value);
    } else if (slice_eq_nocase(name, SLICE("ETag"))) {
        if (value.len >= sizeof(reply->etag)) {
            return bad(err, "ETag");
        }
        memcpy(reply->etag, value.ptr, value.len);
        reply->etag[value.len] = '\0';
    } else if (slice_eq_nocase(name, SLICE("Lbd-Revision"))) {
        if (!num_parse_u64(value, &reply->revision)) {
            return bad(err, "Lbd-Revision");
        }
    } else if (slice_eq_nocase(name, SLICE("Lbd-Changed"))) {
        reply->is_changed = !slice_eq(value, SLICE("false"));
    } else if (slice_eq_nocase(name, SLICE("Retry-After")) &&
               !num_parse_u64(value, &reply->retry_s)) {
        reply->retry_s = 0; /* a date: not from lbd */
    }
    return REST_MORE;
}

static enum rest_verdict complete(struct rest_reply *reply)
{
    reply->state = REST_COMPLETE;
    return REST_DONE;
}

/* RFC 9112 6.3: how long is the body? */
static enum rest_verdict end_headers(struct rest_reply *reply, struct err *err)
{
    if (reply->status < 200) {
        rest_reply_clear(reply);
        return REST_MORE;
    }
    if (reply->status == 204 || reply->status == 304) {
        return complete(reply);
    }
    if (reply->is_chunked && reply->has_length) {
        return bad(err, "both Content-Length and Transfer-Encoding");
    }
    if (reply->is_chunked) {
        reply->state = REST_CHUNK_SIZE;
        return REST_MORE;
    }
    if (!reply->has_length) {
        reply->state = REST_UNTIL_CLOSE;
        return REST_MORE;
    }
    if (reply->left > REST_REPLY_BODY_MAX) {
        return bad(err, "the body is too large");
    }
    reply->state = REST_LENGTH;
    return reply->left == 0 ? complete(reply) : REST_MORE;
}

static enum rest_verdict take_chunk_size(struct rest_reply *reply, struct slice line,
                                         struct err *err)
{
    size_t end = slice_find(line, ';'); /* RFC 9112 7.1.1: extensions mean nothing to us */
    struct slice digits = end == SIZE_MAX ? line : slice_trim(slice_of(line.ptr, end));
    if (digits.len > CHUNK_DIGITS_MAX || !num_parse_hex(digits, &reply->left)) {
        return bad(err, "a chunk without a size");
    }
    reply->state = reply->left == 0 ? REST_TRAILERS : REST_CHUNK;
    return REST_MORE;
}

static enum rest_verdict take_line(struct rest_reply *reply, struct slice line, struct err *err)
{
    switch (reply->state) {
    case REST_STATUS:
        return take_status(reply, line, err);
    case REST_HEADERS:
        return line.len == 0 ? end_headers(reply, err) : take_header(reply, line, err);
    case REST_CHUNK_SIZE:
        return take_chunk_size(reply, line, err);
    case REST_CHUNK_END:
        reply->state = REST_CHUNK_SIZE;
        return line.len == 0 ? REST_MORE : bad(err, "a chunk longer than its size");
    case REST_TRAILERS:
        if (line.len == 0) {
            return complete(reply);
        }
        return ++reply->header_count > REST_REPLY_HEADERS_MAX ? bad(err, "too many trailers")
                                                              : REST_MORE;
    case REST_LENGTH:
    case REST_CHUNK:
    case REST_UNTIL_CLOSE:
    case REST_COMPLETE:
        break;
    }
    assert(false); /* those states take no lines */
    return REST_BAD;
}

static enum rest_verdict take_text(struct rest_reply *reply, struct slice *bytes, struct err *err)
{
    size_t end = slice_find(*bytes, '\n');
    size_t len = end == SIZE_MAX ? bytes->len : end;
    if (!buf_append(&reply->line, bytes->ptr, len)) {
        return bad(err, "a line is too long");
    }
    if (end == SIZE_MAX) {
        *bytes = SLICE_NONE;
        return REST_MORE;
    }
    *bytes = slice_from_at(*bytes, end + 1);

    struct slice line = buf_slice(&reply->line);
    if (line.len == 0 || line.ptr[line.len - 1] != '\r') {
        return bad(err, "a line does not end in CRLF");
    }
    line.len--;
    /* the line leaves the buf first: an interim answer clears the reply under our hands */
    struct buf taken = reply->line;
    buf_init(&reply->line, REST_REPLY_LINE_MAX);
    enum rest_verdict verdict = take_line(reply, line, err);
    buf_fini(&taken);
    return verdict;
}

static enum rest_verdict take_body(struct rest_reply *reply, struct slice *bytes, struct err *err)
{
    size_t len = bytes->len;
    if (reply->state != REST_UNTIL_CLOSE && len > reply->left) {
        len = (size_t)reply->left;
    }
    if (reply->take != NULL && reply->status == 200) {
        if (!reply->take(reply->user, slice_of(bytes->ptr, len))) {
            reply->is_taken = true;
            *bytes = SLICE_NONE;
            return complete(reply);
        }
    } else if (!buf_append(&reply->body, bytes->ptr, len)) {
        return bad(err, "the body is too large");
    }
    *bytes = slice_from_at(*bytes, len);
    if (reply->state == REST_UNTIL_CLOSE) {
        return REST_MORE;
    }
    reply->left -= len;
    if (reply->left != 0) {
        return REST_MORE;
    }
    if (reply->state == REST_LENGTH) {
        return complete(reply);
    }
    reply->state = REST_CHUNK_END;
    return REST_MORE;
}

enum rest_verdict rest_reply_feed(struct rest_reply *reply, struct slice bytes, struct err *err)
{
    enum rest_verdict verdict = reply->state == REST_COMPLETE ? REST_DONE : REST_MORE;
    while (bytes.len != 0 && verdict == REST_MORE) {
        bool in_body = reply->state == REST_LENGTH || reply->state == REST_CHUNK ||
                       reply->state == REST_UNTIL_CLOSE;
        verdict = in_body ? take_body(reply, &bytes, err) : take_text(reply, &bytes, err);
    }
    if (verdict == REST_DONE && bytes.len != 0) {
        return bad(err, "bytes after its end");
    }
    return verdict;
}

enum rest_verdict rest_reply_end(struct rest_reply *reply, struct err *err)
{
    if (reply->state == REST_COMPLETE || reply->state == REST_UNTIL_CLOSE) {
        return complete(reply);
    }
    return bad(err, reply->state == REST_STATUS && reply->line.len == 0
                        ? "the connection was closed without one"
                        : "it ends in the middle");
}
