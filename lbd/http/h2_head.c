/* h2_head - see h2_head.h. */
#include "lbd/http/h2_head.h"

#include "lbd/base/authority.h"
#include "lbd/base/num.h"
#include "lbd/http/h1_facts.h"
#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"

enum { METHOD_LEN_MAX = 32 };

static bool has(const struct hpack_fields *fields, enum hpack_pseudo pseudo)
{
    return (fields->pseudo_seen >> pseudo & 1U) != 0;
}

/* RFC 9113 8.2.2: what is of one connection has no place here; TE says trailers or nothing. */
static bool has_connection_fields(const struct hpack_fields *fields)
{
    const struct h1_seen *seen = &fields->seen;
    if (LB_UNLIKELY((seen->count[HEADER_CONNECTION] | seen->count[HEADER_KEEP_ALIVE] |
                     seen->count[HEADER_PROXY_CONNECTION] | seen->count[HEADER_TRANSFER_ENCODING] |
                     seen->count[HEADER_UPGRADE]) != 0)) {
        return true;
    }
    if (LB_LIKELY(seen->count[HEADER_TE] == 0)) {
        return false;
    }
    const struct header *te = &fields->headers.list[seen->first[HEADER_TE]];
    return seen->count[HEADER_TE] > 1 ||
           !slice_eq_nocase(header_value(&fields->headers, te), SLICE("trailers"));
}

static void list_fields(const struct hpack_fields *fields, struct message *out)
{
    out->headers = fields->headers;
    out->head_len = fields->head_len;
    out->version_minor = 1;
    out->is_http2 = true;
    out->extra_count = 0;
    out->extra_ours = 0;
    out->target_form = TARGET_ORIGIN;
    out->scheme = SLICE_NONE;
    out->protocol = SLICE_NONE;
}

/* RFC 9113 8.3.1: like HTTP/1's request-target in origin-form or asterisk-form. */
static bool read_path(struct slice path, struct message *out)
{
    const char *end = path.ptr + path.len;
    if (path.len == 0) {
        return false;
    }
    if (path.ptr[0] == '/') {
        const char *query;
        bool plain;
        if (h1_scan_target(path.ptr, end, &query, &plain) != end) {
            return false;
        }
        out->path = slice_of(path.ptr, (size_t)(query - path.ptr));
        out->query = slice_of(query, (size_t)(end - query));
        out->path_is_plain = plain;
        return true;
    }
    out->target_form = TARGET_ASTERISK;
    out->path = path;
    out->query = slice_of(end, 0);
    out->path_is_plain = true;
    return out->method == METHOD_OPTIONS && slice_eq(path, SLICE("*"));
}

/* RFC 9113 8.5 and RFC 8441 4: one kind of CONNECT is known. */
static enum close_reason read_connect(const struct hpack_fields *fields, struct message *out)
{
    if (!has(fields, HPACK_PROTOCOL)) {
        return CLOSE_METHOD_NOT_IMPLEMENTED;
    }
    out->protocol = fields->pseudo[HPACK_PROTOCOL];
    out->upgrade_websocket = slice_eq_nocase(out->protocol, SLICE("websocket"));
    return out->upgrade_websocket ? CLOSE_OK : CLOSE_METHOD_NOT_IMPLEMENTED;
}

static enum close_reason read_pseudo(const struct hpack_fields *fields, struct message *out)
{
    struct slice method = fields->pseudo[HPACK_METHOD];
    if (!has(fields, HPACK_METHOD) || has(fields, HPACK_STATUS)) {
        return CLOSE_BAD_REQUEST_LINE;
    }
    const char *method_end = method.ptr + method.len;
    if (method.len == 0 || method.len > METHOD_LEN_MAX ||
        h1_scan_class(method.ptr, method_end, H1_TOKEN) != method_end) {
        return CLOSE_BAD_METHOD;
    }
    out->method_text = method;
    out->method = (uint8_t)method_of(method);
    if (out->method == METHOD_OTHER && method_is_misspelt(method)) {
        return CLOSE_BAD_METHOD;
    }
    bool is_connect = out->method == METHOD_CONNECT;
    if (has(fields, HPACK_PROTOCOL) && !is_connect) {
        return CLOSE_BAD_REQUEST_LINE;
    }
    if (is_connect && !has(fields, HPACK_PROTOCOL)) {
        return CLOSE_METHOD_NOT_IMPLEMENTED;
    }
    if (out->method == METHOD_TRACE) {
        return CLOSE_METHOD_NOT_IMPLEMENTED;
    }
    if (!has(fields, HPACK_SCHEME) || !has(fields, HPACK_PATH)) {
        return CLOSE_BAD_REQUEST_LINE;
    }
    out->scheme = fields->pseudo[HPACK_SCHEME];
    if (!slice_eq_nocase(out->scheme, SLICE("https")) &&
        !slice_eq_nocase(out->scheme, SLICE("http"))) {
        return CLOSE_BAD_TARGET;
    }
    if (!read_path(fields->pseudo[HPACK_PATH], out)) {
        return CLOSE_BAD_TARGET;
    }
    out->authority = SLICE_NONE;
    if (has(fields, HPACK_AUTHORITY)) {
        out->authority = fields->pseudo[HPACK_AUTHORITY];
        return authority_is_valid(out->authority) ? CLOSE_OK : CLOSE_BAD_HOST;
    }
    return CLOSE_OK;
}

