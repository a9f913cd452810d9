#include "lbd/http/h1_write.h"

#include <assert.h>

#include "lbd/base/num.h"
#include "lbd/http/status.h"

/* R11: the one way to write. What does not fit sets `full`, and nothing is written after that. */
struct cursor {
    char *at;
    char *end;
    bool full;
};

static inline void put(struct cursor *cursor, const char *bytes, size_t len)
{
    if (LB_UNLIKELY(len > (size_t)(cursor->end - cursor->at))) {
        cursor->full = true;
        cursor->end = cursor->at;
        return;
    }
    memcpy(cursor->at, bytes, len);
    cursor->at += len;
}

static inline void put_slice(struct cursor *cursor, struct slice s)
{
    if (s.len != 0) {
        put(cursor, s.ptr, s.len);
    }
}

#define PUT(cursor, literal) put(cursor, "" literal, sizeof(literal) - 1)

/* Fields that are made here or nowhere (R9). */
static const bool is_made_here[HEADER_ID_COUNT] = {
    [HEADER_CONTENT_LENGTH] = true,   [HEADER_TRANSFER_ENCODING] = true,
    [HEADER_CONNECTION] = true,       [HEADER_KEEP_ALIVE] = true,
    [HEADER_PROXY_CONNECTION] = true, [HEADER_UPGRADE] = true,
    [HEADER_HTTP2_SETTINGS] = true,   [HEADER_TE] = true,
};

static inline bool goes_out(const struct header *header, enum header_id also_made_here)
{
    return header->dropped == 0 && !is_made_here[header->id] && header->id != also_made_here;
}

/* The lines lie one after another, so neighbours are one copy, CRLFs included. */
static void put_fields(struct cursor *cursor, const struct message *message,
                       enum header_id also_made_here)
{
    const struct headers *headers = &message->headers;
    const struct header *list = headers->list;
    for (uint32_t i = 0; i < headers->count;) {
        if (!goes_out(&list[i], also_made_here)) {
            i++;
            continue;
        }
        uint32_t from = list[i].name_at;
        do {
            i++;
        } while (i < headers->count && goes_out(&list[i], also_made_here));
        /* the last line ends before the empty one */
        uint32_t to = i < headers->count ? list[i].name_at : message->head_len - 2;
        assert(from < to);
        put(cursor, headers->base + from, to - from);
    }
}

static void put_extras(struct cursor *cursor, const struct message *message)
{
    for (uint32_t i = 0; i < message->extra_count; i++) {
        struct slice name = message->extras[i].name;
        struct slice value = message->extras[i].value;
        if (LB_UNLIKELY(name.len + value.len + 4 > (size_t)(cursor->end - cursor->at))) {
            cursor->full = true;
            cursor->end = cursor->at;
            return;
        }
        char *at = (char *)memcpy(cursor->at, name.ptr, name.len) + name.len;
        at = (char *)memcpy(at, ": ", 2) + 2;
        if (value.len != 0) {
            at = (char *)memcpy(at, value.ptr, value.len) + value.len;
        }
        cursor->at = (char *)memcpy(at, "\r\n", 2) + 2;
    }
}

static void put_length(struct cursor *cursor, uint64_t length)
{
    char digits[NUM_TEXT_MAX];
    size_t len = num_write_u64(digits, length);
    PUT(cursor, "Content-Length: ");
    put(cursor, digits, len);
    PUT(cursor, "\r\n");
}

static void put_framing(struct cursor *cursor, const struct h1_write *how)
{
    switch (how->framing) {
    case FRAMING_LENGTH:
        put_length(cursor, how->content_length);
        return;
    case FRAMING_CHUNKED:
        PUT(cursor, "Transfer-Encoding: chunked\r\n");
        return;
    case FRAMING_NONE:
        if (how->has_length) {
            put_length(cursor, how->content_length);
        }
        return;
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_TUNNEL:
        return;
    }
}

static void put_connection(struct cursor *cursor, const struct h1_write *how)
{
    if (how->upgrade_websocket) {
        PUT(cursor, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if (how->te_trailers) {
        PUT(cursor, "TE: trailers\r\n");
        if (how->close) {
            PUT(cursor, "Connection: TE, close\r\n");
        } else {
            PUT(cursor, "Connection: TE\r\n");
        }
    } else if (how->close) {
        PUT(cursor, "Connection: close\r\n");
    } else if (how->keep_alive) {
        PUT(cursor, "Connection: keep-alive\r\n");
    }
}

static size_t finish(struct cursor *cursor, const char *out)
{
    PUT(cursor, "\r\n");
    return cursor->full ? 0 : (size_t)(cursor->at - out);
}

size_t h1_write_request(char *out, size_t capacity, const struct message *message,
                        const struct h1_write *how)
{
    struct cursor cursor = {out, out + capacity, false};
    put_slice(&cursor, message->method_text);
    PUT(&cursor, " ");
    put_slice(&cursor, message->path);
    put_slice(&cursor, message->query);
    PUT(&cursor, " HTTP/1.1\r\n");
    if (message->authority.len != 0) { /* R8 */
        PUT(&cursor, "Host: ");
        put_slice(&cursor, message->authority);
        PUT(&cursor, "\r\n");
    }
    put_fields(&cursor, message, HEADER_HOST);
    put_extras(&cursor, message);
    put_framing(&cursor, how);
    put_connection(&cursor, how);
    return finish(&cursor, out);
}

static void put_status_line(struct cursor *cursor, const struct message *message)
{
    unsigned status = message->status;
    assert(status_class(message->status) != 0);
    char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                   (char)('0' + status % 10), ' '};
    PUT(cursor, "HTTP/1.1 ");
    put(cursor, code, sizeof(code));
    put_slice(cursor, message->reason_phrase.len != 0 ? message->reason_phrase
                                                      : status_phrase(message->status));
    PUT(cursor, "\r\n");
}

size_t h1_write_response(char *out, size_t capacity, const struct message *message,
                         const struct h1_write *how)
{
    struct cursor cursor = {out, out + capacity, false};
    put_status_line(&cursor, message);
    put_fields(&cursor, message, HEADER_ID_COUNT);
    put_extras(&cursor, message);
    if (message->status >= 200 && message->status != 204) { /* RFC 9110 8.6, RFC 9112 6.1 */
        put_framing(&cursor, how);
    }
    put_connection(&cursor, how);
    return finish(&cursor, out);
}