enum close_reason h2_head_request(const struct hpack_fields *fields, bool ends, struct message *out)
{
    list_fields(fields, out);
    if (has_connection_fields(fields)) {
        return CLOSE_BAD_CONNECTION_HEADER;
    }
    enum close_reason reason = read_pseudo(fields, out);
    if (reason != CLOSE_OK) {
        return reason;
    }
    reason = h1_facts_request(&fields->seen, out);
    if (reason != CLOSE_OK) {
        return reason;
    }
    if (out->method == METHOD_CONNECT) {
        out->framing = FRAMING_TUNNEL;
        out->has_length = false;
        return ends ? CLOSE_BAD_UPGRADE : read_connect(fields, out);
    }
    if (!ends) {
        out->framing = out->has_length ? FRAMING_LENGTH : FRAMING_CHUNKED;
        return CLOSE_OK;
    }
    if (out->content_length > 0) { /* R5 */
        return CLOSE_BAD_CONTENT_LENGTH;
    }
    /* RFC 9110 8.6: where a body has a meaning, HTTP/1 says that there is none */
    bool has_meaning =
        out->method == METHOD_POST || out->method == METHOD_PUT || out->method == METHOD_PATCH;
    out->has_length = out->has_length || has_meaning;
    out->framing = FRAMING_NONE;
    return CLOSE_OK;
}

enum close_reason h2_head_response(const struct hpack_fields *fields, bool ends,
                                   enum method request_method, struct message *out)
{
    struct slice status = fields->pseudo[HPACK_STATUS];
    list_fields(fields, out);
    if (fields->pseudo_seen != 1U << HPACK_STATUS || status.len != 3 || status.ptr[0] < '1' ||
        status.ptr[0] > '5' || !h1_is(status.ptr[1], H1_DIGIT) || !h1_is(status.ptr[2], H1_DIGIT) ||
        has_connection_fields(fields)) {
        return CLOSE_BAD_RESPONSE;
    }
    out->status = (uint16_t)((status.ptr[0] - '0') * 100 + (status.ptr[1] - '0') * 10 +
                             (status.ptr[2] - '0'));
    out->reason_phrase = SLICE_NONE;
    if (out->status == 101 || (out->status < 200 && ends)) {
        return CLOSE_BAD_RESPONSE;
    }
    enum close_reason reason = h1_facts_response(&fields->seen, request_method, out);
    if (reason != CLOSE_OK) {
        return reason;
    }
    out->wants_close = false;
    if (out->framing == FRAMING_UNTIL_CLOSE) {
        out->framing = FRAMING_CHUNKED;
    }
    if (!ends) {
        return CLOSE_OK;
    }
    if (out->framing == FRAMING_LENGTH && out->content_length > 0) { /* R5 */
        return CLOSE_BAD_RESPONSE_FRAMING;
    }
    /* A body that could be there and is not: HTTP/1 has to be told, or waits for the close. */
    out->has_length = out->has_length || out->framing == FRAMING_CHUNKED;
    out->framing = FRAMING_NONE;
    return CLOSE_OK;
}

bool h2_head_trailers(const struct hpack_fields *fields, struct slice *lines)
{
    const struct headers *headers = &fields->headers;
    *lines = SLICE_NONE;
    if (fields->pseudo_seen != 0 || has_connection_fields(fields) ||
        headers->count > H2_HEAD_TRAILER_FIELDS) { /* RFC 9113 8.1 */
        return false;
    }
    if (headers->count > 0) {
        uint32_t from = headers->list[0].name_at;
        *lines = slice_of(headers->base + from, fields->head_len - 2 - from);
    }
    return lines->len <= H2_HEAD_TRAILER_BYTES;
}

/* -- writing -- */

/* Fields that are made here or nowhere (R9); Trailer was judged by hop.c. */
static bool goes_out(const struct header *header)
{
    return header->dropped == 0 &&
           ((header_flags[header->id] & (HEADER_HOP | HEADER_FRAMING)) == 0 ||
            header->id == HEADER_TRAILER);
}

static void put_fields(struct hpack_encode *writer, const struct message *message,
                       enum header_id also_made_here)
{
    const struct headers *headers = &message->headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (goes_out(header) && header->id != also_made_here) {
            hpack_encode_header(writer, headers, header);
        }
    }
    for (uint32_t i = 0; i < message->extra_count; i++) {
        const struct header_extra *extra = &message->extras[i];
        hpack_encode_field(writer, extra->name, extra->value);
    }
}

static void put_length(struct hpack_encode *writer, const struct stream_head *head)
{
    if (head->framing == FRAMING_LENGTH || (head->framing == FRAMING_NONE && head->has_length)) {
        char digits[NUM_TEXT_MAX];
        size_t len = num_write_u64(digits, head->content_length);
        hpack_encode_known(writer, HEADER_CONTENT_LENGTH, slice_of(digits, len));
    }
}

/* One slice of path and query; they nearly always lie together. `room` is where they are joined. */
static struct slice whole_path(const struct message *message, char *room, size_t capacity)
{
    struct slice path = message->path;
    struct slice query = message->query;
    if (query.len == 0) {
        return path;
    }
    if (query.ptr == path.ptr + path.len) {
        return slice_of(path.ptr, path.len + query.len);
    }
    if (path.len + query.len > capacity) {
        return SLICE_NONE;
    }
    memcpy(room, path.ptr, path.len);
    memcpy(room + path.len, query.ptr, query.len);
    return slice_of(room, path.len + query.len);
}

size_t h2_head_write_request(struct hpack_encoder *encoder, char *out, size_t capacity,
                             const struct stream_head *head, struct slice scheme)
{
    const struct message *message = head->message;
    /* The joined path, if any, lies at the end of the room for the block. */
    size_t tail = message->path.len + message->query.len;
    if (tail >= capacity) {
        return 0;
    }
    struct slice path = whole_path(message, out + capacity - tail, tail);
    struct hpack_encode writer;
    hpack_encode_begin(&writer, encoder, out, capacity - tail);
    hpack_encode_pseudo(&writer, HPACK_METHOD, message->method_text);
    hpack_encode_pseudo(&writer, HPACK_SCHEME, scheme);
    if (message->authority.len != 0) { /* R8 */
        hpack_encode_pseudo(&writer, HPACK_AUTHORITY, message->authority);
    }
    hpack_encode_pseudo(&writer, HPACK_PATH, path);
    put_fields(&writer, message, HEADER_HOST);
    put_length(&writer, head);
    if (head->te_trailers) {
        hpack_encode_known(&writer, HEADER_TE, SLICE("trailers"));
    }
    return hpack_encode_end(&writer);
}

size_t h2_head_write_response(struct hpack_encoder *encoder, char *out, size_t capacity,
                              const struct stream_head *head)
{
    const struct message *message = head->message;
    struct hpack_encode writer;
    hpack_encode_begin(&writer, encoder, out, capacity);
    hpack_encode_status(&writer, message->status);
    put_fields(&writer, message, HEADER_ID_COUNT);
    if (message->status >= 200 && message->status != 204) { /* RFC 9110 8.6 */
        put_length(&writer, head);
    }
    return hpack_encode_end(&writer);
}

size_t h2_head_write_trailers(struct hpack_encoder *encoder, char *out, size_t capacity,
                              struct slice lines)
{
    struct hpack_encode writer;
    hpack_encode_begin(&writer, encoder, out, capacity);
    while (lines.len > 0) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        size_t len = end != NULL ? (size_t)(end - lines.ptr) + 1 : lines.len;
        struct slice line = slice_of(lines.ptr, len >= 2 ? len - 2 : 0);
        size_t colon = slice_find(line, ':');
        if (colon != SIZE_MAX) {
            struct slice value = slice_trim(slice_from_at(line, colon + 1));
            hpack_encode_field(&writer, slice_of(line.ptr, colon), value);
        }
        lines = slice_from_at(lines, len);
    }
    return hpack_encode_end(&writer);
}
